"""Acoustic features at each frame's own time.

The sums are librosa's (0.11): the same mel filters, windows, decibels and cosine transform, without the seconds that
importing it costs.  What differs is where the windows lie: at sample positions taken from the frame's timestamp, where
a fixed hop of whole samples runs early by 1.3 s in five minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.signal.windows import hann

from affcli import clock, configs
from affcli.features import Setup
from affcli.features.views import TimedSound

_FLOOR = 1e-10  # power below which decibels are not told apart; librosa's amin
_MFCC_TOP_DB = 80.0  # librosa's top_db, counted from the loudest value of the segment
_ROWS_AT_ONCE = 4096


class LogmelStack:
    """Five log-mel rows around each frame, three per frame period (M3T): (n, 200) float32, dB.

    A row is one column of librosa's mel spectrogram (n_fft 512, Hann 400, power 2, 40 Slaney mels up to 8 kHz) in
    decibels of full scale, cut off 80 dB below the loudest row of the clip.
    """

    def __init__(self, config: configs.LogmelStack, _setup: Setup) -> None:
        self.config = config
        self.weights: dict[str, str] = {}
        self.width = config.n_mels * config.stack

    def __call__(self, sound: TimedSound) -> Iterator[NDArray[np.float32]]:
        out = np.zeros((len(sound.time_us), self.width), np.float32)
        if sound.valid.any():
            centres = logmel_centres(sound, self.config.per_frame, self.config.stack)[sound.valid]
            unique, which = np.unique(centres, return_inverse=True)
            rows = self._rows(sound, unique)
            loudest = rows.max()
            np.maximum(rows, loudest - self.config.top_db, out=rows)
            out[sound.valid] = rows[which].reshape(len(centres), -1)
        yield out

    def _rows(self, sound: TimedSound, centres: NDArray[np.int64]) -> NDArray[np.float32]:
        """Log-mel rows (k, n_mels) centred on the given samples."""
        n_fft = self.config.n_fft
        window = np.zeros(n_fft, np.float32)
        margin = (n_fft - self.config.window) // 2
        window[margin : margin + self.config.window] = hann(self.config.window, sym=False)
        filters = mel_filters(sound.sample_rate, n_fft, self.config.n_mels).T
        rows = np.empty((len(centres), self.config.n_mels), np.float32)
        for start in range(0, len(centres), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            samples = sound.samples(centres[part] - n_fft // 2, n_fft)
            rows[part] = decibels(_power(samples * window) @ filters)
        return rows


def logmel_centres(sound: TimedSound, per_frame: int, stack: int) -> NDArray[np.int64]:
    """Sample at the centre of each row of each frame: (n, stack) int64.

    Row k of frame i stands at time_i + k d / per_frame, d being the frame's period.  At a constant rate this is
    computed from the exact fraction, so that neighbouring frames share their rows to the sample.
    """
    steps = np.arange(stack)
    if sound.rate is not None:
        number = per_frame * np.arange(len(sound.time_us))[:, None] + steps
        numerator, denominator = sound.rate.numerator * per_frame, sound.rate.denominator
        exact = (2 * number * sound.sample_rate * denominator + numerator) // (2 * numerator)
        offset_us = sound.start_us - int(sound.time_us[0])
        return np.asarray(exact - round(Fraction(offset_us * sound.sample_rate, clock.MICROSECONDS)))
    elapsed = (sound.time_us - sound.start_us)[:, None] * per_frame + steps * clock.periods(sound.time_us)[:, None]
    whole = clock.MICROSECONDS * per_frame
    return np.asarray((2 * elapsed * sound.sample_rate + whole) // (2 * whole))


class MfccMel:
    """MFCC and mel powers of the sound around each frame (GRU fusion): (n, 168) float32.

    The segment is centred on the middle of the frame's own period and two periods long (but no longer than `longest`),
    so that neighbours overlap by one half; it is transformed as librosa would transform it alone, and averaged over
    time.  Columns: 40 MFCC, then 128 mel powers.
    """

    def __init__(self, config: configs.MfccMel, _setup: Setup) -> None:
        self.config = config
        self.weights: dict[str, str] = {}
        self.width = config.n_mfcc + config.n_mels

    def __call__(self, sound: TimedSound) -> Iterator[NDArray[np.float32]]:
        out = np.zeros((len(sound.time_us), self.width), np.float32)
        period_us = clock.periods(sound.time_us)
        middle = clock.sample_index(sound.time_us + period_us // 2, sound.start_us, sound.sample_rate)
        segment_us = np.minimum(self.config.periods * period_us, self.config.longest * clock.MICROSECONDS)
        length = np.rint(segment_us * sound.sample_rate / clock.MICROSECONDS).astype(np.int64)
        for one in np.unique(length[sound.valid]):
            frames = np.flatnonzero(sound.valid & (length == one))
            at_once = max(1, _ROWS_AT_ONCE // (1 + int(one) // self.config.hop))
            for start in range(0, len(frames), at_once):
                part = frames[start : start + at_once]
                out[part] = self.segments(sound.samples(middle[part] - one // 2, int(one)), sound.sample_rate)
        yield out

    def segments(self, samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
        """Features (k, 168) of segments (k, length) float32."""
        n_fft, hop = self.config.n_fft, self.config.hop
        padded = np.pad(samples, ((0, 0), (n_fft // 2, n_fft // 2)))
        columns = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=1)[:, ::hop]
        window = hann(n_fft, sym=False).astype(np.float32)
        mel = _power(columns * window) @ mel_filters(sample_rate, n_fft, self.config.n_mels).T  # (k, t, n_mels)
        level = decibels(mel)
        np.maximum(level, level.max(axis=(1, 2), keepdims=True) - _MFCC_TOP_DB, out=level)
        mfcc = scipy.fft.dct(level, type=2, norm="ortho", axis=-1)[..., : self.config.n_mfcc]
        return np.concatenate([mfcc.mean(axis=1), mel.mean(axis=1)], axis=-1)


def _power(windowed: NDArray[np.float32]) -> NDArray[np.float32]:
    """Power spectrum over the last axis: (..., n_fft) to (..., n_fft // 2 + 1), float32."""
    spectrum = scipy.fft.rfft(windowed, axis=-1)
    return np.asarray(spectrum.real**2 + spectrum.imag**2, dtype=np.float32)


def decibels(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """10 log10 of power, no lower than -100 dB."""
    return np.asarray(10 * np.log10(np.maximum(power, np.float32(_FLOOR))), dtype=np.float32)


def mel_filters(sample_rate: int, n_fft: int, n_mels: int) -> NDArray[np.float32]:
    """Slaney's triangular mel filters of unit area up to half the sample rate: (n_mels, n_fft // 2 + 1) float32.

    Slaney 1998, Auditory Toolbox: linear below 1 kHz, 27 steps per factor 6.4 above; as librosa.filters.mel.
    """
    knee_hz, hz_per_mel, step = 1000.0, 200.0 / 3, np.log(6.4) / 27
    knee = knee_hz / hz_per_mel
    top = knee + np.log(sample_rate / 2 / knee_hz) / step if sample_rate / 2 > knee_hz else sample_rate / 2 / hz_per_mel
    mels = np.linspace(0, top, n_mels + 2)
    edges = np.where(mels < knee, hz_per_mel * mels, knee_hz * np.exp(step * (mels - knee)))
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles = np.clip(np.minimum(rising, falling), 0, None)
    return np.asarray(triangles * (2 / (edges[2:] - edges[:-2]))[:, None], dtype=np.float32)
