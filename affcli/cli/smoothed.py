"""Predictions that are smoothed: read with all that their files hold, and written with how it was done."""

from __future__ import annotations

import dataclasses
import io
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from affcli.cli.own_tables import LABELLED, spare_inputs, spare_others
from affcli.cli.progress import progress, say
from affcli.cli.runs import Run
from affcli.cli.table_times import clip_times, require_directory, with_times
from affcli.errors import SchemaError, UsageError, some
from affcli.files import spare
from affcli.schemas import DIMENSIONS

if TYPE_CHECKING:
    from affcli.labels.affect import Affect
    from affcli.recipes import Recipe
    from affcli.smoothing import Smoothing

log = logging.getLogger(__name__)

STDIN = "standard input"  # what `read_stream` names as the source
STEP = "smooth"


def read_predictions(path: Path) -> list[Affect]:
    """The predictions, as `read_whole` or, of a pipe, as CSV; values past -1 and 1 stay, and are said."""
    from affcli.labels.read import read_stream, read_whole

    found = read_stream(sys.stdin.buffer, beyond=True) if str(path) == "-" else read_whole(path, beyond=True)
    _tell_overshoot(found)
    return found


def _tell_overshoot(clips: list[Affect]) -> None:
    """Say how many values of text are past -1 or 1: they are smoothed as they are, and what comes of it is cut off."""
    from affcli.labels.overshoot import overshoot

    past = overshoot(clips)
    if past is not None:
        log.warning(
            "%d value%s past -1 or 1 (first: %s): what is smoothed of them is cut off there",
            *(past.count, " is" if past.count == 1 else "s are", past.first),
        )


def refuse_labels(clips: list[Affect]) -> None:
    """Raise SchemaError where clips are labels."""
    for one in clips:
        made = one.recipe or {}
        if made.get("step") in LABELLED:
            raise SchemaError(
                one.source,
                f"holds labels (step {made['step']})",
                expected="predictions",
                advice="smoothed labels would pass for the truth; name the directory of the predictions",
            )


def tell_twice(clips: list[Affect]) -> None:
    """Warn where clips that are smoothed now had been smoothed already."""
    already = [one.clip for one in clips if (one.recipe or {}).get("config", {}).get("smooth", "none") != "none"]
    if already:
        log.warning("smoothed already, and now once more: %s", some(already))


def timed(
    clips: list[Affect], rate: str | None, times: Path | None, *, needed: bool, open_ended: bool = False
) -> tuple[list[Affect], dict[str, Path | None]]:
    """The clips with the times that windows in seconds need; by name, those that they are given for.

    They are given by the `rate`, or by the tables in the directory `times`: with each name stands its table, which also
    tells how long `open_ended` clips are.  Raises UsageError where times are needed and lack, or something is given
    that nothing needs; InputError as `with_times`.
    """
    from affcli.cli.times import exact_rate
    from affcli.clock import frame_times

    exact = exact_rate(rate) if rate else None
    untimed = [one.clip for one in clips if one.time_us is None]
    if rate and times:
        raise UsageError("--rate", "stands beside --times", expected="one of them", advice="leave one out")
    if (rate or times) and not (needed and untimed):
        why = "every clip has its times" if needed else "the windows are in frames"
        option = f"--rate {rate}" if rate else f"--times {times}"
        raise UsageError(option, f"has no use: {why}", advice="leave it out")
    if not needed or not untimed:
        return clips, {}
    if times is not None:
        require_directory(times)
        tables = {one.clip: clip_times(times, one.clip) for one in clips if one.time_us is None}
        if open_ended:
            clips = [one.resized(max(len(one), len(tables[one.clip][1]))) for one in clips]
        by_table = [with_times(one, *tables[one.clip]) if one.clip in tables else one for one in clips]
        return by_table, {clip: path for clip, (path, _) in tables.items()}
    if exact is None:
        raise UsageError(
            clips[0].source if len(clips) == 1 else f"clips {some(untimed)}",
            "have no times of frames, which windows in seconds need",
            expected="--rate FPS, --times DIR, or tables with times",
            advice="add one of them, or give windows in frames such as mean:51",
        )
    by_rate = [
        one if one.time_us is not None else dataclasses.replace(one, time_us=frame_times(len(one), exact))
        for one in clips
    ]
    return by_rate, dict.fromkeys(untimed)


def completed(clips: list[Affect], missing: str) -> list[Affect]:
    """The clips with every frame predicted, as `labels.filling.filled` says; how many were not is told.

    A clip without any prediction stays as it is, which is told, too, unless zeros are asked for.
    """
    import numpy as np

    from affcli.labels.filling import filled

    made, empty, blank = [], [], 0
    for one in clips:
        curves = {name: getattr(one, name) for name in DIMENSIONS}
        if missing != "zero" and any(np.isnan(curve).all() for curve in curves.values()):
            empty.append(one.clip)
            made.append(one)
            continue
        blank += len(one) - int(np.count_nonzero(one.valid))
        whole = {name: filled(curve, missing) for name, curve in curves.items()}
        made.append(dataclasses.replace(one, valence=whole["valence"], arousal=whole["arousal"]))
    if blank:
        frames = sum(map(len, clips))
        log.warning("%d of %d frames had no prediction and are filled in (%s)", blank, frames, missing)
    if empty:
        log.warning("nothing is predicted, and so nothing is filled in: %s", some(empty))
    return made


