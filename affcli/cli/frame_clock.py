"""The times of a video's frames for its sound: from what extract-faces found already, or by decoding them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affcli import clock, tables
from affcli.cli.workers import Report
from affcli.clips import table_path
from affcli.errors import InputError, SchemaError
from affcli.schemas import FACES, TRACKS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FrameClock:
    """When each of the n frames of a clip is shown."""

    time_us: NDArray[np.int64]  # (n,)
    rate: Fraction | None  # frames per second where every time agrees with it
    partial: bool = False  # the video breaks off before its stated end

    @property
    def end_us(self) -> int:
        """Time at which the last frame is over."""
        return int(self.time_us[-1] + clock.periods(self.time_us)[-1])


def known_clock(
    out: Path, video: str, clips: list[str], source: dict[str, str], keep_partial: bool
) -> FrameClock | None:
    """The clock that the tracks or faces in `out` were made with; None where no table there is of the same video.

    `source` is the video as one of a table's inputs, by its digest.  What decoding the video would say once more is
    not said, and a video that breaks off is not taken from a table unless that is asked for.
    """
    kinds = [(TRACKS, video), *((FACES, clip) for clip in clips)]
    for schema, name in kinds:
        path = table_path(out, name, schema.name)
        if not path.exists():
            continue
        try:
            table = tables.read(path, schema)
        except (InputError, SchemaError) as error:
            log.info("%s: not used for the times of frames: %s", path, error)
            continue
        facts = table.header.facts
        if table.header.inputs != [source] or (facts["partial"] and not keep_partial):
            continue
        # The tracks have a row for each face of a frame.
        first = np.flatnonzero(np.diff(table.column("frame"), prepend=-1))
        if len(first):
            log.info("%s: has the times of the frames", path)
            rate = Fraction(facts["rate"]) if facts["rate"] else None
            return FrameClock(table.column("time_us")[first], rate, facts["partial"])
    return None


def decoded_clock(path: Path, keep_partial: bool, report: Report) -> FrameClock:
    """The clock of a video, every frame of which is decoded.  Raises InputError as `Video.frames` does."""
    from affcli.media.video import open_video

    video = open_video(path, keep_partial=keep_partial)
    times = []
    for frame in video.frames(only_times=True):
        times.append(frame.time_us)
        report(1)
    time_us = np.array(times, dtype=np.int64)
    return FrameClock(time_us, video.constant_rate(time_us), video.partial)


def made_clock(path: Path, samples: int, sample_rate: int, rate: Fraction) -> FrameClock:
    """The clock of sound without pictures: frame 0 at its first sample, at a constant `rate`, as long as it lasts.

    Raises InputError where there is no sample.
    """
    count = clock.frames_within(samples, sample_rate, rate)
    if not count:
        raise InputError(path, "holds neither pictures nor a sample of sound", advice="check that it plays")
    return FrameClock(clock.frame_times(count, rate), rate)
