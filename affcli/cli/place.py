"""What stands in RUN already: one training, several, or the stages of one; they do not share a directory."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from affcli.cli.outcomes import RUNS
from affcli.cli.staged import STAGES
from affcli.errors import UsageError

Kind = Literal["one", "several", "stages"]


def check_place(out: Path, kind: Kind) -> None:
    """Raise UsageError where something else stands in the directory than what is to be trained there."""
    from affcli.training.description import DESCRIPTIONS

    marks: dict[Kind, tuple[tuple[str, ...], str, str]] = {
        "one": (tuple(DESCRIPTIONS), "holds a training of its own", "take its files away"),
        "several": ((RUNS,), "holds several trainings", "name --folds, --seeds or --grid again"),
        "stages": ((STAGES,), "holds the stages of a training", "name --stages again"),
    }
    wanted = {"one": "one", "several": "many trainings", "stages": "stages"}
    for other, (names, found, remedy) in marks.items():
        if other != kind and any((out / name).exists() for name in names):
            expected = f"a directory for {wanted[kind]}"
            raise UsageError(f"--out {out}", found, expected=expected, advice=f"choose another, or {remedy}")
