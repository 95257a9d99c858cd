"""affcli gold"""

from __future__ import annotations

import json
import logging
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from affcli.cli.agreement import print_agreement
from affcli.cli.options import FORCE
from affcli.cli.own_tables import spare_inputs, spare_others
from affcli.cli.progress import progress
from affcli.cli.ratings import RatedClip, found_delays, rated_clips, read_ratings
from affcli.cli.runs import Run
from affcli.errors import UsageError, some
from affcli.schemas import DIMENSIONS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.gold import Agreement
    from affcli.labels.affect import Affect
    from affcli.recipes import Recipe

log = logging.getLogger(__name__)

STEP = "gold"
BY_EVALUATOR = ("ewe", "ewe-others")  # methods that give each annotator a weight of its own
SOURCES = typer.Argument(
    ...,
    metavar="RATINGS",
    help="Each annotator's directory of affect tables, CSV or Aff-Wild2 text files, or one such file; its name is the "
    "annotator's.",
)
OUT = typer.Option(..., "--out", "-o", metavar="OUT", help="Directory for the tables; made where it is missing.")
METHOD = typer.Option(
    "mean",
    "--method",
    help="mean: all count alike; ewe: the evaluator-weighted estimator, each counts by the correlation with the mean "
    "of all (Grimm and Kroschel 2005); ewe-others: with that of the others, so that noise does not agree with itself; "
    "centred: all moved to one mean over the clip, to which each adds as it agrees with the others (AVEC 2016).",
)
DELAY = typer.Option(
    "0",
    "--delay",
    metavar="auto|SECONDS",
    help="Move ratings earlier by so many seconds, 0 to 60; auto: each annotator's by how much later than the earliest "
    "it reacts, looked for within 6 s either way.",
)
MIN_RATERS = typer.Option(2, "--min-raters", min=1, help="Annotators that a frame needs; one that counts 0 is none.")
RATE = typer.Option(
    None, "--rate", metavar="FPS", help="Frames per second of clips without times, constant and exact, as 30000/1001."
)
CLIP = typer.Option(None, "--clip", metavar="NAME", help="The clip of files that name none: one CSV per annotator.")


def gold(
    sources: list[Path] = SOURCES,
    out: Path = OUT,
    method: Literal["mean", "ewe", "ewe-others", "centred"] = METHOD,
    delay: str = DELAY,
    min_raters: int = MIN_RATERS,
    rate: str | None = RATE,
    clip: str | None = CLIP,
    as_json: bool = typer.Option(False, "--json", help="The report as JSON, as it is off a terminal."),
    force: bool = FORCE,
) -> None:
    """Make one gold standard of several annotators' ratings, and report how far they agree.

    Writes OUT/<clip>.affect.parquet for every clip that anybody rated, labels like any other. A frame that fewer than
    --min-raters annotators rated is not annotated. What annotators count, and their delays, are found over all clips
    together; --method centred compares their means clip by clip.

    The report has, for valence and arousal, the CCC of each pair of annotators over all frames that both rated, the
    mean of these, and Cronbach's alpha over the frames that all rated, after delays are taken off. Whoever agrees with
    nobody (no CCC above 0.1) is named. As JSON these are "ccc" (rows and columns as in "annotators"), "mean_ccc",
    "cronbach_alpha" over "frames_of_all" frames, and "agree_with_nobody". Expressions and action units are left out.

    --delay auto tells how much later annotators react than the earliest of them, not how long that one takes: to take
    off the time that all need, give seconds. Nothing is extrapolated: the last frames of a clip, which nobody rated
    late enough, are not annotated.
    """
    seconds = _seconds(delay)
    ratings = read_ratings(sources, clip)
    if min_raters > len(ratings):
        raise UsageError(
            f"--min-raters {min_raters}",
            f"is more than the {len(ratings)} annotators",
            expected=f"1 to {len(ratings)}",
            advice="give more annotators, or a lower number",
        )
    clips = rated_clips(ratings, rate, needs_times=seconds is None or seconds > 0)
    made = _Gold.of(clips, [*ratings], method, seconds, min_raters)
    recipe = made.recipe(ratings, rate if any(one.timed_by_rate for one in clips) else None)
    run = Run(len(clips), once=True)
    annotated = _write(run, out, clips, made, recipe, force)
    if run.made or run.kept:  # else nothing is told of a gold standard that there is none of
        report = made.report(clips, annotated)
        _warn(made)
        if as_json or not (sys.stdout and sys.stdout.isatty()):
            print(json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False))
        else:
            print_agreement(report)
    run.close()


