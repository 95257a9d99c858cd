"""A voice without words: pitch, level, brightness and pace follow arousal; timbre, a little, valence.

The classical source-filter model: pulses of the vocal folds (and some breath) pass the resonances of the
vocal tract, the formants, which differ from vowel to vowel. A speech plan says when which vowel sounds; the
same plan moves the jaw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from affcli.synthetic.curves import AffectCurves, random_walk, sample

SAMPLE_RATE = 44_100  # samples per second of every synthetic voice
CONTOUR_RATE = 200  # values per second of loudness, pitch and formant contours
TRANSITION = 4  # sigma, in contour values (20 ms), of the glide from one vowel to the next
TRANSFORM = 1024  # samples in one short-time spectrum (23 ms): short against a syllable, long against a pulse
HOP = TRANSFORM // 4
SPECTRA_AT_ONCE = 256  # bounds the memory of filtering, whatever the length of the clip

# Four formants in Hz of the vowels in hot, heed, who'd, head, hawed and had: the first three are the means of
# men in Peterson and Barney 1952, the fourth is a common value.
VOWELS = (
    (730.0, 1090.0, 2440.0, 3400.0),
    (270.0, 2290.0, 3010.0, 3600.0),
    (300.0, 870.0, 2240.0, 3300.0),
    (530.0, 1840.0, 2480.0, 3500.0),
    (570.0, 840.0, 2410.0, 3300.0),
    (660.0, 1720.0, 2410.0, 3400.0),
)
NEUTRAL_VOWEL = (500.0, 1500.0, 2500.0, 3500.0)
BANDWIDTHS = (80.0, 100.0, 140.0, 200.0)


@dataclass(frozen=True)
class Syllable:
    """One vowel from `start` to `end` (seconds), with its formants in Hz and its level in [0, 1]."""

    start: float
    end: float
    formants: tuple[float, ...]
    level: float


def plan_speech(seconds: float, affect: AffectCurves, rng: np.random.Generator) -> list[Syllable]:
    """Phrases of one to three seconds; the more aroused, the quicker and the shorter the pauses."""
    syllables = []
    now = 0.15
    while now < seconds - 0.3:
        phrase_end = min(seconds - 0.1, now + rng.uniform(1.0, 2.6))
        while now < phrase_end:
            length = (0.21 - 0.07 * float(affect.arousal_at(now))) * rng.uniform(0.7, 1.35)
            vowel = VOWELS[rng.integers(len(VOWELS))]
            syllables.append(Syllable(now, now + length, vowel, rng.uniform(0.6, 1.0)))
            now += length * rng.uniform(1.0, 1.15)
        now += rng.uniform(0.25, 0.9) * (1 - 0.4 * float(affect.arousal_at(now)))
    return syllables


def mouth_opening(seconds: float, syllables: Sequence[Syllable]) -> NDArray[np.float64]:
    """How far speech opens the mouth, 0 to 1: (m,) float64, CONTOUR_RATE values per second."""
    count = int(np.ceil(seconds * CONTOUR_RATE)) + 1
    loudness = _loudness(syllables, count, CONTOUR_RATE)
    return np.asarray(gaussian_filter1d(loudness, TRANSITION), dtype=np.float64)


def speak(
    seconds: float,
    syllables: Sequence[Syllable],
    affect: AffectCurves,
    pitch: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """A speech plan as sound, (samples,) float32 in (-1, 1) at SAMPLE_RATE; `pitch` at rest in Hz."""
    count = round(seconds * SAMPLE_RATE)
    times = np.arange(count) / SAMPLE_RATE
    arousal = affect.arousal_at(times)
    source = _excitation(syllables, _pitch_contour(seconds, affect, pitch, rng), arousal, rng)
    sound = _resonate(source, _formant_contours(seconds, syllables, affect), arousal)
    sound /= np.sqrt(np.mean(sound**2)) + 1e-9
    sound *= 10 ** ((-27 + 8 * arousal) / 20)  # from -35 dB at arousal -1 to -19 dB at +1
    sound += 10 ** (-62 / 20) * rng.standard_normal(count)  # a quiet room: no pause is digital silence
    return np.clip(sound, -0.99, 0.99).astype(np.float32)


def _loudness(syllables: Sequence[Syllable], count: int, rate: int) -> NDArray[np.float64]:
    """Swelling and fading of the syllables, (count,) float64 in [0, 1] at `rate` values per second."""
    loudness = np.zeros(count)
    for syllable in syllables:
        span = loudness[int(syllable.start * rate) : int(syllable.end * rate)]
        progress = np.arange(len(span)) / max(1, len(span))
        np.maximum(span, syllable.level * np.sin(np.pi * progress) ** 0.6, out=span)
    return loudness


def _onset_bursts(syllables: Sequence[Syllable], count: int) -> NDArray[np.float64]:
    """Bursts of 40 ms where syllables begin, for consonants: (count,) float64 in [0, 0.5] at SAMPLE_RATE."""
    bursts = np.zeros(count)
    for syllable in syllables:
        span = bursts[int(syllable.start * SAMPLE_RATE) :][: int(0.04 * SAMPLE_RATE)]
        span[:] = 0.5 * syllable.level * np.hanning(len(span))
    return bursts


def _pitch_contour(seconds: float, affect: AffectCurves, pitch: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Pitch in Hz, (m,) float64 at CONTOUR_RATE: half an octave up at arousal 1, with some intonation."""
    intonation = random_walk(seconds, rng, persistence=0.15, deviation=0.10, rate=CONTOUR_RATE)
    jitter = 0.01 * rng.standard_normal(len(intonation))
    times = np.arange(len(intonation)) / CONTOUR_RATE
    octaves = 0.45 * affect.arousal_at(times) + 0.12 * affect.valence_at(times) + intonation + jitter
    return np.asarray(pitch * 2**octaves, dtype=np.float64)


