"""Scores of predicted affect against its ground truth, clip by clip and over all frames; pure NumPy.

The headline is each metric over all annotated frames of all clips concatenated, as the Aff-Wild2 challenges compute it;
the mean of the clips' own scores is another figure and stands beside it under its own name.  A frame counts where
valence and arousal are both annotated, or with the mask "each" in the dimensions that are.

Clips that are scored in shards, on several machines, say, are joined with `+`.  Scores hold exact sums, which pickle
carries from one process to another, so that every score of the whole is to the last bit what one run over all clips
tells, in whatever order the shards come; intervals (`affcli.statistics`) draw clips by their places, and so need the
order of the whole.  Those of `scoring.classes` and `scoring.multitask` are joined likewise.

>>> curve = {"a": [0.1, 0.4, -0.2], "b": [0.3, 0.7], "c": [-0.5, -0.1, 0.3]}
>>> truth = [Affect(name, np.array(values), np.array(values)) for name, values in curve.items()]
>>> guess = [Affect(clip.clip, clip.valence * 0.7, clip.arousal * 0.9) for clip in truth]
>>> whole, shards = score(truth, guess), [score([one], guess) for one in truth]
>>> (shards[2] + shards[0] + shards[1]).concatenated("ccc") == whole.concatenated("ccc")
True
>>> shards[0] + shards[1] + shards[2] == whole
True
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError, SchemaError
from affcli.labels.affect import DIMENSIONS, UNKNOWN, Affect, distinct
from affcli.metrics import METRICS, Moments
from affcli.scoring.pairs import ALIGN as ALIGN
from affcli.scoring.pairs import (
    Pair,
    aligned,
    annotated,
    known,
    matched,
    nothing_compared,
    require_known,
    require_predictions,
)
from affcli.scoring.shards import OfClips, mean_of, require_shards
from affcli.sums import Array, clip_sums


@dataclass(frozen=True)
class ClipScore:
    """What is needed of one clip: counts of frames, and the sums over the frames that were compared."""

    clip: str
    annotated: int  # frames with annotated valence and arousal
    predicted: int  # of these, frames with predicted valence and arousal
    moments: Mapping[str, Moments]  # valence and arousal
    frames: int  # compared: the predicted ones, and those that were filled in

    def figures(self, metric: str) -> dict[str, float]:
        """One metric of valence, of arousal, and the mean of both."""
        return _figures(metric, self.moments)


@dataclass(frozen=True)
class Scores(OfClips):
    """Predictions compared with their truth: at least one clip with an annotated frame."""

    clips: tuple[ClipScore, ...]
    missing: str
    align: str | None
    mask: str = "joint"

    def __add__(self, other: Scores) -> Scores:
        """Both together, of two shards of the clips: these clips, then those.

        Raises InputError where a clip is in both, UsageError where they were scored with other choices.
        """
        require_shards(self, other, "missing", "align", "mask")
        return dataclasses.replace(self, clips=(*self.clips, *other.clips))

    @property
    def nowhere(self) -> tuple[str, ...]:
        """The dimensions that no frame which was compared is annotated in; with the mask "each" there may be one."""
        return tuple(name for name in DIMENSIONS if not any(clip.moments[name].count for clip in self.clips))

    def concatenated(self, metric: str) -> dict[str, float]:
        """The headline: one metric over all frames of all clips, of valence, of arousal, and the mean of both."""
        return _figures(metric, {name: sum((c.moments[name] for c in self.clips), Moments()) for name in DIMENSIONS})

    def mean_over_clips(self, metric: str) -> dict[str, Any]:
        """The mean of the clips' own scores, each figure over the clips in which it is defined.

        "clips" is how many have both dimensions, which "mean" is over; where the numbers differ,
        "clips_by_dimension" has those of valence and of arousal.
        """
        each = [clip.figures(metric) for clip in self.clips]
        defined = {name: [one[name] for one in each if not math.isnan(one[name])] for name in (*DIMENSIONS, "mean")}
        counts = {name: len(values) for name, values in defined.items()}
        both = counts.pop("mean")
        found = {**{name: mean_of(values) for name, values in defined.items()}, "clips": both}
        return found if set(counts.values()) == {both} else {**found, "clips_by_dimension": counts}

    def sums(self) -> Array:
        """What of each of m clips adds up, for `affcli.statistics`: float64 (m, 2, 9), as of `clip_sums`."""
        return clip_sums([[clip.moments[name] for name in DIMENSIONS] for clip in self.clips])

    def truth(self) -> list[Any]:
        """Of each clip, what every prediction of the same frames has alike."""
        return [
            (clip.clip, [(one.count, one.truth, one.truth_squared) for one in clip.moments.values()])
            for clip in self.clips
        ]

    def ranked(self, metric: str) -> list[tuple[str, float]]:
        """The clips that have a score and its mean of valence and arousal, worst first; equal ones by name."""
        best = METRICS[metric].best
        each = [(clip.clip, clip.figures(metric)["mean"]) for clip in self.clips]
        return sorted((e for e in each if not math.isnan(e[1])), key=lambda e: (-abs(e[1] - best), e[0]))

    def undefined(self, metric: str) -> list[str]:
        """The clips that have no score: their truth is constant, or none of their frames was compared."""
        return [clip.clip for clip in self.clips if math.isnan(clip.figures(metric)["mean"])]

    def to_json(self, metrics: Sequence[str], *, per_clip: bool = False) -> dict[str, Any]:
        """Everything as plain values, NaN as None."""
        result: dict[str, Any] = {
            "concatenated": {name: _plain(self.concatenated(name)) for name in metrics},
            "mean_over_clips": {name: _plain(self.mean_over_clips(name)) for name in metrics},
            "clips": len(self.clips),
            "frames": self.frames,
            "coverage": self.coverage,
            "missing": self.missing,
            "align": self.align,
        }
        if self.mask != "joint":
            result["mask"] = self.mask
            result["frames_by_dimension"] = {
                name: sum(c.moments[name].count for c in self.clips) for name in DIMENSIONS
            }
        if per_clip:
            result["per_clip"] = {
                clip.clip: {name: _plain(clip.figures(name)) for name in metrics}
                | {"frames": clip.frames, "coverage": clip.predicted / clip.annotated}
                for clip in self.clips
            }
        return result


def score(
    truth: Sequence[Affect],
    prediction: Sequence[Affect],
    *,
    missing: str = "error",
    align: str | None = None,
    mask: str = "joint",
) -> Scores:
    """Compare predictions with their ground truth, clip by clip.

    `missing` says what an annotated frame without a prediction gets: "error" refuses; "hold" the prediction before
    it (the first one, where none is before); "interpolate" the straight line between its neighbours, by frame number,
    and the nearest prediction at the ends; "zero" 0.  `align` says what a clip of two lengths gets: None refuses,
    "crop" leaves out the frames past the shorter one (they still count against the coverage), "pad" takes
    them as not predicted, or not annotated.  `mask` says which frames count: "joint" those in which both dimensions are
    annotated, "each" for each dimension those in which it is.  Clips without an annotated frame are left out.

    Raises InputError where nothing is annotated, a clip or a frame has no prediction; SchemaError where lengths
    differ; UsageError for an unknown `missing`, `align` or `mask`.
    """
    require_known(missing=missing, align=align, mask=mask)
    if not any(annotated(clip, mask).any() for clip in truth):
        raise _nothing_annotated(truth)
    pairs = aligned(matched(distinct(truth), distinct(prediction), mask), align, mask)
    if missing == "error":
        require_predictions(pairs)
    scores = Scores(tuple(_clip_score(pair, missing) for pair in pairs), missing, align, mask)
    if not scores.frames:
        raise nothing_compared(pairs)
    return scores


def _nothing_annotated(truth: Sequence[Affect]) -> InputError:
    """What to say of a truth without a frame in which both dimensions are annotated."""
    counts = {name: sum(int(np.count_nonzero(known(clip, name))) for clip in truth) for name in DIMENSIONS}
    alone = " and ".join(
        f"{count} frame{'s have' if count != 1 else ' has'} {name} alone" for name, count in counts.items() if count
    )
    return InputError(
        truth[0].source if truth else "ground truth",
        f"has no frame annotated in both dimensions: {alone}" if alone else "has no annotated frame",
        expected="valence and arousal in at least one frame",
        advice="--mask each, of valence and arousal, scores each by its own frames"
        if alone
        else "check the ground truth, and the order PREDS GT",
    )


def restricted(truth: Sequence[Affect], where: Mapping[str, NDArray[np.bool_]]) -> list[Affect]:
    """`truth` as if it were annotated only where told: (n,) for each clip, by its name; no other clip is annotated.

    Raises SchemaError where such an array is not as long as its clip.
    """
    kept = []
    for clip in truth:
        here = where.get(clip.clip, np.zeros(len(clip), np.bool_))
        if len(here) != len(clip):
            raise SchemaError(
                clip.source or "ground truth",
                f"clip '{clip.clip}' has {len(clip)} frames",
                expected=f"{len(here)} as there are faces of it",
                advice="make labels and faces of the same video",
            )
        valence, arousal = (np.where(here, values, np.nan) for values in (clip.valence, clip.arousal))
        classes = {name: np.where(here, values, np.int8(UNKNOWN)) for name, values in clip.classes().items()}
        expression = classes.pop("expression", None)
        kept.append(
            dataclasses.replace(clip, valence=valence, arousal=arousal, expression=expression, action_units=classes)
        )
    return kept


def _clip_score(pair: Pair, missing: str) -> ClipScore:
    guess = pair.predictions(missing)
    at = {name: pair.compared(name) for name in DIMENSIONS}
    every = annotated(pair.truth, pair.mask)
    return ClipScore(
        pair.truth.clip,
        pair.annotated,
        int(np.count_nonzero(every & ~pair.missing)),
        {name: Moments.from_arrays(getattr(pair.truth, name)[at[name]], guess[name][at[name]]) for name in DIMENSIONS},
        int(np.count_nonzero(every)),
    )


def _figures(metric: str, moments: Mapping[str, Moments]) -> dict[str, float]:
    figures = {name: METRICS[metric].of(moments[name]) for name in DIMENSIONS}
    return {**figures, "mean": sum(figures.values()) / len(figures)}


def _plain(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in figures.items()}
