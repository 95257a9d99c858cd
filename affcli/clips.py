"""Names of clips: where their tables stand, and where each begins and ends in a column."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from affcli.errors import InputError


def table_path(directory: Path, clip: str, kind: str) -> Path:
    """`directory/<clip>.<kind>.parquet`.  Raises InputError as `file_name` does."""
    return directory / f"{file_name(clip)}.{kind}.parquet"


def file_name(clip: str) -> str:
    """The clip's name, which may come from any file.  Raises InputError where it cannot safely be a file name."""
    safe = all(character.isalnum() or character in " ._-+=,()[]@~'!&" for character in clip)
    if not safe or not clip or clip[0] in ".-~ " or len(clip.encode()) > 200:
        raise InputError(
            f"clip {clip!r}",
            "cannot be a name of files",
            expected="letters, digits, blanks and ._-+=,()[]@~'!& (but no . - ~ or blank first), 200 bytes at most",
            advice="rename it",
        )
    return clip


def clip_runs(names: NDArray[Any]) -> Iterator[tuple[str, int, int]]:
    """Each unbroken run of equal names in a (rows,) column: name, first row, row after the last."""
    edges = np.flatnonzero(names[1:] != names[:-1]) + 1
    for start, stop in itertools.pairwise([0, *edges.tolist(), len(names)]):
        if stop > start:
            yield str(names[start]), start, stop


def column_runs(names: pa.ChunkedArray) -> Iterator[tuple[str, int, int]]:
    """`clip_runs` of a column of text; names are compared by number, since a string for every row takes long."""
    if not len(names):
        return
    coded = names.dictionary_encode().unify_dictionaries().combine_chunks()
    known = coded.dictionary.to_pylist()
    for code, start, stop in clip_runs(coded.indices.to_numpy()):
        yield known[int(code)], start, stop


def decoded(names: pa.ChunkedArray) -> NDArray[Any]:
    """A column of numbered names as those names, object (rows,); each is one string, however often it comes."""
    coded = names.unify_dictionaries().combine_chunks()
    return np.asarray(coded.dictionary.to_numpy(zero_copy_only=False)[coded.indices.to_numpy()])
