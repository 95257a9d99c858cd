"""The rows of a challenge submission as they stand in its file, and what is wrong with its text.

What can only be meant in one way (semicolons for commas, decimal commas) is told and then read as it is meant, so that
one mistake is not reported a second time as a hundred thousand rows that lack.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from affcli.errors import InputError
from affcli.labels.lines import read_bytes
from affcli.labels.submissions.form import Form, form_of
from affcli.labels.submissions.text import has_text, joined, lines_of, replaced, split_first

_BOM = b"\xef\xbb\xbf"
REORDER = "put the columns in the order of the sample, the values with them"
EITHER = (
    "if the values stand as the header says, put the columns in the order of the sample, the values with them; if they "
    "stand as the sample has them, copy its first line alone (--reference tells which)"
)
_SEPARATORS = {";": "semicolons", "\t": "tabs"}
_DECIMAL = r'^\s*"?([+-]?\d),(\d+)"?\s*,\s*"?([+-]?\d),(\d+)"?\s*$'


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind, the first line of the file it is in (from 1), how often, and what it is.

    `file` is the name of the file, where a submission has one for each clip; `advice` what to do about it, where it is
    not what is said of its kind.
    """

    kind: str
    line: int
    count: int
    message: str
    file: str = ""
    advice: str = ""


@dataclass(frozen=True, eq=False)
class Rows:
    """The n rows of a file: their line, from 1, their picture, and the text behind it, without trailing commas.

    `pictures` and `tails` are large_string; where each clip has a file, there are no pictures.  `ragged`, int64, are
    the rows whose text has too few or too many cells.  `other_task` says that the first line is that of another task.
    """

    lines: NDArray[np.int64]
    pictures: pa.Array | None
    tails: pa.Array
    ragged: NDArray[np.int64]
    other_task: bool = False


def read_rows(path: Path, form: Form, pictures: pa.Array | None) -> tuple[Rows, list[Finding]]:
    """The rows of the file `path`, and what is wrong with its text.

    `pictures` are those of the sample; None where rows have none.  Raises InputError where the file cannot be read, is
    empty or no text.
    """
    if path.is_dir():
        raise InputError(path, "is a directory", expected="a submission in one file", advice="name the file")
    content = read_bytes(path)
    lines = lines_of(content, str(path), "the submission that the sample asks for")
    findings = _marks(content)
    del content
    separators = _separated(lines, len(form.columns) + (pictures is not None))
    first = lines[0][0].as_py()
    other = _form(first, pictures is not None)
    if other is not None and other.task != form.task:
        lines[0] = lines[0].slice(1)
        rows, shape = _rows(lines, 2, other, pictures is not None)
        said = f"the file is a submission of the task {other.task} ('{first[:60]}'), expected {form.task}"
        told = [Finding("task", 1, 1, said), *(one for one in shape if one.kind != "cells")]
        return dataclasses.replace(rows, other_task=True), findings + separators + told
    begins, header = _header(first, form, pictures)
    lines[0] = lines[0].slice(begins)
    rows, shape = _rows(lines, begins + 1, form, pictures is not None)
    return rows, findings + separators + header + shape


def _form(first: str, pictured: bool) -> Form | None:
    """The form that a first line tells; None where it is that of no task."""
    try:
        return form_of(first, "", pictures=pictured)
    except InputError:
        return None


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


def _separated(lines: list[pa.Array], width: int) -> list[Finding]:
    """Lines, of `width` cells, become lines with commas between the cells, and with points in numbers."""
    for mark, name in _SEPARATORS.items():
        marked, decimals, begins = [], [], 1
        for i, block in enumerate(lines):
            odd = _where(pc.match_substring(block, mark))
            texts = block.take(pa.array(odd))
            both = pc.and_(pc.match_substring(texts, ","), pc.greater_equal(pc.count_substring(texts, mark), width - 1))
            if len(odd):
                texts = pc.if_else(both, pc.replace_substring(texts, ",", "."), texts)
                lines[i] = replaced(block, odd, pc.replace_substring(texts, mark, ","))
            marked.append(odd + begins)
            decimals.append(odd[_where(both)] + begins)
            begins += len(block)
        numbers = np.concatenate(marked)
        if len(numbers):
            said = f"lines with {name}, expected commas between cells"
            found = Finding("separator", int(numbers[0]), len(numbers), said)
            return [found, *_decimal_commas(np.concatenate(decimals))]
    return []


