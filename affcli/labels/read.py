"""Affect from whatever holds it: a text file, a table, or a directory of either."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import BinaryIO

import numpy as np

from affcli import tables
from affcli.clips import clip_runs
from affcli.labels import csv
from affcli.labels.affect import DIMENSIONS, Affect, distinct, from_table
from affcli.labels.files import TABLE, affect_files
from affcli.labels.lines import read_bytes
from affcli.labels.scales import PLAIN, Reading, Scale
from affcli.schemas import AFFECT


def read_affect(path: Path, *, scale: Scale | None = None, beyond: bool = False) -> list[Affect]:
    """The clips of an affect table, a CSV or Aff-Wild2 text file, or a directory of files of one of these kinds.

    A directory that holds none of them itself is searched to its depths; what is hidden is passed over.

    Of text, valence and arousal alone: a column `expression` of foreign CSV may be anything.  An empty cell is not
    annotated.  The numbers of text are, as `labels.scales.Reading` tells,

    * -1 to 1, and what is below -1 is not annotated, where nothing is said;
    * on the `scale`, from which they are converted to -1..1; what is off it is an error.  -5 is not annotated, but on a
      scale that reaches below -1, where it is a value like others (and, on -2:2, off the scale);
    * with `beyond`, not refused where they are past -1 or 1, or off the scale: 1.2 and -1.2 are values, and what is
      not annotated is -5 exactly, unless the scale reaches below -1.  `Affect` then holds values past -1 and 1.

    Tables are -1 to 1 by definition: neither changes them (`holds_tables` says which a path is).

    Raises InputError where there is nothing to read, where kinds are mixed, where a file is malformed (with the line)
    or a clip comes twice; SchemaError where a table is of another kind.
    """
    reading = Reading(scale, beyond)
    if path.is_dir():
        files = affect_files(path)
        tabular = files[0].name.endswith(TABLE)
        clips = (clip for file in files for clip in (read_table(file) if tabular else _read_text(file, reading)))
        # In a directory the file names are the clips' names, whatever else there is to go by.
        return distinct(dataclasses.replace(clip, named=True) for clip in clips)
    if path.suffix == ".parquet":
        return read_table(path)
    content = read_bytes(path)
    return read_table(path) if content.startswith(b"PAR1") else _parse(path, content, reading=reading)


def holds_tables(path: Path) -> bool:
    """Whether `path` is an affect table or a directory of them, whose values are -1 to 1; else it is text.

    Raises InputError as `read_affect` where it can be neither.
    """
    if path.is_dir():
        return affect_files(path)[0].name.endswith(TABLE)
    if path.suffix == ".parquet":
        return True
    return beginning(path, 4) == b"PAR1"


def beginning(path: Path, count: int) -> bytes:
    """The first `count` bytes of a file; none of what cannot be read, as its reader will say, and of a pipe.

    What is taken from a pipe would not be there to be read.
    """
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""


def read_table(path: Path) -> list[Affect]:
    """The clips of one affect table."""
    return from_table(tables.read(path, AFFECT))


def read_whole(path: Path, *, beyond: bool = False) -> list[Affect]:
    """The clips of `path` as `read_affect`, with all that their files hold.

    That is expressions of CSV, too, and standard deviations of tables.
    """
    clips = (
        clip
        for file in affect_files(path)
        for clip in (_with_std(file) if holds_tables(file) else read_text(file, beyond=beyond))
    )
    return distinct(dataclasses.replace(clip, named=clip.named or path.is_dir()) for clip in clips)


def read_text(path: Path, *, beyond: bool = False) -> list[Affect]:
    """The clips of one text file: a .txt is an Aff-Wild2 label file, anything else CSV, whose expressions are read too.

    `beyond` is that of `read_affect`.  Raises InputError where the file is malformed.
    """
    return _parse(path, read_bytes(path), expressions=True, reading=Reading(beyond=beyond))


def read_stream(stream: BinaryIO, *, scale: Scale | None = None, beyond: bool = False) -> list[Affect]:
    """The clips of CSV from a pipe, with numbers as `read_affect` reads them."""
    return csv.parse(stream.read(), "standard input", "-", reading=Reading(scale, beyond))


def _with_std(path: Path) -> list[Affect]:
    """The clips of a table, and their standard deviations where it has any."""
    table = tables.read(path, AFFECT)
    std = np.stack([table.column(f"{name}_std") for name in DIMENSIONS], axis=-1).astype(np.float64)
    rows = {name: slice(start, stop) for name, start, stop in clip_runs(table.column("clip"))}
    return [
        one if np.isnan(std[at := rows[one.clip]]).all() else dataclasses.replace(one, std=std[at])
        for one in from_table(table)
    ]


def _read_text(path: Path, reading: Reading) -> list[Affect]:
    return _parse(path, read_bytes(path), reading=reading)


def _parse(path: Path, content: bytes, *, expressions: bool = False, reading: Reading = PLAIN) -> list[Affect]:
    return csv.parse(
        content,
        str(path),
        path.stem,
        affwild2_only=path.suffix.lower() == ".txt",
        expressions=expressions,
        reading=reading,
    )
