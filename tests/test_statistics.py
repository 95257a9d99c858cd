"""Intervals, standard errors and tests over clips: against what a loop over frames says, SciPy, and simulation."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affcli import resampling, statistics
from affcli.classification import Confusion, class_f1
from affcli.errors import InputError
from affcli.metrics import METRICS, Moments
from affcli.statistics import bootstrap, jackknife, paired, permutation
from affcli.sums import STATISTICS, SUMS, clip_sums, figures_of

FOREIGN = json.loads((Path(__file__).parent / "golden" / "statistics.json").read_text())
Clips = list[list[Moments]]


def systems(m: int, seed: int = 0, offset: float = 0.0) -> tuple[Clips, Clips]:
    """Two systems' sums over the same m clips: valence and arousal, of 5 to 30 frames."""
    random = np.random.default_rng(seed)
    a: Clips = []
    b: Clips = []
    for _ in range(m):
        truth = random.normal(random.normal(0, 0.3, (2, 1)), 0.2, (2, random.integers(5, 30))) + offset
        for clips, gain, noise in ((a, 0.8, 0.1), (b, 0.6, 0.2)):
            said = gain * (truth - offset) + random.normal(0, noise, truth.shape) + offset
            clips.append([Moments.from_arrays(t, p) for t, p in zip(truth, said, strict=True)])
    return a, b


def whole(clips: Sequence[Sequence[Moments]], metric: str = "ccc") -> list[float]:
    """The exact figures over some clips: of each dimension, and their mean."""
    each = [METRICS[metric].of(sum(column, Moments())) for column in zip(*clips, strict=True)]
    return [*each, sum(each) / len(each)]


def test_sums_say_what_exact_moments_say() -> None:
    a, _ = systems(12)
    sums = clip_sums(a)
    assert sums.shape == (12, 2, len(SUMS)) and sums.dtype == np.float64
    assert set(STATISTICS) == set(METRICS)
    for metric in METRICS:
        for subset in (range(12), [3], [1, 1, 7]):
            found = figures_of(metric)(sums[list(subset)].sum(axis=0, keepdims=True))[0]
            assert found == pytest.approx(whole([a[i] for i in subset], metric), rel=1e-12, abs=1e-14), metric


def test_an_offset_costs_no_precision() -> None:
    """Each is a thousand standard deviations away from 0: what is not centred is off by 1e-10 and more."""
    a, _ = systems(12, offset=200.0)
    found = figures_of("ccc")(clip_sums(a).sum(axis=0, keepdims=True))[0]
    assert found == pytest.approx(whole(a), rel=0, abs=1e-14)


def test_constant_truth_is_undefined_and_constant_prediction_scores_zero() -> None:
    clips = [
        [Moments.from_arrays([0.3] * 7, np.linspace(0, 1, 7))],
        [Moments.from_arrays([0.3] * 7, np.linspace(0, 2, 7))],
        [Moments.from_arrays(np.linspace(0, 1, 7), [0.1] * 7)],
        [Moments.from_arrays(np.linspace(0, 1, 9), [0.1] * 9)],
        [Moments()],
    ]
    sums = clip_sums(clips)
    for chosen, expected in (([0], math.nan), ([0, 1, 1, 4], math.nan), ([2], 0.0), ([2, 3, 3], 0.0), ([4], math.nan)):
        for metric in ("ccc", "pcc"):
            found = figures_of(metric)(sums[chosen].sum(axis=0, keepdims=True))
            np.testing.assert_array_equal(found, [[expected, expected]])
    assert figures_of("mae")(sums[4:])[0, 0] != figures_of("mae")(sums[4:])[0, 0]  # of no frame: NaN


def test_only_constant_truth_is_undefined_over_all_clips() -> None:
    """The mean of all truth, to which sums are counted, is not a float64 here."""
    sums = clip_sums([[Moments.from_arrays([0.1] * n, np.arange(n))] for n in (3, 4, 6)])
    assert [one.estimate for one in bootstrap(sums, "ccc", 50)] == pytest.approx([math.nan] * 2, nan_ok=True)


