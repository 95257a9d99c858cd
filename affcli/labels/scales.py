"""The scales on which data sets write valence and arousal, and the way from each to -1..1, which is linear.

A value v of LOW..HIGH becomes (2 v - (LOW + HIGH)) / (HIGH - LOW): the middle of the scale is 0, its ends are -1 and 1.
What is outside of its scale is refused, never clipped, since it shows that the scale is another one.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError
from affcli.labels.affect import DIMENSIONS, HIGH, LOW
from affcli.labels.affwild2 import NOT_ANNOTATED

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)
_MOST = sys.float_info.max  # beyond it is infinity, which no file means
MISSING = frozenset({"", "?", "nan", "na"})  # how files write that nobody rated; ARFF's mark is the question mark


@dataclass(frozen=True)
class Scale:
    """Lowest and highest value that a rating can have."""

    low: float
    high: float

    @classmethod
    def from_text(cls, text: str) -> Scale:
        """The scale that is written LOW:HIGH.  Raises ValueError where it is none."""
        low, _, high = (piece.strip() for piece in text.partition(":"))
        if not NUMBER.fullmatch(low) or not NUMBER.fullmatch(high) or not 0 < float(high) - float(low) <= _MOST:
            raise ValueError(f"'{text}' is no scale, expected LOW:HIGH")
        return cls(float(low), float(high))

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g}"

    def to_affect(self, value: float) -> float:
        """A value of this scale as valence or arousal, -1 to 1; NaN, which is no rating, stays.

        Raises ValueError where the value is not on the scale.
        """
        if math.isnan(value):
            return value
        if not self.low <= value <= self.high:
            raise ValueError(f"{value} is not in {self}")
        made = (2 * value - (self.low + self.high)) / (self.high - self.low)
        return min(max(made, LOW), HIGH)  # rounding can miss an end by one last digit

    def from_affect(self, value: float) -> float:
        """Valence or arousal, -1 to 1, as a value of this scale: the other way from `to_affect`; NaN stays.

        On the scale of affect itself nothing changes, to the last bit; on others rounding may change the last digits.
        Raises ValueError where the value is no valence or arousal.
        """
        if math.isnan(value) or (self.low, self.high) == (LOW, HIGH):
            return value
        if not LOW <= value <= HIGH:
            raise ValueError(f"{value} is not in {LOW:g}:{HIGH:g}")
        made = ((self.high - self.low) * value + (self.low + self.high)) / 2
        return min(max(made, self.low), self.high)


@dataclass(frozen=True)
class Reading:
    """What the numbers of a text file of affect mean: which of them are refused, and what the others become.

    Without a `scale` they are -1 to 1; what is below -1 is not annotated, and what is above is refused.  With `beyond`
    -5 alone is not annotated, and every other finite number is a value.

    With a `scale` they are converted from it, and what is off it is refused, or with `beyond` converted all the same.
    -5 is not annotated where the scale does not reach below -1, and a value like others where it does: what is not
    annotated is then an empty cell.
    """

    scale: Scale | None = None
    beyond: bool = False

    @property
    def plain(self) -> bool:
        """Whether this is how files are read where nothing is said."""
        return self.scale is None and not self.beyond

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest number that is not refused, but for `mark`."""
        if self.scale is None or self.beyond:
            return -_MOST, _MOST if self.beyond else HIGH
        return self.scale.low, self.scale.high

    @property
    def mark(self) -> float | None:
        """The number that says of a frame that it is not annotated, whatever the bounds."""
        return None if self.plain or (self.scale and self.scale.low < LOW) else NOT_ANNOTATED

    def refuses(self, value: float) -> bool:
        """Whether a number, NaN for an empty cell, can be none of the file."""
        low, high = self.bounds
        return (value < low or value > high) and value != self.mark

    def count_sound(self, values: NDArray[np.float64]) -> int:
        """How many of n numbers (n,), NaN for empty cells, are not refused; empty ones are not counted."""
        low, high = self.bounds
        sound = np.count_nonzero(values <= high) - np.count_nonzero(values < low)
        if self.mark is not None and self.mark < low:
            sound += np.count_nonzero(values == self.mark)
        return int(sound)

    def to_affect(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Numbers (n,) that are not refused as valence or arousal, float64 (n,); NaN where not annotated.

        Of the plain reading this is for `affwild2.mark`, which also says what it takes for not annotated.
        """
        known = values if self.mark is None else np.where(values == self.mark, np.nan, values)
        if self.scale is None:
            return known
        low, high = self.scale.low, self.scale.high
        made = (2 * known - (low + high)) / (high - low)
        clipped = np.clip(made, LOW, HIGH)  # rounding can miss an end by one last digit
        return np.where((known < low) | (known > high), made, clipped) if self.beyond else clipped


PLAIN = Reading()
Scales = Mapping[str, Scale]  # by dimension
UNIT = dict.fromkeys(DIMENSIONS, Scale(LOW, HIGH))


def described(scales: Scales) -> str:
    """Both scales in words: `valence -1:1, arousal 0:1`."""
    return ", ".join(f"{name} {scales[name]}" for name in DIMENSIONS if name in scales)


def read_value(cell: str, dimension: str, scales: Scales, subject: str) -> float:
    """The valence or arousal that a cell tells, -1 to 1; NaN where it tells none.

    Raises InputError, saying it of `subject`, where the cell is no number or not on its scale.
    """
    if cell.lower() in MISSING:
        return math.nan
    if not NUMBER.fullmatch(cell):
        comma = re.fullmatch(r"[+-]?\d*,\d+", cell, re.ASCII)
        raise InputError(
            subject,
            f"{dimension} is '{cell[:40]}'",
            expected="a number, or nothing where nobody rated",
            advice="write decimals with a point" if comma else "mend the cell, or leave it empty",
        )
    return on_scale(float(cell), dimension, scales, subject)


def on_scale(value: float, dimension: str, scales: Scales, subject: str) -> float:
    """`value` as valence or arousal, -1 to 1.  Raises InputError, saying it of `subject`, where it is off its scale."""
    try:
        return scales[dimension].to_affect(value)
    except ValueError as error:
        scale = scales[dimension]
        raise InputError(
            subject,
            f"{dimension} is {value:g}",
            expected=f"{scale.low:g} to {scale.high:g}",
            advice=f"mend the value; if the file has another scale, tell it: --range {dimension}=LOW:HIGH",
        ) from error
