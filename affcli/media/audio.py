"""The sound track as a mono waveform on the video's clock.

The decoded chunks are laid out by their own timestamps: a late start shifts the whole waveform, a hole inside it is
filled with zeros, and an overlap is cut.  Channels are averaged with equal weights, then resampled (soxr, HQ).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
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
    holes: list[tuple[int, int]]  # first sample, sample after the last, where the track has no sound
    decode_errors: int

    @property
    def silent(self) -> bool:
        """Every sample is zero."""
        return not self.waveform.any()

    def exists(self, sample: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the track has sound at each sample index (n,): inside it, and in no hole."""
        there = (sample >= 0) & (sample < len(self.waveform))
        for first, after in self.holes:
            there &= (sample < first) | (sample >= after)
        return there


def read_sound(path: Path, sample_rate: int) -> Sound | None:
    """The first sound track of a media file at `sample_rate`; None where it has none.

    Raises InputError where the file cannot be opened, where a sound track holds nothing that can be decoded, and
    where its sample rate changes on the way.
    """
    with _opened(path) as track:
        if track is None:
            return None
        waveform = np.concatenate([np.zeros(0, np.int16), *_resampled(track, sample_rate)])
        scale = Fraction(sample_rate, track.rate)
        holes = [(round(first * scale), round(after * scale)) for first, after in track.holes]
        return Sound(waveform, sample_rate, track.start_us, holes, track.errors)


@dataclass(frozen=True)
class Extent:
    """From when to when a sound track lasts, and what it is made of; found by decoding all of it."""

    sample_rate: int  # Hz, of the decoded sound
    channels: int
    start_us: int  # time of the first sample on the container's clock
    samples: int  # from the first to the last, holes included
    silent: bool  # every sample is zero
    decode_errors: int

    @property
    def end_us(self) -> int:
        """Time at which the last sample is over."""
        return self.start_us + clock.to_microseconds(self.samples, Fraction(1, self.sample_rate))


def measure_sound(path: Path) -> Extent | None:
    """How long the first sound track of a media file lasts; None where it has none.

    Nothing is resampled or kept, so memory does not grow with the length.  Raises InputError as `read_sound` does.
    """
    with _opened(path) as track:
        if track is None:
            return None
        samples, silent = 0, True
        for chunk in track:
            samples += len(chunk)
            silent = silent and not bool(_quantised(chunk).any())
        return Extent(track.rate, track.channels, track.start_us, samples, silent, track.errors)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Track | None]:
    with open_container(path) as container:
        streams = container.streams.audio
        if streams and streams[0].codec_context is None:
            raise _undecodable(path)
        yield _Track(path, Decoder(container, streams[0])) if streams else None


def _undecodable(path: Path) -> InputError:
    return InputError(
        path,
        "has a sound track of which nothing can be decoded",
        advice="check that it plays, or remove the track: ffmpeg -i in.mp4 -c copy -an out.mp4",
    )


class _Track:
    """Mono chunks of a stream, (k,) float32 at its own rate, end to end: holes are zeros, overlaps are cut."""

    def __init__(self, path: Path, decoder: Decoder) -> None:
        self._path = path
        self._decoder = decoder
        self.rate = 0  # Hz, of the decoded sound: what the stream announces can be half of it (HE-AAC)
        self.channels = 0
        self.start_us = 0
        self.holes: list[tuple[int, int]] = []  # in samples at `rate`, from the first

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        origin = position = 0
        for frame in self._decoder:
            samples = _mono(frame)
            at = position if frame.pts is None else round(frame.pts * frame.time_base * frame.sample_rate)
            if not self.rate:
                self.rate = frame.sample_rate
                self.channels = frame.layout.nb_channels
                self.start_us = clock.to_microseconds(frame.pts or 0, frame.time_base or Fraction(1))
                origin = position = at
            if frame.sample_rate != self.rate:
                raise InputError(
                    self._path,
                    f"its sound changes from {self.rate} to {frame.sample_rate} Hz after {position / self.rate:.2f} s",
                    expected="one sample rate",
                    advice=f"write its sound anew: ffmpeg -i {self._path.name} -c:v copy new.mkv",
                )
            touching = round(_TOUCHING_SECONDS * self.rate)
            if at - position > touching:
                self.holes.append((position - origin, at - origin))
                yield from self._silence(at - position, self.rate)
                position = at
            elif position - at > touching:
                samples = samples[position - at :]
            position += len(samples)
            yield samples
        if not self.rate:
            raise _undecodable(self._path)

    @property
    def errors(self) -> int:
        """Packets that could not be decoded, and one more where the file breaks off."""
        return self._decoder.errors + self._decoder.broken

    def _silence(self, length: int, rate: int) -> Iterator[NDArray[np.float32]]:
        if length > _LONGEST_HOLE_SECONDS * rate:
            raise InputError(
                self._path,
                f"has a hole of {length / rate:.0f} s in its sound",
                expected=f"at most {_LONGEST_HOLE_SECONDS} s",
                advice=f"its timestamps are damaged: ffmpeg -i {self._path.name} -c:v copy new.mkv",
            )
        for start in range(0, length, rate):
            yield np.zeros(min(rate, length - start), np.float32)


def _mono(frame: Any) -> NDArray[np.float32]:
    """The mean over the channels of one decoded chunk, (k,) float32, full scale 1."""
    samples = frame.to_ndarray()
    channels = frame.layout.nb_channels
    samples = samples.reshape(-1, channels).T if not frame.format.is_planar else samples
    if np.issubdtype(samples.dtype, np.integer):
        middle = 128 if samples.dtype == np.uint8 else 0
        scale = 128 if samples.dtype == np.uint8 else -float(np.iinfo(samples.dtype).min)
        samples = (samples.astype(np.float32) - middle) / np.float32(scale)
    # A sample that is no number would spread through the resampler.
    return np.asarray(np.nan_to_num(samples.mean(axis=0, dtype=np.float32), posinf=1.0, neginf=-1.0))


def _resampled(track: _Track, sample_rate: int) -> Iterator[NDArray[np.int16]]:
    stream = None
    for chunk in track:
        if track.rate == sample_rate:
            yield _quantised(chunk)
            continue
        stream = stream or soxr.ResampleStream(track.rate, sample_rate, 1, dtype="float32", quality="HQ")
        yield _quantised(stream.resample_chunk(chunk))
    if stream is not None:
        yield _quantised(stream.resample_chunk(np.zeros(0, np.float32), last=True))


def _quantised(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Whole numbers at full scale 32768; what is louder is clipped."""
    return np.clip(np.rint(samples * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
