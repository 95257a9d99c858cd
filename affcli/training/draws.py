"""Points drawn at random from lists and ranges of values: distinct, seeded, the first ones the same for any number.

Only uniform numbers of the generator are used, so that no other of its methods can change what is drawn.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 10_000  # points of one search
_DRAWS = 100  # for each point that is asked for, before there are fewer


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included, evenly likely or, with `log`, so that their logarithms are.

    Of whole numbers, k has the stretch from k to k + 1; others are rounded to six digits, to be read and typed.
    """

    low: float
    high: float
    log: bool
    whole: bool

    def at(self, share: float) -> float:
        """The number after a share of the range, 0 or more and less than 1."""
        end = self.high + 1 if self.whole else self.high
        if self.log:
            value = math.exp((1 - share) * math.log(self.low) + share * math.log(end))
        else:
            value = self.low + share * (end - self.low)
        value = math.floor(value) if self.whole else float(f"{value:.6g}")
        return min(max(value, self.low), self.high)

    def count(self) -> float:
        """How many numbers there are; infinity where they are not whole."""
        return int(self.high) - int(self.low) + 1 if self.whole else math.inf

    def shares(self) -> tuple[list[int], NDArray[np.float64]]:
        """The whole numbers, and how likely each is: (count,)."""
        values = list(range(int(self.low), int(self.high) + 1))
        widths = np.log1p(1 / np.array(values, np.float64)) if self.log else np.ones(len(values))
        return values, widths / widths.sum()


Axis = list[Any] | Range


def drawn(axes: Sequence[Axis], count: int, seed: int) -> list[tuple[Any, ...]]:
    """At most `count` distinct points, a value of each axis, in the order in which they are drawn.

    More points of one seed begin with the same ones.  There are fewer than `count` where there are no more, or where
    100 draws for each find no more.
    """
    random = np.random.default_rng(seed)
    if math.prod(axis.count() if isinstance(axis, Range) else len(axis) for axis in axes) <= MOST:
        return _shuffled(axes, random)[:count]
    found: dict[tuple[float, ...], tuple[Any, ...]] = {}
    for _ in range(_DRAWS * count):
        shares = random.random(len(axes)).tolist()
        place = tuple(
            axis.at(share) if isinstance(axis, Range) else int(share * len(axis))
            for axis, share in zip(axes, shares, strict=True)
        )
        values = (one if isinstance(axis, Range) else axis[int(one)] for axis, one in zip(axes, place, strict=True))
        found.setdefault(place, tuple(values))
        if len(found) == count:
            break
    return list(found.values())


def _shuffled(axes: Sequence[Axis], random: np.random.Generator) -> list[tuple[Any, ...]]:
    """Every combination, in the order in which drawing until none is left would find them.

    That is the order of log(u) / weight, the highest first, with u uniform (Efraimidis and Spirakis 2006, Weighted
    Random Sampling with a Reservoir, Information Processing Letters 97).
    """
    lists: list[list[Any]] = []
    weights = np.ones(1)
    for axis in axes:
        values, shares = axis.shares() if isinstance(axis, Range) else (axis, np.full(len(axis), 1 / len(axis)))
        lists.append(values)
        weights = np.multiply.outer(weights, shares).ravel()
    every = list(itertools.product(*lists))
    order = np.argsort(-np.log1p(-random.random(len(every))) / weights, kind="stable")
    return [every[one] for one in order.tolist()]
