"""Smoothing of predicted curves over time, clip by clip: centred windows that no lag comes from.

A window is so many seconds, by the times of the frames themselves, so that a clip whose frame rate varies is smoothed
alike throughout; or so many frames.  At the ends of a clip a window holds what there is of it.  Pure NumPy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.errors import UsageError

DIMENSIONS = ("valence", "arousal")
LONGEST = {"s": 3600.0, "": 100_001.0}  # a window beyond that is a slip, and would take very long
_CELLS_AT_ONCE = 1 << 20  # frames times frames of their windows that are in memory at a time
_STRAIGHT = 1e-12  # times from -1 to 1 whose parabola has less energy than that tell it from rounding no more
_WORDS = f"METHOD:2s or METHOD:35 (frames), or {' and '.join(f'{name}=METHOD:2s' for name in DIMENSIONS)} with a comma"

Gathered = tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]  # frames (m,), values, places (m, w)


@dataclass(frozen=True)
class Smoothing:
    """One curve's smoothing: a name in METHODS, and a window of so many seconds ("s") or frames ("")."""

    method: str
    window: float
    unit: str

    def __str__(self) -> str:
        """As it is written on the command line, always in the same way: `mean:2s`, `wiener:35`."""
        return f"{self.method}:{int(self.window) if self.window.is_integer() else self.window}{self.unit}"


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


def canonical(smoothings: dict[str, Smoothing]) -> str:
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
    if how.unit == "s":
        places, half = time_us.astype(np.int64), round(how.window * 1e6 / 2)
    else:
        places, half = np.arange(len(values), dtype=np.int64), int(how.window) // 2
    if half == 0:
        return values.copy()
    return METHODS[how.method](values, places, half)


def _windows(values: NDArray[np.float64], places: NDArray[np.int64], half: int) -> Iterator[Gathered]:
    """Frames whose windows are equally long, with the values in these and their places in half windows from -1 to 1.

    Every frame comes once.
    """
    first = np.searchsorted(places, places - half, side="left")
    count = np.searchsorted(places, places + half, side="right") - first
    for size in np.unique(count):
        frames = np.flatnonzero(count == size)
        rows = max(1, _CELLS_AT_ONCE // int(size))
        for at in range(0, len(frames), rows):
            here = frames[at : at + rows]
            inside = first[here, None] + np.arange(size)
            yield here, values[inside], (places[inside] - places[here, None]) / half


def _mean(values: NDArray[np.float64], places: NDArray[np.int64], half: int) -> NDArray[np.float64]:
    smoothed = np.empty_like(values)
    for frames, inside, _ in _windows(values, places, half):
        smoothed[frames] = inside.mean(axis=1)
    return smoothed


def _median(values: NDArray[np.float64], places: NDArray[np.int64], half: int) -> NDArray[np.float64]:
    smoothed = np.empty_like(values)
    for frames, inside, _ in _windows(values, places, half):
        smoothed[frames] = np.median(inside, axis=1)
    return smoothed


def _gaussian(values: NDArray[np.float64], places: NDArray[np.int64], half: int) -> NDArray[np.float64]:
    """A mean whose weights fall off with a standard deviation of half a half window."""
    smoothed = np.empty_like(values)
    for frames, inside, apart in _windows(values, places, half):
        weights = np.exp(-2 * apart**2)
        smoothed[frames] = (weights * inside).sum(axis=1) / weights.sum(axis=1)
    return smoothed


def _savgol(values: NDArray[np.float64], places: NDArray[np.int64], half: int) -> NDArray[np.float64]:
    """The parabola that fits a window best, at its frame (Savitzky and Golay 1964; here at any times).

    It is a sum of polynomials that are orthogonal over the window's own times.  Where the frames of a window crowd at
    two points of time, which leave a parabola open, it is a line.  Through three frames or fewer a parabola passes, so
    they stay what they are.
    """
    smoothed = values.copy()
    for frames, inside, apart in _windows(values, places, half):
        if inside.shape[1] <= 3:
            continue
        apart = apart / np.abs(apart).max(axis=1, keepdims=True)
        middle = apart.mean(axis=1, keepdims=True)
        line = apart - middle
        lengths = (line**2).sum(axis=1, keepdims=True)
        level, slope = (apart**2).mean(axis=1, keepdims=True), (apart**2 * line).sum(axis=1, keepdims=True) / lengths
        bow = apart**2 - level - slope * line
        bent = (bow**2).sum(axis=1, keepdims=True)
        bent[bent < _STRAIGHT] = np.inf
        at_frame = slope * middle - level  # the bow where the frame is, apart = 0
        smoothed[frames] = inside.mean(axis=1) + (
            (line * inside).sum(axis=1, keepdims=True) / lengths * -middle
            + (bow * inside).sum(axis=1, keepdims=True) / bent * at_frame
        ).squeeze(axis=1)
    return smoothed


def _wiener(values: NDArray[np.float64], places: NDArray[np.int64], half: int) -> NDArray[np.float64]:
    """Mean + (1 - noise / variance) (value - mean), or the mean where the variance is below the noise (Lim 1990).

    Mean and variance are those of the window; the noise is the mean variance over the clip.
    """
    mean, variance = np.empty_like(values), np.empty_like(values)
    for frames, inside, _ in _windows(values, places, half):
        mean[frames], variance[frames] = inside.mean(axis=1), inside.var(axis=1)
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
        raise _wrong(whole, "is not what it takes", f"none, or {_WORDS}")
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
