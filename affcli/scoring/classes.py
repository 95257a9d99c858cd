"""Scores of predicted expressions or action units against their ground truth, clip by clip and over all frames.

Every figure comes from counts of true and predicted classes, which add up over clips: those of a clip, of some clips,
or of resampled ones (`affcli.statistics`) go through one function.  Definitions and sources are those of
`affcli.classification`.  A frame counts where the expression, or for each action unit that unit, is annotated.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli.classification import PRESENCE, WEIGHTS_2020, Confusion, class_f1
from affcli.errors import InputError, some
from affcli.labels.affect import EXPRESSIONS, Affect, distinct
from affcli.scoring.pairs import (
    COLUMNS,
    Pair,
    aligned,
    annotated,
    known,
    matched,
    nothing_compared,
    require_known,
    require_predictions,
)
from affcli.scoring.shards import OfClips, require_shards

Array = NDArray[np.float64]
LATEST = "2021"  # the formula that is usual


@dataclass(frozen=True)
class ClassClip:
    """What is needed of one clip: numbers of frames, and how often each class was predicted as each."""

    clip: str
    annotated: int
    predicted: int  # of these
    counts: Mapping[str, Confusion]  # of "expression", or of each action unit
    frames: int  # compared: the predicted ones, and those that were filled in


@dataclass(frozen=True)
class ClassScores(OfClips):
    """Predicted classes compared with their truth: at least one clip with an annotated frame."""

    clips: tuple[ClassClip, ...]
    task: str  # expr or au
    columns: tuple[str, ...]  # expression, or the action units that are annotated in any frame
    classes: int  # of each column
    missing: str
    align: str | None
    formula: str = LATEST

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of the figures over all classes, the headline first."""
        return (*(("score_2020",) if self.formula == "2020" else ()), "f1", "accuracy")

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the classes or of the action units, whose F1 follow."""
        return EXPRESSIONS[: self.classes] if self.task == "expr" else tuple(name.upper() for name in self.columns)

    def counts(self) -> dict[str, Any]:
        """Clips, frames and coverage."""
        return {"clips": len(self.clips), "frames": self.frames, "coverage": self.coverage}

    def __add__(self, other: ClassScores) -> ClassScores:
        """Both together, of two shards of the clips: these clips, then those, over the action units of either.

        Raises InputError where a clip is in both, UsageError where they were scored with other choices.
        """
        require_shards(self, other, "task", "classes", "missing", "align", "formula")
        columns = tuple(name for name in COLUMNS[self.task] if name in {*self.columns, *other.columns})
        none = Confusion.from_arrays([], [], range(self.classes))
        clips = tuple(
            dataclasses.replace(clip, counts={name: clip.counts.get(name, none) for name in columns})
            for clip in (*self.clips, *other.clips)
        )
        return dataclasses.replace(self, clips=clips, columns=columns)

    def confusion(self, column: str) -> Confusion:
        """How often each class was predicted as each, in all frames."""
        return sum((clip.counts[column] for clip in self.clips), Confusion())

    def sums(self) -> Array:
        """The counts of each of m clips, float64 (m, columns, classes, classes): true by predicted."""
        rows = [[clip.counts[column].counts for column in self.columns] for clip in self.clips]
        return np.array(rows, np.float64)

    def truth(self) -> list[Any]:
        """Of each clip, what every prediction of the same frames has alike: its name and its true classes' counts."""
        return [
            (clip.clip, [[sum(row) for row in clip.counts[name].counts] for name in self.columns])
            for clip in self.clips
        ]

    def statistic(self, sums: Array) -> Array:
        """The figures of counts (r, columns, classes, classes), as `class_figures`: (r, k), `heads`, then `parts`."""
        return class_figures(sums, self.task, self.formula)

    def figures(self) -> list[float]:
        """`statistic` over all frames of all clips."""
        return _one(self.statistic(self.sums().sum(axis=0, keepdims=True)))

    def by_clip(self) -> dict[str, tuple[list[float], dict[str, Any]]]:
        """`figures` of each clip alone, and its frames and coverage."""
        each = self.statistic(self.sums()).tolist()
        return {
            clip.clip: (figures, {"frames": clip.frames, "coverage": clip.predicted / clip.annotated})
            for clip, figures in zip(self.clips, each, strict=True)
        }


