"""Whether the options of `affcli score` fit together, as far as the command line alone tells."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from affcli.errors import UsageError


def form_of(asked: Mapping[str, bool]) -> str:
    """The form of what is written.  Raises UsageError where several are asked for."""
    chosen = [name for name, given in asked.items() if given]
    if len(chosen) > 1:
        raise UsageError(
            " and ".join(f"--{name}" for name in chosen), "exclude each other", expected="one of them", advice="choose"
        )
    # sys.stdout is None where it was closed before we began.
    return chosen[0] if chosen else "table" if sys.stdout and sys.stdout.isatty() else "json"


def require_sense(
    preds: Sequence[Path],
    truth: Path,
    numbers: Mapping[str, float | None],
    test: str,
    by: str | None,
    windows: Path | None,
    times: Path | None,
    drawing: Mapping[str, bool],
) -> None:
    """Raise UsageError where options do not fit together, or a number makes no sense.

    `drawing` are the options of resamples, and whether each was given.
    """
    piped = [str(path) for path in (*preds, truth)].count("-")
    if piped > 1:
        what = "PREDS and GT" if str(truth) == "-" else "PREDS"
        both = "both" if piped == 2 else f"{piped} times"
        raise UsageError(what, f"are {both} -", expected="one of them on stdin", advice="name a file for the other")
    _require_numbers(numbers)
    if test == "permutation" and len(preds) == 1:
        raise UsageError(
            f"--test {test}", "is of differences", expected="two PREDS or more", advice="name what to compare with"
        )
    if by and not windows:
        raise UsageError(
            f"--by {by}",
            "needs --windows",
            expected="the table that tells it, which affcli window wrote",
            advice="name the table",
        )
    drawn = numbers["--ci"] is not None or len(preds) > 1
    for option, given in drawing.items():
        if given and not drawn:
            raise _meaningless(option, "nothing is resampled", "--ci, or several PREDS", "add --ci 95")
    if windows and not by and not drawn:
        raise _meaningless(
            f"--windows {windows}", "nothing asks for it", "--by, --ci or several PREDS", "add --by split"
        )
    if times and numbers["--lag"] is None:
        raise _meaningless(f"--times {times}", "only --lag needs times", "--lag", "add --lag 2")


def _require_numbers(numbers: Mapping[str, float | None]) -> None:
    bounds = {"--ci": (1.0, 100.0), "--lag": (0.0, math.inf), "--min-ccc": (-1.000001, 1.000001)}
    wanted = {"--ci": "percent, more than 1 and less than 100", "--lag": "seconds, more than 0", "--min-ccc": "-1 to 1"}
    for name, value in numbers.items():
        low, high = bounds[name]
        if value is not None and not low < value < high:
            share = name == "--ci" and 0 < value < 1
            advice = f"did you mean {100 * value:g}?" if share else "correct it"
            raise UsageError(f"{name} {value:g}", "makes no sense", expected=wanted[name], advice=advice)


def _meaningless(option: str, why: str, expected: str, instead: str) -> UsageError:
    return UsageError(option, f"has no meaning here: {why}", expected=expected, advice=f"leave it out, or {instead}")
