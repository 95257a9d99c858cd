"""Ratings at times of their own, resampled to the frames of a video by the real time of each frame.

Pure NumPy; times are whole microseconds.  Nothing is said of a frame before the first rating or after the last one:
there is no extrapolation.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["nearest", "linear"]


def resample(
    rating_us: NDArray[np.int64],
    values: NDArray[np.float64],
    frame_us: NDArray[np.int64],
    method: Method = "nearest",
    delay_us: int = 0,
) -> NDArray[np.float64]:
    """The value of each of n frames from k ratings: float64 (n,).

    `rating_us` (k,) are the times of the `values` (k,), strictly increasing, and `frame_us` (n,) those of the frames,
    on the same clock, all int64 microseconds.  Raters react late: with `delay_us`, a rating at time t is of what was
    to be seen at t - delay_us (Mariooryad and Busso 2015, https://doi.org/10.1109/TAFFC.2014.2334294).

    `nearest` takes the nearest rating, the earlier one of two equally near; `linear` the line between the ratings
    before and after.  NaN, which is no rating, is a value like others for `nearest`; on a line with an end that is
    NaN, everything but the other end is NaN.  Frames outside of the first and the last rating are NaN.

    Raises ValueError where the shapes do not fit, or the times of the ratings do not increase.
    """
    if rating_us.shape != values.shape or rating_us.ndim != 1:
        raise ValueError(f"{rating_us.shape} times of {values.shape} ratings, expected (k,) of both")
    if (np.diff(rating_us) <= 0).any():
        raise ValueError("times of ratings must increase")
    made = np.full(len(frame_us), np.nan)
    if not len(values):
        return made
    times = rating_us - delay_us
    inside = np.flatnonzero((frame_us >= times[0]) & (frame_us <= times[-1]))
    wanted = frame_us[inside]
    before = np.searchsorted(times, wanted, side="right") - 1
    after = np.minimum(before + 1, len(times) - 1)
    past, left = wanted - times[before], times[after] - wanted  # microseconds from one rating, and to the next
    if method == "nearest":
        made[inside] = values[np.where((past <= left) | (after == before), before, after)]
        return made
    gap = np.where(after == before, 1, past + left)
    low = values[before]
    # On a rating, the next one must not matter, not even as NaN times zero.
    made[inside] = np.where(past == 0, low, low + (values[after] - low) * (past / gap))
    return made
