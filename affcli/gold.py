"""Several annotators' ratings of the same clips to one gold standard, and how far the annotators agree.

Ratings of one clip are (m, n, 2): m annotators, n frames, valence and arousal in [-1, 1], NaN where not rated.  All
clips have the same m annotators in the same order; one who has not rated a clip is NaN throughout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError
from affcli.metrics import Moments

LONGEST_DELAY = 6.0  # seconds: reactions to affect take 1 to 6 s (Mariooryad and Busso 2015, see `delays`)
DELAY_STEP = 0.1  # seconds: ratings move over seconds, so that a finer one would only follow noise
NEAR = 1.0  # seconds that an annotator is moved by at a time, after the first turn
ROUNDS = 10  # turns; mostly nobody moves after the third
STILL = 1e-20  # a sum of squares around the mean, or a share of one, that is only rounding
ALONE = 0.1  # an annotator whose every CCC is at most that agrees with nobody

Ratings = NDArray[np.float64]


def moved(values: Ratings, time_us: NDArray[np.int64], delay: float) -> Ratings:
    """Ratings (n, 2) of frames at increasing times (n,), moved earlier by a delay of so many seconds: (n, 2).

    The frame at time t gets what was rated at t + delay, on the straight line between the two frames around that
    time.  It is NaN where either is not rated, and where the clip is over by then: nothing is extrapolated.  A delay
    below 0 moves ratings later.
    """
    if not len(values):
        return values.copy()
    at = time_us + round(delay * 1e6)
    before = np.maximum(np.searchsorted(time_us, at, side="right") - 1, 0)
    after = np.minimum(before + 1, len(values) - 1)
    gap = np.maximum(time_us[after] - time_us[before], 1)
    share = ((at - time_us[before]) / gap)[:, None]
    line = values[before] + share * (values[after] - values[before])
    shifted = np.where(share == 0, values[before], line)
    shifted[(at < time_us[0]) | (at > time_us[-1])] = np.nan
    return shifted


def delays(
    clips: Sequence[Ratings], times: Sequence[NDArray[np.int64]], watch: Callable[[int, int], None] | None = None
) -> list[float]:
    """How much later than the earliest each annotator reacts, in seconds: m numbers, of which the least is 0.

    An annotator is moved, earlier or later by up to 6 s in steps of 0.1 s, to where the ratings have the highest
    Pearson correlation with the mean of the others, who stand where they were moved to: the mean of the correlations
    of valence and arousal, each over all clips, around each clip's own mean.  (Mariooryad and Busso, IEEE Trans.
    Affective Computing 6, 2015, look so for the delay between ratings and features, by mutual information.)
    Annotators are taken in turn until none moves; after the first turn, by at most 1 s at a time.  Nobody is moved to
    where fewer than half of the frames could be compared.

    `watch` is called before each search, with the turn, from 1, and the annotator, from 0.

    What all annotators have in common, the time that anybody needs to react, cannot be seen in ratings alone.
    """
    count = len(clips[0])
    found = [0.0] * count
    current = [clip.copy() for clip in clips]
    least = [max(sum(_centred_sums(clip[k], _mean_of_others(clip, k))[0] for clip in clips)) / 2 for k in range(count)]
    for turn in range(ROUNDS):
        last = list(found)
        for k in range(count):
            if watch is not None:
                watch(turn + 1, k)
            others = [_mean_of_others(clip, k) for clip in current]
            steps = _steps(found[k], NEAR if turn else LONGEST_DELAY)
            found[k] = _best_delay([clip[k] for clip in clips], others, times, steps, least[k])
            for clip, raw, time_us in zip(current, clips, times, strict=True):
                clip[k] = moved(raw[k], time_us, found[k])
        if found == last:
            break
    return [round(one - min(found), 6) for one in found]


def _steps(around: float, reach: float) -> list[float]:
    """The delays to try, the ones nearest to 0 first."""
    first, last = (round((around + way) / DELAY_STEP) for way in (-reach, reach))
    most = round(LONGEST_DELAY / DELAY_STEP)
    return [round(i * DELAY_STEP, 6) for i in sorted(range(max(first, -most), min(last, most) + 1), key=abs)]


def _best_delay(
    own: Sequence[Ratings],
    others: Sequence[Ratings],
    times: Sequence[NDArray[np.int64]],
    steps: Sequence[float],
    least: float,
) -> float:
    """The step that correlates best over at least `least` frames, the first of equals; 0 where none is defined."""
    best, highest = 0.0, -math.inf
    for delay in steps:
        sums = np.zeros((4, 2))
        for mine, theirs, time_us in zip(own, others, times, strict=True):
            sums += _centred_sums(*_beside(mine, theirs, time_us, delay))
        frames, covariance, spread, other_spread = sums
        defined = np.minimum(spread, other_spread) > STILL
        if frames.max() < least or not defined.any():
            continue
        correlation = float(np.mean((covariance / np.sqrt(np.where(defined, spread * other_spread, 1)))[defined]))
        if correlation > highest:
            best, highest = delay, correlation
    return best


def _beside(one: Ratings, other: Ratings, time_us: NDArray[np.int64], delay: float) -> tuple[Ratings, Ratings]:
    """Ratings (n, 2) `moved` by a delay, and what others said of the same frames: of evenly spaced ones those it rates.

    There, no frame need be looked for, which otherwise takes most of the time.  Times that are whole microseconds are
    evenly spaced where none is more than one of them off.
    """
    count, late = len(time_us), round(delay * 1e6)
    gap = float(time_us[-1] - time_us[0]) / (count - 1) if count > 1 else 0.0
    if gap < 1 or np.abs(time_us - time_us[0] - np.arange(count) * gap).max() > 1:
        return moved(one, time_us, delay), other
    ahead, share = round(late / gap), 0.0
    if abs(late - ahead * gap) > 1:
        ahead = math.floor(late / gap)
        share = late / gap - ahead
    start, stop = max(0, -ahead), min(count, count - ahead - (share > 0))
    if stop <= start:
        return one[:0], other[:0]
    line = one[start + ahead : stop + ahead]
    if share:
        line = line + share * (one[start + ahead + 1 : stop + ahead + 1] - line)
    return line, other[start:stop]


def _centred_sums(one: Ratings, other: Ratings) -> NDArray[np.float64]:
    """Of valence and arousal of one clip: frames that both know, and sums around their means (4, 2)."""
    first, second = np.ascontiguousarray(one.T), np.ascontiguousarray(other.T)
    known = ~np.isnan(first + second)
    frames = known.sum(axis=1)
    if not known.all():
        first, second = np.where(known, first, 0.0), np.where(known, second, 0.0)
    shares = 1 / np.maximum(frames, 1)[:, None]
    first, second = (known * (v - v.sum(axis=1, keepdims=True) * shares) for v in (first, second))
    pairs = ((first, second), (first, first), (second, second))
    return np.stack([frames, *(np.einsum("ij,ij->i", a, b) for a, b in pairs)])


def _mean_of_others(values: Ratings, k: int) -> Ratings:
    """The mean of all annotators but one, of whoever rated a frame: (n, 2), NaN where nobody did."""
    return _mean(np.delete(values, k, axis=0))


def _mean(values: Ratings) -> Ratings:
    """The mean of annotators' ratings (m, n, 2), of whoever rated a frame: (n, 2), NaN where nobody did."""
    return weighted(values, np.ones((len(values), 2)), 1)


