"""affcli lint-submission"""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from affcli.errors import InputError, SchemaError

if TYPE_CHECKING:
    from affcli.labels.submissions.rows import Finding

    # The task, how many rows there ought to be (None where nothing says so), and what is wrong.
    Report = tuple[str, int | None, list[Finding]]

log = logging.getLogger(__name__)

FILE = typer.Argument(
    ...,
    metavar="FILE",
    help="The submission: one file with a row for each picture, or a directory with a file for each clip (ABAW1 to 3).",
)
SAMPLE = typer.Option(
    ...,
    "--sample",
    help="The organisers' sample file. Of a directory: a directory of files laid out like those of the submission, or "
    "a list of lines clip or clip,frames.",
)
REFERENCE = typer.Option(
    None,
    "--reference",
    metavar="PREDS_OR_GT",
    help="Predictions or labels of the same task and clips, or some of them, as affcli score reads them: they tell "
    "whether columns are swapped, curves turned round or shifted, classes in another order, action units inverted.",
)
TASK = typer.Option(
    None,
    "--task",
    help="Valence and arousal, expressions, action units or all of them (mtl). By default, what the first line of the "
    "sample file says; of a directory, va.",
)


def lint_submission(
    file: Path = FILE,
    sample: Path = SAMPLE,
    reference: Path | None = REFERENCE,
    task: Literal["va", "expr", "au", "mtl"] | None = TASK,
    as_json: bool = typer.Option(False, "--json", help="One JSON object."),
) -> None:
    """Look for what is wrong with a challenge submission before it is sent in.

    Writes a line for each kind of finding to stdout, FILE:LINE: KIND (COUNT): what it is; what to do. LINE is the first
    such line of the file (of rows that lack, the one where the first is due) and COUNT how many there are. What can
    only be meant in one way, such as semicolons for commas, is told and then read as it is meant.

    Of the file: byte-order-mark, line-endings, separator (semicolons or tabs), decimal-comma, header, blank-lines,
    trailing-comma, cells (too many or too few), task (it is a submission of another one, of which the cells are not
    looked at). Of its rows against the sample: missing-rows, truncated, extra-rows,
    duplicate-rows, order. Of its cells: not-a-number, not-finite, not-an-integer, out-of-range. Of a directory, too:
    missing-files, extra-files, unreadable.

    Of curves, of clips of 10 rows or more: constant; padding (the last row of a clip is repeated, more than twice as
    often as any row within it; predictions that were filled in by hold look alike); reversed-interpolation (gaps that
    are filled in backwards); one-class (an expression or action unit that is the same in every row).

    With --reference: swapped (valence and arousal), reversed (in time), opposite (in sign), shifted (by 1 to 5 rows, of
    what is otherwise the reference); of expressions class-order (numbers moved on, or those of the alphabet, AffectNet
    or FER2013) and below-chance (the least probable class in place of the most); of action units column-order and
    inverted. Each is said only where it cannot well be chance, with the numbers: shifted and exact reversals of any
    clip; curves over 10 clips or more, or where 3 or more of 100 frames agree far better the other way, every one of
    them; classes by their runs. Where the reference has too few clips or frames to tell, or hardly agrees any way, a
    line on stderr says so, and notes of the JSON do, beside findings, too; not of curves that agree
    with it as they are (correlation 0.95 or more in every clip), nor of classes that do (9 of 10). Of a header whose
    columns are in another order it tells whether the values are, too. Curves, expressions and action units are judged
    by rows with as many cells as they should have, and not where these are fewer than half.

    Ends with status 0 where there is nothing, and with status 4 where there is any finding.
    """
    from affcli.labels.submissions.advice import advice_of

    if sample.is_dir() and not file.is_dir():
        raise InputError(
            file,
            "is one file" if file.exists() else "does not exist",
            expected=f"a directory with a file for each clip, as {sample} is",
            advice="name the directory of the submission, or the organisers' sample file",
        )
    notes: list[str] = []
    if file.is_dir() and not _is_of_pictures(sample):
        of, rows, findings = _many_files(file, sample, task or "va", reference, notes)
    else:
        of, rows, findings = _one_file(file, sample, task, reference, notes)
    for note in notes:
        log.warning("%s: %s", reference, note)
    if as_json:
        told = [dataclasses.asdict(finding) | {"advice": advice_of(finding)} for finding in findings]
        report = {"file": file.name, "sample": sample.name, "task": of, "rows": rows}
        ends = {"clean": not findings, "findings": told, "notes": notes}
        print(json.dumps({**report, **ends}, indent=2, ensure_ascii=False))
    else:
        for one in findings:
            place = f"{file / one.file if one.file else file}:{one.line}"
            print(f"{place}: {one.kind} ({one.count}): {one.message}; {advice_of(one)}")
    if findings:
        raise typer.Exit(SchemaError.status)


def _one_file(file: Path, sample: Path, task: str | None, reference: Path | None, notes: list[str]) -> Report:
    """What is wrong with a submission in one file; `notes` gets what the reference is too small to tell."""
    from affcli.labels.submissions.form import require_task
    from affcli.labels.submissions.lint import lint
    from affcli.labels.submissions.sample import read_sample
    from affcli.labels.tasks import read_labels

    asked = read_sample(sample)
    if task is not None:
        require_task(asked.form, task, str(sample))
    clips = None if reference is None else read_labels(reference, asked.form.task).clips
    return asked.form.task, len(asked), lint(file, asked, clips, notes.append)


def _many_files(path: Path, sample: Path, task: str, reference: Path | None, notes: list[str]) -> Report:
    """What is wrong with a submission of a file for each clip; otherwise as `_one_file`."""
    from affcli.labels.submissions.lint import lint_files
    from affcli.labels.submissions.sample import read_wanted
    from affcli.labels.tasks import read_labels

    wanted = read_wanted(sample, task)
    clips = None if reference is None else read_labels(reference, task).clips
    counts = [one.frames for one in wanted if one.frames is not None]
    rows = sum(counts) if len(counts) == len(wanted) else None
    return task, rows, lint_files(path, wanted, clips, notes.append)


def _is_of_pictures(sample: Path) -> bool:
    """Whether a sample is that of one file, since its first line begins with a column of pictures."""
    from affcli.labels.submissions.text import read_lines

    if sample.is_dir():
        return False
    return str(read_lines(sample, "the organisers' sample")[0][0]).lower().startswith("image")
