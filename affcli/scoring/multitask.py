"""Scores of all three tasks together, as the multi-task challenges have them: mean CCC and the F1 of both others.

Each part counts its own annotated frames.  Source: `classification.multi_task`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from affcli.classification import PRESENCE, multi_task
from affcli.labels.affect import DIMENSIONS, EXPRESSIONS, Affect
from affcli.scoring import ClipScore, Scores, score
from affcli.scoring.classes import Array, ClassClip, ClassScores, class_figures, score_classes
from affcli.scoring.pairs import pertinent
from affcli.sums import SUMS, figures_of

PARTS = ("va", "expr", "au")
_AFFECT = (len(DIMENSIONS), len(SUMS))  # sums of valence and arousal of a clip


@dataclass(frozen=True)
class MultiTaskScores:
    """Predictions compared with their truth, task by task; a part is None where the clips have nothing of it."""

    va: Scores | None
    expr: ClassScores | None
    au: ClassScores | None
    names: tuple[str, ...]  # every clip that has a part
    units: tuple[str, ...]  # action units that are annotated in any frame

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of the figures, the headline first."""
        return ("score", "ccc", "ccc_valence", "ccc_arousal", "f1_expression", "f1_action_units")

    @property
    def parts(self) -> tuple[str, ...]:
        """There is nothing more: each task tells its own classes."""
        return ()

    def __add__(self, other: MultiTaskScores) -> MultiTaskScores:
        """Both together, of two shards of the clips: these clips, then those.  Raises as each part does."""
        va, expr, au = (_joined(getattr(self, name), getattr(other, name)) for name in PARTS)
        names = tuple(dict.fromkeys((*self.names, *other.names)))
        return MultiTaskScores(va, expr, au, names, au.columns if au else ())

    def counts(self) -> dict[str, Any]:
        """Clips; and of each part its clips, frames and coverage."""
        found: dict[str, Any] = {"clips": len(self.names)}
        for name in PARTS:
            part = getattr(self, name)
            found[name] = part and {"clips": len(part.clips), "frames": part.frames, "coverage": part.coverage}
        return found

    def sums(self) -> Array:
        """What of each of m clips adds up: float64 (m, w), the sums of valence and arousal, then the counts."""
        affect, expression, units = self._shapes()
        blocks = []
        for part, shape in ((self.va, affect), (self.expr, expression), (self.au, units)):
            block = np.zeros((len(self.names), *shape))
            if part is not None:
                block[self._rows(part.clips)] = part.sums()
            blocks.append(block.reshape(len(block), -1))
        return np.concatenate(blocks, axis=1)

    def truth(self) -> list[Any]:
        """Of each clip and part, what every prediction of the same frames has alike."""
        return [one for name in PARTS if (part := getattr(self, name)) for one in part.truth()]

    def statistic(self, sums: Array) -> Array:
        """The figures of sums (r, w): (r, 6), in the order of `heads`, NaN where undefined."""
        shapes = self._shapes()
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        blocks = np.split(sums, ends[:-1], axis=1)
        affect, expression, units = (
            block.reshape(len(sums), *shape) for block, shape in zip(blocks, shapes, strict=True)
        )
        valence, arousal, mean = figures_of("ccc")(affect).T
        f1 = [class_figures(expression, "expr")[:, 0], class_figures(units, "au")[:, 0]]
        return np.stack([mean + f1[0] + f1[1], mean, valence, arousal, *f1], axis=-1)

    def figures(self) -> list[float]:
        """The figures over all frames of all clips, CCC from exact sums."""
        ccc = dict.fromkeys((*DIMENSIONS, "mean"), math.nan) if self.va is None else self.va.concatenated("ccc")
        f1 = [math.nan if part is None else part.figures()[0] for part in (self.expr, self.au)]
        return [
            multi_task(ccc["valence"], ccc["arousal"], *f1),
            ccc["mean"],
            ccc["valence"],
            ccc["arousal"],
            *f1,
        ]

    def by_clip(self) -> dict[str, tuple[list[float], dict[str, Any]]]:
        """`figures` of each clip alone, and of each part its frames and coverage, None where it has none."""
        found = {}
        for name in self.names:
            alone = self.of({name})
            counts = {} if alone is None else alone.counts()
            figures = [math.nan] * len(self.heads) if alone is None else alone.figures()
            found[name] = figures, {part: counts.get(part) for part in PARTS}
        return found

    def of(self, names: Container[str]) -> MultiTaskScores | None:
        """The scores of some of the clips; None where there is none of them, or nothing in them was compared."""
        va, expr, au = self.va and self.va.of(names), self.expr and self.expr.of(names), self.au and self.au.of(names)
        if va is None and expr is None and au is None:
            return None
        return dataclasses.replace(self, va=va, expr=expr, au=au, names=tuple(n for n in self.names if n in names))

    def _shapes(self) -> tuple[tuple[int, ...], ...]:
        classes, presence = len(EXPRESSIONS), len(PRESENCE)
        return _AFFECT, (1, classes, classes), (len(self.units), presence, presence)

    def _rows(self, clips: Sequence[ClipScore | ClassClip]) -> list[int]:
        place = {name: row for row, name in enumerate(self.names)}
        return [place[clip.clip] for clip in clips]


def _joined(one: Any, other: Any) -> Any:
    """The same part of two shards, of which either may lack it."""
    return one + other if one and other else one or other


def score_multitask(
    truth: Sequence[Affect], prediction: Sequence[Affect], *, missing: str = "error", align: str | None = None
) -> MultiTaskScores:
    """Compare valence and arousal, eight expressions and action units, each on its own annotated frames.

    Arguments and errors are those of `scoring.score` and `score_classes`; each part must be annotated somewhere.
    """
    choices: dict[str, Any] = {"missing": missing, "align": align}
    va = score(truth, prediction, **choices)
    prediction = pertinent(truth, prediction)  # what is left out is told once
    expr, au = (score_classes(task, truth, prediction, **choices) for task in PARTS[1:])
    have = {clip.clip for part in (va, expr, au) for clip in part.clips}
    names = tuple(clip.clip for clip in truth if clip.clip in have)
    return MultiTaskScores(va, expr, au, names, au.columns)
