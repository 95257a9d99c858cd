"""What encoders read: one clip's sound, crops or landmarks, with the time of every frame."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

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

    def samples(self, first: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        """Stretches of the waveform, (k, length) float32 at full scale 1; zeros before its start and after its end."""
        at = first[:, None] + np.arange(length)
        inside = (at >= 0) & (at < len(self.waveform))
        return np.where(inside, self.waveform[np.where(inside, at, 0)], 0).astype(np.float32) / np.float32(32768)


@dataclass(frozen=True)
class TimedCrops:
    """The aligned crops of one person in the n frames of a video."""

    crops: Crops  # (n, s, s, 3) uint8 RGB; read where they are asked for
    time_us: NDArray[np.int64]  # (n,)
    valid: NDArray[np.bool_]  # (n,): the face is in this frame


@dataclass(frozen=True)
class TimedLandmarks:
    """Five landmarks and the box of one person's face in the n frames of a video."""

    points: NDArray[np.float32]  # (n, 5, 2) x, y in px of the upright picture, as affcli.schemas.LANDMARKS names them
    boxes: NDArray[np.float32]  # (n, 4) left, top, right, bottom, px
    picture: tuple[int, int] | None  # width and height of the upright picture, px; None where only crops are known
    time_us: NDArray[np.int64]  # (n,)
    valid: NDArray[np.bool_]  # (n,): the face is in this frame; elsewhere points and boxes are NaN
