"""affcli extract-audio"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from affcli import configs
from affcli.cli.options import FORCE, OUT, VIDEOS, configure, setting
from affcli.cli.progress import progress
from affcli.cli.runs import Run

if TYPE_CHECKING:
    from affcli.media.find import Source
    from affcli.tables import Writer

log = logging.getLogger(__name__)


def extract_audio(
    videos: list[Path] = VIDEOS,
    out: Path = OUT,
    sample_rate: int = setting(configs.Audio, "sample_rate", min=1000),
    keep_partial: bool = typer.Option(False, "--keep-partial", help="Keep the frames before a video breaks off."),
    force: bool = FORCE,
) -> None:
    """Take the sound of a video as a mono waveform on the video's own clock.

    Writes OUT/<clip>.audio.parquet, which gives the waveform sample at each decoded frame's time, and
    OUT/<clip>.audio.npy, the waveform: (samples,) int16. Sound that starts late, ends early, is all zeros, or is not
    there at all is a fact in the table (valid = false), not a failure.
    """
    from affcli import recipes, tables
    from affcli.clips import table_path
    from affcli.media.find import sources
    from affcli.schemas import AUDIO

    config = configure(configs.Audio, locals())
    recipe = recipes.recipe("extract-audio", config)
    found = sources(videos)
    run = Run(len(found))
    for source in progress(found, "extract-audio", "clip", len(found)):
        with run.clip():
            path = table_path(out, source.clip, "audio")
            inputs = [recipes.source(source.path)]
            if not force and tables.keep(path, AUDIO, recipe, inputs):
                run.keep()
                continue
            with tables.Writer(path, AUDIO, recipe=recipe, inputs=inputs) as writer:
                _extract(source, config, keep_partial, writer)
    run.close()


def _extract(source: Source, config: configs.Audio, keep_partial: bool, writer: Writer) -> None:
    import numpy as np

    from affcli import clock
    from affcli.media.audio import read_sound
    from affcli.media.video import open_video

    video = open_video(source.path, keep_partial=keep_partial)
    frames = progress(video.frames(), source.clip, "frame", video.expected_frames)
    time_us = np.array([frame.time_us for frame in frames], dtype=np.int64)
    sound = read_sound(source.path, config.sample_rate)
    if sound is None:
        # With no track there is no first sample: frame times are counted from the first frame.
        waveform, start_us, kind = np.zeros(0, np.int16), int(time_us[0]), "none"
        log.warning("%s: no sound track", source.path)
    else:
        waveform, start_us, kind = sound.waveform, sound.start_us, "silent" if sound.silent else "present"
        if sound.silent:
            log.warning("%s: the sound track is silent: every sample is zero", source.path)
        if sound.decode_errors:
            log.warning("%s: %d audio packets could not be decoded", source.path, sound.decode_errors)
    writer.append(waveform)
    sample = clock.sample_index(time_us, start_us, config.sample_rate)
    n = len(time_us)
    rate = clock.constant_rate(time_us, video.rate)
    writer.finish(
        {
            "clip": np.full(n, source.clip, dtype=object),
            "frame": np.arange(n, dtype=np.int32),
            "time_us": time_us,
            "valid": (sample >= 0) & (sample < len(waveform)) & (kind == "present"),
            "sample": sample,
        },
        {
            "sample_rate": config.sample_rate,
            "start_us": start_us,
            "rate": str(rate) if rate else None,
            "sound": kind,
        },
    )
