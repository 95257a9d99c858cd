"""What training minimises, over the labelled frames of a batch."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

EPSILON = 1e-8  # keeps the concordance of two constants, 0 / 0, at 0


def mse(prediction: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error over m frames and both dimensions: (m, 2) each to a scalar."""
    return (prediction - truth).square().mean()


def ccc(prediction: Tensor, truth: Tensor) -> Tensor:
    """1 - concordance, averaged over valence and arousal: (m, 2) each to a scalar, 0 to 2.

    The concordance is of all m frames together, with population moments (all / m): with others a perfect prediction
    would not reach 1.  A constant truth or prediction has concordance 0.  Lin 1989.
    """
    p, t = prediction - prediction.mean(0), truth - truth.mean(0)
    covariance = (p * t).mean(0)
    spread = p.square().mean(0) + t.square().mean(0) + (prediction.mean(0) - truth.mean(0)).square()
    return 1 - (2 * covariance / (spread + EPSILON)).mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": mse, "ccc": ccc}
