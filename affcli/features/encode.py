"""The loop over a clip's crops that every face encoder shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from affcli.faces.crops import Crops

_CROPS_AT_ONCE = 32


def encode_faces(
    encoder: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    crops: Crops,
    valid: NDArray[np.bool_],
) -> Iterator[NDArray[np.float32]]:
    """Vectors of crops (n, s, s, 3), in batches of (k, d) float32; zeros where `valid` (n,) is false.

    Only valid crops are read and reach the encoder, one batch at a time, so that `crops` may be a file of any length.
    """
    width = encoder(np.zeros((1, *crops.shape[1:]), np.uint8)).shape[1]
    for start in range(0, len(crops), _CROPS_AT_ONCE):
        here = valid[start : start + _CROPS_AT_ONCE]
        out = np.zeros((len(here), width), np.float32)
        if here.any():
            out[here] = encoder(crops[start + np.flatnonzero(here)])
        yield out
