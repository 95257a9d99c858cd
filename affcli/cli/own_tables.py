"""Affect tables of several steps have the same names: none overwrites what another step wrote, or what it reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from affcli.errors import InputError, SchemaError, UsageError
from affcli.schemas import DIMENSIONS

PREDICTED = ("predict", "smooth")  # steps whose tables must not become labels
LABELLED = ("import-labels", "gold")  # steps whose tables are the truth


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


def spare_labels(path: Path, step: str, inputs: Sequence[dict[str, str]], *, force: bool) -> bool:
    """Whether labels stand at `path` that were made of files of these names when they held something else.

    `inputs` are what a table that is to stand there is made of.  Raises SchemaError where the one that does was made of
    files of other names and contents, which `force` replaces; or by another step than `step`, which nothing does.
    """
    from affcli import tables

    try:
        header = tables.read_header(path)
    except (InputError, SchemaError):
        return False  # absent, in pieces, or no table of ours
    if header.recipe.get("step") != step:
        spare_others(path, step)
    old, new = (
        {one.get("holds", ""): one for one in each if one.get("holds") != "times"} for each in (header.inputs, inputs)
    )
    pairs = [(old[holds], new[holds]) for holds in new if holds in old]
    curves = [[one for holds, one in each.items() if holds in ("", *DIMENSIONS)] for each in (old, new)]
    if not pairs and all(curves):  # one file of both here, a file for each dimension there
        known = [(one, other) for one in curves[0] for other in curves[1] if one.get("name") == other["name"]]
        pairs = known or [(curves[0][0], curves[1][0])]
    changed = [(one, other) for one, other in pairs if one.get("sha256") != other["sha256"]]
    for one, other in changed if not force else ():
        if one.get("name") != other["name"]:
            raise SchemaError(
                f"{path}, made of {one.get('name')}",  # so that of many clips the same is found, and said once
                f"{other['name']}, which is asked for now, holds something else",
                expected="the file that it was made of",
                advice="choose another directory, or replace what is there with --force",
                listed=path.name.removesuffix(".affect.parquet"),
            )
    return bool(changed) and not force


def was_read(path: Path) -> UsageError:
    """What to say of a file that is to be written and is read for it: run twice, a step would be done twice."""
    return UsageError(
        path, "is read, too, and would be lost", expected="another place to write to", advice="choose another --out"
    )


def spare_inputs(path: Path, sources: Iterable[str]) -> None:
    """Raise UsageError where `path` is one of the files that are read for it."""
    whole = path.resolve()
    if any(Path(source).resolve() == whole for source in sources):
        raise was_read(path)
