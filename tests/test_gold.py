"""Several annotators to one gold standard."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import gold, metrics
from affcli.errors import InputError

NAN = math.nan


def both(*annotators: list[float]) -> NDArray[np.float64]:
    """Ratings (m, n, 2), valence and arousal alike."""
    return np.repeat(np.array(annotators)[:, :, None], 2, axis=2)


def times(n: int, period: int = 40_000) -> NDArray[np.int64]:
    return np.arange(n, dtype=np.int64) * period


def slow(seed: int, n: int) -> NDArray[np.float64]:
    """Curves (n, 2) in -0.8 to 0.8 that move within seconds, at 25 frames a second."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)[:, None] / 25
    waves = [np.sin(t * rng.uniform(0.3, 2, 2) + rng.uniform(0, 6, 2)) for _ in range(4)]
    curve: NDArray[np.float64] = 0.2 * np.sum(waves, axis=0)
    return curve


def test_ratings_are_moved_by_their_times_and_nothing_is_made_up() -> None:
    at = np.array([0, 1_000_000, 2_000_000, 4_000_000])
    values = np.array([[0.0, 0.0], [0.2, 0.4], [0.6, 0.8], [0.2, 0.0]])
    np.testing.assert_array_equal(gold.moved(values, at, 0.0), values)
    # At 0, 1, 2 and 4 s stands what was rated at 1, 2, 3 and 5 s: the clip is over by then.
    np.testing.assert_allclose(gold.moved(values, at, 1.0), [[0.2, 0.4], [0.6, 0.8], [0.4, 0.4], [NAN, NAN]])
    np.testing.assert_allclose(gold.moved(values, at, -1.0), [[NAN, NAN], [0.0, 0.0], [0.2, 0.4], [0.4, 0.4]])
    values[2] = NAN
    # A line needs both ends; a frame that is hit needs no other.
    np.testing.assert_allclose(gold.moved(values, at, 1.0), [[0.2, 0.4], [NAN, NAN], [NAN, NAN], [NAN, NAN]])
    np.testing.assert_allclose(gold.moved(values, at, 2.0), [[NAN, NAN], [NAN, NAN], [0.2, 0.0], [NAN, NAN]])
    assert gold.moved(np.zeros((0, 2)), times(0), 1.0).shape == (0, 2)


def test_delays_are_found_against_the_earliest() -> None:
    delayed = [0.5, 2.5, 0.5, 1.7]
    clips = []
    for seed in range(3):
        curve = slow(seed, 1500)
        late = [np.roll(curve, round(25 * one), axis=0) for one in delayed]
        noise = np.random.default_rng(seed).normal(0, 0.05, (4, 1500, 2))
        clips.append((np.stack(late) + noise)[:, 100:])
    found = gold.delays(clips, [times(1400)] * 3)
    np.testing.assert_allclose(found, [0.0, 2.0, 0.0, 1.2], atol=0.11)
    assert found == gold.delays(clips, [times(1400)] * 3)
    assert gold.delays([clip[[0, 2]] for clip in clips], [times(1400)] * 3) == [0.0, 0.0]


def test_no_delay_where_nothing_varies_or_nothing_is_left() -> None:
    assert gold.delays([both([0.1] * 50, [0.2] * 50)], [times(50)]) == [0.0, 0.0]
    # A clip of two seconds: of what it says of more than a second, less than half could be compared.
    curve = slow(3, 50)
    assert 0 < max(gold.delays([np.stack([curve, -curve])], [times(50)])) <= 1.0