@pytest.mark.parametrize("metric", ["ccc", "rmse", "sagr"])
def test_resamples_are_those_of_a_loop_over_clips(metric: str) -> None:
    a, b = systems(7)
    drawn = np.random.default_rng(3).integers(0, 7, (40, 7))
    of_a = np.array([whole([a[i] for i in row], metric) for row in drawn])
    of_b = np.array([whole([b[i] for i in row], metric) for row in drawn])
    for place, one in enumerate(bootstrap(clip_sums(a), metric, 40, seed=3, level=0.9)):
        assert one.estimate == pytest.approx(whole(a, metric)[place], abs=1e-12)
        assert [one.low, one.high] == pytest.approx(np.quantile(of_a[:, place], [0.05, 0.95]).tolist(), abs=1e-12)
    for place, two in enumerate(paired(clip_sums(a), clip_sums(b), metric, 40, seed=3, level=0.9)):
        apart = (of_a - of_b)[:, place]
        assert two.estimate == pytest.approx(whole(a, metric)[place] - whole(b, metric)[place], abs=1e-12)
        assert [two.low, two.high] == pytest.approx(np.quantile(apart, [0.05, 0.95]).tolist(), abs=1e-12)
        assert two.p == min(1.0, 2 * (min((apart <= 0).sum(), (apart >= 0).sum()) + 1) / 41)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = map(clip_sums, systems(9))
    before = [bootstrap(a, "ccc", 100), permutation(a, b, "ccc", 100), permutation(a, b, "ccc", 512)]
    monkeypatch.setattr(resampling, "CELLS", 30)
    after = [bootstrap(a, "ccc", 100), permutation(a, b, "ccc", 100), permutation(a, b, "ccc", 512)]
    for ones, others in zip(before, after, strict=True):
        for one, other in zip(ones, others, strict=True):
            assert vars(one) == pytest.approx(vars(other), rel=1e-12)


def test_equal_seeds_give_equal_figures() -> None:
    a, b = map(clip_sums, systems(40))
    assert bootstrap(a, "ccc", 200, seed=1) == bootstrap(a, "ccc", 200, seed=1) != bootstrap(a, "ccc", 200, seed=2)
    assert paired(a, b, "ccc", 200, seed=1) == paired(a, b, "ccc", 200, seed=1) != paired(a, b, "ccc", 200, seed=2)
    once, again, other = (permutation(b, b[::-1], lambda s: s[:, 0, :1] ** 2, 200, seed=seed) for seed in (1, 1, 2))
    assert once == again
    assert once[0].permutations == other[0].permutations == 200 and not once[0].exact


def test_jackknife_of_a_mean_is_its_textbook_standard_error() -> None:
    values = np.array([0.1, 0.5, 0.4, -0.2, 0.9])
    (found,) = jackknife(np.stack([np.ones(5), values], axis=1), lambda sums: sums[:, 1:] / sums[:, :1])
    assert found.estimate == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std(ddof=1) / math.sqrt(5), rel=1e-12)
    assert found.undefined == 0


def test_jackknife_is_that_of_a_loop_over_clips() -> None:
    a, _ = systems(6)
    left = np.array([whole(a[:i] + a[i + 1 :]) for i in range(6)])
    expected = np.sqrt(5 / 6 * ((left - left.mean(axis=0)) ** 2).sum(axis=0))
    assert [one.error for one in jackknife(clip_sums(a), "ccc")] == pytest.approx(expected.tolist(), rel=1e-10)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_scipy_has_the_same_intervals(method: str) -> None:
    """The draws are the same, too, so that nothing but rounding is left between the intervals."""
    pairs = zip(FOREIGN["truth"], FOREIGN["a"], strict=True)
    sums = clip_sums([[Moments.from_arrays(truth, a)] for truth, a in pairs])
    found = bootstrap(sums, "ccc", 10_000, seed=1, method=method)[0]
    assert [found.low, found.high] == pytest.approx(FOREIGN["intervals"][method], abs=1e-12)
    other = FOREIGN["intervals"]["bca" if method == "percentile" else "percentile"]
    assert abs(other[0] - FOREIGN["intervals"][method][0]) > 0.01  # so that the two methods are told apart


def test_scipy_has_the_same_p_value_of_a_permutation_test() -> None:
    few = FOREIGN["few"]
    truth, a, b = (FOREIGN[key][:few] for key in ("truth", "a", "b"))
    of_a, of_b = (clip_sums([[Moments.from_arrays(t, p)] for t, p in zip(truth, said, strict=True)]) for said in (a, b))
    found = permutation(of_a, of_b, "ccc")[0]
    assert found.exact and found.permutations == 2**few and found.undefined == 0
    assert found.estimate == pytest.approx(FOREIGN["difference"], abs=1e-12)
    assert found.p == pytest.approx(FOREIGN["p"], abs=1e-12)


