"""How well a predicted curve follows the true one: concordance, correlation, errors, sign agreement.

Every metric is computed from `Moments`: sums that are exact, so that the sums of clips, shards or workers, added
in any order and grouping, give the same metric to the last bit as all frames at once.

Exactness has two parts.  A product of two floats is kept as the rounded product and its rounding error, both
floats (Dekker 1971).  A sum of floats is taken in slices, each of so few leading bits that adding them cannot
round (Rump, Ogita and Oishi 2008), and held as an integer count of the smallest float, 2**-1074.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

UNIT_BITS = 1074  # every finite float64 is a whole number of 2**-1074
LARGEST = 1e140  # the sums of larger squares overflow
BLOCK = 16_384  # values summed at a time: they stay in the processor's cache
SPLITTER = 2.0**27 + 1.0  # cuts the 53 bits of a float64 into halves whose products are exact


@dataclass(frozen=True)
class Moments:
    """Exact sums over pairs of truth and prediction.

    Sums are integers in units of 2**-1074.  `Moments()` is the sum over no pair, and `+` joins two sets of pairs.
    """

    count: int = 0
    truth: int = 0
    prediction: int = 0
    truth_squared: int = 0
    prediction_squared: int = 0
    product: int = 0
    distance: int = 0  # of |truth - prediction|
    agreements: int = 0  # pairs of equal sign
    truth_low: float = math.inf
    truth_high: float = -math.inf
    prediction_low: float = math.inf
    prediction_high: float = -math.inf

    @classmethod
    def from_arrays(cls, truth: ArrayLike, prediction: ArrayLike) -> Moments:
        """The sums over two sequences of n numbers, computed in float64.

        Raises ValueError where the lengths differ, or where a value is NaN, infinite or 1e140 and beyond: what a
        missing value means is for the caller to say.
        """
        t, p = _checked(truth, "truth"), _checked(prediction, "prediction")
        if t.shape != p.shape:
            raise ValueError(f"{len(t)} values of truth, {len(p)} of prediction")
        blocks = (cls._of_block(t[i : i + BLOCK], p[i : i + BLOCK]) for i in range(0, len(t), BLOCK))
        return sum(blocks, cls())

    @classmethod
    def _of_block(cls, t: NDArray[np.float64], p: NDArray[np.float64]) -> Moments:
        return cls(
            count=len(t),
            truth=_exact_sum(t),
            prediction=_exact_sum(p),
            truth_squared=_exact_product(t, t),
            prediction_squared=_exact_product(p, p),
            product=_exact_product(t, p),
            distance=_exact_sum(np.abs(t - p)),
            agreements=int(np.count_nonzero(np.sign(t) == np.sign(p))),
            truth_low=float(t.min()),
            truth_high=float(t.max()),
            prediction_low=float(p.min()),
            prediction_high=float(p.max()),
        )

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.count + other.count,
            self.truth + other.truth,
            self.prediction + other.prediction,
            self.truth_squared + other.truth_squared,
            self.prediction_squared + other.prediction_squared,
            self.product + other.product,
            self.distance + other.distance,
            self.agreements + other.agreements,
            min(self.truth_low, other.truth_low),
            max(self.truth_high, other.truth_high),
            min(self.prediction_low, other.prediction_low),
            max(self.prediction_high, other.prediction_high),
        )

    @property
    def constant_truth(self) -> bool:
        """Whether the truth never changes (or there is none), which leaves CCC and PCC undefined."""
        return self.count == 0 or self.truth_low == self.truth_high

    @property
    def constant_prediction(self) -> bool:
        """Whether the prediction never changes (or there is none)."""
        return self.count == 0 or self.prediction_low == self.prediction_high

    # Central moments times count squared, in units of 2**-2148: integers, so nothing cancels away.

    def _covariance(self) -> int:
        return (self.count * self.product << UNIT_BITS) - self.truth * self.prediction

    def _truth_variance(self) -> int:
        return (self.count * self.truth_squared << UNIT_BITS) - self.truth**2

    def _prediction_variance(self) -> int:
        return (self.count * self.prediction_squared << UNIT_BITS) - self.prediction**2

    def ccc(self) -> float:
        """Concordance correlation, as the function `ccc`."""
        if self.constant_truth:
            return math.nan
        if self.constant_prediction:
            return 0.0
        apart = (self.truth - self.prediction) ** 2
        return _ratio(2 * self._covariance(), self._truth_variance() + self._prediction_variance() + apart)

    def pcc(self) -> float:
        """Pearson correlation, as the function `pcc`."""
        if self.constant_truth:
            return math.nan
        if self.constant_prediction:
            return 0.0
        covariance = self._covariance()
        size = math.sqrt(_ratio(covariance**2, self._truth_variance() * self._prediction_variance()))
        return size if covariance >= 0 else -size

    def mse(self) -> float:
        """Mean squared error, as the function `mse`."""
        return _ratio(self.truth_squared - 2 * self.product + self.prediction_squared, self.count << UNIT_BITS)

    def rmse(self) -> float:
        """Root of the mean squared error, as the function `rmse`."""
        return math.sqrt(self.mse())

    def mae(self) -> float:
        """Mean absolute error, as the function `mae`."""
        return _ratio(self.distance, self.count << UNIT_BITS)

    def sagr(self) -> float:
        """Sign agreement, as the function `sagr`."""
        return _ratio(self.agreements, self.count)


def ccc(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Concordance correlation coefficient: correlation that also punishes a wrong mean or spread.

    2 cov / (var_truth + var_prediction + (mean_truth - mean_prediction)^2), with population moments (all / n).
    Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45, 1989; the measure of
    the Aff-Wild2 challenges.  Range -1 to 1, best 1.  A constant truth (largest value equal to the smallest)
    leaves it undefined: NaN.  A constant prediction of a varying truth scores 0.

    >>> ccc([0.1, 0.4, -0.2, 0.3], [0.2, 0.3, -0.1, 0.5])
    0.8333333333333333
    >>> ccc([0.2, 0.2], [0.1, 0.3])
    nan
    """
    return Moments.from_arrays(truth, prediction).ccc()


