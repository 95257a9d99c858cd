"""Mel spectra: the same sums as librosa's (0.11)."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

_FLOOR = 1e-10  # power below which decibels are not told apart; librosa's amin
_BANDS_TOGETHER = 16  # neighbouring filters hear few frequencies: zeros outside of those are not multiplied


class MelBank:
    """Mel powers of windowed sound."""

    def __init__(self, sample_rate: int, n_fft: int, n_mels: int) -> None:
        filters = mel_filters(sample_rate, n_fft, n_mels)
        self._n_mels = n_mels
        self._parts = []
        for start in range(0, n_mels, _BANDS_TOGETHER):
            bands = slice(start, min(start + _BANDS_TOGETHER, n_mels))
            heard = np.flatnonzero(filters[bands].any(axis=0))
            bins = slice(int(heard[0]), int(heard[-1]) + 1) if len(heard) else slice(0, 0)
            self._parts.append((bins, bands, np.ascontiguousarray(filters[bands, bins].T)))

    def __call__(self, windowed: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sound under its windows, (..., n_fft), to powers (..., n_mels) float32."""
        spectrum = scipy.fft.rfft(windowed.reshape(-1, windowed.shape[-1]), axis=-1)
        power = np.square(spectrum.real)
        power += np.square(spectrum.imag)
        mel = np.empty((len(power), self._n_mels), np.float32)
        for bins, bands, filters in self._parts:
            np.matmul(power[:, bins], filters, out=mel[:, bands])
        return mel.reshape(*windowed.shape[:-1], self._n_mels)


def hann(length: int) -> NDArray[np.float32]:
    """One period of the raised cosine, (length,) float32, as scipy.signal has it (whose import takes 0.4 s)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


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
