"""One row of sums for each clip, and the metrics of many sets of clips at once, from sums of rows; pure NumPy.

`metrics.Moments` are exact; these are their float64 shadow, for the thousands of sets of clips of `statistics`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from affcli.exact import UNIT_BITS
from affcli.metrics import Moments

# fmt: off
SUMS = (
    "count", "truth", "prediction", "truth_squared", "prediction_squared", "product", "squared_error", "distance",
    "agreements",
)
# fmt: on
SMALLEST = 1e-12  # a variance below this share of the squares it comes from is rounding

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]  # of sums (r, ...) of r sets of clips: k figures each (r, k), NaN where undefined


def clip_sums(clips: Sequence[Sequence[Moments]]) -> Array:
    """The sums of m clips, of d dimensions (valence, arousal) each: float64 (m, d, 9), in the order of SUMS.

    Truth and prediction are counted from the mean of all truth of that dimension, exactly, and each sum is rounded
    once; two systems over the same frames count from the same number.  From these sums float64 computes CCC to about
    1e-15 (1 + z / 10) of itself and PCC to 1e-15 (1 + z^2), with z the distance of the two means in standard deviations
    of the truth: below 1e-14 for any usual pair.
    """
    total = [sum(column, Moments()) for column in zip(*clips, strict=True)]
    centres = [_fixed(t.truth / (t.count << UNIT_BITS)) if t.count else 0 for t in total]
    rows = [[_centred(m, centre) for m, centre in zip(clip, centres, strict=True)] for clip in clips]
    return np.array(rows, np.float64).reshape(len(clips), len(total), len(SUMS))


def figures_of(statistic: str | Statistic) -> Statistic:
    """The function of a name of STATISTICS, of sums (r, d, 9) to figures (r, d + 1); a function as it is.

    The last figure is the mean over dimensions.  Raises ValueError for an unknown name, or, of the function, where sums
    are of another shape.
    """
    if not isinstance(statistic, str):
        return statistic
    if statistic not in STATISTICS:
        raise ValueError(f"statistic '{statistic}', expected one of {', '.join(STATISTICS)}")
    of_each = STATISTICS[statistic]

    def figures(sums: Array) -> Array:
        if sums.ndim != 3 or sums.shape[-1] != len(SUMS):
            raise ValueError(f"sums of shape {sums.shape}, expected (r, d, {len(SUMS)}), as of clip_sums")
        found = of_each(sums)
        return np.concatenate([found, found.mean(axis=-1, keepdims=True)], axis=-1)

    return figures


def _ccc(sums: Array) -> Array:
    n, truth, prediction, covariance, apart = _central(sums)
    below = truth + prediction + apart**2
    return _defined(2 * covariance, below, truth, prediction, n)


def _pcc(sums: Array) -> Array:
    n, truth, prediction, covariance, _ = _central(sums)
    return _defined(covariance, np.sqrt(truth * prediction), truth, prediction, n)


def _central(sums: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Count, variances (0 where all values are one) and covariance, and how far the means are apart: (...) each."""
    n, t, p, tt, pp, tp = np.moveaxis(sums[..., :6], -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        truth, prediction = (
            np.where(square * n - one**2 > SMALLEST * square * n, square / n - (one / n) ** 2, 0.0)
            for one, square in ((t, tt), (p, pp))
        )
        return n, truth, prediction, tp / n - t / n * (p / n), (t - p) / n


def _defined(above: Array, below: Array, truth: Array, prediction: Array, n: Array) -> Array:
    """The quotient; NaN where the truth is constant, 0 where the prediction is."""
    known = (truth > 0) & (n > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(known, np.where(prediction > 0, above / below, 0.0), math.nan)


def _mean_of(name: str) -> Statistic:
    place = SUMS.index(name)

    def mean(sums: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(sums[..., place] / sums[..., 0])

    return mean


# Of sums (..., 9) in the order of SUMS, each a figure (...), with the definitions and edge cases of `metrics`; truth
# or predictions that vary by less than a millionth of their distance from the mean of all truth are constant.
STATISTICS: dict[str, Statistic] = {
    "ccc": _ccc,
    "pcc": _pcc,
    "rmse": lambda sums: np.sqrt(_mean_of("squared_error")(sums)),
    "mse": _mean_of("squared_error"),
    "mae": _mean_of("distance"),
    "sagr": _mean_of("agreements"),
}


def _fixed(value: float) -> int:
    """A float in units of 2**-1074."""
    numerator, denominator = value.as_integer_ratio()
    return numerator << (UNIT_BITS + 1 - denominator.bit_length())


def _centred(of: Moments, centre: int) -> list[float]:
    """The sums of truth and prediction less `centre`, in units of 2**-1074, each rounded once."""
    n, one, square = of.count, 1 << UNIT_BITS, 1 << 2 * UNIT_BITS
    middle = n * centre**2
    return [
        n,
        (of.truth - n * centre) / one,
        (of.prediction - n * centre) / one,
        (of.truth_squared - 2 * centre * of.truth + middle) / square,
        (of.prediction_squared - 2 * centre * of.prediction + middle) / square,
        (of.product - centre * (of.truth + of.prediction) + middle) / square,
        (of.truth_squared - 2 * of.product + of.prediction_squared) / square,
        of.distance / one,
        of.agreements,
    ]
