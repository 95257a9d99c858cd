"""Multi-task labels of the ABAW challenges: one file for all clips, a line for each picture that has labels.

The header is `image,valence,arousal,expression,aus`; each line has sixteen cells, since the twelve action units are
cells of their own.  A picture is `<clip>/<00001>.jpg`, whose number - 1 is the frame; the frames of a clip are not
contiguous.  Not annotated is -5 for valence and arousal, -1 for the expression, -1 for an action unit, each by itself.
Kollias, "ABAW: Learning from Synthetic Data & Multi-Task Learning Challenges", 2022, https://arxiv.org/abs/2207.01138.
"""

from __future__ import annotations

import math
import re
from array import array
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
    """What the lines of one clip say, line by line."""

    lines: array[int] = field(default_factory=lambda: array("q"))
    frames: array[int] = field(default_factory=lambda: array("q"))
    affect: array[float] = field(default_factory=lambda: array("d"))  # valence and arousal of each line
    ends: array[int] = field(default_factory=lambda: array("q"))  # which of the ends of lines that there are


def is_multitask(first_line: str) -> bool:
    """Whether a file that begins with this line holds multi-task labels."""
    return ",".join(cell.strip().lower() for cell in first_line.split(",")) == HEADER


def read_multitask(path: Path) -> list[FrameLabels]:
    """The clips of a file, by name.  Raises InputError, with the line, where anything in it is not in order."""
    lines = read_text_file(path, HEADER).replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")
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
    # A file has few different ends of lines, expression and action units: each is taken apart once.
    places: dict[str, int] = {}
    classes: list[list[int]] = []
    for number, line in enumerate(lines[1:], start=2):
        image, *cells = line.split(",", 3)
        if len(cells) < 3 or (place := places.get(cells[2])) is None:
            known = _classes(line, f"{path}, line {number}")
            place = places[cells[2]] = len(classes)
            classes.append(known)
        clip, frame = _place(image.strip(), path, number)
        rows = clips.get(clip) or clips.setdefault(clip, _Rows())
        rows.lines.append(number)
        rows.frames.append(frame)
        rows.affect.append(_affect(cells[0].strip(), DIMENSIONS[0], path, number))
        rows.affect.append(_affect(cells[1].strip(), DIMENSIONS[1], path, number))
        rows.ends.append(place)
    table = np.array(classes, dtype=np.int8)
    return [_labels(clip, path, clips[clip], table) for clip in sorted(clips)]


def _labels(clip: str, path: Path, rows: _Rows, classes: NDArray[np.int8]) -> FrameLabels:
    """The labels of one clip, whose `ends` are rows of `classes`.  Raises InputError where a frame comes twice."""
    frames, affect = np.array(rows.frames), np.array(rows.affect).reshape(-1, len(DIMENSIONS))
    order = np.argsort(frames, kind="stable")
    again = np.flatnonzero(np.diff(frames[order]) == 0)
    if len(again):
        first, second = (rows.lines[at] for at in order[again[0] : again[0] + 2].tolist())
        raise InputError(
            f"{path}, line {second}",
            f"is of the picture of line {first}",
            expected="each once",
            advice="keep one of the two lines",
        )
    numbers = classes[np.array(rows.ends)]
    units = {name: numbers[:, place] for place, name in enumerate(UNITS, start=1)}
    return FrameLabels(clip, path, frames, affect[:, 0], affect[:, 1], numbers[:, 0], units)


def _classes(line: str, subject: str) -> list[int]:
    """The expression and the action units of a line."""
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) != _WIDTH:
        raise InputError(
            subject,
            f"has {len(cells)} cell{'s' * (len(cells) != 1)}",
            expected=f"{_WIDTH}: image, valence, arousal, expression and {len(UNITS)} action units",
            advice="complete or remove the line",
        )
    return [
        _class(cells[3], "the expression", len(EXPRESSIONS) - 1, subject),
        *(_class(cell, name.upper(), 1, subject) for name, cell in zip(UNITS, cells[4:], strict=True)),
    ]


def _place(image: str, path: Path, line: int) -> tuple[str, int]:
    """The clip and the frame, from 0, of a picture."""
    found = _IMAGE.fullmatch(image)
    if not found or not int(found[2]):
        raise InputError(
            f"{path}, line {line}",
            f"the picture is '{image[:80]}'",
            expected="CLIP/NUMBER.jpg, counted from 00001",
            advice="mend the name",
        )
    return found[1], int(found[2]) - 1


def _affect(cell: str, name: str, path: Path, line: int) -> float:
    if cell in _NOT_ANNOTATED:
        return math.nan
    if not NUMBER.fullmatch(cell) or not LOW <= float(cell) <= HIGH:
        raise InputError(
            f"{path}, line {line}",
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