def test_every_swap_is_tried_where_they_are_few() -> None:
    a, b = systems(4)
    observed = whole(a)[0] - whole(b)[0]
    larger = 0
    for swap in itertools.product([False, True], repeat=4):
        of_a = whole([y if s else x for s, x, y in zip(swap, a, b, strict=True)])[0]
        of_b = whole([x if s else y for s, x, y in zip(swap, a, b, strict=True)])[0]
        larger += abs(of_a - of_b) >= abs(observed) - 1e-12
    assert permutation(clip_sums(a), clip_sums(b), "ccc")[0].p == larger / 16
    drawn = permutation(clip_sums(a), clip_sums(b), "ccc", permutations=15)[0]
    assert not drawn.exact and drawn.permutations == 15 and drawn.p is not None and drawn.p * 16 % 1 == 0


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_a_system_does_not_differ_from_itself(method: str) -> None:
    a, _ = map(clip_sums, systems(20))
    for one in paired(a, a, "ccc", 200, method=method):
        assert (one.estimate, one.low, one.high, one.p) == (0, 0, 0, 1)
    assert all(one.estimate == 0 and one.p == 1 for one in permutation(a, a, "ccc", 200))


def test_a_difference_turns_its_sign_with_the_systems() -> None:
    a, b = map(clip_sums, systems(20))
    for one, other in zip(paired(a, b, "ccc", 500), paired(b, a, "ccc", 500), strict=True):
        assert one.low is not None and other.high is not None
        assert (one.estimate, one.low, one.p) == pytest.approx((-other.estimate, -other.high, other.p), abs=1e-12)
        assert one.low > 0 and one.p == 2 / 501  # a is plainly better
    assert permutation(a, b, "ccc", 500)[0].p == permutation(b, a, "ccc", 500)[0].p == 1 / 501


def test_bca_of_perfect_predictions_is_perfect() -> None:
    clips = [[Moments.from_arrays(t, t)] for t in np.random.default_rng(0).normal(size=(8, 5))]
    found = bootstrap(clip_sums(clips), "ccc", 100, method="bca")[0]
    assert (found.low, found.high) == pytest.approx((1, 1), abs=1e-12)


def test_of_one_clip_there_is_no_interval() -> None:
    a, b = map(clip_sums, systems(1))
    for method in ("percentile", "bca"):
        for one in (*bootstrap(a, "ccc", 50, method=method), *paired(a, b, "ccc", 50, method=method)):
            assert not math.isnan(one.estimate) and one.low is None and one.high is None and one.undefined == 0
    assert all(one.p is None for one in paired(a, b, "ccc", 50))
    assert all(one.error is None for one in jackknife(a, "ccc"))
    assert all(one.p == 1 and one.permutations == 2 for one in permutation(a, b, "ccc"))
    a, b = map(clip_sums, systems(5))
    assert bootstrap(a, "ccc", 50, groups=["x"] * 5)[0].low is None


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_resamples_of_constant_truth_are_counted(method: str) -> None:
    still = Moments.from_arrays([0.2] * 4, [0.1, 0.3, 0.2, 0.2])
    moving = Moments.from_arrays([0.1, 0.4, -0.3], [0.2, 0.3, -0.2])
    sums = clip_sums([[still], [still], [moving]])
    drawn = np.random.default_rng(0).integers(0, 3, (500, 3))
    undefined = int((drawn < 2).all(axis=1).sum())
    assert undefined > 100
    found = bootstrap(sums, "ccc", 500, method=method)[0]
    assert found.undefined == undefined and found.low is not None and found.high is not None
    assert found.low <= found.estimate <= found.high
    assert paired(sums, sums, "ccc", 500, method=method)[0].undefined == undefined
    assert jackknife(sums, "ccc")[0].error is None and jackknife(sums, "ccc")[0].undefined == 1
    assert bootstrap(sums, "mae", 500, method=method)[0].undefined == 0
    still_all = bootstrap(sums[:2], "ccc", 50, method=method)[0]
    assert math.isnan(still_all.estimate) and still_all.low is None and still_all.undefined == 50
    assert permutation(sums[:2], sums[:2], "ccc")[0].p is None


def test_groups_are_drawn_together() -> None:
    a, b = map(clip_sums, systems(12))
    labels = ["p2", "p1", "p3"] * 4
    first = [labels.index(label) for label in ("p2", "p1", "p3")]
    assert first == [0, 1, 2]
    joined_a, joined_b = (np.array([one[i::3].sum(axis=0) for i in range(3)]) for one in (a, b))
    for whole_a, whole_b, groups in ((a, b, labels), (joined_a, joined_b, None)):
        found = [
            bootstrap(whole_a, "ccc", 100, method="bca", groups=groups),
            jackknife(whole_a, "ccc", groups),
            paired(whole_a, whole_b, "ccc", 100, groups=groups),
            permutation(whole_a, whole_b, "ccc", groups=groups),
        ]
        flat: list[Any] = [value for ones in found for one in ones for value in vars(one).values()]
        if groups:
            expected = flat
    assert flat == pytest.approx(expected, rel=1e-12)
    assert permutation(a, b, "ccc", groups=labels)[0].permutations == 8