def _seconds(delay: str) -> float | None:
    """The delay of all annotators in seconds; None for `auto`.  Raises UsageError for anything else."""
    if delay.strip() == "auto":
        return None
    try:
        seconds = float(delay)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 60:
        raise UsageError(f"--delay {delay}", "is no delay", expected="auto, or 0 to 60 seconds", advice="correct it")
    return seconds


@dataclass(frozen=True, eq=False)
class _Gold:
    """How ratings are averaged, and how far they agree."""

    annotators: list[str]
    method: str
    delay: float | None  # of all; None for one of its own each
    min_raters: int
    delays: list[float]
    weights: NDArray[np.float64]  # (m, 2)
    moved: list[NDArray[np.float64]]  # of each clip, (m, n, 2), without delays
    agreement: dict[str, Agreement]
    before: dict[str, Agreement]  # before delays were taken off

    @classmethod
    def of(cls, clips: list[RatedClip], annotators: list[str], method: str, delay: float | None, least: int) -> _Gold:
        """Find delays and weights over all clips."""
        import numpy as np

        from affcli import gold

        values = [one.values for one in clips]
        found = [delay] * len(annotators) if delay is not None else None
        if found is None:
            found = found_delays(clips, annotators)
        moved = values
        if any(found):
            times = [one.time_us for one in clips if one.time_us is not None]
            moved = [
                np.stack([gold.moved(rated, time_us, by) for rated, by in zip(whole, found, strict=True)])
                for whole, time_us in zip(values, times, strict=True)
            ]
        weights = np.full((len(found), 2), 1 / len(found))
        if method in BY_EVALUATOR:
            weights = gold.evaluator_weights(moved, with_own=method == "ewe")

        def agree(ratings: list[NDArray[np.float64]]) -> dict[str, Agreement]:
            return {name: gold.agreement([r[..., c] for r in ratings]) for c, name in enumerate(DIMENSIONS)}

        after = agree(moved)
        before = agree(values) if any(found) else after
        return cls(annotators, method, delay, least, found, weights, moved, after, before)

    def standard(self, clip: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The gold standard (n, 2) of one clip's ratings (m, n, 2).  Raises InputError as `gold.centre` does."""
        import numpy as np

        from affcli import gold

        if self.method == "centred":
            values = gold.centre(clip, values)
        return np.clip(gold.weighted(values, self.weights, self.min_raters), -1, 1)

    def recipe(self, ratings: dict[str, dict[str, Affect]], rate: str | None) -> Recipe:
        """How the tables are made, of all clips alike: delays and weights are found over all of them."""
        from affcli import recipes
        from affcli.cli.times import exact_rate

        config: dict[str, Any] = {
            "method": self.method,
            "min_raters": self.min_raters,
            "annotators": self.annotators,
            "delay": "auto" if self.delay is None else self.delay,
        }
        if self.delay is None:
            config["delays"] = self.delays
        if self.method in BY_EVALUATOR:
            config |= {f"{name}_weights": self.weights[:, column].tolist() for column, name in enumerate(DIMENSIONS)}
        if rate:
            config["rate"] = str(exact_rate(rate))
        parents: list[Recipe] = []
        for clips in ratings.values():
            for one in clips.values():
                if one.recipe is not None and one.recipe not in parents:
                    parents.append(one.recipe)
        return recipes.recipe(STEP, config, parents=parents)

    def report(self, clips: list[RatedClip], annotated: int) -> dict[str, Any]:
        """All that there is to tell, as plain values, NaN as None."""
        import numpy as np

        each: dict[str, dict[str, Any]] = {}
        for k, name in enumerate(self.annotators):
            each[name] = {
                "clips": sum(name in one.sources for one in clips),
                "frames": int(sum(np.count_nonzero(~np.isnan(one.values[k]).any(axis=1)) for one in clips)),
                "delay": self.delays[k],
                "ccc": {dimension: _plain(found.each[k]) for dimension, found in self.agreement.items()},
            }
            if self.method in BY_EVALUATOR:
                each[name]["weight"] = {name: float(self.weights[k, c]) for c, name in enumerate(DIMENSIONS)}
        return {
            "method": self.method,
            "min_raters": self.min_raters,
            "clips": len(clips),
            "frames": sum(one.values.shape[1] for one in clips),
            "annotated": annotated,
            "annotators": each,
            "agreement": {name: self._told(found) for name, found in self.agreement.items()},
            "mean_ccc_before_delay": {name: _plain(found.mean) for name, found in self.before.items()},
        }

    def _told(self, found: Agreement) -> dict[str, Any]:
        return {
            "ccc": [[_plain(value) for value in row] for row in found.ccc.tolist()],
            "mean_ccc": _plain(found.mean),
            "cronbach_alpha": _plain(found.alpha),
            "frames_of_all": found.frames,
            "agree_with_nobody": [self.annotators[k] for k in found.alone],
        }


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _write(run: Run, out: Path, clips: list[RatedClip], made: _Gold, recipe: Recipe, force: bool) -> int:
    """A table for each clip; returns how many frames of all are annotated."""
    import numpy as np

    from affcli import recipes, tables
    from affcli.clips import table_path
    from affcli.labels.affect import Affect
    from affcli.schemas import AFFECT

    annotated = 0
    digests: dict[str, dict[str, str]] = {}
    empty: list[str] = []
    half: list[str] = []
    for one, values in progress(list(zip(clips, made.moved, strict=True)), STEP, "clip", len(clips)):
        with run.clip():
            path = table_path(out, one.name, "affect")
            spare_others(path, STEP)
            spare_inputs(path, one.sources.values())
            for source in one.sources.values():
                if source not in digests:
                    digests[source] = recipes.source(Path(source))
            inputs = [{**digests[source], "annotator": name} for name, source in one.sources.items()]
            standard = made.standard(one.name, values)
            known = int(np.count_nonzero(~np.isnan(standard).any(axis=1)))
            annotated += known
            if not known:
                (empty if np.isnan(standard).all() else half).append(one.name)
            if not force and tables.keep(path, AFFECT, recipe, inputs):
                run.keep()
                continue
            columns = Affect(one.name, standard[:, 0], standard[:, 1], one.time_us).columns()
            tables.write(path, AFFECT, columns, recipe=recipe, inputs=inputs, facts={"annotated": known})
    if empty:
        log.warning(
            "fewer than %d annotators rated any frame of %s: nothing is annotated", made.min_raters, some(empty)
        )
    if half:
        log.warning("no frame has both valence and arousal in %s", some(half))
    return annotated


def _warn(made: _Gold) -> None:
    """Name whoever agrees with nobody in what was rated at all: some data sets have valence alone."""
    import numpy as np

    from affcli.gold import ALONE

    for column, (dimension, found) in enumerate(made.agreement.items()):
        rated = any(not np.isnan(clip[..., column]).all() for clip in made.moved)
        for k in found.alone if rated else ():
            log.warning("%s agrees with nobody in %s (no CCC above %g)", made.annotators[k], dimension, ALONE)