def weighted(values: Ratings, weights: NDArray[np.float64], least: int) -> Ratings:
    """The weighted mean of ratings (m, n, 2) by weights (m, 2), not below 0, over whoever rated a frame: (n, 2).

    NaN where fewer than `least` (at least 1) annotators whose weight is above 0 rated it.
    """
    counts = ~np.isnan(values) & (weights > 0)[:, None]
    total = (counts * weights[:, None]).sum(axis=0)
    summed = (np.where(counts, values, 0.0) * weights[:, None]).sum(axis=0)
    enough = counts.sum(axis=0) >= least
    return np.where(enough, summed / np.where(enough, total, 1.0), np.nan)


def evaluator_weights(clips: Sequence[Ratings], *, with_own: bool = True) -> NDArray[np.float64]:
    """What each annotator counts in the evaluator-weighted estimator, in valence and arousal: (m, 2), 1 in all.

    The estimate of a frame is `sum_k(r_k x_k) / sum_k(r_k)`, where r_k is the Pearson correlation of annotator k with
    the mean of all over all frames of all clips that both know (Grimm and Kroschel, "Evaluation of natural emotions
    using self assessment manikins", ASRU 2005).  With a mean that it is part of, even noise correlates: without
    `with_own`, it is the mean of the others.  A correlation that is below 0 or not defined counts as 0; where none is
    above 0, all count alike.
    """
    count = len(clips[0])
    found = np.zeros((count, 2))
    for k in range(count):
        means = [_mean(clip) if with_own else _mean_of_others(clip, k) for clip in clips]
        for column in (0, 1):
            pairs = [_pairs(mean[:, column], clip[k, :, column]) for mean, clip in zip(means, clips, strict=True)]
            correlation = sum(pairs, Moments()).pcc()
            found[k, column] = 0.0 if math.isnan(correlation) else max(correlation, 0.0)
    found[:, ~found.any(axis=0)] = 1.0
    shares: NDArray[np.float64] = found / found.sum(axis=0)
    return shares


