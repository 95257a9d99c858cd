"""Labels written as ratings over time: as CSV of any layout, or as ARFF in the manner of the AVEC challenges.

What `ratings.read_ratings` reads, with the same names and units: times are counted from the clip's first frame, rows
are those of the frames or stand at equal intervals, and what is not annotated is an empty cell, or `?` in ARFF.  A file
holds both dimensions, or one in a column whose name does not tell which: then its directory does, `valence` or
`arousal`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import InputError
from affcli.labels.affect import DIMENSIONS, Affect
from affcli.labels.ratings import Unit, dimension_of
from affcli.labels.resample import Method, resample
from affcli.labels.scales import Scales
from affcli.labels.writing import cell_name, number

# The first lines of the gold standards that RECOLA and SEWA had in the AVEC challenges.
ARFF_HEADER = (
    "@relation GOLDSTANDARD",
    "",
    "@attribute Instance_name string",
    "@attribute frameTime numeric",
    "@attribute GoldStandard numeric",
    "",
    "@data",
)
_DECIMALS: dict[Unit, int] = {"s": 6, "ms": 3, "us": 0}  # of a whole microsecond


@dataclass(frozen=True)
class Layout:
    """How ratings over time are written.

    `columns` are some of `ratings.KEYS` with their names, in the order of the file.  With `every`, in seconds, rows
    stand at 0, every, 2 every, ... and have the values that `method` finds between frames; else there is one for each
    frame.  `unit` is that of the times, or `frame` for numbers of frames.
    """

    scales: Scales
    columns: Mapping[str, str]
    separator: str = ","
    unit: Unit = "s"
    every: Fraction | None = None
    method: Method = "nearest"

    @property
    def needs_times(self) -> bool:
        """Whether the times of frames must be known."""
        return self.unit != "frame"

    def dimensions(self, dimension: str) -> dict[str, str]:
        """The column of each dimension that a file has, of which a column `value` is the given one."""
        return {key: dimension if key == "value" else key for key in self.columns if key in (*DIMENSIONS, "value")}


def ratings_text(clips: Sequence[Affect], layout: Layout, dimension: str = "") -> str:
    """A CSV file of clips, one after the other; of `dimension` alone where the layout has a column `value`.

    Raises InputError where a clip's name would not be read back, and as `points`.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=layout.separator, lineterminator="\n")
    writer.writerow(layout.columns.values())
    for affect in clips:
        at, values = points(affect, layout)
        cells: dict[str, list[str]] = {"time": [time_text(one, layout.unit) for one in at.tolist()]}
        if "clip" in layout.columns:
            cells["clip"] = [cell_name(affect)] * len(at)
        if dimension or "clip" not in layout.columns:
            _check_stem(affect)
        for key, name in layout.dimensions(dimension).items():
            cells[key] = [number(value, layout.scales[name]) for value in values[name].tolist()]
        writer.writerows(zip(*(cells[key] for key in layout.columns), strict=True))
    return text.getvalue()


def arff_text(affect: Affect, layout: Layout, dimension: str) -> str:
    """The ARFF file of one dimension of a clip, times in seconds; the columns and the unit of the layout are not used.

    Raises InputError as `ratings_text`.
    """
    clip = cell_name(affect, "'")
    _check_stem(affect)
    at, values = points(affect, layout)
    lines = [*ARFF_HEADER]
    for time, value in zip(at.tolist(), values[dimension].tolist(), strict=True):
        lines.append(f"'{clip}',{time_text(time, 's')},{number(value, layout.scales[dimension], '?')}")
    return "\n".join(lines) + "\n"


def points(affect: Affect, layout: Layout) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """Where ratings stand, int64 (k,), in microseconds from the first frame or as numbers of frames; the values there.

    The values, by dimension, are float64 (k,), -1 to 1, NaN where not annotated.  Raises ValueError where the times of
    frames, which increase in every table, are needed and not known.
    """
    values = {name: getattr(affect, name) for name in DIMENSIONS}
    if not layout.needs_times:
        return np.arange(len(affect), dtype=np.int64), values
    if affect.time_us is None:
        raise ValueError(f"clip {affect.clip} has no times")
    at = affect.time_us - affect.time_us[0]
    if layout.every is None:
        return at, values
    due = clock.frame_times(int(int(at[-1]) / (layout.every * clock.MICROSECONDS)) + 1, 1 / layout.every)
    due = due[due <= at[-1]]
    return due, {name: resample(at, curve, due, layout.method) for name, curve in values.items()}


def time_text(at: int, unit: Unit) -> str:
    """A time in whole microseconds in its unit, exactly; a number of a frame as it is."""
    decimals = _DECIMALS.get(unit, 0)
    if not decimals:
        return str(at)
    whole, part = divmod(at, 10**decimals)
    return f"{whole}.{part:0{decimals}d}".rstrip("0").rstrip(".")


def _check_stem(affect: Affect) -> None:
    """Raise InputError where the name of the clip's file says more than the clip's name."""
    if dimension_of(Path(f"{affect.clip}.csv"))[1] != affect.clip:
        raise InputError(
            affect.source,
            f"clip '{affect.clip}' ends in the name of a dimension",
            expected="a name that files of one dimension can bear, as readers take such an end away",
            advice="rename it, or write both dimensions and a column of clips in one file (--columns clip=NAME,...)",
        )
