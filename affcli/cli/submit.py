"""affcli submit"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from affcli.cli.own_tables import was_read
from affcli.cli.progress import say
from affcli.errors import UsageError, some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from affcli.labels.affect import Affect
    from affcli.labels.submissions.answers import Counts
    from affcli.labels.submissions.write import Written

log = logging.getLogger(__name__)

PREDS = typer.Argument(
    ...,
    metavar="PREDS",
    help="Predictions of the task, as affcli score reads them: an affect table, a CSV (clip,frame,valence,arousal or "
    "clip,frame,expression), a directory of one of these or of text files laid out like the labels, multi-task labels, "
    "another submission in one file, or - for CSV on stdin.",
)
OUT = typer.Option(..., "--out", "-o", help="The file to write; with --layout files, the directory of the files.")
SAMPLE = typer.Option(
    None,
    "--sample",
    help="The organisers' sample file, whose first line and rows are taken as they are. With --layout files and where "
    "wanted, a directory of files laid out like those to write, or a list of lines clip or clip,frames.",
)
LAYOUT = typer.Option(
    "file",
    "--layout",
    help="file is one file with a row for each picture (ABAW5 and later), files one for each clip, laid out like the "
    "labels (ABAW1 to 3).",
)
TASK = typer.Option(
    None,
    "--task",
    help="Valence and arousal, expressions, action units or all of them (mtl). By default, what the first line of the "
    "sample file says; with --layout files, va.",
)
FILLING = typer.Option(
    "error",
    "--missing",
    help="What a frame without a prediction gets: error refuses and counts them, hold the prediction before it (or the "
    "first), interpolate the line between its neighbours and the nearest at the ends (of classes the nearest), zero 0 "
    "(the class Neutral, an absent action unit). Frames past the end of a clip's predictions are filled in, too.",
)
DIGITS = typer.Option(
    None,
    "--digits",
    min=1,
    max=17,
    help="Decimals of valence and arousal; by default as many as it takes to read the same numbers back.",
)
FORCE = typer.Option(False, "--force", help="Replace files that are there already.")


def submit(
    preds: Path = PREDS,
    out: Path = OUT,
    sample: Path | None = SAMPLE,
    layout: Literal["file", "files"] = LAYOUT,
    task: Literal["va", "expr", "au", "mtl"] | None = TASK,
    missing: Literal["error", "hold", "interpolate", "zero"] = FILLING,
    digits: int | None = DIGITS,
    force: bool = FORCE,
) -> None:
    """Write predictions as a challenge of Aff-Wild2 (ABAW) asks for them.

    The file has the first line of the sample, and its rows in its order; picture <clip>/00001.jpg is frame 0 of the
    clip, whose name is the one it has in PREDS, _left and _right included. What the rows of the sample say behind the
    picture is passed over. Frames that it does not ask for are left out.

    Every row gets a value: a clip that lacks is refused, and --missing says what a frame without a prediction gets, or
    one past the end of its clip; how many rows were filled in is said on stderr. Valence and arousal past -1 or 1 in
    CSV and label files are clipped and counted; in a submission they are an error. -5 is not predicted. affcli
    lint-submission looks at the result again.

    Multi-task submissions, image,valence,arousal,expression,aus and sixteen cells in a row, need predictions of all
    of these, in affect tables or such a file. No sample of the organisers was at hand: it is taken to be like their
    label file.

    A file that is there already with the same bytes is up to date; one with others is only replaced with --force.
    """
    if layout == "file" and sample is None:
        raise UsageError(
            "--sample",
            "lacks",
            expected="the organisers' sample file, which says what rows there are",
            advice="name it, or say --layout files for a file of each clip",
        )
    if layout == "files" and task == "mtl":
        raise UsageError(
            "--task mtl",
            "has no file for each clip",
            expected="one file, as its labels are",
            advice="leave out --layout files, and name the sample file",
        )
    if any(given is not None and given.exists() and out.exists() and out.samefile(given) for given in (sample, preds)):
        raise UsageError(f"--out {out}", "is what is read", expected="another place", advice="choose one")
    if layout == "file" and sample is not None:
        _one_file(preds, sample, out, task, missing, digits, force)
    else:
        _many_files(preds, sample, out, task or "va", missing, digits, force)


def _one_file(
    preds: Path, path: Path, out: Path, task: str | None, missing: str, digits: int | None, force: bool
) -> None:
    from affcli.labels.submissions.answers import answer_sample
    from affcli.labels.submissions.form import require_task
    from affcli.labels.submissions.sample import read_sample
    from affcli.labels.submissions.write import Written

    sample = read_sample(path)
    if task is not None:
        require_task(sample.form, task, str(path))
    clips = _read(preds, sample.form.task)
    values, counts = answer_sample(sample, clips, missing)
    _write(out, [Written(out, sample.form, values, sample.pictures, digits)], clips, force)
    _tell(len(values), counts, missing)
    left = {affect.clip for affect in clips} - set(sample.clips)
    log.info(
        "%s: %d rows of %d clips; not asked for: %s",
        out,
        len(values),
        len(sample.clips),
        some(sorted(left)) or "no clip",
    )


def _many_files(
    preds: Path, path: Path | None, out: Path, task: str, missing: str, digits: int | None, force: bool
) -> None:
    from affcli.labels.submissions.answers import answer_clips
    from affcli.labels.submissions.form import default_form
    from affcli.labels.submissions.sample import Wanted, read_wanted
    from affcli.labels.submissions.write import Written, clip_path

    clips = _read(preds, task)
    wanted = read_wanted(path, task) if path else [Wanted(affect.clip, default_form(task)) for affect in clips]
    places = [clip_path(out, one.clip) for one in wanted]
    answers, counts = answer_clips(wanted, clips, str(path or preds), missing)
    lengths = {affect.clip: len(affect) for affect in clips}
    longer = [one.clip for one in wanted if one.frames is not None and lengths[one.clip] > one.frames]
    if longer:
        log.warning("frames past those that %s asks for are left out, of clip %s", path, some(longer))
    files = [
        Written(place, one.form, values, None, digits)
        for place, one, values in zip(places, wanted, answers, strict=True)
    ]
    _write(out, files, clips, force)
    rows = sum(map(len, answers))
    _tell(rows, counts, missing)
    log.info("%s: %d files of %d rows", out, len(files), rows)


def _read(path: Path, task: str) -> Sequence[Affect]:
    from affcli.labels.tasks import read_labels, read_task_stream

    if str(path) == "-":
        return read_task_stream(sys.stdin.buffer, task, beyond=True).clips
    return read_labels(path, task, beyond=True).clips


def _write(out: Path, files: Sequence[Written], clips: Sequence[Affect], force: bool) -> None:
    """Write the files; raise UsageError where one of them was read, or is there otherwise and `force` is not given."""
    from affcli.labels.submissions.write import write_files

    read = {Path(affect.source).resolve() for affect in clips}
    if own := [file.path for file in files if file.path.exists() and file.path.resolve() in read]:
        raise was_read(own[0])
    if not write_files(out, files, force=force):
        say(f"{out}: up to date")


def _tell(rows: int, counts: Counts, missing: str) -> None:
    if counts.filled:
        past = ""
        if counts.past:
            clips = f"{counts.clips_past} clip{'s' * (counts.clips_past != 1)}"
            past = f"; {counts.past} of them, of {clips}, lie past the end of the predictions"
        log.warning("%d of %d rows had no prediction and are filled in (%s)%s", counts.filled, rows, missing, past)
    if counts.clipped:
        log.warning("%d value%s past -1 or 1, clipped", counts.clipped, " is" if counts.clipped == 1 else "s are")
