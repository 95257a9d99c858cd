"""What encoders read: one clip's sound, crops or landmarks, with the time of every frame."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affcli.errors import SchemaError

if TYPE_CHECKING:
    from affcli.faces.crops import Crops


@dataclass(frozen=True)
class TimedSound:
    """A waveform and the n frames of its video."""

    waveform: NDArray[np.int16]  # (samples,), a file of any length mapped into memory
    sample_rate: int  # Hz
    start_us: int  # time of the first sample
    time_us: NDArray[np.int64]  # (n,)
    rate: Fraction | None  # frames per second where every time agrees with it
    valid: NDArray[np.bool_]  # (n,): sound exists at this frame's time

    def between(self, first: int, after: int) -> NDArray[np.float32]:
        """The waveform from sample `first` to the one before `after`: (after - first,) float32 at full scale 1.

        Zeros before its start and after its end.  Pages of a file that were read for it do not stay in memory.
        """
        out = np.zeros(after - first, np.float32)
        start, stop = max(first, 0), min(after, len(self.waveform))
        if start < stop:
            np.multiply(self.waveform[start:stop], np.float32(1 / 32768), out=out[start - first : stop - first])
            _let_go(self.waveform)
        return out

    def samples(self, first: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        """Stretches of the waveform, (k, length) float32 at full scale 1; zeros before its start and after its end.

        Everything from the earliest to the latest is read, so ask for neighbours.
        """
        if not len(first):
            return np.zeros((0, length), np.float32)
        start = int(first.min())
        stretch = self.between(start, int(first.max()) + length)
        return np.asarray(np.lib.stride_tricks.sliding_window_view(stretch, length)[first - start])

    def require_rate(self, sample_rate: int) -> None:
        """Raise SchemaError where the waveform does not have the `sample_rate` in Hz that a network was made for."""
        if self.sample_rate != sample_rate:
            raise SchemaError(
                "the waveform",
                f"has {self.sample_rate} samples per second",
                expected=str(sample_rate),
                advice=f"make it again: affcli extract-audio --sample-rate {sample_rate}",
            )


class Mirrored:
    """Crops with left and right changed, (n, s, s, 3) uint8; only those that are asked for are read and copied."""

    def __init__(self, crops: Crops) -> None:
        self._crops = crops
        self.shape = crops.shape

    def __len__(self) -> int:
        return len(self._crops)

    def __getitem__(self, which: Any) -> NDArray[np.uint8]:
        """As of the crops themselves: (k, s, s, 3), or (s, s, 3) for an integer."""
        return np.ascontiguousarray(self._crops[which][..., ::-1, :])


@dataclass(frozen=True)
class TimedCrops:
    """The aligned crops of one person in the n frames of a video."""

    crops: Crops  # (n, s, s, 3) uint8 RGB; read where they are asked for
    time_us: NDArray[np.int64]  # (n,)
    valid: NDArray[np.bool_]  # (n,): the face is in this frame
    track: NDArray[np.int64] | None = None  # (n,): where it changes, a face was lost and found; None where not known


@dataclass(frozen=True)
class TimedLandmarks:
    """Five landmarks and the box of one person's face in the n frames of a video."""

    points: NDArray[np.float32]  # (n, 5, 2) x, y in px of the upright picture, as affcli.schemas.LANDMARKS names them
    boxes: NDArray[np.float32]  # (n, 4) left, top, right, bottom, px
    picture: tuple[int, int] | None  # width and height of the upright picture, px; None where only crops are known
    time_us: NDArray[np.int64]  # (n,)
    valid: NDArray[np.bool_]  # (n,): the face is in this frame; elsewhere points and boxes are NaN
    track: NDArray[np.int64] | None = None  # (n,): where it changes, a face was lost and found; None where not known


def _let_go(waveform: NDArray[np.int16]) -> None:
    """Unmap the pages of a file that were read: three hours are 345 MB, which a process would seem to need.

    What is read once more comes from the page cache of the system.
    """
    owner: object = waveform
    while isinstance(owner, np.ndarray):
        owner = owner.base
    # What may be written is left alone: of a private mapping this would throw away what was written.
    if isinstance(owner, mmap.mmap) and not waveform.flags.writeable and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
