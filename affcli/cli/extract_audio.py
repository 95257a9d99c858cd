"""affcli extract-audio"""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from affcli import configs
from affcli.cli.extraction import KEEP_PARTIAL, extract_clips
from affcli.cli.options import FORCE, OUT, VIDEOS, configure, setting
from affcli.cli.progress import progress

if TYPE_CHECKING:
    from affcli.media.video import Video
    from affcli.tables import Writer

log = logging.getLogger(__name__)


def extract_audio(
    videos: list[Path] = VIDEOS,
    out: Path = OUT,
    sample_rate: int = setting(configs.Audio, "sample_rate", min=1000, max=192_000),
    keep_partial: bool = KEEP_PARTIAL,
    force: bool = FORCE,
) -> None:
    """Take the sound of a video as a mono waveform on the video's own clock.

    Writes OUT/<clip>.audio.parquet, which gives the waveform sample at each decoded frame's time, and
    OUT/<clip>.audio.npy, the waveform: (samples,) int16. Sound that starts late, ends early, is all zeros, or is not
    there at all is a fact in the table (valid = false), not a failure.
    """
    from affcli import recipes
    from affcli.schemas import AUDIO

    config = configure(configs.Audio, locals())
    recipe = recipes.recipe("extract-audio", config)
    extract = functools.partial(_extract, config)
    extract_clips(videos, out, AUDIO, recipe, extract, keep_partial=keep_partial, force=force)


def _extract(config: configs.Audio, clip: str, video: Video, writer: Writer) -> None:
    import numpy as np

    from affcli import clock
    from affcli.media.audio import read_sound

    frames = progress(video.frames(), clip, "frame", video.expected_frames)
    time_us = np.array([frame.time_us for frame in frames], dtype=np.int64)
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
    writer.append(sound.waveform if sound else np.zeros(0, np.int16))
    writer.finish(
        {
            "clip": np.full(len(time_us), clip, dtype=object),
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
