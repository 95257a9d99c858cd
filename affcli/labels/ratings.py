"""Ratings over time, as CSV or ARFF: RECOLA, SEWA, AVEC (`name,timestamp,value`), SEND (one every 0.5 s), others.

A file holds both dimensions in two columns, or one in a column whose name does not tell which: then the directory of
the file, `arousal/` or `valence/`, or the end of its name, `_arousal` or `_valence`, does.  Which column is which is
told by the caller, or by the names that these data sets give them.

* RECOLA (Ringeval et al. 2013, https://doi.org/10.1109/FG.2013.6553805), 25 Hz, and SEWA (Kossaifi et al. 2019,
  https://arxiv.org/abs/1901.02839), 10 Hz, as in the AVEC challenges: -1 to 1.  The gold standards of AVEC are ARFF,
  `Instance_name,frameTime,GoldStandard`, in directories `arousal` and `valence`; what each of RECOLA's annotators said
  is CSV in such directories, `time;FM1 ;FM2 ;FM3 ;FF1 ;FF2 ;FF3`, a column for each.
* SEND (Ong et al. 2019, https://doi.org/10.1109/TAFFC.2019.2955949), 2 Hz, valence alone.  By the authors' code
  (https://github.com/desmond-ong/TAC-EA-model, models/lstm/datasets.py) observers' estimates are 0 to 100, in the
  column `evaluatorWeightedEstimate` of `observer_EWE/results_ID_VIDEO.csv`; what the person filmed said is 0 to 1, in
  the column ` rating` of `target/target_ID_VIDEO_normal.csv`; both have a column `time`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

from affcli import clock
from affcli.errors import InputError
from affcli.labels.affect import DIMENSIONS
from affcli.labels.foreign import TimedLabels, Track
from affcli.labels.scales import NUMBER, Scales, read_value
from affcli.labels.sheets import Sheet

Unit = Literal["s", "ms", "us", "frame"]
PER_UNIT: dict[Unit, int] = {
    "s": clock.MICROSECONDS,
    "ms": clock.MICROSECONDS // 1000,
    "us": 1,
    "frame": 1,  # frames are counted, not timed
}
KEYS = ("clip", "time", *DIMENSIONS, "value")  # what a column can be; a value does not tell its dimension
# What the data sets call these columns.
NAMES = {
    "clip": ("clip", "name", "instance_name"),
    "time": ("time", "timestamp", "frametime"),
    "valence": ("valence",),
    "arousal": ("arousal",),
    "value": ("value", "rating", "goldstandard", "evaluatorweightedestimate"),
}
_LATEST = 10**15  # us: thirty years, past which a time is of another unit
_SURE = 0.2  # us: so near to a whole one, a float rounds as the fraction does, as up to _LATEST it is 0.25 off at most


@dataclass
class _Column:
    """The ratings of one clip, as its rows come."""

    at: list[int] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)


def read_ratings(
    sheet: Sheet,
    scales: Scales,
    *,
    columns: Mapping[str, str] | None = None,
    unit: Unit = "s",
    rate: Fraction | None = None,
) -> list[TimedLabels]:
    """The clips of a sheet, in its order.

    `columns` maps some of KEYS to the names of columns (or, in a sheet without a header, to their numbers from 1);
    without, the names are those of NAMES, or `frame` where that is the unit.  A sheet without a column of clips is one
    clip, named as its file is, less the dimension.  Times are in `unit`; with `rate`, per second, row k of a clip is at
    k / rate instead.

    Raises InputError, with the line, where a column lacks, a cell is no number or not on its scale, or times do not
    increase.
    """
    dimension, stem = dimension_of(sheet.path)
    # Where frames are counted, a column of times cannot be meant.
    names = NAMES | {"time": ("frame",)} if unit == "frame" else NAMES
    place = _columns(sheet, columns, names, dimension)
    if rate is None and "time" not in place:
        raise InputError(
            sheet.path,
            f"has no column of times ({_listed(sheet)})",
            expected=f"a column {' or '.join(names['time'])}",
            advice="name it by --columns time=NAME, or give --rate, or --time-unit frame where it counts frames",
        )
    if rate is not None and sheet.gap:
        raise InputError(
            sheet.where(sheet.gap),
            "is empty",
            expected="a value in every row, since --rate counts rows",
            advice="write nan where nobody rated, or remove the line",
        )
    clips: dict[str, _Column] = {}
    dimensions = [name for name in DIMENSIONS if name in place]
    if unscaled := [name for name in dimensions if name not in scales]:
        raise InputError(
            sheet.path,
            f"has a column of {unscaled[0]}, whose scale is not told",
            expected="a scale for each dimension",
            advice=f"add {unscaled[0]}=LOW:HIGH to --range, or choose columns by --columns",
        )
    for line, cells in sheet.rows:
        clip = cells[place["clip"]] if "clip" in place else stem
        if not clip:
            raise InputError(
                sheet.where(line), "names no clip", expected="a name in every line", advice="fill in the cell"
            )
        column = clips.setdefault(clip, _Column(values={name: [] for name in dimensions}))
        if rate is None:
            at = _time(cells[place["time"]], unit, sheet, line)
            if column.at and at <= column.at[-1]:
                raise InputError(
                    sheet.where(line),
                    f"is at {cells[place['time']]}, not after the line before",
                    expected="times of a clip that increase",
                    advice="sort by time, and keep one line for each",
                )
            column.at.append(at)
        for name in dimensions:
            column.values[name].append(read_value(cells[place[name]], name, scales, sheet.where(line)))
    return [_labels(clip, sheet, column, rate, unit) for clip, column in clips.items()]


def dimension_of(path: Path) -> tuple[str, str]:
    """The dimension that a file's place says it holds ("" where none), and its stem without that."""
    stem = path.stem
    for name in DIMENSIONS:
        for mark in "_-.":
            if stem.lower().endswith(mark + name) and len(stem) > len(name) + 1:
                return name, stem[: -len(name) - 1]
    parent = path.absolute().parent.name.lower()
    return (parent if parent in DIMENSIONS else ""), stem


