"""Challenge submissions as files: one of all clips, or one for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from affcli.clips import file_name
from affcli.files import replacing
from affcli.labels.affect import DIMENSIONS
from affcli.labels.submissions.form import Form
from affcli.labels.submissions.sample import Sample
from affcli.labels.writing import plain

_ROWS_AT_ONCE = 1 << 15  # that are text of Python's at a time


def write_submission(path: Path, sample: Sample, values: NDArray[np.float64], digits: int | None = None) -> None:
    """Write a submission in one file: `values` (n, columns), by the rows of the sample.

    Classes as whole numbers; valence and arousal as short as they are read back exactly, or with `digits` decimals, and
    never with an exponent.
    Raises OutputError where it cannot be written.
    """
    _write(path, sample.form, values, sample.pictures, digits)


def write_clip(path: Path, form: Form, values: NDArray[np.float64], digits: int | None = None) -> None:
    """Write the file of one clip, laid out like its labels: `values` (n, columns).  Otherwise as `write_submission`."""
    _write(path, form, values, None, digits)


def clip_path(directory: Path, clip: str) -> Path:
    """`directory/<clip>.txt`.  Raises InputError where the clip cannot be the name of a file."""
    return directory / f"{file_name(clip)}.txt"


def _write(path: Path, form: Form, values: NDArray[np.float64], pictures: pa.Array | None, digits: int | None) -> None:
    with replacing(path) as file:
        file.write(f"{form.header}\n".encode())
        for start in range(0, len(values), _ROWS_AT_ONCE):
            cells = [] if pictures is None else [pictures.slice(start, _ROWS_AT_ONCE).to_pylist()]
            for name, column in zip(form.columns, values[start : start + _ROWS_AT_ONCE].T, strict=True):
                cells.append(_decimals(column, digits) if name in DIMENSIONS else _classes(column))
            rows = "\n".join(map(",".join, zip(*cells, strict=True)))
            file.write(f"{rows}\n".encode())


def _decimals(column: NDArray[np.float64], digits: int | None) -> list[str]:
    """Numbers that every reader of decimals understands."""
    if digits is not None:
        return [f"{value:z.{digits}f}" for value in column.tolist()]
    return [plain(value) for value in (column + 0.0).tolist()]  # no minus before a zero


def _classes(column: NDArray[np.float64]) -> list[str]:
    return list(map(str, column.astype(np.int64).tolist()))
