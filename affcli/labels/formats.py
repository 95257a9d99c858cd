"""The formats of label files: their scales, how one is told from the others, and the clips that files of one hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from affcli.errors import InputError
from affcli.labels import afew_va, omg
from affcli.labels.files import files_below
from affcli.labels.foreign import ClipLabel, FrameLabels, TimedLabels
from affcli.labels.multitask import is_multitask, read_multitask
from affcli.labels.ratings import NAMES, Unit, read_ratings
from affcli.labels.scales import UNIT, Scales
from affcli.labels.sheets import read_arff, read_sheet


@dataclass(frozen=True)
class Format:
    """A format: the endings of its files, its scales (None where files of it have any), and whether times are needed.

    `fixed` scales are part of the format; others are those of the data sets that use it, and may be told otherwise.
    """

    endings: tuple[str, ...]
    scales: Scales | None
    fixed: bool = False
    times: bool = True


FORMATS = {
    "abaw-mtl": Format((".txt", ".csv"), UNIT, fixed=True, times=False),
    "afew-va": Format((".json",), afew_va.SCALES, times=False),
    "omg": Format((".csv",), omg.SCALES),
    "ratings": Format((".csv", ".txt"), None),
    "csv": Format((".csv", ".txt"), UNIT),
    "arff": Format((".arff",), UNIT),
}


def detect(path: Path) -> str:
    """The one of FORMATS that a file, or a directory, can only be of; "" where that is not so.

    Told by the ending (JSON, ARFF) of a file, or of all label files of a directory and those below it; by the first
    line of a text file, or of the first text file of a directory.  Files that cannot be read are of no format: who
    reads them says so.
    """
    files = _texts(path) if path.is_dir() else [path]
    if not files:
        kinds = _other_kinds(path)
        return {".json": "afew-va", ".arff": "arff"}[kinds.pop()] if len(kinds) == 1 else ""
    ending = files[0].suffix.lower()
    if ending in {".json", ".arff"}:
        return "afew-va" if ending == ".json" else "arff"
    line = _first_line(files[0])
    return "abaw-mtl" if is_multitask(line) else "omg" if omg.is_omg(line) else ""


def refuse_mixture(path: Path) -> None:
    """Raise InputError where a directory, or those below it, has JSON and ARFF, and no text file stands in it."""
    if path.is_dir() and not _texts(path) and len(_other_kinds(path)) == 2:
        raise InputError(
            path,
            "holds .arff and .json files",
            expected="labels of one format",
            advice="name it by --format arff or --format afew-va, or name one of its directories",
        )


def _texts(path: Path) -> list[Path]:
    """The visible text files of a directory."""
    return sorted(file for kind in (".txt", ".csv") for file in path.glob(f"*{kind}") if file.name[0] != ".")


def _other_kinds(path: Path) -> set[str]:
    """Which endings that tell a format there are in a directory and below it."""
    return {kind for kind in (".json", ".arff") if files_below(path, (kind,))}


def beside_texts(path: Path) -> dict[str, list[str]]:
    """The JSON and ARFF files in a directory that has text files, and below it, by their format."""
    if not path.is_dir() or not _texts(path):
        return {}
    kinds = {"afew-va": (".json",), "arff": (".arff",)}
    files = {name: [str(file.relative_to(path)) for file in files_below(path, kind)] for name, kind in kinds.items()}
    return {name: found for name, found in files.items() if found}


def column_of_times(path: Path) -> str:
    """The column of times of a CSV file that does not count frames: a line of it may be no frame.  "" where none is."""
    names = [cell.strip().lower() for cell in _first_line(path).split(",")]
    return "" if "frame" in names else next((name for name in names if name in NAMES["time"]), "")


def _first_line(path: Path) -> str:
    """The first line of a text file, as far as it can be read."""
    try:
        with path.open("rb") as file:
            first = re.split(rb"[\r\n]", file.read(1000).removeprefix(b"\xef\xbb\xbf"), maxsplit=1)[0]
    except OSError:
        return ""
    return first.decode("utf-8", errors="replace")


def files_of(path: Path, name: str) -> list[Path]:
    """The files of the format `name`: `path` itself, or those with its endings in the directory `path` and below it.

    What is hidden is passed over.  Raises InputError where there is none.
    """
    if not path.is_dir():
        if not path.exists():
            raise InputError(path, "does not exist", expected="label files", advice="check the path")
        return [path]
    endings = FORMATS[name].endings
    if not (found := files_below(path, endings)):
        raise InputError(
            path,
            f"holds no labels of format {name}, nor do its directories",
            expected=f"{' or '.join(endings)} files",
            advice="check the directory, or choose another --format",
        )
    return found


def read_foreign(
    path: Path,
    name: str,
    scales: Scales,
    *,
    columns: Mapping[str, str] | None = None,
    unit: Unit = "s",
    rate: Fraction | None = None,
) -> list[FrameLabels] | list[TimedLabels] | list[ClipLabel]:
    """The clips of one file of the format `name`; the last three are for ratings, as in `read_ratings`.

    Raises InputError, with the line, where it is malformed.
    """
    if name == "abaw-mtl":
        return read_multitask(path)
    if name == "afew-va":
        return [afew_va.read_afew_va(path, scales)]
    if name == "omg":
        return omg.read_omg(path, scales)
    named = not columns or not all(column.isdecimal() for column in columns.values())
    sheet = read_arff(path) if name == "arff" else read_sheet(path, header=named)
    return read_ratings(sheet, scales, columns=columns, unit=unit, rate=rate)
