"""Vectors from aligned crops, without any download."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import hog

from affcli import configs, weights
from affcli.errors import SchemaError
from affcli.faces.centerface import network
from affcli.features import Setup


class Hog:
    """Histograms of oriented gradients of the grey crop (Dalal and Triggs 2005), by scikit-image."""

    def __init__(self, config: configs.Hog, _setup: Setup) -> None:
        self.config = config
        self.weights: dict[str, str] = {}

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Crops (k, s, s, 3) uint8 RGB to (k, d) float32; d is 1296 at 112 px."""
        return np.stack([self._one(crop) for crop in crops])

    def _one(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        vector = hog(
            cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY),
            orientations=self.config.orientations,
            pixels_per_cell=(self.config.cell, self.config.cell),
            cells_per_block=(self.config.block, self.config.block),
        )
        return np.asarray(vector, dtype=np.float32)


class CenterfaceTrunk:
    """The trunk of CenterFace up to an inner node of stride 16 and 64 channels, averaged over a grid."""

    _STRIDE = 16

    def __init__(self, config: configs.CenterfaceTrunk, setup: Setup) -> None:
        self.config = config
        self.weights = {"centerface": weights.WEIGHTS["centerface"].sha256}
        self._session = network(config.node, setup.device)

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Crops (k, s, s, 3) uint8 RGB, s a multiple of 16, to (k, 64 grid^2) float32.

        Raises SchemaError for crops of another size.
        """
        size = crops.shape[1]
        if size % self._STRIDE:
            raise SchemaError(
                "crops",
                f"are {size} px wide",
                expected=f"a multiple of {self._STRIDE} px",
                advice="make them again with a template of another size",
            )
        batch = crops.transpose(0, 3, 1, 2).astype(np.float32)
        (maps,) = self._session.run([self.config.node], {"input.1": batch})
        pool = _pooling(maps.shape[-1], self.config.grid)
        return np.asarray((pool @ maps @ pool.T).reshape(len(crops), -1), dtype=np.float32)


def _pooling(cells: int, grid: int) -> NDArray[np.float32]:
    """(grid, cells): each row averages the cells that its share of the side touches (adaptive average pooling)."""
    pool = np.zeros((grid, cells), np.float32)
    for i in range(grid):
        start, stop = i * cells // grid, -(-(i + 1) * cells // grid)
        pool[i, start:stop] = 1 / (stop - start)
    return pool
