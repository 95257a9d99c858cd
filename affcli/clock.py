"""Frames, samples and seconds on one clock: whole microseconds, reached through exact rationals.

Frame times are the container's presentation timestamps; nothing here or later multiplies a frame number by
a nominal frame rate unless every timestamp of the clip agrees with it.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

MICROSECONDS = 1_000_000


def to_microseconds(ticks: int, time_base: Fraction) -> int:
    """`ticks` of `time_base` seconds as whole microseconds, rounded half up, without going through a float."""
    scaled = ticks * time_base * MICROSECONDS
    return (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)


def frame_times(count: int, rate: Fraction, start_us: int = 0) -> NDArray[np.int64]:
    """Times of `count` frames at a constant `rate` per second from `start_us`: (n,) int64 microseconds."""
    step = 2 * MICROSECONDS * rate.denominator
    fits = (count + 1) * step + rate.numerator < 2**63
    numbers = np.arange(count, dtype=np.int64 if fits else object)
    return np.asarray(start_us + (numbers * step + rate.numerator) // (2 * rate.numerator), dtype=np.int64)


def frames_within(samples: int, sample_rate: int, rate: Fraction) -> int:
    """How many frames at a constant `rate`, the first one with the first sample, begin before the sound is over."""
    return -(-samples * rate.numerator // (sample_rate * rate.denominator))


def constant_rate(time_us: NDArray[np.int64], rate: Fraction | None, tolerance_us: int = 1) -> Fraction | None:
    """`rate` where every one of the (n,) times agrees with it to `tolerance_us`, else None."""
    if rate is None or rate <= 0 or len(time_us) == 0:
        return None
    expected = frame_times(len(time_us), rate, int(time_us[0]))
    return rate if np.abs(expected - time_us).max() <= tolerance_us else None


def periods(time_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """How long each of the (n,) frames stands, in microseconds; the last one stands as long as the median.

    A lone frame has no neighbour to tell its period from and is given one 25th of a second.
    """
    if len(time_us) < 2:
        return np.full(len(time_us), MICROSECONDS // 25, dtype=np.int64)
    gaps = np.diff(time_us)
    ordered = np.sort(gaps)  # numpy.median would load numpy.ma
    median = (ordered[(len(gaps) - 1) // 2] + ordered[len(gaps) // 2]) // 2
    return np.append(gaps, median)


def sample_index(time_us: NDArray[np.int64], start_us: int, sample_rate: int) -> NDArray[np.int64]:
    """Index of the sample nearest each time, in a waveform whose first sample is at `start_us`.

    Shapes (n,) to (n,), int64.  The index may be negative or past the end: there, no sound exists.
    """
    return (2 * (time_us - start_us) * sample_rate + MICROSECONDS) // (2 * MICROSECONDS)
