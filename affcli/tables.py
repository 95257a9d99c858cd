"""Read, write, check and stamp tables (Parquet) and the arrays beside them (NPY).

A table is written aside and renamed when it is whole, after its array, so that a table that exists is complete.
What it says of itself stands in its header: see `affcli.headers`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from affcli.arrays import ArrayFile, array_path, open_array
from affcli.clips import column_runs, decoded
from affcli.errors import InputError, OutputError, SchemaError
from affcli.files import aside, explained, open_aside
from affcli.headers import METADATA_KEY as METADATA_KEY
from affcli.headers import Header, read_kind, unreadable
from affcli.headers import find as find
from affcli.headers import read_header as read_header
from affcli.recipes import Recipe, digest
from affcli.schemas import Schema


@dataclass(frozen=True)
class Table:
    """A checked table."""

    path: Path
    header: Header
    data: pa.Table

    def column(self, name: str) -> NDArray[Any]:
        """One column, (rows,); nulls become NaN, and integers with nulls float64; so does an optional one not there."""
        if name not in self.data.column_names and name in _optional(self.header.schema):
            return np.full(self.data.num_rows, np.nan)
        column = self.data.column(name)
        return decoded(column) if pa.types.is_dictionary(column.type) else np.asarray(column.to_numpy())

    @property
    def clip(self) -> str:
        """The clip of a per-clip table ("" where it has no row)."""
        return self.data.column("clip")[0].as_py() if self.data.num_rows else ""

    def array(self) -> NDArray[Any]:
        """The array beside the table, memory-mapped, checked against what the table says of it."""
        return open_array(self.path, self.header.array)


def arrow_schema(schema: Schema, held: Container[str] | None = None) -> pa.Schema:
    """The Arrow schema, with each column's unit and meaning inside.

    With `held`, the names of a table's columns, it has only those optional columns that are among them.
    """
    return pa.schema(
        pa.field(
            column.name,
            pa.type_for_alias(column.type),
            nullable=column.null,
            metadata={"unit": column.unit, "doc": column.doc},
        )
        for column in schema.columns
        if held is None or not column.optional or column.name in held
    )


class Writer:
    """Writes one table and its array: `append` items as they come, then `finish` with the columns.

    A context manager.  Left before `finish`, by an exception or Ctrl-C, it leaves nothing behind and what stood at
    `path` as it was.  Raises OutputError where the disk is full, the place cannot be written, or another process is
    writing the same table.
    """

    def __init__(self, path: Path, schema: Schema, *, recipe: Recipe, inputs: list[dict[str, str]]) -> None:
        self.path = path
        self.schema = schema
        self.recipe = recipe
        self.inputs = inputs
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open_aside(path)
        self._array = ArrayFile(aside(array_path(path))) if schema.array else None
        self._finished = False

    def __enter__(self) -> Writer:
        return self

    def append(self, items: NDArray[Any]) -> None:
        """Add (k, ...) items to the array."""
        if self._array is None or self.schema.array is None:
            raise TypeError(f"a {self.schema.name} table has no array")
        if items.dtype != np.dtype(self.schema.array.dtype):
            raise TypeError(f"{self.schema.name}: {items.dtype} items, expected {self.schema.array.dtype}")
        with explained(self.path):
            self._array.append(items)

    def finish(self, columns: Mapping[str, ArrayLike], facts: Mapping[str, Any]) -> None:
        """Check the columns, write everything aside, then rename the array and, last, the table.

        Of optional columns, those are written that are in `columns`.
        """
        fields = arrow_schema(self.schema, columns)
        made = [_arrow_column(columns[name], fields.field(name).type) for name in fields.names]
        data = pa.table(made, names=fields.names)
        described = None
        with explained(self.path):
            if self._array is not None:
                described = self._array.close()
        header = Header(self.schema, self.recipe, self.inputs, dict(facts), described, self.schema.version)
        _check(self.path, self.schema, data, described)
        stamped = pa.table(made, schema=fields).replace_schema_metadata(
            {METADATA_KEY: json.dumps(header.to_json(), allow_nan=False, separators=(",", ":"))}
        )
        with explained(self.path):
            pq.write_table(stamped, self._file, compression="zstd")
            self._file.flush()
            if self._array is not None:
                # An old table must not describe the new array, not even for a moment.
                self.path.unlink(missing_ok=True)
                self._array.path.replace(array_path(self.path))
            aside(self.path).replace(self.path)
        self._finished = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._array is not None:
            self._array.discard()
        if not self._finished:
            aside(self.path).unlink(missing_ok=True)
        # A full disk fails once more when the rest is flushed; the file is gone in any case.
        with contextlib.suppress(OSError):
            self._file.close()


def write(
    path: Path,
    schema: Schema,
    columns: Mapping[str, ArrayLike],
    *,
    recipe: Recipe,
    inputs: list[dict[str, str]],
    facts: Mapping[str, Any],
    array: NDArray[Any] | None = None,
) -> None:
    """Write a table, and its array, in one go."""
    with Writer(path, schema, recipe=recipe, inputs=inputs) as out:
        if array is not None:
            out.append(array)
        out.finish(columns, facts)


def read(path: Path, schema: Schema) -> Table:
    """Read and check a table.

    Raises InputError and SchemaError as `read_header` does, and SchemaError where the table is of another kind, breaks
    its own rules, or does not state a fact that its kind states.
    """
    header = read_kind(path, schema)
    required = schema.required_facts if header.version == schema.version else ()
    if missing := [name for name in required if name not in header.facts]:
        raise SchemaError(
            path,
            f"does not say its {' and '.join(missing)}",
            expected=f"the facts of a {schema.name} table",
            advice="make it again with the step that wrote it",
        )
    try:
        # read_table would load pyarrow.dataset, and with it pandas; a dictionary keeps the name of a clip once.
        data = pq.ParquetFile(path, read_dictionary=["clip"]).read()
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path) from error
    data = _completed(data, schema, header.version)
    _check(path, schema, data, header.array)
    return Table(path, header, data)


def verify_array(path: Path, header: Header) -> None:
    """Read the whole array of the table at `path`, if it has one.

    Raises SchemaError where its SHA-256 is not the recorded one, and as `open_array` does.
    """
    if header.array is None:
        return
    open_array(path, header.array)
    if (found := digest(array_path(path))) != header.array["sha256"]:
        raise SchemaError(
            array_path(path),
            f"is not the array that {path.name} was written with (SHA-256 {found[:12]}...)",
            expected=f"{header.array['sha256'][:12]}...",
            advice="make both again",
        )


def keep(
    path: Path,
    schema: Schema,
    recipe: Recipe,
    inputs: list[dict[str, str]],
    unless: str = "",
    facts: Mapping[str, Any] | None = None,
) -> bool:
    """Whether a whole table made the same way from the same inputs stands at `path` already.

    If so it and its array are touched, so that Make does not ask for them again, and what a killed run left beside
    them is removed.  `unless` names a fact of the table that, where it is true, forbids keeping it; `facts` are some
    that it must state.
    """
    if not path.exists():
        return False
    try:
        header = read_header(path)
        if header.array is not None:
            open_array(path, header.array)
    except (InputError, SchemaError):
        return False  # damaged or foreign: it will be made again
    made = (header.schema, header.version, header.recipe, header.inputs)
    if made != (schema, schema.version, recipe, inputs) or header.facts.get(unless):
        return False
    if any(header.facts.get(name) != value for name, value in (facts or {}).items()):
        return False
    _discard_orphans(path)
    if header.array is not None:
        os.utime(array_path(path))
    os.utime(path)
    return True


def _discard_orphans(path: Path) -> None:
    """Remove what a killed run left beside the table at `path`, unless a living one is writing it."""
    if aside(path).exists():
        with contextlib.suppress(OutputError), open_aside(path):
            aside(array_path(path)).unlink(missing_ok=True)
            aside(path).unlink()


def _check(path: Path, schema: Schema, data: pa.Table, array: dict[str, Any] | None) -> None:
    """Raise SchemaError where a table breaks the rules of its schema."""

    def refuse(found: str, expected: str) -> SchemaError:
        return SchemaError(path, found, expected=expected, advice="make the table again with the step that wrote it")

    wanted = arrow_schema(schema, data.column_names)
    types = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in data.schema.types]
    if data.schema.names != wanted.names or types != wanted.types:
        have = ", ".join(f"{name} {kind}" for name, kind in zip(data.schema.names, types, strict=True))
        raise refuse(f"columns {have}", ", ".join(f"{f.name} {f.type}" for f in wanted))
    for column in schema.columns:
        if not column.null and data.column(column.name).null_count:
            raise refuse(f"column {column.name} has nulls", "a value in every row")
    if schema.by_frame:
        frames = data.column("frame").to_numpy()
        for clip, start, stop in column_runs(data.column("clip")):
            if not np.array_equal(frames[start:stop], np.arange(stop - start)):
                raise refuse(f"frames of clip {clip} are not 0, 1, 2, ...", "one row per decoded frame, in order")
            times = data.column("time_us").slice(start, stop - start)
            if times.null_count == 0 and (np.diff(times.to_numpy()) <= 0).any():
                raise refuse(f"times of clip {clip} do not increase", "each frame later than the one before")
    if array is not None and schema.array and schema.array.by_row:
        items, wanted_items = array["shape"][0], data.num_rows
        if schema.array.ends and (ends := data.column(schema.array.ends).drop_null()):
            wanted_items = ends[-1].as_py()
        if items != wanted_items:
            raise refuse(f"{data.num_rows} rows beside an array of {items} items", f"{wanted_items} items")


def _completed(data: pa.Table, schema: Schema, version: int) -> pa.Table:
    """A table of an earlier version with the columns that came later."""
    for place, column in enumerate(schema.columns):
        if column.since > version and column.name not in data.column_names:
            field = arrow_schema(schema).field(column.name)
            values = pa.array([column.before] * data.num_rows, type=field.type)
            data = data.add_column(place, field, values)
    return data


def _optional(schema: Schema) -> set[str]:
    """The columns that a table of this kind may lack."""
    return {column.name for column in schema.columns if column.optional}


def _arrow_column(values: ArrayLike, kind: pa.DataType) -> pa.Array:
    """One column as Arrow; NaN becomes null."""
    array = np.asarray(values)
    if array.dtype == object:
        return pa.array(array.tolist(), type=kind)
    return pa.array(array, type=kind, from_pandas=True)
