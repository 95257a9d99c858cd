"""What is asked of `affcli export-labels`: the format, and how it is written; options that do not fit are refused."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

from affcli.cli import label_options
from affcli.cli.label_options import unfit
from affcli.cli.times import exact_rate
from affcli.errors import UsageError
from affcli.schemas import DIMENSIONS

if TYPE_CHECKING:
    from affcli.labels.scales import Scales
    from affcli.labels.writing_times import Layout

Name = Literal["affwild2-va", "affwild2-expr", "affwild2-au", "abaw-mtl", "afew-va", "omg", "arff", "ratings", "csv"]
SHEETS = ("ratings", "csv")  # formats whose columns can be told
_TIMED = ("arff", *SHEETS)
_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}


def format_name(text: str) -> Name:
    """The format that --format names.  Raises UsageError where there is none of that name."""
    names = get_args(Name)
    if text not in names:
        ours = ", ".join(name for name in names if name.startswith("affwild2"))
        found = "is the word of import-labels for several" if text == "aff-wild2" else "is no format"
        expected = f"one of {ours if text == 'aff-wild2' else ', '.join(names)}"
        raise UsageError(f"--format {text}", found, expected=expected, advice="choose one")
    return cast(Name, text)


@dataclass(frozen=True)
class Asked:
    """What was typed; None where nothing was."""

    classes: int | None
    drop_other: bool
    units: int | None
    range: str | None
    columns: str | None
    separator: str | None
    time_unit: label_options.Unit | None
    every: float | None
    resample: label_options.Resampling | None
    times: Path | None
    rate: str | None


@dataclass(frozen=True)
class Export:
    """How labels are written."""

    name: Name
    scales: Scales
    classes: int = 8  # of affwild2-expr
    drop_other: bool = False
    units: tuple[str, ...] = ()  # of affwild2-au
    layout: Layout | None = None  # of ratings over time; csv without is clip,frame,valence,arousal,expression
    times: Path | None = None
    rate: Fraction | None = None

    @property
    def split(self) -> bool:
        """Whether valence and arousal are in files of their own."""
        return self.name == "arff" or (self.layout is not None and "value" in self.layout.columns)

    @property
    def plain_csv(self) -> bool:
        """Whether this is CSV of our own: clip,frame,valence,arousal, with expressions and standard deviations."""
        return self.name == "csv" and self.layout is None

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Which of valence and arousal the format holds, or --columns asks for."""
        if self.name in ("affwild2-expr", "affwild2-au"):
            return ()
        asked = DIMENSIONS if self.layout is None or self.split else self.layout.columns
        return tuple(name for name in DIMENSIONS if name in asked)

    @property
    def needs_times(self) -> bool:
        """Whether the times of frames must be known."""
        return self.layout is not None and self.layout.needs_times

    def described(self) -> str:
        """The format and its scales, in words."""
        from affcli.labels.scales import described

        if self.name == "affwild2-expr":
            return f"{self.name}, {self.classes} classes"
        if self.name == "affwild2-au":
            return f"{self.name}, {len(self.units)} action units"
        return f"{self.name}, {described({name: self.scales[name] for name in self.dimensions})}"


def exporting(name: Name, asked: Asked) -> Export:
    """How to write the format `name`.  Raises UsageError where the options do not fit it, or one lacks."""
    from affcli.labels.categories import ACTION_UNIT_HEADERS, EXPRESSION_HEADERS
    from affcli.labels.formats import FORMATS
    from affcli.labels.scales import UNIT

    _refuse_unfit(name, asked)
    if name == "affwild2-expr":
        classes = _one_of("--classes", asked.classes, tuple(map(len, EXPRESSION_HEADERS)))
        if asked.drop_other and classes == max(map(len, EXPRESSION_HEADERS)):
            raise unfit("--drop-other", "only --classes 7 has no class Other")
        return Export(name, UNIT, classes=classes, drop_other=asked.drop_other)
    if name == "affwild2-au":
        units = _one_of("--units", asked.units, tuple(map(len, ACTION_UNIT_HEADERS)))
        return Export(name, UNIT, units=next(header for header in ACTION_UNIT_HEADERS if len(header) == units))
    if name not in FORMATS or FORMATS[name].fixed:
        return Export(name, UNIT)
    scales = label_options.scales(asked.range, FORMATS[name].scales, name)
    if name not in _TIMED:
        return Export(name, scales)
    rate = None if asked.rate is None else exact_rate(asked.rate)
    return Export(name, scales, layout=_layout(name, asked, scales), times=asked.times, rate=rate)


