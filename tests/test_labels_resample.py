"""Ratings at times of their own, at the times of frames."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from affcli.labels.resample import Method, resample

NAN = float("nan")


def at(
    rating_us: list[int], values: list[float], frame_us: list[int], method: Method, delay_us: int = 0
) -> list[float]:
    made = resample(np.array(rating_us, np.int64), np.array(values), np.array(frame_us, np.int64), method, delay_us)
    assert made.dtype == np.float64
    return [float(value) for value in made]


def same(found: list[float], wanted: list[float]) -> None:
    np.testing.assert_array_equal(found, wanted)


def test_nearest_takes_the_nearest_and_the_earlier_of_two_equally_near() -> None:
    same(at([0, 100, 200], [1.0, 2.0, 3.0], [0, 49, 50, 51, 100, 150, 151, 200], "nearest"), [1, 1, 1, 2, 2, 2, 3, 3])


def test_linear_is_the_line_between_two() -> None:
    same(at([0, 100, 300], [0.0, 1.0, -1.0], [0, 25, 100, 150, 200, 300], "linear"), [0, 0.25, 1, 0.5, 0, -1])


@pytest.mark.parametrize("method", get_args(Method))
def test_nothing_is_said_before_the_first_and_after_the_last(method: Method) -> None:
    same(at([10, 20], [0.5, 0.5], [-1, 9, 10, 15, 20, 21], method), [NAN, NAN, 0.5, 0.5, 0.5, NAN])
    same(at([10], [0.5], [9, 10, 11], method), [NAN, 0.5, NAN])
    same(at([], [], [0, 1], method), [NAN, NAN])
    same(at([0], [0.5], [], method), [])


@pytest.mark.parametrize("method", get_args(Method))
def test_delay_moves_ratings_earlier(method: Method) -> None:
    # What was said at 2 s is of what was seen at 0 s; the last 2 s of the clip then have no rating.
    ratings, values = [0, 1_000_000, 2_000_000, 3_000_000], [0.0, 0.1, 0.2, 0.3]
    wanted = [0.2, 0.3, NAN, NAN]
    same(at(ratings, values, ratings, method, 2_000_000), wanted)


def test_a_missing_rating_is_not_bridged() -> None:
    ratings, values, frames = [0, 100, 200], [0.0, NAN, 1.0], [0, 40, 60, 100, 140, 160, 200]
    same(at(ratings, values, frames, "nearest"), [0, 0, NAN, NAN, NAN, 1, 1])
    same(at(ratings, values, frames, "linear"), [0, NAN, NAN, NAN, NAN, NAN, 1])


def test_late_times_are_exact() -> None:
    """Microseconds of an hour later do not fit a float32; a line between equal values never leaves them."""
    start = 3_600_000_000
    same(at([start, start + 2], [0.3, 0.3], [start, start + 1, start + 2], "linear"), [0.3, 0.3, 0.3])
    same(at([start, start + 3], [0.0, 1.0], [start + 1, start + 2], "nearest"), [0.0, 1.0])


def test_against_numpy_on_random_times() -> None:
    draw = np.random.default_rng(0)
    ratings = np.cumsum(draw.integers(1, 90_000, 500))
    values = draw.uniform(-1, 1, 500)
    frames = np.sort(draw.integers(ratings[0], ratings[-1] + 1, 2_000))
    np.testing.assert_allclose(
        resample(ratings, values, frames, "linear"), np.interp(frames, ratings, values), rtol=0, atol=1e-12
    )
    nearest = values[np.abs(frames[:, None] - ratings).argmin(axis=1)]
    np.testing.assert_array_equal(resample(ratings, values, frames), nearest)


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(ValueError, match="must increase"):
        at([0, 0], [0.1, 0.2], [0], "nearest")
    with pytest.raises(ValueError, match="expected"):
        at([0, 1], [0.1], [0], "nearest")
