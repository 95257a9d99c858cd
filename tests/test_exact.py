"""Sums that are exact, against rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli.exact import BLOCK, PIECE, UNIT_BITS, PairSums, pair_sums

UNIT = Fraction(1, 2**UNIT_BITS)


def expected(truth: NDArray[np.float64], prediction: NDArray[np.float64]) -> PairSums:
    t, p = ([int(Fraction(value) / UNIT) for value in values.tolist()] for values in (truth, prediction))
    pairs = list(zip(t, p, strict=True))
    sums = (sum(t), sum(p), sum(abs(a - b) for a, b in pairs), sum(a * a for a in t), sum(a * b for a, b in pairs))
    return PairSums(*sums, sum(b * b for b in p))


@pytest.mark.parametrize("lowest", [-323, -200, -30, -3])
@pytest.mark.parametrize("highest", [-290, -150, 0, 139])
def test_of_any_sizes(lowest: int, highest: int) -> None:
    """From the smallest float to the largest that may be squared, all together."""
    random = np.random.default_rng([-lowest, highest + 1000])
    for count in (1, 2, 7, 40):
        low, high = sorted((lowest, highest))
        sizes = 10.0 ** random.integers(low, high, (2, count), endpoint=True)
        truth, prediction = random.uniform(-1, 1, (2, count)) * sizes
        assert pair_sums(truth, prediction) == expected(truth, prediction)


def test_of_blocks_and_pieces() -> None:
    """Whole numbers, whose sums are known."""
    count = PIECE + BLOCK + 1
    random = np.random.default_rng(0)
    truth, prediction = random.integers(-(2**20), 2**20, (2, count))
    found = pair_sums(truth / 2.0**20, prediction / 2.0**20)
    first, second = 2 ** (UNIT_BITS - 20), 2 ** (2 * (UNIT_BITS - 20))
    assert found == PairSums(
        int(truth.sum()) * first,
        int(prediction.sum()) * first,
        int(np.abs(truth - prediction).sum()) * first,
        int((truth * truth).sum()) * second,
        int((truth * prediction).sum()) * second,
        int((prediction * prediction).sum()) * second,
    )


@pytest.mark.parametrize("value", [1.0, np.nextafter(1.0, 0.0), -1.0, 2.0**-30 - 1.0])
def test_at_the_bounds_of_what_is_exact(value: float) -> None:
    """As many of the largest values as are added in float64."""
    values = np.full(PIECE, value)
    one = pair_sums(values[:1], -values[:1])
    assert pair_sums(values, -values) == PairSums(*(PIECE * sum_ for sum_ in one))
    assert one == expected(values[:1], -values[:1])


def test_of_nothing_and_of_zeros() -> None:
    assert pair_sums(np.empty(0), np.empty(0)) == pair_sums(np.zeros(3), np.zeros(3)) == PairSums(0, 0, 0, 0, 0, 0)
