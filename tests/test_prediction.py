"""Windows back to frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affcli.configs import GruFusion
from affcli.prediction import Overlap, predict
from affcli.training.data import ClipData, WindowedClips
from affcli.training.fit import new_model
from affcli.windows import FeatureSet, cut

torch.set_num_threads(1)
CPU = torch.device("cpu")


def test_overlapping_windows_are_averaged() -> None:
    total = Overlap(4)
    affect = np.array([[[1, 10], [2, 20], [3, 30]], [[5, 50], [7, 70], [9, 90]]], np.float32)
    inside = np.array([[1, 1, 1], [1, 1, 0]], np.bool_)
    total.add(affect, inside, np.array([0, 2]))
    assert total.mean().tolist() == [[1, 10], [2, 20], [4, 40], [7, 70]]  # frame 2: mean of 3 and 5


def test_a_frame_in_no_window_is_refused() -> None:
    total = Overlap(3)
    total.add(np.zeros((1, 2, 2), np.float32), np.ones((1, 2), np.bool_), np.array([0]))
    with pytest.raises(ValueError, match="frame 2 is in no window"):
        total.mean()


class Echo(nn.Module):
    """Valence is the first column, arousal how far into its window a frame is."""

    def forward(self, features: dict[str, Tensor], inside: Tensor) -> Tensor:
        steps = torch.arange(inside.shape[1], dtype=torch.float32).expand(inside.shape)
        return torch.stack([features["hog"][..., 0], steps], dim=-1)


def windows_of(n: int, length: int, overlap: int) -> WindowedClips:
    vectors = np.arange(n, dtype=np.float32)[:, None]
    data = ClipData("a", {"hog": vectors}, {"hog": np.ones(n, np.bool_)}, np.zeros((n, 2)), np.zeros(n, np.bool_))
    starts, lengths = cut(n, length, overlap)
    return WindowedClips([data], np.zeros(len(starts), np.int64), starts, lengths)


def run(n: int, length: int, overlap: int, batch: int) -> NDArray[np.float64]:
    return predict(Echo(), windows_of(n, length, overlap).batches(batch), n, CPU)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 10])
@pytest.mark.parametrize("batch", [1, 2, 100])
def test_every_frame_gets_its_own_value(n: int, batch: int) -> None:
    assert run(n, 3, 1, batch)[:, 0].tolist() == list(range(n))


class Movable(Echo):
    """Knows where it was moved before it was called."""

    place: torch.device | None = None

    def to(self, device: torch.device) -> Movable:  # type: ignore[override]
        self.place = device
        return self

    def forward(self, features: dict[str, Tensor], inside: Tensor) -> Tensor:
        assert self.place == inside.device == features["hog"].device
        return super().forward(features, inside)


def test_the_model_is_moved_to_where_its_inputs_go() -> None:
    model = Movable()
    predict(model, windows_of(4, 3, 1).batches(2), 4, CPU)
    assert model.place == CPU


@pytest.mark.gpu
def test_prediction_on_an_accelerator_is_that_of_the_processor() -> None:
    model = new_model("gru-face", {"hog": FeatureSet(1, "face", {})}, GruFusion(face_units=(8,)), 0)
    here, there = (predict(model, windows_of(10, 3, 1).batches(2), 10, torch.device(d)) for d in ("cpu", "cuda"))
    assert there == pytest.approx(here, abs=1e-3)


def test_prediction_by_hand() -> None:
    # Windows of frames 0-2, 2-4, 4-6: frames 2 and 4 are the last of one and the first of the next.
    assert run(7, 3, 1, 2)[:, 1].tolist() == [0, 1, 1, 1, 1, 1, 2]
    # One more window, 1-3, since 0-2 does not reach the end: frame 1 is at 1 and 0, frame 2 at 2 and 1.
    assert run(4, 3, 1, 2)[:, 1].tolist() == [0, 0.5, 1.5, 2]
