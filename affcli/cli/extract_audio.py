"""affcli extract-audio"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affcli import configs
from affcli.cli.extraction import KEEP_PARTIAL, LABELS, WORKERS, Job, Tally, check_out, jobs_of, work_through
from affcli.cli.options import FORCE, OUT, VIDEOS, configure, setting
from affcli.cli.runs import Run
from affcli.cli.workers import Report

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.media.video import Video
    from affcli.recipes import Recipe

log = logging.getLogger(__name__)


def extract_audio(
    videos: list[Path] = VIDEOS,
    out: Path = OUT,
    sample_rate: int = setting(configs.Audio, "sample_rate", min=1000, max=192_000),
    labels: Path | None = LABELS,
    workers: int = WORKERS,
    keep_partial: bool = KEEP_PARTIAL,
    force: bool = FORCE,
) -> None:
    """Take the sound of a video as a mono waveform on the video's own clock.

    Writes OUT/<clip>.audio.parquet, which gives the waveform sample at each decoded frame's time, and
    OUT/<clip>.audio.npy, the waveform: (samples,) int16. Sound that starts late, ends early, is all zeros, or is not
    there at all is a fact in the table (valid = false), not a failure.
    """
    from affcli import recipes

    check_out(out)
    config = configure(configs.Audio, locals())
    order = Order(out, config, recipes.recipe("extract-audio", config), keep_partial, force)
    run = Run(0)
    jobs = jobs_of(videos, labels, "main", run)
    work_through("extract-audio", jobs, functools.partial(_work, order), workers, run)


@dataclass(frozen=True)
class Order:
    """What is wanted of every video."""

    out: Path
    config: configs.Audio
    recipe: Recipe
    keep_partial: bool
    force: bool


def _work(order: Order, _shared: bool, job: Job, report: Report) -> Tally:
    """Make what is missing of one video's clips: all of them hear the same sound."""
    from affcli import recipes, tables
    from affcli.clips import table_path
    from affcli.media.video import open_video
    from affcli.schemas import AUDIO

    inputs = [recipes.source(job.path)]
    unless = "" if order.keep_partial else "partial"
    paths = {clip.name: table_path(order.out, clip.name, AUDIO.name) for clip in job.clips}
    todo = [
        name
        for name, path in paths.items()
        if order.force or not tables.keep(path, AUDIO, order.recipe, inputs, unless)
    ]
    if todo:
        video = open_video(job.path, keep_partial=order.keep_partial)
        waveform, columns, facts = _extract(order.config, video, report)
        for name in todo:
            with tables.Writer(paths[name], AUDIO, recipe=order.recipe, inputs=inputs) as writer:
                writer.append(waveform)
                writer.finish({"clip": [name] * len(columns["frame"]), **columns}, facts)
    return Tally(len(todo), len(paths) - len(todo))


def _extract(
    config: configs.Audio, video: Video, report: Report
) -> tuple[NDArray[np.int16], dict[str, Any], dict[str, Any]]:
    """The waveform of a video, the columns of its table but for the clip's name, and its facts."""
    import numpy as np

    from affcli import clock
    from affcli.media.audio import read_sound

    times = []
    for frame in video.frames():
        times.append(frame.time_us)
        report(1)
    time_us = np.array(times, dtype=np.int64)
    sound = read_sound(video.path, config.sample_rate)
    # With no track there is no first sample: frame times are counted from the first frame.
    start_us = sound.start_us if sound else int(time_us[0])
    sample = clock.sample_index(time_us, start_us, config.sample_rate)
    valid = np.zeros(len(time_us), np.bool_)
    if sound is None:
        kind = "none"
        log.warning("%s: no sound track", video.path)
    elif sound.silent:
        kind = "silent"
        log.warning("%s: the sound track is silent: every sample is zero", video.path)
    else:
        kind = "present"
        valid = sound.exists(sample)
    if sound and sound.decode_errors:
        log.warning("%s: %d audio packets could not be decoded", video.path, sound.decode_errors)
    rate = video.constant_rate(time_us)
    return (
        sound.waveform if sound else np.zeros(0, np.int16),
        {
            "frame": np.arange(len(time_us), dtype=np.int32),
            "time_us": time_us,
            "valid": valid,
            "sample": sample,
        },
        {
            "sample_rate": config.sample_rate,
            "start_us": start_us,
            "rate": str(rate) if rate else None,
            "sound": kind,
            "partial": video.partial,
        },
    )
