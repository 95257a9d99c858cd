"""The scores of several runs, folds or seeds, as a mean and how well that mean is known."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

LEVEL = 0.95  # how often an interval made so holds the mean that it is about


@dataclass(frozen=True)
class Interval:
    """The mean of n scores and its 95 % interval, all in the unit of the scores.

    A single score has neither an interval nor a standard deviation: they are None.
    """

    mean: float
    low: float | None
    high: float | None
    sd: float | None  # over n - 1
    n: int


def summarise(scores: Sequence[float]) -> Interval:
    """Mean, standard deviation and 95 % Student t interval of n scores: mean -+ t(.975, n - 1) sd / sqrt(n).

    t(p, v) is the p-quantile of Student's distribution with v degrees of freedom (Student 1908, The Probable Error of
    a Mean, Biometrika 6).  The order of the scores does not matter; a score of NaN makes all numbers NaN.  The interval
    is not cut off at the ends of a score's range.  Raises ValueError where there is no score.

    What the interval says: were runs drawn independently, with scores normally distributed around one mean, it would
    hold that mean in 95 of 100 repetitions.  For seeds on one split that is the mean of this split, and nothing is said
    of other people.  Folds are not independent: any two of more than two share training clips, and each is trained on
    what another is scored on, so that the interval is as a rule too narrow, and no estimate from the folds alone is
    free of that (Bengio and Grandvalet 2004, No Unbiased Estimator of the Variance of K-Fold Cross-Validation,
    JMLR 5).  Whether two intervals overlap does not compare two models; their differences on the same folds do.

    >>> found = summarise([0.5, 0.25, 0.75])
    >>> found.mean, round(found.low, 4), round(found.high, 4), found.sd
    (0.5, -0.121, 1.121, 0.25)
    """
    values = [float(score) for score in scores]
    n = len(values)
    if n == 0:
        raise ValueError("no score to summarise")
    unknown = any(math.isnan(value) for value in values)
    mean = math.nan if unknown else statistics.mean(values)  # exact, then rounded once: equal scores do not deviate
    if n == 1:
        return Interval(mean, None, None, None, 1)
    sd = math.nan if unknown else statistics.stdev(values)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * sd / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, sd, n)