def joined(clips: list[TimedLabels]) -> list[TimedLabels]:
    """The clips by name, each with the tracks of all its files.

    Raises InputError where two files have one dimension of a clip.
    """
    made: dict[str, dict[str, Track]] = {}
    for labels in clips:
        tracks = made.setdefault(labels.clip, {})
        for name, track in labels.tracks.items():
            if name in tracks:
                raise InputError(
                    track.path,
                    f"has {name} of clip '{labels.clip}', and so has {tracks[name].path}",
                    expected="one file for each dimension of a clip",
                    advice="leave one out, or name the clips in a column (--columns clip=NAME)",
                )
            tracks[name] = track
    return [TimedLabels(clip, made[clip]) for clip in sorted(made)]


def _labels(clip: str, sheet: Sheet, column: _Column, rate: Fraction | None, unit: Unit) -> TimedLabels:
    count = len(next(iter(column.values.values())))
    at = np.array(column.at, np.int64) if rate is None else clock.frame_times(count, rate)
    if unit == "frame" and at[0] == 1:
        raise InputError(
            sheet.path,
            f"counts the frames of clip '{clip}' from 1",
            expected="0 for the first frame",
            advice="subtract 1 from every frame",
        )
    return TimedLabels(clip, {name: Track(sheet.path, at, np.array(kept)) for name, kept in column.values.items()})


def _columns(
    sheet: Sheet, given: Mapping[str, str] | None, known: Mapping[str, tuple[str, ...]], dimension: str
) -> dict[str, int]:
    """The position of each of KEYS that the sheet has; `value` as the `dimension` that the file's place tells."""
    place = _by_number(sheet, given) if given and not sheet.header else _by_name(sheet, given, known)
    value = place.pop("value", None)
    if value is not None and dimension and not set(DIMENSIONS) & place.keys():
        place[dimension] = value
    if not set(DIMENSIONS) & place.keys():
        found = "does not say whether it holds valence or arousal" if value is not None else "has no ratings"
        keys = "value=NAME" if dimension else "valence=NAME,arousal=NAME"
        raise InputError(
            sheet.path,
            f"{found} ({_listed(sheet)})",
            expected="a column valence or arousal, or a column value in a directory valence or arousal",
            advice=f"name the columns: --columns time=NAME,{keys}",
        )
    return place


def _by_number(sheet: Sheet, given: Mapping[str, str]) -> dict[str, int]:
    width = len(sheet.rows[0][1])
    for key, number in given.items():
        if not 1 <= int(number) <= width:
            raise InputError(
                sheet.path,
                f"has {width} columns",
                expected=f"column {number}, as --columns {key}={number} says",
                advice="count columns from 1",
            )
    return {key: int(number) - 1 for key, number in given.items()}


def _by_name(sheet: Sheet, given: Mapping[str, str] | None, known: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    header = [name.lower() for name in sheet.header]
    place: dict[str, int] = {}
    for key, names in ({key: (name,) for key, name in given.items()} if given else known).items():
        at = [i for i, name in enumerate(header) if name in {one.lower() for one in names}]
        if len(at) > 1 or (given and not at):
            raise InputError(
                sheet.path,
                f"has {f'{len(at)} columns' if at else 'no column'} {' or '.join(names)} ({_listed(sheet)})",
                expected="one column of that name",
                advice=f"name the right one: --columns {key}=NAME",
            )
        if at:
            place[key] = at[0]
    return place


def _listed(sheet: Sheet) -> str:
    return f"its columns are '{','.join(sheet.header)[:80]}'" if sheet.header else "it has no header"


def _time(cell: str, unit: Unit, sheet: Sheet, line: int) -> int:
    """A time in whole microseconds, rounded half up, or the number of a frame."""
    whole = unit == "frame"
    near = float(cell) * PER_UNIT[unit] if NUMBER.fullmatch(cell) else math.inf
    if not abs(near) < _LATEST or (whole and (not cell.isdecimal() or int(cell) > 10**7)):
        comma = re.fullmatch(r"[+-]?\d*,\d+", cell, re.ASCII)
        raise InputError(
            sheet.where(line),
            f"the time is '{cell[:40]}'",
            expected="the number of a frame, from 0" if whole else f"a number of {unit}",
            advice="write decimals with a point" if comma else "mend it, or choose another --time-unit",
        )
    if abs(near - round(near)) < _SURE:
        return round(near)
    return math.floor(Fraction(cell) * PER_UNIT[unit] + Fraction(1, 2))
