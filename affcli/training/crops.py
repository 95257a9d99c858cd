"""The crops of clips as training reads them: whether they fit, and which of them stands in which frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from affcli.errors import SchemaError

MISSING = ("zeros", "previous")  # what stands in a frame without a face


class Frames(Protocol):
    """The crops of n frames, (n, s, s, 3) uint8 RGB: an array, in memory or mapped, or what reads or decodes them.

    An index is a slice or an array of integers.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, s, s, 3)"""

    def __getitem__(self, which: Any) -> NDArray[np.uint8]: ...


@dataclass(frozen=True, eq=False)
class ClipCrops:
    """The crops of one clip of n frames."""

    name: str
    frames: Frames
    valid: NDArray[np.bool_]  # (n,): the face is in this frame


def check_crops(crops: ClipCrops, side: int, size: int) -> None:
    """Raise SchemaError where crops are none, are not square, not `side` px wide, or not `size` or more."""
    subject, shape = f"crops of clip {crops.name}", crops.frames.shape
    enough = max(side, 256 if size > 112 else size)  # M3T's code cuts 224 out of 256
    advice = f"make all alike: affcli extract-faces --force --template m3t-128 --size {enough}"
    dtype = getattr(crops.frames, "dtype", np.dtype(np.uint8))
    if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3 or dtype != np.uint8:
        raise SchemaError(subject, f"are {dtype} {shape}", expected="uint8 (frames, s, s, 3)", advice=advice)
    if shape[1] != side or side < size:
        wanted = f"{side} x {side} px" if side >= size else f"at least {size} x {size} px"
        raise SchemaError(subject, f"are {shape[1]} x {shape[1]} px", expected=wanted, advice=advice)


def check_frames(crops: ClipCrops, frames: int) -> None:
    """Raise SchemaError where there are not as many crops, and rows that describe them, as `frames`."""
    if not crops.frames.shape[0] == len(crops.valid) == frames:
        raise SchemaError(
            f"crops of clip {crops.name}",
            f"are of {crops.frames.shape[0]} frames ({len(crops.valid)} rows)",
            expected=f"{frames}, as many as its labels and features have",
            advice="make all of them from the same video, and cut the windows again: affcli window",
        )


def frames_shown(valid: NDArray[np.bool_], missing: str) -> NDArray[np.int64]:
    """Which frame stands in each of n frames, -1 for none: (n,).

    That is itself where it is `valid`; elsewhere, with `missing` = "previous", the last valid one before it.
    """
    own = np.where(valid, np.arange(len(valid)), -1)
    return np.asarray(np.maximum.accumulate(own)) if missing == "previous" else own
