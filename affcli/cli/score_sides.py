"""The two sides of `affcli score`: which task they are of, on which scales, and what of the options fits that task."""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from affcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from affcli.labels.affect import Affect
    from affcli.labels.scales import Scale
    from affcli.labels.tasks import TaskLabels

log = logging.getLogger(__name__)

SIDES = ("preds", "gt")
CLASSES = "expr"  # the one task whose list of classes has two lengths
FITS = {  # the tasks that an option has a meaning for; the others take all
    **dict.fromkeys(("--ccc", "--pcc", "--rmse", "--mse", "--mae", "--sagr"), ("va",)),
    **dict.fromkeys(("--mask", "--lag", "--times", "--decompose", "--min-ccc", "--range", "--clip"), ("va",)),
    "--classes": (CLASSES,),
    "--formula": ("expr", "au"),
}
INSTEAD = {
    "--min-ccc": "leave it out, and compare the figures of --json with a bar",
    "--clip": "leave it out: what other tasks read is -1 to 1, or classes",
    "--range": "leave it out: what other tasks read is -1 to 1, or classes",
    "--mask": "leave it out: each task counts its own annotated frames",
}


def task_of(task: str | None, preds: Sequence[Path], truth: Path) -> str:
    """The task: what --task says, or what the first lines of the files say, or else valence and arousal.

    Multi-task labels may be of any task where another file is of one.  Raises UsageError where two files are of two.
    """
    if task is not None:
        return task
    from affcli.labels.tasks import look

    told: dict[str, Path] = {}
    every: dict[str, Path] = {}
    for path in (*preds, truth):
        if str(path) == "-":
            continue
        source = look(path)
        if source.task is not None:
            (every if source.kind == "multi-task" else told).setdefault(source.task, path)
    if len(told) > 1:
        (first, one), (second, other) = list(told.items())[:2]
        raise UsageError(
            other, f"is of the task {second}", expected=f"{first}, as {one} is", advice="compare files of one task"
        )
    return next(iter({**told, **every}), "va")


def require_fit(task: str, given: Mapping[str, bool]) -> None:
    """Raise UsageError where an option that was given has no meaning for the task."""
    for option, present in given.items():
        if present and task not in FITS[option]:
            raise UsageError(
                option,
                f"has no meaning for the task {task}",
                expected=f"the task {' or '.join(FITS[option])}",
                advice=INSTEAD.get(option, "leave it out"),
            )


def scales(texts: Sequence[str]) -> dict[str, Scale]:
    """What --range says, by side.  Raises UsageError where it cannot be read, or says two things of one side."""
    from affcli.labels.scales import Scale

    made: dict[str, Scale] = {}
    for text in texts:
        side, equals, bounds = text.rpartition("=")
        sides = (side.strip(),) if equals else SIDES
        try:
            scale = Scale.from_text(bounds)
        except ValueError:
            scale = None
        if scale is None or not set(sides) <= set(SIDES):
            raise UsageError(
                f"--range {text}",
                "is no scale of a side",
                expected="LOW:HIGH for both, preds=LOW:HIGH or gt=LOW:HIGH",
                advice="correct it",
            )
        if twice := set(sides) & made.keys():
            raise UsageError(
                f"--range {text}",
                f"is the second of {min(twice)}",
                expected="one for each side",
                advice="leave one out",
            )
        made |= dict.fromkeys(sides, scale)
    return made


def require_text(made: Mapping[str, Scale], preds: Sequence[Path], truth: Path, *, clip: bool) -> None:
    """Raise UsageError where --range is of sides that have no scale but -1 to 1, or --clip of such predictions."""
    if clip and not any(_rescaled(path) for path in preds):
        raise UsageError(
            "--clip",
            "changes nothing",
            expected="predictions as text with valence and arousal",
            advice="leave it out: affect tables and challenge files are -1 to 1 by definition",
        )
    sides = {"preds": preds, "gt": [truth]}
    if made and not any(_rescaled(path) for side in made for path in sides[side]):
        side, scale = next(iter(made.items()))
        what = f"{side}={scale}" if len(made) == 1 else str(scale)
        raise UsageError(
            f"--range {what}",
            "changes nothing",
            expected="text with valence and arousal",
            advice="leave it out: affect tables and challenge files are -1 to 1 by definition",
        )


def read(path: Path, task: str, scale: Scale | None, *, beyond: bool = False) -> tuple[TaskLabels, Scale | None]:
    """The clips of one side, and the scale that they were converted from, None where they were not.

    `beyond` is that of `labels.tasks.read_labels`, as which this raises.
    """
    from affcli.labels.tasks import read_labels, read_task_stream

    if str(path) == "-":
        return read_task_stream(sys.stdin.buffer, task, scale=scale, beyond=beyond), scale
    applied = scale if scale is not None and _rescaled(path) else None
    return read_labels(path, task, scale=applied, beyond=beyond), applied


def read_predictions(path: Path, task: str, scale: Scale | None, *, clip: bool) -> tuple[TaskLabels, Scale | None, int]:
    """What `read` does of the predictions, of which text is not to be past -1 or 1; and how many values were cut off.

    There, -5 alone is not predicted: 1.2 and -1.2 are values alike.  Raises as `read`, and InputError where a value is
    past -1 or 1, unless they are cut off (`clip`).
    """
    from affcli.labels.affect import HIGH, LOW
    from affcli.labels.overshoot import clipped, overshoot
    from affcli.labels.scales import Reading, Scale

    side, applied = read(path, task, scale, beyond=True)
    past = overshoot(side.clips) if task == "va" else None
    if past is None:
        return side, applied, 0
    scale = applied or Scale(LOW, HIGH)
    within = f"{scale.low:g} to {scale.high:g}"
    value = ((scale.high - scale.low) * past.value + (scale.low + scale.high)) / 2  # as the file has it
    name = past.source if str(path) == "-" else path
    values = f"{past.count} value{'s' * (past.count != 1)}"
    first = f"line {past.line}: {past.dimension} is {value:g}"
    if past.files > 1 or path.is_dir():
        first = f"{past.source}, {first}"
    if not clip:
        mark = Reading(applied, beyond=True).mark
        raise InputError(
            name,
            f"{values} {'is' if past.count == 1 else 'are'} off the scale (first: {first})",
            expected=f"{within}, or {'nothing' if mark is None else f'{mark:g}'} where not predicted",
            advice="--clip cuts them off at -1 and 1; if the file has another scale, --range preds=LOW:HIGH",
        )
    log.warning("%s: %s outside of %s cut off (first: %s)", name, values, within, first)
    return dataclasses.replace(side, clips=clipped(side.clips)), applied, past.count


def labelled(truth: Sequence[Affect], task: str, mask: str) -> list[str]:
    """The clips that have an annotated frame, for the task; `mask` is that of valence and arousal."""
    from affcli.scoring.pairs import annotated

    masks = {"va": (mask,), "mtl": ("joint", "expr", "au")}.get(task, (task,))
    return [clip.clip for clip in truth if any(annotated(clip, mask).any() for mask in masks)]


def class_list(asked: int | None, truth: TaskLabels) -> tuple[int, str]:
    """How many expressions the list has, and what says so."""
    if asked is not None:
        return asked, "--classes"
    if truth.classes is not None:
        return truth.classes, "the ground truth's header"
    return 8, "affect tables, CSV and multi-task labels have eight"


def _rescaled(path: Path) -> bool:
    """Whether a path is text whose valence and arousal may be on any scale."""
    from affcli.labels.tasks import look

    return str(path) == "-" or look(path).kind == "csv"
