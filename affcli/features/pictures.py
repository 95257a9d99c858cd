"""From crops to the input of an image network: size, colours, range, layout; and what may be done to its vectors."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

ENLARGE = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}
WHITE = 255  # the largest value of a pixel in a crop


@dataclass(frozen=True)
class Preparation:
    """What a network wants of a crop: each pixel becomes (pixel / 255 * scale - mean) / std."""

    size: int  # side, px
    order: str = "rgb"  # rgb, bgr or grey
    mean: tuple[float, ...] = (127.5,)  # one for all colours, or one for each, in the network's own order
    std: tuple[float, ...] = (127.5,)
    scale: float = WHITE  # what white is before mean and std
    channels_last: bool = False
    enlarge: str = "linear"  # or cubic; a crop that is too large is always shrunk by area, which skips no pixel
    dtype: DTypeLike = np.float32  # uint8: the pixels as they are

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.generic]:
        """Crops (k, s, s, 3) uint8 RGB to (k, c, size, size), or (k, size, size, c), of the network's own type."""
        sized = crops if crops.shape[1] == self.size else np.stack([self._sized(crop) for crop in crops])
        if self.order == "grey":
            sized = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in sized])[..., None]
        count = sized.shape[-1]
        shape = (
            (len(sized), self.size, self.size, count) if self.channels_last else (len(sized), count, *[self.size] * 2)
        )
        prepared = np.empty(shape, self.dtype)
        for channel, values in enumerate(self._tables(count)):
            pixels = sized[..., count - 1 - channel if self.order == "bgr" else channel]
            np.take(values, pixels, out=prepared[..., channel] if self.channels_last else prepared[:, channel])
        return prepared

    def _sized(self, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
        how = cv2.INTER_AREA if crop.shape[0] > self.size else ENLARGE[self.enlarge]
        return np.asarray(cv2.resize(crop, (self.size, self.size), interpolation=how), dtype=np.uint8)

    def _tables(self, channels: int) -> NDArray[np.generic]:
        """What each of the 256 values of a pixel becomes, (channels, 256): exact, and faster than the sums."""
        values = np.tile(np.arange(WHITE + 1), (channels, 1))
        if np.dtype(self.dtype) == np.uint8:
            return values.astype(np.uint8)
        mean, std = (np.broadcast_to(np.asarray(one, np.float64), channels)[:, None] for one in (self.mean, self.std))
        return ((values * (self.scale / WHITE) - mean) / std).astype(self.dtype)


def unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors (k, d) divided by their Euclidean length; a vector of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)
