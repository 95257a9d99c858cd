"""Pseudo-persons: one photograph and one voice model made to look and sound like several people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.synthetic.face import Face, Portrait
from affcli.synthetic.landmarks import SHAPES


@dataclass(frozen=True)
class Subject:
    """What makes one pseudo-person differ from another.

    `shape`: weights of the movements in SHAPES. `mirrored`: left and right exchanged. `gamma`, `gains`: the
    colours (RGB). `expressivity` multiplies every expression. `resting_smile`, `resting_brow`: what the
    face shows at rest. `pitch`: of the voice at rest, Hz.
    """

    shape: Mapping[str, float]
    mirrored: bool
    gamma: float
    gains: tuple[float, float, float]
    expressivity: float
    resting_smile: float
    resting_brow: float
    pitch: float

    def portrait(self, face: Face) -> Portrait:
        """The face with this person's shape and colours."""
        levels = (np.arange(256) / 255)[:, np.newaxis] ** self.gamma * self.gains
        tone = np.round(255 * np.clip(levels, 0, 1)).astype(np.uint8)
        return face.portrait(self.shape, tone[np.newaxis])

    def express(
        self,
        valence: NDArray[np.float64],
        arousal: NDArray[np.float64],
        talking: NDArray[np.float64],
        blinks: NDArray[np.float64],
    ) -> dict[str, NDArray[np.float64]]:
        """Weights of the facial movements, each (n,) float64; affect in [-1, 1], speech and blinks in [0, 1].

        Valence shows in mouth and knit brows; arousal in raised brows, wide eyes and how far speech drops
        the jaw.
        """
        pleasure, displeasure = np.maximum(0, valence), np.maximum(0, -valence)
        excitement, sleepiness = np.maximum(0, arousal), np.maximum(0, -arousal)
        return {
            "smile": self.expressivity * pleasure + self.resting_smile,
            "frown": self.expressivity * displeasure,
            "brow_knit": 0.9 * self.expressivity * displeasure,
            "brow_raise": self.expressivity * excitement + self.resting_brow,
            "eye_widen": self.expressivity * excitement,
            "lid_close": np.clip(0.35 * self.expressivity * sleepiness + blinks, 0, 1),
            "jaw_drop": np.clip(talking * (0.45 + 0.35 * arousal), 0, 1),
        }


def pseudo_person(number: int) -> Subject:
    """Pseudo-person `number`: always the same one. Number 0 keeps the shape of the photograph."""
    rng = np.random.default_rng([1000, number])

    def about_zero(deviation: float) -> float:
        return float(np.clip(rng.normal(0, deviation), -2 * deviation, 2 * deviation))

    shape = {name: about_zero(0.5) for name in SHAPES}
    mirrored = bool(rng.integers(2))
    return Subject(
        shape=shape if number else {},
        mirrored=mirrored and number > 0,
        gamma=float(np.exp(about_zero(0.18))),
        gains=(
            float(np.exp(about_zero(0.10))),
            float(np.exp(about_zero(0.05))),
            float(np.exp(about_zero(0.10))),
        ),
        expressivity=float(np.exp(about_zero(0.15))),
        resting_smile=about_zero(0.12),
        resting_brow=about_zero(0.15),
        pitch=float(120 * 2 ** rng.uniform(-0.3, 0.9)),
    )
