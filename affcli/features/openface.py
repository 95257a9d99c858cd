"""The CSV that OpenFace 2 writes of a video: one row for every frame and face.

With everything switched on a row has 714 columns, which together are the FacePose vector of the GRU-fusion paper:
5 of bookkeeping (frame, face_id, timestamp, confidence, success) + 8 gaze + 112 and 168 eye landmarks in the picture
and in space + 6 pose + 136 and 204 face landmarks + 40 shape parameters + 17 intensities and 18 presences of action
units.  OpenFace leaves out what is switched off.  Its frames are counted from 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import InputError, some

BOOKKEEPING = ("frame", "face_id", "timestamp", "confidence", "success")
MOST_FRAMES = 1_000_000  # nine hours; a greater number is a damaged cell

_UNITS = ("01", "02", "04", "05", "06", "07", "09", "10", "12", "14", "15", "17", "20", "23", "25", "26", "45")
_NAN = re.compile(rb"\s*[-+]?nan(\(\w*\))?\s*", re.IGNORECASE)  # as the C libraries of different systems print it
_ADVICE = "name a CSV as OpenFace's FeatureExtraction or FaceLandmarkVidMulti writes it"


def _points(prefix: str, axes: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{axis}_{number}" for axis in axes for number in range(count))


# What can be switched on or off, in the order of the columns.
GROUPS: dict[str, tuple[str, ...]] = {
    "bookkeeping": BOOKKEEPING,
    "gaze": (*(f"gaze_{eye}_{axis}" for eye in "01" for axis in "xyz"), "gaze_angle_x", "gaze_angle_y"),
    "eyes_2d": _points("eye_lmk_", "xy", 56),
    "eyes_3d": _points("eye_lmk_", "XYZ", 56),
    "pose": tuple(f"pose_{kind}{axis}" for kind in "TR" for axis in "xyz"),
    "landmarks_2d": _points("", "xy", 68),
    "landmarks_3d": _points("", "XYZ", 68),
    "shape": ("p_scale", "p_rx", "p_ry", "p_rz", "p_tx", "p_ty", *(f"p_{number}" for number in range(34))),
    "au_intensity": tuple(f"AU{unit}_r" for unit in _UNITS),
    "au_presence": tuple(f"AU{unit}_c" for unit in sorted([*_UNITS, "28"])),
}


@dataclass(frozen=True, eq=False)
class Rows:
    """The r rows of one CSV, in its order; row i is line i + 2."""

    source: str  # for messages
    names: tuple[str, ...]  # of the c columns
    values: NDArray[np.float32]  # (r, c)
    frame: NDArray[np.int64]  # (r,), counted from 1
    face: NDArray[np.int64]  # (r,)
    seconds: NDArray[np.float64]  # (r,): OpenFace's timestamp
    confidence: NDArray[np.float64]  # (r,), 0 to 1
    success: NDArray[np.bool_]  # (r,): the face was found
    finite: NDArray[np.bool_]  # (r,): every number of the row is one

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(r,): the row describes a face."""
        return self.success & self.finite

    @property
    def faces(self) -> list[int]:
        """The numbers of the faces that were found."""
        return [int(face) for face in np.unique(self.face[self.usable])]


def groups(names: tuple[str, ...]) -> dict[str, int | list[str]]:
    """The groups of columns, for a recipe: how many, where a group is whole and in order, else its columns."""
    found = {group: [name for name in names if name in every] for group, every in GROUPS.items()}
    return {
        group: len(columns) if tuple(columns) == GROUPS[group] else columns
        for group, columns in found.items()
        if columns
    }


def read_names(content: bytes, source: str) -> tuple[str, ...]:
    """The columns of a CSV.  Raises InputError where OpenFace did not write it of a video."""
    line = re.split(rb"[\r\n]", content, maxsplit=1)[0].removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    names = tuple(cell.strip() for cell in line.split(","))
    known = {name for group in GROUPS.values() for name in group}
    where, expected = f"{source}, line 1", "frame, face_id, timestamp, confidence, success, and what was measured"
    if names[:2] == ("face", "confidence"):
        raise InputError(where, "is OpenFace's table of single pictures", expected=expected, advice=_ADVICE)
    if missing := [name for name in BOOKKEEPING if name not in names and name != "face_id"]:  # not in OpenFace 1
        found = f"names no column {some(missing)} ('{line[:60]}')"
        raise InputError(where, found, expected=expected, advice=_ADVICE)
    if strange := [name for name in names if name not in known]:
        found = f"names columns that OpenFace does not write: {some(repr(name[:40]) for name in strange)}"
        raise InputError(where, found, expected=expected, advice="remove these columns")
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(where, f"names {some(sorted(twice))} twice", expected="each column once", advice=_ADVICE)
    if set(names) <= set(BOOKKEEPING):
        raise InputError(where, "names nothing that was measured", expected=expected, advice="run OpenFace again")
    return names


