"""Landmarks steadied over time, within an unbroken stretch of a track."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.errors import UsageError
from affcli.faces.track import Track

_M3T_SIGMA = 1.5  # frames
# Mean variance of the box's sides over the kernel's frames, in its longer sides squared: a head at rest stays below.
_M3T_MOST_VARIANCE = 0.0004


@dataclass(frozen=True)
class Smoothing:
    """A Gaussian over the frames around; where `gated`, only while the box is at rest (M3T).

    Beyond the ends of a stretch its end values go on.
    """

    sigma: float  # frames; 0 for none
    gated: bool = False

    @property
    def reach(self) -> int:
        """How many frames before and after one are looked at."""
        return int(4 * self.sigma + 0.5)

    def landmarks(self, track: Track, frame: int) -> NDArray[np.float64] | None:
        """The landmarks (5, 2) of a frame; None where the track has none there.

        The track's rows up to `reach` frames after it must be final.
        """
        row = frame - track.first
        rows = track.rows
        if not 0 <= row < len(rows) or np.isnan(rows[row, 0]):
            return None
        begin, stop = max(0, row - self.reach), min(len(rows), row + self.reach + 1)
        holes = np.flatnonzero(np.isnan(rows[begin:stop, 0])) + begin
        if len(holes):
            begin = max([begin, *(hole + 1 for hole in holes[holes < row])])
            stop = min([stop, *holes[holes > row]])
        around = rows[np.clip(np.arange(row - self.reach, row + self.reach + 1), begin, stop - 1)]
        if self.gated and _variance(around[:, :4]) > _M3T_MOST_VARIANCE:
            return rows[row, 4:].astype(np.float64).reshape(5, 2)
        return np.asarray(_kernel(self.sigma, self.reach) @ around[:, 4:].astype(np.float64)).reshape(5, 2)


def smoothing_of(text: str) -> Smoothing:
    """A setting as users write it: the Gaussian's width in frames, 0 for none, or m3t.  Raises UsageError."""
    if text == "m3t":
        return Smoothing(_M3T_SIGMA, gated=True)
    try:
        sigma = float(text)
    except ValueError:
        sigma = -1.0
    if not 0 <= sigma <= 1000:
        raise UsageError(
            f"--smooth {text}", "is no smoothing", expected="frames from 0 to 1000, or m3t", advice="write, say, 1.5"
        )
    return Smoothing(sigma)


@functools.cache
def _kernel(sigma: float, reach: int) -> NDArray[np.float64]:
    """(2 reach + 1,), of sum 1."""
    steps = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2) if reach else np.ones(1)
    return np.asarray(weights / weights.sum())


def _variance(boxes: NDArray[np.float32]) -> float:
    sides = (boxes[:, 2:] - boxes[:, :2]).mean(axis=0)
    return float(boxes.astype(np.float64).var(axis=0).mean() / max(float(sides.max()), 1e-3) ** 2)
