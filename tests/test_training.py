"""Training: batches, standardisation, losses and the loop."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from affcli import metrics
from affcli.configs import GruFusion, Training
from affcli.errors import AssetError, InputError, SchemaError, UsageError
from affcli.models import device
from affcli.training import losses
from affcli.training.averaging import Average
from affcli.training.data import ClipData, Standardisation, WindowedClips, fit_standardisation
from affcli.training.estimate import estimate
from affcli.training.fit import Epoch, Fit, new_model
from affcli.training.optimisation import Optimisation, check, new_optimizer
from affcli.training.optimizers import KerasRmsprop
from affcli.training.sampling import Sampler, mean_valence
from affcli.windows import FeatureSet, cut

torch.set_num_threads(1)
CPU = torch.device("cpu")


def clip(
    name: str,
    vectors: NDArray[np.float64],
    labels: NDArray[np.float64] | None = None,
    valid: NDArray[np.bool_] | None = None,
) -> ClipData:
    n = len(vectors)
    affect = np.zeros((n, 2)) if labels is None else labels
    return ClipData(
        name,
        {"hog": vectors.astype(np.float32)},
        {"hog": np.ones(n, np.bool_) if valid is None else valid},
        affect,
        ~np.isnan(affect).any(axis=-1),
    )


def windowed(clips: list[ClipData], length: int, overlap: int) -> WindowedClips:
    cuts = [cut(one.frames, length, overlap) for one in clips]
    return WindowedClips(
        clips,
        np.repeat(np.arange(len(clips)), [len(starts) for starts, _ in cuts]),
        np.concatenate([starts for starts, _ in cuts]),
        np.concatenate([lengths for _, lengths in cuts]),
    )


def ramp(n: int, at: int = 0) -> NDArray[np.float64]:
    """Vectors of two columns that tell the frame: f and 100 + f."""
    return np.stack([np.arange(at, at + n), np.arange(at + 100, at + 100 + n)], axis=-1).astype(float)


def test_a_batch_holds_the_frames_of_its_windows() -> None:
    labels = np.full((5, 2), np.nan)
    labels[3] = 0.25, -0.5
    valid = np.array([1, 1, 0, 1, 1], np.bool_)
    windows = windowed([clip("a", ramp(5), labels, valid), clip("b", ramp(2, 50))], 3, 1)
    assert windows.first.tolist() == [0, 2, 5]
    batch = windows.gather(np.array([2, 1]))
    assert batch.features["hog"][:, :, 0].tolist() == [[50, 51, 0], [0, 3, 4]]  # padded at the end; frame 2 not valid
    assert batch.inside.tolist() == [[True, True, False], [True, True, True]]
    assert batch.first.tolist() == [5, 2]
    assert batch.labelled.tolist() == [[True, True, False], [False, True, False]]
    assert batch.labels[1].tolist() == [[0, 0], [0.25, -0.5], [0, 0]]
    assert batch.features["hog"].dtype == batch.labels.dtype == np.float32


def test_a_batch_is_as_long_as_its_longest_window() -> None:
    windows = windowed([clip("a", ramp(5)), clip("b", ramp(2))], 3, 1)
    assert windows.gather(np.array([2])).inside.shape == (1, 2)
    assert [len(batch.inside) for batch in windows.batches(2)] == [2, 1]


def test_frames_that_are_not_described_are_zeros_after_standardisation() -> None:
    valid = np.array([1, 0, 1], np.bool_)
    scale = Standardisation({"hog": np.float32([1, 1])}, {"hog": np.float32([2, 10])})
    batch = windowed([clip("a", ramp(3), valid=valid)], 3, 1).standardised(scale).gather(np.array([0]))
    assert batch.features["hog"][0].tolist() == pytest.approx(np.array([[-0.5, 9.9], [0, 0], [0.5, 10.1]]))


def test_only_windows_with_labels_are_kept() -> None:
    labels = np.full((7, 2), np.nan)
    labels[6] = 0
    windows = windowed([clip("a", ramp(7), labels)], 3, 1)
    assert windows.start.tolist() == [0, 2, 4]
    assert windows.with_labels().start.tolist() == [4]


def test_standardisation_counts_each_frame_once_and_leaves_out_what_is_not_described() -> None:
    vectors = np.array([[0, 7], [2, 7], [4, 7], [99, 99], [6, 7]], float)
    valid = np.array([1, 1, 1, 0, 1], np.bool_)
    fitted = fit_standardisation(windowed([clip("a", vectors, valid=valid)], 3, 2))  # frame 2 is in three windows
    assert fitted.mean["hog"].tolist() == [3, 7]
    assert fitted.std["hog"] == pytest.approx([np.sqrt(5), 1])  # of 0, 2, 4, 6; a constant is divided by 1
    assert fitted.mean["hog"].dtype == fitted.std["hog"].dtype == np.float32


def test_standardisation_is_of_the_windows_not_of_the_clips() -> None:
    windows = windowed([clip("a", ramp(9))], 3, 0)
    first = WindowedClips(windows.clips, windows.clip[:1], windows.start[:1], windows.length[:1])
    assert fit_standardisation(first).mean["hog"].tolist() == [1, 101]


def test_standardisation_over_many_chunks_is_that_of_all_rows() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(1e4, 1, (9000, 3)), rng.normal(-3, 2, (5, 3))
    other[:, 2] = one[:, 2] = 0.1
    fitted = fit_standardisation(windowed([clip("a", one), clip("b", other)], 15, 5))
    rows = np.concatenate([one, other]).astype(np.float32).astype(np.float64)
    assert fitted.mean["hog"] == pytest.approx(rows.mean(0), rel=1e-6)
    assert fitted.std["hog"][:2] == pytest.approx(rows[:, :2].std(0), rel=1e-5)
    assert fitted.std["hog"][2] == 1


def test_a_feature_set_without_a_valid_frame_is_refused() -> None:
    with pytest.raises(InputError, match="hog features: describe no frame"):
        fit_standardisation(windowed([clip("a", ramp(5), valid=np.zeros(5, np.bool_))], 3, 1))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_named(value: float) -> None:
    vectors = ramp(9)
    vectors[7, 1] = value
    windows = windowed([clip("a", ramp(3)), clip("b", vectors)], 3, 1)
    with pytest.raises(InputError, match="hog features of clip b: hold NaN or infinity in frame 7"):
        fit_standardisation(windows)
    with pytest.raises(InputError, match="hog features of clip b: hold NaN or infinity in frame 7"):
        windows.gather(np.arange(len(windows)))


def test_features_that_are_no_numbers_do_no_harm_where_they_are_not_used() -> None:
    vectors = ramp(3)
    vectors[1] = np.nan
    windows = windowed([clip("a", vectors, valid=np.array([1, 0, 1], np.bool_))], 3, 1)
    assert fit_standardisation(windows).mean["hog"].tolist() == [1, 101]
    assert np.isfinite(windows.gather(np.array([0])).features["hog"]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -5.0, 1.5])
def test_labels_off_the_scale_are_named(value: float) -> None:
    labels = np.zeros((5, 2))
    labels[3, 1] = value
    one = ClipData(
        "a", {"hog": np.zeros((5, 2), np.float32)}, {"hog": np.ones(5, np.bool_)}, labels, np.ones(5, np.bool_)
    )
    with pytest.raises(SchemaError, match=r"labels of clip a: valence 0 and arousal .* in frame 3"):
        windowed([one], 3, 1)


def test_mse_by_hand() -> None:
    truth, prediction = torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.5, 0.0], [1.0, -0.5]])
    assert losses.mse(prediction, truth) == pytest.approx((0.25 + 0.25) / 4)


def test_ccc_loss_agrees_with_the_metric() -> None:
    rng = np.random.default_rng(0)
    truth, prediction = rng.uniform(-1, 1, (2, 40, 2))
    expected = 1 - (metrics.ccc(truth[:, 0], prediction[:, 0]) + metrics.ccc(truth[:, 1], prediction[:, 1])) / 2
    assert losses.ccc(torch.tensor(prediction), torch.tensor(truth)) == pytest.approx(expected, abs=1e-6)


def test_ccc_loss_at_its_ends() -> None:
    truth = torch.tensor([[0.1, -0.4], [0.5, 0.2], [-0.3, 0.9]])
    assert losses.ccc(truth, truth) == pytest.approx(0, abs=1e-6)
    assert losses.ccc(-truth + 2 * truth.mean(0), truth) == pytest.approx(2, abs=1e-6)
    constant = torch.full((3, 2), 0.2, requires_grad=True)
    loss = losses.ccc(constant, torch.full((3, 2), 0.2))
    assert loss == 1
    loss.backward()
    assert constant.grad is not None and constant.grad.isfinite().all()


def toy(seed: int, frames: int = 60) -> ClipData:
    """A clip whose features tell its labels, under noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)
    affect = 0.7 * np.stack([np.sin(t / 9 + seed), np.cos(t / 7 + seed)], axis=-1)
    return clip(f"c{seed}", affect @ np.array([[1, 0, 2], [0, 1, -1]]) + rng.normal(0, 0.1, (frames, 3)), affect)


