"""Affect from whatever holds it: a text file, a table, or a directory of either."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import BinaryIO

from affcli import tables
from affcli.errors import InputError, some
from affcli.labels import csv
from affcli.labels.affect import Affect, distinct, from_table
from affcli.labels.lines import read_bytes
from affcli.labels.scales import PLAIN, Reading, Scale
from affcli.schemas import AFFECT

TABLE = ".affect.parquet"
TEXTS = (".txt", ".csv")


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


def read_text(path: Path, *, beyond: bool = False) -> list[Affect]:
    """The clips of one text file: a .txt is an Aff-Wild2 label file, anything else CSV, whose expressions are read too.

    `beyond` is that of `read_affect`.  Raises InputError where the file is malformed.
    """
    return _parse(path, read_bytes(path), expressions=True, reading=Reading(beyond=beyond))


def read_stream(stream: BinaryIO, *, scale: Scale | None = None, beyond: bool = False) -> list[Affect]:
    """The clips of CSV from a pipe, with numbers as `read_affect` reads them."""
    return csv.parse(stream.read(), "standard input", "-", reading=Reading(scale, beyond))


def text_files(path: Path) -> list[Path]:
    """The label files to import: `path` itself, or the .txt and .csv files of the directory `path`, by name.

    Raises InputError where there is none.
    """
    if not path.is_dir():
        return [path]
    files = [file for kind in TEXTS for file in _ending(path, kind)]
    if not files:
        raise _nothing(path, TEXTS)
    return sorted(files)


def label_stems(path: Path) -> dict[str, Path]:
    """The label files in the directory `path` and all below it, or the file `path` itself, by stem.

    Label files are .txt, .csv and .affect.parquet; what is hidden is passed over.  Nothing is read.  Raises InputError
    where there is none, or two have one stem.
    """
    if not path.is_dir():
        if not path.exists():
            raise InputError(path, "does not exist", expected="a directory of label files", advice="check the path")
        return {_stem(path): path}
    found = _by_stem(_below(path))
    if not found:
        raise InputError(
            path,
            "holds no label file, nor do its directories",
            expected=f"files that end in {' or '.join((*TEXTS, TABLE))}",
            advice="check the directory",
        )
    return found


def _stem(file: Path) -> str:
    return file.name.removesuffix(TABLE) if file.name.endswith(TABLE) else file.stem


def _by_stem(files: list[Path]) -> dict[str, Path]:
    """Label files by stem.  Raises InputError where two have one."""
    found: dict[str, Path] = {}
    for file in files:
        other = found.setdefault(_stem(file), file)
        if other != file:
            raise InputError(
                file,
                f"and {other} are both labels of '{_stem(file)}'",
                expected="one label file for each name",
                advice="name the directory of one kind of labels alone",
            )
    return found


def _below(path: Path) -> list[Path]:
    """The visible label files and tables in the directory `path` and all below it, by name."""
    return [
        file
        for file in sorted(path.rglob("*"))
        if (file.name.endswith(TABLE) or file.suffix.lower() in TEXTS)
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and not file.is_dir()
    ]


def held(path: Path) -> dict[str, list[Path]]:
    """The label files and tables of a directory, or where it has none itself, of all below it, by name, of each kind.

    The kinds are TABLE and TEXTS; those without a file are left out.
    """
    kinds = {kind: _ending(path, kind) for kind in (TABLE, *TEXTS)}
    if not any(kinds.values()):
        for file in _below(path):
            kinds[TABLE if file.name.endswith(TABLE) else file.suffix.lower()].append(file)
    return {kind: files for kind, files in kinds.items() if files}


def affect_files(path: Path) -> list[Path]:
    """The files of the one kind that a directory holds, as `held` tells; or the file `path` itself.

    Raises InputError where there is none, where kinds are mixed, or where two files below it have one stem.
    """
    if not path.is_dir():
        return [path]
    found = held(path)
    if not found:
        raise _nothing(path, (TABLE, *TEXTS))
    if len(found) > 1:
        raise InputError(
            path,
            f"holds {' and '.join(f'{len(files)} {kind}' for kind, files in found.items())} files",
            expected="files of one kind",
            advice="move one kind elsewhere, or name a single file",
        )
    (files,) = found.values()
    return [*_by_stem(files).values()]


def _ending(path: Path, kind: str) -> list[Path]:
    """The visible files of a directory that end in `kind`, by name."""
    return [file for file in sorted(path.glob(f"*{kind}")) if not file.name.startswith(".")]


def _nothing(path: Path, kinds: tuple[str, ...]) -> InputError:
    """What to say of a directory without files of any of the `kinds`; they may be one level deeper."""
    folders = [file for file in sorted(path.iterdir()) if file.is_dir() and not file.name.startswith(".")]
    deeper = [folder.name for folder in folders if any(_ending(folder, kind) for kind in kinds)]
    advice = f"name one of its directories: {some(deeper)}" if deeper else "check the directory"
    return InputError(path, "holds no labels or predictions", expected=f"{' or '.join(kinds)} files", advice=advice)


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
