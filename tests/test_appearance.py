"""Gradients of the crop against scikit-image, and crops that are too small."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.feature import hog

from affcli.errors import SchemaError
from affcli.features import Setup, settings
from affcli.features.appearance import Hog


def theirs(crop: NDArray[np.uint8], config: settings.Hog) -> NDArray[np.float64]:
    vector: NDArray[np.float64] = hog(
        cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY),
        orientations=config.orientations,
        pixels_per_cell=(config.cell, config.cell),
        cells_per_block=(config.block, config.block),
    )
    return vector


# Directions of 45 degrees, which differences of whole numbers hit exactly, are the ends of a bin for 4, 8 and 12.
@pytest.mark.parametrize("orientations", [4, 8, 9, 12])
@pytest.mark.parametrize(("cell", "block"), [(16, 2), (8, 3), (5, 1)])
def test_hog_is_that_of_scikit_image(real_crops: NDArray[np.uint8], orientations: int, cell: int, block: int) -> None:
    config = settings.Hog(orientations=orientations, cell=cell, block=block)
    few_values = np.random.default_rng(0).integers(0, 4, (2, 100, 100, 3), np.uint8) * np.uint8(60)
    for crops in (real_crops[:3], few_values, np.zeros((1, 64, 64, 3), np.uint8)):
        vectors = Hog(config, Setup())(crops)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, [theirs(crop, config) for crop in crops], rtol=0, atol=1e-6)


def test_hog_of_a_crop_smaller_than_a_block_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"crops: are 31 px wide, expected at least 32 px, a block of 2 cells; make"):
        Hog(settings.Hog(), Setup())(np.zeros((1, 31, 31, 3), np.uint8))
    assert Hog(settings.Hog(), Setup())(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 36)