def train(settings: Training, val: list[ClipData] | None = None) -> tuple[list[Epoch], dict[str, torch.Tensor]]:
    fitted, held_out = windowed([toy(0), toy(1), toy(2, 8)], 15, 5), windowed(val or [toy(3)], 15, 5)
    scale = fit_standardisation(fitted)
    model = new_model("gru-face", {"hog": FeatureSet(3, "face", {})}, GruFusion(face_units=(8, 8)), settings.seed)
    epochs = list(Fit(model, fitted.standardised(scale), held_out.standardised(scale), settings, CPU))
    return epochs, model.state_dict()


@pytest.mark.parametrize("loss", ["mse", "ccc"])
@pytest.mark.parametrize("optimizer", ["rmsprop", "adam", "adamw", "sgd"])
def test_training_learns_and_is_reproducible(loss: str, optimizer: str) -> None:
    settings = Training(loss=loss, optimizer=optimizer, lr=0.01, batch=4, epochs=6)
    epochs, weights = train(settings)
    assert [one.number for one in epochs] == [1, 2, 3, 4, 5, 6]
    assert epochs[-1].train_loss < epochs[0].train_loss
    assert max(one.scores["mean"] for one in epochs) > 0.7
    again, same = train(settings)
    assert again == epochs
    assert all(torch.equal(values, same[name]) for name, values in weights.items())
    other, _ = train(Training(loss=loss, optimizer=optimizer, lr=0.01, batch=4, epochs=1, seed=1))
    assert other[0] != epochs[0]


