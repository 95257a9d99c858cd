"""What is wrong with a challenge submission, told by the sample and, for its curves, by a reference.

Everything here has been seen in files that teams sent in: rows that lack or stand elsewhere, columns that changed
places, a last line that is repeated to make up the number, curves that run backwards.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from affcli.errors import InputError, some
from affcli.labels.affect import Affect
from affcli.labels.files import label_stems
from affcli.labels.submissions.cells import read_cells
from affcli.labels.submissions.curves import curve_findings, unjudged
from affcli.labels.submissions.form import Form
from affcli.labels.submissions.reference import reference_findings, reference_values
from affcli.labels.submissions.rows import EITHER, REORDER, Finding, Rows, read_rows
from affcli.labels.submissions.sample import Sample, Wanted

_PLACE = re.compile(r"(?:.*[/\\])?([^/\\]+)[/\\](\d{1,9})(?:\.\w+)?", re.ASCII)


Tell = Callable[[str], object]


def lint(
    path: Path, sample: Sample, reference: Sequence[Affect] | None = None, tell: Tell = lambda _: None
) -> list[Finding]:
    """Everything that is wrong with the submission in the file `path`, in the order of its first lines within a kind.

    `reference`, predictions or labels of the same clips, tells whether columns are swapped, curves turned round or
    shifted, classes in another order and action units inverted; where it is too small to tell that, `tell` is called
    with a line that says so.  Of a submission of another task the cells are not looked at.

    Raises InputError where the file cannot be read, is empty or no text, or where the reference has no clip in common
    with the sample; UsageError where it lacks what the sample's task needs.
    """
    rows, findings = read_rows(path, sample.form, sample.pictures)
    place, against = _against_sample(rows, sample)
    if rows.other_task:
        return findings + against
    values, cells = read_cells(rows, sample.form)
    # Curves are looked at in the rows of the sample: what lacks is NaN there, and has been told.
    curves, where = values, rows.lines
    if place is not None:
        curves = np.full((len(sample), len(sample.form.columns)), np.nan)
        where = np.zeros(len(sample), np.int64)
        known = place >= 0
        curves[place[known]], where[place[known]] = values[known], rows.lines[known]
    del rows
    truth = None if reference is None else reference_values(sample, reference)
    found = curve_findings(sample, curves, where, truth)
    if truth is not None:
        findings = [_turned_header(one, sample, curves, truth, found) for one in findings]
        for line in unjudged(sample, curves, truth, found):
            tell(line)
    return findings + against + cells + found


def _turned_header(
    finding: Finding,
    sample: Sample,
    values: NDArray[np.float64],
    truth: NDArray[np.float64],
    found: Sequence[Finding],
) -> Finding:
    """A finding of columns in another order, with what the reference tells: whether the values stand so, too."""
    k = sample.form.numbers
    if finding.advice != EITHER or not k:
        return finding
    if any(one.kind == "swapped" for one in found):
        return dataclasses.replace(finding, advice=REORDER)
    # The values stand as the sample has them where the other way round the reference would tell them from it.
    turned = np.concatenate([values[:, k - 1 :: -1], values[:, k:]], axis=1)
    where = np.arange(1, len(values) + 1)
    if any(one.kind == "swapped" for one in reference_findings(sample, turned, truth, where)):
        advice = "copy the first line of the sample alone: the values stand in its order, by the reference"
        return dataclasses.replace(finding, advice=advice)
    return finding


def lint_files(
    path: Path, wanted: Sequence[Wanted], reference: Sequence[Affect] | None = None, tell: Tell = lambda _: None
) -> list[Finding]:
    """Everything that is wrong with a submission of a file for each clip, in the directory `path`.

    A finding tells the first file that it is in; otherwise as `lint`.  Raises InputError where the directory holds no
    .txt file, or where those that are `wanted` have different first lines.
    """
    form = _common_form(wanted)
    files = label_stems(path, (".txt",))
    found = [_files_missing(wanted, files), _files_extra(wanted, files)]
    values, lines, names, frames = [], [], [], []
    for one in wanted:
        if one.clip not in files:
            continue
        file = files[one.clip]
        try:
            rows, text = read_rows(file, one.form, None)
        except InputError as error:
            found.append([Finding("unreadable", 1, 1, f"files that cannot be read ({error.found})", file.name)])
            continue
        if rows.other_task:
            here = [*text, *_rows_counted(rows, one)]
            found.append([dataclasses.replace(finding, file=file.name) for finding in here])
            continue
        count = len(rows.tails) if one.frames is None else one.frames
        numbers, cells = read_cells(rows, form)
        here = [*text, *_rows_counted(rows, one), *cells]
        found.append([dataclasses.replace(finding, file=file.name) for finding in here])
        made = np.full((count, len(form.columns)), np.nan)
        made[: len(numbers)] = numbers[:count]
        where = np.zeros(count, np.int64)
        where[: len(numbers)] = rows.lines[:count]
        values.append(made)
        lines.append(where)
        names.append(file)
        frames.append(count)
    findings = _merged([finding for some_of in found for finding in some_of])
    if not sum(frames):
        return findings
    # One numbering for the lines of all files, from which a finding is taken back to its file.
    longest = max(int(where.max(initial=0)) for where in lines) + 1
    every = np.concatenate([np.where(where > 0, where + i * longest, 0) for i, where in enumerate(lines)])
    curves = np.concatenate(values)
    sample = _sample_of(path, form, [file.stem for file in names], frames)
    truth = None if reference is None else reference_values(sample, reference)
    of_curves = curve_findings(sample, curves, every, truth)
    if truth is not None:
        for told in unjudged(sample, curves, truth, of_curves):
            tell(told)
    for finding in of_curves:
        i, line = divmod(finding.line, longest)
        findings.append(dataclasses.replace(finding, line=line, file=names[i].name))
    return findings


def _against_sample(rows: Rows, sample: Sample) -> tuple[NDArray[np.int64] | None, list[Finding]]:
    """The row of the sample that each row is, int64 (n,), -1 where none or seen before; and how they differ.

    None where they are the sample's, one by one.
    """
    pictures = rows.pictures
    assert pictures is not None
    if pictures.equals(sample.pictures):
        return None, []
    found = pc.index_in(pictures, sample.pictures).fill_null(-1).to_numpy().astype(np.int64)
    findings = []
    extra = np.flatnonzero(found < 0)
    if len(extra):
        first = pictures[int(extra[0])].as_py()
        said = f"rows that the sample does not have (first: '{first[:60]}'{_meant(first, sample)})"
        findings.append(Finding("extra-rows", int(rows.lines[extra[0]]), len(extra), said))
    repeated = found >= 0
    repeated[np.unique(found, return_index=True)[1]] = False
    again = np.flatnonzero(repeated)
    if len(again):
        said = f"rows whose picture has come before (first: '{pictures[int(again[0])].as_py()[:60]}')"
        findings.append(Finding("duplicate-rows", int(rows.lines[again[0]]), len(again), said))
    found[again] = -1
    here = np.flatnonzero(found >= 0)
    findings += _missing(rows, found, sample)
    wrong = np.flatnonzero(found[here] != np.sort(found[here]))
    if len(wrong):
        row = here[wrong[0]]
        due = sample.pictures[int(np.sort(found[here])[wrong[0]])]
        said = f"rows out of the order of the sample (first: '{pictures[int(row)].as_py()[:60]}' where '{due}' is due)"
        findings.append(Finding("order", int(rows.lines[row]), len(wrong), said))
    return found, findings


def _meant(picture: str, sample: Sample) -> str:
    """What a picture that the sample does not have may be meant for."""
    found = _PLACE.fullmatch(picture.strip(" \"'"))
    if found is None:
        return f", expected such as '{sample.pictures[0].as_py()}'"
    if not int(found[2]):
        return ", whose numbers begin at 00001"
    at = np.flatnonzero(sample.frame == int(found[2]) - 1)
    same = [sample.pictures[i].as_py() for i in at.tolist() if sample.clips[sample.place[i]] == found[1]]
    return f", which the sample writes '{same[0]}'" if same else ""


def _missing(rows: Rows, found: NDArray[np.int64], sample: Sample) -> list[Finding]:
    """The rows of the sample that lack, where `found` are there: cut off, at the ends of clips, or anywhere."""
    there = np.zeros(len(sample), np.bool_)
    there[found[found >= 0]] = True
    lacking = np.flatnonzero(~there)
    if not len(lacking):
        return []
    first = int(lacking[0])
    # Where it is due: after the row that stands before it in the sample.
    line = 2
    if first:
        before = pc.equal(rows.pictures, sample.pictures[first - 1]).to_numpy(zero_copy_only=False)
        line = int(rows.lines[np.flatnonzero(before)[-1]]) + 1
    told = f"first: '{sample.pictures[first].as_py()}', line {sample.lines[first]} of the sample"
    if len(lacking) == len(sample) - first and first:
        said = f"the file is cut off after {first} of {len(sample)} rows ({told})"
        return [Finding("truncated", line, len(lacking), said)]
    said = f"{'one row of the sample lacks' if len(lacking) == 1 else 'rows of the sample lack'} ({told})"
    cut = [clip for clip, at in zip(sample.clips, sample.rows_of_clips(), strict=True) if not there[at[-1]]]
    if cut:
        said += f"; the last frame of {len(cut)} clip{'s' * (len(cut) > 1)} lacks: {some(cut)}"
    return [Finding("missing-rows", line, len(lacking), said)]


def _common_form(wanted: Sequence[Wanted]) -> Form:
    """The form of every file that is wanted."""
    other = next((one for one in wanted if one.form != wanted[0].form), None)
    if not wanted or other is not None:
        raise InputError(
            "--sample",
            f"begins '{wanted[0].form.header}' in clip '{wanted[0].clip}', '{other.form.header}' in '{other.clip}'"
            if other
            else "names no clip",
            expected="one first line in the files of all clips" if other else "a line or a file for each clip",
            advice="take the sample as the organisers gave it",
        )
    return wanted[0].form


def _files_missing(wanted: Sequence[Wanted], files: dict[str, Path]) -> list[Finding]:
    lacking = [one.clip for one in wanted if one.clip not in files]
    said = f"clips of the sample without a file: {some(lacking)}"
    return [Finding("missing-files", 1, len(lacking), said, f"{lacking[0]}.txt")] if lacking else []


def _files_extra(wanted: Sequence[Wanted], files: dict[str, Path]) -> list[Finding]:
    extra = sorted(files.keys() - {one.clip for one in wanted})
    said = f"files of clips that the sample does not have: {some(extra)}"
    return [Finding("extra-files", 1, len(extra), said, files[extra[0]].name)] if extra else []


def _rows_counted(rows: Rows, wanted: Wanted) -> list[Finding]:
    """Rows that lack at the end of the file of one clip, or are too many."""
    count, due = len(rows.tails), wanted.frames
    if due is None or count == due:
        return []
    if count < due:
        line = int(rows.lines[-1]) + 1 if count else 2
        return [Finding("truncated", line, due - count, f"the file has {count} rows, expected {due}")]
    return [Finding("extra-rows", int(rows.lines[due]), count - due, f"the file has {count} rows, expected {due}")]


def _merged(findings: Sequence[Finding]) -> list[Finding]:
    """One finding for each kind, that of the first file, which says how many files are alike."""
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(finding)
    merged = []
    for first, *more in kinds.values():
        said = f"{first.message}; so in {len(more) + 1} files" if more else first.message
        merged.append(dataclasses.replace(first, count=sum(one.count for one in (first, *more)), message=said))
    return merged


def _sample_of(path: Path, form: Form, clips: Sequence[str], frames: Sequence[int]) -> Sample:
    """The rows of a file for each clip as if they stood in one."""
    place = np.repeat(np.arange(len(clips), dtype=np.int32), frames)
    frame = np.concatenate([np.arange(count, dtype=np.int32) for count in frames])
    return Sample(
        str(path),
        form,
        pa.nulls(len(frame), pa.large_string()),
        tuple(clips),
        place,
        frame,
        np.arange(2, len(frame) + 2, dtype=np.int64),
    )
