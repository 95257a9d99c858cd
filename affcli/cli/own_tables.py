"""Affect tables of several steps have the same names: none overwrites what another step wrote, or what it reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from affcli.errors import InputError, SchemaError, UsageError

PREDICTED = ("predict", "smooth")  # steps whose tables must not become labels


def spare_others(path: Path, step: str) -> None:
    """Raise SchemaError where a table that another step than `step` wrote stands at `path`."""
    from affcli import tables

    try:
        found = tables.read_header(path).recipe.get("step")
    except InputError:
        return  # absent, or in pieces
    if found != step:
        raise SchemaError(
            path,
            f"was written by the step '{found}'",
            expected=f"a table of the step {step}, or no file",
            advice="write to a directory of its own (--force does not overwrite other tables)",
        )


def spare_inputs(path: Path, sources: Iterable[str]) -> None:
    """Raise UsageError where `path` is one of the files that are read for it: run twice, a step would be done twice."""
    whole = path.resolve()
    if any(Path(source).resolve() == whole for source in sources):
        raise UsageError(
            path, "is read, too, and would be lost", expected="another place to write to", advice="choose another --out"
        )
