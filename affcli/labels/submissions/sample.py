"""Which rows a challenge submission must have: the organisers' sample, or a list or directory of clips."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from affcli.errors import InputError
from affcli.labels.files import label_stems
from affcli.labels.submissions.form import Form, default_form, form_of, require_task
from affcli.labels.submissions.text import blocks, has_text, joined, read_lines, split_first

# The number of a picture: of more than ten million frames, four days, there is none.
_FILE = re.compile(r"0*(\d{1,7})\.(?:jpe?g|png)", re.ASCII | re.IGNORECASE)
_AS_GIVEN = "take the sample as the organisers gave it"
_EXPECT = "a first line such as image_location,valence,arousal, and a line <clip>/<00001>.jpg for each row"


@dataclass(frozen=True, eq=False)
class Sample:
    """The n rows that a submission in one file must have, in their order.

    `pictures`, large_string, is their first cell; `place` int32 (n,) says of which of the `clips` each is, `frame`
    int32 (n,) of which of its frames, from 0.  `lines` int64 (n,) is where they stand in the file, from 1.
    """

    source: str
    form: Form
    pictures: pa.Array
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


def read_sample(path: Path, advice: str = _AS_GIVEN) -> Sample:
    """The sample of a submission in one file, or the rows of a submission; `advice` is for those that are wrong.

    Raises InputError, with the line, where it is missing, names no picture or one twice, or is of no task.
    """
    if path.is_dir():
        raise InputError(path, "is a directory", expected="the organisers' sample file", advice="name the file in it")
    lines = read_lines(path, _EXPECT)
    form = form_of(lines[0][0].as_py().rstrip(), str(path), pictures=True)
    lines[0] = lines[0].slice(1)
    parts, places = [], []
    while lines:
        block = lines.pop(0)
        found, behind, _ = split_first(block)
        written = has_text(found) | has_text(pc.utf8_trim(behind, " ,"))
        parts.append(pc.utf8_trim_whitespace(found).filter(pa.array(written)))
        places.append(written)
    pictures, numbers = joined(parts), np.flatnonzero(np.concatenate(places)) + 2
    if not len(numbers):
        raise InputError(path, "holds a header and nothing else", expected=_EXPECT, advice="check how it was made")
    clips, place, frame = _taken_apart(pictures)
    wrong = np.flatnonzero((place < 0) | (frame < 0))
    if len(wrong):
        raise InputError(
            f"{path}, line {numbers[wrong[0]]}",
            f"names no picture: '{pictures[int(wrong[0])].as_py()[:60]}'",
            expected="<clip>/<00001>.jpg, the frames numbered from 1",
            advice=advice,
        )
    again = _repeated(place, frame)
    if again is not None:
        raise InputError(
            f"{path}, line {numbers[again]}",
            f"names {pictures[again].as_py()} again",
            expected="each picture once",
            advice=advice,
        )
    return Sample(str(path), form, pictures, clips, place, frame, numbers)


def _taken_apart(pictures: pa.Array) -> tuple[tuple[str, ...], NDArray[np.int32], NDArray[np.int32]]:
    """The clips of pictures, by their first; of each picture which of them it is of and its frame, -1 where it is none.

    A million pictures have few directories and few numbers: each is taken apart once.
    """
    clips: dict[str, int] = {}
    places, frames = [], []
    for block in blocks(pictures):
        directories, files, _ = split_first(block, "/", last=True)
        directories, files = directories.dictionary_encode(), files.dictionary_encode()
        of_clips = (one.rpartition("/")[2] for one in directories.dictionary.to_pylist())
        place = [clips.setdefault(clip, len(clips)) if clip else -1 for clip in of_clips]
        found = map(_FILE.fullmatch, files.dictionary.to_pylist())
        frame = [int(one[1]) - 1 if one else -1 for one in found]
        places.append(np.array(place, np.int32)[directories.indices.to_numpy()])
        frames.append(np.array(frame, np.int32)[files.indices.to_numpy()])
    return tuple(clips), np.concatenate(places), np.concatenate(frames)


def _repeated(place: NDArray[np.int32], frame: NDArray[np.int32]) -> int | None:
    """The first row of a frame that an earlier row has; None where there is none."""
    keys = (place.astype(np.int64) << 32) | frame
    if (np.diff(np.sort(keys)) > 0).all():
        return None
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(np.diff(keys[order]) == 0)
    return int(order[same + 1].min())


def read_wanted(path: Path, task: str) -> list[Wanted]:
    """The clips of a submission with a file for each, by name.

    From a directory of such files, searched to its depths: their first lines, and as many frames as they have lines.
    From a file, whose lines say `clip` or `clip,frames`: of label files since ABAW3.  Raises InputError, with the line,
    where there is neither, a file is of another task, or a clip comes twice.
    """
    if path.is_dir():
        return [_wanted_like(clip, file, task) for clip, file in sorted(label_stems(path, (".txt",)).items())]
    expected = "lines such as video5_left or video5_left,1200"
    found: dict[str, Wanted] = {}
    for number, line in enumerate(joined(read_lines(path, expected)).to_pylist(), start=1):
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
    lines = read_lines(file, "a file laid out like the labels")
    form = form_of(lines[0][0].as_py().rstrip(), str(file), pictures=False)
    require_task(form, task, str(file))
    return Wanted(clip, form, sum(int(np.count_nonzero(has_text(block))) for block in lines) - 1)
