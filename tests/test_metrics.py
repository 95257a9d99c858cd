"""Metrics: values worked by hand, edge cases, exact merging, foreign references."""

from __future__ import annotations

import itertools
import json
import math
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affcli.exact import BLOCK
from affcli.metrics import METRICS, Moments, ccc, mae, mse, pcc, rmse, sagr

FOREIGN = json.loads((Path(__file__).parent / "golden" / "ccc_audmetric.json").read_text())["cases"]
SHARED = Path(__file__).resolve().parents[2] / "shared" / "golden" / "ccc.json"


def curves(count: int, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A smooth truth and a noisy prediction of it, (count,) each."""
    generator = np.random.default_rng(seed)
    truth = np.sin(np.arange(count) / 30) * 0.7
    return truth, np.clip(truth * 0.8 + generator.normal(0, 0.1, count), -1, 1)


def test_values_worked_by_hand() -> None:
    truth, prediction = [0.0, 0.5, 1.0], [0.5, 0.5, 0.5 + 0.25]
    # means 1/2 and 7/12; variances 1/6 and 1/72; covariance 1/24
    assert ccc(truth, prediction) == pytest.approx((2 / 24) / (1 / 6 + 1 / 72 + (1 / 12) ** 2), abs=1e-15)
    assert pcc(truth, prediction) == pytest.approx((1 / 24) / math.sqrt(1 / 6 / 72), abs=1e-15)
    assert mse(truth, prediction) == pytest.approx((0.25 + 0 + 0.0625) / 3, abs=1e-15)
    assert rmse(truth, prediction) == math.sqrt(mse(truth, prediction))
    assert mae(truth, prediction) == 0.25
    assert sagr(truth, prediction) == pytest.approx(2 / 3)


def test_moments_are_those_of_the_population() -> None:
    """All / n: with a covariance over n and variances over n - 1 a perfect prediction of 16 values scores 0.9375."""
    truth, _ = curves(16)
    assert ccc(truth, truth) == 1.0
    assert ccc(truth, -truth + 2 * truth.mean()) == pytest.approx(-1.0)


def test_a_shift_costs_concordance_but_not_correlation() -> None:
    truth, _ = curves(100)
    assert pcc(truth, truth + 0.25) == pytest.approx(1.0, abs=1e-12)
    assert ccc(truth, truth + 0.25) < 0.95


@pytest.mark.parametrize("function", [ccc, pcc])
def test_constant_truth_is_undefined(function: Any) -> None:
    assert math.isnan(function([0.2] * 50, np.linspace(-1, 1, 50)))
    assert math.isnan(function([0.2] * 50, [0.2] * 50))  # 1.0 in code that tests the denominator
    assert math.isnan(function([0.3], [0.3]))
    assert math.isnan(function([], []))


@pytest.mark.parametrize("function", [ccc, pcc])
def test_constant_prediction_of_varying_truth_scores_zero(function: Any) -> None:
    assert function([0.1, 0.2, 0.3], [0.2] * 3) == 0.0
    assert function(np.linspace(-1, 1, 50), [0.1] * 50) == 0.0


def test_sign_agreement_counts_zero_as_its_own_sign() -> None:
    assert sagr([0.5], [0.0]) == 0.0
    assert sagr([0.0], [0.5]) == 0.0
    assert sagr([0.0], [0.0]) == 1.0
    assert sagr([-0.1, 0.1], [-0.9, 0.9]) == 1.0


def test_errors_of_no_pair_are_undefined() -> None:
    assert all(math.isnan(metric.function([], [])) for metric in METRICS.values())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e200])
def test_what_cannot_be_summed_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"truth holds .* at index 1"):
        Moments.from_arrays([0.0, value], [0.0, 0.0])
    with pytest.raises(ValueError, match="prediction holds"):
        Moments.from_arrays([0.0, 0.0], [0.0, value])


def test_lengths_and_dimensions_must_agree() -> None:
    with pytest.raises(ValueError, match="2 values of truth, 3 of prediction"):
        ccc([0.0, 1.0], [0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="2 dimensions"):
        ccc([[0.0, 1.0]], [[0.0, 1.0]])


def test_sums_are_exact() -> None:
    """Against rational arithmetic, with exponents far apart and cancellation."""
    generator = np.random.default_rng(1)
    for _ in range(50):
        count = int(generator.integers(1, 40))
        x = generator.normal(size=count) * 10.0 ** generator.integers(-30, 30, size=count)
        y = generator.normal(size=count) * 10.0 ** generator.integers(-30, 30, size=count)
        moments = Moments.from_arrays(x, y)
        unit = Fraction(1, 2**1074)
        exact = [(Fraction(a), Fraction(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        assert moments.truth * unit == sum(a for a, _ in exact)
        assert moments.product * unit**2 == sum(a * b for a, b in exact)
        assert moments.prediction_squared * unit**2 == sum(b * b for _, b in exact)


def test_an_offset_costs_no_precision() -> None:
    """Eighths stay exact at an offset of a million, and so does the score."""
    truth = np.array([0.125, 0.5, -0.25, 0.875])
    prediction = np.array([0.25, 0.5, -0.5, 0.625])
    assert ccc(truth + 2.0**20, prediction + 2.0**20) == ccc(truth, prediction)


def test_merged_sums_equal_the_whole_to_the_last_bit() -> None:
    truth, prediction = curves(2 * BLOCK + 17)
    whole = Moments.from_arrays(truth, prediction)
    for seed in range(5):
        shuffled = random.Random(seed)
        cuts = sorted(shuffled.sample(range(len(truth)), 20))
        edges = [0, *cuts, len(truth)]
        parts = [Moments.from_arrays(truth[i:j], prediction[i:j]) for i, j in itertools.pairwise(edges)]
        shuffled.shuffle(parts)
        left = sum(parts[:7], Moments())
        assert sum(parts[7:], Moments()) + left == whole
    assert whole + Moments() == whole


def test_order_of_frames_does_not_matter() -> None:
    truth, prediction = curves(1000)
    assert Moments.from_arrays(truth[::-1], prediction[::-1]) == Moments.from_arrays(truth, prediction)


def test_float32_is_widened_first() -> None:
    truth, prediction = curves(300)
    narrow, wide = truth.astype(np.float32), truth.astype(np.float32).astype(np.float64)
    assert ccc(narrow, prediction) == ccc(wide, prediction)


def test_every_metric_stays_in_its_range_and_is_best_for_the_truth_itself() -> None:
    truth, prediction = curves(500)
    for name, metric in METRICS.items():
        assert metric.function(truth, truth) == metric.best, name
        for guess in (prediction, -truth, np.sign(-truth)):
            assert metric.low <= metric.function(truth, guess) <= metric.high, name
        assert metric.function(truth, prediction) == metric.of(Moments.from_arrays(truth, prediction))


@pytest.mark.parametrize("case", FOREIGN.values(), ids=list(FOREIGN))
def test_audmetric_agrees(case: dict[str, Any]) -> None:
    for name in ("ccc", "pcc", "mse", "mae"):
        ours = METRICS[name].function(case["truth"], case["prediction"])
        # audmetric's own rounding shows at an offset of 1000.
        assert ours == pytest.approx(case[name], rel=1e-9, abs=1e-12), name


def test_shared_reference_values_agree() -> None:
    if not SHARED.exists():
        pytest.skip("needs ../shared/golden/ccc.json")
    for name, case in json.loads(SHARED.read_text())["cases"].items():
        for key, function in (("population", ccc), ("pearson", pcc), ("mse", mse)):
            if case[key] is not None:
                assert function(case["x"], case["y"]) == pytest.approx(case[key], abs=1e-12), (name, key)


def test_values_whose_squares_no_float_holds_still_correlate() -> None:
    assert pcc([0.0, 1.0], [0.0, 1e-200]) == 1.0
    assert ccc([0.0, 1.0], [0.0, 1e-200]) == pytest.approx(4e-200, rel=1e-15)
    assert ccc([0.0, 1e-300], [0.0, 1e-300]) == 1.0
