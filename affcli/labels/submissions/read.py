"""Challenge submissions of Aff-Wild2 in one file, read back as predictions; `labels.submissions` tells their form."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from affcli.errors import InputError
from affcli.labels.affect import DIMENSIONS, HIGH, LOW, UNKNOWN, Affect
from affcli.labels.affwild2 import NOT_ANNOTATED
from affcli.labels.lines import NUMBER
from affcli.labels.submissions.form import Form
from affcli.labels.submissions.sample import read_sample
from affcli.labels.submissions.text import joined, read_lines, split_first


def read_submission(path: Path) -> tuple[Form, list[Affect]]:
    """The form of a submission in one file, and its clips, in the order of their first rows.

    Picture 00001.jpg of a clip is frame 0.  A clip has frames up to the last that the file names; those it does not
    name, and those of -5 (valence, arousal) or -1 (classes), are not predicted.  Raises InputError, with the line,
    where a row is not in order: its picture, how many values it has, or a value.
    """
    sample = read_sample(path, "mend the row, or take it out: affcli lint-submission tells all that are not in order")
    tails = [pc.utf8_rtrim(split_first(block)[1], " ,") for block in read_lines(path, "a submission")]
    rows = joined(tails).take(pa.array(sample.lines - 1))
    values = _values(path, rows, sample.lines, sample.form)
    clips = []
    for clip, at in zip(sample.clips, sample.rows_of_clips(), strict=True):
        laid = np.full((int(sample.frame[at[-1]]) + 1, len(sample.form.columns)), np.nan)
        laid[sample.frame[at]] = values[at]
        clips.append(_affect(clip, laid, sample.form, str(path)))
    return sample.form, clips


def _affect(clip: str, values: NDArray[np.float64], form: Form, source: str) -> Affect:
    columns = dict(zip(form.columns, values.T.copy(), strict=True))
    nowhere = np.full(len(values), np.nan)
    valence, arousal = (columns.pop(name, nowhere) for name in DIMENSIONS)
    classes = {name: np.where(np.isnan(column), UNKNOWN, column).astype(np.int8) for name, column in columns.items()}
    expression = classes.pop("expression", None)
    return Affect(clip, valence, arousal, source=source, expression=expression, action_units=classes)


def _values(path: Path, rows: pa.Array, lines: NDArray[np.int64], form: Form) -> NDArray[np.float64]:
    """The numbers of every row, float64 (n, columns), NaN where they say that there is none.

    Rows of classes are few different ones: each is taken apart once.  Of valence and arousal Arrow reads what is in
    order, fast; at the first doubt each row is looked at by itself, which says what is wrong.
    """
    if form.task == "va" and (fast := _fast(rows)) is not None:
        return fast
    unlike = rows.dictionary_encode()
    order: NDArray[np.int32] = unlike.indices.to_numpy()
    first = np.unique(order, return_index=True)[1]
    found = [
        _numbers(f"{path}, line {number}", row, form)
        for number, row in zip(lines[first].tolist(), unlike.dictionary.to_pylist(), strict=True)
    ]
    return np.array(found, np.float64)[order]


def _fast(rows: pa.Array) -> NDArray[np.float64] | None:
    """Two numbers in every row, float64 (n, 2), where everything is in order, else None."""
    if pc.min_max(pc.count_substring(rows, ",")).as_py() != {"min": 1, "max": 1}:
        return None
    try:
        cells = pc.utf8_trim_whitespace(pc.split_pattern(rows, ",").flatten()).cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    values: NDArray[np.float64] = cells.to_numpy().reshape(-1, 2).copy()
    none = values == NOT_ANNOTATED
    sound = ((values >= LOW) & (values <= HIGH)) | none
    values[none] = np.nan
    return values if sound.all() else None


def _numbers(subject: str, row: str, form: Form) -> list[float]:
    cells = [cell.strip() for cell in row.split(",")]
    if cells == [""] or len(cells) != len(form.columns):
        count = 0 if cells == [""] else len(cells)
        raise InputError(
            subject,
            f"has {count} value{'s' * (count != 1)}",
            expected=f"{len(form.columns)}, as line 1 names",
            advice="complete the row, or leave it out where nothing is predicted",
        )
    return [_number(cell, name, subject, form) for cell, name in zip(cells, form.columns, strict=True)]


def _number(cell: str, name: str, subject: str, form: Form) -> float:
    affect = name in DIMENSIONS
    low, high, none = (LOW, HIGH, NOT_ANNOTATED) if affect else (0, form.highest_of(name), UNKNOWN)
    value = float(cell) if NUMBER.fullmatch(cell) else math.nan
    if value == none:
        return math.nan
    if not low <= value <= high or not (affect or value.is_integer()):
        raise InputError(
            subject,
            f"{name} is '{cell[:40]}'",
            expected=f"{'' if affect else 'a whole number, '}{low:g} to {high:g}, or {none:g} where there is none",
            advice="mend the row: affcli lint-submission tells all that are not in order",
        )
    return value
