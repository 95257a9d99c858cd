"""Mean and interval of scores: tabled quantiles, hand-worked values, edges."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from affcli.training.summary import Interval, summarise

# Student's t, p = .975, as printed in NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.2.
TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 19: 2.093, 30: 2.042, 100: 1.984}


@pytest.mark.parametrize(("freedom", "quantile"), TABLE.items())
def test_the_interval_is_as_wide_as_the_table_says(freedom: int, quantile: float) -> None:
    n = freedom + 1
    scores = [0.0] * (n - 2) + [-1.0, 1.0]  # mean 0, sum of squares 2
    found = summarise(scores)
    assert found.mean == 0 and found.n == n
    assert found.sd == pytest.approx(math.sqrt(2 / freedom), rel=1e-15)
    assert found.high == -found.low == pytest.approx(quantile * math.sqrt(2 / freedom / n), abs=5e-4 * found.sd)


def test_quantiles_in_closed_form() -> None:
    # With one degree of freedom t = tan(pi (p - 1/2)); with two, a sqrt(2 / (1 - a^2)) where a = 2p - 1.
    assert summarise([-1, 1]).high == pytest.approx(math.tan(math.pi * 0.475), rel=1e-12)
    assert summarise([-1, 0, 1]).high == pytest.approx(0.95 * math.sqrt(2 / (1 - 0.95**2)) / math.sqrt(3), rel=1e-12)


def test_five_folds_by_hand() -> None:
    # Deviations -.04, -.01, 0, .02, .03: squares sum to .003; sd = sqrt(.00075); half = 2.776445 sd / sqrt(5).
    found = summarise([0.40, 0.43, 0.44, 0.46, 0.47])
    assert (found.mean, found.n) == (0.44, 5)
    assert found.sd == pytest.approx(0.0273861, abs=1e-7)
    assert (found.low, found.high) == pytest.approx((0.405996, 0.474004), abs=1e-6)


def test_one_score_has_no_interval() -> None:
    assert summarise([0.3]) == Interval(0.3, None, None, None, 1)


def test_equal_scores_do_not_deviate() -> None:
    assert summarise([0.1] * 3) == Interval(0.1, 0.1, 0.1, 0.0, 3)


def test_the_order_does_not_matter_to_the_last_bit() -> None:
    scores = [0.1, 0.7, 1e-17, -0.3]
    assert len({summarise(order) for order in itertools.permutations(scores)}) == 1


def test_scores_of_numpy_become_plain_numbers() -> None:
    found = summarise([*np.array([0.25, 0.5], np.float32), np.float64(0.75)])
    assert found.mean == 0.5 and {type(one) for one in (found.mean, found.low, found.high, found.sd)} == {float}


def test_an_unknown_score_makes_everything_unknown() -> None:
    found = summarise([0.5, math.nan, 0.25])
    assert all(math.isnan(one) for one in (found.mean, found.low, found.high, found.sd)) and found.n == 3
    assert math.isnan(summarise([math.nan]).mean) and summarise([math.nan]).sd is None


def test_no_score_is_refused() -> None:
    with pytest.raises(ValueError, match="no score"):
        summarise([])


def test_the_interval_holds_the_mean_of_independent_scores_in_95_of_100() -> None:
    random = np.random.default_rng(0)
    held = 0
    for scores in random.normal(0.4, 0.1, (2000, 5)).tolist():
        found = summarise(scores)
        held += found.low <= 0.4 <= found.high
    assert abs(held / 2000 - 0.95) < 0.015  # three standard deviations of a share of 2000