def pcc(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Pearson correlation coefficient: agreement up to mean and spread.

    cov / sqrt(var_truth var_prediction).  Pearson 1895.  Range -1 to 1, best 1.  A constant truth leaves it
    undefined: NaN.  A constant prediction of a varying truth scores 0, as it does in `ccc`.

    >>> pcc([0.0, 0.5, 1.0], [-0.1, 0.0, 0.1])
    1.0
    """
    return Moments.from_arrays(truth, prediction).pcc()


def rmse(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Root mean squared error, in the units of the values.

    sqrt(mean((truth - prediction)^2)).  Range 0 and up, best 0; at most 2 for values in [-1, 1].  NaN of no pair.

    >>> rmse([0.0, 0.0], [0.3, -0.3])
    0.3
    """
    return Moments.from_arrays(truth, prediction).rmse()


def mse(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean squared error.

    mean((truth - prediction)^2).  Range 0 and up, best 0; at most 4 for values in [-1, 1].  NaN of no pair.

    >>> mse([0.0, 0.0], [0.5, -0.5])
    0.25
    """
    return Moments.from_arrays(truth, prediction).mse()


def mae(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean absolute error, in the units of the values.

    mean(|truth - prediction|).  Range 0 and up, best 0; at most 2 for values in [-1, 1].  NaN of no pair.

    >>> mae([0.0, 0.0], [0.5, -0.25])
    0.375
    """
    return Moments.from_arrays(truth, prediction).mae()


def sagr(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Sign agreement: the share of frames predicted on the right side of zero.

    mean(sign(truth) = sign(prediction)).  Nicolaou, Gunes and Pantic, "Continuous prediction of spontaneous affect",
    IEEE Transactions on Affective Computing 2, 2011.  Range 0 to 1, best 1.  A predicted 0 is wrong unless the
    truth is 0.  NaN of no pair.

    >>> sagr([0.5, -0.5, 0.5, 0.0], [0.1, 0.1, 0.0, 0.0])
    0.5
    """
    return Moments.from_arrays(truth, prediction).sagr()


@dataclass(frozen=True)
class Metric:
    """One metric: of two sequences, of sums, in words, and its range for values in [-1, 1]."""

    function: Callable[[ArrayLike, ArrayLike], float]  # truth, prediction
    of: Callable[[Moments], float]
    doc: str
    low: float
    high: float
    best: float


METRICS = {
    "ccc": Metric(ccc, Moments.ccc, "concordance correlation", -1.0, 1.0, 1.0),
    "pcc": Metric(pcc, Moments.pcc, "Pearson correlation", -1.0, 1.0, 1.0),
    "rmse": Metric(rmse, Moments.rmse, "root mean squared error", 0.0, 2.0, 0.0),
    "mse": Metric(mse, Moments.mse, "mean squared error", 0.0, 4.0, 0.0),
    "mae": Metric(mae, Moments.mae, "mean absolute error", 0.0, 2.0, 0.0),
    "sagr": Metric(sagr, Moments.sagr, "sign agreement", 0.0, 1.0, 1.0),
}


def _checked(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """`values` as (n,) float64; ValueError where one of them cannot be summed."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} dimensions, expected one")
    bad = np.flatnonzero(~(np.abs(array) < LARGEST))
    if len(bad):
        raise ValueError(f"{name} holds {array[bad[0]]} at index {bad[0]}, expected finite numbers below 1e140")
    return array


def _ratio(numerator: int, denominator: int) -> float:
    """The quotient, rounded once; NaN where there is nothing to divide by (squares below 1e-308 vanish)."""
    return numerator / denominator if denominator > 0 else math.nan


def _exact_product(one: NDArray[np.float64], other: NDArray[np.float64]) -> int:
    """The exact sum of one * other, (n,) each, in units of 2**-1074."""
    rounded = one * other
    one_high, one_low = _halves(one)
    other_high, other_low = _halves(other)
    error = ((one_high * other_high - rounded) + one_high * other_low + one_low * other_high) + one_low * other_low
    return _exact_sum(rounded) + _exact_sum(error)


def _halves(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each value as the sum of two floats of 26 bits (Veltkamp 1968)."""
    scaled = SPLITTER * values
    high = scaled - (scaled - values)
    return high, values - high


def _exact_sum(values: NDArray[np.float64]) -> int:
    """The exact sum of (n,) values, in units of 2**-1074."""
    total = 0
    room = (len(values) + 2).bit_length()
    while (top := float(np.abs(values).max(initial=0.0))) > 0:
        # Added to and taken from this power of two, a value keeps those leading bits that n of them can be summed in.
        power = math.ldexp(1.0, math.frexp(top)[1] + room)
        leading = (values + power) - power
        numerator, denominator = float(leading.sum()).as_integer_ratio()
        total += numerator << (UNIT_BITS + 1 - denominator.bit_length())
        values = values - leading
    return total
