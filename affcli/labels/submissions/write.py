"""Challenge submissions as files: one of all clips, or one for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from affcli.clips import file_name
from affcli.files import explained, replacing, spare
from affcli.labels.affect import DIMENSIONS
from affcli.labels.submissions.form import Form
from affcli.labels.writing import plain

_ROWS_AT_ONCE = 1 << 15  # that are text of Python's at a time


@dataclass(frozen=True, eq=False)
class Written:
    """A file as it is to be: its place, its form, the values (n, columns), and the pictures of its rows, if any.

    Classes are whole numbers; valence and arousal as short as they are read back exactly, or with `digits` decimals,
    and never with an exponent.
    """

    path: Path
    form: Form
    values: NDArray[np.float64]
    pictures: pa.Array | None = None
    digits: int | None = None

    def text(self) -> Iterator[bytes]:
        """What it holds, some tens of thousands of rows at a time."""
        yield f"{self.form.header}\n".encode()
        for start in range(0, len(self.values), _ROWS_AT_ONCE):
            cells = [] if self.pictures is None else [self.pictures.slice(start, _ROWS_AT_ONCE).to_pylist()]
            for name, column in zip(self.form.columns, self.values[start : start + _ROWS_AT_ONCE].T, strict=True):
                cells.append(_decimals(column, self.digits) if name in DIMENSIONS else _classes(column))
            rows = "\n".join(map(",".join, zip(*cells, strict=True)))
            yield f"{rows}\n".encode()

    def is_there(self) -> bool:
        """Whether the file holds this to the last byte."""
        with explained(self.path), self.path.open("rb") as file:
            return all(file.read(len(part)) == part for part in self.text()) and not file.read(1)


def write_files(out: Path, files: Sequence[Written], *, force: bool) -> int:
    """Write files, all of them in the directory `out` or the one that is `out`; how many were not there already.

    Those that are there with the same bytes are left.  Raises UsageError, before any is written, where one is there
    with others, and `force` does not replace it; OutputError where one cannot be written.
    """
    there = {file.path for file in files if file.path.is_file() and file.is_there()}
    other = [file.path for file in files if file.path not in there and file.path.exists() and not file.path.is_dir()]
    spare(out, [] if force else other)
    for one in files:
        if one.path not in there:
            with replacing(one.path) as file:
                file.writelines(one.text())
    return len(files) - len(there)


def clip_path(directory: Path, clip: str) -> Path:
    """`directory/<clip>.txt`.  Raises InputError where the clip cannot be the name of a file."""
    return directory / f"{file_name(clip)}.txt"


def _decimals(column: NDArray[np.float64], digits: int | None) -> list[str]:
    """Numbers that every reader of decimals understands."""
    if digits is not None:
        return [f"{value:z.{digits}f}" for value in column.tolist()]
    return [plain(value) for value in (column + 0.0).tolist()]  # no minus before a zero


def _classes(column: NDArray[np.float64]) -> list[str]:
    return list(map(str, column.astype(np.int64).tolist()))
