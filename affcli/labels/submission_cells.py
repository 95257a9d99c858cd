"""The cells of a challenge submission as numbers, and what is wrong with them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from affcli.labels.affect import HIGH, LOW
from affcli.labels.lines import NUMBER
from affcli.labels.submission_rows import Finding, Rows
from affcli.labels.submissions import Form

_NOT_FINITE = ("nan", "inf", "infinity")
# What may be wrong with one cell, as bits: several things at once.
_NO_NUMBER, _NO_END, _NO_INTEGER, _OUTSIDE = 1, 2, 4, 8
_SAID = {
    _NO_END: ("not-finite", "cells that are NaN or infinite"),
    _NO_NUMBER: ("not-a-number", "cells that are no number"),
    _NO_INTEGER: ("not-an-integer", "cells that are no whole number, as classes are"),
    _OUTSIDE: ("out-of-range", "cells outside"),
}


def read_cells(rows: Rows, form: Form) -> tuple[NDArray[np.float64], list[Finding]]:
    """The values, float64 (n, columns), NaN where there is none in order; and what is wrong with them.

    A row of too few or too many cells, which has been told of, is read as far as it goes.
    """
    width, k, n = len(form.columns), form.numbers, len(rows.tails)
    tails = rows.tails
    if rows.ragged:
        tails = list(tails)
        for i in rows.ragged:
            tails[i] = ",".join([*tails[i].split(","), *[""] * width][:width])
    values, wrong = np.full((n, width), np.nan), np.zeros((n, width), np.int8)
    if not n:
        return values, []
    if k == width:
        values[:], wrong[:] = (x.reshape(n, k) for x in _decimals(",".join(tails).split(",")))
    elif k:
        split = [tail.split(",", k) for tail in tails]
        for place in range(k):
            values[:, place], wrong[:, place] = _decimals([cells[place] for cells in split])
        tails = [cells[k] for cells in split]
    if k < width:
        # Of classes few rows are unlike: each is taken apart once.
        known: dict[str, int] = {}
        codes = np.array([known.setdefault(tail, len(known)) for tail in tails])
        highest = [form.highest_of(name) for name in form.columns[k:]]
        taken = [list(map(_class, tail.split(","), highest)) for tail in known]
        both = np.array(taken, np.float64)[codes]
        values[:, k:], wrong[:, k:] = both[:, :, 0], both[:, :, 1]
    if rows.ragged:
        at = np.array(sorted(rows.ragged))
        wrong[at] &= ~_NO_NUMBER
    findings = []
    for bit, (kind, said) in _SAID.items():
        found = np.argwhere(wrong & bit)
        if len(found):
            row, place = found[0].tolist()
            column, cell = form.columns[place], rows.tails[row].split(",")[place].strip()
            told = _told(bit, said, form, column, cell)
            findings.append(Finding(kind, int(rows.lines[row]), len(found), told))
    values[wrong != 0] = np.nan
    return values, findings


def _told(bit: int, said: str, form: Form, column: str, cell: str) -> str:
    if bit != _OUTSIDE:
        return f"{said} (first: {column} is '{cell[:40]}')"
    number = column in form.columns[: form.numbers]
    expected = f"[{LOW:.0f}, {HIGH:.0f}]" if number else f"0 to {form.highest_of(column)}"
    minus = float(cell) == (-5 if number else -1)
    hint = ", which labels write where nobody annotated: predict every row" if minus else ""
    return f"{said} {expected} (first: {column} is '{cell[:40]}'{hint})"


def _decimals(cells: list[str]) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Valence or arousal in each of n cells, float64 (n,), and what is wrong with it, int8 (n,)."""
    values = _fast(cells)
    wrong = np.zeros(len(cells), np.int8)
    if values is None:
        values = np.full(len(cells), np.nan)
        for i, cell in enumerate(map(str.strip, cells)):
            if NUMBER.fullmatch(cell) or cell.lower().lstrip("+-") in _NOT_FINITE:
                values[i] = float(cell)
            else:
                wrong[i] = _NO_NUMBER
    wrong[~np.isfinite(values) & (wrong == 0)] = _NO_END
    wrong[np.isfinite(values) & ((values < LOW) | (values > HIGH))] = _OUTSIDE
    return values, wrong


def _fast(cells: list[str]) -> NDArray[np.float64] | None:
    """All cells as numbers, or None where one may be none: Python's float takes more than others understand."""
    text = "".join(cells)
    if not text.isascii() or "_" in text:
        return None
    try:
        return np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        return None


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
