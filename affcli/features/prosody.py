"""Prosody: pitch, level and voicing at each frame, and how they spread and pulse around it.

Pitch and its confidence are SwiftF0's (Nieradzik 2025, arXiv 2508.18440), through the network that its package carries.
Syllables are counted as by de Jong and Wempe 2009 (Behavior Research Methods 41): voiced peaks of the level that stand
out from what is beside them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d
from scipy.signal import find_peaks

from affcli import weights
from affcli.errors import UsageError
from affcli.faces.runtime import open_session
from affcli.features import Setup, settings
from affcli.features.contours import Contour, spans
from affcli.features.views import TimedSound

SAMPLE_RATE = 16_000  # Hz, of SwiftF0
HOP = 256  # samples from one pitch to the next; pitch i stands at sample i HOP
FMIN, FMAX = 46.875, 2093.75  # Hz, what SwiftF0 knows
COLUMNS = (
    # At the frame: means over its own period, or over `window` seconds.
    "f0",  # semitones above 27.5 Hz, of what is voiced; 0 where nothing is
    "f0_slope",  # semitones per second, of what is voiced; 0 where nothing is
    "voicing",  # SwiftF0's confidence in a pitch, 0 to 1; 0 in digital silence
    "level",  # dB of full scale, -90 or more
    "level_slope",  # dB per second
    # Around the frame: over `context` seconds.
    "f0_mean",  # semitones above 27.5 Hz, of what is voiced; 0 where nothing is
    "f0_deviation",  # standard deviation in semitones, of what is voiced
    "level_mean",  # dB of full scale
    "level_deviation",  # standard deviation in dB
    "voiced_share",  # of the time, 0 to 1
    "syllable_rate",  # syllable nuclei per second
    "pause_share",  # of the time, 0 to 1
)
_LEFT, _RIGHT = 11, 10  # hops before and after those that are asked for, which the network hears with them
_HOPS_AT_ONCE = 125  # 2 s; the network takes 7 MB for each of them, and more are no faster
_QUIET = 1e-3  # the network hears random pitches in what is quieter than this peak (its own package's number)
_LOWEST_HZ = 27.5  # of the scale of semitones; the A of the lowest octave of a piano, as in eGeMAPS
_FLOOR = 1e-9  # mean square below which levels are not told apart: half a step of 16 bits, -90 dB
_SLOPE_REACH = 3  # hops on each side of a slope: 0.1 s in all
_LOUD = 0.99  # the share of the clip that is no louder than the loud
_SYLLABLE_REACH = 251  # hops that are searched for higher peaks: 4 s
_ROWS_AT_ONCE = 8192


class Prosody:
    """Twelve numbers that tell how something is said, `COLUMNS`: (n, 12) float32.

    Raises AssetError where the package swift-f0 is missing or carries another network, UsageError for an empty range of
    pitch.
    """

    def __init__(self, config: settings.Prosody, _setup: Setup) -> None:
        if not FMIN <= config.fmin < config.fmax <= FMAX:
            raise UsageError(
                "--fmin and --fmax",
                f"are {config.fmin:g} and {config.fmax:g} Hz",
                expected=f"{FMIN} or more, then more than that, up to {FMAX}",
                advice="leave them out",
            )
        self.config = config
        network = weights.load("swift-f0")
        self.weights = {network.name: network.sha256}
        self._session = open_session(network.content)

    def __call__(self, sound: TimedSound) -> Iterator[NDArray[np.float32]]:
        """Raises SchemaError where the waveform does not have 16,000 samples per second."""
        sound.require_rate(SAMPLE_RATE)
        pitch, confidence, power = self.contours(sound)
        contour = Contour(self._series(pitch, confidence, power), HOP, len(pitch) * HOP)
        frame, around = (spans(sound, seconds) for seconds in (self.config.window, self.config.context))
        for edges in (frame, around):
            edges += HOP / 2  # value i stands for the hop whose middle, not whose start, is at sample i HOP
            # What begins in the part of a hop that ends the sound has the last hop's values.
            np.minimum(edges[:, 0], (len(pitch) - 1) * HOP, out=edges[:, 0])
        for start in range(0, len(frame), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            yield _columns(contour.means(frame[rows]), contour.means(around[rows]))

    def contours(self, sound: TimedSound) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Pitch in Hz, its confidence, and the mean square of the 32 ms around it, of every 256 samples: (m,) each."""
        length = len(sound.waveform)
        count = length // HOP
        limits = {name: np.array(getattr(self.config, name), np.float32) for name in ("fmin", "fmax")}
        pitch, confidence, power = (np.zeros(count, np.float32) for _ in range(3))
        for start in range(0, count, _HOPS_AT_ONCE):
            stop = min(start + _HOPS_AT_ONCE, count)
            left = max(0, start - _LEFT)
            heard = sound.between(left * HOP, min((stop + _RIGHT) * HOP, length))
            chosen = slice(start - left, stop - left)
            found = self._session.run(["pitch", "confidence"], {"audio": heard[None], **limits})
            hops = heard[: (stop - left) * HOP].reshape(-1, HOP)
            squares = np.einsum("ij,ij->i", hops, hops) / np.float32(HOP)
            pitch[start:stop] = found[0][0, chosen]
            confidence[start:stop] = np.where(np.abs(hops).max(axis=1) < _QUIET, 0, found[1][0, : stop - left])[chosen]
            power[start:stop] = ((squares + np.append(np.float32(0), squares[:-1])) / 2)[chosen]
        return pitch, confidence, power

    def _series(
        self, pitch: NDArray[np.float32], confidence: NDArray[np.float32], power: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """What is averaged, (m, 11) float64; the first weighs what is of voiced sound alone."""
        out = np.zeros((len(pitch), 11))
        if not len(pitch):
            return out
        voiced = confidence >= self.config.voiced
        semitones = np.where(voiced, 12 * np.log2(np.maximum(pitch, FMIN, dtype=np.float64) / _LOWEST_HZ), 0)
        level = 10 * np.log10(np.maximum(power, _FLOOR, dtype=np.float64))
        out[:, 0], out[:, 1], out[:, 2] = voiced, semitones, semitones**2
        out[:, 3], out[:, 4] = _slopes(semitones, voiced)
        out[:, 5], out[:, 6], out[:, 7] = confidence, level, level**2
        out[:, 8], _ = _slopes(level, np.ones(len(level), np.bool_))
        out[:, 9] = self._nuclei(power, voiced) * (SAMPLE_RATE / HOP)
        silent = level < np.quantile(level, _LOUD) - self.config.silence
        out[:, 10] = _lasting(silent, round(self.config.pause * SAMPLE_RATE / HOP))
        return out

    def _nuclei(self, power: NDArray[np.float32], voiced: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether the nucleus of a syllable is here, (m,)."""
        # Over a tenth of a second the pulses of the lowest voice are no peaks of their own.
        smooth = convolve1d(power.astype(np.float64), np.hanning(7)[1:-1] / 3, mode="constant")
        level = 10 * np.log10(np.maximum(smooth, _FLOOR))
        least = np.quantile(level, _LOUD) - self.config.silence
        peaks, _ = find_peaks(level, height=least, prominence=self.config.dip, wlen=_SYLLABLE_REACH)
        here = np.zeros(len(power), np.bool_)
        here[peaks] = voiced[peaks]
        return here


def _columns(frame: NDArray[np.float64], around: NDArray[np.float64]) -> NDArray[np.float32]:
    """The numbers of k frames, (k, 12), from means at the frame and around it of what `_series` lists."""

    def per(sums: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.divide(sums, weight, out=np.zeros_like(sums), where=weight > 1e-9)

    def deviation(mean: NDArray[np.float64], square: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sqrt(np.maximum(square - mean**2, 0))

    at, near = frame.T, around.T
    f0, f0_square = per(near[1], near[0]), per(near[2], near[0])
    numbers = (
        per(at[1], at[0]),
        per(at[3], at[4]),
        at[5],
        at[6],
        at[8],
        f0,
        deviation(f0, f0_square),
        near[6],
        deviation(near[6], near[7]),
        near[0],
        near[9],
        near[10],
    )
    return np.stack(numbers, axis=1).astype(np.float32)


def _slopes(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Least-squares slopes per second through those of 7 neighbours that are counted, and where there are any: (m,).

    Where fewer than three are counted, or the value itself is not, the slope is 0.
    """
    weight = counted.astype(np.float64)
    # From last to first, since a convolution runs backwards.
    offsets = np.linspace(_SLOPE_REACH, -_SLOPE_REACH, 2 * _SLOPE_REACH + 1) * (HOP / SAMPLE_RATE)
    ones = np.ones(len(offsets))

    def over(series: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(convolve1d(series, kernel, mode="constant"))

    count, first, second = over(weight, ones), over(weight, offsets), over(weight, offsets**2)
    total, product = over(weight * values, ones), over(weight * values, offsets)
    there = counted & (count > 2.5)
    above, below = count * product - first * total, count * second - first**2
    return np.divide(above, below, out=np.zeros(len(values)), where=there), there


def _lasting(silent: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Where `silent` (m,) holds for `least` neighbours or more."""
    changes = np.flatnonzero(np.diff(silent, prepend=False, append=False))
    out = np.zeros(len(silent), np.bool_)
    for start, stop in changes.reshape(-1, 2):
        out[start:stop] = stop - start >= least
    return out
