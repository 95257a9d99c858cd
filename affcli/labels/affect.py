"""One clip's valence and arousal, whether labelled or predicted."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli.clips import clip_runs
from affcli.errors import InputError, SchemaError
from affcli.recipes import Recipe
from affcli.tables import Table

DIMENSIONS = ("valence", "arousal")
LOW, HIGH = -1.0, 1.0


@dataclass(frozen=True, eq=False)
class Affect:
    """Valence and arousal of the n frames of one clip: float64 (n,), -1 to 1, NaN = not annotated.

    `time_us` is int64 (n,), or None where the source tells no times (or not all).  The next three fields say where
    the clip comes from: its file, for messages; whether that file itself names the clip, or only its file name
    does; and the recipe of the table it was read from.  `std` is, where an ensemble predicted the clip and was asked
    for it, the standard deviation of both over its networks, float64 (n, 2); it is not read from files.
    """

    clip: str
    valence: NDArray[np.float64]
    arousal: NDArray[np.float64]
    time_us: NDArray[np.int64] | None = None
    source: str = ""
    named: bool = True
    recipe: Recipe | None = None
    std: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.valence)

    @property
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
        return dataclasses.replace(self, valence=valence, arousal=arousal, time_us=None, std=None)

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of an affect table."""
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
        }


def from_table(table: Table) -> list[Affect]:
    """The clips of a checked affect table, in its order.

    Where its column `valid` is false although both values are there, the frame counts as not annotated.  Raises
    SchemaError where a value is outside [-1, 1] or lacks in a valid frame, InputError where one clip comes twice.
    """
    valence, arousal, valid = (table.column(name) for name in (*DIMENSIONS, "valid"))
    both = ~(np.isnan(valence) | np.isnan(arousal))
    if (valid & ~both).any():
        raise SchemaError(
            table.path,
            f"row {np.argmax(valid & ~both)} is valid without valence or arousal",
            expected="both in every row with valid = true",
            advice="make the table again with the step that wrote it",
        )
    valence, arousal = (np.where(both & ~valid, np.nan, values) for values in (valence, arousal))
    for name, values in zip(DIMENSIONS, (valence, arousal), strict=True):
        wrong = np.flatnonzero((values < LOW) | (values > HIGH))
        if len(wrong):
            raise SchemaError(
                table.path,
                f"{name} is {values[wrong[0]]} in row {wrong[0]}",
                expected="-1 to 1, or null where not annotated",
                advice="make the table again with the step that wrote it",
            )
    times = table.column("time_us")
    found = []
    for clip, start, stop in clip_runs(table.column("clip")):
        time_us = times[start:stop]
        found.append(
            Affect(
                clip,
                valence[start:stop],
                arousal[start:stop],
                # Times with nulls among them arrive as floats: nothing can be counted on to lie between two of them.
                None if np.isnan(time_us).any() else time_us.astype(np.int64),
                source=str(table.path),
                recipe=table.header.recipe,
            )
        )
    return distinct(found)


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
