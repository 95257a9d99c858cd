"""One face over time: a track, with every frame between its detections filled in.

A track is only ever continued at its end, so the rows before its last detection are final.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from affcli.faces.detections import Detections, overlaps

POINTS = 14  # numbers that describe a face: a box (left, top, right, bottom), then x and y of five landmarks


class Track:
    """A face that was followed without a break.

    Row k of `rows` (n, 14), `scores` (n,) and `ambiguous` (n,) is frame `first` + k.  Rows between two detections are
    filled linearly in time where these are at most `hole_us` apart, else they are NaN; scores are NaN wherever nothing
    was detected.
    """

    def __init__(self, number: int, hole_us: int) -> None:
        self.number = number
        self.ended = False
        self._hole_us = hole_us
        self.first = 0
        self._count = 0
        self._rows = np.empty((64, POINTS), np.float32)
        self._scores = np.empty(64, np.float32)
        self._ambiguous = np.empty(64, np.bool_)

    def add(self, frame: int, times: Sequence[int], points: NDArray[np.float32], score: float) -> None:
        """Continue with a detection (14,) in `frame`, later than the last; `times` in us reach up to it."""
        if not self._count:
            self.first = frame
        last, count = self.last, frame - self.first + 1
        self._reserve(count)
        row = count - 1
        self._rows[row], self._scores[row], self._ambiguous[row] = points, score, False
        between = slice(last + 1 - self.first, row)
        if between.stop > between.start:
            self._scores[between], self._ambiguous[between] = np.nan, False
            self._rows[between] = self._filled(last, frame, times, points)
        self._count = count  # last: whoever cuts crops reads along, and sees whole rows only

    def _filled(
        self, last: int, frame: int, times: Sequence[int], points: NDArray[np.float32]
    ) -> NDArray[np.floating] | float:
        """The rows between the last detection and one in `frame`; NaN where they are too far apart."""
        if times[frame] - times[last] > self._hole_us:
            return np.nan
        at = np.array([times[i] for i in range(last + 1, frame)], np.float64)
        share = ((at - times[last]) / (times[frame] - times[last]))[:, None]
        before, after = self._rows[last - self.first].astype(np.float64), points.astype(np.float64)
        return np.asarray(before + share * (after - before))

    def mark(self, frame: int) -> None:
        """Say that `frame`, and what is filled in on its way there, may show another face."""
        row = frame - self.first
        while row >= 0:
            self._ambiguous[row] = True
            row -= 1
            if row < 0 or not np.isnan(self._scores[row]):
                return

    def _reserve(self, count: int) -> None:
        if count <= len(self._scores):
            return
        size = max(count, 2 * len(self._scores))
        for name in ("_rows", "_scores", "_ambiguous"):
            old = getattr(self, name)
            new = np.empty((size, *old.shape[1:]), old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)

    @property
    def last(self) -> int:
        """The frame of the last detection; before the first one, the frame before `first`."""
        return self.first + self._count - 1

    @property
    def rows(self) -> NDArray[np.float32]:
        """(n, 14), px."""
        return self._rows[: self._count]

    @property
    def scores(self) -> NDArray[np.float32]:
        """(n,), NaN where nothing was detected."""
        return self._scores[: self._count]

    @property
    def ambiguous(self) -> NDArray[np.bool_]:
        """(n,)"""
        return self._ambiguous[: self._count]

    @property
    def detections(self) -> int:
        """How many of its frames it was detected in."""
        return int(np.count_nonzero(~np.isnan(self.scores)))

    @property
    def box(self) -> NDArray[np.float32]:
        """The last detected box, (4,)."""
        return self._rows[self._count - 1, :4]


def as_points(found: Detections) -> NDArray[np.float32]:
    """Boxes and landmarks of k faces as (k, 14)."""
    return np.concatenate([found.boxes, found.landmarks.reshape(-1, POINTS - 4)], axis=1)


def affinity(tracks: Sequence[Track], points: NDArray[np.float32], least_overlap: float) -> NDArray[np.float64]:
    """How well each of a tracks goes on with each of k faces (k, 14): (a, k), -inf where it cannot.

    The overlap of the boxes (intersection over union, as in M3T) less the mean distance of the landmarks in box widths:
    where two boxes overlap a track alike, the landmarks decide.
    """
    last = np.stack([track.rows[-1] for track in tracks])
    overlap = overlaps(last[:, :4], points[:, :4])
    apart = (last[:, None, 4:] - points[None, :, 4:]).reshape(len(last), len(points), 5, 2)
    width = np.maximum(last[:, 2] - last[:, 0], 1)[:, None]
    distance = np.linalg.norm(apart, axis=3).mean(axis=2) / width
    return np.where(overlap >= least_overlap, overlap - distance, -np.inf)
