"""Clips drawn, joined and left out: what the bootstrap, the jackknife and permutations are made of; pure NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from affcli.sums import Array, Statistic

CELLS = 2**20  # resamples are made in chunks of so many clips: 8 MiB an array


def grouped(sums: ArrayLike, groups: Sequence[object] | None) -> Array:
    """Sums (m, ...) as float64, of each group where there are `groups`, in order of their first clips."""
    rows = np.asarray(sums, np.float64)
    if rows.ndim < 2 or not len(rows) or not np.isfinite(rows).all():
        raise ValueError(f"sums of shape {rows.shape}, expected (m, ...), finite, with a row for each clip")
    if groups is None:
        return rows
    if len(groups) != len(rows):
        raise ValueError(f"{len(groups)} groups, expected one for each of {len(rows)} clips")
    place: dict[object, int] = {}
    places = [place.setdefault(label, len(place)) for label in groups]
    joined = np.zeros((len(place), *rows.shape[1:]))
    np.add.at(joined, places, rows)
    return joined


def chunks(count: int, m: int) -> Iterator[tuple[int, int]]:
    """The first, and how many, of each chunk of `count` sets of m clips."""
    size = max(1, CELLS // m)
    for first in range(0, count, size):
        yield first, min(size, count - first)


def resampled(rows: Array, function: Statistic, resamples: int, seed: int) -> Array:
    """The figures of `resamples` draws of m of the m rows: (resamples, k); of a single row none are drawn."""
    if resamples < 1:
        raise ValueError(f"resamples={resamples}, expected at least 1")
    m, random = len(rows), np.random.default_rng(seed)
    found = [function(rows[:0])]
    for _, size in chunks(resamples if m > 1 else 0, m):
        drawn = random.integers(0, m, (size, m)) + np.arange(size)[:, None] * m
        times = np.bincount(drawn.ravel(), minlength=size * m).reshape(size, m).astype(np.float64)
        found.append(function((times @ rows.reshape(m, -1)).reshape(size, *rows.shape[1:])))
    return np.concatenate(found)


def of_all(rows: Array, function: Statistic) -> Array:
    """The figures of all rows: (k,)."""
    return np.asarray(function(rows.sum(axis=0, keepdims=True))[0])


def left_out(rows: Array, function: Statistic) -> Array:
    """The figures without each row: (m, k).  Sums of what is before and behind it, so that nothing cancels."""
    none = np.zeros_like(rows[:1])
    before = np.cumsum(np.concatenate([none, rows[:-1]]), axis=0)
    behind = np.cumsum(np.concatenate([none, rows[:0:-1]]), axis=0)[::-1]
    return function(before + behind)
