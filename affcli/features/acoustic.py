"""Acoustic features at each frame's own time.

The sums are librosa's (0.11): the same mel filters, windows, decibels and cosine transform, without the seconds that
importing it costs.  What differs is where the windows lie: at sample positions taken from the frame's timestamp, where
a fixed hop of whole samples runs early by 1.3 s in five minutes.

Memory is bounded whatever the length of the waveform: neighbouring frames are computed together, some at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import UsageError
from affcli.features import Setup, settings
from affcli.features.contours import middles
from affcli.features.mel import MelBank, cosines, decibels, hann
from affcli.features.views import TimedSound

_MFCC_TOP_DB = 80.0  # librosa's top_db, counted from the loudest value of the segment
_FRAMES_AT_ONCE = 1024
_SAMPLES_AT_ONCE = 1 << 20  # 4 MB; frames that lie further apart than this are not read together
# Of windows of sound: 512 kB. More leaves the cache of a core, and its memory goes back to the system every time.
_VALUES_AT_ONCE = 1 << 17
_BYTES_KEPT = 160_000_000  # of log-mel rows, while the loudest is looked for: of three hours at 30 frames/s


class LogmelStack:
    """Five log-mel rows around each frame, three per frame period (M3T): (n, 200) float32, dB.

    A row is one column of librosa's mel spectrogram (n_fft 512, Hann 400, power 2, 40 Slaney mels up to half the sample
    rate) in decibels of full scale, cut off 80 dB below the loudest row of the clip.
    """

    def __init__(self, config: settings.LogmelStack, _setup: Setup) -> None:
        """Raises UsageError where the window is longer than the transform."""
        if config.window > config.n_fft:
            raise _too_many("window", config.window, "n-fft", config.n_fft)
        self.config = config
        self.weights: dict[str, str] = {}
        self.width = config.n_mels * config.stack

    def __call__(self, sound: TimedSound) -> Iterator[NDArray[np.float32]]:
        place = official_centres if self.config.clock == "official" else logmel_centres
        centres = place(sound, self.config.per_frame, self.config.stack)
        rows = _Rows(self.config, sound)
        batches = list(together(centres[:, 0]))
        # What is loudest is known once everything was heard.  Rows that memory has no room for are computed again.
        kept: list[tuple[NDArray[np.float32], NDArray[np.intp]]] = []
        held, loudest = 0, -np.inf
        for number, frames in enumerate(batches):
            found = rows(centres[frames], sound.valid[frames])
            loudest = max(loudest, found[0].max(initial=-np.inf))
            held += found[0].nbytes
            if len(kept) == number and held <= _BYTES_KEPT:
                kept.append(found)
        for number, frames in enumerate(batches):
            levels, which = kept[number] if number < len(kept) else rows(centres[frames], sound.valid[frames])
            out = np.zeros((len(centres[frames]), self.width), np.float32)
            np.maximum(levels, loudest - self.config.top_db, out=levels)
            out[sound.valid[frames]] = levels[which].reshape(-1, self.width)
            yield out


class _Rows:
    """Log-mel rows of one waveform."""

    def __init__(self, config: settings.LogmelStack, sound: TimedSound) -> None:
        self.config = config
        self.sound = sound
        self._window = hann(config.window)
        self._mels = MelBank(sound.sample_rate, config.n_fft, config.n_mels)

    def __call__(
        self, centres: NDArray[np.int64], valid: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Rows (m, n_mels), each once, and which of them each valid frame has, (k, stack)."""
        unique, which = np.unique(centres[valid], return_inverse=True)
        n_fft, width = self.config.n_fft, self.config.window
        margin = (n_fft - width) // 2
        first = unique - n_fft // 2 + margin
        rows = np.empty((len(unique), self.config.n_mels), np.float32)
        at_once = max(1, _VALUES_AT_ONCE // n_fft)
        windowed = np.zeros((min(at_once, len(rows)), n_fft), np.float32)
        for near in together(first, at_once):
            samples = self.sound.samples(first[near], width)
            part = windowed[: len(samples)]
            np.multiply(samples, self._window, out=part[:, margin : margin + width])
            rows[near] = decibels(self._mels(part))
        return rows, which.reshape(-1, centres.shape[1])


def together(first: NDArray[np.int64], most: int | None = None) -> Iterator[slice]:
    """Neighbours to be computed at once, by their first samples, (n,) int64 in rising order; 1024 where not said."""
    start = 0
    while start < len(first):
        near = int(np.searchsorted(first, first[start] + _SAMPLES_AT_ONCE, side="right"))
        stop = min(start + (most or _FRAMES_AT_ONCE), max(start + 1, near), len(first))
        yield slice(start, stop)
        start = stop


def logmel_centres(sound: TimedSound, per_frame: int, stack: int) -> NDArray[np.int64]:
    """Sample at the centre of each row of each frame: (n, stack) int64.

    Row k of frame i stands at time_i + k d / per_frame, d being the frame's period.  At a constant rate this is
    computed from the exact fraction, so that neighbouring frames share their rows to the sample.
    """
    steps = np.arange(stack)
    if sound.rate is not None:
        number = per_frame * np.arange(len(sound.time_us))[:, None] + steps
        numerator, step = sound.rate.numerator * per_frame, 2 * sound.sample_rate * sound.rate.denominator
        fits = (int(number.max(initial=0)) + 1) * step + numerator < 2**63
        exact = (number.astype(np.int64 if fits else object, copy=False) * step + numerator) // (2 * numerator)
        offset_us = sound.start_us - int(sound.time_us[0])
        offset = round(Fraction(offset_us * sound.sample_rate, clock.MICROSECONDS))
        return np.asarray(exact - offset, dtype=np.int64)
    elapsed = (sound.time_us - sound.start_us)[:, None] * per_frame + steps * clock.periods(sound.time_us)[:, None]
    whole = clock.MICROSECONDS * per_frame
    return np.asarray((2 * elapsed * sound.sample_rate + whole) // (2 * whole))


def official_centres(sound: TimedSound, per_frame: int, stack: int) -> NDArray[np.int64]:
    """Sample at the centre of each row of each frame on the clock of M3T's release: (n, stack) int64.

    Row k of frame i stands int(sample_rate / (per_frame rate)) * (per_frame i + k) samples after the first of the
    waveform, whenever that is.  The rate is the clip's own; where that varies, frames by the time they take.
    """
    rate = sound.rate
    if rate is None:
        span_us = int(sound.time_us[-1] - sound.time_us[0])
        rate = Fraction((len(sound.time_us) - 1) * clock.MICROSECONDS, span_us) if span_us else Fraction(25)
    hop = int(sound.sample_rate / (per_frame * rate))
    return np.asarray(hop * (per_frame * np.arange(len(sound.time_us))[:, None] + np.arange(stack)))


class MfccMel:
    """MFCC and mel powers of the sound around each frame (GRU fusion): (n, 168) float32.

    Each frame has a segment of the sound, which is transformed as librosa would transform it alone, and averaged over
    time; a window that is longer than the segment is filled with zeros.  Columns: 40 MFCC, then 128 mel powers.
    """

    def __init__(self, config: settings.MfccMel, _setup: Setup) -> None:
        """Raises UsageError where there are more coefficients than bands."""
        if config.n_mfcc > config.n_mels:
            raise _too_many("n-mfcc", config.n_mfcc, "n-mels", config.n_mels)
        self.config = config
        self.weights: dict[str, str] = {}
        self._window = hann(config.n_fft)

    def __call__(self, sound: TimedSound) -> Iterator[NDArray[np.float32]]:
        if not len(sound.time_us):
            return
        place = paper_segments if self.config.segments == "paper" else frame_segments
        first, length = place(sound, self.config)
        mels = MelBank(sound.sample_rate, self.config.n_fft, self.config.n_mels)
        windows = 1 + length // self.config.hop
        for frames in together(first):
            out = np.zeros((len(first[frames]), self.config.n_mfcc + self.config.n_mels), np.float32)
            for count in np.unique(windows[frames][sound.valid[frames]]):
                alike = np.flatnonzero(sound.valid[frames] & (windows[frames] == count))
                at_once = max(1, _VALUES_AT_ONCE // (int(count) * self.config.n_fft))
                for start in range(0, len(alike), at_once):
                    rows = alike[start : start + at_once]
                    chosen = rows + frames.start
                    samples = sound.samples(first[chosen], int(length[chosen].max()))
                    out[rows] = self.segments(samples, length[chosen], mels)
            yield out

    def segments(self, samples: NDArray[np.float32], length: NDArray[np.int64], mels: MelBank) -> NDArray[np.float32]:
        """Features (k, d) of segments (k, longest) float32, of which the first length[k] samples count.

        Of all lengths the same number of windows must fit into them.
        """
        n_fft, hop, longest = self.config.n_fft, self.config.hop, samples.shape[1]
        if length.min() < longest:
            samples[np.arange(longest) >= length[:, None]] = 0
        windowed = np.zeros((len(samples), 1 + longest // hop, n_fft), np.float32)
        for number in range(windowed.shape[1]):
            start = number * hop - n_fft // 2  # of the window, in the segment: half of the first lies before it
            heard = slice(max(start, 0), min(start + n_fft, longest))
            seen = slice(heard.start - start, heard.stop - start)
            np.multiply(samples[:, heard], self._window[seen], out=windowed[:, number, seen])
        mel = mels(windowed)
        level = decibels(mel)
        np.maximum(level, level.max(axis=(1, 2), keepdims=True) - _MFCC_TOP_DB, out=level)
        # The transform of the mean is the mean of the transforms.
        # Not as a product of matrices, whose sums depend on how many rows there are.
        mfcc = np.einsum("km,mc->kc", level.mean(axis=1), cosines(self.config.n_mels, self.config.n_mfcc))
        return np.concatenate([mfcc, mel.mean(axis=1)], axis=-1)


def frame_segments(sound: TimedSound, config: settings.MfccMel) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First sample and length of each frame's segment, (n,) int64 each.

    It is centred on the middle of the frame's own period and two periods long, so that neighbours overlap by one half;
    but no longer than `longest`, where a frame stands for long.
    """
    segment_us = np.minimum(config.periods * clock.periods(sound.time_us), config.longest * clock.MICROSECONDS)
    length = np.rint(segment_us * sound.sample_rate / clock.MICROSECONDS).astype(np.int64)
    return middles(sound) - length // 2, length


def paper_segments(sound: TimedSound, config: settings.MfccMel) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First sample and length of each of n segments that overlap by one half and fill the waveform, (n,) int64 each.

    With h = samples / (n + 1), segment i is from round(i h) to round((i + 2) h): the literal reading of the paper,
    which knows no time.  Of a segment longer than `longest` its middle is taken.
    """
    parts = len(sound.time_us) + 1
    edges = (2 * np.arange(parts + 1) * len(sound.waveform) + parts) // (2 * parts)
    length = np.minimum(edges[2:] - edges[:-2], round(config.longest * sound.sample_rate))
    return (edges[:-2] + edges[2:] - length) // 2, length


def _too_many(name: str, value: int, other: str, limit: int) -> UsageError:
    return UsageError(
        f"--{name} {value}",
        f"is more than --{other} {limit}",
        expected=f"at most {limit}",
        advice=f"choose it smaller, or --{other} larger",
    )