def parse(content: bytes, source: str) -> Rows:
    """The rows of a CSV.

    Raises InputError, with the line, where OpenFace did not write it of a video, where lines are too long or short,
    cells are no numbers, and where a frame has two rows of one face.
    """
    names = read_names(content, source)
    columns = _columns(content, names, source)
    values = np.empty((len(names), len(columns[0])), np.float32)
    for row, column in zip(values, columns, strict=True):
        row[:] = column
    by_name = dict(zip(names, columns, strict=True))
    if "face_id" not in names:
        by_name["face_id"] = np.zeros(len(columns[0]))
    whole = [
        ("frame", 1, MOST_FRAMES, f"a whole number, 1 to {MOST_FRAMES}"),
        ("face_id", 0, MOST_FRAMES, "a whole number, 0 or more"),
        ("success", 0, 1, "0 or 1"),
    ]
    for name, low, high, expected in whole:
        column = by_name[name]
        if not (good := (column >= low) & (column <= high) & (column == np.floor(column))).all():
            row_number = int(np.argmin(good))
            found = f"{name} is {column[row_number]:g}"
            raise _wrong(source, row_number, found, expected, "remove the line, or run OpenFace again")
    rows = Rows(
        source,
        names,
        np.ascontiguousarray(values.T),
        by_name["frame"].astype(np.int64),
        by_name["face_id"].astype(np.int64),
        by_name["timestamp"],
        np.nan_to_num(by_name["confidence"]),
        by_name["success"] == 1,
        np.asarray(np.isfinite(values[[name not in ("timestamp", "confidence") for name in names]]).all(axis=0)),
    )
    _refuse_twins(rows)
    return rows


def _columns(content: bytes, names: tuple[str, ...], source: str) -> list[NDArray[np.float64]]:
    """Every column, (r,), as float64 or, where that is enough, float32."""
    content = content.rstrip(b"\r\n \t")
    body = re.search(rb"\r\n|\r|\n", content)
    if not body:
        raise InputError(source, "holds a header and no row", expected="a row per frame", advice="run OpenFace again")
    if re.search(rb"\n\r?\n|\r\r", content):  # Arrow would pass them over, and lines be counted wrong
        raise _misread(content, names, source)
    keys = [str(number) for number in range(len(names))]
    types = {key: pa.float64() if name in BOOKKEEPING else pa.float32() for key, name in zip(keys, names, strict=True)}
    try:
        table = pyarrow.csv.read_csv(
            pa.py_buffer(content[body.end() :]),
            read_options=pyarrow.csv.ReadOptions(column_names=keys, block_size=1 << 24),
            parse_options=pyarrow.csv.ParseOptions(quote_char=False),
            convert_options=pyarrow.csv.ConvertOptions(column_types=types, null_values=[]),
        )
    except pa.ArrowException as error:
        raise _misread(content, names, source) from error
    return [column.to_numpy() for column in table.columns]


def _misread(content: bytes, names: tuple[str, ...], source: str) -> InputError:
    """What is wrong with the first line that Arrow cannot read."""
    lines = content.splitlines()[1:]
    for number, line in enumerate(lines):
        if (count := line.count(b",") + 1) != len(names):
            found = f"has {count} cell{'s' * (count != 1)}" if line.strip() else "is empty"
            return _wrong(
                source, number, found, f"{len(names)} as in line 1", "run OpenFace again: it may have stopped"
            )
    for number, line in enumerate(lines):
        for name, cell in zip(names, line.split(b","), strict=True):
            try:
                float(_NAN.sub(b"nan", cell))
            except ValueError:
                shown = cell.decode("utf-8", "replace").strip()[:40]
                return _wrong(source, number, f"{name} is '{shown}'", "a number", "run OpenFace again")
    return InputError(
        source, "cannot be read as CSV", expected="a CSV that OpenFace wrote", advice="run OpenFace again"
    )


