"""Predictions of text that are past -1 or 1: how many, where the first is, and cut off."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from affcli.labels.affect import DIMENSIONS, HIGH, LOW, Affect


@dataclass(frozen=True)
class Overshoot:
    """How many values are past -1 or 1, in how many files, and the first of them."""

    count: int
    files: int
    source: str
    line: int  # from 1, as every frame is a line below the header
    dimension: str
    value: float

    @property
    def first(self) -> str:
        """The first of them in words."""
        return f"{self.source}, line {self.line}: {self.dimension} is {self.value:g}"


def overshoot(clips: Sequence[Affect]) -> Overshoot | None:
    """What is past -1 or 1 in clips of text files, each with all of its clips in order; None where nothing is."""
    lines: dict[str, int] = {}
    first: tuple[Affect, int] | None = None
    count, files = 0, set()
    for clip in clips:
        before = lines.get(clip.source, 1)
        lines[clip.source] = before + len(clip)
        past = sum(int(np.count_nonzero(np.abs(getattr(clip, name)) > HIGH)) for name in DIMENSIONS)
        if past:
            count += past
            files.add(clip.source)
            first = first or (clip, before)
    if first is None:
        return None
    clip, before = first
    wrong = np.abs([getattr(clip, name) for name in DIMENSIONS]) > HIGH
    frame = int(np.argmax(wrong.any(axis=0)))
    name = DIMENSIONS[int(np.argmax(wrong[:, frame]))]
    return Overshoot(count, len(files), clip.source, before + frame + 1, name, float(getattr(clip, name)[frame]))


def clipped(clips: Sequence[Affect]) -> list[Affect]:
    """The clips cut off at -1 and 1."""
    return [
        dataclasses.replace(clip, valence=np.clip(clip.valence, LOW, HIGH), arousal=np.clip(clip.arousal, LOW, HIGH))
        for clip in clips
    ]
