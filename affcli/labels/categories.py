"""Expression and action unit labels of Aff-Wild2 (the ABAW challenges): a text file per subject, one line per frame.

Line k after the header is frame k - 1, as in the files of valence and arousal.

* Expressions: the header names the classes, seven in 2020 and eight since ABAW3; a line is the number of one.
* Action units: the header names them, eight in 2020 and twelve since ABAW3; a line has 1 (present) or 0 for each.

What is not annotated is -1.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError
from affcli.files import replacing
from affcli.labels.affect import EXPRESSIONS, UNKNOWN, Affect
from affcli.labels.lines import decode, read_bytes

_CLASSES = tuple(name.lower() for name in EXPRESSIONS)
EXPRESSION_HEADERS = (_CLASSES[:7], _CLASSES)
ACTION_UNIT_HEADERS = (
    ("au1", "au2", "au4", "au6", "au12", "au15", "au20", "au25"),
    ("au1", "au2", "au4", "au6", "au7", "au10", "au12", "au15", "au23", "au24", "au25", "au26"),
)
_EXPECT_EXPRESSIONS = f"{','.join(EXPRESSIONS)} in the first line, with or without Other"
_EXPECT_ACTION_UNITS = f"{' or '.join(','.join(header).upper() for header in ACTION_UNIT_HEADERS)} in the first line"


def read_expressions(path: Path) -> NDArray[np.int8]:
    """The expression of every frame: int8 (n,), the place of its class in EXPRESSIONS, -1 where not annotated.

    Raises InputError, with the line, where the file is missing or is none of expressions.
    """
    header, lines = _read(path, EXPRESSION_HEADERS, _EXPECT_EXPRESSIONS, "expression set (EXPR_Set)")
    return _numbers(path, lines, ("the class",), len(header) - 1)[:, 0]


def read_action_units(path: Path) -> dict[str, NDArray[np.int8]]:
    """The action units of every frame, by their columns of an affect table: int8 (n,), 1, 0, or -1 not annotated.

    Raises InputError, with the line, where the file is missing or is none of action units.
    """
    header, lines = _read(path, ACTION_UNIT_HEADERS, _EXPECT_ACTION_UNITS, "action unit set (AU_Set)")
    numbers = _numbers(path, lines, tuple(name.upper() for name in header), 1)
    return {name: np.ascontiguousarray(numbers[:, i]) for i, name in enumerate(header)}


def write_expressions(path: Path, expression: NDArray[np.int8]) -> None:
    """Write the file of expressions of n frames: int8 (n,), 0 to 7, or -1.  Raises OutputError where it cannot be."""
    with replacing(path) as file:
        file.write(expression_text(expression).encode("ascii"))


def expression_text(expression: NDArray[np.int8], count: int = len(EXPRESSIONS)) -> str:
    """The file of expressions of n frames, of which the first `count` classes are named: int8 (n,), or -1."""
    return "\n".join((",".join(EXPRESSIONS[:count]), *map(str, expression.tolist()))) + "\n"


def with_categories(
    clip: str, affect: Affect | None, expressions: Path | None = None, action_units: Path | None = None
) -> Affect:
    """`affect` with the expressions and the action units that the files tell.

    Without `affect`, the clip has valence and arousal nowhere annotated.  Raises InputError where a file cannot be
    read, where two sources have different numbers of frames, or where `affect` has expressions of its own already.
    """
    lengths: dict[str, int] = {} if affect is None else {affect.source: len(affect)}
    expression, units = None if affect is None else affect.expression, {}
    if expressions is not None:
        if expression is not None:
            raise InputError(
                expressions,
                f"tells the expressions of clip '{clip}', and so does {affect.source if affect else ''}",
                expected="one source of expressions",
                advice="take the column expression out of the one, or leave out the other",
            )
        expression = read_expressions(expressions)
        lengths[str(expressions)] = len(expression)
    if action_units is not None:
        units = read_action_units(action_units)
        lengths[str(action_units)] = len(next(iter(units.values())))
    (first, length), *others = lengths.items()
    for file, other in others:
        if other != length:
            raise InputError(
                file,
                f"has {other} lines of frames",
                expected=f"{length}, as {first} has",
                advice="one of them is cut off, or of another video: check both",
            )
    if affect is None:
        nowhere = np.full(length, np.nan)
        affect = Affect(clip, nowhere, nowhere, source=first, named=False)
    return dataclasses.replace(affect, expression=expression, action_units=units)


def _read(
    path: Path, headers: tuple[tuple[str, ...], ...], expected: str, wanted: str
) -> tuple[tuple[str, ...], list[str]]:
    """The header of a file, in lower case and one of `headers`, and the lines after it."""
    text = decode(read_bytes(path), str(path), expected).replace("\r\n", "\n").replace("\r", "\n")
    first, *lines = text.rstrip().split("\n")
    header = tuple(cell.strip().lower() for cell in first.split(","))
    if header not in headers:
        raise InputError(
            path,
            f"begins with '{first.strip()[:80]}'",
            expected=expected,
            advice=f"name the directory of the {wanted}",
        )
    if not lines:
        raise InputError(
            path, "holds a header and nothing else", expected="a line per frame", advice="check how it was made"
        )
    return header, lines


def _numbers(path: Path, lines: list[str], names: tuple[str, ...], highest: int) -> NDArray[np.int8]:
    """The cells of every line: int8 (n, w), -1 to `highest`, a column for each of the `names`.

    A file of thousands of frames has few different lines: each is taken apart once.
    """
    rows: list[list[int]] = []
    place: dict[str, int] = {}
    order: list[int] = []
    for number, line in enumerate(lines, start=2):
        at = place.get(line)
        if at is None:
            at = place[line] = len(rows)
            rows.append(_cells(f"{path}, line {number}", line, names, highest))
        order.append(at)
    return np.array(rows, dtype=np.int8)[order]


def _cells(subject: str, line: str, names: tuple[str, ...], highest: int) -> list[int]:
    cells = [cell.strip() for cell in line.split(",")]
    if cells == [""]:
        raise InputError(
            subject, "is empty", expected="a frame", advice="write -1 for what is not annotated in a frame"
        )
    if len(cells) != len(names):
        raise InputError(
            subject,
            f"has {len(cells)} cell{'s' * (len(cells) != 1)}",
            expected=f"{len(names)}{'' if len(names) == 1 else ' as in line 1'}",
            advice="complete or mend the line",
        )
    for name, cell in zip(names, cells, strict=True):
        if not re.fullmatch(r"-?\d{1,3}", cell, re.ASCII) or not UNKNOWN <= int(cell) <= highest:
            raise InputError(
                subject,
                f"{name} is '{cell[:40]}'",
                expected=f"{'0 or 1' if highest == 1 else f'0 to {highest}'}, or -1 where not annotated",
                advice="check the line, and that the first line names what the file holds",
            )
    return [int(cell) for cell in cells]
