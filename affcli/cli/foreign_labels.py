"""What `affcli import-labels` does with labels of other data sets: their scales, their times, the frames of clips."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affcli.cli import label_options
from affcli.cli.own_tables import spare_labels
from affcli.cli.progress import progress
from affcli.cli.runs import Run
from affcli.cli.table_times import clip_times, require_directory
from affcli.cli.times import exact_rate
from affcli.errors import InputError, UsageError, some

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.labels.affect import Affect
    from affcli.labels.foreign import Labels
    from affcli.labels.resample import Method
    from affcli.labels.scales import Scales
    from affcli.recipes import Recipe

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """How the files of one format are read, and laid on frames."""

    format: str
    columns: dict[str, str] | None
    time_unit: label_options.Unit
    rate: Fraction | None
    scales: Scales
    times: Path | None
    method: Method
    delay_us: int

    @property
    def timed(self) -> bool:
        """Whether labels have times of their own, which must be brought to frames."""
        return self.format in label_options.TIMED and (self.time_unit != "frame" or self.rate is not None)

    def recipe(self) -> Recipe:
        """What the tables say of how they were made."""
        from affcli import recipes

        scale = {name: [one.low, one.high] for name, one in self.scales.items()}
        config: dict[str, Any] = {"format": self.format, "scale": scale, "valid": "valence and arousal"}
        if self.format == "abaw-mtl":
            config |= {"expression": "number of the class", "action_units": "0 or 1"}
        if self.format in label_options.TIMED:
            config |= {"columns": self.columns or "by name", "time_unit": self.time_unit}
            config["rate"] = str(self.rate) if self.rate else None
        if self.timed:
            config |= {"resample": self.method, "delay_us": self.delay_us}
        config["frames"] = "of the video" if self.times else "up to the last with a label"
        return recipes.recipe("import-labels", config)


def reading(name: str, asked: label_options.Asked) -> Reading:
    """How to read files of the format `name`.  Raises UsageError where the options do not fit it, or one lacks."""
    from affcli.labels.formats import FORMATS

    scales = label_options.scales(asked.range, FORMATS[name].scales, name)
    if FORMATS[name].fixed and asked.range is not None:
        raise label_options.unfit("--range", f"{name} is -1:1 by definition")
    timed = name in label_options.TIMED
    for option, given in asked.of_ratings():
        if given is not None and not timed:
            raise label_options.unfit(option, f"{name} has no columns and times to choose")
    if asked.rate is not None and asked.time_unit:
        raise label_options.unfit("--time-unit", "with --rate, times are not read")
    made = Reading(
        name,
        label_options.columns(asked.columns),
        asked.time_unit or "s",
        None if asked.rate is None else exact_rate(asked.rate),
        scales,
        asked.times,
        asked.resample or "nearest",
        round((asked.delay or 0.0) * 1_000_000),
    )
    if timed and not made.timed:
        for option, given in (("--resample", asked.resample), ("--delay", asked.delay)):
            if given is not None:
                raise label_options.unfit(option, "with --time-unit frame, every value has its frame already")
    if made.times is None and (made.timed or (FORMATS[name].times and not timed)):
        why = "labels have times of their own" if made.timed else "a label is of a whole clip"
        raise UsageError(
            "--times",
            f"is missing: in {name}, {why}",
            expected="the directory of the clips' faces or audio tables",
            advice="run extract-faces or extract-audio on the videos first, then name the directory",
        )
    return made


def import_foreign(source: Path, out: Path, how: Reading, force: bool) -> None:
    """Make the affect table of every clip; report files that cannot be read, and go on."""
    from affcli import recipes, tables
    from affcli.schemas import AFFECT

    if how.times:
        require_directory(how.times)
    run = Run(0, once=True)
    groups = _groups(run, source, how)
    recipe = how.recipe()
    ends: list[str] = []
    anew: list[str] = []
    half: list[str] = []
    odd: list[str] = []
    source_of = functools.cache(recipes.source)  # a file of many clips is digested once
    for clip, group in progress(groups.items(), "import-labels", "clip", len(groups)):
        with run.clip():
            labels = _one(clip, group)
            target = target_of(out, clip, next(iter(labels.paths.values())))
            found = clip_times(how.times, clip) if how.times else None
            inputs = [source_of(path) | ({"holds": holds} if holds else {}) for holds, path in labels.paths.items()]
            if found:
                inputs.append(recipes.source(found[0]) | {"holds": "times"})
            changed = spare_labels(target, recipe["step"], inputs, force=force)
            if not force and tables.keep(target, AFFECT, recipe, inputs):
                run.keep()
                continue
            affect = _laid(labels, found[1] if found else None, how)
            tables.write(
                target, AFFECT, affect.columns(), recipe=recipe, inputs=inputs, facts=facts(affect, how.format)
            )
            if changed:
                anew.append(clip)
            if found is None:
                ends.append(f"{clip} {len(affect)}")
            if not affect.valid.any():
                half.append(clip)
            if found and how.timed and (spans := _odd_spans(labels, found[1])):
                odd.append(f"{clip} {spans}")
    tell_anew(out, anew)
    if ends:
        log.warning(
            "%s: clips end with the last labelled frame (%s); --times DIR tells their frames", source, some(ends)
        )
    if odd:
        log.warning(
            "%s: ratings and videos do not last alike (%s): check --time-unit, --rate and --times", source, some(odd)
        )
    if half:
        log.warning("%s: no frame has both valence and arousal in %s", source, some(half))
    run.close()


def _odd_spans(labels: Labels, time_us: NDArray[np.int64]) -> str:
    """How long the ratings last beside the frames, where one is more than twice the other; else ""."""
    from affcli.labels.foreign import TimedLabels

    if not isinstance(labels, TimedLabels):
        return ""
    rated, seen = labels.last / 1e6, int(time_us[-1] - time_us[0]) / 1e6
    return "" if seen / 2 <= rated <= 2 * seen else f"{rated:g} s of {seen:g} s"


def facts(affect: Affect, name: str) -> dict[str, object]:
    """What the table of a clip says of its rows: how many are annotated, and the format `name` that they came in."""
    import numpy as np

    made: dict[str, object] = {"annotated": int(affect.valid.sum()), "format": name}
    if affect.expression is not None:
        made["expressions"] = int(np.count_nonzero(affect.expression >= 0))
    if affect.action_units:
        made["action_units"] = int(np.count_nonzero(np.max([*affect.action_units.values()], axis=0) >= 0))
    return made


def tell_anew(out: Path, clips: list[str]) -> None:
    """Say which clips had tables of files of the same names when these held something else."""
    if clips:
        log.warning("%s: made anew, since the files of these names hold something else now: %s", out, some(clips))


def target_of(out: Path, clip: str, path: Path) -> Path:
    """Where the table of a clip goes.  Raises InputError, naming the file it comes from, where no file can."""
    from affcli.clips import table_path

    try:
        return table_path(out, clip, "affect")
    except InputError as error:
        raise InputError(
            f"{path}, {error.subject}", error.found, expected=error.expected, advice=error.advice
        ) from error


def _groups(run: Run, source: Path, how: Reading) -> dict[str, list[Labels]]:
    """What the files say, by clip; a clip that an unreadable file was half of is left out, as that file is reported."""
    from affcli.labels.formats import files_of, read_foreign
    from affcli.labels.ratings import dimension_of

    groups: dict[str, list[Labels]] = {}
    broken = []
    files = files_of(source, how.format)
    for path in progress(files, "import-labels", "file", len(files)):
        before = len(run.failures)
        with run.report():
            for labels in read_foreign(
                path, how.format, how.scales, columns=how.columns, unit=how.time_unit, rate=how.rate
            ):
                groups.setdefault(labels.clip, []).append(labels)
        if len(run.failures) > before:
            broken.append(path)
    for dimension, stem in map(dimension_of, broken if how.format in label_options.TIMED else ()):
        # The other half of a clip is in the clip of that name, or in a file of that name, which names its clips itself.
        halves = [
            clip for clip, group in groups.items() if stem in (clip, *(dimension_of(one.path)[1] for one in group))
        ]
        for clip in halves if dimension else ():
            del groups[clip]
    # Two files that each hold a dimension are of one clip.
    timed = how.format in label_options.TIMED
    lost = {stem if dimension and timed else path for path in broken for dimension, stem in [dimension_of(path)]}
    run.clips, run.again = len(groups) + len(lost), len(broken) - len(lost)
    return dict(sorted(groups.items()))


def _one(clip: str, group: list[Labels]) -> Labels:
    """The labels of a clip.  Raises InputError where several files tell the same of it."""
    from affcli.labels.foreign import TimedLabels
    from affcli.labels.ratings import joined

    timed = [labels for labels in group if isinstance(labels, TimedLabels)]
    if timed:
        return joined(timed)[0]
    first, *others = group
    if others:
        raise InputError(
            others[0].path,
            f"clip '{clip}' is in {first.path} too",
            expected="each clip once",
            advice="rename one of them, or leave one out",
        )
    return first


def _laid(labels: Labels, time_us: NDArray[np.int64] | None, how: Reading) -> Affect:
    """The labels on the frames of their clip."""
    from affcli.labels.foreign import ClipLabel, FrameLabels, TimedLabels

    if isinstance(labels, TimedLabels) and not how.timed:
        labels = labels.by_frame()
    if isinstance(labels, FrameLabels):
        return labels.affect(time_us)
    if time_us is None:
        raise TypeError(f"the labels of {labels.clip} need the times of frames")
    return labels.affect(time_us) if isinstance(labels, ClipLabel) else labels.affect(time_us, how.method, how.delay_us)