def _refuse_unfit(name: str, asked: Asked) -> None:
    """Raise UsageError where an option has no meaning for the format."""
    options = (
        ("--classes", asked.classes, ("affwild2-expr",), "only affwild2-expr has classes to choose"),
        ("--drop-other", asked.drop_other or None, ("affwild2-expr",), "only affwild2-expr has classes to choose"),
        ("--units", asked.units, ("affwild2-au",), "only affwild2-au has action units to choose"),
        ("--range", asked.range, ("afew-va", "omg", *_TIMED), f"{name} has its scale by definition"),
        ("--columns", asked.columns, SHEETS, f"{name} has columns of its own"),
        ("--separator", asked.separator, SHEETS, f"{name} has a separator of its own"),
        ("--time-unit", asked.time_unit, SHEETS, f"{name} has no unit to choose"),
        ("--every", asked.every, _TIMED, f"{name} has no times"),
        ("--resample", asked.resample, _TIMED, f"{name} has no times"),
        ("--times", asked.times, _TIMED, f"{name} has no times"),
        ("--rate", asked.rate, _TIMED, f"{name} has no times"),
    )
    for option, given, formats, why in options:
        if given is not None and name not in formats:
            raise unfit(option, why)
    if asked.resample and asked.every is None:
        raise unfit("--resample", "without --every, every frame has a row")
    if asked.times is not None and asked.rate is not None:
        raise UsageError("--rate", "stands beside --times", expected="one of them", advice="leave one out")


def _one_of(option: str, given: int | None, known: tuple[int, ...]) -> int:
    """The number that was given, or the last one known."""
    if given is not None and given not in known:
        expected = " or ".join(map(str, known))
        raise UsageError(f"{option} {given}", "is no such number", expected=expected, advice="correct it")
    return known[-1] if given is None else given


def _layout(name: str, asked: Asked, scales: Scales) -> Layout | None:
    """How ratings over time are laid out; None for plain csv, which counts frames and may hold expressions."""
    from affcli.labels.writing_times import Layout

    told = (asked.columns, asked.separator, asked.time_unit, asked.every, asked.range)
    if name == "csv" and all(one is None for one in told):
        _refuse_times(asked, "csv counts frames unless --columns or --time-unit asks for times")
        return None
    unit = asked.time_unit or ("frame" if name == "csv" and asked.columns is None and asked.every is None else "s")
    every = None
    if asked.every is not None:
        if unit == "frame":
            raise unfit("--every", "rows are frames where --time-unit is frame")
        every = Fraction(repr(asked.every))
    if unit == "frame":
        _refuse_times(asked, "frames are counted, not timed")
    columns = _columns(asked.columns) if asked.columns is not None else _own_columns(name, unit)
    separator = _SEPARATORS[asked.separator or "comma"]
    return Layout(scales, columns, separator, unit, every, asked.resample or "nearest")


def _refuse_times(asked: Asked, why: str) -> None:
    if asked.times is not None or asked.rate is not None:
        raise unfit("--times" if asked.times is not None else "--rate", why)


def _own_columns(name: str, unit: str) -> dict[str, str]:
    """The columns that a format has where none are asked for."""
    clip, time = ("name", "timestamp") if name == "ratings" else ("clip", "time")
    return {"clip": clip, "time": "frame" if unit == "frame" else time} | {one: one for one in DIMENSIONS}


def _columns(text: str) -> dict[str, str]:
    """What --columns asks for.  Raises UsageError where a file of such columns could not be read back."""
    columns = label_options.columns(text) or {}
    names = [name.lower() for name in columns.values()]
    if any(set(name) & set(";\t\"'") or name.isdecimal() for name in names) or len(set(names)) < len(names):
        raise UsageError(
            f"--columns {text}",
            "has names that no line of names can have",
            expected="different names, no numbers, without quotes and semicolons",
            advice="correct it",
        )
    if "time" not in columns:
        raise UsageError(
            f"--columns {text}",
            "names no column of times",
            expected="time=NAME",
            advice="add it; with --time-unit frame it counts frames",
        )
    return columns