def smoothed(one: Affect, how: Mapping[str, Smoothing]) -> Affect:
    """A clip as `how` smooths it, cut off at -1 and 1; all but valence and arousal stays as it is."""
    import numpy as np

    from affcli.labels.affect import HIGH, LOW
    from affcli.smoothing import smooth_known

    time_us = np.arange(len(one), dtype=np.int64) if one.time_us is None else one.time_us
    curves = {
        name: np.clip(smooth_known(curve, time_us, how[name]) if name in how else curve, LOW, HIGH)
        for name, curve in ((name, getattr(one, name)) for name in DIMENSIONS)
    }
    return dataclasses.replace(one, **curves)  # type: ignore[arg-type]


@dataclass(frozen=True)
class How:
    """How predictions are smoothed, and what a recipe says of it."""

    smoothings: Mapping[str, Smoothing]
    config: Mapping[str, object]
    rate: str | None
    timed: Mapping[str, Path | None]  # clips that have their times from the rate, or from a table

    def recipe(self, one: Affect) -> Recipe:
        """How one clip is made; its own account is the parent."""
        from affcli import recipes
        from affcli.cli.times import exact_rate

        times = {}
        if one.clip in self.timed:
            times = {"rate": str(exact_rate(self.rate))} if self.rate else {"frames": "of the video"}
        return recipes.recipe(STEP, {**self.config, **times}, parents=[one.recipe] if one.recipe else [])

    def times(self, clips: list[Affect]) -> list[dict[str, str]]:
        """The tables that tell the times of clips, as inputs."""
        from affcli import recipes

        return [recipes.source(path) | {"holds": "times"} for one in clips if (path := self.timed.get(one.clip))]


def _inputs(clips: list[Affect]) -> list[dict[str, str]]:
    """The files of clips; of a pipe there is none."""
    from affcli import recipes

    return [recipes.source(Path(source)) for source in dict.fromkeys(one.source for one in clips) if source != STDIN]


def write_each(out: Path, clips: list[Affect], how: How, force: bool) -> None:
    """A table for each clip, in a directory."""
    from affcli import tables
    from affcli.clips import table_path
    from affcli.schemas import AFFECT

    run, read = Run(len(clips), once=True), {one.source for one in clips}
    read_from: dict[str, list[dict[str, str]]] = {}
    for one in progress(clips, STEP, "clip", len(clips)):
        with run.clip():
            path, recipe = table_path(out, one.clip, "affect"), how.recipe(one)
            spare_others(path, STEP)
            spare_inputs(path, read)
            if one.source not in read_from:
                read_from[one.source] = _inputs([one])
            inputs = read_from[one.source] + how.times([one])
            if not force and tables.keep(path, AFFECT, recipe, inputs):
                run.keep()
                continue
            columns = smoothed(one, how.smoothings).columns()
            tables.write(path, AFFECT, columns, recipe=recipe, inputs=inputs, facts={})
    run.close()


def write_one(out: Path, clips: list[Affect], how: How, force: bool) -> None:
    """All clips in one table or CSV."""
    import numpy as np

    from affcli import tables
    from affcli.files import replacing
    from affcli.labels.affect import CLASSES
    from affcli.labels.csv import write_csv
    from affcli.schemas import AFFECT

    read = {one.source for one in clips}
    if out.suffix == ".parquet":
        recipe = how.recipe(clips[0])
        if unlike := [one for one in clips if how.recipe(one) != recipe]:
            raise SchemaError(
                unlike[0].source,
                f"clip '{unlike[0].clip}' was made otherwise than clip '{clips[0].clip}'",
                expected="clips made alike, since one table has one recipe",
                advice="name a directory as OUT",
            )
        spare_others(out, STEP)
        spare_inputs(out, read)
        inputs = _inputs(clips) + how.times(clips)
        if not force and tables.keep(out, AFFECT, recipe, inputs):
            say(f"{out}: up to date")
            return
        every = [smoothed(one, how.smoothings) for one in clips]
        # One table has one set of columns: what one clip lacks is unknown in it.
        names = [name for name in CLASSES if any(name in one.classes() for one in every)]
        held = [one.columns() for one in every]
        columns = {
            name: np.concatenate([one.get(name, np.full(len(one["frame"]), np.nan)) for one in held])
            for name in [*(name for name in held[0] if name not in CLASSES), *names]
        }
        tables.write(out, AFFECT, columns, recipe=recipe, inputs=inputs, facts={})
        return
    every = [smoothed(one, how.smoothings) for one in clips]
    if str(out) == "-":
        write_csv(sys.stdout, every)
        return
    spare_inputs(out, read)
    if out.exists() and not force:
        text = io.StringIO(newline="")
        write_csv(text, every)
        if out.is_file() and out.read_bytes() == text.getvalue().encode():
            say(f"{out}: up to date")
            return
        spare(out, [] if force else [out])
    with replacing(out) as file, io.TextIOWrapper(file, encoding="utf-8", newline="") as stream:
        write_csv(stream, every)
