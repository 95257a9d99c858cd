"""Batches of video: for windows of many clips the crops of a face, cut, flipped and scaled as a network reads them.

Crops stay in their files, memory-mapped pixels or JPEG; a batch reads just the frames of its windows.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.errors import SchemaError
from affcli.training.crops import MISSING, ClipCrops, Frames, check_crops, frames_shown
from affcli.training.data import Batch, WindowedClips
from affcli.training.paging import announce, let_go
from affcli.training.pixels import MIDDLE, PixelBatch
from affcli.training.viewing import Views, centred

ORDERS = ("rgb", "bgr")
_MIDDLE = np.float32(MIDDLE)


@dataclass(frozen=True, eq=False)
class VideoBatch:
    """b windows of t frames, as pictures and as vectors."""

    windows: Batch  # features of flipped crops where a window is flipped and they are known
    video: NDArray[np.float32]  # (b, 3, t, h, h), -1 to 1, in the memory order b t h w c: channels_last_3d of torch
    visible: NDArray[np.bool_]  # (b, t): a face is shown, its own or, with "previous", the one before it
    flipped: NDArray[np.bool_]  # (b,): left and right are changed


class VideoWindows:
    """Windows of clips, ready to be gathered with their crops.

    `crops` are those of `windows.clips`, in their order.  Of the s x s pixels of a crop, a network is shown `size` x
    `size`, and of these `seen` x `seen` from the top left are given: M3T's backbone looks at 105 of its 112 pixels and
    no further, so that 105 give the same result with less work; by default all.  Channels are in `order`, "rgb" or
    "bgr"; the crops of a faces table are always RGB.  A pixel x becomes (x - 127.5) / 127.5.  A frame without a face is
    zeros after that (`missing` = "zeros", the paper of M3T), or the last face of its clip before it and, before the
    first, -1 (`missing` = "previous", the code of M3T).  Frames past the end of a short window are zeros.

    `flipped` are the same windows over features of flipped crops; a window that is flipped takes those of its
    features that are in there.

    Raises SchemaError where the crops of a clip are none, are not square, are smaller than `size`, are not `side` px
    wide (by default as those of the first clip) or are of more or fewer frames than its labels and features; and where
    `flipped` are other windows.
    """

    def __init__(
        self,
        windows: WindowedClips,
        crops: Sequence[ClipCrops],
        *,
        size: int = 112,
        seen: int | None = None,
        side: int | None = None,
        order: str = "rgb",
        missing: str = "zeros",
        flipped: WindowedClips | None = None,
    ) -> None:
        if order not in ORDERS or missing not in MISSING:
            raise ValueError(f"order {order!r}, missing {missing!r}, expected one of {ORDERS} and one of {MISSING}")
        self.seen = size if seen is None else seen
        if not 1 <= self.seen <= size:
            raise ValueError(f"{self.seen} of {size} pixels, expected 1 to {size}")
        self.windows = windows
        self.crops = crops
        self.size = size
        self.side = int(crops[0].frames.shape[1]) if side is None else side
        for one, clip in zip(crops, windows.clips, strict=True):
            if one.name != clip.name:
                raise ValueError(f"crops of clip {one.name} where those of {clip.name} belong")
            check_crops(one, self.side, size, clip.frames)
        if flipped is not None:
            _check_flipped(windows, flipped)
        self.flipped = flipped
        self._bgr = order == "bgr"
        self._filling = np.float32(-1 if missing == "previous" else 0)
        self._shown = [frames_shown(one.valid, missing) for one in crops]

    def __len__(self) -> int:
        return len(self.windows)

    def batches(self, size: int, order: NDArray[np.int64] | None = None) -> Iterator[VideoBatch]:
        """The windows as in evaluation, `size` at a time, as they come or in a given order."""
        order = np.arange(len(self)) if order is None else order
        for at in range(0, len(order), size):
            yield self.gather(order[at : at + size])

    def gather(self, chosen: NDArray[np.int64], views: Views | None = None) -> VideoBatch:
        """The windows `chosen` (b,), as long as the longest of them, each seen as `views` say, or from the middle.

        Raises InputError and SchemaError where features or JPEG crops cannot be used.
        """
        views = self._views(len(chosen), views)
        batch = self.windows.gather(chosen)
        video = np.empty((*batch.inside.shape, self.seen, self.seen, 3), np.float32)
        visible = np.zeros(batch.inside.shape, np.bool_)
        scratch = np.empty((batch.inside.shape[1], self.seen, self.seen * 3), np.uint8)
        for row, crops, shown in self._parts(chosen):
            length = len(shown)
            visible[row, :length] = shown >= 0
            self._fill(video[row, :length], crops, shown, views, row, scratch)
            video[row, length:] = 0
            top, left, height, width = views.hole(row, self.seen)
            video[row, :length, top : top + height, left : left + width] = 0
        batch = self._turned(batch, chosen, views.flipped)
        return VideoBatch(batch, video.transpose(0, 4, 1, 2, 3), visible, views.flipped.copy())

    def gather_pixels(self, chosen: NDArray[np.int64], views: Views | None = None) -> PixelBatch:
        """What `gather` gives, as bytes that are to be finished where the network is: a third of the work here.

        A quarter of the bytes goes to a GPU.  Raises as `gather` does.
        """
        views = self._views(len(chosen), views)
        batch = self.windows.gather(chosen)
        pixels = np.zeros((*batch.inside.shape, self.seen, self.seen, 3), np.uint8)
        visible = np.zeros(batch.inside.shape, np.bool_)
        for row, crops, shown in self._parts(chosen):
            lines = pixels[row, : len(shown)].reshape(len(shown), self.seen, self.seen * 3)
            visible[row, : len(shown)] = shown >= 0
            if _is_run(shown):
                lines[:] = self._cut(crops[shown[0] : shown[-1] + 1], views, row)
            elif len(frames := np.unique(shown[shown >= 0])):
                lines[shown >= 0] = self._cut(crops[frames], views, row)[np.searchsorted(frames, shown[shown >= 0])]
        holes = np.array([views.hole(row, self.seen) for row in range(len(chosen))]).reshape(-1, 4)
        batch = self._turned(batch, chosen, views.flipped)
        return PixelBatch(batch, pixels, visible, views.flipped.copy(), holes, self._bgr, float(self._filling))

    def blank(self) -> VideoBatch:
        """A batch of one window with nothing inside: what a process takes part with when there are too few windows."""
        batch = self.windows.blank()
        video = np.zeros((*batch.inside.shape, self.seen, self.seen, 3), np.float32)
        return VideoBatch(batch, video.transpose(0, 4, 1, 2, 3), np.zeros_like(batch.inside), np.zeros(1, np.bool_))

    def blank_pixels(self) -> PixelBatch:
        """`blank` as `gather_pixels` gives it."""
        one = self.blank()
        pixels = np.zeros((*one.visible.shape, self.seen, self.seen, 3), np.uint8)
        holes = np.zeros((1, 4), np.int64)
        return PixelBatch(one.windows, pixels, one.visible, one.flipped, holes, self._bgr, float(self._filling))

    def _views(self, count: int, views: Views | None) -> Views:
        """The views that are given, or those of evaluation."""
        if views is not None and len(views) != count:
            raise ValueError(f"{len(views)} views of {count} windows")
        return centred(count, self.side, self.size) if views is None else views

    def _parts(self, chosen: NDArray[np.int64]) -> Iterator[tuple[int, Frames, NDArray[np.int64]]]:
        """Of each window its row, its clip's crops, and which of them stands in each frame, -1 for none: (length,)."""
        clips = self.windows.clip[chosen].tolist()
        parts = []
        for clip, start, length in zip(clips, self.windows.start[chosen], self.windows.length[chosen], strict=True):
            parts.append((self._plain[clip], self._shown[clip][start : start + length]))
            announce(*parts[-1])
        for row, part in enumerate(parts):
            yield row, *part
            let_go(*part)

    def _fill(
        self,
        video: NDArray[np.float32],
        crops: Frames,
        shown: NDArray[np.int64],
        views: Views,
        row: int,
        scratch: NDArray[np.uint8],
    ) -> None:
        """Write the frames `shown` (t,) of a clip, as view `row` sees them, to `video` (t, h, h, 3).

        Whole windows at a time: each call of NumPy lets go of Python's lock and has to wait for it again.
        """
        flat = video.reshape(len(shown), self.seen, self.seen * 3)
        if _is_run(shown):
            self._scale(crops[shown[0] : shown[-1] + 1], views, row, scratch, flat)
            return
        flat[shown < 0] = self._filling
        frames, places = np.unique(shown[shown >= 0], return_inverse=True)  # nothing is decoded twice
        if len(frames):
            some = np.empty((len(frames), *flat.shape[1:]), np.float32)
            self._scale(crops[frames], views, row, scratch, some)
            flat[shown >= 0] = some[places]

    def _scale(
        self, crops: NDArray[np.uint8], views: Views, row: int, scratch: NDArray[np.uint8], out: NDArray[np.float32]
    ) -> None:
        """Crops (t, s, s, 3) as view `row` sees them to `out` (t, h, h * 3), -1 to 1."""
        flipped, pixels = bool(views.flipped[row]), self._cut(crops, views, row)
        if flipped or self._bgr:
            # With `out` and "clip" NumPy copies straight to it: half the time of a new array.
            pixels = np.take(pixels, _places(self.seen, flipped, self._bgr), 2, scratch[: len(crops)], "clip")
        np.subtract(pixels, _MIDDLE, out=out)
        np.divide(out, _MIDDLE, out=out)

    def _cut(self, crops: NDArray[np.uint8], views: Views, row: int) -> NDArray[np.uint8]:
        """The pixels of crops (t, s, s, 3) that view `row` sees, still to be flipped: (t, h, h * 3)."""
        top, left = int(views.top[row]), int(views.left[row])
        left += self.size - self.seen if views.flipped[row] else 0  # once flipped, the last columns are the first
        lines = crops.reshape(len(crops), self.side, self.side * 3)
        return lines[:, top : top + self.seen, left * 3 : (left + self.seen) * 3]

    def _turned(self, batch: Batch, chosen: NDArray[np.int64], flipped: NDArray[np.bool_]) -> Batch:
        """The batch with features of flipped crops in the windows that are flipped."""
        if self.flipped is None or not flipped.any():
            return batch
        other = self.flipped.gather(chosen[flipped])
        for name, vectors in other.features.items():
            batch.features[name][flipped, : vectors.shape[1]] = vectors
        return batch

    @functools.cached_property
    def _plain(self) -> list[Frames]:
        """The crops of each clip, mapped ones as plain arrays: slicing a memmap takes ten times as long."""
        return [np.asarray(one.frames) if isinstance(one.frames, np.ndarray) else one.frames for one in self.crops]


