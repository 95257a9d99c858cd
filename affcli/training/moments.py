"""Mean and standard deviation of the columns of a feature set, of which a part is in memory at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError, some

log = logging.getLogger(__name__)


def moments(name: str, chunks: Iterator[NDArray[np.float64]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation (d,) over all rows, chunk joined to chunk (Chan, Golub and LeVeque 1979).

    Chunks are (m, d), of the feature set `name`.  A column that never changes has the standard deviation 1, and is told
    in a warning.  Raises InputError where there is no chunk.
    """
    count = 0
    mean = squares = low = high = np.zeros(0)
    for rows in chunks:
        new, here = len(rows), rows.mean(axis=0)
        spread = ((rows - here) ** 2).sum(axis=0)
        if count == 0:
            mean, squares, low, high = here, spread, rows.min(axis=0), rows.max(axis=0)
        else:
            apart = here - mean
            mean = mean + apart * (new / (count + new))
            squares = squares + spread + apart**2 * (count * new / (count + new))
            low, high = np.minimum(low, rows.min(axis=0)), np.maximum(high, rows.max(axis=0))
        count += new
    if count == 0:
        raise InputError(
            f"{name} features",
            "describe no frame of the training windows",
            expected="some valid frames",
            advice="leave these features out by naming the others with --encoder",
        )
    std = np.sqrt(squares / count).astype(np.float32)
    constant = (low == high) | (std == 0)  # equal values leave a rounding error in the sum of squares
    if constant.any():
        columns = some([str(one) for one in np.flatnonzero(constant)])
        log.warning(
            "%s features: %d of %d columns never change in the training windows, and tell nothing: %s",
            name, constant.sum(), len(constant), columns,
        )  # fmt: skip
    std[constant] = 1
    return mean.astype(np.float32), std
