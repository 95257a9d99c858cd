"""affcli lint-submission"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import typer

from affcli.errors import SchemaError

FILE = typer.Argument(..., metavar="FILE", help="The submission: one file with a row for each picture.")
SAMPLE = typer.Option(..., "--sample", help="The organisers' sample file.")
REFERENCE = typer.Option(
    None,
    "--reference",
    metavar="PREDS_OR_GT",
    help="Predictions or labels of the same clips, or some of them, as affcli score reads them: they tell whether "
    "valence and arousal are swapped and curves turned round.",
)


def lint_submission(
    file: Path = FILE,
    sample: Path = SAMPLE,
    reference: Path | None = REFERENCE,
    as_json: bool = typer.Option(False, "--json", help="One JSON object."),
) -> None:
    """Look for what is wrong with a challenge submission before it is sent in.

    Writes a line for each kind of finding to stdout, FILE:LINE: KIND (COUNT): what it is, where LINE is the first such
    line of the file (of rows that lack, the one where the first is due) and COUNT how many there are.

    Of the file: byte-order-mark, line-endings, header, blank-lines, trailing-comma, cells (too many or too few). Of its
    rows against the sample: missing-rows, truncated, extra-rows, duplicate-rows, order. Of its cells: not-a-number,
    not-finite, not-an-integer, out-of-range.

    Of curves, of clips of 10 rows or more: constant; padding (the last row of a clip is repeated, more than twice as
    often as any row within it; predictions that were filled in by hold look alike); one-class (an expression or action
    unit that is the same in every row). With --reference: swapped (valence and arousal), reversed (in time), opposite
    (in sign), below-chance (expressions: the least probable class in place of the most).

    Ends with status 0 where there is nothing, and with status 4 where there is any finding.
    """
    from affcli.labels.read import read_affect, read_text
    from affcli.labels.submission_lint import lint
    from affcli.labels.submissions import read_sample

    asked = read_sample(sample)
    clips = None
    if reference is not None:
        by_row = asked.form.task == "expr" and reference.suffix.lower() == ".csv" and reference.is_file()
        clips = read_text(reference) if by_row else read_affect(reference)
    findings = lint(file, asked, clips)
    if as_json:
        told = [dataclasses.asdict(finding) for finding in findings]
        report = {"file": file.name, "sample": sample.name, "task": asked.form.task, "rows": len(asked)}
        print(json.dumps({**report, "clean": not findings, "findings": told}, indent=2, ensure_ascii=False))
    else:
        for one in findings:
            print(f"{file}:{one.line}: {one.kind} ({one.count}): {one.message}")
    if findings:
        raise typer.Exit(SchemaError.status)
