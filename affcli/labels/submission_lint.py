"""What is wrong with a challenge submission in one file, told by the sample and, for its curves, by a reference.

Everything here has been seen in files that teams sent in: rows that lack or stand elsewhere, columns that changed
places, a last line that is repeated to make up the number, curves that run backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError, UsageError, some
from affcli.labels.affect import Affect, distinct
from affcli.labels.lines import NUMBER, decode, read_bytes
from affcli.labels.submission_curves import Finding, curve_findings
from affcli.labels.submissions import Form, Sample

_BOM = b"\xef\xbb\xbf"
_NOT_FINITE = ("nan", "inf", "infinity")


@dataclass(frozen=True, eq=False)
class _Rows:
    """The n rows of a file: their line, from 1, their picture, and the text behind it, without trailing commas.

    `ragged` are the rows whose text has too few or too many cells.
    """

    lines: NDArray[np.int64]
    pictures: list[str]
    tails: list[str]
    ragged: set[int]


def lint(path: Path, sample: Sample, reference: Sequence[Affect] | None = None) -> list[Finding]:
    """Everything that is wrong with the submission in the file `path`, in the order of its first lines within a kind.

    `reference`, predictions or labels of the same clips, tells whether columns are swapped and curves turned round.
    Raises InputError where the file cannot be read, is empty or no text, or where the reference has no clip in common
    with the sample; UsageError where it lacks what the sample's task needs.
    """
    if path.is_dir():
        raise InputError(path, "is a directory", expected="a submission in one file", advice="name the file")
    content = read_bytes(path)
    text = decode(content, str(path), "the submission that the sample asks for")
    findings = _marks(content)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    begins, header = _header(lines[0], sample)
    findings += header
    rows, shape = _rows(lines, begins, sample.form)
    findings += shape
    place, against = _against_sample(rows, sample)
    findings += against
    values, numbers = _numbers(rows, sample.form)
    findings += numbers
    # Curves are looked at in the rows of the sample: what lacks is NaN there, and has been told.
    curves = np.full((len(sample), len(sample.form.columns)), np.nan)
    where = np.zeros(len(sample), np.int64)
    known = place >= 0
    curves[place[known]], where[place[known]] = values[known], rows.lines[known]
    truth = None if reference is None else _reference(sample, reference)
    return findings + curve_findings(sample, curves, where, truth)


def _marks(content: bytes) -> list[Finding]:
    """What stands in the file beside its text."""
    findings = []
    if content.startswith(_BOM):
        findings.append(Finding("byte-order-mark", 1, 1, "the file begins with a byte order mark: save it without"))
    returns = content.count(b"\r")
    if returns:
        line = content.count(b"\n", 0, content.index(b"\r")) + 1
        findings.append(Finding("line-endings", line, returns, "lines end in CR or CRLF, not in LF alone"))
    return findings


def _header(first: str, sample: Sample) -> tuple[int, list[Finding]]:
    """The place of the first line of a row, and what is wrong with the first line."""
    wanted = sample.form.header
    if first == wanted:
        return 1, []
    if first.partition(",")[0].strip() in set(sample.pictures):
        return 0, [Finding("header", 1, 1, f"the header lacks, expected '{wanted}'")]
    return 1, [Finding("header", 1, 1, f"the header is '{first[:120]}', expected '{wanted}'")]


def _rows(lines: list[str], begins: int, form: Form) -> tuple[_Rows, list[Finding]]:
    """The rows, and lines that are blank, end in a comma or have too many or too few cells."""
    width = len(form.columns)
    end = len(lines) - 1 if not lines[-1] else len(lines)
    blank, trailing, ragged = [], [], []
    numbers: list[int] = []
    pictures, tails = [], []
    for number in range(begins + 1, end + 1):
        picture, comma, tail = lines[number - 1].partition(",")
        if not comma and not picture.strip():
            blank.append(number)
            continue
        cells = tail.count(",") + 1 if comma else 0
        if cells > width and not tail.rpartition(",")[2].strip():
            trailing.append(number)
            while cells > width and not tail.rpartition(",")[2].strip():
                tail, cells = tail.rpartition(",")[0], cells - 1
        if cells != width:
            ragged.append(len(numbers))
        numbers.append(number)
        pictures.append(picture)
        tails.append(tail)
    findings = []
    if blank:
        findings.append(Finding("blank-lines", blank[0], len(blank), "lines without anything in them"))
    if trailing:
        findings.append(Finding("trailing-comma", trailing[0], len(trailing), "rows that end in a comma"))
    if ragged:
        line = numbers[ragged[0]]
        said = f"rows of other than {width + 1} cells (the first has {lines[line - 1].count(',') + 1})"
        findings.append(Finding("cells", line, len(ragged), said))
    return _Rows(np.array(numbers, np.int64), pictures, tails, set(ragged)), findings


def _against_sample(rows: _Rows, sample: Sample) -> tuple[NDArray[np.int64], list[Finding]]:
    """The row of the sample that each row is, int64 (n,), -1 where none or seen before; and how they differ."""
    index = {picture: i for i, picture in enumerate(sample.pictures)}
    found = np.fromiter((index.get(picture, -1) for picture in rows.pictures), np.int64, len(rows.pictures))
    findings = []
    extra = np.flatnonzero(found < 0)
    if len(extra):
        said = f"rows that the sample does not have (first: '{rows.pictures[extra[0]][:60]}')"
        findings.append(Finding("extra-rows", int(rows.lines[extra[0]]), len(extra), said))
    repeated = found >= 0
    repeated[np.unique(found, return_index=True)[1]] = False
    again = np.flatnonzero(repeated)
    if len(again):
        said = f"rows whose picture has come before (first: '{rows.pictures[again[0]][:60]}')"
        findings.append(Finding("duplicate-rows", int(rows.lines[again[0]]), len(again), said))
    found[again] = -1
    here = np.flatnonzero(found >= 0)
    findings += _missing(rows, found[here], sample)
    wrong = np.flatnonzero(found[here] != np.sort(found[here]))
    if len(wrong):
        row = here[wrong[0]]
        due = sample.pictures[np.sort(found[here])[wrong[0]]]
        said = f"rows out of the order of the sample (first: '{rows.pictures[row][:60]}' where '{due}' is due)"
        findings.append(Finding("order", int(rows.lines[row]), len(wrong), said))
    return found, findings


def _missing(rows: _Rows, found: NDArray[np.int64], sample: Sample) -> list[Finding]:
    """The rows of the sample that lack, of which `found` are there: cut off, at the ends of clips, or anywhere."""
    there = np.zeros(len(sample), np.bool_)
    there[found] = True
    lacking = np.flatnonzero(~there)
    if not len(lacking):
        return []
    first = int(lacking[0])
    # Where it is due: after the row that stands before it in the sample.
    line = 2
    if first:
        before = {picture: int(line) for picture, line in zip(rows.pictures, rows.lines, strict=True)}
        line = before[sample.pictures[first - 1]] + 1
    told = f"first: '{sample.pictures[first]}', line {sample.lines[first]} of the sample"
    if len(lacking) == len(sample) - first and first:
        said = f"the file is cut off after {first} of {len(sample)} rows ({told})"
        return [Finding("truncated", line, len(lacking), said)]
    said = f"{'one row of the sample lacks' if len(lacking) == 1 else 'rows of the sample lack'} ({told})"
    cut = [clip for clip, at in zip(sample.clips, sample.rows_of_clips(), strict=True) if not there[at[-1]]]
    if cut:
        said += f"; the last frame of {len(cut)} clip{'s' * (len(cut) > 1)} lacks: {some(cut)}"
    return [Finding("missing-rows", line, len(lacking), said)]


def _numbers(rows: _Rows, form: Form) -> tuple[NDArray[np.float64], list[Finding]]:
    """The values, float64 (n, columns), NaN where there is none in order; and what is wrong with them."""
    width = len(form.columns)
    tails = rows.tails
    if rows.ragged:
        fitted = {i: [*tails[i].split(","), *[""] * width][:width] for i in rows.ragged}
        tails = [",".join(fitted[i]) if i in fitted else tail for i, tail in enumerate(tails)]
    flat = ",".join(tails).split(",") if tails else []
    wrong: dict[str, list[int]] = {}
    lacking: list[int] = []  # in rows of too few or too many cells, which have been told of
    values = _fast(flat)
    if values is None:
        values = np.zeros(len(flat))
        for i, cell in enumerate(map(str.strip, flat)):
            if NUMBER.fullmatch(cell) or cell.lower().lstrip("+-") in _NOT_FINITE:
                values[i] = float(cell)
            elif i // width not in rows.ragged:
                wrong.setdefault("not-a-number", []).append(i)
            else:
                lacking.append(i)
    wrong["not-finite"] = np.flatnonzero(~np.isfinite(values)).tolist()
    finite = np.where(np.isfinite(values), values, 0.0)
    if form.task == "va":
        outside = (finite < -1) | (finite > 1)
        expected = "outside [-1, 1]"
    else:
        whole = np.array([cell.strip().lstrip("+-").isdigit() for cell in flat], np.bool_)
        fractions = set(np.flatnonzero(np.isfinite(values) & ~whole).tolist())
        wrong["not-an-integer"] = sorted(fractions.difference(wrong.get("not-a-number", ()), lacking))
        outside = (finite < 0) | (finite > form.highest)
        expected = f"outside 0 to {form.highest}"
    wrong["out-of-range"] = np.flatnonzero(outside).tolist()
    names = {
        "not-finite": "cells that are NaN or infinite",
        "not-a-number": "cells that are no number",
        "not-an-integer": "cells that are no whole number",
        "out-of-range": f"cells {expected}",
    }
    findings = []
    for kind, said in names.items():
        if cells := wrong.get(kind):
            first = cells[0]
            told = f"{said} (first: {form.columns[first % width]} is '{flat[first].strip()[:40]}')"
            findings.append(Finding(kind, int(rows.lines[first // width]), len(cells), told))
    values[~np.isfinite(values) | outside] = np.nan
    values[[*wrong.get("not-a-number", ()), *lacking]] = np.nan
    return values.reshape(len(tails), width), findings


def _fast(cells: list[str]) -> NDArray[np.float64] | None:
    """All cells as numbers, or None where one may be none: Python's float takes more than others understand."""
    if not all(map(str.isascii, cells)) or any("_" in cell for cell in cells):
        return None
    try:
        return np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        return None


