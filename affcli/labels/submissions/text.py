"""The lines of a large text file as Arrow arrays: a million strings of Python would take many times their room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from affcli.labels.lines import decode, read_bytes

_BYTES_AT_ONCE = 1 << 21
_LINES_AT_ONCE = 1 << 15


def read_lines(path: Path, expected: str) -> list[pa.Array]:
    """The lines of a text file without their ends, some tens of thousands in each array.

    `expected` is what the message says of the file.  Raises InputError where it cannot be read, or is empty or no text.
    """
    return lines_of(read_bytes(path), str(path), expected)


def lines_of(content: bytes, source: str, expected: str) -> list[pa.Array]:
    """The lines of what the file `source` holds; otherwise as `read_lines`."""
    # Plain ASCII, as nearly all files are, need not become a string of many megabytes to be known for text.
    if not content.isascii() or b"\0" in content or not content[:1].strip():
        content = decode(content, source, expected).encode()
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found, start = [], 0
    while start < len(content):
        stop = content.find(b"\n", start + _BYTES_AT_ONCE) + 1 or len(content)
        piece = content[start:stop].removesuffix(b"\n") + b"\n"
        ends = np.flatnonzero(np.frombuffer(piece, np.uint8) == ord("\n")) + 1
        edges = pa.py_buffer(np.concatenate(([0], ends)))
        whole = pa.LargeStringArray.from_buffers(len(ends), edges, pa.py_buffer(piece))
        found.append(pc.ascii_rtrim(whole, "\n"))
        start = stop
    return found


def blocks(lines: pa.Array) -> Iterator[pa.Array]:
    """The lines, some tens of thousands at a time, so that what is made of them on the way takes little room."""
    for start in range(0, len(lines), _LINES_AT_ONCE):
        yield lines.slice(start, _LINES_AT_ONCE)


def joined(parts: list[pa.Array]) -> pa.Array:
    """Texts as one array; the parts are gone then."""
    whole = pa.concat_arrays([pa.nulls(0, pa.large_string()), *parts])
    parts.clear()
    return whole


def split_first(
    lines: pa.Array, mark: str = ",", *, last: bool = False
) -> tuple[pa.Array, pa.Array, NDArray[np.bool_]]:
    """What stands before the first `mark` in each line, what behind it, and whether there is one: else all is before.

    With `last`, at the last one.
    """
    parts = pc.split_pattern(lines, mark, max_splits=1, reverse=last)
    edges, cells = parts.offsets.to_numpy(), parts.flatten()
    edges = edges - edges[0]
    found = np.diff(edges) == 2
    rests = cells.take(pa.array(edges[:-1] + 1, mask=None if found.all() else ~found))
    return cells.take(pa.array(edges[:-1])), rests.fill_null(""), found


def has_text(lines: pa.Array) -> NDArray[np.bool_]:
    """Which lines hold anything but blanks."""
    found: NDArray[np.bool_] = pc.not_equal(pc.utf8_trim_whitespace(lines), "").to_numpy(zero_copy_only=False)
    return found


def replaced(lines: pa.Array, at: NDArray[np.int64], by: pa.Array) -> pa.Array:
    """The lines with those `at` increasing places replaced."""
    mask = np.zeros(len(lines), np.bool_)
    mask[at] = True
    return pc.replace_with_mask(lines, mask, by)
