"""How well classes, and whether something is there, are recognised: accuracy and F1; pure NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def accuracy(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Share of the n classes (n,) that are right, 0 to 1; NaN of none.

    >>> accuracy([0, 1, 1, 2], [0, 1, 2, 2])
    0.75
    """
    true, said = _checked(truth, prediction)
    return float((true == said).mean()) if len(true) else float("nan")


def macro_f1(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean over the classes of F1 = 2 hits / (2 hits + misses + false alarms), 0 to 1; NaN of none.

    The classes are those that come up in the truth or in the prediction, as in scikit-learn's `f1_score(...,
    average="macro")`; the measure of the expression challenges since 2021.

    >>> macro_f1([0, 0, 1, 1], [0, 1, 1, 1])
    0.7333333333333334
    """
    true, said = _checked(truth, prediction)
    if not len(true):
        return float("nan")
    scores = []
    for one in np.union1d(true, said):
        hits = int(((true == one) & (said == one)).sum())
        scores.append(2 * hits / (int((true == one).sum()) + int((said == one).sum())))
    return float(np.mean(scores))


def presence_f1(truth: ArrayLike, prediction: ArrayLike) -> float:
    """F1 = 2 hits / (2 hits + misses + false alarms) of what is there (1) or not (0) in n frames, 0 to 1; NaN of none.

    It is 1 where nothing is there and nothing is said to be.  The measure of action units in the challenges.

    >>> presence_f1([0, 0, 1, 1], [0, 1, 1, 1])
    0.8
    """
    true, said = _checked(truth, prediction)
    if not len(true):
        return float("nan")
    total = int((true == 1).sum()) + int((said == 1).sum())
    return 2 * int(((true == 1) & (said == 1)).sum()) / total if total else 1.0


def _checked(truth: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both as (n,) integers.  Raises ValueError where they are of different lengths."""
    true, said = np.asarray(truth, np.int64), np.asarray(prediction, np.int64)
    if true.shape != said.shape or true.ndim != 1:
        raise ValueError(f"classes of shapes {true.shape} and {said.shape}, expected (n,) twice")
    return true, said
