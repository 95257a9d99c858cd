"""What the scores of shards need, so that those joined are the scores of all clips to the last bit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from affcli.errors import InputError, UsageError, some


def require_shards(one: Any, other: Any, *choices: str) -> None:
    """Raise UsageError where the `choices` of two scores differ, InputError where a clip is in both."""
    for name in choices:
        first, second = getattr(one, name), getattr(other, name)
        if first != second:
            raise UsageError(
                "shards",
                f"were scored with {name} {first} and {second}",
                expected="one choice for all",
                advice="score them alike",
            )
    if twice := {clip.clip for clip in one.clips} & {clip.clip for clip in other.clips}:
        raise InputError(
            "shards",
            f"have {some(sorted(twice))} in common",
            expected="each clip in one shard",
            advice="score every clip once",
        )


def mean_of(values: Sequence[float]) -> float:
    """The mean, rounded alike in whatever order the values come; NaN of none."""
    return math.fsum(values) / len(values) if values else math.nan
