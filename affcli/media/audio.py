"""The sound of a media file as a mono waveform of one sample rate, some samples at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from affcli import clock
from affcli.media.soundtrack import MEAN, SoundTrack, open_track

_FULL_SCALE = 32768


@dataclass(frozen=True)
class Sound:
    """A mono waveform that was read: everything about it but its samples."""

    sample_rate: int  # Hz
    samples: int  # holes included
    start_us: int  # time of the first sample on the container's clock
    holes: tuple[tuple[int, int], ...]  # first sample, sample after the last, where the track has no sound
    cut: int  # samples that were left out because there was sound at their times already
    silent: bool  # every sample is zero
    decode_errors: int
    wild: int  # decoded samples that were no numbers, taken as 0, or infinite, taken as full scale
    clipped: int  # samples at full scale: louder ones cannot be told from them

    def exists(self, sample: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the track has sound at each sample index (n,): inside it, and in no hole."""
        there = (sample >= 0) & (sample < self.samples)
        for first, after in self.holes:
            there &= (sample < first) | (sample >= after)
        return there


def read_sound(
    path: Path,
    sample_rate: int,
    take: Callable[[NDArray[np.int16]], object],
    *,
    track: str = "0",
    channel: int = MEAN,
) -> Sound | None:
    """Decode a sound track of a media file to `sample_rate` Hz; None where the file has no sound at all.

    `take` is given the waveform piece by piece, (k,) int16 of full scale 32768, so that memory does not grow with its
    length; the pieces together do not depend on how the file is cut into packets.  Channels are averaged with equal
    weights, or one `channel`, counted from 1, is taken; then the sound is resampled (soxr, HQ, which delays nothing).
    A track without a single sample is a Sound of length 0.

    Raises InputError where the file cannot be opened, where it has no such track or channel, where a track holds
    nothing that can be decoded, and where its sample rate changes on the way.
    """
    with open_track(path, track, channel) as decoded:
        if decoded is None:
            return None
        samples = clipped = 0
        silent = True
        for piece in _resampled(decoded, sample_rate):
            samples += len(piece)
            silent = silent and not piece.any()
            clipped += int(np.count_nonzero((piece == _FULL_SCALE - 1) | (piece == -_FULL_SCALE)))
            take(piece)
        scale = Fraction(sample_rate, decoded.rate or sample_rate)
        holes = tuple((round(first * scale), round(after * scale)) for first, after in decoded.holes)
        cut = round(decoded.cut * scale)
        return Sound(sample_rate, samples, decoded.start_us, holes, cut, silent, decoded.errors, decoded.wild, clipped)


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
    """How long the first sound track of a media file lasts; None where it has none, or one without a single sample.

    Nothing is resampled or kept, so memory does not grow with the length.  Raises InputError as `read_sound` does.
    """
    with open_track(path) as track:
        if track is None:
            return None
        samples, silent = 0, True
        for chunk in track:
            samples += len(chunk)
            silent = silent and not _quantised(chunk).any()
        if not samples:
            return None
        return Extent(track.rate, track.channels, track.start_us, samples, silent, track.errors)


def _resampled(track: SoundTrack, sample_rate: int) -> Iterator[NDArray[np.int16]]:
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
    scaled = samples * np.float32(_FULL_SCALE)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1, out=scaled).astype(np.int16)