def test_a_weighted_mean_is_of_whoever_rated_a_frame() -> None:
    values = both([0.0, 0.3, NAN, 0.5], [0.4, NAN, NAN, 0.1], [0.8, 0.6, 0.9, NAN])
    alike = np.full((3, 2), 1 / 3)
    np.testing.assert_allclose(gold.weighted(values, alike, 2)[:, 0], [0.4, 0.45, NAN, 0.3])
    np.testing.assert_allclose(gold.weighted(values, alike, 1)[:, 1], [0.4, 0.45, 0.9, 0.3])
    np.testing.assert_allclose(gold.weighted(values, alike, 3)[:, 0], [0.4, NAN, NAN, NAN])
    weights = np.array([[0.75, 1.0], [0.25, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(gold.weighted(values, weights, 2)[:, 0], [0.1, NAN, NAN, 0.4])
    np.testing.assert_allclose(gold.weighted(values, weights, 1)[:, 1], [0.0, 0.3, NAN, 0.5])


def test_evaluators_count_by_their_correlation_with_the_mean_of_the_others() -> None:
    a, b, c = [0.0, 0.2, 0.4, 0.1], [0.1, 0.3, 0.3, 0.2], [0.1, -0.1, 0.0, 0.05]
    found = gold.evaluator_weights([both(a, b, c)], with_own=False)
    means = [np.mean([b, c], axis=0), np.mean([a, c], axis=0), np.mean([a, b], axis=0)]
    correlations = [max(0.0, metrics.pcc(mean, own)) for mean, own in zip(means, (a, b, c), strict=True)]
    assert correlations[2] == 0.0 < correlations[0]  # c has nothing to do with the others
    np.testing.assert_allclose(found[:, 0], np.array(correlations) / sum(correlations))
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    # Over all clips together, whichever way they are cut.
    halves = [both(a, b, c)[:, :1], both(a, b, c)[:, 1:]]
    np.testing.assert_array_equal(gold.evaluator_weights(halves, with_own=False), found)


def test_evaluators_count_by_their_correlation_with_the_mean_of_all_as_published() -> None:
    rng = np.random.default_rng(5)
    ratings = [rng.normal(0, 0.2, 60).tolist() for _ in range(4)]
    matrix = np.array(ratings)
    wanted = np.array([np.corrcoef(own, matrix.mean(axis=0))[0, 1] for own in matrix])
    assert wanted.min() > 0  # of noise, too: each is a part of the mean
    found = gold.evaluator_weights([both(*ratings)])
    np.testing.assert_allclose(found[:, 0], wanted / wanted.sum(), rtol=1e-12)
    # The mean is of whoever rated a frame.
    ratings[0][:10] = [NAN] * 10
    matrix = np.array(ratings)
    mean = np.nanmean(matrix, axis=0)
    wanted = np.array([np.corrcoef(own[~np.isnan(own)], mean[~np.isnan(own)])[0, 1] for own in matrix])
    found = gold.evaluator_weights([both(*ratings)])
    np.testing.assert_allclose(found[:, 1], wanted / wanted.sum(), rtol=1e-12)


def test_all_count_alike_where_nobody_agrees() -> None:
    assert gold.evaluator_weights([both([0.0, 0.5], [0.5, 0.0])]).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert gold.evaluator_weights([both([0.1, 0.1], [0.1, 0.1])]).tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_centred_ratings_have_one_mean_over_what_all_rated() -> None:
    from affcli.prediction import centred

    values = both([0.0, 0.2, 0.4, NAN], [0.3, 0.5, 0.7, 0.1], [NAN] * 4, [0.1, 0.2, 0.1, 0.5])
    found = gold.centre("c", values)
    expected = centred(values[[0, 1, 3], :3, 0])
    np.testing.assert_allclose(found[[0, 1, 3], :3, 0], expected)
    assert np.isnan(found[2]).all()
    assert np.isnan(found[0, 3]).all()
    # A frame that not all rated is moved with the rest of its curve.
    assert found[1, 3, 0] - 0.1 == pytest.approx(expected[1, 0] - 0.3)
    with pytest.raises(InputError, match=r"clip 'c': has no frame that all of its 2 annotators rated.*--method mean"):
        gold.centre("c", both([0.1, NAN], [NAN, 0.1]))


def test_cronbach_alpha_by_hand() -> None:
    # Variances 1/6 and 1/6, that of the sum (0, 1.5, 1.5) 1/2: 2 (1 - (1/3) / (1/2)).
    assert gold.cronbach_alpha(np.array([[0.0, 0.5, 1.0], [0.0, 1.0, 0.5]])) == pytest.approx(2 / 3, abs=1e-15)
    # Variances 2/3, 2/3 and 0, that of the sum (4, 6, 8) 8/3: 3/2 (1 - (4/3) / (8/3)).
    three = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [2.0, 2.0, 2.0]])
    assert gold.cronbach_alpha(three) == pytest.approx(0.75, abs=1e-15)
    assert gold.cronbach_alpha(np.array([[0.1, 0.2, 0.4], [0.3, 0.4, 0.6]])) == pytest.approx(1.0)
    assert math.isnan(gold.cronbach_alpha(np.array([[0.1, 0.2]])))
    assert math.isnan(gold.cronbach_alpha(np.array([[0.0, 0.5], [0.5, 0.0]])))
    assert math.isnan(gold.cronbach_alpha(np.zeros((2, 0))))


def test_cronbach_alpha_of_ratings_that_cancel_out_is_undefined() -> None:
    one = np.random.default_rng(0).uniform(-1, 1, 200)
    total = one + (0.3 - one)
    assert total.max() > total.min()  # by rounding alone
    assert math.isnan(gold.cronbach_alpha(np.stack([one, 0.3 - one])))


def test_agreement_is_pairwise_over_all_clips() -> None:
    one, other, noise = [0.1, 0.4, -0.2, 0.3, NAN], [0.2, 0.3, -0.1, 0.5, 0.1], [0.3, -0.3, 0.3, -0.3, NAN]
    clips = [np.array([one[:2], other[:2], noise[:2]]), np.array([one[2:], other[2:], noise[2:]])]
    found = gold.agreement(clips)
    assert found.ccc[0, 1] == found.ccc[1, 0] == metrics.ccc(one[:4], other[:4]) == pytest.approx(5 / 6)
    assert found.ccc.diagonal().tolist() == [1.0, 1.0, 1.0]
    assert found.frames == 4
    assert found.alpha == gold.cronbach_alpha(np.array([one[:4], other[:4], noise[:4]]))
    assert found.mean == pytest.approx(np.mean([found.ccc[0, 1], found.ccc[0, 2], found.ccc[1, 2]]))
    assert found.each[2] == pytest.approx(np.mean(found.ccc[2, :2]))
    assert found.alone == [2]


def test_agreement_without_common_frames_or_variation() -> None:
    found = gold.agreement([np.array([[0.1, NAN, 0.3], [NAN, 0.2, NAN], [0.2, 0.2, 0.2]])])
    assert np.isnan(found.ccc[0, 1])
    assert np.isnan(found.ccc[1, 2])  # one frame
    assert found.ccc[0, 2] == found.ccc[2, 0] == 0.0  # one of two never changes
    assert (found.mean, found.frames, found.alone) == (0.0, 0, [0, 1, 2])
    assert math.isnan(found.alpha)
    assert math.isnan(found.each[1])


@pytest.mark.parametrize("gap", [40_000, 1e6 / 30, 1e6 / 29.97, 100_000, "uneven"])
@pytest.mark.parametrize("delay", [0.0, 0.1, -0.1, 1.3, -2.7, 6.0, -6.0, 99.0])
def test_what_correlates_at_a_delay_is_what_moving_makes(gap: float | str, delay: float) -> None:
    from affcli.gold import _beside, _centred_sums, moved

    rng = np.random.default_rng(3)
    steps = rng.integers(20_000, 60_000, 299) if isinstance(gap, str) else np.full(299, gap)
    time_us = np.round(np.concatenate(([0.0], np.cumsum(steps)))).astype(np.int64) + 7
    one, other = np.cumsum(rng.normal(size=(2, 300, 2)), axis=1)
    one[50:60, 0], other[::17, 1] = np.nan, np.nan
    whole = moved(one, time_us, delay)
    known = ~np.isnan(whole + other)
    expected = np.zeros((4, 2))
    for column in (0, 1):
        x, y = whole[known[:, column], column], other[known[:, column], column]
        if len(x):
            expected[:, column] = [len(x), *(len(x) * np.cov(x, y, bias=True)[[0, 0, 1], [1, 0, 1]])]
    found = _centred_sums(*_beside(one, other, time_us, delay))
    # Where times are rounded, the first or last frame may be a microsecond past the end of the other.
    assert np.abs(found[0] - expected[0]).max() <= (0 if gap in (40_000, 100_000, "uneven") else 1)
    np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-9 if gap in (40_000, 100_000, "uneven") else 0.05)


def test_whose_delay_is_looked_for_is_told() -> None:
    rng, told = np.random.default_rng(0), []
    clips = [np.cumsum(rng.normal(size=(3, 200, 2)), axis=1)]
    gold.delays(clips, [np.arange(200) * 40_000], lambda turn, k: told.append((turn, k)))
    assert told[:3] == [(1, 0), (1, 1), (1, 2)]
    assert len(told) % 3 == 0
