"""How well a predicted curve follows the true one: concordance, correlation, errors, sign agreement.

Every metric is computed from `Moments`: sums that are exact, so that the sums of clips, shards or workers, added
in any order and grouping, give the same metric to the last bit as all frames at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affcli.exact import UNIT_BITS, pair_sums

LARGEST = 1e140  # the sums of larger squares overflow


@dataclass(frozen=True)
class Moments:
    """Exact sums over pairs of truth and prediction.

    Sums are integers in units of 2**-1074, those of squares and products of 2**-2148.  `Moments()` is the sum over no
    pair, and `+` joins two sets of pairs.
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
        (t, truth_low, truth_high), (p, low, high) = _checked(truth, "truth"), _checked(prediction, "prediction")
        if t.shape != p.shape:
            raise ValueError(f"{len(t)} values of truth, {len(p)} of prediction")
        agreeing = ((t > 0) == (p > 0)) & ((t < 0) == (p < 0))
        return cls(
            count=len(t),
            **pair_sums(t, p)._asdict(),
            agreements=int(np.count_nonzero(agreeing)),
            truth_low=truth_low,
            truth_high=truth_high,
            prediction_low=low,
            prediction_high=high,
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
        return self.count * self.product - self.truth * self.prediction

    def _truth_variance(self) -> int:
        return self.count * self.truth_squared - self.truth**2

    def _prediction_variance(self) -> int:
        return self.count * self.prediction_squared - self.prediction**2

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
        return _ratio(self.truth_squared - 2 * self.product + self.prediction_squared, self.count << 2 * UNIT_BITS)

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


def _checked(values: ArrayLike, name: str) -> tuple[NDArray[np.float64], float, float]:
    """`values` as (n,) float64, the lowest and the highest; ValueError where one of them cannot be summed."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} dimensions, expected one")
    low, high = float(array.min(initial=math.inf)), float(array.max(initial=-math.inf))
    if len(array) and not (low > -LARGEST and high < LARGEST):  # of values with a NaN, both are NaN
        bad = np.flatnonzero(~(np.abs(array) < LARGEST))
        raise ValueError(f"{name} holds {array[bad[0]]} at index {bad[0]}, expected finite numbers below 1e140")
    return array, low, high


def _ratio(numerator: int, denominator: int) -> float:
    """The quotient, rounded once; NaN where there is nothing to divide by."""
    return numerator / denominator if denominator > 0 else math.nan
