"""Text files of cells, line by line: separated by commas, semicolons or tabs, or ARFF; every row knows its line.

ARFF (attribute-relation file format, of Weka) names its columns in lines `@attribute NAME TYPE`; what follows `@data`
is comma-separated, `%` begins a comment, and `?` is a missing value.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from affcli.errors import InputError
from affcli.labels.lines import decode, read_bytes

SEPARATORS = {";": "semicolons", "\t": "tabs", ",": "commas"}
_ATTRIBUTE = re.compile(r"@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s+\S", re.IGNORECASE)


@dataclass(frozen=True)
class Sheet:
    """The names of the columns as written, or () where the file names none; and every row with its line number.

    `gap` is the line of the first empty row between two others, which is no row; 0 where there is none.
    """

    path: Path
    header: tuple[str, ...]
    rows: list[tuple[int, list[str]]]
    gap: int = 0

    def where(self, line: int) -> str:
        """The subject of a message about one line."""
        return f"{self.path}, line {line}"


def read_text_file(path: Path, expected: str) -> str:
    """The text of a file.  Raises InputError, saying what was `expected`, where it is missing, empty or no UTF-8."""
    return decode(read_bytes(path), str(path), expected)


def read_sheet(path: Path, *, header: bool = True) -> Sheet:
    """A CSV file.  Its cells are separated by what its first line has of: semicolons, else tabs, else commas.

    Empty lines, and rows of empty cells alone, are passed over.  Without `header`, the first line is a row, too.

    Raises InputError, with the line, where rows differ in width, where there is none, or where the file is no text.
    """
    text = read_text_file(path, "a line of column names, and a line per rating")
    separator = next((mark for mark in SEPARATORS if mark in re.split(r"[\r\n]", text.lstrip(), maxsplit=1)[0]), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    rows: list[tuple[int, list[str]]] = []
    empty = gap = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                gap = gap or empty
                rows.append((reader.line_num, [_bare(cell) for cell in cells]))
            elif rows:
                empty = empty or reader.line_num
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}", f"is no CSV ({error})", expected="cells", advice="check its quotes"
        ) from error
    if not rows:
        raise InputError(
            path, "holds empty cells alone", expected="a line of column names", advice="check how it was made"
        )
    first, cells = rows.pop(0) if header else rows[0]
    return _checked(Sheet(path, tuple(cells) if header else (), rows, gap), len(cells), f"line {first}")


def read_arff(path: Path) -> Sheet:
    """An ARFF file.  Raises InputError, with the line, where a line cannot be understood, and as `read_sheet`."""
    text = read_text_file(path, "ARFF: @relation, lines of @attribute, and @data")
    names: list[str] = []
    rows: list[tuple[int, list[str]]] = []
    data = False
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        bare = line.strip()
        if not bare or bare.startswith("%"):
            continue
        if data:
            if bare.startswith("{"):
                raise _odd_line(path, number, bare, "a value for each attribute (sparse ARFF is not read)")
            try:
                (cells,) = csv.reader([bare], quotechar="'", skipinitialspace=True)
            except csv.Error as error:
                raise _odd_line(path, number, bare, f"a value for each attribute ({error})") from error
            rows.append((number, [_bare(cell) for cell in cells]))
        elif attribute := _ATTRIBUTE.match(bare):
            names.append(_bare(attribute[1]))
        elif bare.lower() == "@data":
            data = True
        elif not bare.lower().startswith("@relation"):
            raise _odd_line(path, number, bare, "@relation, @attribute NAME TYPE, or @data")
    if not data or not names:
        missing = "@data" if names else "@attribute"
        raise InputError(path, f"has no line {missing}", expected="ARFF", advice="check that it is whole")
    return _checked(Sheet(path, tuple(names), rows), len(names), "the lines of @attribute")


def _checked(sheet: Sheet, width: int, told_by: str) -> Sheet:
    if not sheet.rows:
        raise InputError(
            sheet.path, "names columns and holds nothing else", expected="ratings", advice="check how it was made"
        )
    for line, cells in sheet.rows:
        if len(cells) != width:
            raise InputError(
                sheet.where(line),
                f"has {len(cells)} cell{'s' * (len(cells) != 1)}",
                expected=f"{width} as in {told_by}",
                advice="complete or remove the line",
            )
    return sheet


def _odd_line(path: Path, number: int, line: str, expected: str) -> InputError:
    return InputError(f"{path}, line {number}", f"is '{line[:40]}'", expected=expected, advice="mend the line")


def _bare(cell: str) -> str:
    """A cell without blanks and quotes around it."""
    cell = cell.strip()
    return cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] and cell[0] in "'\"" else cell