def test_every_batch_of_every_epoch_is_trained_on() -> None:
    _, weights = train(Training(batch=4, epochs=3))
    # 6 + 6 + 1 windows are 4 batches; validation, in between, leaves the statistics alone.
    assert weights["branches.0.settle.0.norm.num_batches_tracked"] == 3 * 4


def test_improved_means_the_best_so_far() -> None:
    epochs, _ = train(Training(lr=0.01, batch=4, epochs=8))
    best = -np.inf
    for one in epochs:
        assert one.improved == (one.scores["mean"] > best)
        best = max(best, one.scores["mean"])


def test_training_stops_when_nothing_gets_better() -> None:
    epochs, _ = train(Training(lr=1e-12, batch=4, epochs=50, patience=3))
    last_better = max(one.number for one in epochs if one.improved)
    assert len(epochs) == last_better + 3 < 50


def test_a_loss_that_is_no_number_ends_the_training_with_advice() -> None:
    with pytest.raises(UsageError, match=r"--lr 1e\+30: made the loss infinite or NaN in epoch 1.*smaller"):
        train(Training(lr=1e30, batch=4, epochs=3))


def test_validation_labels_must_change() -> None:
    still = clip("s", ramp(30)[:, [0, 1, 1]], np.tile([0.2, 0.3], (30, 1)))
    with pytest.raises(InputError, match="the same valence in every annotated frame"):
        train(Training(epochs=1), [still])
    without = clip("w", ramp(30)[:, [0, 1, 1]], np.full((30, 2), np.nan))
    with pytest.raises(InputError, match="no annotated frame"):
        train(Training(epochs=1), [without])


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_too_large_a_batch_is_explained(error: Exception) -> None:
    with (
        pytest.raises(UsageError, match=r"--batch 64: does not fit into the memory.*--batch 16"),
        device.memory_explained(64),
    ):
        raise error


def test_other_failures_are_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shape"), device.memory_explained(64):
        raise RuntimeError("shape mismatch")


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device.pick("auto") == CPU
    with pytest.raises(UsageError, match="--device cuda: is not available"):
        device.pick("cuda")


