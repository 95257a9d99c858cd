"""Gradients of the crop against scikit-image, and crops that are too small."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.feature import hog

from affcli.errors import SchemaError, UsageError
from affcli.faces.runtime import reason
from affcli.features import Setup, settings
from affcli.features.appearance import CenterfaceTrunk, Hog


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


@pytest.mark.parametrize(("node", "side", "found"), [("537", 112, "fails on crops of 112 px"), ("537", 128, None)])
def test_a_node_that_crops_of_a_size_do_not_reach_is_refused(node: str, side: int, found: str | None) -> None:
    encoder = CenterfaceTrunk(settings.CenterfaceTrunk(node=node), Setup())
    crops = np.zeros((1, side, side, 3), np.uint8)
    if found is None:
        assert encoder(crops).shape == (1, 16)
        return
    with pytest.raises(UsageError, match=rf"--node {node}: {found} .*; choose .* or make crops of a multiple of 32 px"):
        encoder(crops)


def test_a_full_memory_is_told_to_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def run(self, _outputs: object, _given: object) -> None:
            raise Exception("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for buffer")

    encoder = CenterfaceTrunk(settings.CenterfaceTrunk(), Setup())
    monkeypatch.setattr(encoder, "_session", Full())
    with pytest.raises(MemoryError, match="Failed to allocate memory"):
        encoder(np.zeros((2, 112, 112, 3), np.uint8))


@pytest.mark.parametrize(
    ("text", "said"),
    [("[E] : 1 : FAIL : no node.\nmore", "no node"), ("[E] : 1 : FAIL : ", "Exception"), ("", "Exception")],
)
def test_what_onnx_runtime_says_is_one_line(text: str, said: str) -> None:
    assert reason(Exception(text)) == said
