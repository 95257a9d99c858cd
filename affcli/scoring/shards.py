"""What scores of clips have alike, and what shards need so that those joined are the whole to the last bit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, Self

from affcli.errors import InputError, UsageError, some


@dataclass(frozen=True)
class OfClips:
    """Scores of at least one clip; each knows its name and its numbers of frames."""

    clips: tuple[Any, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The clips, by name."""
        return tuple(clip.clip for clip in self.clips)

    @property
    def frames(self) -> int:
        """Frames compared, of all clips."""
        return sum(clip.frames for clip in self.clips)

    @property
    def coverage(self) -> float:
        """Share of the annotated frames that were predicted, 0 to 1."""
        predicted, annotated = (sum(getattr(c, name) for c in self.clips) for name in ("predicted", "annotated"))
        return float(predicted / annotated)

    def of(self, names: Container[str]) -> Self | None:
        """The scores of some of the clips; None where there is none of them, or nothing in them was compared."""
        chosen = tuple(clip for clip in self.clips if clip.clip in names and clip.frames)
        return dataclasses.replace(self, clips=chosen) if chosen else None


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
