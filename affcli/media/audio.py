"""The sound track as a mono waveform on the video's clock.

The decoded chunks are laid out by their own timestamps: a late start shifts the whole waveform, a hole inside it is
filled with zeros, and an overlap is cut.  Channels are averaged with equal weights, then resampled (soxr, HQ).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import InputError
from affcli.media.container import Decoder, open_container

# Timestamps of compressed audio are rounded to the container's time base; below this, neighbours touch.
_TOUCHING_SECONDS = 0.002
_LONGEST_HOLE_SECONDS = 3600
_FULL_SCALE = 32768


@dataclass(frozen=True)
class Sound:
    """A mono waveform."""

    waveform: NDArray[np.int16]  # (samples,)
    sample_rate: int  # Hz
    start_us: int  # time of the first sample on the container's clock
    decode_errors: int

    @property
    def silent(self) -> bool:
        """Every sample is zero."""
        return not self.waveform.any()


def read_sound(path: Path, sample_rate: int) -> Sound | None:
    """The first sound track of a media file at `sample_rate`; None where it has none.

    Raises InputError where the file cannot be opened, or where a sound track holds nothing that can be decoded.
    """
    with open_container(path) as container:
        if not container.streams.audio:
            return None
        chunks = _Chunks(path, container, container.streams.audio[0])
        resampled = list(_resampled(chunks, sample_rate))
        if chunks.start_us is None:
            raise InputError(
                path,
                "has a sound track of which nothing can be decoded",
                advice="check that it plays, or remove the track: ffmpeg -i in.mp4 -c copy -an out.mp4",
            )
    waveform = np.concatenate(resampled) if resampled else np.zeros(0, np.int16)
    return Sound(waveform, sample_rate, chunks.start_us, chunks.decoder.errors)


class _Chunks:
    """Mono chunks of a stream, (k,) float32 at its own rate, without holes or overlaps."""

    def __init__(self, path: Path, container: Any, stream: Any) -> None:
        self._path = path
        self.decoder = Decoder(container, stream)
        self.rate: int = stream.codec_context.sample_rate
        self.start_us: int | None = None

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        position = 0
        touching = round(_TOUCHING_SECONDS * self.rate)
        for frame in self.decoder:
            samples = _mono(frame)
            if frame.pts is not None:
                at = round(frame.pts * frame.time_base * self.rate)
                if self.start_us is None:
                    position = at
                    self.start_us = clock.to_microseconds(frame.pts, frame.time_base)
                if at - position > touching:
                    if at - position > _LONGEST_HOLE_SECONDS * self.rate:
                        raise InputError(
                            self._path,
                            f"has a hole of {(at - position) / self.rate:.0f} s in its sound",
                            expected=f"at most {_LONGEST_HOLE_SECONDS} s",
                            advice="its timestamps are damaged: rewrite the file with ffmpeg",
                        )
                    yield np.zeros(at - position, np.float32)
                    position = at
                elif position - at > touching:
                    samples = samples[position - at :]
            elif self.start_us is None:
                self.start_us = 0
            position += len(samples)
            yield samples


def _mono(frame: Any) -> NDArray[np.float32]:
    """The mean over the channels of one decoded chunk, (k,) float32, full scale 1."""
    samples = frame.to_ndarray()
    channels = frame.layout.nb_channels
    samples = samples.reshape(-1, channels).T if not frame.format.is_planar else samples
    if np.issubdtype(samples.dtype, np.integer):
        middle = 128 if samples.dtype == np.uint8 else 0
        scale = 128 if samples.dtype == np.uint8 else -float(np.iinfo(samples.dtype).min)
        samples = (samples.astype(np.float32) - middle) / np.float32(scale)
    return np.asarray(samples.mean(axis=0, dtype=np.float32))


def _resampled(chunks: _Chunks, sample_rate: int) -> Iterator[NDArray[np.int16]]:
    if chunks.rate == sample_rate:
        for chunk in chunks:
            yield _quantised(chunk)
        return
    stream = soxr.ResampleStream(chunks.rate, sample_rate, 1, dtype="float32", quality="HQ")
    for chunk in chunks:
        yield _quantised(stream.resample_chunk(chunk))
    yield _quantised(stream.resample_chunk(np.zeros(0, np.float32), last=True))


def _quantised(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Whole numbers at full scale 32768; what is louder is clipped."""
    return np.clip(np.rint(samples * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
