"""How a window's crops are looked at: from where, flipped or not, with a hole or without; drawn at random.

Everything is of a whole window: what differs from frame to frame would look like movement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.training.seeded import Seeded


@dataclass(frozen=True, eq=False)
class Views:
    """How each of b windows is looked at."""

    top: NDArray[np.int64]  # (b,): first row of the crop that is shown, px
    left: NDArray[np.int64]  # (b,): first column, px
    flipped: NDArray[np.bool_]  # (b,): what is shown has left and right changed
    centre: NDArray[np.int64]  # (b, 2): row and column of the middle of the hole, px of what is shown
    cutout: int = 0  # side of the hole, px; 0 for none

    def __len__(self) -> int:
        return len(self.top)

    def of(self, chosen: NDArray[np.int64] | slice) -> Views:
        """The views of some of the windows, for a process that takes its share of a batch."""
        return Views(self.top[chosen], self.left[chosen], self.flipped[chosen], self.centre[chosen], self.cutout)

    def hole(self, row: int, size: int) -> tuple[int, int, int, int]:
        """Top, left, height and width of a window's hole, as much of it as is in the first `size` rows and columns."""
        first = self.centre[row] - self.cutout // 2
        begin, end = np.clip(first, 0, size), np.clip(first + self.cutout, 0, size)
        top, left = begin.tolist()
        height, width = (end - begin).tolist()
        return top, left, height, width


def centred(count: int, side: int, size: int) -> Views:
    """The middle `size` pixels of `side`, as they are: how `count` windows are looked at in evaluation.

    Where an odd number of pixels is left over, one more is left out at the bottom and at the right.
    """
    middle = np.full(count, (side - size) // 2)
    return Views(middle, middle, np.zeros(count, np.bool_), np.zeros((count, 2), np.int64))


class Augmentation(Seeded):
    """Draws how windows are looked at, from a seed.

    A crop of `size` of `side` pixels at a uniform place, flipped with probability `flip`, and with a square hole of
    `cutout` pixels around a uniform place, which may reach out of the picture (DeVries and Taylor 2017, Improved
    Regularization of Convolutional Neural Networks with Cutout, arXiv 1708.04552); 0 for none.  Every window takes the
    same random numbers whether or not they are used, so that settings can be compared on equal crops.
    """

    def __init__(self, side: int, size: int, *, flip: float = 0.5, cutout: int = 0, seed: int = 0) -> None:
        if not (1 <= size <= side and 0 <= flip <= 1 and cutout >= 0):
            raise ValueError(f"crops of {size} of {side} px, flipped at {flip}, with holes of {cutout} px")
        super().__init__(seed)
        self._side, self._size, self._flip, self._cutout = side, size, flip, cutout

    def draw(self, count: int) -> Views:
        """The next `count` views.  Of several processes, all draw for a whole batch and each takes its share."""
        corner = self._random.integers(0, self._side - self._size + 1, (count, 2))
        flipped = self._random.random(count) < self._flip
        centre = self._random.integers(0, self._size, (count, 2))
        return Views(corner[:, 0], corner[:, 1], flipped, centre, self._cutout)
