"""Contours, values at a steady pace through a waveform, and what they are on average around each frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affcli import clock
from affcli.features.views import TimedSound


def middles(sound: TimedSound) -> NDArray[np.int64]:
    """The sample in the middle of each frame's own period: (n,) int64; there may be no sound at it."""
    return clock.sample_index(sound.time_us + clock.periods(sound.time_us) // 2, sound.start_us, sound.sample_rate)


def spans(sound: TimedSound, seconds: float = 0.0) -> NDArray[np.float64]:
    """From which sample to which each frame is heard: (n, 2) float64.

    That many seconds around the middle of the frame's own period; with 0, the period itself.
    """
    periods = clock.periods(sound.time_us)
    half = np.full(len(periods), seconds * clock.MICROSECONDS) / 2 if seconds else periods / 2
    middle = sound.time_us - sound.start_us + periods / 2
    return np.asarray(np.stack([middle - half, middle + half], axis=1) * (sound.sample_rate / clock.MICROSECONDS))


class Contour:
    """A value for every `hop` samples: value i for the samples from i hop to (i + 1) hop."""

    def __init__(self, values: NDArray[np.floating], hop: int, samples: int) -> None:
        """Values (m,) or (m, d); the last may reach past the end of the waveform, where there is nothing to average."""
        self.values = values
        self.hop = hop
        self._after = min(len(values) * hop, samples)
        self._sums = np.zeros((len(values) + 1, *values.shape[1:]))  # of all samples before value i
        np.cumsum(values, axis=0, dtype=np.float64, out=self._sums[1:])
        self._sums *= hop

    def at(self, sample: NDArray[np.int64]) -> NDArray[np.float32]:
        """The values at the given samples, (n,) or (n, d) float32; zeros where there is no sound."""
        out = np.zeros((len(sample), *self.values.shape[1:]), np.float32)
        inside = (sample >= 0) & (sample < self._after)
        out[inside] = self.values[sample[inside] // self.hop]
        return out

    def means(self, edges: NDArray[np.float64]) -> NDArray[np.float64]:
        """Means between pairs of samples (n, 2), as far as there is sound: (n,) or (n, d) float64; else zeros."""
        inside = np.clip(edges, 0, self._after)
        sums = self._sums_until(inside[:, 1]) - self._sums_until(inside[:, 0])
        lengths = np.diff(inside, axis=1).reshape(-1, *[1] * (self.values.ndim - 1))
        return np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 0)

    def _sums_until(self, sample: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over all samples before the given ones, (n,) or (n, d) float64."""
        if not len(self.values):
            return self._sums[np.zeros(len(sample), np.intp)]
        block = np.minimum(sample // self.hop, len(self.values) - 1).astype(np.intp)
        rest = (sample - block * self.hop).reshape(-1, *[1] * (self.values.ndim - 1))
        return np.asarray(self._sums[block] + rest * self.values[block])
