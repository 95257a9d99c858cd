"""What a face looks like, to tell two people of one video apart where their tracks were torn or tangled.

No network that needs no download recognises people; the colours of the middle of the aligned crop, skin and light, do
within one scene.  The similarity of two tracks of one person is .94 and above where the light stays; of two people in
one picture it is about .6 to .9, and .93 at most (nine faces of a street).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from affcli import clock
from affcli.faces.align import align, template_of
from affcli.media.video import Frame

_TEMPLATE = template_of("arcface-112", 112)
_MIDDLE = np.s_[24:104, 20:92]  # eyes to chin: what is beside it changes with the place
_TINTS, _LIGHTS = 32, 16
_BINS = _TINTS**2 + _LIGHTS
_EVERY_US = clock.MICROSECONDS // 2  # between two looks at one track, after the first few
_FIRST = 4


class Appearance:
    """The mean colours of each track's face."""

    def __init__(self) -> None:
        self._sums: dict[int, NDArray[np.float64]] = {}
        self._counts: dict[int, int] = {}
        self._seen_us: dict[int, int] = {}

    def see(self, track: int, frame: Frame, points: NDArray[np.float32]) -> None:
        """Look at a face (14,) that is a track's for sure, unless one was looked at a moment ago."""
        count = self._counts.get(track, 0)
        if count >= _FIRST and frame.time_us - self._seen_us[track] < _EVERY_US:
            return
        colours = _colours(frame, points)
        self._sums[track] = self._sums.get(track, 0) + colours
        self._counts[track], self._seen_us[track] = count + 1, frame.time_us

    def similarities(self, tracks: Sequence[int]) -> NDArray[np.float64]:
        """How alike k tracks are, each with each: (k, k), 0 to 1; 0 where one was never seen by itself.

        It is the mean of the Bhattacharyya coefficients of their histograms.
        """
        roots = np.zeros((len(tracks), _BINS))
        for row, track in enumerate(tracks):
            if (mean := self._mean(track)) is not None:
                roots[row] = np.sqrt(mean)
        return np.asarray(roots @ roots.T / 2)

    def likeness(self, track: int, frame: Frame, points: NDArray[np.float32]) -> float:
        """How much a face (14,) looks like a track's, 0 to 1; 0 where the track was never seen by itself."""
        mean = self._mean(track)
        return 0.0 if mean is None else float(np.sqrt(mean * _colours(frame, points)).sum() / 2)

    def _mean(self, track: int) -> NDArray[np.float64] | None:
        return self._sums[track] / self._counts[track] if track in self._sums else None


def _colours(frame: Frame, points: NDArray[np.float32]) -> NDArray[np.float64]:
    """(_BINS,): two histograms, each of sum 1, end to end: of tint (a and b of CIELAB) and of lightness."""
    crop = align(frame.picture, points[4:].reshape(5, 2), _TEMPLATE)[_MIDDLE]
    lab = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2LAB)
    tint = cv2.calcHist([lab], [1, 2], None, [_TINTS, _TINTS], [0, 256, 0, 256]).ravel().astype(np.float64)
    light = cv2.calcHist([lab], [0], None, [_LIGHTS], [0, 256]).ravel().astype(np.float64)
    return np.concatenate([tint / tint.sum(), light / light.sum()])
