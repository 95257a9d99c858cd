"""When agreement with a reference cannot well be chance: of many clips, or overwhelming in a few.

Curves of one clip agree by chance, however long they are, as far as they change slowly, so that it is the clips that
count; classes stay for many frames, so that it is runs of one class that count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHORTEST = 10  # rows of a clip, or of a file, below which a curve tells nothing
# Of many clips: how many there must be, by how much the mean gains over them, and that over its standard error.
CLIPS, GAIN, ERRORS = 10, 0.1, 5.0
# Of a few clips: how many there must be, and of how many rows each.
FEW, LONG = 3, 100
# What their mean correlation must be the other way round, of one curve of each clip and of two, and how much better
# than as it is; better it must be in each.
FEW_AGREE, FEW_GAIN = (0.75, 0.6), 0.4
# Standard deviation, in one clip, of the correlation of unrelated random walks (of 60,000 pairs of 500 steps); and of
# how many of them the mean must be away from 0, of one curve of each clip and of two: both turned up by chance in fewer
# than 1 of 1,000 submissions of 3 to 9 clips.
WALKS, WALK_ERRORS = 0.49, (3.2, 3.5)
# Of classes: gain in agreement, and in standard errors, where each run of one class counts once.
CLASS_GAIN, CLASS_ERRORS = 0.2, 4.0
# Of a few clips of classes: agreement the other way, and the least -log of its probability by chance (Chernoff).
FEW_CLASSES, UNLIKELY = 0.5, 6.0
TELLING = 64  # runs of one class from which on half of the classes agreeing is clear


def clear(gains: Sequence[float] | NDArray[np.float64]) -> bool:
    """Whether gains, one for each clip, are many, and too large and too alike for chance."""
    count = len(gains)
    if count < CLIPS:
        return False
    mean, spread = float(np.mean(gains)), float(np.std(gains, ddof=1))
    return mean >= GAIN and mean * count**0.5 >= ERRORS * spread


def overwhelming(as_is: NDArray[np.float64], other: NDArray[np.float64], rows: Sequence[int], curves: int) -> bool:
    """Whether a few clips agree with the reference far better the other way, all of them, and far beyond chance.

    Both are correlations (n,), the mean over the `curves`, one or two, of each clip; clips of fewer than LONG `rows` do
    not count.
    """
    long = np.array(rows) >= LONG
    count = int(long.sum())
    if count < FEW:
        return False
    gain = other[long] - as_is[long]
    least = max(FEW_AGREE[curves - 1], WALK_ERRORS[curves - 1] * WALKS / (curves * count) ** 0.5)
    return bool(other[long].mean() >= least and gain.mean() >= FEW_GAIN and (gain > 0).all())


def clear_classes(gain: float, said: NDArray[Any], true: NDArray[Any]) -> bool:
    """Whether a gain in agreement is too large for chance: each run of one class, of the steadier side, counts once."""
    return bool(gain >= max(CLASS_GAIN, CLASS_ERRORS / runs(said, true) ** 0.5))


def overwhelming_classes(
    as_is: NDArray[np.float64], other: NDArray[np.float64], rows: NDArray[np.int64], chance: float, count: float
) -> bool:
    """Whether classes of a few clips agree far better in another order, in all of them, and far beyond chance.

    Both are shares of the `rows` of each clip (n,); `chance` is what the other would be of unrelated classes, `count`
    how many rows that are not alike there are (`unlike`).  Clips of fewer than LONG rows do not count.
    """
    long = rows >= LONG
    if int(long.sum()) < FEW:
        return False
    gain = other[long] - as_is[long]
    agreed = float(np.average(other[long], weights=rows[long]))
    enough = agreed >= FEW_CLASSES and np.average(gain, weights=rows[long]) >= FEW_GAIN and (gain > 0).all()
    return bool(enough and agreed > chance and count * _divergence(agreed, chance) >= UNLIKELY)


def runs(said: NDArray[Any], true: NDArray[Any]) -> int:
    """How many runs of one class the steadier side has."""
    return min(1 + int(np.count_nonzero(x[1:] != x[:-1])) for x in (said, true))


def unlike(said: NDArray[Any], true: NDArray[Any], place: NDArray[Any]) -> float:
    """How many runs of one length would be worth the runs of one class in one clip, of the steadier side.

    All are int (n,); `place` is the clip of each row.
    """
    lengths = []
    for x in (said, true):
        ends = np.flatnonzero((x[1:] != x[:-1]) | (place[1:] != place[:-1]))
        lengths.append(np.diff(np.concatenate(([-1], ends, [len(x) - 1]))).astype(np.float64))
    return min(float(each.sum() ** 2 / (each @ each)) for each in lengths)


def _divergence(share: float, chance: float) -> float:
    """Of Bernoulli variables: what a row adds to -log of the probability of such a share by chance."""
    a, b = np.clip([share, chance], 1e-9, 1 - 1e-9)
    return float(a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b)))
