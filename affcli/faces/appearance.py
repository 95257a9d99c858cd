"""What a face looks like, to tell two people of one video apart where their tracks were torn.

No network that needs no download recognises people; the colours of skin, hair and light in the aligned crop do, within
one scene: the similarity of two crops of one person is about .97 and above, of two people in the same light
about .84 (six people of one photograph; .91 at the 95th percentile).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from affcli import clock
from affcli.faces.align import align, template_of
from affcli.media.video import Frame

_TEMPLATE = template_of("arcface-112", 112)
_EVERY_US = clock.MICROSECONDS // 2  # between two looks at one track, after the first few
_FIRST = 4


class Appearance:
    """The mean colours of each track's face."""

    def __init__(self) -> None:
        self._sums: dict[int, NDArray[np.float64]] = {}
        self._counts: dict[int, int] = {}
        self._seen_us: dict[int, int] = {}

    def see(self, track: int, frame: Frame, points: NDArray[np.float32]) -> None:
        """Look at a face (14,) of a track, unless it was looked at a moment ago."""
        count = self._counts.get(track, 0)
        if count >= _FIRST and frame.time_us - self._seen_us[track] < _EVERY_US:
            return
        colours = _colours(align(frame.picture, points[4:].reshape(5, 2), _TEMPLATE))
        self._sums[track] = self._sums.get(track, 0) + colours
        self._counts[track], self._seen_us[track] = count + 1, frame.time_us

    def similarity(self, one: int, other: int) -> float:
        """0 to 1: the Bhattacharyya coefficient of the two tracks' colours; 0 where one was never seen by itself."""
        if one not in self._sums or other not in self._sums:
            return 0.0
        a, b = (self._sums[track] / self._counts[track] for track in (one, other))
        return float(np.sqrt(a * b).sum() / 2)


def _colours(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Two histograms, each of sum 1, end to end: 32 x 32 of tint (a and b of CIELAB), 16 of lightness."""
    lab = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB)
    tint = cv2.calcHist([lab], [1, 2], None, [32, 32], [0, 256, 0, 256]).ravel().astype(np.float64)
    light = cv2.calcHist([lab], [0], None, [16], [0, 256]).ravel().astype(np.float64)
    return np.concatenate([tint / tint.sum(), light / light.sum()])
