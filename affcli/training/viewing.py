"""How a window's crops are looked at: from where, flipped or not, with a hole, in what light; drawn at random.

Everything is of a whole window: what differs from frame to frame would look like movement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.training.seeded import Seeded


@dataclass(frozen=True, eq=False)
class Views:
    """How each of b windows is looked at.  Every px is one of the crop as it is kept."""

    top: NDArray[np.int64]  # (b,): first row of the crop that is shown, px
    left: NDArray[np.int64]  # (b,): first column, px
    flipped: NDArray[np.bool_]  # (b,): what is shown has left and right changed
    centre: NDArray[np.int64]  # (b, 2): row and column of the middle of the hole, px of what is shown, once flipped
    cutout: int = 0  # side of the hole, px; 0 for none
    light: NDArray[np.float64] | None = None  # (b, 2): factors of brightness and of contrast; None for 1

    def __len__(self) -> int:
        return len(self.top)

    def of(self, chosen: NDArray[np.int64] | slice) -> Views:
        """The views of some of the windows, for a process that takes its share of a batch."""
        light = None if self.light is None else self.light[chosen]
        return Views(self.top[chosen], self.left[chosen], self.flipped[chosen], self.centre[chosen], self.cutout, light)

    def holes(self, size: int, step: int = 1) -> NDArray[np.int64]:
        """Top, left, height and width of each hole, as much of it as is in the network's picture of `size` px: (b, 4).

        In px of that picture, each of which is `step` x `step` px of the crop; parts of one round down.
        """
        first = self.centre - self.cutout // 2
        begin, end = (np.clip(edge // step, 0, size) for edge in (first, first + self.cutout))
        return np.concatenate([begin, end - begin], axis=1)


def centred(count: int, side: int, crop: int) -> Views:
    """The middle `crop` pixels of `side`, as they are: how `count` windows are looked at in evaluation.

    Where an odd number of pixels is left over, one more is left out at the bottom and at the right.
    """
    middle = np.full(count, (side - crop) // 2)
    return Views(middle, middle, np.zeros(count, np.bool_), np.zeros((count, 2), np.int64))


class Augmentation(Seeded):
    """Draws how windows are looked at, from a seed.

    `crop` of `side` pixels at a uniform place, flipped with probability `flip`, with a square hole of `cutout` pixels
    around a uniform place, which may reach out of the picture (DeVries and Taylor 2017, Improved Regularization of
    Convolutional Neural Networks with Cutout, arXiv 1708.04552); 0 for none.  Brightness and contrast of the window are
    multiplied with a factor each, a and c, uniform from 1 - `jitter` to 1 + `jitter` (M3T's training on identities:
    0.1): a pixel x of 0 to 255 becomes a (m + c (x - m)), cut off at 0 and 255, where m is the mean of the window.

    Every window takes the same random numbers whether or not they are used, so that settings can be compared on equal
    crops.
    """

    def __init__(
        self, side: int, crop: int, *, flip: float = 0.5, cutout: int = 0, jitter: float = 0.0, seed: int = 0
    ) -> None:
        if not (1 <= crop <= side and 0 <= flip <= 1 and cutout >= 0 and 0 <= jitter < 1):
            raise ValueError(
                f"crops of {crop} of {side} px, flipped at {flip}, with holes of {cutout} px, jitter {jitter}"
            )
        super().__init__(seed)
        self._side, self._crop, self._flip, self._cutout, self._jitter = side, crop, flip, cutout, jitter

    def draw(self, count: int) -> Views:
        """The next `count` views.  Of several processes, all draw for a whole batch and each takes its share."""
        bits = self._random.bit_generator
        assert isinstance(bits, np.random.PCG64)
        # From 2^127 numbers ahead: light takes none of those that places are drawn from, and needs no state of its own.
        ahead = np.random.Generator(bits.jumped())
        corner = self._random.integers(0, self._side - self._crop + 1, (count, 2))
        flipped = self._random.random(count) < self._flip
        centre = self._random.integers(0, self._crop, (count, 2))
        light = 1 + self._jitter * (2 * ahead.random((count, 2)) - 1) if self._jitter else None
        return Views(corner[:, 0], corner[:, 1], flipped, centre, self._cutout, light)
