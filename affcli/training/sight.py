"""What networks see of windows: for each the crops of a face, cut out of mapped pixels or JPEG files, as bytes.

Pure NumPy.  Crops stay in their files; a batch reads just the frames of its windows.  `models.pixels` makes the
network's input of the bytes, on the device where the network is: a quarter of the bytes goes there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.configs import Sighted
from affcli.errors import SchemaError
from affcli.training.crops import MISSING, ClipCrops, Frames, check_crops, frames_shown
from affcli.training.paging import announce, let_go
from affcli.training.viewing import Views, centred

ORDERS = ("rgb", "bgr")


@dataclass(frozen=True)
class Sight:
    """How windows are seen: what is cut out of every crop, and what a network is given of it.

    Crops are RGB, as faces tables have them.  A pixel x is given as (x - 127.5) / 127.5.  A frame without a face is
    zeros after that (`missing` = "zeros", the paper of M3T), or the last face of its clip before it and, before the
    first, -1 (`missing` = "previous", the code of M3T).  Frames past the end of a short window are zeros.
    """

    side: int  # px of a crop
    crop: int = 112  # px cut out of it
    size: int = 112  # px of the network's picture: `crop`, or half of it, each the mean of 2 x 2 pixels
    order: str = "rgb"  # of channels, as given: "rgb" or "bgr"
    missing: str = "zeros"

    def __post_init__(self) -> None:
        if self.order not in ORDERS or self.missing not in MISSING:
            raise ValueError(
                f"order {self.order!r}, missing {self.missing!r}, expected one of {ORDERS} and one of {MISSING}"
            )
        if self.size < 1 or self.crop not in (self.size, 2 * self.size):
            raise ValueError(f"pictures of {self.size} px of crops of {self.crop} px, expected as many or half of them")

    @classmethod
    def of(cls, side: int, network: Sighted) -> Sight:
        """How a network with these settings sees crops of `side` px."""
        return cls(side, network.crop, order=network.order, missing=network.missing)

    @property
    def step(self) -> int:
        """Pixels of the crop, along one side, that become one."""
        return self.crop // self.size


@dataclass(frozen=True, eq=False)
class Pixels:
    """b windows of t frames of h x h px, cut and not yet flipped, ordered, lit, scaled and filled."""

    values: NDArray[np.uint8] | NDArray[np.int16]  # (b, t, h, h, 3) RGB; zeros where no face is shown
    visible: NDArray[np.bool_]  # (b, t): a face is shown, its own or, with "previous", the one before it
    flipped: NDArray[np.bool_]  # (b,): left and right are to be changed
    holes: NDArray[np.int64]  # (b, 4): top, left, height and width of what is cut out, px once flipped
    bgr: bool  # channels are to be changed
    filling: float  # what stands in frames without a face, once scaled
    summed: int = 1  # pixels of the crop that each value is the sum of: 1 (uint8) or 4 (int16)
    light: NDArray[np.float32] | None = None  # (b, 2): a factor and what is added, 0..255; None for 1 and 0


def seen_crops(clip: str, crops: ClipCrops | None, sight: Sight) -> ClipCrops:
    """The crops of a clip.  Raises SchemaError where there are none, or `sight` cannot take them."""
    if crops is None:
        raise SchemaError(
            f"clip {clip}",
            "has no crops of a face",
            expected="crops of every clip, for a network that sees",
            advice="make them (affcli extract-faces), and name their directory: --crops DIR",
        )
    check_crops(crops, sight.side, sight.crop)
    return crops


class Viewer:
    """Reads what windows show of the crops of clips, which have been checked."""

    def __init__(self, crops: Sequence[ClipCrops], sight: Sight) -> None:
        self._sight = sight
        # Mapped crops as plain arrays: slicing a memmap takes ten times as long.
        self._frames = [np.asarray(one.frames) if isinstance(one.frames, np.ndarray) else one.frames for one in crops]
        self._shown = [frames_shown(one.valid, sight.missing) for one in crops]

    def read(
        self, clip: NDArray[np.int64], start: NDArray[np.int64], length: NDArray[np.int64], views: Views | None
    ) -> Pixels:
        """Windows of clips, (b,) each, as long as the longest of them, each seen as `views` say, or from the middle.

        Raises SchemaError where the JPEG of a crop is damaged.
        """
        sight = self._sight
        views = centred(len(clip), sight.side, sight.crop) if views is None else views
        values, visible = self._unseen(len(clip), int(length.max()))
        for row, crops, shown in self._parts(clip, start, length):
            lines = values[row, : len(shown)].reshape(len(shown), sight.size, sight.size * 3)
            there = shown >= 0
            visible[row, : len(shown)] = there
            # Whole windows at a time: each call of NumPy lets go of Python's lock and has to wait for it again.
            if _is_run(shown):
                lines[:] = self._cut(crops[shown[0] : shown[-1] + 1], views, row)
            elif there.any():
                frames, places = np.unique(shown[there], return_inverse=True)  # nothing is decoded twice
                lines[there] = self._cut(crops[frames], views, row)[places]
        return self._pixels(values, visible, views)

    def blank(self, frames: int) -> Pixels:
        """One window of so many frames in which nothing is seen."""
        return self._pixels(*self._unseen(1, frames), centred(1, self._sight.side, self._sight.crop))

    def _unseen(self, count: int, frames: int) -> tuple[NDArray[np.uint8] | NDArray[np.int16], NDArray[np.bool_]]:
        """Values and `visible` of windows before anything is seen."""
        shape = (count, frames, self._sight.size, self._sight.size, 3)
        values = np.zeros(shape, np.uint8) if self._sight.step == 1 else np.zeros(shape, np.int16)
        return values, np.zeros(shape[:2], np.bool_)

    def _pixels(
        self, values: NDArray[np.uint8] | NDArray[np.int16], visible: NDArray[np.bool_], views: Views
    ) -> Pixels:
        sight = self._sight
        return Pixels(
            values,
            visible,
            views.flipped.copy(),
            views.holes(sight.size, sight.step),
            sight.order == "bgr",
            -1.0 if sight.missing == "previous" else 0.0,
            sight.step**2,
            None if views.light is None else _lit(values, visible, views.light, sight.step**2),
        )

    def _parts(
        self, clip: NDArray[np.int64], start: NDArray[np.int64], length: NDArray[np.int64]
    ) -> Iterator[tuple[int, Frames, NDArray[np.int64]]]:
        """Of each window its row, its clip's crops, and which of them stands in each frame, -1 for none: (length,)."""
        parts = []
        for one, begin, count in zip(clip.tolist(), start.tolist(), length.tolist(), strict=True):
            parts.append((self._frames[one], self._shown[one][begin : begin + count]))
            announce(*parts[-1])
        for row, part in enumerate(parts):
            yield row, *part
            let_go(*part)

    def _cut(self, crops: NDArray[np.uint8], views: Views, row: int) -> NDArray[np.uint8] | NDArray[np.int16]:
        """What view `row` sees of crops (t, s, s, 3), still to be flipped: (t, h, h * 3)."""
        sight = self._sight
        top, left = int(views.top[row]), int(views.left[row])
        lines = crops.reshape(len(crops), sight.side, sight.side * 3)
        lines = lines[:, top : top + sight.crop, left * 3 : (left + sight.crop) * 3]
        return lines if sight.step == 1 else _summed(lines)


