"""The smoothing that raises the concordance on the validation clips most: what `--smooth auto` is for a run.

Nearly every published system smooths what its network says, and finds on validation clips how much: with a median over
.4 to 20 s (Trigeorgis et al., ICASSP 2016), Wiener over 35 frames (M3T, arXiv 2002.02957), a mean over about 100 frames
(on Aff-Wild2).  The best window is a broad one, so that a ladder of windows, each twice as long as the last, is enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.metrics import Moments
from affcli.schemas import DIMENSIONS
from affcli.smoothing import Smoothing, canonical, smooth

SECONDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
BY_WEIGHT = ("median", "gaussian", "mean")  # of equal windows a mean leaves least of white noise, a median most
LADDER = tuple(Smoothing(method, seconds, "s") for seconds in SECONDS for method in BY_WEIGHT)  # the lightest first
TIE = 1e-4  # concordances that are no further apart are equally good: papers give three digits


@dataclass(frozen=True, eq=False)
class Curves:
    """One validation clip of n frames: what the network says of it, and what is true."""

    prediction: NDArray[np.floating]  # (n, 2): valence, arousal; finite
    truth: NDArray[np.floating]  # (n, 2); anything where not labelled
    labelled: NDArray[np.bool_]  # (n,): annotated
    time_us: NDArray[np.int64]  # (n,), increasing


def tune(clips: Sequence[Curves]) -> str:
    """The best smoothing of LADDER, for valence and arousal apart, as text that `affcli.smoothing.parse` reads.

    The best has the highest CCC over the annotated frames of all clips, each smoothed by itself and as a whole; of
    those that are as good to within TIE it is the lightest, and `none` where no smoothing is better than none.  It is
    `none`, too, where a CCC is not defined: nothing is annotated, or the truth never changes.

    Raises ValueError where a prediction, or the truth of an annotated frame, is NaN or infinite.
    """
    annotated = [clip for clip in clips if clip.labelled.any()]
    found = {name: _best(annotated, column) for column, name in enumerate(DIMENSIONS)}
    return canonical({name: how for name, how in found.items() if how})


def _best(clips: Sequence[Curves], column: int) -> Smoothing | None:
    """The best smoothing of one dimension, or None for none."""
    tried = (None, *LADDER)
    scores = [_concordance(clips, column, how) for how in tried]
    if math.isnan(scores[0]):
        return None
    return next(how for how, score in zip(tried, scores, strict=True) if score >= max(scores) - TIE)


def _concordance(clips: Sequence[Curves], column: int, how: Smoothing | None) -> float:
    """CCC of one dimension over all annotated frames; NaN where there is none, or the truth never changes."""
    total = Moments()
    for clip in clips:
        curve = clip.prediction[:, column].astype(np.float64)
        smoothed = curve if how is None else smooth(curve, clip.time_us, how)
        total += Moments.from_arrays(clip.truth[clip.labelled, column], smoothed[clip.labelled])
    return total.ccc()
