"""Mel spectra: the same sums as librosa's (0.11)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

cv2.setNumThreads(1)  # the cores are for other clips
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
        power = powers(windowed.reshape(-1, windowed.shape[-1]))
        mel = np.empty((len(power), self._n_mels), np.float32)
        for bins, bands, filters in self._parts:
            np.matmul(power[:, bins], filters, out=mel[:, bands])
        return mel.reshape(*windowed.shape[:-1], self._n_mels)


def powers(windowed: NDArray[np.float32]) -> NDArray[np.float32]:
    """Power spectra of windowed sound, (k, n_fft) to (k, n_fft // 2 + 1) float32.

    OpenCV's transform takes a third of the time of SciPy's, and a fifth of the time to import.
    """
    n_fft = windowed.shape[1]
    # In a row: the real part at 0, then real and imaginary parts in turn; the last, at half the rate, has no imaginary.
    packed = cv2.dft(windowed, flags=cv2.DFT_ROWS)
    np.square(packed, out=packed)
    power = np.empty((len(packed), n_fft // 2 + 1), np.float32)
    power[:, 0] = packed[:, 0]
    pairs = (n_fft - 1) // 2
    np.add(packed[:, 1 : 2 * pairs : 2], packed[:, 2 : 2 * pairs + 1 : 2], out=power[:, 1 : pairs + 1])
    if n_fft % 2 == 0:
        power[:, -1] = packed[:, -1]
    return power


def hann(length: int) -> NDArray[np.float32]:
    """One period of the raised cosine, (length,) float32, as scipy.signal has it (whose import takes 0.4 s)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


def cosines(n_mels: int, n_mfcc: int) -> NDArray[np.float32]:
    """The orthonormal cosine transform (DCT-II) from mel bands to cepstral coefficients: (n_mels, n_mfcc) float32."""
    angles = np.pi * (np.arange(n_mels)[:, None] + 0.5) * np.arange(n_mfcc) / n_mels
    scale = np.where(np.arange(n_mfcc) == 0, np.sqrt(1 / n_mels), np.sqrt(2 / n_mels))
    return (np.cos(angles) * scale).astype(np.float32)


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
