"""Pictures and a waveform to a video file: H.264 and AAC, the same bytes every time."""

from __future__ import annotations

import heapq
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from operator import itemgetter
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

# With other presets, or more than one thread, x264 may give other bytes for the same pictures.
X264_OPTIONS = {"preset": "ultrafast", "crf": "23", "threads": "1"}
SOUND_BIT_RATE = 64_000  # bits per second: plenty for one voice
SAMPLES_PER_PACKET = 1024  # what AAC codes at a time
MP4_FAMILY = frozenset({".mp4", ".m4v", ".mov"})

# Packets of one stream, and the exact time in seconds of what was encoded to get them.
Timed = tuple[Fraction, list[Any]]


def write_video(
    path: str | Path,
    frames: Iterable[NDArray[np.uint8]],
    pts: Sequence[int] | NDArray[np.int64],
    time_base: Fraction,
    *,
    rate: Fraction,
    waveform: NDArray[np.float32] | None = None,
    sample_rate: int = 44_100,
    sound_start: Fraction = Fraction(0),
) -> None:
    """Write a video with or without sound; the suffix of `path` names the container (.mp4, .mov, .mkv).

    `frames`: n pictures (h, w, 3) uint8 RGB of one even size, taken one at a time. `pts`: n rising whole
    numbers from 0 up, the times of the frames in units of `time_base` seconds; MP4 and MOV keep them
    exactly, MKV to the millisecond. `rate`: frames per second stated in the file, the mean one where `pts`
    are uneven. `waveform`: (samples,) float32 in [-1, 1] at `sample_rate`, whose first sample is played at
    `sound_start` seconds, 0 or later.

    Equal input gives equal bytes. The file is written aside and renamed when whole: where anything is
    raised, `path` is as it was. Raises ValueError where the arguments do not fit together, OSError where
    the file cannot be written.
    """
    path = Path(path)
    times = [int(tick) for tick in pts]
    if not times or times[0] < 0 or any(later <= earlier for earlier, later in itertools.pairwise(times)):
        raise ValueError("pts: expected at least one, none below 0, each greater than the one before")
    if sound_start < 0:
        raise ValueError(f"sound_start: {sound_start} s, expected 0 or later; or let the pts begin later")
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise ValueError("frames: none given, expected at least one")
    _check_shape(first)

    # "bitexact" keeps the versions of the libraries out of the file and, in MKV, random identifiers.
    options = {"fflags": "+bitexact"}
    if path.suffix.lower() in MP4_FAMILY:
        # MP4 counts a late start in units of the whole movie: milliseconds, unless told of finer ones.
        exact = math.lcm(sample_rate, time_base.denominator)
        options["movie_timescale"] = str(exact if exact < 2**31 else sample_rate)
    aside = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        with av.open(str(aside.absolute()), "w", options=options) as container:
            video = container.add_stream("libx264", rate=rate, options=dict(X264_OPTIONS))
            video.height, video.width = first.shape[:2]
            video.pix_fmt = "yuv420p"
            video.time_base = time_base
            video.codec_context.time_base = time_base
            timed = [_picture_packets(video, itertools.chain([first], remaining), times)]
            if waveform is not None:
                audio = container.add_stream("aac", rate=sample_rate, layout="mono")
                audio.bit_rate = SOUND_BIT_RATE
                timed.append(_sound_packets(audio, waveform, round(sound_start * sample_rate)))
            # In the order of their times, so that neither stream has to wait in memory for the other.
            for _, packets in heapq.merge(*timed, key=itemgetter(0)):
                container.mux(packets)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _check_shape(picture: NDArray[np.uint8]) -> None:
    """Raises ValueError unless H.264 with its halved colour planes can hold the picture."""
    shape = picture.shape
    if picture.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or shape[0] % 2 or shape[1] % 2:
        raise ValueError(
            f"frames: {picture.dtype} of shape {shape}, expected uint8 of (height, width, 3), both sides even"
        )


def _picture_packets(stream: VideoStream, pictures: Iterable[NDArray[np.uint8]], pts: Sequence[int]) -> Iterator[Timed]:
    """Encode the pictures. Raises ValueError where sizes differ, or there are not as many as `pts`."""
    time_base = stream.codec_context.time_base
    usual_duration = max(1, round(1 / (stream.codec_context.framerate * time_base)))
    ends = [*pts[1:], pts[-1] + usual_duration]
    shape = (stream.height, stream.width, 3)
    for index, (picture, start, end) in enumerate(itertools.zip_longest(pictures, pts, ends)):
        if picture is None or start is None:
            raise ValueError(f"frames: {'fewer' if picture is None else 'more'} than the {len(pts)} pts")
        if picture.shape != shape:
            raise ValueError(f"frames: frame {index} has shape {picture.shape}, the first has {shape}")
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.duration, frame.time_base = start, end - start, time_base
        yield start * time_base, stream.encode(frame)
    yield ends[-1] * time_base, stream.encode(None)


def _sound_packets(stream: AudioStream, waveform: NDArray[np.float32], first_pts: int) -> Iterator[Timed]:
    """Encode the waveform (samples,), whose first sample has the time `first_pts` in samples."""
    time_base = Fraction(1, stream.rate)
    for begin in range(0, len(waveform), SAMPLES_PER_PACKET):
        samples = waveform[np.newaxis, begin : begin + SAMPLES_PER_PACKET]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples, np.float32), "fltp", "mono")
        frame.sample_rate = stream.rate
        frame.pts, frame.time_base = first_pts + begin, time_base
        yield frame.pts * time_base, stream.encode(frame)
    yield (first_pts + len(waveform)) * time_base, stream.encode(None)
