"""One sound track of a media file as mono chunks at its own rate, end to end.

The decoded chunks are laid out by their own timestamps: a hole inside the track is filled with zeros, and an overlap is
cut.  What an encoder puts before the first sample (priming) is taken off by FFmpeg, where the file states it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import InputError
from affcli.media.container import Decoder, open_container

MEAN = 0  # in place of a channel's number: all channels, averaged with equal weights

# Timestamps of compressed audio are rounded to the container's time base; below this, neighbours touch.
_TOUCHING_SECONDS = 0.002
# A recorder that stamps sound as it comes in strays to both sides, and no sample is missing.  What lasts is a shift:
# where so many chunks stray by the same, within a millisecond, or so many more by much on average.  A packet that was
# lost leaves a larger gap at once: most of AAC, MP3 and Opus last 20 ms and more.
_ALIKE, _ALIKE_SECONDS = 5, 0.001
_MANY, _MUCH_SECONDS = 25, 0.005
_GAP_SECONDS = 0.018
_LONGEST_HOLE_SECONDS = 3600
_AT_ONCE = 65_536  # samples: a decoded chunk has about a thousand, which costs more in calls than in sums
_LOUDEST = 1000.0  # 60 dB over full scale: what is louder is a damaged number, which would spread in a resampler


class SoundTrack:
    """Iterated over, once: mono chunks (k,) float32, full scale 1, at the track's own rate.

    What it says of itself is known when all chunks are through.
    """

    def __init__(self, path: Path, decoder: Decoder, channel: int) -> None:
        self._path = path
        self._decoder = decoder
        self._channel = channel
        self.rate = 0  # Hz, of the decoded sound: what the stream announces can be half of it (HE-AAC); 0: no sample
        self.channels = 0
        self.start_us = 0  # time of the first sample on the container's clock
        self.holes: list[tuple[int, int]] = []  # in samples at `rate`, from the first
        self.cut = 0  # samples that were left out because there was sound at their times already
        self.wild = 0  # samples that were no numbers or infinite

    @property
    def errors(self) -> int:
        """Packets that could not be decoded, and one more where the file breaks off."""
        return self._decoder.errors + self._decoder.broken

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Raises InputError where the sample rate changes, where nothing can be decoded, and as `_silence` does."""
        origin = position = touching = 0
        strays: list[int] = []  # by how many samples each of the last chunks is off, one after the other
        per_tick, whole = 1, 1  # a tick of the stream lasts per_tick / whole samples
        gathered = _Gathered()
        for frame in self._decoder:
            count, rate, pts = frame.samples, frame.sample_rate, frame.pts
            if not self.rate:
                self.rate, self.channels = rate, frame.layout.nb_channels
                time_base = frame.time_base or Fraction(1, rate)
                per_tick, whole = (time_base * rate).as_integer_ratio()
                touching = round(_TOUCHING_SECONDS * rate)
                self.start_us = clock.to_microseconds(pts or 0, time_base)
                origin = position = _rounded((pts or 0) * per_tick, whole)
            if rate != self.rate:
                raise self._another_rate(rate, position)
            at = position if pts is None else _rounded(pts * per_tick, whole)
            shift = at - position
            if -touching <= shift <= touching:
                strays.clear()
                shift = 0
            else:
                strays.append(shift)
                shift = self._lasting(strays)
            if not shift:
                position += count
                if ready := gathered.add(frame):
                    yield from map(self._mono, ready)
                continue
            strays.clear()
            at = position + shift
            yield from map(self._mono, gathered.take())
            if at > position:
                self.holes.append((position - origin, at - origin))
                yield from self._silence(at - position)
                position = at
            kept = self._mono(frame)[position - at :]
            position += len(kept)
            self.cut += count - len(kept)
            yield kept
        yield from map(self._mono, gathered.take())
        if not self.rate and self.errors:
            raise _undecodable(self._path)

    def _lasting(self, strays: list[int]) -> int:
        """By how many samples the sound has shifted, from how far the last chunks are off; 0 where it only jitters."""
        alike, many = strays[-_ALIKE:], strays[-_MANY:]
        if abs(strays[-1]) > _GAP_SECONDS * self.rate:
            return strays[-1]
        if len(alike) == _ALIKE and max(alike) - min(alike) <= _ALIKE_SECONDS * self.rate:
            return sorted(alike)[_ALIKE // 2]
        middle = sorted(many)[len(many) // 2]
        return middle if len(many) == _MANY and abs(middle) > _MUCH_SECONDS * self.rate else 0

    def _another_rate(self, rate: int, position: int) -> InputError:
        return InputError(
            self._path,
            f"its sound changes from {self.rate} to {rate} Hz after {position / self.rate:.2f} s",
            expected="one sample rate",
            advice=f"write its sound anew: ffmpeg -i {self._path.name} -c:v copy new.mkv",
        )

    def _silence(self, length: int) -> Iterator[NDArray[np.float32]]:
        """Zeros for a hole.  Raises InputError where it is so long that a timestamp must be wrong."""
        if length > _LONGEST_HOLE_SECONDS * self.rate:
            raise InputError(
                self._path,
                f"has a hole of {length / self.rate:.0f} s in its sound",
                expected=f"at most {_LONGEST_HOLE_SECONDS} s",
                advice=f"its timestamps are damaged: ffmpeg -i {self._path.name} -c:v copy new.mkv",
            )
        for start in range(0, length, _AT_ONCE):
            yield np.zeros(min(_AT_ONCE, length - start), np.float32)

    def _mono(self, frame: Any) -> NDArray[np.float32]:
        """One channel of a decoded chunk, or the mean over all of them: (k,) float32, full scale 1."""
        samples = frame.to_ndarray()
        channels = frame.layout.nb_channels
        if self._channel > channels:
            raise InputError(
                self._path,
                f"its sound has {channels} channel{'s' * (channels != 1)}",
                expected=f"a channel {self._channel}",
                advice=f"choose a channel from 1 to {channels}, or mean for all of them",
            )
        samples = samples if frame.format.is_planar else samples.reshape(-1, channels).T
        chosen = samples if self._channel == MEAN else samples[self._channel - 1 : self._channel]
        if np.issubdtype(samples.dtype, np.integer):
            middle = 128 if samples.dtype == np.uint8 else 0
            scale = 128 if samples.dtype == np.uint8 else -float(np.iinfo(samples.dtype).min)
            chosen = (chosen.astype(np.float32) - middle) / np.float32(scale)
            return np.asarray(chosen.mean(axis=0, dtype=np.float32))
        with np.errstate(over="ignore", invalid="ignore"):
            mono = np.asarray(chosen.mean(axis=0, dtype=np.float32))
        # A sample that is no number would spread through the resampler; a comparison with NaN is false.
        if len(mono) and not max(mono.max(), -mono.min()) <= _LOUDEST:
            wild = ~(np.abs(mono) <= _LOUDEST)
            self.wild += int(wild.sum())
            mono[wild] = np.nan_to_num(np.sign(mono[wild]))
        return mono


class _Gathered:
    """Decoded chunks put together to larger ones, as long as they are of one kind."""

    def __init__(self) -> None:
        self._fifo = av.AudioFifo()
        self._kind: tuple[str, str] | None = None

    def add(self, frame: Any) -> list[Any]:
        """Take a chunk in; what has become large enough, or is of another kind, comes out."""
        kind = (frame.format.name, frame.layout.name)
        ready = []
        if kind != self._kind:
            ready = self.take()
            self._fifo, self._kind = av.AudioFifo(), kind
        frame.pts = None  # places are counted in samples: a rounded time is no gap
        self._fifo.write(frame)
        return ready + self.take() if self._fifo.samples >= _AT_ONCE else ready

    def take(self) -> list[Any]:
        """What has not come out yet, as one chunk or none."""
        return [self._fifo.read(0, True)] if self._kind is not None and self._fifo.samples else []


@contextlib.contextmanager
def open_track(path: Path, track: str = "0", channel: int = MEAN) -> Iterator[SoundTrack | None]:
    """A sound track of a media file, by its number from 0 or its language; None where the file has no sound at all.

    `channel` is that channel, from 1, or MEAN.  Raises InputError where the file cannot be opened, where it has other
    tracks than that, and where FFmpeg does not know the track's coding.
    """
    with open_container(path) as container:
        streams = container.streams.audio
        if not streams:
            yield None
            return
        stream = _chosen(path, streams, track)
        if stream.codec_context is None:
            raise _undecodable(path)
        yield SoundTrack(path, Decoder(container, stream), channel)


def sound_only(path: Path) -> bool:
    """Whether a file holds sound and no pictures but a cover.  Raises InputError where it cannot be opened."""
    with open_container(path) as container:
        moving = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
        return bool(container.streams.audio) and not moving


def _rounded(numerator: int, denominator: int) -> int:
    """The whole number nearest to a fraction, a half upwards."""
    return (2 * numerator + denominator) // (2 * denominator)


def _chosen(path: Path, streams: Any, track: str) -> Any:
    """The track of a number or a language.  Raises InputError, which lists those that are there."""
    if track.isascii() and track.isdigit():
        if int(track) < len(streams):
            return streams[int(track)]
    else:
        for stream in streams:
            if (stream.language or "").lower() == track.lower():
                return stream
    there = ", ".join(_described(number, stream) for number, stream in enumerate(streams))
    raise InputError(
        path,
        f"has no sound track {track}",
        expected=f"one of its own: {there}",
        advice="choose one with --track, by its number or language",
    )


def _described(number: int, stream: Any) -> str:
    """A track for people: `1 (deu, aac, 2 channels, 48000 Hz)`."""
    context = stream.codec_context
    if context is None:
        return f"{number} (unknown coding)"
    language = [stream.language] if stream.language not in (None, "und") else []
    channels = f"{context.channels} channel{'s' * (context.channels != 1)}"
    return f"{number} ({', '.join([*language, context.name, channels, f'{context.sample_rate} Hz'])})"


def _undecodable(path: Path) -> InputError:
    return InputError(
        path,
        "has a sound track of which nothing can be decoded",
        advice="check that it plays, or remove the track: ffmpeg -i in.mp4 -c copy -an out.mp4",
    )
