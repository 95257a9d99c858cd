"""How sure a score is, and the difference of two: bootstrap, jackknife and permutation over clips; pure NumPy, SciPy.

Frames of one clip are not independent, so clips are what is drawn, left out or swapped (or groups of clips: subjects).
All of it works on one row of sums for each clip, and costs the same however many frames a clip has.

Efron and Tibshirani, "An introduction to the bootstrap", 1993 (jackknife: chapter 11, percentile: 13, BCa: 14,
permutations: 15); Davison and Hinkley, "Bootstrap methods and their application", 1997 (p-values: chapter 4); Field and
Welsh, "Bootstrapping clustered data", Journal of the Royal Statistical Society B 69, 2007 (clusters are drawn whole).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from affcli.errors import InputError
from affcli.sums import SUMS, Array, Statistic, figures_of

OF_TRUTH = [SUMS.index(name) for name in ("count", "truth", "truth_squared")]
METHODS = ("percentile", "bca")
CELLS = 2**20  # resamples are made in chunks of so many clips: 8 MiB an array
TIED = 1e-12  # differences of figures below this are rounding


@dataclass(frozen=True)
class Interval:
    """A figure and its confidence interval; None where there is none: of one clip, or never defined."""

    estimate: float  # NaN where it is undefined
    low: float | None
    high: float | None
    undefined: int  # resamples without a figure, as of constant truth: the interval leaves them out


@dataclass(frozen=True)
class StandardError:
    """A figure and its standard error; None where there is none: of one clip, or undefined without one of them."""

    estimate: float  # NaN where it is undefined
    error: float | None
    undefined: int  # clips without which there is no figure


@dataclass(frozen=True)
class Difference:
    """A figure of one system less that of another, its confidence interval and two-sided p-value, or None as above."""

    estimate: float  # NaN where it is undefined
    low: float | None
    high: float | None
    p: float | None
    undefined: int  # resamples without a difference: interval and p-value leave them out


@dataclass(frozen=True)
class Permutation:
    """A figure of one system less that of another, and the share of swaps that make it at least as large."""

    estimate: float  # NaN where it is undefined
    p: float | None  # None where the difference is undefined
    permutations: int
    exact: bool  # whether these are all there are: 2**m of m clips
    undefined: int  # swaps without a difference: they count as at least as large


def bootstrap(
    sums: ArrayLike,
    statistic: str | Statistic,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    method: str = "percentile",
    groups: Sequence[object] | None = None,
) -> tuple[Interval, ...]:
    """A confidence interval for each figure of `statistic`, from m clips drawn m at a time, with replacement.

    `sums` (m, ...) has a row for each clip: `affcli.sums.clip_sums`, or any others that add up over clips, as
    the counts of `classification.Confusion`.  `statistic` is a name of `sums.STATISTICS`, with a figure for each
    dimension and one for their mean (valence, arousal, mean); or a function of sums (r, ...) to figures (r, k), NaN
    where undefined.
    `method` is "percentile", or "bca": corrected for bias and for a spread that changes with the figure.  `groups`,
    (m,), has a label for each clip; clips of one label are drawn together.  Of few clips intervals are too narrow: in
    2,000 simulations those of 95 % held the true CCC in 88 % (20 clips) and 93 to 94 % (76 clips) by either method.

    Raises ValueError where an argument is out of range or a shape does not fit.
    """
    rows, function = _grouped(sums, groups), figures_of(statistic)
    figures = _resampled(rows, function, resamples, seed)
    undefined = np.isnan(figures).sum(axis=0).tolist()
    ends = _intervals(rows, function, figures, level, method)
    return tuple(Interval(*one, none) for one, none in zip(ends, undefined, strict=True))


def jackknife(
    sums: ArrayLike, statistic: str | Statistic, groups: Sequence[object] | None = None
) -> tuple[StandardError, ...]:
    """The standard error of each figure of `statistic`, from leaving out one clip (or group) at a time.

    sqrt((m - 1) / m sum((figure_i - mean)^2)), with figure_i the one without clip i.  Arguments as in `bootstrap`.
    """
    rows, function = _grouped(sums, groups), figures_of(statistic)
    m = len(rows)
    left = _left_out(rows, function)
    spread = np.sqrt((m - 1) / m * ((left - left.mean(axis=0)) ** 2).sum(axis=0)) if m > 1 else left[0] * math.nan
    return tuple(
        StandardError(float(point), None if math.isnan(error) else float(error), int(np.isnan(values).sum()))
        for point, error, values in zip(_of_all(rows, function), spread, left.T, strict=True)
    )


def paired(
    sums_a: ArrayLike,
    sums_b: ArrayLike,
    statistic: str | Statistic,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    method: str = "percentile",
    groups: Sequence[object] | None = None,
) -> tuple[Difference, ...]:
    """Each figure of system a less that of system b, both of the same resampled clips.

    The p-value is twice the share of resamples whose difference is not on the side of most of them, with one added to
    both counts (Davison and Hinkley, 4.4), at most 1: where it is below 1 - level the percentile interval excludes 0.
    Arguments as in `bootstrap`.  Raises InputError where sums in the order of SUMS are not of the same truth.
    """
    rows, function = _grouped(_both(sums_a, sums_b, statistic), groups), _apart(figures_of(statistic))
    figures = _resampled(rows, function, resamples, seed)
    undefined = np.isnan(figures).sum(axis=0).tolist()
    ends = _intervals(rows, function, figures, level, method)
    p = [_two_sided(values) for values in figures.T]
    return tuple(Difference(*one, share, none) for one, share, none in zip(ends, p, undefined, strict=True))


def permutation(
    sums_a: ArrayLike,
    sums_b: ArrayLike,
    statistic: str | Statistic,
    permutations: int = 10_000,
    seed: int = 0,
    groups: Sequence[object] | None = None,
) -> tuple[Permutation, ...]:
    """Whether two systems differ: how often swapping their predictions, clip by clip, makes as large a difference.

    Every one of the 2**m swaps of m clips (or groups) is tried where these are no more than `permutations`; or else so
    many drawn at random, and one is added to both counts.  Two-sided.  Arguments and errors as in `paired`.

    It asks whether the two predictions of a clip could as well be exchanged, which is more than to ask, as `paired`
    does, whether the figures are equal: the two p-values need not agree.
    """
    if permutations < 1:
        raise ValueError(f"permutations={permutations}, expected at least 1")
    rows, function = _grouped(_both(sums_a, sums_b, statistic), groups), figures_of(statistic)
    m, apart = len(rows), _apart(function)
    exact = 2**m <= permutations
    count = 2**m if exact else permutations
    estimate = _of_all(rows, apart)
    rounding = TIED * np.abs(function(rows.sum(axis=0))).sum(axis=0)
    total, change = rows.sum(axis=0), (rows[:, 1] - rows[:, 0]).reshape(m, -1)
    larger, undefined = np.zeros(len(estimate), np.int64), np.zeros(len(estimate), np.int64)
    random = np.random.default_rng(seed)
    for first, size in _chunks(count, m):
        if exact:
            swapped = (np.arange(first, first + size)[:, None] >> np.arange(m)) & 1
        else:
            swapped = random.integers(0, 2, (size, m))
        moved = (swapped.astype(np.float64) @ change).reshape(size, *total.shape[1:])
        found = apart(np.stack([total[0] + moved, total[1] - moved], axis=1))
        undefined += np.isnan(found).sum(axis=0)
        larger += (~(np.abs(found) < np.abs(estimate) - rounding)).sum(axis=0)
    p = larger / count if exact else (larger + 1) / (count + 1)
    return tuple(
        Permutation(float(d), None if math.isnan(d) else float(share), count, exact, int(none))
        for d, share, none in zip(estimate, p, undefined, strict=True)
    )


def _apart(function: Statistic) -> Statistic:
    """Of sums (r, 2, ...) of two systems: the difference of their figures (r, k), 0 where it is but rounding."""

    def difference(sums: Array) -> Array:
        a, b = function(sums[:, 0]), function(sums[:, 1])
        return np.where(np.abs(a - b) <= TIED * (np.abs(a) + np.abs(b)), 0.0, a - b)

    return difference


def _grouped(sums: ArrayLike, groups: Sequence[object] | None) -> Array:
    """Sums (m, ...) as float64, of each group where there are `groups`, in order of their first clips."""
    rows = np.asarray(sums, np.float64)
    if rows.ndim < 2 or not len(rows) or not np.isfinite(rows).all():
        raise ValueError(f"sums of shape {rows.shape}, expected (m, ...), finite, with a row for each clip")
    if groups is None:
        return rows
    if len(groups) != len(rows):
        raise ValueError(f"{len(groups)} groups, expected one for each of {len(rows)} clips")
    place: dict[object, int] = {}
    places = [place.setdefault(label, len(place)) for label in groups]
    joined = np.zeros((len(place), *rows.shape[1:]))
    np.add.at(joined, places, rows)
    return joined


def _both(sums_a: ArrayLike, sums_b: ArrayLike, statistic: str | Statistic) -> Array:
    """The sums of both systems: (m, 2, ...)."""
    a, b = np.asarray(sums_a, np.float64), np.asarray(sums_b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"sums of shapes {a.shape} and {b.shape}, expected the same clips in both")
    if isinstance(statistic, str):
        other = (a[..., OF_TRUTH] != b[..., OF_TRUTH]).reshape(len(a), -1).any(axis=1)
        if other.any():
            raise InputError(
                "two systems",
                f"{np.count_nonzero(other)} of {len(a)} clips were not scored over the same frames and labels",
                expected="one ground truth for both, with the same frames left out",
                advice="score both with the same clips and options",
            )
    return np.stack([a, b], axis=1)


def _chunks(count: int, m: int) -> Iterator[tuple[int, int]]:
    """The first, and how many, of each chunk of `count` sets of m clips."""
    size = max(1, CELLS // m)
    for first in range(0, count, size):
        yield first, min(size, count - first)


def _resampled(rows: Array, function: Statistic, resamples: int, seed: int) -> Array:
    """The figures of `resamples` draws of m of the m rows: (resamples, k); of a single row none are drawn."""
    if resamples < 1:
        raise ValueError(f"resamples={resamples}, expected at least 1")
    m, random = len(rows), np.random.default_rng(seed)
    found = [function(rows[:0])]
    for _, size in _chunks(resamples if m > 1 else 0, m):
        drawn = random.integers(0, m, (size, m)) + np.arange(size)[:, None] * m
        times = np.bincount(drawn.ravel(), minlength=size * m).reshape(size, m).astype(np.float64)
        found.append(function((times @ rows.reshape(m, -1)).reshape(size, *rows.shape[1:])))
    return np.concatenate(found)


def _of_all(rows: Array, function: Statistic) -> Array:
    """The figures of all rows: (k,)."""
    return np.asarray(function(rows.sum(axis=0, keepdims=True))[0])


def _left_out(rows: Array, function: Statistic) -> Array:
    """The figures without each row: (m, k).  Sums of what is before and behind it, so that nothing cancels."""
    none = np.zeros_like(rows[:1])
    before = np.cumsum(np.concatenate([none, rows[:-1]]), axis=0)
    behind = np.cumsum(np.concatenate([none, rows[:0:-1]]), axis=0)[::-1]
    return function(before + behind)


def _intervals(
    rows: Array, function: Statistic, figures: Array, level: float, method: str
) -> list[tuple[float, float | None, float | None]]:
    """Each figure of all rows, with the ends of its interval from its resamples (resamples, k)."""
    if not 0 < level < 1 or method not in METHODS:
        raise ValueError(f"level={level}, method={method}, expected between 0 and 1, and one of {', '.join(METHODS)}")
    left = _left_out(rows, function)
    ends: list[tuple[float, float | None, float | None]] = []
    for place, point in enumerate(_of_all(rows, function).tolist()):
        known = figures[~np.isnan(figures[:, place]), place]
        if not len(known) or math.isnan(point):
            ends.append((point, None, None))
            continue
        tails = np.array([0.5 - level / 2, 0.5 + level / 2])
        if method == "bca":
            tails = _corrected(tails, known, point, left[:, place])
        low, high = np.quantile(known, tails).tolist()
        ends.append((point, low, high))
    return ends


def _corrected(tails: Array, known: Array, point: float, left: Array) -> Array:
    """The shares of resamples below the ends of a BCa interval (Efron 1987; Efron and Tibshirani, 14.10 to 14.15)."""
    rounding = TIED * np.abs(known).max()
    below = np.count_nonzero(known < point - rounding) + np.count_nonzero(np.abs(known - point) <= rounding) / 2
    # A figure beyond all of its resamples is taken to be half a resample away, where the normal quantile is finite.
    bias = ndtri(np.clip(below, 0.5, len(known) - 0.5) / len(known))
    apart = np.nanmean(left) - left[~np.isnan(left)] if not np.isnan(left).all() else np.zeros(1)
    spread = float((apart**2).sum()) ** 1.5
    acceleration = float((apart**3).sum()) / (6 * spread) if spread else 0.0
    z = bias + ndtri(tails)
    room = 1 - acceleration * z
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(ndtr(np.where(room > 0, bias + z / room, np.sign(z) * math.inf)))


def _two_sided(differences: Array) -> float | None:
    """Twice the smaller share of resampled differences on either side of 0, those of 0 on both."""
    known = differences[~np.isnan(differences)]
    smaller = min(np.count_nonzero(known <= 0), np.count_nonzero(known >= 0))
    return float(min(1.0, 2 * (smaller + 1) / (len(known) + 1))) if len(known) else None
