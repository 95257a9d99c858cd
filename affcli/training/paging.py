"""Pages of files that are mapped into memory: announced before they are read, and let go of afterwards."""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray

_SPREAD = 4  # times as many items as are asked for, at most, lie between the first and the last of a stretch


def _stretch(array: object, rows: NDArray[np.int64]) -> tuple[mmap.mmap, int, int] | None:
    """The mapped file that an array is in, and the bytes of it, first and count, that hold its items `rows`, or None.

    The first byte begins a page of memory.  Rows below 0 stand for nothing; rows that are far apart have no stretch.
    """
    owner = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    wanted = rows[rows >= 0]
    if not isinstance(array, np.ndarray) or not isinstance(owner, mmap.mmap) or not len(wanted):
        return None
    low, high = int(wanted.min()), int(wanted.max())
    if not array.flags.c_contiguous or high - low >= _SPREAD * len(rows):
        return None
    step, base = array.strides[0], np.frombuffer(owner, np.uint8).ctypes.data
    first, stop = array.ctypes.data - base + low * step, array.ctypes.data - base + (high + 1) * step
    begin = first - first % mmap.PAGESIZE
    return owner, begin, stop - begin


def announce(array: object, rows: NDArray[np.int64]) -> None:
    """Ask the system to read the items `rows` of a mapped array, and no more, while others are worked on.

    Crops of 64 windows come from a disk in a quarter of the time: without, a fault reads neighbours nobody wants.
    """
    found = _stretch(array, rows)
    if found and hasattr(mmap, "MADV_WILLNEED"):
        found[0].madvise(mmap.MADV_WILLNEED, *found[1:])


def let_go(array: object, rows: NDArray[np.int64]) -> None:
    """Unmap the pages that the items `rows` of a mapped array are in; they stay in the page cache of the system.

    A process would seem to need as much memory as it has read of its files.  What may be written is left alone: of a
    private mapping this would throw away what was written.
    """
    found = _stretch(array, rows) if isinstance(array, np.ndarray) and not array.flags.writeable else None
    if found and hasattr(mmap, "MADV_DONTNEED"):
        found[0].madvise(mmap.MADV_DONTNEED, *found[1:])
