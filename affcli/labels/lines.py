"""A CSV file read line by line: slow, strict, and able to say which line is wrong."""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from affcli.errors import InputError
from affcli.labels.affect import DIMENSIONS, EXPRESSIONS, UNKNOWN, Affect
from affcli.labels.scales import PLAIN, Reading

COLUMNS = ("clip", "frame", *DIMENSIONS)
EXPRESSION = "expression"  # a column that may be there, for who asks for it
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
EXPECTED = "the columns clip,frame,valence,arousal, or frame,valence,arousal, or valence,arousal with a line per frame"
EXPECT_CLASSES = "the columns clip,frame,expression, or frame,expression, or expression with a line per frame"


@dataclass(frozen=True)
class Layout:
    """Which columns a file has, by position."""

    width: int
    position: dict[str, int]  # of COLUMNS and EXPRESSION, those that are there and asked for

    @property
    def names(self) -> list[str]:
        """A distinct name for each column."""
        known = {index: name for name, index in self.position.items()}
        return [known.get(index, f"_{index}") for index in range(self.width)]


def read_bytes(path: Path) -> bytes:
    """What a file holds.  Raises InputError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        found = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise InputError(path, found, advice="check the path and its permissions") from error


def decode(content: bytes, source: str, expected: str = EXPECTED) -> str:
    """The text of a file.  Raises InputError, which says what was `expected`, where it is empty or no UTF-8."""
    if not content.strip():
        raise InputError(source, "is empty", expected=expected, advice="check how it was made")
    try:
        if b"\0" in content:
            raise UnicodeDecodeError("utf-8", content, content.index(b"\0"), 0, "NUL")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            source,
            f"is no UTF-8 text (byte {content[error.start]:#04x} in line {line})",
            expected=expected,
            advice="save it as UTF-8, or name another file",
        ) from error


def parse(text: str, layout: Layout, source: str, stem: str, reading: Reading = PLAIN) -> Iterator[Affect]:
    """The clips, one by one, with the numbers as they are written: `reading` only says which of them are refused.

    Raises InputError at the first line that is not in order.
    """
    seen: set[str] = set()
    for clip, rows in itertools.groupby(_rows(text, layout, source, stem, reading), key=lambda row: row.clip):
        values: list[tuple[float, float, int]] = []
        for row in rows:
            if not values and clip in seen:
                raise row.wrong(f"clip '{clip}' comes again", "the lines of a clip together", "sort by clip and frame")
            if row.frame is not None and row.frame != len(values):
                raise _late(row, text, layout) if not values and row.frame == 1 else _misplaced(row, len(values))
            values.append((row.valence, row.arousal, row.expression))
        seen.add(clip)
        valence, arousal, classes = np.array(values, dtype=np.float64).T.copy()
        expression = classes.astype(np.int8) if EXPRESSION in layout.position else None
        yield Affect(clip, valence, arousal, source=source, named="clip" in layout.position, expression=expression)
    if not seen:
        raise InputError(
            source, "holds a header and nothing else", expected="a line per frame", advice="check how it was made"
        )


@dataclass(frozen=True)
class _Row:
    source: str
    line: int
    clip: str
    frame: int | None
    valence: float
    arousal: float
    expression: int = UNKNOWN

    def wrong(self, found: str, expected: str, advice: str) -> InputError:
        return InputError(f"{self.source}, line {self.line}", found, expected=expected, advice=advice)


def _rows(text: str, layout: Layout, source: str, stem: str, reading: Reading) -> Iterator[_Row]:
    """Every line after the header, its cells checked one by one."""
    reader = csv.reader(io.StringIO(text, newline=""))
    blank = 0
    try:
        next(reader)
        for cells in reader:
            line = reader.line_num
            if len(cells) < 2 and not "".join(cells).strip():
                blank = blank or line
                continue
            if blank:  # at the end of a file it does no harm
                raise InputError(
                    f"{source}, line {blank}",
                    "is empty",
                    expected="a frame",
                    advice=f"write {'a comma' if layout.width > 1 else '-1'} for a frame without values",
                )
            if len(cells) != layout.width:
                raise InputError(
                    f"{source}, line {line}",
                    f"has {len(cells)} cell{'s' * (len(cells) != 1)}",
                    expected=f"{layout.width} as in line 1",
                    advice="complete or remove the line",
                )
            named = {name: cells[index].strip() for name, index in layout.position.items()}
            yield _row(named, source, line, stem, reading)
    except csv.Error as error:
        raise InputError(
            f"{source}, line {reader.line_num}", f"is no CSV ({error})", expected=EXPECTED, advice="check its quotes"
        ) from error


def _row(cells: dict[str, str], source: str, line: int, stem: str, reading: Reading) -> _Row:
    frame = cells.get("frame")
    row = _Row(source, line, cells.get("clip", stem), None, math.nan, math.nan)
    if not row.clip:
        raise row.wrong("names no clip", "a name in every line", "fill in the cell")
    if frame is not None and not re.fullmatch(r"-?\d{1,9}", frame, re.ASCII):
        raise row.wrong(f"frame is '{frame[:40]}'", "a whole number", "number the frames 0, 1, 2, ...")
    values = []
    for name in DIMENSIONS:
        cell = cells.get(name, "")
        if cell and not NUMBER.fullmatch(cell):
            raise row.wrong(
                f"{name} is '{cell[:40]}'", "a number or nothing", "leave the cell empty where there is no value"
            )
        value = float(cell) if cell else math.nan
        if reading.refuses(value):
            raise _off(row, f"{name} is {cell[:40]}", reading, finite=math.isfinite(value))
        values.append(value)
    number = cells.get(EXPRESSION, "")
    if number and (not re.fullmatch(r"-?\d{1,3}", number, re.ASCII) or not UNKNOWN <= int(number) < len(EXPRESSIONS)):
        raise row.wrong(
            f"expression is '{number[:40]}'",
            f"0 to {len(EXPRESSIONS) - 1}, or nothing where not annotated",
            f"write the number of the class ({', '.join(f'{i} {name}' for i, name in enumerate(EXPRESSIONS))})",
        )
    expression = int(number) if number else UNKNOWN
    return _Row(source, line, row.clip, None if frame is None else int(frame), values[0], values[1], expression)


def _off(row: _Row, found: str, reading: Reading, *, finite: bool) -> InputError:
    """What is wrong with a value that `reading` refuses; an infinite one is on no scale."""
    if reading.plain and finite:
        return row.wrong(
            found,
            "-1 to 1",
            "mend the value; if the file has another scale, nothing is rescaled in silence: name it, by --range "
            "gt=LOW:HIGH of affcli score, or --format csv --range LOW:HIGH of affcli import-labels",
        )
    if reading.beyond or reading.scale is None:
        return row.wrong(found, "a finite number", "mend the value, or leave the cell empty")
    low, high = reading.bounds
    missing = "" if reading.mark is None else f", or {reading.mark:g} where not annotated"
    return row.wrong(found, f"{low:g} to {high:g}{missing}", "mend the value, or tell the scale that the file has")


def _late(row: _Row, text: str, layout: Layout) -> InputError:
    """What is wrong with a clip that begins at frame 1, in a file where every clip does, or only some."""
    first: dict[str, str] = {}
    for cells in itertools.islice(csv.reader(io.StringIO(text, newline="")), 1, None):
        if len(cells) == layout.width:
            clip = cells[layout.position["clip"]] if "clip" in layout.position else ""
            first.setdefault(clip.strip(), cells[layout.position["frame"]].strip())
    advice = "subtract 1 from every frame"
    if set(first.values()) != {"1"}:
        known = {layout.position[name]: cell for name, cell in (("clip", row.clip), ("frame", "0"))}
        empty = ",".join(known.get(index, "") for index in range(layout.width))
        advice = f"write the line {empty} for a frame without values, or, if its frames are counted from 1, subtract 1"
    return row.wrong(f"frames of clip '{row.clip}' begin at 1", "0 for the first frame", advice)


def _misplaced(row: _Row, wanted: int) -> InputError:
    """What is wrong with a frame number that is not `wanted`."""
    if row.frame == wanted - 1 >= 0:
        return row.wrong(f"frame {row.frame} comes twice", f"frame {wanted}", "keep one line per frame")
    if row.frame is not None and row.frame > wanted:
        return row.wrong(
            f"frame {row.frame} where frame {wanted} is due",
            "every frame, in order",
            "sort by clip and frame, and write empty cells for a frame without values",
        )
    return row.wrong(
        f"frame {row.frame} where frame {wanted} is due", "every frame once, in order", "sort by clip and frame"
    )