def _is_run(shown: NDArray[np.int64]) -> bool:
    """Whether frames are there and follow each other."""
    return bool(len(shown) and shown[0] >= 0 and (np.diff(shown) == 1).all())


@functools.cache
def _places(seen: int, flipped: bool, bgr: bool) -> NDArray[np.intp]:
    """Where the values of a line of pixels come from, (seen * 3,)."""
    pixels = np.arange(seen * 3).reshape(seen, 3)
    return np.ascontiguousarray(pixels[:: -1 if flipped else 1, :: -1 if bgr else 1]).ravel()


def _check_flipped(windows: WindowedClips, flipped: WindowedClips) -> None:
    """Raises SchemaError where `flipped` are not the same windows over some of the same features."""
    known, other = [[(one.name, one.frames) for one in these.clips] for these in (windows, flipped)]
    if known != other:
        name = next((a[0] for a, b in zip(known, other, strict=False) if a != b), (known + other)[-1][0])
        raise SchemaError(
            f"features of flipped crops of clip {name}",
            "are of another clip or of other frames",
            expected="the clips and frames of the windows",
            advice="embed the flipped crops of the same clips again",
        )
    same = all(
        np.array_equal(getattr(windows, field), getattr(flipped, field)) for field in ("clip", "start", "length")
    )
    if not same or not set(flipped.clips[0].features) <= set(windows.clips[0].features):
        raise ValueError("flipped windows or encoders that are not those of the windows")
