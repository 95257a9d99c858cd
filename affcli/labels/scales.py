"""The scales on which data sets write valence and arousal, and the way from each to -1..1, which is linear.

A value v of LOW..HIGH becomes (2 v - (LOW + HIGH)) / (HIGH - LOW): the middle of the scale is 0, its ends are -1 and 1.
What is outside of its scale is refused, never clipped, since it shows that the scale is another one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from affcli.errors import InputError
from affcli.labels.affect import DIMENSIONS, HIGH, LOW

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)
MISSING = frozenset({"", "?", "nan", "na"})  # how files write that nobody rated; ARFF's mark is the question mark


@dataclass(frozen=True)
class Scale:
    """Lowest and highest value that a rating can have."""

    low: float
    high: float

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
