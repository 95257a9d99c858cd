"""Labels or predictions of a task of the challenges, from whatever holds them: tables, label files, CSV, submissions.

The tasks are valence and arousal ("va"), expressions ("expr"), action units ("au") and all of them ("mtl").
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from affcli.errors import InputError
from affcli.labels import csv
from affcli.labels.affect import DIMENSIONS, Affect, distinct
from affcli.labels.categories import (
    ACTION_UNIT_HEADERS,
    EXPRESSION_HEADERS,
    read_action_units,
    read_expressions,
)
from affcli.labels.files import TABLE, TEXTS, affect_files, held, label_stems
from affcli.labels.lines import EXPRESSION, read_bytes
from affcli.labels.multitask import is_multitask, read_multitask
from affcli.labels.read import beginning, holds_tables, read_affect, read_stream
from affcli.labels.scales import Scale
from affcli.labels.submissions.form import form_of
from affcli.labels.submissions.read import read_submission

TASKS = ("va", "expr", "au", "mtl")
Kind = Literal["tables", "submission", "multi-task", "labels", "csv"]
_EXPECTED = {
    "va": "affect tables, CSV (clip,frame,valence,arousal), Aff-Wild2 label files or a submission",
    "expr": "affect tables, Aff-Wild2 label files, CSV (clip,frame,expression), multi-task labels or a submission",
    "au": "affect tables, Aff-Wild2 label files, multi-task labels or a submission",
    "mtl": "affect tables, or multi-task labels (image,valence,arousal,expression,aus)",
}


@dataclass(frozen=True, eq=False)
class TaskLabels:
    """What one side of a comparison holds: its clips, as far as the task goes.

    `open_ended` says that the source names frames, and not how many a clip has: submissions and multi-task labels.
    `classes` is how many expressions its header names, None where it has no such header.
    """

    clips: list[Affect]
    open_ended: bool = False
    classes: int | None = None


@dataclass(frozen=True)
class Source:
    """What a path holds, as far as its beginning tells, and of which task it is; None where it may be of any."""

    kind: Kind
    task: str | None = None


def look(path: Path) -> Source:
    """What kind of files `path` is, or holds, told by endings and a first line.

    What cannot be read is taken for CSV, of which its reader says what is wrong; so is a pipe.  Raises InputError
    where a submission is of no task.
    """
    if path.is_dir():
        kinds = held(path)
        if TABLE in kinds:
            return Source("tables")
        texts, sheets = (kinds.get(ending, []) for ending in TEXTS)
        if not texts and not sheets:
            return Source("labels")
        found = look((texts or sheets)[0])
        return found if texts and found.kind == "labels" else Source("csv", found.task)
    if holds_tables(path):
        return Source("tables")
    first = re.split(rb"[\r\n]", beginning(path, 1000).removeprefix(b"\xef\xbb\xbf"), maxsplit=1)[0]
    line = first.decode("utf-8", errors="replace")
    cells = tuple(cell.strip().lower() for cell in line.split(","))
    if is_multitask(line):
        return Source("multi-task", "mtl")
    if cells[0] in ("image", "image_location") and "frame" not in cells:
        return Source("submission", form_of(line.rstrip(), str(path), pictures=True).task)
    if cells in EXPRESSION_HEADERS or cells in ACTION_UNIT_HEADERS:
        return Source("labels", "expr" if cells in EXPRESSION_HEADERS else "au")
    affect = set(DIMENSIONS) <= set(cells)
    if affect != (EXPRESSION in cells):  # of CSV with both, either may be meant
        return Source("csv", "va" if affect else "expr")
    return Source("csv")


def read_labels(path: Path, task: str, *, scale: Scale | None = None, beyond: bool = False) -> TaskLabels:
    """The clips that `path` holds, for one of TASKS.

    `scale` and `beyond` tell of valence and arousal in CSV and Aff-Wild2 files what they tell `read_affect`.
    Multi-task labels hold every task.  Raises InputError, with the line, where a file is malformed, or the path holds
    nothing of this task; SchemaError where a table is of another kind.
    """
    source = look(path)
    if source.kind == "multi-task":
        return TaskLabels([labels.affect() for labels in read_multitask(path)], open_ended=True)
    if source.task not in (None, task):
        raise InputError(
            path,
            f"is of the task {source.task}",
            expected=f"one of the task {task}: {_EXPECTED[task]}",
            advice=f"name such a file, or choose the task {source.task}",
        )
    if source.kind == "submission":
        form, clips = read_submission(path)
        return TaskLabels(clips, open_ended=True, classes=form.highest + 1 if task == "expr" else None)
    if source.kind == "tables" or task == "va":
        return TaskLabels(read_affect(path, scale=scale, beyond=beyond))
    if source.kind == "csv" and task == "expr":
        files = affect_files(path)
        found = (clip for file in files for clip in _classes_of_csv(read_bytes(file), str(file), file.stem))
        return TaskLabels(distinct(dataclasses.replace(clip, named=clip.named or path.is_dir()) for clip in found))
    if source.kind == "labels" and task in ("expr", "au"):
        return _category_labels(path, task)
    raise InputError(
        path,
        f"holds nothing of the task {task} that is known",
        expected=_EXPECTED[task],
        advice="name such files (import-labels makes tables of more formats), or say another --task",
    )


def read_task_stream(stream: BinaryIO, task: str, *, scale: Scale | None = None, beyond: bool = False) -> TaskLabels:
    """The clips of CSV from a pipe.  Raises InputError where it is malformed, or CSV holds nothing of this task."""
    if task == "va":
        return TaskLabels(read_stream(stream, scale=scale, beyond=beyond))
    if task == "expr":
        return TaskLabels(_classes_of_csv(stream.read(), "standard input", "-"))
    raise InputError(
        "standard input",
        f"is CSV, which has no form for the task {task}",
        expected=_EXPECTED[task],
        advice="name files",
    )


def fitted(truth: TaskLabels, prediction: TaskLabels) -> tuple[list[Affect], list[Affect]]:
    """The clips of both sides, those of an open-ended one as long as the other side's, if that is longer.

    Nothing is known of what is added.  Clips are matched by name, or as the only two there are.
    """
    return _lengthened(truth, prediction), _lengthened(prediction, truth)


def _lengthened(side: TaskLabels, other: TaskLabels) -> list[Affect]:
    if not side.open_ended:
        return side.clips
    if len(side.clips) == len(other.clips) == 1 and not other.clips[0].named:
        return [side.clips[0].resized(max(len(side.clips[0]), len(other.clips[0])))]
    lengths = {clip.clip: len(clip) for clip in other.clips}
    return [clip.resized(max(len(clip), lengths.get(clip.clip, 0))) for clip in side.clips]


def _classes_of_csv(content: bytes, source: str, stem: str) -> list[Affect]:
    return csv.parse(content, source, stem, affect=False)


def _category_labels(path: Path, task: str) -> TaskLabels:
    """Label files of expressions or of action units, one for each clip.  Of expressions all must name the same ones."""
    files = label_stems(path, (".txt",))
    clips = [_category_clip(clip, file, task, named=path.is_dir()) for clip, file in sorted(files.items())]
    if task == "au":
        return TaskLabels(clips)
    classes = {clip: _class_count(files[clip]) for clip in sorted(files)}
    first, count = next(iter(classes.items()))
    if other := next((clip for clip in classes if classes[clip] != count), None):
        raise InputError(
            files[other],
            f"names {classes[other]} expressions",
            expected=f"{count}, as {files[first]} names",
            advice="name the directory of one year's labels",
        )
    return TaskLabels(clips, classes=count)


def _category_clip(clip: str, file: Path, task: str, *, named: bool) -> Affect:
    expression = read_expressions(file) if task == "expr" else None
    units = read_action_units(file) if task == "au" else {}
    nowhere = np.full(len(next(iter(units.values()))) if expression is None else len(expression), np.nan)
    return Affect(clip, nowhere, nowhere, source=str(file), named=named, expression=expression, action_units=units)


def _class_count(file: Path) -> int:
    """How many expressions the first line of a label file names, which `read_expressions` has found in order."""
    return read_bytes(file).splitlines()[0].count(b",") + 1
