"""Multi-task labels of the ABAW challenges: one file for all clips, a line for each picture that has labels.

The header is `image,valence,arousal,expression,aus`; each line has sixteen cells, since the twelve action units are
cells of their own.  A picture is `<clip>/<00001>.jpg`, whose number - 1 is the frame; the frames of a clip are not
contiguous.  Not annotated is -5 for valence and arousal, -1 for the expression, -1 for an action unit, each by itself.
Kollias, "ABAW: Learning from Synthetic Data & Multi-Task Learning Challenges", 2022, https://arxiv.org/abs/2207.01138.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from affcli.errors import InputError
from affcli.labels.affect import DIMENSIONS, EXPRESSIONS, HIGH, LOW, UNKNOWN
from affcli.labels.categories import ACTION_UNIT_HEADERS
from affcli.labels.foreign import FrameLabels
from affcli.labels.scales import NUMBER
from affcli.labels.sheets import read_text_file

HEADER = "image,valence,arousal,expression,aus"
UNITS = ACTION_UNIT_HEADERS[1]
_WIDTH = 4 + len(UNITS)
_NOT_ANNOTATED = ("-5", "-5.0")
_IMAGE = re.compile(r"([^/\\]+)/(\d{1,7})\.(?:jpg|jpeg|png)", re.IGNORECASE | re.ASCII)


@dataclass
class _Rows:
    """What the lines of one clip say; the line that each frame stands in."""

    lines: dict[int, int] = field(default_factory=dict)
    affect: list[tuple[float, float]] = field(default_factory=list)
    classes: list[list[int]] = field(default_factory=list)  # expression, then the action units


def is_multitask(first_line: str) -> bool:
    """Whether a file that begins with this line holds multi-task labels."""
    return ",".join(cell.strip().lower() for cell in first_line.split(",")) == HEADER


def read_multitask(path: Path) -> list[FrameLabels]:
    """The clips of a file, by name.  Raises InputError, with the line, where anything in it is not in order."""
    lines = read_text_file(path, HEADER).replace("\r\n", "\n").rstrip().split("\n")
    if not is_multitask(lines[0]):
        raise InputError(
            path,
            f"begins with '{lines[0].strip()[:80]}'",
            expected=f"{HEADER} in the first line",
            advice="name a file of multi-task labels, or choose another --format",
        )
    if len(lines) == 1:
        raise InputError(
            path, "holds a header and nothing else", expected="a line per picture", advice="check how it was made"
        )
    clips: dict[str, _Rows] = {}
    classes: dict[tuple[str, ...], list[int]] = {}
    for number, line in enumerate(lines[1:], start=2):
        subject = f"{path}, line {number}"
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != _WIDTH:
            raise InputError(
                subject,
                f"has {len(cells)} cell{'s' * (len(cells) != 1)}",
                expected=f"{_WIDTH}: image, valence, arousal, expression and {len(UNITS)} action units",
                advice="complete or remove the line",
            )
        clip, frame = _place(cells[0], subject)
        rows = clips.setdefault(clip, _Rows())
        if (other := rows.lines.setdefault(frame, number)) != number:
            raise InputError(
                subject, f"is of the picture of line {other}", expected="each once", advice="keep one of the two lines"
            )
        valence, arousal = (_affect(cell, name, subject) for name, cell in zip(DIMENSIONS, cells[1:3], strict=True))
        rows.affect.append((valence, arousal))
        known = tuple(cells[3:])
        if known not in classes:  # a file has few different ends of lines: each is taken apart once
            classes[known] = [
                _class(cells[3], "the expression", len(EXPRESSIONS) - 1, subject),
                *(_class(cell, name.upper(), 1, subject) for name, cell in zip(UNITS, cells[4:], strict=True)),
            ]
        rows.classes.append(classes[known])
    return [_labels(clip, path, clips[clip]) for clip in sorted(clips)]


def _labels(clip: str, path: Path, rows: _Rows) -> FrameLabels:
    affect, classes = np.array(rows.affect), np.array(rows.classes, dtype=np.int8)
    return FrameLabels(
        clip,
        path,
        np.array(list(rows.lines), dtype=np.int64),
        affect[:, 0],
        affect[:, 1],
        classes[:, 0],
        {name: classes[:, place] for place, name in enumerate(UNITS, start=1)},
    )


def _place(image: str, subject: str) -> tuple[str, int]:
    """The clip and the frame, from 0, of a picture."""
    found = _IMAGE.fullmatch(image)
    if not found or not int(found[2]):
        raise InputError(
            subject,
            f"the picture is '{image[:80]}'",
            expected="CLIP/NUMBER.jpg, counted from 00001",
            advice="mend the name",
        )
    return found[1], int(found[2]) - 1


def _affect(cell: str, name: str, subject: str) -> float:
    if cell in _NOT_ANNOTATED:
        return math.nan
    if not NUMBER.fullmatch(cell) or not LOW <= float(cell) <= HIGH:
        raise InputError(
            subject,
            f"{name} is '{cell[:40]}'",
            expected="-1 to 1, or -5 where not annotated",
            advice="mend the line",
        )
    return float(cell)


def _class(cell: str, name: str, highest: int, subject: str) -> int:
    if not re.fullmatch(r"-?\d{1,3}", cell, re.ASCII) or not UNKNOWN <= int(cell) <= highest:
        raise InputError(
            subject,
            f"{name} is '{cell[:40]}'",
            expected=f"{'0 or 1' if highest == 1 else f'0 to {highest}'}, or -1 where not annotated",
            advice="mend the line",
        )
    return int(cell)