def centre(clip: str, values: Ratings) -> Ratings:
    """The ratings of one clip (m, n, 2), each moved up or down as a whole to one mean: (m, n, 2).

    As `affcli.prediction.centred` says, which has the AVEC 2016 formula, over the frames that every annotator of the
    clip rated.  Raises InputError where there is no such frame.
    """
    from affcli.prediction import centred  # here, because it loads torch, which no other method needs

    found = values.copy()
    for column in (0, 1):
        rated = np.flatnonzero(~np.isnan(values[..., column]).all(axis=1))
        curves = values[rated, :, column]
        if not len(rated):
            continue
        joint = ~np.isnan(curves).any(axis=0)
        if not joint.any():
            raise InputError(
                f"clip '{clip}'",
                f"has no frame that all of its {len(rated)} annotators rated",
                expected="some, which --method centred compares their means over",
                advice="choose --method mean or ewe",
            )
        shift = (centred(curves[:, joint]) - curves[:, joint])[:, :1]
        found[rated, :, column] = curves + shift
    return found


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far m annotators agree in one dimension."""

    ccc: NDArray[np.float64]  # (m, m), symmetric, 1 on its diagonal; NaN where two share no frame or never change
    alpha: float  # Cronbach's, over the frames that all of them rated
    frames: int  # so many

    @property
    def each(self) -> list[float]:
        """The mean CCC of each annotator with the others; NaN where none is defined."""
        return [_mean_defined(np.delete(row, k)) for k, row in enumerate(self.ccc)]

    @property
    def mean(self) -> float:
        """The mean CCC of all pairs that have one; NaN where none has."""
        return _mean_defined(self.ccc[np.triu_indices(len(self.ccc), 1)])

    @property
    def alone(self) -> list[int]:
        """The annotators that agree with nobody: none of their CCC is above ALONE."""
        return [k for k, row in enumerate(self.ccc) if not (np.delete(row, k) > ALONE).any()]


def agreement(clips: Sequence[NDArray[np.float64]]) -> Agreement:
    """The agreement in one dimension, of ratings (m, n) of every clip; CCC of all clips concatenated."""
    count = len(clips[0])
    matrix = np.eye(count)
    for i in range(count):
        for j in range(i + 1, count):
            sums = sum((_pairs(clip[i], clip[j]) for clip in clips), Moments())
            # Where one of two never changes they do not agree, whichever of them is called the truth.
            one_constant = sums.constant_truth != sums.constant_prediction
            matrix[i, j] = matrix[j, i] = 0.0 if one_constant else sums.ccc()
    joint = np.concatenate([clip[:, ~np.isnan(clip).any(axis=0)] for clip in clips], axis=1)
    return Agreement(matrix, cronbach_alpha(joint), joint.shape[1])


def cronbach_alpha(ratings: NDArray[np.float64]) -> float:
    """Cronbach's alpha of m annotators, as the items of a test, over n frames that all rated: (m, n).

    m / (m - 1) (1 - sum_k(var_k) / var(sum_k x_k)).  Cronbach, "Coefficient alpha and the internal structure of
    tests", Psychometrika 16, 1951.  At most 1, where all rate alike up to a constant; about 0 where they have nothing
    in common, below where they contradict each other.  NaN of one annotator, and where their sum never changes.

    >>> round(cronbach_alpha(np.array([[0.0, 0.5, 1.0], [0.0, 1.0, 0.5]])), 12)
    0.666666666667
    """
    count, total = len(ratings), ratings.sum(axis=0)
    if count < 2 or not len(total) or total.max() == total.min():
        return math.nan
    apart, together = ratings.var(axis=1).sum(), total.var()
    # Ratings that cancel out leave a sum that changes by its rounding alone.
    return float(count / (count - 1) * (1 - apart / together)) if together > STILL * apart else math.nan


def _pairs(one: NDArray[np.float64], other: NDArray[np.float64]) -> Moments:
    """The sums over the frames that both (n,) know."""
    known = ~(np.isnan(one) | np.isnan(other))
    return Moments.from_arrays(one[known], other[known])


def _mean_defined(values: NDArray[np.float64]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan
