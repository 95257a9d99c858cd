"""affcli info"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from affcli.cli.runs import Run
from affcli.errors import InputError

if TYPE_CHECKING:
    from affcli.tables import Table

MANY = 20  # entries of one list that text shows in full; --json shows all


def info(
    files: list[Path] = typer.Argument(
        ..., metavar="FILE", help="Tables (.parquet), arrays (.npy), or checkpoints (RUN, or RUN/last.json)."
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON object per file and line."),
) -> None:
    """Say what a file is, check that it is whole, and show how it was made; of a training, its learning curves too."""
    run = Run(len(files))
    for number, path in enumerate(files):
        with run.clip():
            described = _describe(path)
            if as_json:
                print(json.dumps(described, ensure_ascii=False, allow_nan=False))
            else:
                print("\n" * (number > 0) + "\n".join(_text(described)))
    run.leave()


def _describe(path: Path) -> dict[str, Any]:
    """One file as plain values."""
    from affcli.training.description import BEST, DESCRIPTION, DESCRIPTIONS

    if path.is_dir() and not (path / DESCRIPTION).exists() and (inside := sorted(path.glob("[!.]*.parquet"))):
        raise InputError(
            path, "is a directory of tables", expected="files", advice=f"name them: affcli info {inside[0]}"
        )
    if path.is_dir():
        return _checkpoint(path, BEST)
    if path.name in DESCRIPTIONS:
        return _checkpoint(path.parent, path.stem)
    if path.suffix == ".npy":
        return _array(path)
    if path.suffix == ".parquet":
        return _table(path)
    raise InputError(
        path,
        "is of no kind that affcli writes" if path.exists() else "does not exist",
        expected=f"a file .parquet or .npy, or a directory with {DESCRIPTION}",
        advice="check the path",
    )


def _table(path: Path) -> dict[str, Any]:
    import dataclasses

    from affcli import tables
    from affcli.arrays import array_path
    from affcli.schemas import TRACKS

    schema = tables.read_header(path).schema
    table = tables.read(path, schema)
    described = table.header.to_json()
    held = table.data.column_names
    if table.header.array is not None:
        tables.verify_array(path, table.header)
        file = array_path(path)
        described["array"] = {"name": file.name, "bytes": file.stat().st_size, **table.header.array}
    return {
        "path": str(path),
        "kind": "table",
        "schema": schema.name,
        "doc": schema.doc,
        "rows": table.data.num_rows,
        "columns": [dataclasses.asdict(one) for one in schema.columns if not one.optional or one.name in held],
        **({"tracks": _tracks(table)} if schema == TRACKS else {}),
        **described,
    }


def _tracks(table: Table) -> list[dict[str, Any]]:
    """What each track of a tracks table is: the numbers that --subject of extract-faces takes."""
    import numpy as np

    number, frame, seconds = table.column("track"), table.column("frame"), table.column("time_us") / 1e6
    width, middle = table.column("x2") - table.column("x1"), (table.column("x1") + table.column("x2")) / 2
    found = []
    for one in np.unique(number[~np.isnan(number)]).astype(int):
        rows = np.flatnonzero(number == one)
        found.append(
            {
                "track": int(one),
                "person": int(table.column("person")[rows[0]]),
                "frames": f"{frame[rows[0]]}-{frame[rows[-1]]}",
                "seconds": f"{seconds[rows[0]]:.2f}-{seconds[rows[-1]]:.2f}",
                "detections": len(rows),
                "width_px": round(float(width[rows].mean())),
                "middle_x_px": round(float(middle[rows].mean())),
            }
        )
    return found


def _array(path: Path) -> dict[str, Any]:
    from affcli import tables
    from affcli.arrays import open_array

    table = path.with_suffix(".parquet")
    if not path.exists():
        raise InputError(path, "does not exist", advice="check the path")
    if not table.exists():
        raise InputError(
            path, "stands alone", expected=f"{table.name} beside it", advice="copy both together, or make both again"
        )
    header = tables.read_header(table)
    found = open_array(table, header.array)
    tables.verify_array(table, header)
    return {
        "path": str(path),
        "kind": "array",
        "shape": list(found.shape),
        "dtype": str(found.dtype),
        "bytes": path.stat().st_size,
        "holds": header.schema.array.doc if header.schema.array else "",
        "table": table.name,
    }


def _checkpoint(run: Path, which: str) -> dict[str, Any]:
    """A checkpoint by its description alone, read without the network it describes."""
    from affcli.training.description import METRICS, check_tensors, read_description, read_metrics, tensors_path

    description = read_description(run, which)
    check_tensors(run, description, which)
    said = description.to_json()
    said.pop("state", None)  # of no use to people
    epochs = read_metrics(run) if (run / METRICS).exists() else []
    return {
        "path": str(run),
        "kind": "checkpoint",
        "bytes": tensors_path(run, which, description.epoch).stat().st_size,
        "epochs_trained": len(epochs),
        **said,
        "epochs": epochs,
    }


def _text(described: dict[str, Any]) -> Iterator[str]:
    """A description for people."""
    from affcli.cli.plot import learning

    rest = dict(described)
    yield rest.pop("path")
    epochs = rest.pop("epochs", [])
    if rest["kind"] == "table":
        yield from _table_text(rest)
    for name, value in rest.items():
        yield from _tree(name, value, 1)
    if epochs:
        yield learning(epochs)


def _table_text(rest: dict[str, Any]) -> Iterator[str]:
    """Schema, rows, columns and facts, each with its meaning; they are taken out of `rest`."""
    from affcli.schemas import SCHEMAS

    meaning = dict(SCHEMAS[rest["schema"]].facts)
    yield f"  {rest.pop('kind')} {rest.pop('schema')}, version {rest.pop('version')}: {rest.pop('doc')}"
    yield f"  rows: {rest.pop('rows')}"
    yield "  columns:"
    columns = rest.pop("columns")
    wide = {key: max(len(column[key]) for column in columns) for key in ("name", "type", "unit")}
    for column in columns:
        cells = " ".join(column[key].ljust(width) for key, width in wide.items())
        yield f"    {cells}  {column['doc']}"
    facts = rest.pop("facts")
    if facts:
        yield "  facts:"
    for name, value in facts.items():
        shown = list(_tree(name, value, 2))
        shown[0] += f"  ({meaning[name]})" if name in meaning else ""
        yield from shown


def _tree(name: str, value: Any, depth: int) -> Iterator[str]:
    """A value by name, and what is in it one step further in."""
    from affcli import recipes

    pad = "  " * depth
    if name == "bytes":
        yield f"{pad}size: {_size(value)}"
    elif isinstance(value, dict) and value and "step" in value:
        yield f"{pad}{name}: {value['step']} (affcli {value.get('affcli')})"
        config = value.get("config")
        settings = config if isinstance(config, dict) else {"config": config}
        for key, setting in {**settings, "weights": value.get("weights") or None}.items():
            if setting is not None:
                yield from _tree(key, setting, depth + 1)
        for parent in recipes.parents(value):
            yield from _tree("from", parent, depth + 1)
    elif isinstance(value, dict) and value:
        yield f"{pad}{name}:"
        for key in list(value)[:MANY]:
            yield from _tree(key, value[key], depth + 1)
        if len(value) > MANY:
            yield f"{pad}  ... and {len(value) - MANY} more"
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield f"{pad}{name}:"
        for entry in value[:MANY]:
            yield f"{pad}  {', '.join(f'{key} {_plain(item)}' for key, item in entry.items())}"
        if len(value) > MANY:
            yield f"{pad}  ... and {len(value) - MANY} more"
    else:
        yield f"{pad}{name}: {_plain(value)}"


def _plain(value: Any) -> str:
    if value in (None, "", [], {}):
        return "none"
    if isinstance(value, list) and len(value) > MANY:
        return f"{json.dumps(value[:MANY], ensure_ascii=False)} and {len(value) - MANY} more"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _size(count: int) -> str:
    """Bytes for people, in powers of 1000."""
    size, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.3g} {units[0]}"
