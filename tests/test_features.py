"""Encoders: the contract that all keep."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import SchemaError
from affcli.features import ENCODERS, Setup, settings
from affcli.features.appearance import CenterfaceTrunk
from affcli.features.encode import encode_clip, encode_crops
from affcli.features.views import TimedCrops, TimedLandmarks, TimedSound
from affcli.weights import WEIGHTS


def noise(seconds: float) -> NDArray[np.int16]:
    n = round(seconds * 16_000)
    swell = np.abs(np.sin(np.arange(n) / 9000))
    return (np.random.default_rng(0).standard_normal(n) * 3000 * swell).astype(np.int16)


def faces(n: int) -> NDArray[np.float32]:
    """Landmarks (n, 5, 2) of a face that turns and moves."""
    rest = np.array([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]])
    turn = np.sin(np.arange(n) / 5)[:, None, None]
    return (rest + turn * [[3, 1], [2, 1], [6, 1], [3, 1], [2, 1]] + np.arange(n)[:, None, None]).astype(np.float32)


def encoded(name: str, valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The vectors that the encoder gives for as many frames as `valid`."""
    entry, n = ENCODERS[name], len(valid)
    encoder: Any = entry.resolve()(entry.config(), Setup())
    times = clock.frame_times(n, Fraction(25))
    crops = TimedCrops(np.random.default_rng(0).integers(0, 255, (n, 112, 112, 3), dtype=np.uint8), times, valid)
    points = np.where(valid[:, None, None], faces(n), np.float32(np.nan))
    boxes = np.concatenate([points.min(axis=1) - 20, points.max(axis=1) + 20], axis=1)
    views: dict[str, Any] = {
        "film": crops,
        "landmarks": TimedLandmarks(points, boxes, (640, 360), times, valid),
        "audio": TimedSound(noise(n / 25), 16_000, 0, times, Fraction(25), valid),
    }
    parts = encode_crops(encoder, crops, 4) if entry.reads == "crops" else encode_clip(encoder, views[entry.reads])
    return np.concatenate(list(parts))


# Those that a user must bring something for have tests of their own: test_networks, test_ssl, test_audio_onnx.
BROUGHT = {
    *("onnx", "arcface-r50.webface600k", "arcface-mbf.webface600k", "expnet", "senet101-fer", "tcae"),
    *("timm", "torchvision", "hf", "audio-onnx"),
}
READY = [name for name in ENCODERS if name not in BROUGHT]


@pytest.mark.parametrize("name", READY)
def test_every_encoder_gives_a_vector_per_frame_and_zeros_where_invalid(name: str) -> None:
    valid = np.arange(70) % 7 != 3
    out = encoded(name, valid)
    assert out.shape == (70, ENCODERS[name].width)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert (out[~valid] == 0).all()
    assert np.abs(out[valid]).sum(axis=1)[1:].min() > 0  # the first frame has no movement to it
    assert np.array_equal(out, encoded(name, valid))


@pytest.mark.parametrize("name", list(ENCODERS))
def test_what_an_encoder_says_of_itself_holds_together(name: str) -> None:
    entry = ENCODERS[name]
    assert (entry.reads == "audio") == (entry.modality == "audio")
    assert (name in BROUGHT) == bool(entry.argument or (entry.weights and WEIGHTS[entry.weights].package is None))
    assert entry.width or entry.argument
    assert entry.engine == "torch" or not entry.half
    assert isinstance(entry.config(), entry.config)


@pytest.mark.parametrize("name", READY)
def test_nothing_valid_is_all_zeros(name: str) -> None:
    out = encoded(name, np.zeros(3, bool))
    assert len(out) == 3
    assert not out.any()


def test_crops_of_an_odd_size_are_refused() -> None:
    with pytest.raises(SchemaError, match="are 100 px wide, expected a multiple of 16 px"):
        CenterfaceTrunk(settings.CenterfaceTrunk(), Setup())(np.zeros((1, 100, 100, 3), np.uint8))


def test_a_batch_is_its_crops_one_by_one() -> None:
    crops = np.random.default_rng(1).integers(0, 255, (3, 112, 112, 3), dtype=np.uint8)
    encoder = CenterfaceTrunk(settings.CenterfaceTrunk(), Setup())
    alone = np.concatenate([encoder(crops[i : i + 1]) for i in range(3)])
    assert np.abs(encoder(crops) - alone).max() < 1e-3 * np.abs(alone).max()
