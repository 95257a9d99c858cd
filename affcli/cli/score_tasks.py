"""What `affcli score` writes as JSON of expressions, action units and multi-task predictions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from affcli.cli.score_intervals import apart, drawn, of_differences, require_same_frames, spread
from affcli.cli.score_report import Asked, any_left, by_face, chosen_of, ends, recipe_of

if TYPE_CHECKING:
    from affcli.labels.affect import Affect
    from affcli.scoring.classes import ClassScores
    from affcli.scoring.multitask import MultiTaskScores

    TaskScores = ClassScores | MultiTaskScores

BY = {"expr": "by_class", "au": "by_unit"}  # what the F1 of each class, or of each action unit, stand under


def scored(asked: Asked, truth: list[Affect], predicted: list[Affect]) -> TaskScores:
    """The scores of one prediction.  Raises as `scoring.classes.score_classes` does."""
    from affcli.scoring.classes import score_classes
    from affcli.scoring.multitask import score_multitask

    if asked.task == "mtl":
        return score_multitask(truth, predicted, missing=asked.missing, align=asked.align)
    choices: dict[str, Any] = {"missing": asked.missing, "align": asked.align, "formula": asked.formula}
    return score_classes(asked.task, truth, predicted, classes=asked.classes[0], **choices)


def report(asked: Asked, truth: list[Affect], predicted: list[Affect], scores: TaskScores) -> dict[str, Any]:
    """Everything asked of one prediction, as plain values, NaN as None."""
    from affcli.scoring.pairs import pertinent

    each = scores.by_clip()
    result: dict[str, Any] = {
        "task": asked.task,
        "concatenated": _nested(asked.task, scores, scores.figures()),
        "mean_over_clips": _mean(scores, [figures for figures, _ in each.values()]),
        **scores.counts(),
        "missing": asked.missing,
        "align": asked.align,
    }
    if asked.task == "expr":
        result |= {"classes": list(scores.parts), "classes_from": asked.classes[1]}
    if asked.task != "mtl":
        result["confusion"] = _confusion(scores)
    if asked.per_clip:
        result["per_clip"] = {
            clip: _nested(asked.task, scores, figures) | counts for clip, (figures, counts) in each.items()
        }
        known = {clip: figures[0] for clip, (figures, _) in each.items() if not math.isnan(figures[0])}
        ranked = sorted(known, key=lambda clip: (known[clip], clip))
        result |= ends(ranked)
    if asked.groups is not None:
        groups = {name: _part(asked, scores.of(clips)) for name, clips in chosen_of(asked).items()}
        result["by"] = {"column": asked.by, "groups": groups}
    if asked.faces is not None:
        result["faces"] = _faces(asked, truth, pertinent(truth, predicted), scores)
    if asked.ci is not None:
        result["intervals"] = _intervals(asked, scores)
    return {**result, "predictions_recipe": recipe_of(predicted)}


def compare(asked: Asked, names: Sequence[str], systems: Sequence[TaskScores]) -> dict[str, Any]:
    """Each system less the first: intervals from the same resampled clips, and p-values.

    Raises InputError where they were not scored over the same frames.
    """
    require_same_frames(names, systems)
    first, *others = systems
    each = []
    for name, scores in zip(names[1:], others, strict=True):
        figures = apart(asked, scores.sums(), first.sums(), first.statistic, first.names)
        each.append({"predictions": name, **_nested(asked.task, first, figures)})
    return {"against": names[0], **of_differences(asked), "each": each}


def _nested(task: str, scores: TaskScores, figures: Iterable[Any]) -> dict[str, Any]:
    """Figures in the order of `heads` and `parts`, by name; the latter under one name of their own."""
    values = [_plain(value) for value in figures]
    count = len(scores.heads)
    found: dict[str, Any] = dict(zip(scores.heads, values[:count], strict=True))
    if scores.parts:
        found[BY[task]] = dict(zip(scores.parts, values[count:], strict=True))
    return found


def _mean(scores: TaskScores, each: list[list[float]]) -> dict[str, Any]:
    """The mean of the clips' own figures over all classes, and how many clips have them all."""
    from affcli.scoring.shards import mean_of

    count = len(scores.heads)
    whole = [figures[:count] for figures in each if not any(map(math.isnan, figures[:count]))]
    means = [mean_of(column) for column in zip(*whole, strict=True)] if whole else [None] * count
    return {**dict(zip(scores.heads, means, strict=True)), "clips": len(whole)}


def _confusion(scores: TaskScores) -> Any:
    """Frames by true class (rows) and predicted class (columns); of action units one such table each, 0 and 1."""
    from affcli.scoring.classes import ClassScores

    assert isinstance(scores, ClassScores)
    tables = {name: [list(row) for row in scores.confusion(name).counts] for name in scores.columns}
    return tables["expression"] if scores.task == "expr" else {name.upper(): rows for name, rows in tables.items()}


def _part(asked: Asked, scores: TaskScores | None) -> dict[str, Any] | None:
    """The scores of some clips or frames, without what is common to all of them."""
    if scores is None:
        return None
    return {"concatenated": _nested(asked.task, scores, scores.figures()), **scores.counts()}


def _faces(asked: Asked, truth: list[Affect], predicted: list[Affect], scores: TaskScores) -> dict[str, Any]:
    """The scores of the frames with a face and of those without."""
    masks = ("joint", "expr", "au") if asked.task == "mtl" else (asked.task,)
    found = {}
    for name, kept in by_face(asked, truth, scores.names).items():
        # Multi-task scores need every task.
        whole = all(any_left(asked, kept, predicted, mask) for mask in masks)
        found[name] = _part(asked, scored(asked, kept, predicted) if whole else None)
    return found


def _intervals(asked: Asked, scores: TaskScores) -> dict[str, Any]:
    assert asked.ci is not None
    figures = spread(asked, scores.sums(), scores.statistic, scores.names)
    return drawn(asked, asked.ci) | _nested(asked.task, scores, figures)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