def test_building_a_model_leaves_the_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    new_model("gru-face", {"hog": FeatureSet(3, "face", {})}, GruFusion(face_units=(8,)), 0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_every_setting_of_a_training_changes_it_and_is_reproducible() -> None:
    plain = Training(lr=0.01, batch=8, epochs=3, optimizer="adam")
    first, weights = train(plain)
    changes: dict[str, object] = {
        "loss": "0.5*mse+l1+ccc",
        "weight_decay": 0.1,
        "clip": 0.01,
        "schedule": "cosine",
        "warmup": 1.0,
        "ema": 0.9,
        "precision": "bf16",
        "balance": "valence",
        "accumulate": 2,
    }
    for name, value in changes.items():
        config = dataclasses.replace(plain, **{name: value})
        epochs, changed = train(config)
        assert epochs != first, name
        assert any(not torch.equal(values, weights[key]) for key, values in changed.items()), name
        again, same = train(config)
        assert again == epochs, name
        assert all(torch.equal(values, same[key]) for key, values in changed.items()), name


def test_a_ccc_loss_can_be_of_windows_and_of_mixed_moments() -> None:
    losses_of = {
        (over, moments): train(Training(loss="ccc", ccc_over=over, ccc_moments=moments, epochs=1))[0][0].train_loss
        for over in ("batch", "window")
        for moments in ("population", "mixed")
    }
    assert len(set(losses_of.values())) == 4


def test_epochs_tell_the_learning_rate_of_their_last_step() -> None:
    epochs, _ = train(Training(lr=0.01, batch=4, epochs=3, schedule="cosine", lr_min=0.0))
    wanted = [0.01 * (1 + np.cos(np.pi * step / 12)) / 2 for step in (3, 7, 11)]
    assert [one.lr for one in epochs] == pytest.approx(wanted)
    assert epochs[0].to_json()["lr"] == epochs[0].lr
    epochs, _ = train(Training(lr=1e-9, lr_min=0.0, batch=4, epochs=9, schedule="plateau", plateau_patience=0))
    assert epochs[0].lr == 1e-9
    halvings = np.cumsum([not one.improved for one in epochs[:-1]])
    assert [one.lr for one in epochs[1:]] == pytest.approx(1e-9 * 0.5**halvings) and halvings[-1] > 0


def test_optimisers_are_what_the_settings_say() -> None:
    model = nn.Linear(2, 1)
    for name, kind in (("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)):
        made = new_optimizer(model, Training(optimizer=name, lr=0.25, weight_decay=0.5, momentum=0.75))
        assert type(made) is kind
        assert made.defaults["lr"] == 0.25 and made.defaults["weight_decay"] == 0.5
        assert made.defaults.get("momentum", 0.75) == 0.75


def test_weight_decay_of_rmsprop_is_part_of_the_gradient() -> None:
    def after(weight_decay: float, gradient: float) -> float:
        weight = nn.Linear(1, 1, bias=False)
        nn.init.constant_(weight.weight, 2.0)
        made = new_optimizer(weight, Training(lr=0.25, weight_decay=weight_decay))
        assert type(made) is KerasRmsprop
        for _ in range(2):
            weight.weight.grad = torch.tensor([[gradient]])
            made.step()
        return float(weight.weight.detach())

    first = 0.25 + 0.5 * 2.0  # gradient and decay
    rate = 0.25 / np.sqrt(0.1 * first**2 + 1e-7)
    middle = 2.0 - rate * first
    second = 0.25 + 0.5 * middle
    end = middle - 0.25 * second / np.sqrt(0.9 * 0.1 * first**2 + 0.1 * second**2 + 1e-7)
    assert after(0.5, 0.25) == pytest.approx(end, rel=1e-5)
    assert after(0.0, 0.25) != pytest.approx(end, rel=1e-2)


class Frames(nn.Module):
    """A linear network, frame by frame: without batch normalisation or dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        nn.init.constant_(self.layer.weight, 0.1)
        nn.init.zeros_(self.layer.bias)

    def forward(self, features: dict[str, torch.Tensor], _inside: torch.Tensor) -> torch.Tensor:
        affect: torch.Tensor = self.layer(features["hog"])
        return affect


def partly_labelled() -> WindowedClips:
    """Four windows of 15, 10, 5 and 2 labelled frames."""
    one = toy(0, 60)
    for window, count in enumerate((15, 10, 5, 2)):
        one.labelled[15 * window + count : 15 * (window + 1)] = False
    return windowed([one], 15, 0)


def _step(optimisation: Optimisation, windows: WindowedClips, parts: list[NDArray[np.int64]]) -> float:
    frames = np.array([[windows.annotated[part].sum()] for part in parts])
    return float(optimisation.step([windows.gather(part) for part in parts], frames))


def stepped(config: Training, parts: int, steps: int = 1) -> tuple[float, torch.Tensor]:
    """The loss and the weights after some steps of sgd on the same four windows, in so many parts."""
    torch.manual_seed(0)
    model, windows = Frames(), partly_labelled()
    optimisation = Optimisation(model, dataclasses.replace(config, optimizer="sgd", momentum=0.0), CPU, 1)
    for _ in range(steps):
        loss = _step(optimisation, windows, np.array_split(np.arange(4), parts))
    return loss, torch.cat([one.detach().flatten() for one in model.parameters()])


@pytest.mark.parametrize("loss", ["mse", "l1", "2*mse+l1"])
def test_gradients_of_parts_add_up_to_those_of_the_batch(loss: str) -> None:
    whole, weights = stepped(Training(loss=loss, lr=0.5), 1)
    for parts in (2, 3, 4):
        found, same = stepped(Training(loss=loss, lr=0.5), parts)
        assert found == pytest.approx(whole, rel=1e-6)
        assert torch.allclose(same, weights, rtol=0, atol=1e-7)


def test_a_ccc_loss_is_of_each_part() -> None:
    windows = partly_labelled()
    found, _ = stepped(Training(loss="ccc"), 2)
    model = Frames()
    wanted = 0.0
    for part, frames in ((np.array([0, 1]), 25), (np.array([2, 3]), 7)):
        one = windows.gather(part)
        labelled = torch.from_numpy(one.labelled)
        prediction = model({"hog": torch.from_numpy(one.features["hog"])}, labelled)
        loss = losses.ccc(prediction[labelled], torch.from_numpy(one.labels)[labelled])
        wanted += float(loss.detach()) * frames / 32
    assert found == pytest.approx(wanted, rel=1e-6)


def test_a_batch_in_parts_takes_as_many_steps() -> None:
    _, weights = train(Training(batch=4, epochs=3, accumulate=2))
    # 13 windows are 4 batches: three of two parts, and one of a single window.
    assert weights["branches.0.settle.0.norm.num_batches_tracked"] == 3 * 7


def test_gradients_are_clipped_together() -> None:
    start = torch.cat([one.detach().flatten() for one in Frames().parameters()])
    _, free = stepped(Training(lr=1.0), 1)
    step = (free - start).norm()
    _, clipped = stepped(Training(lr=1.0, clip=0.01), 1)
    assert (clipped - start).norm() == pytest.approx(0.01, rel=1e-3) and step > 0.1
    assert torch.allclose((clipped - start) / 0.01, (free - start) / step, atol=1e-3)
    _, loose = stepped(Training(lr=1.0, clip=1e9), 1)
    assert torch.equal(loose, free)


def test_the_running_average_by_hand() -> None:
    model = nn.BatchNorm1d(1)
    average = Average(model, 0.25)
    decays = [2 / 11, 3 / 12, 0.25]
    wanted = 0.0
    for step, decay in enumerate(decays):
        with torch.no_grad():
            assert model.running_mean is not None and model.num_batches_tracked is not None
            model.bias.fill_(step + 1.0)
            model.running_mean.fill_(-step - 1.0)
            model.num_batches_tracked.fill_(step + 1)
        average.update(model)
        wanted = decay * wanted + (1 - decay) * (step + 1)
    average.swap(model)
    assert float(model.bias.detach()) == pytest.approx(wanted) and float(model.running_mean) == pytest.approx(-wanted)
    assert model.num_batches_tracked == 3
    average.swap(model)
    assert (float(model.bias.detach()), float(model.running_mean)) == (3, -3)


def test_the_average_is_validated_and_the_training_goes_on_from_the_weights() -> None:
    plain, weights = train(Training(lr=0.01, batch=4, epochs=3))
    averaged, other = train(Training(lr=0.01, batch=4, epochs=3, ema=0.5))
    assert [one.train_loss for one in averaged] == [one.train_loss for one in plain]
    assert all(one.scores["mean"] != two.scores["mean"] for one, two in zip(averaged, plain, strict=True))
    assert any(not torch.equal(values, weights[name]) for name, values in other.items())


def test_balanced_windows() -> None:
    labels = np.full((60, 2), 0.5)
    labels[15:30] = -0.5
    labels[:5] = np.nan
    labels[5, 0] = -1.0
    windows = windowed([clip("a", ramp(60), labels)], 15, 0)
    assert mean_valence(windows) == pytest.approx([0.35, -0.5, 0.5, 0.5])
    sampler = Sampler(windows, "valence", 0)
    orders = [sampler.epoch() for _ in range(20)]
    assert len(sampler) == 6
    assert all(np.bincount(order).tolist() == [1, 3, 1, 1] for order in orders)
    assert len({tuple(order) for order in orders}) > 10
    again = Sampler(windows, "valence", 0)
    assert [again.epoch().tolist() for _ in range(20)] == [order.tolist() for order in orders]
    plain = Sampler(windows, "none", 3)
    assert plain.epoch().tolist() == np.random.default_rng(3).permutation(4).tolist() and len(plain) == 4


def test_balance_draws_those_it_repeats_once_more_anew() -> None:
    labels = np.full((75, 2), 0.5)
    labels[:30] = -0.5
    sampler = Sampler(windowed([clip("a", ramp(75), labels)], 15, 0), "valence", 0)
    counts = {tuple(np.bincount(sampler.epoch()).tolist()) for _ in range(20)}
    assert counts == {(1, 2, 1, 1, 1), (2, 1, 1, 1, 1)}


@pytest.mark.parametrize(("value", "which"), [(-0.5, "every"), (0.0, "no")])
def test_balance_needs_windows_of_both_kinds(value: float, which: str) -> None:
    windows = windowed([clip("a", ramp(30), np.full((30, 2), value))], 15, 0)
    with pytest.raises(UsageError, match=f"--balance valence: {which} training window has a mean valence below 0"):
        Sampler(windows, "valence", 0)


def test_half_precision_that_the_device_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--precision fp16: needs a CUDA device, and this is cpu.*bf16"):
        check(Training(precision="fp16"), CPU)
    check(Training(precision="bf16"), CPU)
    check(Training(precision="fp16"), torch.device("cuda"))


def test_half_precision_learns_and_leaves_float32_weights() -> None:
    epochs, weights = train(Training(loss="ccc", lr=0.01, batch=4, epochs=6, precision="bf16"))
    assert max(one.scores["mean"] for one in epochs) > 0.7
    assert {values.dtype for values in weights.values()} == {torch.float32, torch.int64}


def test_compile_is_asked_for_and_trains_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []

    def compile_it(model: nn.Module, **_: object) -> nn.Module:
        compiled.append(model)
        return model

    monkeypatch.setattr(torch, "compile", compile_it)
    plain, _ = train(Training(batch=4, epochs=1))
    assert compiled == []
    assert train(Training(batch=4, epochs=1, compile=True))[0] == plain
    assert len(compiled) == 1


def test_a_network_that_torch_cannot_compile_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise torch._dynamo.exc.TorchDynamoException("no compiler\nmuch more")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: failing)
    with pytest.raises(AssetError, match=r"--compile: torch could not compile the network \(no compiler\)"):
        train(Training(epochs=1, compile=True))


def test_training_labels_must_change() -> None:
    still = windowed([clip("s", ramp(30)[:, [0, 1, 1]], np.tile([0.2, 0.3], (30, 1)))], 15, 5)
    with pytest.raises(InputError, match="training clips: have the same valence in every annotated frame"):
        Fit(Frames(), still, windowed([toy(3)], 15, 5), Training(), CPU)


def test_the_size_of_a_training_is_estimated() -> None:
    windows = windowed([toy(0), toy(1)], 15, 5)
    size = estimate(Frames(), windows, Training(batch=4, optimizer="adam", ema=0.5))
    assert (size.parameters, size.part, size.windows, size.steps) == (8, 4, 12, 3)
    assert size.state_bytes == 8 * 4 * 5  # weights, gradients, two moments, average
    assert size.batch_bytes >= 4 * 15 * (3 + 2) * 4 + 4 * 15
    half = estimate(Frames(), windows, Training(batch=4, accumulate=2, optimizer="sgd", momentum=0.0))
    assert half.batch_bytes * 2 == size.batch_bytes
    assert half.state_bytes == 8 * 4 * 2
