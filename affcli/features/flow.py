"""How the face moves inside its crop, from one frame to the next: statistics of dense optical flow.

Crops are aligned, so that the head's own movement is mostly taken out of them, and what is left is expression, and
turns out of the picture's plane.  `landmarks` has the movement of the head.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from affcli.clock import MICROSECONDS
from affcli.errors import UsageError
from affcli.features import Setup, settings
from affcli.features.views import TimedCrops

cv2.setNumThreads(1)  # the cores are for other clips

CELL = ("dx", "dy", "speed", "spread")  # for each cell, row by row from the top left
WHOLE = ("dx", "dy", "speed", "spread", "expansion", "turn")  # for the whole crop, after the cells

_ROWS_AT_ONCE = 256
_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


class Flow:
    """Dense inverse search (Kroeger et al. 2016) from the crop before to this one: (n, 4 grid^2 + 6) float32.

    The unit of speed is one width of the crop, which is about that of the face, per second of the time between the two
    frames.  For each cell of a grid: the mean velocity to the right (`dx`) and down (`dy`), the mean speed, and the
    standard deviation of the speed; then the same of the whole crop, with how fast it expands from its middle
    (`expansion`, per second) and turns around it clockwise (`turn`, radians per second).  The crop before is that of
    the last frame that has the face; the first one, one of another track than the last (a cut), and one more than
    `longest` seconds after it give zeros.
    Raises UsageError for settings with which there is nothing to measure.
    """

    def __init__(self, config: settings.Flow, _setup: Setup) -> None:
        if config.grid > config.size:
            raise UsageError(
                f"--grid {config.grid}",
                f"is more than the {config.size} px of the crops that are compared",
                expected=f"at most {config.size}",
                advice="choose it smaller, or --size larger",
            )
        self.config = config
        self.weights: dict[str, str] = {}
        self.width = len(CELL) * config.grid**2 + len(WHOLE)
        self._flow = cv2.DISOpticalFlow.create(_PRESETS[config.preset])

    def __call__(self, view: TimedCrops) -> Iterator[NDArray[np.float32]]:
        before: NDArray[np.uint8] | None = None
        before_us = before_track = 0
        for start in range(0, len(view.valid), _ROWS_AT_ONCE):
            valid = view.valid[start : start + _ROWS_AT_ONCE]
            rows = np.flatnonzero(valid)
            out = np.zeros((len(valid), self.width), np.float32)
            for row, crop in zip(rows, view.crops[start + rows] if len(rows) else (), strict=True):
                time_us = int(view.time_us[start + row])
                crop = self._grey(crop)
                seconds = (time_us - before_us) / MICROSECONDS
                track = 0 if view.track is None else int(view.track[start + row])
                if before is not None and 0 < seconds <= self.config.longest and track == before_track:
                    out[row] = statistics(self._between(before, crop), self.config.grid) / seconds
                before, before_us, before_track = crop, time_us, track
            yield out

    def _between(self, before: NDArray[np.uint8], crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """How far each pixel of the grey crop before has gone, (size, size, 2) float32: right and down, px."""
        flow: Any = self._flow
        return np.asarray(flow.calc(before, crop, None), dtype=np.float32)

    def _grey(self, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The (s, s, 3) RGB crop in grey at the size that is compared, (size, size) uint8."""
        grey: Any = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        size = self.config.size
        if len(grey) != size:
            how = cv2.INTER_AREA if size < len(grey) else cv2.INTER_LINEAR
            grey = cv2.resize(grey, (size, size), interpolation=how)
        return np.asarray(grey, dtype=np.uint8)


def statistics(flow: NDArray[np.float32], grid: int) -> NDArray[np.float32]:
    """What `Flow` says of one field of displacements (s, s, 2), to the right and down in px, in widths of the field.

    Shape (4 grid^2 + 6,), float32.
    """
    size = len(flow)
    maps = np.empty((4, size, size), np.float32)
    maps[:2] = flow.transpose(2, 0, 1)
    maps[:2] /= size
    np.add(maps[0] ** 2, maps[1] ** 2, out=maps[3])
    np.sqrt(maps[3], out=maps[2])
    # Sums over the cells of a side and, as one row more, over the whole side weighted by the place from its middle.
    place = (np.arange(size) - (size - 1) / 2) / size
    inside = np.arange(size) * grid // size == np.arange(grid)[:, None]
    weights = np.concatenate([inside, place[None]]).astype(np.float32)
    sums = (weights @ maps @ weights.T).astype(np.float64)  # (4, grid + 1, grid + 1)
    counts = inside.sum(axis=1)
    cells, whole = sums[:, :-1, :-1], sums[:, :-1, :-1].sum(axis=(1, 2), keepdims=True)
    cells, whole = _with_spread(cells / np.outer(counts, counts)), _with_spread(whole / size**2)
    # The similarity that fits the field best, around the middle: (x u + y v) and (x v - y u) over x^2 + y^2.
    u, v = sums[:2]
    growth = np.array([u[:-1, -1].sum() + v[-1, :-1].sum(), v[:-1, -1].sum() - u[-1, :-1].sum()])
    growth /= 2 * size * (place**2).sum()
    return np.concatenate([cells.transpose(1, 2, 0).ravel(), whole.ravel(), growth]).astype(np.float32)


def _with_spread(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means (4, ...) with the mean square of the speed, the last, made the standard deviation of the speed."""
    means[3] = np.sqrt(np.maximum(means[3] - means[2] ** 2, 0))
    return means