def test_counts_of_classes_are_resampled_alike() -> None:
    random = np.random.default_rng(4)
    clips = [Confusion.from_arrays(*random.integers(0, 3, (2, 20)), range(3)) for _ in range(6)]
    found = bootstrap([one.counts for one in clips], lambda sums: class_f1(sums).mean(-1, keepdims=True), 60)
    drawn = np.random.default_rng(0).integers(0, 6, (60, 6))
    loop = [sum((clips[i] for i in row), Confusion()).macro_f1() for row in drawn]
    assert found[0].estimate == sum(clips, Confusion()).macro_f1()
    assert [found[0].low, found[0].high] == pytest.approx(np.quantile(loop, [0.025, 0.975]).tolist(), abs=1e-12)


@pytest.mark.parametrize("test", [paired, permutation])
def test_systems_over_different_frames_are_not_compared(test: Any) -> None:
    a, b = systems(3)
    b[1][0] = Moments.from_arrays([0.1, 0.2], [0.1, 0.1])
    with pytest.raises(InputError, match="1 of 3 clips were not scored over the same frames"):
        # Counted from the same number, so that only the clip itself differs.
        test(clip_sums([*a, *b])[:3], clip_sums([*a, *b])[3:], "ccc")
    with pytest.raises(ValueError, match="expected the same clips"):
        test(clip_sums(a), clip_sums(a)[:2], "ccc")


def test_arguments_out_of_range_are_refused() -> None:
    a, _ = map(clip_sums, systems(3))
    for arguments, message in (
        ({"method": "basic"}, "method=basic"),
        ({"level": 95}, "level=95"),
        ({"resamples": 0}, "resamples=0"),
        ({"groups": ["a"]}, "1 groups, expected one for each of 3 clips"),
    ):
        with pytest.raises(ValueError, match=message):
            bootstrap(a, "ccc", **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="permutations=0"):
        permutation(a, a, "ccc", 0)
    with pytest.raises(ValueError, match=r"statistic 'cccc', expected one of ccc, pcc"):
        bootstrap(a, "cccc")
    with pytest.raises(ValueError, match=r"shape \(0, 2, 9\)"):
        bootstrap(a[:0], "ccc")
    with pytest.raises(ValueError, match="finite"):
        jackknife(a * math.nan, "ccc")
    with pytest.raises(ValueError, match=r"expected \(r, d, 9\)"):
        bootstrap(a[..., :5], "ccc")


def simulated(random: np.random.Generator, m: int) -> tuple[Clips, Clips]:
    """m clips that vary within and between, of two systems; `KNOWN` has their CCC over endlessly many clips."""
    a: Clips = []
    b: Clips = []
    for _ in range(m):
        n = int(random.integers(20, 60))
        middle, moving = random.normal(0, 0.25), random.normal(0, 0.2, n)
        shared = random.normal(0, 0.1)
        for clips, gain, noise, shift in ((a, 0.8, 0.15, 0.05), (b, 0.6, 0.2, 0.1)):
            said = gain * middle + 0.7 * moving + shared + random.normal(0, noise, n) + shift
            clips.append([Moments.from_arrays(middle + moving, said)])
    return a, b


def known(gain: float, noise: float, shift: float) -> float:
    """The CCC of `simulated` over endlessly many clips, from its variances."""
    truth = 0.25**2 + 0.2**2
    said = (gain * 0.25) ** 2 + (0.7 * 0.2) ** 2 + 0.1**2 + noise**2
    return 2 * (gain * 0.25**2 + 0.7 * 0.2**2) / (truth + said + shift**2)


def coverage(simulations: int = 400, m: int = 150, resamples: int = 1000) -> dict[str, float]:
    """The share of simulations whose 95 % interval holds what it estimates."""
    random = np.random.default_rng(23)
    of_a, of_b = known(0.8, 0.15, 0.05), known(0.6, 0.2, 0.1)
    hits = dict.fromkeys(("percentile", "bca", "paired percentile", "paired bca"), 0)
    for seed in range(simulations):
        a, b = map(clip_sums, simulated(random, m))
        for method in statistics.METHODS:
            one = bootstrap(a, "ccc", resamples, seed, method=method)[0]
            two = paired(a, b, "ccc", resamples, seed, method=method)[0]
            assert one.low is not None and one.high is not None and two.low is not None and two.high is not None
            hits[method] += one.low <= of_a <= one.high
            hits[f"paired {method}"] += two.low <= of_a - of_b <= two.high
    return {name: count / simulations for name, count in hits.items()}


@pytest.mark.slow
def test_intervals_cover_what_they_should() -> None:
    """95 % intervals hold the CCC of all clips there could be, and its difference, in 92 to 98 % of simulations.

    Of 20 clips they are narrower than that, which the documentation of `bootstrap` says.
    """
    found = coverage()
    assert all(0.92 <= share <= 0.98 for share in found.values()), found
