"""Windows back to frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affcli.configs import GruFusion
from affcli.prediction import Overlap, centred, combine, outputs, predict, shares
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


def test_triangular_weights_are_highest_in_the_middle_of_each_window() -> None:
    total = Overlap(6, "triangular")
    affect = np.array([[[1, 10], [2, 20], [3, 30], [4, 40]], [[5, 50], [7, 70], [9, 90], [0, 0]]], np.float32)
    inside = np.array([[1, 1, 1, 1], [1, 1, 1, 0]], np.bool_)  # weights 1 2 2 1, and 1 2 1 of the short one
    total.add(affect, inside, np.array([0, 2]))
    both = [[(2 * 3 + 1 * 5) / 3, (2 * 30 + 50) / 3], [(1 * 4 + 2 * 7) / 3, (40 + 2 * 70) / 3]]
    total.add(affect[1:, :1], np.ones((1, 1), np.bool_), np.array([5]))  # a window of one frame
    assert total.mean().tolist() == [[1, 10], [2, 20], *both, [9, 90], [5, 50]]


def test_unknown_weights_are_a_bug() -> None:
    with pytest.raises(KeyError):
        Overlap(3, "round")


def test_windows_that_agree_give_the_same_with_any_weights() -> None:
    for n in (1, 2, 3, 7, 10):
        found = outputs(Echo(), windows_of(n, 5, 3).batches(2), n, CPU, "triangular")
        assert found[:, 0].tolist() == list(range(n))


def test_shares_are_in_proportion_to_the_scores_above_0() -> None:
    assert shares([0.3, 0.1]) == pytest.approx([0.75, 0.25])
    assert shares([0.4, -0.9, 0.4]).tolist() == [0.5, 0, 0.5]
    assert shares([-0.1, 0, -0.3, 0]).tolist() == [0.25] * 4


def test_an_ensemble_by_hand() -> None:
    curves = np.array([[[0.0, 1.0], [0.5, -1.0]], [[1.0, 1.0], [-0.5, 1.0]]])
    mean, std = combine(curves, np.array([[0.75, 0.5], [0.25, 0.5]]))
    assert mean.tolist() == [[0.25, 1], [0.25, 0]]
    # 0.75 x 0.25^2 + 0.25 x 0.75^2 = 0.1875, in both frames; arousal: 0 and 1 to either side.
    assert std == pytest.approx(np.array([[0.1875**0.5, 0], [0.1875**0.5, 1]]), abs=1e-15)


def test_centred_curves_by_hand() -> None:
    # Means 0, 0.3 and -0.6; variances 2/3, 2/3 and 0.  CCC of the first two: 2 x 2/3 / (4/3 + 0.09); of the constant
    # one with either: 0.  So the first two count alike, the third nothing: all go to the mean 0.15.
    curves = np.array([[-1, 0, 1], [-0.7, 0.3, 1.3], [-0.6, -0.6, -0.6]])
    wanted = [[-0.85, 0.15, 1.15], [-0.85, 0.15, 1.15], [0.15, 0.15, 0.15]]
    assert centred(curves) == pytest.approx(np.array(wanted), abs=1e-15)


def test_curves_that_do_not_agree_go_to_their_plain_mean() -> None:
    against = np.array([[-1, 0, 1], [1.5, 0.5, -0.5]])  # CCC below 0
    assert centred(against).mean(axis=1) == pytest.approx([0.25, 0.25])
    assert centred(np.array([[0.5], [0.1]])) == pytest.approx(np.array([[0.3], [0.3]]))  # one frame: no CCC
    assert centred(np.array([[0.5, 0.7]])) == pytest.approx(np.array([[0.5, 0.7]]))  # one curve stays


def test_centring_weighs_means_by_agreement() -> None:
    rng = np.random.default_rng(0)
    curves = rng.normal(0, 0.2, 50).cumsum() / 5 + rng.normal(0, 0.05, (3, 50)) + np.array([[0], [0.1], [0.4]])
    curves[2] += rng.normal(0, 0.5, 50)
    from affcli.metrics import ccc

    pairs = {(i, j): ccc(curves[i], curves[j]) for i in range(3) for j in range(3) if i != j}
    agreement = [np.mean([pairs[i, j] for j in range(3) if j != i]) for i in range(3)]
    target = np.dot(agreement, curves.mean(axis=1)) / np.sum(agreement)
    assert min(agreement) > 0 and abs(target - curves.mean()) > 0.01
    assert centred(curves) == pytest.approx(curves - curves.mean(axis=1, keepdims=True) + target, abs=1e-14)


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
    return outputs(Echo(), windows_of(n, length, overlap).batches(batch), n, CPU)


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
