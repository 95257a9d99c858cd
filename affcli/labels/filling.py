"""What stands in a frame without a prediction, where somebody asks for one there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MISSING = ("error", "hold", "interpolate", "zero")


def filled(values: NDArray[np.float64], missing: str, *, classes: bool = False) -> NDArray[np.float64]:
    """`values`, (n,), with NaN filled in.

    "hold" takes the value before it (the first one, where none is before); "interpolate" the straight line between its
    neighbours, by frame number, and the nearest value at the ends; of `classes`, which have no line between them, the
    nearest value, the earlier of two; "zero" 0.

    Raises ValueError where every value is NaN, and "zero" is not asked for; or `missing` is none of these.
    """
    if missing not in MISSING[1:]:
        raise ValueError(f"missing={missing}, expected one of {', '.join(MISSING[1:])}")
    if missing == "zero":
        return np.nan_to_num(values, nan=0.0)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        raise ValueError("no value to fill from")
    frames = np.arange(len(values))
    if missing == "interpolate" and not classes:
        return np.interp(frames, known, values[known])
    before = known[np.maximum(np.searchsorted(known, frames, side="right") - 1, 0)]
    if missing == "hold":
        return values[before]
    after = known[np.minimum(np.searchsorted(known, frames), len(known) - 1)]
    return values[np.where(np.abs(after - frames) < np.abs(frames - before), after, before)]
