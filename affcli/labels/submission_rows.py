"""The rows of a challenge submission as they stand in its file, and what is wrong with its text.

What can only be meant in one way (semicolons for commas, decimal commas) is told and then read as it is meant, so that
one mistake is not reported a second time as a hundred thousand rows that lack.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError
from affcli.labels.lines import decode, read_bytes
from affcli.labels.submissions import Form

_BOM = b"\xef\xbb\xbf"
_SEPARATORS = {";": "semicolons", "\t": "tabs"}
_DECIMAL = re.compile(r'\s*"?([+-]?\d),(\d+)"?\s*,\s*"?([+-]?\d),(\d+)"?\s*', re.ASCII)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind, the first line of the file it is in (from 1), how often, and what it is.

    `file` is the name of the file, where a submission has one for each clip.
    """

    kind: str
    line: int
    count: int
    message: str
    file: str = ""


@dataclass(frozen=True, eq=False)
class Rows:
    """The n rows of a file: their line, from 1, their picture, and the text behind it, without trailing commas.

    `pictures` are empty text where each clip has a file.  `ragged` are the rows whose text has too few or too many
    cells.
    """

    lines: NDArray[np.int64]
    pictures: list[str]
    tails: list[str]
    ragged: set[int]


def read_rows(path: Path, form: Form, pictures: Container[str] | None) -> tuple[Rows, list[Finding]]:
    """The rows of the file `path`, and what is wrong with its text.

    `pictures` are those of the sample; None where rows have none.  Raises InputError where the file cannot be read, is
    empty or no text.
    """
    if path.is_dir():
        raise InputError(path, "is a directory", expected="a submission in one file", advice="name the file")
    content = read_bytes(path)
    text = decode(content, str(path), "the submission that the sample asks for")
    findings = _marks(content)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines, separators = _separated(lines, len(form.columns) + (pictures is not None))
    begins, header = _header(lines[0], form, pictures)
    rows, shape = _rows(lines, begins, form, pictures is not None)
    return rows, findings + separators + header + shape


def _marks(content: bytes) -> list[Finding]:
    """What stands in the file beside its text."""
    findings = []
    if content.startswith(_BOM):
        findings.append(Finding("byte-order-mark", 1, 1, "the file begins with a byte order mark, expected plain text"))
    returns = content.count(b"\r")
    if returns:
        line = content.count(b"\n", 0, content.index(b"\r")) + 1
        findings.append(Finding("line-endings", line, returns, "lines that end in CR or CRLF, expected LF alone"))
    return findings


def _separated(lines: list[str], width: int) -> tuple[list[str], list[Finding]]:
    """The lines, of `width` cells, with commas between the cells, and with points in numbers."""
    for mark, name in _SEPARATORS.items():
        odd = [i for i, line in enumerate(lines) if mark in line]
        if not odd:
            continue
        lines = list(lines)
        decimals = []
        for i in odd:
            if "," in lines[i] and lines[i].count(mark) >= width - 1:
                decimals.append(i)
                lines[i] = lines[i].replace(",", ".")
            lines[i] = lines[i].replace(mark, ",")
        found = [Finding("separator", odd[0] + 1, len(odd), f"lines with {name}, expected commas between cells")]
        return lines, found + _decimal_commas([i + 1 for i in decimals])
    return lines, []


def _decimal_commas(numbers: list[int]) -> list[Finding]:
    said = "lines whose numbers have decimal commas, expected points, such as 0.5"
    return [Finding("decimal-comma", numbers[0], len(numbers), said)] if numbers else []


def _header(first: str, form: Form, pictures: Container[str] | None) -> tuple[int, list[Finding]]:
    """The place of the first line of a row, and what is wrong with the first line."""
    if first == form.header:
        return 1, []
    cells = first.split(",")
    if cells[0].strip() in pictures if pictures is not None else all(map(_is_number, cells)):
        return 0, [Finding("header", 1, 1, f"the header lacks, expected '{form.header}' in the first line")]
    return 1, [Finding("header", 1, 1, f"the header is '{first[:120]}', expected '{form.header}'")]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _rows(lines: list[str], begins: int, form: Form, pictured: bool) -> tuple[Rows, list[Finding]]:
    """The rows, and lines that are blank, end in a comma or have too many or too few cells."""
    width = len(form.columns)
    end = len(lines) - 1 if not lines[-1] else len(lines)
    blank, trailing, ragged, decimals = [], [], [], []
    numbers: list[int] = []
    pictures, tails = [], []
    for number in range(begins + 1, end + 1):
        line = lines[number - 1]
        picture, comma, tail = line.partition(",") if pictured else ("", line.strip(), line)
        if not comma and not picture.strip():
            blank.append(number)
            continue
        cells = tail.count(",") + 1 if comma else 0
        if cells != width:
            if cells > width and not tail.rpartition(",")[2].strip():
                trailing.append(number)
                while cells > width and not tail.rpartition(",")[2].strip():
                    tail, cells = tail.rpartition(",")[0], cells - 1
            if cells == 4 and form.task == "va" and (found := _DECIMAL.fullmatch(tail)):
                decimals.append(number)
                tail = f"{found[1]}.{found[2]},{found[3]}.{found[4]}"
            elif cells != width:
                ragged.append(len(numbers))
        numbers.append(number)
        pictures.append(picture)
        tails.append(tail)
    findings = _decimal_commas(decimals)
    if blank:
        findings.append(Finding("blank-lines", blank[0], len(blank), "lines without anything in them"))
    if trailing:
        findings.append(Finding("trailing-comma", trailing[0], len(trailing), "rows that end in a comma"))
    if ragged:
        line = lines[numbers[ragged[0]] - 1]
        said = f"rows of other than {width + pictured} cells (the first has {line.count(',') + 1}: '{line[:60]}')"
        findings.append(Finding("cells", numbers[ragged[0]], len(ragged), said))
    return Rows(np.array(numbers, np.int64), pictures, tails, set(ragged)), findings
