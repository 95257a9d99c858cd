"""Smoothing of predicted curves over time, clip by clip: centred windows that no lag comes from.

A window is so many seconds, by the times of the frames themselves, so that a clip whose frame rate varies is smoothed
alike throughout; or so many frames.  At the ends of a clip a window holds what there is of it.  Pure NumPy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from affcli.errors import UsageError
from affcli.schemas import DIMENSIONS

AUTO = "auto"  # in place of what `parse` reads: what each run's own training found best (affcli.training.tuning)
LONGEST = {"s": 3600.0, "": 100_001.0}  # a window beyond that is a slip, and would take very long
_CELLS_AT_ONCE = 1 << 16  # frames times frames of their windows that are worked on at a time, in the cache
_STRAIGHT = 1e-12  # times from -1 to 1 whose parabola has less energy than that tell it from rounding no more
_WORDS = f"METHOD:2s or METHOD:35 (frames), or {' and '.join(f'{name}=METHOD:2s' for name in DIMENSIONS)} with a comma"


@dataclass(frozen=True)
class Smoothing:
    """One curve's smoothing: a name in METHODS, and a window of so many seconds ("s") or frames ("")."""

    method: str
    window: float
    unit: str

    def __str__(self) -> str:
        """As it is written on the command line, always in the same way: `mean:2s`, `wiener:35`."""
        return f"{self.method}:{np.format_float_positional(self.window, trim='-')}{self.unit}"


def parse(text: str) -> dict[str, Smoothing]:
    """What `--smooth` asks for, by dimension; a dimension that is not smoothed is not in it.

    `mean:2s` smooths both, `valence=mean:2s,arousal=median:15` each in its way, and `none` nothing.  Raises UsageError
    where it says something else.

    >>> {name: str(one) for name, one in parse("valence=mean:2.0s,arousal=none").items()}
    {'valence': 'mean:2s'}
    """
    if "=" not in text:
        one = _parse_one(text, text)
        return {} if one is None else dict.fromkeys(DIMENSIONS, one)
    found: dict[str, Smoothing | None] = {}
    for part in text.split(","):
        name, _, rest = (piece.strip() for piece in part.partition("="))
        if name not in DIMENSIONS or name in found:
            what = f"{name} twice" if name in found else f"'{name}', which is no dimension"
            raise _wrong(text, f"names {what}", f"each of {' and '.join(DIMENSIONS)} at most once")
        found[name] = _parse_one(text, rest)
    return {name: found[name] for name in DIMENSIONS if found.get(name)}  # type: ignore[misc]


def canonical(smoothings: Mapping[str, Smoothing]) -> str:
    """`smoothings` as text that `parse` reads; what means the same is written the same."""
    written = {name: str(one) for name, one in smoothings.items()}
    if len(written) == len(DIMENSIONS) and len(set(written.values())) == 1:
        return next(iter(written.values()))
    return ",".join(f"{name}={one}" for name, one in written.items()) or "none"


def smooth(values: NDArray[np.float64], time_us: NDArray[np.int64], how: Smoothing) -> NDArray[np.float64]:
    """One curve (n,) over the increasing times of its frames (n,), smoothed: (n,).

    The window of a frame holds the frames at most half a window of seconds away from it, or `(window - 1) / 2` frames
    to either side.  For the methods see METHODS.
    """
    places, half = _places(time_us, how)
    if half == 0 or not len(values):
        return values.copy()
    return METHODS[how.method](values, places, half)


def smooth_known(values: NDArray[np.float64], time_us: NDArray[np.int64], how: Smoothing) -> NDArray[np.float64]:
    """As `smooth`, of a curve (n,) that is NaN in places: these stay NaN, and windows hold what is known in them."""
    known = ~np.isnan(values)
    places, half = _places(time_us, how)
    smoothed = values.copy()
    if half and known.any():
        smoothed[known] = METHODS[how.method](values[known], places[known], half)
    return smoothed


def _places(time_us: NDArray[np.int64], how: Smoothing) -> tuple[NDArray[np.int64], int]:
    """Where frames (n,) stand in the unit of a window, and half of the window: microseconds, or frames."""
    if how.unit == "s":
        return time_us.astype(np.int64), round(how.window * 1e6 / 2)
    return np.arange(len(time_us), dtype=np.int64), int(how.window) // 2


def smooth_both(
    affect: NDArray[np.float64], time_us: NDArray[np.int64], how: Mapping[str, Smoothing]
) -> NDArray[np.float64]:
    """Valence and arousal (n, 2) of the frames of a clip, each smoothed as `how` says of it: (n, 2)."""
    curves = [
        smooth(curve, time_us, how[name]) if name in how else curve
        for name, curve in zip(DIMENSIONS, affect.T, strict=True)
    ]
    return np.stack(curves, axis=-1)


