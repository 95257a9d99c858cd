"""The mean colour of a face, over a grid of the crop: an encoder that another package brings to affcli."""

from dataclasses import dataclass

import numpy as np

from affcli.configs import setting
from affcli.features import EncoderEntry, Setup


@dataclass(frozen=True)
class Config:
    """Settings: each is an option, `affcli embed ... --encoder mean-colour --set grid=2`."""

    grid: int = setting(1, "cells along each side of the crop", least=1)


class MeanColour:
    """Mean red, green and blue of each cell, 0 to 1."""

    def __init__(self, config: Config, _setup: Setup) -> None:
        self.config = config
        self.weights: dict[str, str] = {}  # name of each file of weights to its SHA-256; here there are none

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        """Crops (k, s, s, 3) uint8 RGB to (k, 3 grid^2) float32."""
        rows = np.array_split(crops, self.config.grid, axis=1)
        cells = [cell for row in rows for cell in np.array_split(row, self.config.grid, axis=2)]
        return np.concatenate([cell.mean(axis=(1, 2), dtype=np.float32) / 255 for cell in cells], axis=1)


ENTRY = EncoderEntry(
    load="affcli_mean_colour:MeanColour",
    doc="mean colour of the cells of the aligned crop",
    source="this example",
    licence="Apache-2.0",
    width=3,
    config=Config,
)