def _formant_contours(seconds: float, syllables: Sequence[Syllable], affect: AffectCurves) -> NDArray[np.float64]:
    """The four formants in Hz, (m, 4) float64 at CONTOUR_RATE."""
    count = int(np.ceil(seconds * CONTOUR_RATE)) + 1
    formants = np.tile(NEUTRAL_VOWEL, (count, 1))
    for syllable in syllables:
        formants[int(syllable.start * CONTOUR_RATE) : int(syllable.end * CONTOUR_RATE)] = syllable.formants
    smooth = gaussian_filter1d(formants, TRANSITION, axis=0)
    # Spread lips shorten the vocal tract: a smile can be heard.
    smile = 1 + 0.04 * affect.valence_at(np.arange(count) / CONTOUR_RATE)
    return np.asarray(smooth * smile[:, np.newaxis], dtype=np.float64)


def _excitation(
    syllables: Sequence[Syllable],
    pitch: NDArray[np.float64],
    arousal: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """What the vocal folds send into the tract: (samples,) float64, as long as `arousal`, at SAMPLE_RATE."""
    count = len(arousal)
    pitch = sample(pitch, np.arange(count) / SAMPLE_RATE, CONTOUR_RATE)
    phase = np.cumsum(pitch) / SAMPLE_RATE % 1
    open_part = 0.62 - 0.12 * arousal  # of each cycle; tense folds close sooner, which sounds brighter
    flow = np.sin(np.pi * np.minimum(phase / open_part, 1) ** 1.6)
    voiced = np.diff(flow, prepend=0) + 0.02 * rng.standard_normal(count)
    hiss = np.diff(rng.standard_normal(count), prepend=0)
    return np.asarray(voiced * _loudness(syllables, count, SAMPLE_RATE) + 0.05 * hiss * _onset_bursts(syllables, count))


def _resonate(
    source: NDArray[np.float64], formants: NDArray[np.float64], arousal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The source (samples,) through the vocal tract: its short-time spectra shaped, and overlapped again."""
    count = len(source)
    spectra = count // HOP + 1
    window = np.hanning(TRANSFORM + 1)[:-1]
    padded = np.pad(source, (TRANSFORM // 2, TRANSFORM))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, TRANSFORM)[::HOP][:spectra]
    shaped = np.zeros((spectra + 3, HOP))  # row k: samples k * HOP and on, with half a transform of lead-in
    for first in range(0, spectra, SPECTRA_AT_ONCE):
        block = slice(first, min(first + SPECTRA_AT_ONCE, spectra))
        middles = np.arange(block.start, block.stop) * HOP
        tract = _tract_gain(
            formants[np.minimum(middles * CONTOUR_RATE // SAMPLE_RATE, len(formants) - 1)],
            arousal[np.minimum(middles, count - 1)],
        )
        filtered = np.fft.irfft(np.fft.rfft(pieces[block] * window) * tract, TRANSFORM) * window
        quarters = filtered.reshape(len(middles), 4, HOP)
        for quarter in range(4):
            shaped[block.start + quarter : block.stop + quarter] += quarters[:, quarter]
    return shaped.ravel()[TRANSFORM // 2 :][:count]


def _tract_gain(formants: NDArray[np.float64], arousal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain of the tract at each frequency of a spectrum, (k, TRANSFORM / 2 + 1), for (k, 4) formants."""
    frequencies = np.fft.rfftfreq(TRANSFORM, 1 / SAMPLE_RATE)
    # Above 900 Hz the voice falls off: by 7 dB an octave at arousal -1, by 1 dB at +1.
    gain = (1 + (frequencies / 900) ** 2) ** (-0.35 + 0.25 * arousal[:, np.newaxis])
    for column, bandwidth in enumerate(BANDWIDTHS):
        squared = formants[:, column, np.newaxis] ** 2 + bandwidth**2
        gain *= squared / np.sqrt((squared - frequencies**2) ** 2 + (2 * bandwidth * frequencies) ** 2)
    return gain