def class_figures(sums: Array, task: str, formula: str = LATEST) -> Array:
    """The figures of counts (r, columns, classes, classes), true by predicted: float64 (r, k), NaN where undefined.

    With the formula 2020 the measure of the first ABAW challenge; mean F1; accuracy; and the F1 of each part.  The mean
    F1 of expressions ("expr") is over all classes, and one that never comes up counts 0; that of action units ("au") is
    over those that are annotated in any frame, and one that is never present counts 0.
    """
    frames = sums.sum(axis=(-1, -2))
    every = class_f1(sums)
    with np.errstate(invalid="ignore"):
        if task == "expr":
            parts = np.where(frames > 0, every[:, 0], math.nan)
            f1 = parts.mean(axis=-1)
        else:
            parts = np.where(frames > 0, every[..., 1], math.nan)
            f1 = np.nansum(parts, axis=-1) / np.count_nonzero(frames, axis=-1)
        hits = np.trace(sums, axis1=-2, axis2=-1)
        heads = [f1, hits.sum(axis=-1) / frames.sum(axis=-1)]
    if formula == "2020":
        of_f1, of_accuracy = WEIGHTS_2020[task]
        heads.insert(0, of_f1 * heads[0] + of_accuracy * heads[1])
    return np.concatenate([np.stack(heads, axis=-1), parts], axis=-1)


def score_classes(
    task: str,
    truth: Sequence[Affect],
    prediction: Sequence[Affect],
    *,
    missing: str = "error",
    align: str | None = None,
    classes: int = len(EXPRESSIONS),
    formula: str = LATEST,
) -> ClassScores:
    """Compare predicted expressions ("expr", the first `classes` of EXPRESSIONS) or action units ("au").

    `missing` and `align` are those of `scoring.score`, but "interpolate" takes the nearest prediction, of two the
    earlier.  `formula` "2020" makes the measure of the first ABAW challenge the headline.

    Raises InputError where nothing is annotated, a clip, an action unit or a frame has no prediction, or a class is
    none of the list; SchemaError where lengths differ; UsageError for an unknown task, `missing`, `align` or formula.
    """
    require_known(task=task, missing=missing, align=align, formula=formula)
    if not any(annotated(clip, task).any() for clip in truth):
        raise InputError(
            truth[0].source if truth else "ground truth",
            f"has no annotated {'expression' if task == 'expr' else 'action unit'}",
            expected="one in at least one frame",
            advice="check the ground truth, and the order PREDS GT",
        )
    pairs = aligned(matched(distinct(truth), distinct(prediction), task), align, task)
    columns = tuple(name for name in COLUMNS[task] if any(known(clip, name).any() for clip in truth))
    size = classes if task == "expr" else len(PRESENCE)
    for pair in pairs:
        _require_columns(pair, columns)
    if missing == "error":
        require_predictions(pairs)
    clips = tuple(_clip(pair, columns, size, missing) for pair in pairs)
    scores = ClassScores(clips, task, columns, size, missing, align, formula)
    if not scores.frames:
        raise nothing_compared(pairs)
    return scores


def _require_columns(pair: Pair, columns: Sequence[str]) -> None:
    """Raise InputError where what is compared has no column at all in the predictions."""
    have = pair.prediction.classes()
    lacking = [name for name in columns if name not in have and pair.compared(name).any()]
    if lacking:
        what = "expression" if lacking == ["expression"] else f"action unit {some(n.upper() for n in lacking)}"
        raise InputError(
            pair.prediction.source or "predictions",
            f"clip '{pair.prediction.clip}' has no {what}",
            expected="what the ground truth has",
            advice="predict with a network that has learnt it; were the arguments swapped?",
        )


def _clip(pair: Pair, columns: Sequence[str], size: int, missing: str) -> ClassClip:
    counts = {}
    for name in columns:
        at = pair.compared(name)
        truth = pair.truth.classes().get(name, np.zeros(len(at), np.int8))
        guess = pair.predicted_class(name, missing)
        for affect, values in ((pair.truth, truth), (pair.prediction, guess)):
            _require_classes(affect, values, at, size)
        counts[name] = Confusion.from_arrays(truth[at], guess[at], range(size))
    every = annotated(pair.truth, pair.mask)
    return ClassClip(
        pair.truth.clip,
        pair.annotated,
        int(np.count_nonzero(every & ~pair.missing)),
        counts,
        int(np.count_nonzero(every)),
    )


def _require_classes(affect: Affect, values: NDArray[np.int8], at: NDArray[np.bool_], size: int) -> None:
    wrong = np.flatnonzero(at & (values >= size))
    if len(wrong):
        raise InputError(
            affect.source or f"clip '{affect.clip}'",
            f"clip '{affect.clip}' has class {values[wrong[0]]} in frame {wrong[0]}",
            expected=f"0 to {size - 1}, the {size} classes of the list",
            advice="check which classes the files have, and --classes",
        )


def _one(figures: Array) -> list[float]:
    found: list[float] = figures[0].tolist()
    return found
