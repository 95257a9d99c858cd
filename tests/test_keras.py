"""Keras's weights, its files and its RMSprop, against what Keras itself computed (golden/make_keras.py)."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from affcli.configs import BilstmFusion
from affcli.configs import GruFusion as Config
from affcli.errors import AssetError, InputError, SchemaError
from affcli.models import MODELS
from affcli.models.gru_fusion import GruFusion
from affcli.models.keras import from_keras
from affcli.training.keras_file import read_arrays
from affcli.training.optimizers import KerasRmsprop

torch.set_num_threads(1)

GOLDEN = Path(__file__).parent / "golden"
NUMBERS: dict[str, Any] = json.loads((GOLDEN / "keras_numbers.json").read_text())
ORDER = ["mel", "hog", "openface"]  # of Keras's concatenation; the network's own is by name
SMALL = {"audio_units": (4, 3), "face_units": (5, 4, 3), "pose_units": (4, 3), "head_units": 6, "dropout": 0.0}
KERAS = {**SMALL, "norm_warmup": 0}
CONFIGS = {
    "gru": Config(**KERAS),
    "bilstm": BilstmFusion(**KERAS),
    "prelu_norm": Config(**KERAS, norm_order="prelu-norm"),
}


@dataclass(frozen=True)
class Set:
    width: int
    modality: str


SETS = {"hog": Set(6, "face"), "mel": Set(8, "audio"), "openface": Set(7, "pose")}


def unpacked(name: str, directory: Path) -> Path:
    """A golden file that is kept compressed."""
    path = directory / name
    path.write_bytes(gzip.decompress((GOLDEN / f"{name}.gz").read_bytes()))
    return path


def network(name: str = "gru") -> GruFusion:
    torch.manual_seed(0)
    return GruFusion(SETS, CONFIGS[name])


def weights(name: str = "gru") -> dict[str, NDArray[Any]]:
    return dict(read_arrays(GOLDEN / f"keras_{name}.npz"))


def outputs(name: str) -> tuple[dict[str, Tensor], dict[str, NDArray[np.float32]]]:
    """Features by encoder, and what Keras made of them."""
    with np.load(GOLDEN / f"keras_{name}_outputs.npz") as golden:
        values = {key: golden[key] for key in golden.files}
    return {key: torch.from_numpy(values[f"features/{key}"]) for key in ORDER}, values


INSIDE = torch.ones(4, 15, dtype=torch.bool)


def agrees(ours: Tensor, keras: NDArray[np.float32]) -> bool:
    return bool(np.abs(ours.detach().numpy() - keras).max() <= 1e-5)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("gru", "keras_gru.npz"),
        ("gru", "keras_gru.weights.h5"),
        ("gru", "keras_old.h5"),
        ("gru", "keras_whole.keras"),
        ("bilstm", "keras_bilstm.npz"),
        ("bilstm", "keras_bilstm.weights.h5"),
        ("prelu_norm", "keras_prelu_norm.weights.h5"),
    ],
)
def test_a_network_of_keras_gives_the_same_here(name: str, file: str, tmp_path: Path) -> None:
    if not file.endswith(".npz"):
        pytest.importorskip("h5py")
    path = GOLDEN / file if file.endswith(".npz") else unpacked(file, tmp_path)
    model = network(name)
    features, golden = outputs(name)
    assert np.abs(golden["predicted"]).max() > 0.3  # it says something
    assert not agrees(model.eval()(features, INSIDE), golden["predicted"])
    model.load_state_dict(from_keras(read_arrays(path), model, ORDER, path))
    assert agrees(model(features, INSIDE), golden["predicted"])


@pytest.mark.parametrize("name", list(CONFIGS))
def test_statistics_move_as_those_of_keras(name: str, tmp_path: Path) -> None:
    if name == "prelu_norm":
        pytest.importorskip("h5py")
        arrays = read_arrays(unpacked("keras_prelu_norm.weights.h5", tmp_path))
    else:
        arrays = weights(name)
    model = network(name)
    model.load_state_dict(from_keras(arrays, model, ORDER))
    features, golden = outputs(name)
    batch = features
    for step in range(3):
        assert agrees(model.train()(batch, INSIDE), golden[f"trained/{step}"])
        batch = {key: values * 1.5 + 0.5 for key, values in batch.items()}
    assert agrees(model.eval()(features, INSIDE), golden["predicted_after"])
    assert np.abs(golden["predicted_after"] - golden["predicted"]).max() > 1e-3


def test_counts_are_those_of_keras() -> None:
    sets = {"hog": Set(2048, "face"), "mel": Set(168, "audio"), "openface": Set(714, "pose")}
    for name, counts in NUMBERS["counts"].items():
        entry = MODELS[name]
        taken = {key: one for key, one in sets.items() if entry.modality in (None, one.modality)}
        model = entry.resolve()(taken, entry.config())
        trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
        statistics = sum(b.numel() for key, b in model.named_buffers() if "running" in key)
        assert {"trainable": trainable, "with_statistics": trainable + statistics} == counts


def test_a_model_that_goes_on_training_keeps_the_statistics_of_keras() -> None:
    model = GruFusion(SETS, Config(**SMALL))  # with the plain mean over the first 100 batches
    model.load_state_dict(from_keras(weights(), model, ORDER))
    norm = model.branches[0].settle[0].norm
    before = norm.running_mean.clone()
    rows = torch.randn(30, 5, generator=torch.Generator().manual_seed(0))
    norm.train()(rows)
    assert torch.allclose(norm.running_mean, 0.99 * before + 0.01 * rows.mean(0), atol=1e-6)


def test_the_state_of_dropout_is_no_weight() -> None:
    arrays = {**weights(), "dropout/seed_generator/seed_generator_state": np.zeros(2, np.int64)}
    assert from_keras(arrays, network(), ORDER).keys() == network().state_dict().keys()


def test_names_of_layers_mean_nothing_and_keras_2_names_are_taken() -> None:
    arrays = weights()
    layers = list(dict.fromkeys(name.split("/")[0] for name in arrays))
    renamed = {
        f"z{99 - layers.index(name.split('/')[0])}/{name.partition('/')[2]}:0": array for name, array in arrays.items()
    }
    expected = from_keras(arrays, network(), ORDER)
    found = from_keras(renamed, network(), ORDER)
    assert all(torch.equal(found[name], values) for name, values in expected.items())


def problems(change: dict[str, Any], order: list[str] = ORDER) -> str:
    """What is said of the weights after `change`: None takes an array away."""
    arrays = {**weights(), **change}
    with pytest.raises(SchemaError) as caught:
        from_keras({k: v for k, v in arrays.items() if v is not None}, network(), order, "w.npz")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_array_that_does_not_fit_is_listed() -> None:
    names = list(weights())
    kernel = next(name for name in names if name.endswith("recurrent_kernel"))
    gamma = next(name for name in names if name.endswith("gamma"))
    dense = next(name for name in names if name.startswith("dense") and name.endswith("bias"))
    alphas = [name for name in names if name.endswith("alpha")]
    said = problems(
        {
            kernel: np.zeros((4, 15), np.float32),
            gamma: None,
            dense: np.full(4, np.nan, np.float32),
            alphas[-1]: None,
            "conv/kernels": np.zeros(3, np.float32),
            "inner/gru/gru_cell/kernel": np.zeros(3, np.float32),
        }
    )
    assert said.startswith("w.npz: ")
    assert f"{kernel} is (4, 15) where layer 1 of hog takes (5, 15)" in said
    assert "there is no prelu layer for the head" in said
    assert f"{dense} holds something else than finite numbers" in said
    assert "there is no bias for layer 1 of openface" in said
    assert "conv/kernels is not of this model" in said
    assert "inner/gru/gru_cell/kernel lies in a model within the model" in said
    assert "expected the 59 arrays of this network" in said


@pytest.mark.filterwarnings("error")
def test_numbers_that_would_only_give_nan_are_refused() -> None:
    names = list(weights())
    kernel = next(name for name in names if name.endswith("recurrent_kernel"))
    variance = next(name for name in names if name.endswith("moving_variance"))
    assert f"{kernel} holds something else than finite" in problems({kernel: np.full((5, 15), 1e300)})
    assert f"{variance} holds a variance below 0" in problems({variance: np.full(5, -0.1, np.float32)})


def test_a_layer_too_many_is_not_of_this_model() -> None:
    assert "more/alpha is not of this model" in problems({"more/alpha": np.zeros((1, 6), np.float32)})
    name = next(name for name in weights() if name.endswith("gamma")).replace("gamma", "renorm")
    assert f"{name} is not of this model" in problems({name: np.zeros(5, np.float32)})


def test_branches_in_another_order_do_not_fit() -> None:
    said = problems({}, ["hog", "mel", "openface"])
    assert "is (8, 12) where layer 2 of hog takes (5, 12)" in said
    assert "is (5, 12) where layer 1 of mel takes (8, 12)" in said
    assert "each of hog, mel, openface once" in problems({}, ["mel", "hog"])
    assert "each of hog, mel, openface once" in problems({}, ["mel", "hog", "hog"])


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    good = unpacked("keras_gru.weights.h5", tmp_path).read_bytes()
    path = tmp_path / "w.h5"
    with pytest.raises(InputError, match=r"w\.h5: cannot be read \(No such file"):
        read_arrays(path)
    npz = (GOLDEN / "keras_gru.npz").read_bytes()
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.npy", b"no array")
    objects = io.BytesIO()
    np.savez(objects, a=np.array([{}], object))
    for content in (b"", b"text", good[:3000], npz[:3000], npz[:9000], other.getvalue(), objects.getvalue()):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"w\.h5: cannot be read .*model\.save_weights"):
            read_arrays(path)


def test_without_h5py_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(AssetError, match=r"affcli\[keras\]"):
        read_arrays(unpacked("keras_gru.weights.h5", tmp_path))
    assert len(read_arrays(GOLDEN / "keras_gru.npz")) == 59


def test_a_layer_of_unknown_kind_in_a_file_is_named(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = unpacked("keras_gru.weights.h5", tmp_path)
    with h5py.File(path, "a") as file:
        file["layers/conv1d/vars/0"] = np.zeros(3, np.float32)
    arrays = read_arrays(path)
    assert "conv1d/vars_0" in arrays
    with pytest.raises(SchemaError, match="conv1d/vars_0 is not of this model"):
        from_keras(arrays, network(), ORDER)


def steps(optimizer: torch.optim.Optimizer, weight: Tensor, gradients: list[Any]) -> list[Tensor]:
    made = []
    for gradient in gradients:
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        made.append(weight.detach().clone())
    return made


def test_rmsprop_steps_as_that_of_keras() -> None:
    golden = NUMBERS["rmsprop"]
    weight = torch.nn.Parameter(torch.tensor(golden["start"]))
    made = steps(KerasRmsprop([weight], lr=golden["lr"]), weight, golden["gradients"])
    assert len(made) == 20
    for ours, keras in zip(made, golden["steps"], strict=True):
        assert torch.allclose(ours, torch.tensor(keras), rtol=0, atol=1e-6)
    other = torch.nn.Parameter(torch.tensor(golden["start"]))
    torchs = steps(torch.optim.RMSprop([other], golden["lr"], alpha=0.9, eps=1e-7), other, golden["gradients"])
    assert (torchs[-1] - made[-1]).abs().max() > 0.05


def test_rmsprop_goes_on_from_its_state() -> None:
    golden = NUMBERS["rmsprop"]
    whole, half = (torch.nn.Parameter(torch.tensor(golden["start"])) for _ in range(2))
    steps(KerasRmsprop([whole], lr=0.01), whole, golden["gradients"])
    first = KerasRmsprop([half], lr=0.01)
    steps(first, half, golden["gradients"][:10])
    second = KerasRmsprop([half], lr=0.5)
    second.load_state_dict(first.state_dict())
    steps(second, half, golden["gradients"][10:])
    assert torch.equal(whole, half)


def test_rmsprop_leaves_alone_what_has_no_gradient() -> None:
    one, other = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(3))
    optimizer = KerasRmsprop([{"params": [one]}, {"params": [other], "lr": 0.1}])
    assert optimizer.step() is None
    other.grad = torch.ones(3)
    assert float(optimizer.step(lambda: torch.tensor(4.0))) == 4
    assert torch.equal(one, torch.ones(2))
    assert torch.allclose(other, torch.tensor(1 - 0.1 / (0.1 + 1e-7) ** 0.5))
    assert len(optimizer.state) == 1


@pytest.mark.parametrize("wrong", [{"lr": -1.0}, {"rho": 1.0}, {"epsilon": 0.0}, {"lr": float("nan")}])
def test_rmsprop_refuses_numbers_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected lr >= 0"):
        KerasRmsprop([torch.nn.Parameter(torch.ones(1))], **wrong)
