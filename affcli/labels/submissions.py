"""Challenge submissions of Aff-Wild2 (ABAW): what the organisers' sample asks for, in its words and its order.

Since ABAW5 a submission is one file.  Its first line names the columns, and every other line is of one picture,
`<clip>/<00001>.jpg`, whose number is the frame, counted from 1:

* `image_location,valence,arousal`: two numbers, -1 to 1;
* `image_location,Neutral,Anger,...`: the number of one of the classes named;
* `image_location,AU1,AU2,...`: a zero or a one for each of the action units named;
* `image,valence,arousal,expression,aus`: all of these, sixteen cells, the twelve action units in cells of their own.

Of the last, multi-task form, no sample of the organisers was at hand: it is taken to be that of the label files.  The
rows of a sample end in a comma (ABAW5) or carry values that mean nothing (ABAW6): both are passed over.  ABAW1 to
ABAW3 asked for one file per clip, laid out like the labels: the same lines without the picture.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affcli.clips import file_name
from affcli.errors import InputError
from affcli.files import replacing
from affcli.labels.affect import DIMENSIONS, EXPRESSIONS
from affcli.labels.categories import ACTION_UNIT_HEADERS, category_files
from affcli.labels.lines import decode, read_bytes
from affcli.labels.multitask import HEADER as MULTITASK
from affcli.schemas import ACTION_UNITS

TASKS = ("va", "expr", "au", "mtl")
_PICTURE = re.compile(r"(?:.*/)?([^/]+)/(\d{1,9})\.(?:jpe?g|png)", re.ASCII | re.IGNORECASE)
_SEVERAL = tuple(MULTITASK.split(",")[1:])
_CLASSES = tuple(name.lower() for name in EXPRESSIONS)
_EXPECT = "a first line such as image_location,valence,arousal, and a line <clip>/<00001>.jpg for each row"


@dataclass(frozen=True)
class Form:
    """What each row of a submission says: the task, the first line, and the columns of affect tables, in its order.

    A row of expressions has one column, `expression`, whose highest number is `highest`; of action units it is 1.  A
    row of several tasks has valence and arousal first, then the expression, then the action units.
    """

    task: str
    header: str
    columns: tuple[str, ...]
    highest: int = 1

    @property
    def numbers(self) -> int:
        """How many of the columns, which are the first, are valence or arousal; the others are classes."""
        return sum(name in DIMENSIONS for name in self.columns)

    def highest_of(self, column: str) -> int:
        """The highest class of `expression`, or of an action unit."""
        return self.highest if column == "expression" else 1


@dataclass(frozen=True, eq=False)
class Sample:
    """The n rows that a submission in one file must have, in their order.

    `pictures` is their first cell; `place` int32 (n,) says of which of the `clips` each is, `frame` int32 (n,) of which
    of its frames, from 0.  `lines` int64 (n,) is where they stand in the file, from 1.
    """

    source: str
    form: Form
    pictures: tuple[str, ...]
    clips: tuple[str, ...]
    place: NDArray[np.int32]
    frame: NDArray[np.int32]
    lines: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pictures)

    def rows_of_clips(self) -> list[NDArray[np.int64]]:
        """For each of `clips`, its rows, by their frames: int64."""
        order = np.lexsort((self.frame, self.place))
        edges = np.searchsorted(self.place[order], np.arange(1, len(self.clips)))
        return np.split(order, edges)


@dataclass(frozen=True)
class Wanted:
    """One clip of a submission with a file for each: its form, and its frames, where None is all that are predicted."""

    clip: str
    form: Form
    frames: int | None = None


def default_form(task: str) -> Form:
    """The form of label files since ABAW3: eight expressions, twelve action units."""
    if task == "va":
        return Form(task, ",".join(DIMENSIONS), DIMENSIONS)
    if task == "expr":
        return Form(task, ",".join(EXPRESSIONS), ("expression",), len(EXPRESSIONS) - 1)
    if task == "mtl":
        return form_of(MULTITASK, MULTITASK, pictures=True)
    return Form(task, ",".join(ACTION_UNIT_HEADERS[1]).upper(), ACTION_UNIT_HEADERS[1])


def form_of(header: str, source: str, *, pictures: bool) -> Form:
    """The form that a first line tells, with or without a first column of pictures.

    Raises InputError where it is that of no task.
    """
    cells = [cell.strip().lower() for cell in header.rstrip(" ,").split(",")]
    names = tuple(cells[1:] if pictures else cells)
    if sorted(names) == sorted(DIMENSIONS):
        return Form("va", header, names)
    if names in (_CLASSES, _CLASSES[:7]):
        return Form("expr", header, ("expression",), len(names) - 1)
    if pictures and names in (_SEVERAL, (*DIMENSIONS, "expression", *ACTION_UNIT_HEADERS[1])):
        columns = (*DIMENSIONS, "expression", *ACTION_UNIT_HEADERS[1])
        return Form("mtl", header, columns, len(EXPRESSIONS) - 1)
    if names and set(names) <= ACTION_UNITS.keys() and len(set(names)) == len(names):
        return Form("au", header, names)
    image = "image_location," if pictures else ""
    raise InputError(
        source,
        f"begins with '{header[:80]}'",
        expected=f"{image}valence,arousal or {image}{','.join(EXPRESSIONS[:2])},... or {image}AU1,AU2,..."
        + (f" or {MULTITASK}" if pictures else ""),
        advice="take the sample of one of these tasks, as the organisers gave it",
    )


def read_sample(path: Path) -> Sample:
    """The sample of a submission in one file.

    Raises InputError, with the line, where it is missing, names no picture or one twice, or is of no task.
    """
    if path.is_dir():
        raise InputError(path, "is a directory", expected="the organisers' sample file", advice="name the file in it")
    first, *lines = read_lines(path, _EXPECT)
    form = form_of(first.rstrip(), str(path), pictures=True)
    pictures: list[str] = []
    clips: dict[str, int] = {}
    # A million rows have few directories and few numbers: each is taken apart once.
    heads: dict[str, int] = {}
    ends: dict[str, int] = {}
    places, frames, numbers = [], [], []
    for number, line in enumerate(lines, start=2):
        picture = line.partition(",")[0].strip()
        head, _, end = picture.rpartition("/")
        place, frame = heads.get(head), ends.get(end)
        if place is None or frame is None:
            if not line.strip(" ,"):
                continue
            found = _PICTURE.fullmatch(picture)
            if found is None or not int(found[2]):
                raise InputError(
                    f"{path}, line {number}",
                    f"names no picture: '{picture[:60]}'",
                    expected="<clip>/<00001>.jpg, the frames numbered from 1",
                    advice="take the sample as the organisers gave it",
                )
            place = heads[head] = clips.setdefault(found[1], len(clips))
            frame = ends[end] = int(found[2]) - 1
        pictures.append(picture)
        places.append(place)
        frames.append(frame)
        numbers.append(number)
    if not pictures:
        raise InputError(path, "holds a header and nothing else", expected=_EXPECT, advice="check how it was made")
    if len(set(pictures)) != len(pictures):
        seen: set[str] = set()
        for number, picture in zip(numbers, pictures, strict=True):
            if picture in seen:
                raise InputError(
                    f"{path}, line {number}",
                    f"names {picture} again",
                    expected="each picture once",
                    advice="take the sample as the organisers gave it",
                )
            seen.add(picture)
    place_of, frame_of = np.array(places, np.int32), np.array(frames, np.int32)
    return Sample(str(path), form, tuple(pictures), tuple(clips), place_of, frame_of, np.array(numbers, np.int64))


def read_wanted(path: Path, task: str) -> list[Wanted]:
    """The clips of a submission with a file for each, by name.

    From a directory of such files, searched to its depths: their first lines, and as many frames as they have lines.
    From a file, whose lines say `clip` or `clip,frames`: of label files since ABAW3.  Raises InputError, with the line,
    where there is neither, a file is of another task, or a clip comes twice.
    """
    if path.is_dir():
        return [_wanted_like(clip, file, task) for clip, file in sorted(category_files(path).items())]
    expected = "lines such as video5_left or video5_left,1200"
    found: dict[str, Wanted] = {}
    for number, line in enumerate(read_lines(path, expected), start=1):
        if not line.strip():
            continue
        cells = re.fullmatch(r"\s*([^,\t]*[^,\t\s])\s*(?:[,\t]\s*(\d{1,9})\s*)?", line, re.ASCII)
        if cells is None or cells[1] in found:
            again = cells is not None
            raise InputError(
                f"{path}, line {number}",
                f"is '{line.strip()[:60]}'{' again' if again else ''}",
                expected=expected,
                advice="name each clip once" if again else "name a clip in each line, and no header",
            )
        found[cells[1]] = Wanted(cells[1], default_form(task), int(cells[2]) if cells[2] else None)
    return [found[clip] for clip in sorted(found)]


def _wanted_like(clip: str, file: Path, task: str) -> Wanted:
    first, *lines = read_lines(file, "a file laid out like the labels")
    form = form_of(first.rstrip(), str(file), pictures=False)
    require_task(form, task, str(file))
    return Wanted(clip, form, sum(1 for line in lines if line.strip()))


def require_task(form: Form, task: str, source: str) -> None:
    """Raise InputError where the form of the file `source` is of another task."""
    if form.task != task:
        raise InputError(
            source,
            f"is of the task {form.task} ('{form.header[:60]}')",
            expected=f"one of the task {task}",
            advice=f"name that task's sample, or say --task {form.task}",
        )


def read_lines(path: Path, expected: str) -> list[str]:
    """The lines of a text file, without their ends.  Raises InputError where it cannot be read, or is empty or no text.

    `expected` is what the message says of it.
    """
    text = decode(read_bytes(path), str(path), expected).replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n")


def write_submission(path: Path, sample: Sample, values: NDArray[np.float64], digits: int | None = None) -> None:
    """Write a submission in one file: `values` (n, columns), by the rows of the sample.

    Classes as whole numbers; valence and arousal as short as they are read back exactly, or with `digits` decimals, and
    never with an exponent.
    Raises OutputError where it cannot be written.
    """
    _write(path, sample.form, values, sample.pictures, digits)


def write_clip(path: Path, form: Form, values: NDArray[np.float64], digits: int | None = None) -> None:
    """Write the file of one clip, laid out like its labels: `values` (n, columns).  Otherwise as `write_submission`."""
    _write(path, form, values, None, digits)


def clip_path(directory: Path, clip: str) -> Path:
    """`directory/<clip>.txt`.  Raises InputError where the clip cannot be the name of a file."""
    return directory / f"{file_name(clip)}.txt"


def _write(
    path: Path, form: Form, values: NDArray[np.float64], pictures: Sequence[str] | None, digits: int | None
) -> None:
    columns = [
        [_decimal(value, digits) for value in column.tolist()]
        if name in DIMENSIONS
        else list(map(str, column.astype(np.int64).tolist()))
        for name, column in zip(form.columns, values.T, strict=True)
    ]
    first = [] if pictures is None else [pictures]
    lines = [form.header, *map(",".join, zip(*first, *columns, strict=True))]
    with replacing(path) as file:
        file.write(("\n".join(lines) + "\n").encode())


def _decimal(value: float, digits: int | None) -> str:
    """A number that every reader of decimals understands."""
    if digits is not None:
        text = f"{value:.{digits}f}"
        return text.removeprefix("-") if not float(text) else text
    text = repr(value + 0.0)  # no minus before a zero
    return text if "e" not in text else format(Decimal(text), "f")
