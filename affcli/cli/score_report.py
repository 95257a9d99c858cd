"""What `affcli score` writes as JSON of valence and arousal: scores of one prediction or several, and whatever else."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from affcli.cli.score_intervals import apart, drawn, of_differences, plain, require_same_frames, spread
from affcli.errors import InputError

if TYPE_CHECKING:
    from affcli.labels.affect import Affect
    from affcli.recipes import Recipe
    from affcli.scoring import Scores

log = logging.getLogger(__name__)

DIMENSIONS_AND_MEAN = ("valence", "arousal", "mean")
NAMED = 5  # worst and best clips that are named, at most
LAGS = 10  # on each side of 0


@dataclass(frozen=True)
class Asked:
    """What to report, as the options and the files say."""

    metrics: tuple[str, ...]
    missing: str
    align: str | None
    mask: str
    per_clip: bool
    decompose: bool
    lag: float | None  # seconds, the furthest
    faces: Path | None
    groups: Mapping[str, str] | None  # clip to its group
    by: str | None
    subjects: Mapping[str, str] | None  # clip to whoever is seen in it, drawn whole
    ci: float | None  # level in percent
    resamples: int
    seed: int
    method: Literal["percentile", "bca"]
    task: str = "va"
    classes: tuple[int, str] = (8, "")  # how many expressions the list has, and what says so
    formula: str = "2021"
    scales: Mapping[str, str] = field(default_factory=dict)  # those that were converted, by side
    test: str = "bootstrap"  # where the p-values of differences come from; or permutation
    clip: bool = False  # predictions are cut off at -1 and 1
    times: Path | None = None  # where the times of frames are told
    loose: bool = False  # the ground truth does not tell how long its clips are

    def choices(self) -> dict[str, Any]:
        """The arguments of `score`."""
        return {"missing": self.missing, "align": self.align, "mask": self.mask}


def report(asked: Asked, truth: list[Affect], predicted: list[Affect], scores: Scores) -> dict[str, Any]:
    """Everything asked of one prediction, as plain values, NaN as None."""
    from affcli.scoring.pairs import pertinent

    metrics = asked.metrics
    result = scores.to_json(metrics, per_clip=asked.per_clip)
    if asked.scales:
        result["scales"] = dict(asked.scales)
    if asked.per_clip:
        ranked = [clip for clip, _ in scores.ranked(metrics[0])]
        result |= ends(ranked)
    if asked.groups is not None:
        parts = {name: _part(scores.of(clips), metrics) for name, clips in chosen_of(asked).items()}
        result["by"] = {"column": asked.by, "groups": parts}
    again = pertinent(truth, predicted)
    if asked.faces is not None:
        result["faces"] = _faces(asked, truth, again, scores)
    if asked.decompose:
        from affcli.decomposition import decompose
        from affcli.metrics import Moments

        result["decomposition"] = {
            name: plain(vars(decompose(sum((clip.moments[name] for clip in scores.clips), Moments()))))
            for name in DIMENSIONS_AND_MEAN[:2]
        }
    if asked.lag is not None:
        result["lag"] = _lag(asked, _timed(asked, truth, predicted), again)
    if asked.ci is not None:
        result["intervals"] = _intervals(asked, scores)
    return {**result, "predictions_recipe": recipe_of(predicted)}


def compare(asked: Asked, names: Sequence[str], systems: Sequence[Scores]) -> dict[str, Any]:
    """Each system less the first: intervals from the same resampled clips, and p-values.

    Raises InputError where they were not scored over the same frames.
    """
    require_same_frames(names, systems)
    first, *others = (scores.sums() for scores in systems)
    each = []
    for name, sums in zip(names[1:], others, strict=True):
        row: dict[str, Any] = {"predictions": name}
        for metric in asked.metrics:
            found = apart(asked, sums, first, metric, systems[0].names)
            row[metric] = dict(zip(DIMENSIONS_AND_MEAN, found, strict=True))
        each.append(row)
    return {"against": names[0], **of_differences(asked), "each": each}


def ends(ranked: Sequence[str]) -> dict[str, list[str]]:
    """The worst clips and the best ones, of clips worst first; none is both."""
    count = min(NAMED, len(ranked) // 2)
    return {"worst": [*ranked[:count]], "best": [*ranked[::-1][:count]]}


def chosen_of(asked: Asked) -> dict[str, set[str]]:
    """The clips of each group of --by."""
    groups = asked.groups or {}
    return {name: {clip for clip, group in groups.items() if group == name} for name in sorted(set(groups.values()))}


def _part(scores: Scores | None, metrics: Sequence[str]) -> dict[str, Any] | None:
    """The scores of some clips or frames, without what is common to all of them."""
    if scores is None:
        return None
    found = scores.to_json(metrics)
    return {key: found[key] for key in ("concatenated", "mean_over_clips", "clips", "frames", "coverage")}


def by_face(asked: Asked, truth: list[Affect], clips: Sequence[str]) -> dict[str, list[Affect]]:
    """The truth as if it were annotated only in the frames with a face, and only in those without."""
    from affcli import tables
    from affcli.clips import table_path
    from affcli.schemas import FACES
    from affcli.scoring import restricted

    assert asked.faces is not None
    frames = {clip.clip: len(clip) for clip in truth}
    seen = {}
    for clip in clips:
        path = table_path(asked.faces, clip, "faces")
        if not path.exists():
            raise InputError(
                asked.faces,
                f"holds no faces of clip '{clip}'",
                expected=path.name,
                advice="name the directory that affcli extract-faces wrote, or run it on this clip's video",
            )
        valid = tables.read(path, FACES).column("valid")
        if asked.align is not None or asked.loose:  # labels past the end of the video show no face
            valid = np.append(valid, np.zeros(frames[clip], np.bool_))[: frames[clip]]
        seen[clip] = valid
    without = {clip: ~valid for clip, valid in seen.items()}
    return {"with": restricted(truth, seen), "without": restricted(truth, without)}


def _faces(asked: Asked, truth: list[Affect], predicted: list[Affect], scores: Scores) -> dict[str, Any]:
    """The scores of the frames with a face and of those without."""
    from affcli.scoring import score

    found = {}
    for name, kept in by_face(asked, truth, scores.names).items():
        left = any_left(asked, kept, predicted, asked.mask)
        found[name] = _part(score(kept, predicted, **asked.choices()) if left else None, asked.metrics)
    return found


def any_left(asked: Asked, kept: list[Affect], predicted: list[Affect], mask: str) -> bool:
    """Whether a frame of what is kept of the truth is annotated, and not cut off by --align crop."""
    from affcli.scoring.pairs import annotated

    ends = {clip.clip: len(clip) for clip in predicted} if asked.align == "crop" else {}
    return any(annotated(clip, mask)[: ends.get(clip.clip)].any() for clip in kept)


def _lag(asked: Asked, truth: list[Affect], predicted: list[Affect]) -> dict[str, Any]:
    from affcli.scoring.lag import ccc_at_lags

    assert asked.lag is not None
    lags = [asked.lag * step / LAGS for step in range(-LAGS, LAGS + 1)]
    curve = ccc_at_lags(truth, predicted, lags, **asked.choices())
    best = {}
    for key in DIMENSIONS_AND_MEAN:
        known = [one for one in curve if not math.isnan(one[key])]
        # Of equal ones the lag nearest to 0.
        best[key] = max(known, key=lambda one: (one[key], -abs(one["seconds"])))["seconds"] if known else None
    return {"ccc": [plain(one) for one in curve], "best": best}


def _timed(asked: Asked, truth: list[Affect], predicted: list[Affect]) -> list[Affect]:
    """The truth, with times from the directory of --times for clips that neither side tells times of."""
    if asked.times is None:
        return truth
    from affcli.cli.table_times import clip_times
    from affcli.scoring.pairs import annotated, pertinent

    known = {clip.clip for clip in pertinent(truth, predicted) if clip.time_us is not None}
    made = []
    for clip in truth:
        if clip.time_us is None and clip.clip not in known and annotated(clip, asked.mask).any():
            clip = dataclasses.replace(clip, time_us=clip_times(asked.times, clip.clip)[1])
        made.append(clip)
    return made


def _intervals(asked: Asked, scores: Scores) -> dict[str, Any]:
    assert asked.ci is not None
    result = drawn(asked, asked.ci)
    sums = scores.sums()
    for metric in asked.metrics:
        found = spread(asked, sums, metric, scores.names)
        result[metric] = dict(zip(DIMENSIONS_AND_MEAN, found, strict=True))
    return result


def recipe_of(predicted: list[Affect]) -> Recipe | list[Recipe] | None:
    """How the predictions were made: one recipe, several where the clips differ, None where the files do not say."""
    recipes: list[Recipe] = []
    for clip in predicted:
        if clip.recipe is not None and clip.recipe not in recipes:
            recipes.append(clip.recipe)
    if len(recipes) > 1:
        log.warning("the predictions were made in %d different ways: see predictions_recipe", len(recipes))
        return recipes
    return recipes[0] if recipes else None
