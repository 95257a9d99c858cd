"""What `affcli score` warns of: sides that may be swapped, clips and frames that do not count, undefined scores."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from affcli.cli.own_tables import LABELLED, PREDICTED
from affcli.errors import some

if TYPE_CHECKING:
    from affcli.cli.score_report import Asked
    from affcli.labels.affect import Affect
    from affcli.scoring import Scores

log = logging.getLogger(__name__)

NEED_TRUTH = ("ccc", "pcc")  # undefined where the truth is constant


@dataclass
class Warnings:
    """Says of each of several predictions what it has to, and once what is the same for all."""

    asked: Asked
    said: bool = False  # what is said of the ground truth
    extra: dict[tuple[str, ...], list[str]] = field(default_factory=dict)  # clips left out, and of which predictions

    def of_sides(self, path: Path, truth: Sequence[Affect], predicted: Sequence[Affect]) -> None:
        """Whether the ground truth tells that it is a prediction, and the predictions do not."""
        guessed, labelled = _steps(truth) & {*PREDICTED}, _steps(predicted) & {*LABELLED}
        if guessed and not _steps(predicted) & {*PREDICTED}:
            made = f"{path} was made by {' and '.join(sorted(labelled))}, and " if labelled else ""
            log.warning(
                "%sthe ground truth was made by %s: were the arguments swapped? GT comes last",
                *(made, " and ".join(sorted(guessed))),
            )

    def without_extra(self, path: Path, truth: Sequence[Affect], predicted: list[Affect]) -> list[Affect]:
        """The predictions of clips of the ground truth, where it names any; the others are said in the end."""
        names = {clip.clip for clip in truth}
        kept = [clip for clip in predicted if clip.clip in names]
        left = tuple(sorted(clip.clip for clip in predicted if clip.clip not in names))
        if not kept or not left:
            return predicted
        self.extra.setdefault(left, []).append(str(path))
        return kept

    def of_extra(self) -> None:
        """Which predicted clips were left out, once of predictions that have the same ones."""
        for clips, paths in self.extra.items():
            log.warning(
                "%s: predicted clips that are not in the ground truth are left out: %s",
                *(", ".join(dict.fromkeys(paths)), some(clips)),
            )

    def of_truth(self, scores: Scores) -> None:
        """Whether the ground truth leaves scores undefined, which is the same for all predictions."""
        if self.said:
            return
        self.said = True
        for name in scores.nowhere:
            log.warning("%s is nowhere annotated: its scores, and the means of both dimensions, are undefined", name)
        constant: dict[tuple[str, ...], list[str]] = {}  # the clips, by the dimensions that are constant in them
        for clip in scores.clips:
            figures = [clip.figures(metric) for metric in self.asked.metrics if metric in NEED_TRUTH]
            counted = [name for name, moments in clip.moments.items() if moments.count]
            if names := tuple(name for name in counted if any(math.isnan(one[name]) for one in figures)):
                constant.setdefault(names, []).append(clip.clip)
        for names, clips in sorted(constant.items(), key=lambda item: (-len(item[0]), item)):
            which = " and ".join(names)
            log.warning("constant truth leaves CCC and PCC of %s undefined for clip %s", which, some(sorted(clips)))

    def of_lengths(self, path: Path, truth: Sequence[Affect], predicted: Sequence[Affect]) -> None:
        """How many frames of how many clips --align has changed."""
        if self.asked.align is None:
            return
        from affcli.cli.score_sides import labelled
        from affcli.scoring.pairs import pertinent

        lengths = {clip.clip: len(clip) for clip in pertinent(truth, predicted)}
        counted = {*labelled(truth, self.asked.task, self.asked.mask)}
        past = [len(clip) - lengths[clip.clip] for clip in truth if clip.clip in counted and clip.clip in lengths]
        short, long = [count for count in past if count > 0], [-count for count in past if count < 0]
        told = (
            [(short + long, "left out")]
            if self.asked.align == "crop"
            else [(short, "taken as not predicted"), (long, "taken as not annotated")]
        )
        for counts, what in told:
            if counts:
                count, clips = sum(counts), len(counts)
                log.warning(
                    "%s: %d frame%s of %d clip%s %s %s (--align %s)",
                    *(path, count, "s" * (count != 1), clips, "s" * (clips != 1), "is" if count == 1 else "are", what),
                    self.asked.align,
                )


def _steps(clips: Sequence[Affect]) -> set[str]:
    """The steps that made clips, as far as their files tell."""
    return {str(clip.recipe.get("step")) for clip in clips if clip.recipe is not None}
