"""One clip's valence and arousal, whether labelled or predicted; and its expressions and action units where known."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli.clips import column_runs
from affcli.errors import InputError, SchemaError
from affcli.recipes import Recipe
from affcli.schemas import ACTION_UNITS as ACTION_UNITS
from affcli.schemas import DIMENSIONS as DIMENSIONS
from affcli.schemas import EXPRESSIONS as EXPRESSIONS
from affcli.tables import Table

LOW, HIGH = -1.0, 1.0
UNKNOWN = -1  # an expression or action unit that nobody annotated, as the files of Aff-Wild2 write it
# The columns of an affect table that hold expression and action units, with the highest number in each.
CLASSES = {"expression": len(EXPRESSIONS) - 1, **dict.fromkeys(ACTION_UNITS, 1)}
_REMAKE = "make the table again with the step that wrote it"


@dataclass(frozen=True, eq=False)
class Affect:
    """Valence and arousal of the n frames of one clip: float64 (n,), -1 to 1, NaN = not annotated.

    `time_us` is int64 (n,), or None where the source tells no times (or not all).  The next three fields say where
    the clip comes from: its file, for messages; whether that file itself names the clip, or only its file name
    does; and the recipe of the table it was read from.  `std` is, where an ensemble predicted the clip and was asked
    for it, the standard deviation of both over its networks, float64 (n, 2); it is not read from files.

    `expression` is int8 (n,), the class by its place in EXPRESSIONS; `action_units`, by the names in ACTION_UNITS, are
    int8 (n,), 1 present and 0 absent.  Where a frame is not annotated both are -1, and they are None and empty where
    nothing is known of the clip.
    """

    clip: str
    valence: NDArray[np.float64]
    arousal: NDArray[np.float64]
    time_us: NDArray[np.int64] | None = None
    source: str = ""
    named: bool = True
    recipe: Recipe | None = None
    std: NDArray[np.float64] | None = None
    expression: NDArray[np.int8] | None = None
    action_units: Mapping[str, NDArray[np.int8]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.valence)

    @functools.cached_property
    def valid(self) -> NDArray[np.bool_]:
        """Where valence and arousal are both known: (n,).  Frames with only one of them are not used."""
        known: NDArray[np.bool_] = ~(np.isnan(self.valence) | np.isnan(self.arousal))
        return known

    def resized(self, length: int) -> Affect:
        """The first `length` frames; what is past the end is not annotated, and has no time."""
        if len(self) == length:
            return self
        fill = np.full(max(0, length - len(self)), np.nan)
        valence, arousal = (np.append(values[:length], fill) for values in (self.valence, self.arousal))
        blank = np.full(len(fill), UNKNOWN, np.int8)
        classes = {name: np.append(values[:length], blank) for name, values in self.classes().items()}
        return dataclasses.replace(
            self,
            valence=valence,
            arousal=arousal,
            time_us=None,
            std=None,
            expression=classes.pop("expression", None),
            action_units=classes,
        )

    def classes(self) -> dict[str, NDArray[np.int8]]:
        """Expression and action units, as far as there are any, by the column of an affect table: int8 (n,), or -1.

        Raises ValueError where an action unit has no column.
        """
        if unknown := sorted(self.action_units.keys() - ACTION_UNITS.keys()):
            raise ValueError(f"action units {', '.join(unknown)}, expected {', '.join(ACTION_UNITS)}")
        expression = {} if self.expression is None else {"expression": self.expression}
        return expression | dict(self.action_units)

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of an affect table; of expression and action units, those that there are."""
        count = len(self)
        std = np.full((count, 2), np.nan) if self.std is None else self.std
        return {
            "clip": np.full(count, self.clip, dtype=object),
            "frame": np.arange(count, dtype=np.int32),
            "time_us": np.full(count, np.nan) if self.time_us is None else self.time_us,
            "valid": self.valid,
            "valence": self.valence,
            "arousal": self.arousal,
            "valence_std": std[:, 0],
            "arousal_std": std[:, 1],
            **{name: np.where(values == UNKNOWN, np.nan, values) for name, values in self.classes().items()},
        }


