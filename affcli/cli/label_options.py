"""The options of `affcli import-labels` that tell the format of labels, and what is read from what is typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

import typer

from affcli.errors import UsageError
from affcli.schemas import DIMENSIONS

if TYPE_CHECKING:
    from affcli.labels.scales import Scale, Scales

Name = Literal["aff-wild2", "abaw-mtl", "afew-va", "omg", "ratings", "csv", "arff"]
Unit = Literal["s", "ms", "us", "frame"]
Resampling = Literal["nearest", "linear"]
TIMED = ("ratings", "csv", "arff")  # formats whose columns and times can be told
_KEYS = ("clip", "time", *DIMENSIONS, "value")

# What export-labels calls the files that import-labels reads without a --format, each from its own directory.
_WRITTEN = {
    "affwild2-va": "as DIR, with --format aff-wild2 or without any",
    "affwild2-expr": "by --expressions DIR, without --format",
    "affwild2-au": "by --action-units DIR, without --format",
}


def format_name(text: str) -> Name:
    """The format that --format names.  Raises UsageError where there is none of that name."""
    names = get_args(Name)
    if text in _WRITTEN:
        found = "is what export-labels writes, and is read by another name"
        raise UsageError(f"--format {text}", found, expected=_WRITTEN[text], advice="leave it out")
    if text not in names:
        raise UsageError(f"--format {text}", "is no format", expected=f"one of {', '.join(names)}", advice="correct it")
    return cast(Name, text)


FORMAT = typer.Option(
    None,
    "--format",
    parser=format_name,
    metavar="|".join(get_args(Name)),
    help="What the files are; told from the files, and said, where only one can be meant. aff-wild2 and csv: as above. "
    "abaw-mtl: multi-task labels of Aff-Wild2. afew-va: JSON, -10:10. omg: OMG-Emotion, valence -1:1, arousal 0:1. "
    "ratings: CSV over time (RECOLA, SEWA, AVEC, SEND), scale by --range. arff: the same as ARFF, -1:1.",
)
COLUMNS = typer.Option(
    None,
    "--columns",
    metavar="KEY=NAME,...",
    help="With csv, ratings and arff: which columns are time, valence, arousal and clip, by name; or, where the file "
    "has no line of names, by number from 1. value is one of which the file's place tells whether it is valence.",
)
TIME_UNIT = typer.Option(None, "--time-unit", help="Unit of the column time, s by default; frame counts frames from 0.")
RATE = typer.Option(
    None,
    "--rate",
    metavar="HZ",
    help="In place of times: values per second, exact, as 25 or 30000/1001; the first is at 0.",
)
RANGE = typer.Option(
    None,
    "--range",
    metavar="LOW:HIGH",
    help="Scale of the values, which becomes -1 to 1: as 0:100, or valence=-1:1,arousal=0:1. A value outside of it is "
    "an error.",
)
TIMES = typer.Option(
    None,
    "--times",
    metavar="DIR",
    help="Directory of the clips' faces or audio tables: which frames there are, and when. Labels with times of their "
    "own, and those of whole clips, need it; with a line for each frame, there must be as many frames.",
)
RESAMPLE = typer.Option(
    None,
    "--resample",
    help="How a frame gets its value from ratings at other times: the nearest (as by default), or a line between two.",
)
DELAY = typer.Option(
    None,
    "--delay",
    min=0.0,
    max=60.0,
    metavar="SECONDS",
    help="Raters react late: move ratings earlier by this much, by default not at all.",
)


@dataclass(frozen=True)
class Asked:
    """What was typed; None where nothing was."""

    columns: str | None
    time_unit: Unit | None
    rate: str | None
    range: str | None
    times: Path | None
    resample: Resampling | None
    delay: float | None

    def of_ratings(self) -> list[tuple[str, object]]:
        """The options that only labels with columns and times take, and what was given for each."""
        return [
            ("--columns", self.columns),
            ("--time-unit", self.time_unit),
            ("--rate", self.rate),
            ("--resample", self.resample),
            ("--delay", self.delay),
        ]

    def given(self) -> list[str]:
        """The names of all options that were given."""
        others = [("--range", self.range), ("--times", self.times)]
        return [name for name, value in [*self.of_ratings(), *others] if value is not None]


def unfit(option: str, why: str) -> UsageError:
    """The error for an option that has no meaning here."""
    return UsageError(option, f"has no meaning here: {why}", advice="leave it out, or choose another --format")


def columns(text: str | None) -> dict[str, str] | None:
    """What --columns maps.  Raises UsageError where it maps nothing that can be read."""
    if text is None:
        return None
    made: dict[str, str] = {}
    for part in text.split(","):
        key, equals, name = (piece.strip() for piece in part.partition("="))
        if key not in _KEYS or not equals or not name or key in made:
            raise UsageError(
                f"--columns {text}",
                f"has '{part.strip()}'",
                expected=f"some of {', '.join(_KEYS)}, each once, as time=Time,valence=V",
                advice="correct it",
            )
        made[key] = name
    numbered = [name.isdecimal() for name in made.values()]
    if any(numbered) and not all(numbered):
        raise UsageError(
            f"--columns {text}", "has names and numbers", expected="one or the other", advice="count columns from 1"
        )
    if bool(made.keys() & set(DIMENSIONS)) == ("value" in made):
        raise UsageError(
            f"--columns {text}",
            "names no column of values, or too many",
            expected="valence=NAME, arousal=NAME or both; or value=NAME",
            advice="add it",
        )
    return made


def scales(text: str | None, own: Scales | None, name: str) -> Scales:
    """The scales by dimension: what --range says before what the format has.

    Raises UsageError where it cannot be read, or where neither tells any.
    """
    made = dict(own or {})
    if text is None:
        if own is None:
            raise UsageError(
                "--range",
                f"is missing: files of {name} have no common scale",
                expected="-1:1 (RECOLA, SEWA, AVEC), 0:100 (SEND), or whatever it is",
                advice="tell it; nothing is guessed",
            )
        return made
    seen: set[str] = set()
    for part in text.split(","):
        key, equals, bounds = part.rpartition("=")
        names = DIMENSIONS if not equals else (key.strip(),)
        if not set(names) <= set(DIMENSIONS) or seen & set(names):
            raise _no_range(text, part)
        seen |= set(names)
        made |= dict.fromkeys(names, _scale(text, bounds))
    return made


def _scale(text: str, bounds: str) -> Scale:
    from affcli.labels.scales import Scale

    try:
        return Scale.from_text(bounds)
    except ValueError as error:
        raise _no_range(text, bounds) from error


def _no_range(text: str, part: str) -> UsageError:
    return UsageError(
        f"--range {text}",
        f"has '{part.strip()}'",
        expected="LOW:HIGH, or valence=LOW:HIGH,arousal=LOW:HIGH",
        advice="write decimals with a point" if re.search(r"[:=]\s*-?\d+,\d|^-?\d+,\d+:", text) else "correct it",
    )
