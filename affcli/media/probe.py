"""The frame ledger: what decoding every frame of a video finds, beside what its container states."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from affcli import clock
from affcli.errors import InputError
from affcli.media.audio import Extent, measure_sound
from affcli.media.container import open_container
from affcli.media.video import Frame, Video


@dataclass(frozen=True)
class Ledger:
    """What one video file holds.  Times are on the container's clock."""

    path: Path
    decoded: int  # frames, damaged ones included
    stated_frames: int | None  # as the container counts; None where it does not
    decode_errors: int  # packets that could not be decoded
    corrupt: int  # frames that were decoded with damage
    partial: bool  # the stream ends well before its stated end, or breaks off
    first_us: int  # time of the first frame
    last_us: int  # time of the last frame
    duration_us: int  # from the first frame to the end of the last, which stands as long as the median
    stated_duration_us: int | None  # of the pictures, or else of the file
    rate: Fraction | None  # frames per second where every frame's time agrees with it, else None: variable
    stated_rate: Fraction | None  # frames per second, the container's average
    shortest_us: int | None  # between a frame and the next; None for a lone frame
    longest_us: int | None
    time_base: Fraction  # seconds in which the container counts
    width: int  # px, upright, of the first frame
    height: int  # px, upright, of the first frame
    size_changes: int  # frames of another size than the frame before
    rotation: int  # degrees by which the stored picture is turned, counter-clockwise, to be upright
    codec: str
    pixel_format: str
    sound: Extent | None  # None where there is no track, or only one that cannot be decoded
    sound_failure: InputError | None  # what is wrong with the track

    @property
    def sound_kind(self) -> str:
        """`present`, `silent` (every sample is zero), `none` (no track), or `broken` (see `sound_failure`)."""
        if self.sound is None:
            return "broken" if self.sound_failure else "none"
        return "silent" if self.sound.silent else "present"

    @property
    def sound_offset_us(self) -> int | None:
        """From the first frame to the first sample; below 0 where sound begins before the pictures."""
        return None if self.sound is None else self.sound.start_us - self.first_us

    @property
    def sound_overhang_us(self) -> int | None:
        """From the end of the last frame to that of the last sample; below 0 where sound ends before the pictures."""
        return None if self.sound is None else self.sound.end_us - (self.first_us + self.duration_us)


def probe(video: Video, frames: Iterable[Frame] | None = None) -> Ledger:
    """Decode all of a video and its sound, and say what is there.

    `frames` are those of `video.frames()`, passed through whatever shows how far they are.  Open the video with
    `keep_partial=True` to learn about one that breaks off.  Raises InputError as `Video.frames` does; what is wrong
    with the sound alone is kept in the ledger.
    """
    codec, pixel_format = _coding(video.path)
    times = array("q")
    corrupt = size_changes = 0
    first = size = None
    for frame in video.frames() if frames is None else frames:
        times.append(frame.time_us)
        corrupt += frame.corrupt
        size_changes += size not in (None, (frame.width, frame.height))
        size = (frame.width, frame.height)
        first = first or (*size, frame.rotation)
    if first is None:
        raise InputError(video.path, "holds no frame that can be decoded", advice="check that it plays")
    time_us = np.frombuffer(times, np.int64)
    gaps = np.diff(time_us)
    sound, failure = None, None
    try:
        sound = measure_sound(video.path)
    except InputError as error:
        failure = error
    return Ledger(
        path=video.path,
        decoded=len(time_us),
        stated_frames=video.stated_frames or None,
        decode_errors=video.decode_errors,
        corrupt=corrupt,
        partial=video.partial,
        first_us=int(time_us[0]),
        last_us=int(time_us[-1]),
        duration_us=int(time_us[-1] - time_us[0] + clock.periods(time_us)[-1]),
        stated_duration_us=video.duration_us,
        rate=video.constant_rate(time_us),
        stated_rate=video.rate,
        shortest_us=int(gaps.min()) if len(gaps) else None,
        longest_us=int(gaps.max()) if len(gaps) else None,
        time_base=video.time_base,
        width=first[0],
        height=first[1],
        size_changes=size_changes,
        rotation=first[2],
        codec=codec,
        pixel_format=pixel_format,
        sound=sound,
        sound_failure=failure,
    )


def _coding(path: Path) -> tuple[str, str]:
    """Codec and pixel format of the first video stream, copied while the container is open."""
    with open_container(path) as container:
        context = container.streams.video[0].codec_context
        return str(context.codec.name), str(context.pix_fmt or "")
