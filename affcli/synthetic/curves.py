"""Smooth random curves: the valence and arousal of a clip, and whatever else drifts in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from affcli.schemas import EXPRESSIONS

CURVE_RATE = 100  # values per second; nothing here moves faster than a few times a second
UNDECIDED = 0.05  # nearer to 0 than this, in valence or arousal, nobody could tell the quadrant


@dataclass(frozen=True, eq=False)
class AffectCurves:
    """Valence and arousal from time 0 on, each (m,) float64 in (-1, 1), CURVE_RATE values per second."""

    valence: NDArray[np.float64]
    arousal: NDArray[np.float64]

    def valence_at(self, seconds: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Valence at any times, of the shape of `seconds`."""
        return sample(self.valence, seconds)

    def arousal_at(self, seconds: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Arousal at any times, of the shape of `seconds`."""
        return sample(self.arousal, seconds)


def random_affect(seconds: float, rng: np.random.Generator) -> AffectCurves:
    """Curves for a clip of `seconds`: they use most of the range, and arousal follows valence a little."""
    valence = np.tanh(random_walk(seconds, rng, persistence=1.3, deviation=0.75))
    arousal = np.tanh(0.25 * valence + random_walk(seconds, rng, persistence=1.0, deviation=0.65))
    return AffectCurves(valence, arousal)


def quadrant_expression(valence: NDArray[np.float64], arousal: NDArray[np.float64]) -> NDArray[np.int8]:
    """The expression that a made-up face is said to show: int8 (n,), by its place in EXPRESSIONS, -1 not annotated.

    By the quadrant of valence and arousal, (n,) each: positive and active Happiness, negative and active Anger,
    negative and passive Sadness, positive and passive Neutral; none where either is within UNDECIDED of 0, or NaN.
    """
    quadrants = (
        ("Happiness", valence > 0, arousal > 0),
        ("Anger", valence < 0, arousal > 0),
        ("Sadness", valence < 0, arousal < 0),
        ("Neutral", valence > 0, arousal < 0),
    )
    decided = (np.abs(valence) >= UNDECIDED) & (np.abs(arousal) >= UNDECIDED)
    expression = np.full(len(valence), -1, np.int8)
    for name, side, half in quadrants:
        expression[decided & side & half] = EXPRESSIONS.index(name)
    return expression


def random_walk(
    seconds: float, rng: np.random.Generator, *, persistence: float, deviation: float, rate: int = CURVE_RATE
) -> NDArray[np.float64]:
    """A smooth curve around zero, (m,) float64: white noise blurred by a Gaussian.

    `persistence` is the Gaussian's sigma in seconds, `deviation` the curve's expected standard deviation;
    there are `rate` values per second, from time 0 to just past `seconds`.
    """
    count = int(np.ceil(seconds * rate)) + 1
    sigma = persistence * rate
    margin = int(np.ceil(4 * sigma)) + 1  # the blur's reach, so that the ends are made like the middle
    blurred = gaussian_filter1d(rng.standard_normal(count + 2 * margin), sigma)[margin : margin + count]
    # Blurring divides the variance of white noise by 2 sqrt(pi) sigma.
    return np.asarray(deviation * np.sqrt(2 * np.sqrt(np.pi) * sigma) * blurred, dtype=np.float64)


def sample(
    curve: NDArray[np.float64], seconds: NDArray[np.float64] | float, rate: int = CURVE_RATE
) -> NDArray[np.float64]:
    """Values of a curve (m,) at any times, linear in between, constant outside: the shape of `seconds`."""
    return np.asarray(np.interp(np.asarray(seconds) * rate, np.arange(len(curve)), curve), dtype=np.float64)