def from_table(table: Table) -> list[Affect]:
    """The clips of a checked affect table, in its order.

    Where its column `valid` is false although both values are there, the frame counts as not annotated.  Raises
    SchemaError where a value is outside [-1, 1] or lacks in a valid frame, where there is no such expression or an
    action unit is neither 0 nor 1; InputError where one clip comes twice.
    """
    valence, arousal, valid = (table.column(name) for name in (*DIMENSIONS, "valid"))
    both = ~(np.isnan(valence) | np.isnan(arousal))
    if (valid & ~both).any():
        raise SchemaError(
            table.path,
            f"row {np.argmax(valid & ~both)} is valid without valence or arousal",
            expected="both in every row with valid = true",
            advice=_REMAKE,
        )
    if (hidden := both & ~valid).any():
        valence, arousal = (np.where(hidden, np.nan, values) for values in (valence, arousal))
    for name, values in zip(DIMENSIONS, (valence, arousal), strict=True):
        if np.fmin.reduce(values, initial=LOW) < LOW or np.fmax.reduce(values, initial=HIGH) > HIGH:
            wrong = np.flatnonzero((values < LOW) | (values > HIGH))
            raise SchemaError(
                table.path,
                f"{name} is {values[wrong[0]]} in row {wrong[0]}",
                expected="-1 to 1, or null where not annotated",
                advice=_REMAKE,
            )
    classes = {name: _classes(table, name) for name in CLASSES if name in table.data.column_names}
    times = table.column("time_us")
    found = []
    for clip, start, stop in column_runs(table.data.column("clip")):
        time_us = times[start:stop]
        here = {name: values[start:stop] for name, values in classes.items()}
        found.append(
            Affect(
                clip,
                valence[start:stop],
                arousal[start:stop],
                # Times with nulls among them arrive as floats: nothing can be counted on to lie between two of them.
                None if np.isnan(time_us).any() else time_us.astype(np.int64),
                source=str(table.path),
                recipe=table.header.recipe,
                expression=here.pop("expression", None),
                action_units=here,
            )
        )
    return distinct(found)


def _classes(table: Table, name: str) -> NDArray[np.int8]:
    """The expressions, or one action unit, of every row: int8, (rows,), -1 where null."""
    values, highest = table.column(name), CLASSES[name]
    wrong = np.flatnonzero((values < 0) | (values > highest))
    if len(wrong):
        raise SchemaError(
            table.path,
            f"{name} is {values[wrong[0]]:.0f} in row {wrong[0]}",
            expected=f"{f'0 to {highest}' if highest > 1 else '0 or 1'}, or null where not annotated",
            advice=_REMAKE,
        )
    return np.where(np.isnan(values), UNKNOWN, values).astype(np.int8)


def require_affect(clips: Sequence[Affect], source: Path | str) -> None:
    """Raise InputError where predictions tell neither valence nor arousal in any frame of any clip."""
    if not clips or any(not np.isnan(getattr(clip, name)).all() for clip in clips for name in DIMENSIONS):
        return
    kinds = {
        "expressions: --task expr": any(clip.expression is not None for clip in clips),
        "action units: --task au": any(clip.action_units for clip in clips),
    }
    has = ", and ".join(kind for kind, there in kinds.items() if there)
    raise InputError(
        source,
        f"tells no valence or arousal in any frame{f' (it has {has})' if has else ''}",
        expected="valence and arousal",
        advice="choose that task, or predict with a network that has learnt them" if has else "check the predictions",
    )


def origin(predictions: Iterable[Affect]) -> str:
    """Where predictions were read from: their file, or the directory of all their files."""
    sources = {affect.source for affect in predictions if affect.source}
    return (os.path.commonpath(sources) or ".") if sources else "predictions"


def distinct(clips: Iterable[Affect]) -> list[Affect]:
    """`clips` as a list.  Raises InputError where two of them have one name."""
    seen: dict[str, Affect] = {}
    for affect in clips:
        if affect.clip in seen:
            other = seen[affect.clip].source
            where = "comes twice in this file" if other == affect.source else f"is in {other} too"
            raise InputError(
                affect.source,
                f"clip '{affect.clip}' {where}",
                expected="each clip once",
                advice="rename one of them, or leave one out",
            )
        seen[affect.clip] = affect
    return list(seen.values())
