"""Scores of predicted affect against its ground truth, clip by clip and over all frames; pure NumPy.

The headline is each metric over all annotated frames of all clips concatenated, as the Aff-Wild2 challenges compute it;
the mean of the clips' own scores is another figure and stands beside it under its own name.  A frame counts where
valence and arousal are both annotated.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError, SchemaError, UsageError, some
from affcli.labels.affect import DIMENSIONS, Affect, distinct
from affcli.metrics import METRICS, Moments

MISSING = ("error", "hold", "interpolate", "zero")
ALIGN = ("crop", "pad")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipScore:
    """What is needed of one clip: counts of frames, and the sums over the frames that were compared."""

    clip: str
    annotated: int  # frames with annotated valence and arousal
    predicted: int  # of these, frames with predicted valence and arousal
    moments: Mapping[str, Moments]  # valence and arousal

    @property
    def frames(self) -> int:
        """Frames compared: the predicted ones, and those that were filled in."""
        return self.moments["valence"].count

    def figures(self, metric: str) -> dict[str, float]:
        """One metric of valence, of arousal, and the mean of both."""
        return _figures(metric, self.moments)


@dataclass(frozen=True)
class Scores:
    """Predictions compared with their truth: at least one clip with an annotated frame."""

    clips: tuple[ClipScore, ...]
    missing: str
    align: str | None

    @property
    def frames(self) -> int:
        """Frames compared, of all clips."""
        return sum(clip.frames for clip in self.clips)

    @property
    def coverage(self) -> float:
        """Share of the annotated frames that were predicted, 0 to 1."""
        return sum(clip.predicted for clip in self.clips) / sum(clip.annotated for clip in self.clips)

    def concatenated(self, metric: str) -> dict[str, float]:
        """The headline: one metric over all frames of all clips, of valence, of arousal, and the mean of both."""
        return _figures(metric, {name: sum((c.moments[name] for c in self.clips), Moments()) for name in DIMENSIONS})

    def mean_over_clips(self, metric: str) -> dict[str, float]:
        """The mean of the clips' own scores; `clips` says how many have one, in both dimensions."""
        each = [figures for figures in (clip.figures(metric) for clip in self.clips) if not math.isnan(figures["mean"])]
        mean = {name: sum(e[name] for e in each) / len(each) if each else math.nan for name in (*DIMENSIONS, "mean")}
        return {**mean, "clips": len(each)}

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
        if per_clip:
            result["per_clip"] = {
                clip.clip: {name: _plain(clip.figures(name)) for name in metrics}
                | {"frames": clip.frames, "coverage": clip.predicted / clip.annotated}
                for clip in self.clips
            }
        return result


def score(
    truth: Sequence[Affect], prediction: Sequence[Affect], *, missing: str = "error", align: str | None = None
) -> Scores:
    """Compare predictions with their ground truth, clip by clip.

    `missing` says what an annotated frame without a prediction gets: "error" refuses; "hold" the prediction before
    it (the first one, where none is before); "interpolate" the straight line between its neighbours, by frame number,
    and the nearest prediction at the ends; "zero" 0.  `align` says what a clip of two lengths gets: None refuses,
    "crop" leaves out the frames past the shorter one (they still count against the coverage), "pad" takes
    them as not predicted, or not annotated.  Clips without an annotated frame are left out.

    Raises InputError where nothing is annotated, a clip or a frame has no prediction; SchemaError where lengths
    differ; UsageError for an unknown `missing` or `align`.
    """
    for option, value, choices in (("missing", missing, MISSING), ("align", align or ALIGN[0], ALIGN)):
        if value not in choices:
            raise UsageError(f"{option}={value}", "is unknown", expected=", ".join(choices), advice="choose one")
    if not any(clip.valid.any() for clip in truth):
        raise InputError(
            truth[0].source if truth else "ground truth",
            "has no annotated frame",
            expected="valence and arousal in at least one frame",
            advice="check the ground truth, and the order PREDS GT",
        )
    pairs = _aligned(_matched(distinct(truth), distinct(prediction)), align)
    if missing == "error":
        _require_predictions(pairs)
    scores = Scores(tuple(_clip_score(pair, missing) for pair in pairs), missing, align)
    if not scores.frames:
        raise InputError(
            pairs[0].truth.source,
            "has no annotated frame within the length of the predictions",
            advice="check that the predictions are whole",
        )
    return scores


