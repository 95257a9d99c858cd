"""The cells of a challenge submission as numbers, and what is wrong with them."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from affcli.labels.affect import HIGH, LOW
from affcli.labels.lines import NUMBER
from affcli.labels.submissions.form import Form
from affcli.labels.submissions.rows import Finding, Rows
from affcli.labels.submissions.text import blocks, replaced

_NOT_FINITE = ("nan", "inf", "infinity")
# What may be wrong with one cell, as bits: several things at once.
_NO_NUMBER, _NO_END, _NO_INTEGER, _OUTSIDE = 1, 2, 4, 8
_CLASS, _ZERO_OR_ONE = "write the number of the class, such as 3", "write 0 (absent) or 1 (present)"
_SAID = {
    _NO_END: ("not-finite", "cells that are NaN or infinite"),
    _NO_NUMBER: ("not-a-number", "cells that are no number"),
    _NO_INTEGER: ("not-an-integer", "cells that are no whole number, as classes are"),
    _OUTSIDE: ("out-of-range", "cells outside"),
}


def read_cells(rows: Rows, form: Form) -> tuple[NDArray[np.float64], list[Finding]]:
    """The values, float64 (n, columns), NaN where there is none in order; and what is wrong with them.

    A row of too few or too many cells, which has been told of, has no values, since
    nobody knows which of its cells lacks; its cells are looked at as far as it goes.
    """
    width, k, n = len(form.columns), form.numbers, len(rows.tails)
    tails = rows.tails
    if len(rows.ragged):
        cut = [row.split(",") for row in tails.take(pa.array(rows.ragged)).to_pylist()]
        whole = [",".join([*cells, *[""] * width][:width]) for cells in cut]
        tails = replaced(tails, rows.ragged, pa.array(whole, tails.type))
    values, wrong = np.full((n, width), np.nan), np.zeros((n, width), np.int8)
    highest = [form.highest_of(name) for name in form.columns[k:]]
    known: dict[str, list[tuple[float, int]]] = {}
    stop = 0
    for block in blocks(tails):
        start, stop = stop, stop + len(block)
        split = pc.split_pattern(block, ",", max_splits=k - (k == width)).flatten() if k else block
        apart = k + (k < width)  # cells of each row, where those of classes are one
        for place in range(k):
            cells = split.take(pa.array(np.arange(place, len(split), apart)))
            values[start:stop, place], wrong[start:stop, place] = _decimals(cells)
        if k < width:
            # Of classes few rows are unlike: each is taken apart once.
            unlike = split.take(pa.array(np.arange(k, len(split), apart))).dictionary_encode()
            for tail in unlike.dictionary.to_pylist():
                if tail not in known:
                    known[tail] = list(map(_class, tail.split(","), highest))
            taken = np.array([known[tail] for tail in unlike.dictionary.to_pylist()])[unlike.indices.to_numpy()]
            values[start:stop, k:], wrong[start:stop, k:] = taken[:, :, 0], taken[:, :, 1]
    wrong[rows.ragged] &= ~_NO_NUMBER
    findings = []
    for bit, (kind, said) in _SAID.items():
        found = np.argwhere(wrong & bit)
        if len(found):
            row, place = found[0].tolist()
            column, cell = form.columns[place], rows.tails[row].as_py().split(",")[place].strip()
            told = _told(bit, said, form, column, cell)
            classes = bit != _OUTSIDE and place >= k
            advice = (_ZERO_OR_ONE if form.highest_of(column) == 1 else _CLASS) if classes else ""
            findings.append(Finding(kind, int(rows.lines[row]), len(found), told, advice=advice))
    values[wrong != 0] = np.nan
    values[rows.ragged] = np.nan
    return values, findings


def _told(bit: int, said: str, form: Form, column: str, cell: str) -> str:
    if bit != _OUTSIDE:
        return f"{said} (first: {column} is '{cell[:40]}')"
    number = column in form.columns[: form.numbers]
    expected = f"[{LOW:.0f}, {HIGH:.0f}]" if number else f"0 to {form.highest_of(column)}"
    minus = float(cell) == (-5 if number else -1)
    hint = ", which labels write where nobody annotated: predict every row" if minus else ""
    return f"{said} {expected} (first: {column} is '{cell[:40]}'{hint})"


def _decimals(cells: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Valence or arousal in each of n cells, float64 (n,), and what is wrong with it, int8 (n,)."""
    wrong = np.zeros(len(cells), np.int8)
    try:
        values = pc.utf8_trim_whitespace(cells).cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:  # one of them is no number, or one that Arrow does not know for it
        found = np.array([_decimal(cell) for cell in cells.to_pylist()])
        values, wrong = found[:, 0], found[:, 1].astype(np.int8)
    wrong[~np.isfinite(values) & (wrong == 0)] = _NO_END
    wrong[np.isfinite(values) & ((values < LOW) | (values > HIGH))] = _OUTSIDE
    return values, wrong


def _decimal(cell: str) -> tuple[float, int]:
    """The number that one cell says, and whether it is none."""
    cell = cell.strip()
    if NUMBER.fullmatch(cell) or cell.lower().lstrip("+-") in _NOT_FINITE:
        return float(cell), 0
    return math.nan, _NO_NUMBER


def _class(cell: str, highest: int) -> tuple[float, int]:
    """The class that one cell says, and what is wrong with it."""
    cell = cell.strip()
    if cell.lower().lstrip("+-") in _NOT_FINITE:
        return math.nan, _NO_END
    if not NUMBER.fullmatch(cell):
        return math.nan, _NO_NUMBER
    value = float(cell)
    if math.isinf(value):
        return math.nan, _NO_END
    whole = cell.lstrip("+-").isdigit()
    return value, (0 if whole else _NO_INTEGER) | (0 if 0 <= value <= highest else _OUTSIDE)
