"""Exact sums over pairs of floats, and of their products, as integers; pure NumPy.

Every float is cut into slices of so few bits that neither the products of two slices nor the sums of those can round:
ordinary products of matrices, in whatever order they add, then give exact sums (Ozaki, Ogita, Oishi and Rump,
"Error-free transformations of matrix multiplication by using fast routines of matrix multiplication and its
applications", Numerical Algorithms 59, 2012).
"""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

UNIT_BITS = 1074  # every finite float64 is a whole number of 2**-1074, and every product of two of 2**-2148
SLICE_BITS = 21  # a slice is a whole number, 2**20 at most, so that ...
BLOCK = 8000  # ... the products of two slices of so many pairs add up to less than 2**53, which float64 holds
PIECE = 1024 * BLOCK  # pairs whose sums of products int64 holds
SMALLEST = -400  # the exponent of values whose products, sliced, would underflow: they are made larger before


class PairSums(NamedTuple):
    """Of truth, prediction and |truth - prediction| in units of 2**-1074; of squares and products of 2**-2148."""

    truth: int
    prediction: int
    distance: int
    truth_squared: int
    product: int
    prediction_squared: int


class _Space(threading.local):
    """Room for the slices of a block, kept from call to call: fresh memory takes longer than the sums."""

    def __init__(self) -> None:
        self.rows = np.empty((8, BLOCK))

    def pair(self, number: int, count: int) -> NDArray[np.float64]:
        """Room (2, count) for slice `number` of truth and prediction."""
        while len(self.rows) < 2 * number + 2:
            self.rows = np.concatenate([self.rows, np.empty_like(self.rows)])
        return self.rows[2 * number : 2 * number + 2, :count]


_SPACE = _Space()


def pair_sums(truth: NDArray[np.float64], prediction: NDArray[np.float64]) -> PairSums:
    """The sums over n pairs, (n,) each, of finite values below 1e140."""
    largest = max(float(np.abs(values).max(initial=0.0)) for values in (truth, prediction))
    exponent = math.frexp(largest)[1]
    lift = -exponent if exponent < SMALLEST else 0
    pieces = [
        _piece(truth[start : start + PIECE], prediction[start : start + PIECE], exponent, lift)
        for start in range(0, len(truth), PIECE)
    ]
    return PairSums(*map(sum, zip(*pieces, strict=True))) if pieces else PairSums(0, 0, 0, 0, 0, 0)


def _piece(truth: NDArray[np.float64], prediction: NDArray[np.float64], exponent: int, lift: int) -> PairSums:
    """The sums over PIECE pairs at most, all below 2**exponent, which are multiplied by 2**lift on the way."""
    unit = exponent + lift - (SLICE_BITS - 1)
    # The sums of slices, plain and with the sign of truth - prediction, and of the products of two slices: four slices
    # each of truth and prediction, which usual values need, or as many as the block of most slices has.
    lines, products = np.zeros((2, 8), np.int64), np.zeros((8, 8), np.int64)
    for start in range(0, len(truth), BLOCK):
        block = np.array([truth[start : start + BLOCK], prediction[start : start + BLOCK]])
        sign = np.copysign(1.0, block[0] - block[1])
        slices = _slices(np.ldexp(block, lift) if lift else block, unit)
        if (more := len(slices) - len(products)) > 0:
            lines, products = np.pad(lines, ((0, 0), (0, more))), np.pad(products, (0, more))
        count = len(slices)
        lines[:, :count] += _whole(np.array([slices.sum(axis=1), slices @ sign]), -unit)
        products[:count, :count] += _whole(slices @ slices.T, -2 * unit)
    count = len(products) // 2
    least = UNIT_BITS + unit - lift - SLICE_BITS * (count - 1)  # the exponent of a last slice, counted in units
    plain, signed = lines.reshape(2, count, 2).transpose(0, 2, 1).tolist()
    grid = products.reshape(count, 2, count, 2).transpose(1, 3, 0, 2).tolist()
    firsts = (_weighed([plain[0]]), _weighed([plain[1]]), _weighed([signed[0]]) - _weighed([signed[1]]))
    seconds = (_weighed(grid[0][0]), _weighed(grid[0][1]), _weighed(grid[1][1]))
    return PairSums(*(_shifted(sums, least) for sums in firsts), *(_shifted(sums, 2 * least) for sums in seconds))


def _slices(values: NDArray[np.float64], unit: int) -> NDArray[np.float64]:
    """Pairs (2, n) in k slices, (2 k, n), which the next call overwrites; `values` are spoilt.

    A value is the sum of its slices i times 2**(-i SLICE_BITS).
    """
    # Added to and taken from this, a value becomes the nearest whole number of 2**unit.
    rounder = math.ldexp(1.5, 52 + unit)
    count = 0
    while True:
        pair = _SPACE.pair(count, values.shape[1])
        np.add(values, rounder, out=pair)
        pair -= rounder
        values -= pair
        count += 1
        if not values.any():
            return _SPACE.rows[: 2 * count, : values.shape[1]]
        values *= 2.0**SLICE_BITS


def _whole(sums: NDArray[np.float64], exponent: int) -> NDArray[np.int64]:
    """`sums` times 2**exponent."""
    return np.ldexp(sums, exponent).astype(np.int64)


def _weighed(grid: list[list[int]]) -> int:
    """The sum of grid[i][j], (r, c), times 2**SLICE_BITS for every step from the last place."""
    rows, columns = len(grid), len(grid[0])
    return sum(
        value << SLICE_BITS * (rows + columns - 2 - i - j) for i, row in enumerate(grid) for j, value in enumerate(row)
    )


def _shifted(value: int, bits: int) -> int:
    """`value` times 2**bits, a whole number."""
    return value << bits if bits >= 0 else value >> -bits