@dataclass(frozen=True)
class _Pair:
    """One clip's truth and prediction, of equal length, and the annotated frames before lengths were made equal."""

    truth: Affect
    prediction: Affect
    annotated: int

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where a frame is annotated and not predicted: (n,)."""
        return self.truth.valid & ~self.prediction.valid


def _matched(truth: list[Affect], prediction: list[Affect]) -> list[tuple[Affect, Affect]]:
    """Each clip that has an annotated frame, with its prediction."""
    if len(truth) == len(prediction) == 1 and not (truth[0].named and prediction[0].named):
        # A lone CSV without a column clip is named after its file, which says little.
        if (truth[0].named or prediction[0].named) and truth[0].clip != prediction[0].clip:
            log.warning("clip '%s' is compared with clip '%s'", prediction[0].clip, truth[0].clip)
        return [(truth[0], prediction[0])]
    predicted = {clip.clip: clip for clip in prediction}
    wanted = [clip for clip in truth if clip.valid.any()]
    lacking = [clip.clip for clip in wanted if clip.clip not in predicted]
    if len(lacking) == len(wanted):
        raise InputError(
            _origin(prediction, "predictions"),
            f"has no clip in common with the ground truth (predicted: {some([*predicted]) or 'none'})",
            expected=f"clips {some(lacking)}",
            advice="name the clips alike: by the column clip, or else by the file's name",
        )
    if lacking:
        raise InputError(
            _origin(prediction, "predictions"),
            f"lacks {len(lacking)} of {len(wanted)} clips: {some(lacking)}",
            expected="every annotated clip",
            advice="predict them, or leave them out of the ground truth; were the arguments swapped?",
        )
    extra = predicted.keys() - {clip.clip for clip in truth}
    if extra:
        log.warning("predicted clips that are not in the ground truth are left out: %s", some(sorted(extra)))
    return [(clip, predicted[clip.clip]) for clip in wanted]


def _origin(clips: list[Affect], otherwise: str) -> str:
    """Where clips were read from: their file, or the directory of all their files."""
    sources = {clip.source for clip in clips if clip.source}
    return os.path.commonpath(sources) if sources else otherwise


def _aligned(pairs: list[tuple[Affect, Affect]], align: str | None) -> list[_Pair]:
    """The pairs with lengths made equal as `align` says."""
    unequal = [(t, p) for t, p in pairs if len(t) != len(p)]
    if unequal and align is None:
        t, p = unequal[0]
        others = f" (and {len(unequal) - 1} other clip{'s' * (len(unequal) > 2)})" if len(unequal) > 1 else ""
        raise SchemaError(
            p.source or "predictions",
            f"clip '{p.clip}' has {len(p)} frames{others}",
            expected=f"{len(t)} as in {t.source or 'the ground truth'}",
            advice="predict every decoded frame, or choose --align crop or --align pad",
        )
    aligned = []
    for t, p in pairs:
        length = min(len(t), len(p)) if align == "crop" else len(t)
        aligned.append(_Pair(t.resized(length), p.resized(length), int(np.count_nonzero(t.valid))))
    return aligned


def _require_predictions(pairs: list[_Pair]) -> None:
    """Raise InputError where an annotated frame is not predicted, with their number."""
    lacking = [(pair, np.flatnonzero(pair.missing)) for pair in pairs if pair.missing.any()]
    if not lacking:
        return
    pair, frames = lacking[0]
    count = sum(len(frames) for _, frames in lacking)
    swapped = "" if any((~pair.truth.valid).any() for pair in pairs) else "; were the arguments swapped?"
    raise InputError(
        pair.prediction.source or "predictions",
        f"{count} of {sum(pair.annotated for pair in pairs)} annotated frames have no prediction "
        f"(first: clip '{pair.truth.clip}', frame {frames[0]})",
        expected="a value for every annotated frame",
        advice=f"--missing hold, interpolate or zero fills them{swapped}",
    )


def _clip_score(pair: _Pair, missing: str) -> ClipScore:
    at = pair.truth.valid
    truth = {"valence": pair.truth.valence, "arousal": pair.truth.arousal}
    guess = {"valence": pair.prediction.valence, "arousal": pair.prediction.arousal}
    if pair.missing.any():
        guess = {name: _filled(values, missing, pair.prediction) for name, values in guess.items()}
    return ClipScore(
        pair.truth.clip,
        pair.annotated,
        int(np.count_nonzero(at & pair.prediction.valid)),
        {name: Moments.from_arrays(truth[name][at], guess[name][at]) for name in DIMENSIONS},
    )


def _filled(values: NDArray[np.float64], missing: str, prediction: Affect) -> NDArray[np.float64]:
    """`values`, (n,), with NaN filled in as `missing` says."""
    if missing == "zero":
        return np.nan_to_num(values, nan=0.0)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        raise InputError(
            prediction.source or "predictions",
            f"clip '{prediction.clip}' has no prediction at all",
            expected=f"something to {missing}",
            advice="predict it, or use --missing zero",
        )
    frames = np.arange(len(values))
    if missing == "interpolate":
        return np.interp(frames, known, values[known])
    before = np.searchsorted(known, frames, side="right") - 1
    return values[known[np.maximum(before, 0)]]


def _figures(metric: str, moments: Mapping[str, Moments]) -> dict[str, float]:
    figures = {name: METRICS[metric].of(moments[name]) for name in DIMENSIONS}
    return {**figures, "mean": sum(figures.values()) / len(figures)}


def _plain(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in figures.items()}