def _windows(places: NDArray[np.int64], half: int) -> Iterator[_Windows]:
    """The windows of frames, all that are equally long in one or several pieces; every frame comes once."""
    first = np.searchsorted(places, places - half, side="left")
    count = np.searchsorted(places, places + half, side="right") - first
    by_size = np.argsort(count, kind="stable")
    for alike in np.split(by_size, np.flatnonzero(np.diff(count[by_size])) + 1):
        size = int(count[alike[0]])
        rows = max(1, _CELLS_AT_ONCE // size)
        for at in range(0, len(alike), rows):
            frames = alike[at : at + rows]
            yield _Windows(frames, first[frames], size)


@dataclass(frozen=True, eq=False)
class _Windows:
    """Windows of `size` frames that begin at the frames `first` (m,), each around its frame of `frames` (m,)."""

    frames: NDArray[np.intp]
    first: NDArray[np.intp]
    size: int

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """What values (n,) are in the windows: (m, size)."""
        return sliding_window_view(values, self.size)[self.first]

    def apart(self, places: NDArray[np.int64], half: int) -> NDArray[np.float64]:
        """How far the frames of a window are from its own, in half windows from -1 to 1: (m, size)."""
        return (self.of(places) - places[self.frames, None]) / half


def _mean(values: NDArray[np.float64], places: NDArray[np.int64], half: int) -> NDArray[np.float64]:
    smoothed = np.empty_like(values)
    for window in _windows(places, half):
        smoothed[window.frames] = window.of(values).mean(axis=1)
    return smoothed


def _median(values: NDArray[np.float64], places: NDArray[np.int64], half: int) -> NDArray[np.float64]:
    smoothed = np.empty_like(values)
    for window in _windows(places, half):
        smoothed[window.frames] = np.median(window.of(values), axis=1)
    return smoothed


def _gaussian(values: NDArray[np.float64], places: NDArray[np.int64], half: int) -> NDArray[np.float64]:
    """A mean whose weights fall off with a standard deviation of half a half window."""
    smoothed = np.empty_like(values)
    for window in _windows(places, half):
        weights = np.exp(-2 * window.apart(places, half) ** 2)
        smoothed[window.frames] = (weights * window.of(values)).sum(axis=1) / weights.sum(axis=1)
    return smoothed


def _savgol(values: NDArray[np.float64], places: NDArray[np.int64], half: int) -> NDArray[np.float64]:
    """The parabola that fits a window best, at its frame (Savitzky and Golay 1964; here at any times).

    It is a sum of polynomials that are orthogonal over the window's own times.  Where the frames of a window crowd at
    two points of time, which leave a parabola open, it is a line.  Through three frames or fewer a parabola passes, so
    they stay what they are.
    """
    smoothed = values.copy()
    for window in _windows(places, half):
        if window.size <= 3:
            continue
        inside, apart = window.of(values), window.apart(places, half)
        apart = apart / np.abs(apart).max(axis=1, keepdims=True)
        middle = apart.mean(axis=1, keepdims=True)
        line = apart - middle
        lengths = (line**2).sum(axis=1, keepdims=True)
        level, slope = (apart**2).mean(axis=1, keepdims=True), (apart**2 * line).sum(axis=1, keepdims=True) / lengths
        bow = apart**2 - level - slope * line
        bent = (bow**2).sum(axis=1, keepdims=True)
        bent[bent < _STRAIGHT] = np.inf
        at_frame = slope * middle - level  # the bow where the frame is, apart = 0
        smoothed[window.frames] = inside.mean(axis=1) + (
            (line * inside).sum(axis=1, keepdims=True) / lengths * -middle
            + (bow * inside).sum(axis=1, keepdims=True) / bent * at_frame
        ).squeeze(axis=1)
    return smoothed


def _wiener(values: NDArray[np.float64], places: NDArray[np.int64], half: int) -> NDArray[np.float64]:
    """Mean + (1 - noise / variance) (value - mean), or the mean where the variance is below the noise (Lim 1990).

    Mean and variance are those of the window; the noise is the mean variance over the clip.
    """
    mean, variance = np.empty_like(values), np.empty_like(values)
    for window in _windows(places, half):
        inside = window.of(values)
        mean[window.frames], variance[window.frames] = inside.mean(axis=1), inside.var(axis=1)
    noise = variance.mean()
    kept = np.where(variance > noise, 1 - noise / np.where(variance > noise, variance, 1), 0)
    smoothed: NDArray[np.float64] = mean + kept * (values - mean)
    return smoothed


METHODS: dict[str, Callable[[NDArray[np.float64], NDArray[np.int64], int], NDArray[np.float64]]] = {
    "mean": _mean,
    "median": _median,
    "gaussian": _gaussian,
    "savgol": _savgol,
    "wiener": _wiener,
}


def _parse_one(whole: str, text: str) -> Smoothing | None:
    """One `METHOD:WINDOW`, or None for `none`."""
    if text.strip() == "none":
        return None
    match = re.fullmatch(r"\s*(\w+):(\d+(?:\.\d*)?|\.\d+)(s?)\s*", text, re.ASCII)
    if not match:
        also = "none" if "=" in whole else f"none, {AUTO}"
        raise _wrong(whole, "is not what it takes", f"{also}, or {_WORDS}")
    method, number, unit = match[1], float(match[2]), match[3]
    if method not in METHODS:
        raise _wrong(whole, f"names '{method}', which is no method", f"one of {', '.join(METHODS)}")
    if not 0 < number <= LONGEST[unit] or not math.isfinite(number):
        raise _wrong(whole, f"has a window of {match[2]}{unit or ' frames'}", f"more than 0, at most {LONGEST[unit]:g}")
    if not unit and (not number.is_integer() or number % 2 == 0):
        raise _wrong(whole, f"has a window of {match[2]} frames", "an odd number of frames, or seconds such as 2s")
    return Smoothing(method, number, unit)


def _wrong(text: str, found: str, expected: str) -> UsageError:
    return UsageError(f"--smooth {text}", found, expected=expected, advice="correct it, or leave the option out")