def _where(mask: pa.Array) -> NDArray[np.int64]:
    return np.flatnonzero(mask.to_numpy(zero_copy_only=False))


def _decimal_commas(numbers: NDArray[np.int64]) -> list[Finding]:
    said = "lines whose numbers have decimal commas, expected points, such as 0.5"
    return [Finding("decimal-comma", int(numbers[0]), len(numbers), said)] if len(numbers) else []


def _header(first: str, form: Form, pictures: pa.Array | None) -> tuple[int, list[Finding]]:
    """The place of the first line of a row, and what is wrong with the first line."""
    if first == form.header:
        return 1, []
    cells = first.split(",")
    numbers = [cell for cell in cells[pictures is not None :] if cell.strip()]
    is_row = bool(numbers) and all(map(_is_number, numbers))
    if is_row or (pictures is not None and pc.index(pictures, cells[0].strip()).as_py() >= 0):
        return 0, [Finding("header", 1, 1, f"the header lacks, expected '{form.header}' in the first line")]
    said = f"the header is '{first[:120]}', expected '{form.header}'"
    other = _form(first, pictures is not None)
    turned = other is not None and other.columns != form.columns and set(other.columns) == set(form.columns)
    return 1, [Finding("header", 1, 1, said, advice=EITHER * turned)]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _rows(lines: list[pa.Array], begins: int, form: Form, pictured: bool) -> tuple[Rows, list[Finding]]:
    """The rows of the lines from line `begins` on, and those that are blank or have too many or too few cells."""
    width = len(form.columns)
    firsts, rests, marked, filled = [], [], [], []
    while lines:
        block = lines.pop(0)
        first, rest, told = split_first(block) if pictured else (block, block, has_text(block))
        written = told | has_text(first)
        mask = pa.array(written)
        firsts.append(first.filter(mask))
        rests.append(rest.filter(mask))
        marked.append(told[written])
        filled.append(written)
    pictures = joined(firsts) if pictured else None
    tails, told, written = joined(rests), np.concatenate(marked), np.concatenate(filled)
    whole, numbers = tails, np.flatnonzero(written) + begins
    findings = []
    if len(numbers) < len(written):
        blank = np.flatnonzero(~written) + begins
        findings.append(Finding("blank-lines", int(blank[0]), len(blank), "lines without anything in them"))
    cells = np.where(told, pc.count_substring(tails, ",").to_numpy() + 1, 0)
    over = np.flatnonzero(cells > width)
    if len(over):
        texts, counts, trailing = _without_last_commas(tails.take(pa.array(over)), cells[over], width)
        decimals = np.zeros(len(over), np.bool_)
        if form.task == "va":
            decimals = (counts == 4) & pc.match_substring_regex(texts, _DECIMAL).to_numpy(zero_copy_only=False)
            points = pc.replace_substring_regex(texts, _DECIMAL, r"\1.\2,\3.\4")
            texts, counts = pc.if_else(pa.array(decimals), points, texts), np.where(decimals, width, counts)
        tails, cells[over] = replaced(tails, over, texts), counts
        findings = _decimal_commas(numbers[over[decimals]]) + findings
        if trailing.any():
            first = int(numbers[over[trailing.argmax()]])
            findings.append(Finding("trailing-comma", first, int(trailing.sum()), "rows that end in a comma"))
    ragged = np.flatnonzero(cells != width)
    if len(ragged):
        row = int(ragged[0])
        line = "" if pictures is None else pictures[row].as_py() + "," * bool(told[row])
        line += whole[row].as_py()
        said = f"rows of other than {width + pictured} cells (the first has {line.count(',') + 1}: '{line[:60]}')"
        findings.append(Finding("cells", int(numbers[row]), len(ragged), said))
    return Rows(numbers, pictures, tails, ragged), findings


def _without_last_commas(
    texts: pa.Array, counts: NDArray[np.int64], width: int
) -> tuple[pa.Array, NDArray[np.int64], NDArray[np.bool_]]:
    """The texts of more than `width` cells without the last of these that are empty, how many are left, and whose."""
    trailing = np.zeros(len(texts), np.bool_)
    while True:
        empty = pc.match_substring_regex(texts, r",\s*$").to_numpy(zero_copy_only=False) & (counts > width)
        if not empty.any():
            return texts, counts, trailing
        texts = pc.if_else(pa.array(empty), pc.replace_substring_regex(texts, r",\s*$", ""), texts)
        counts, trailing = counts - empty, trailing | empty
