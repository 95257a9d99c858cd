"""Frames, samples and seconds: values worked by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from affcli import clock


def test_ticks_become_the_nearest_microsecond() -> None:
    assert clock.to_microseconds(1, Fraction(1001, 30000)) == 33367  # 33366.67
    assert clock.to_microseconds(-1, Fraction(1001, 30000)) == -33367
    assert clock.to_microseconds(10**15, Fraction(1, 90000)) == 11111111111111111  # beyond a float's precision


def test_times_at_a_constant_rate_do_not_drift() -> None:
    times = clock.frame_times(18001, Fraction(30000, 1001))
    assert times[-1] == 600_600_000  # 18000 frames of 1001/30000 s are 600.6 s, to the microsecond


@pytest.mark.parametrize(
    "rate", [Fraction(30_000, 1001), Fraction(1_000_003, 33_333), Fraction(10**15, 3 * 10**13 + 1)]
)
def test_times_at_a_constant_rate_are_the_nearest_microseconds(rate: Fraction) -> None:
    times = clock.frame_times(1000, rate, start_us=-7)
    assert times.dtype == np.int64
    assert times.tolist() == [clock.to_microseconds(i, 1 / rate) - 7 for i in range(1000)]
    assert clock.frame_times(0, rate).tolist() == []


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001)])
def test_constant_rate_is_recognised_wherever_it_starts(rate: Fraction) -> None:
    times = clock.frame_times(500, rate, start_us=1_480_000)
    assert clock.constant_rate(times, rate) == rate


def test_variable_rate_is_not_constant() -> None:
    times = clock.frame_times(500, Fraction(25))
    times[250:] += 3
    assert clock.constant_rate(times, Fraction(25)) is None
    assert clock.constant_rate(times, None) is None


def test_periods_end_with_the_median() -> None:
    assert clock.periods(np.array([0, 40, 80, 200])).tolist() == [40, 40, 120, 40]
    assert clock.periods(np.array([0, 40, 90])).tolist() == [40, 50, 45]
    assert clock.periods(np.array([0, 40, 81])).tolist() == [40, 41, 40]
    assert clock.periods(np.array([7])).tolist() == [40_000]


def test_sample_index_is_the_nearest_sample_and_may_lie_outside() -> None:
    times = np.array([0, 31, 32, 1_000_000])
    assert clock.sample_index(times, 0, 16_000).tolist() == [0, 0, 1, 16_000]  # a sample lasts 62.5 us
    assert clock.sample_index(times, 500_000, 16_000).tolist() == [-8000, -8000, -7999, 8000]