def _summed(lines: NDArray[np.uint8]) -> NDArray[np.int16]:
    """The sums of 2 x 2 pixels, (t, 2 h, 2 h * 3) to (t, h, h * 3).

    Before the network's device is asked: half the bytes of all pixels, and a tenth of the time of pooling floats.
    """
    t, h = len(lines), lines.shape[1] // 2
    pairs = np.add(lines[:, 0::2], lines[:, 1::2], dtype=np.int16).reshape(t, h, h, 2, 3)
    sums = np.empty((t, h, h, 3), np.int16)
    for channel in range(3):  # all three at once would be runs of three numbers: four times as long
        np.add(pairs[..., 0, channel], pairs[..., 1, channel], out=sums[..., channel])
    return sums.reshape(t, h, h * 3)


def _lit(
    values: NDArray[np.uint8] | NDArray[np.int16], visible: NDArray[np.bool_], light: NDArray[np.float64], summed: int
) -> NDArray[np.float32]:
    """`light` (b, 2) as what a window's pixels are multiplied with and what is added: (b, 2).

    With brightness a, contrast c and the mean m of the window over the frames in which a face is shown, a pixel x
    becomes a (m + c (x - m)).
    """
    total = values.reshape(len(values), -1).sum(axis=1, dtype=np.int64)  # what is not shown is 0
    count = np.maximum(visible.sum(axis=1), 1) * (values[0, 0].size * summed)
    brightness, contrast = light.T
    return np.stack([brightness * contrast, brightness * (1 - contrast) * (total / count)], axis=1).astype(np.float32)


def _is_run(shown: NDArray[np.int64]) -> bool:
    """Whether frames are there and follow each other."""
    return bool(len(shown) and shown[0] >= 0 and (np.diff(shown) == 1).all())