def _reference(sample: Sample, clips: Sequence[Affect]) -> NDArray[np.float64]:
    """What the reference says of each row of the sample: float64 (n, columns), NaN where nothing."""
    by_name = {affect.clip: affect for affect in distinct(clips)}
    if not by_name.keys() & set(sample.clips):
        raise InputError(
            clips[0].source if clips else "reference",
            f"has no clip in common with the sample ({some(by_name) or 'none'})",
            expected=f"clips {some(sample.clips)}",
            advice="name the clips alike",
        )
    if sample.form.task == "au":
        raise UsageError(
            "--reference",
            "is of no use for action units",
            expected="a sample of valence and arousal or of expressions",
            advice="leave it out",
        )
    found = np.full((len(sample), len(sample.form.columns)), np.nan)
    for clip, rows in zip(sample.clips, sample.rows_of_clips(), strict=True):
        affect = by_name.get(clip)
        if affect is None:
            continue
        rows = rows[sample.frame[rows] < len(affect)]
        for column, name in enumerate(sample.form.columns):
            if name != "expression":
                found[rows, column] = getattr(affect, name)[sample.frame[rows]]
            elif affect.expression is not None:
                classes = affect.expression[sample.frame[rows]]
                found[rows, column] = np.where(classes < 0, np.nan, classes)
    if np.isnan(found).all():
        raise UsageError(
            "--reference",
            f"says no {' or '.join(sample.form.columns)} in any row of the sample",
            expected="predictions or labels of the same task and clips",
            advice="name others, or leave it out",
        )
    return found