def _refuse_twins(rows: Rows) -> None:
    pairs = rows.frame * (MOST_FRAMES + 1) + rows.face
    first, where = np.unique(pairs, return_index=True)
    if len(first) < len(pairs):
        twin = int(np.setdiff1d(np.arange(len(pairs)), where)[0])
        found = f"frame {rows.frame[twin]} comes again for face {rows.face[twin]}"
        raise _wrong(rows.source, twin, found, "a row per frame and face", "import each video's CSV by itself")


def _wrong(source: str, row: int, found: str, expected: str, advice: str) -> InputError:
    return InputError(f"{source}, line {row + 2}", found, expected=expected, advice=advice)


def choose_face(rows: Rows, wanted: str) -> int:
    """The number of the face that `wanted` names: main, left, right, or the number itself.

    The main face has the greatest sum of confidence over the rows in which it was found.  Left and right are told
    between the two faces with the greatest sums, by the mean place of their landmarks in the frames that show both.
    Raises InputError where there is no such face, or the rows do not tell left from right.
    """
    faces = rows.faces
    sums = {face: float(rows.confidence[rows.usable & (rows.face == face)].sum()) for face in faces}
    ranked = sorted(faces, key=lambda face: (-sums[face], face))
    if wanted == "main":
        return ranked[0] if ranked else 0
    if wanted not in ("left", "right"):
        if int(wanted) not in faces:
            seen = f"one of {some(map(str, faces))}" if faces else "a face in some frame"
            raise InputError(rows.source, f"shows no face {wanted}", expected=seen, advice="choose another --face")
        return int(wanted)
    if len(ranked) < 2:
        found = "shows one face" if ranked else "shows no face"
        raise InputError(
            rows.source, found, expected=f"two to tell the {wanted} one", advice="import it with --face main"
        )
    columns = [i for i, name in enumerate(rows.names) if re.fullmatch(r"x_\d+", name)]
    columns = columns or [i for i, name in enumerate(rows.names) if name == "pose_Tx"]
    if not columns:
        found = "does not say where the faces are"
        raise InputError(rows.source, found, expected="columns x_0, ... or pose_Tx", advice="choose --face by number")
    seen_in = [set(rows.frame[rows.usable & (rows.face == face)].tolist()) for face in ranked[:2]]
    both = np.isin(rows.frame, sorted(seen_in[0] & seen_in[1])) & rows.usable
    if not both.any():
        found = f"shows faces {ranked[0]} and {ranked[1]} in no frame together"
        raise InputError(rows.source, found, expected=f"two faces to tell the {wanted} one", advice="choose by number")
    place = {face: float(rows.values[both & (rows.face == face)][:, columns].mean()) for face in ranked[:2]}
    return (min if wanted == "left" else max)(ranked[:2], key=place.__getitem__)


def times(rows: Rows, frames: int) -> NDArray[np.int64]:
    """The times of frames 1 to `frames`, (n,) us, by the timestamps; between those of frames that have no row.

    OpenFace computes a timestamp from the frame's number and the rate that the container states, and writes it in
    milliseconds: where the frame rate varies it is wrong.  Raises InputError where timestamps do not increase.
    """
    numbers, where = np.unique(rows.frame, return_index=True)
    stamps = rows.seconds[where] * clock.MICROSECONDS
    later = np.diff(stamps, prepend=-1.0) > 0
    if not (later & np.isfinite(stamps)).all():
        bad = int(where[int(np.argmin(later & np.isfinite(stamps)))])
        found = f"timestamp {rows.seconds[bad]:g} of frame {rows.frame[bad]} is not after the one before"
        raise _wrong(rows.source, bad, found, "timestamps that increase", "give the times with --videos or --rate")
    if numbers[0] > 1:  # the first frame is at 0
        numbers, stamps = np.concatenate([[1], numbers]), np.concatenate([[0.0], stamps])
    return np.rint(np.interp(np.arange(1, frames + 1), numbers, stamps)).astype(np.int64)


def vectors(rows: Rows, face: int, frames: int, columns: list[int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The chosen columns of one face in every frame, (n, d), zeros where it was not found, and whether it was, (n,)."""
    mine = rows.usable & (rows.face == face)
    where = rows.frame[mine] - 1
    found, valid = np.zeros((frames, len(columns)), np.float32), np.zeros(frames, np.bool_)
    found[where], valid[where] = rows.values[mine][:, columns], True
    return found, valid
