"""What a concordance correlation is made of: correlation, scale and shift (Lin 1989), and delay."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affcli.metrics import Moments

LARGEST_EXPONENT = 1023  # of a float64


@dataclass(frozen=True)
class Decomposition:
    """CCC = correlation x accuracy, and accuracy = 2 / (scale + 1 / scale + shift^2)."""

    ccc: float
    correlation: float  # "precision": PCC, -1 to 1
    accuracy: float  # "bias correction", 0 to 1, best 1: what scale and shift leave of the correlation
    scale: float  # v = s_truth / s_prediction, best 1; above 1 the prediction moves too little
    shift: float  # u = (mean_truth - mean_prediction) / sqrt(s_truth s_prediction), best 0; above 0 it is too low


def decompose(moments: Moments) -> Decomposition:
    """The parts of the CCC of some pairs, each from exact sums and rounded once.

    Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45, 1989: section 2, with the
    truth as the first of his two sequences and population moments (all / n).  Constant truth leaves all parts
    undefined: NaN.  Of a constant prediction, CCC, correlation and accuracy are 0, scale is infinite, and so is shift
    unless the means are equal (NaN).  Scale and shift are infinite, too, where no float64 holds them.

    >>> decompose(Moments.from_arrays([0.0, 0.5, 1.0], [0.25, 0.5, 0.75]))
    Decomposition(ccc=0.8, correlation=1.0, accuracy=0.8, scale=2.0, shift=0.0)
    >>> parts = decompose(Moments.from_arrays([0.0, 0.5, 1.0], [0.5, 1.0, 1.5]))
    >>> parts.scale, round(parts.shift**2, 12), parts.ccc == parts.correlation * parts.accuracy
    (1.0, 1.5, True)
    """
    if moments.constant_truth:
        return Decomposition(*[math.nan] * 5)
    apart = moments.truth - moments.prediction
    if moments.constant_prediction:
        return Decomposition(0.0, 0.0, 0.0, math.inf, _quotient(apart, 0))
    # Variances times count squared, in units of 2**-2148: integers, so nothing cancels away, and the roots are exact.
    truth = moments.count * moments.truth_squared - moments.truth**2
    prediction = moments.count * moments.prediction_squared - moments.prediction**2
    spread = math.isqrt(truth * prediction)
    return Decomposition(
        ccc=moments.ccc(),
        correlation=moments.pcc(),
        accuracy=_quotient(2 * spread, truth + prediction + apart**2),
        scale=_quotient(math.isqrt(truth), math.isqrt(prediction)),
        shift=_quotient(apart, math.isqrt(spread)),
    )


@dataclass(frozen=True)
class LagCurve:
    """Sums over truth and prediction at every lag from -L to L frames; `+` joins the curves of two clips.

    At lag k, frame i of the truth is compared with frame i + k of the prediction, where both exist.  So the best lag
    is above 0 where the prediction comes after the truth, and below 0 where the truth (an annotator) is the late one.
    A lag in seconds is for the caller, who knows the frames' times.
    """

    moments: tuple[Moments, ...]  # 2 L + 1 of them, from lag -L to lag L

    @classmethod
    def from_arrays(cls, truth: ArrayLike, prediction: ArrayLike, furthest: int) -> LagCurve:
        """The curve of one clip: n values of each, one for every frame, NaN where there is none; `furthest` is L.

        Lags beyond the clip's length have no pair of frames.  Raises ValueError where `furthest` is negative, lengths
        differ, or a value is infinite.

        >>> curve = LagCurve.from_arrays([0.0, 0.1, 0.5, 0.2, 0.0], [0.3, 0.0, 0.1, 0.5, 0.2], furthest=2)
        >>> curve.best(), curve.ccc()[3]
        (1, 1.0)
        """
        true, said = np.asarray(truth, np.float64), np.asarray(prediction, np.float64)
        if furthest < 0:
            raise ValueError(f"furthest={furthest}, expected 0 frames or more")
        if true.ndim != 1 or true.shape != said.shape:
            raise ValueError(f"curves of shapes {true.shape} and {said.shape}, expected (n,) twice")
        return cls(tuple(at_lag(true, said, lag) for lag in range(-furthest, furthest + 1)))

    def __add__(self, other: LagCurve) -> LagCurve:
        """The curve over the frames of both, each clip shifted by itself.  Raises ValueError where L differs."""
        if len(self.moments) != len(other.moments):
            raise ValueError(f"{len(self.moments)} and {len(other.moments)} lags, expected the same")
        return LagCurve(tuple(a + b for a, b in zip(self.moments, other.moments, strict=True)))

    @property
    def lags(self) -> range:
        """The lags, in frames: -L to L."""
        furthest = len(self.moments) // 2
        return range(-furthest, furthest + 1)

    def ccc(self) -> tuple[float, ...]:
        """CCC at each lag, over as many frames as `moments` count there; NaN where it is undefined."""
        return tuple(moments.ccc() for moments in self.moments)

    def best(self) -> int | None:
        """The lag of the highest CCC, in frames; of equal ones the nearest to 0, then the negative one.

        None where CCC is undefined at every lag.
        """
        found = [
            (-value, abs(lag), lag) for value, lag in zip(self.ccc(), self.lags, strict=True) if not math.isnan(value)
        ]
        return min(found)[2] if found else None


def at_lag(truth: NDArray[np.float64], prediction: NDArray[np.float64], lag: int) -> Moments:
    """The sums of truth[i] and prediction[i + lag], (n,) each, where neither is NaN."""
    n = len(truth)
    first, end = max(0, -lag), max(0, min(n, n - lag))
    if end <= first:
        return Moments()
    true, said = truth[first:end], prediction[first + lag : end + lag]
    known = ~(np.isnan(true) | np.isnan(said))
    return Moments.from_arrays(true[known], said[known])


def _quotient(above: int, below: int) -> float:
    """Of whole numbers, `below` 0 or more: infinite where no float64 holds it, NaN of 0 by 0."""
    if above and (not below or abs(above).bit_length() - below.bit_length() > LARGEST_EXPONENT):
        return math.inf if above > 0 else -math.inf
    return above / below if below else math.nan
