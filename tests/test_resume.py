"""A training that was broken off goes on to the same bits, from what its last checkpoint holds."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from affcli import recipes
from affcli.configs import GruFusion, Training, Windows
from affcli.errors import InputError, SchemaError
from affcli.training import state
from affcli.training.checkpoint import Checkpoint, load, save
from affcli.training.data import ClipData, WindowedClips, fit_standardisation
from affcli.training.description import LAST, Description
from affcli.training.fit import Epoch, Fit, new_model
from affcli.windows import FeatureSet, cut

torch.set_num_threads(1)
CPU = torch.device("cpu")
SETS = {"hog": FeatureSet(3, "face", {})}
NETWORK = GruFusion(face_units=(6, 4), head_units=4)


def clips(seeds: range) -> WindowedClips:
    made = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        affect = 0.7 * np.stack([np.sin(np.arange(60) / 9 + seed), np.cos(np.arange(60) / 7 + seed)], axis=-1)
        vectors = affect @ np.array([[1, 0, 2], [0, 1, -1]]) + rng.normal(0, 0.1, (60, 3))
        whole = np.ones(60, np.bool_)
        made.append(ClipData(f"c{seed}", {"hog": vectors.astype(np.float32)}, {"hog": whole}, affect, whole))
    starts, lengths = cut(60, 15, 5)
    which = np.repeat(np.arange(len(made)), len(starts))
    return WindowedClips(made, which, np.tile(starts, len(made)), np.tile(lengths, len(made)))


def begin(config: Training, kept: Mapping[str, Any] | None = None, weights: Any = None) -> tuple[Fit, torch.nn.Module]:
    train, val = clips(range(3)), clips(range(3, 5))
    scale = fit_standardisation(train)
    model = new_model("gru-face", SETS, NETWORK, config.seed)
    if weights is not None:
        model.load_state_dict(weights)
    return Fit(model, train.standardised(scale), val.standardised(scale), config, CPU, state=kept), model


def stored(run: Path, fit: Fit, model: torch.nn.Module, epoch: Epoch) -> None:
    described = Description(
        model="gru-face",
        config=recipes.plain(NETWORK),
        features=SETS,
        windows=Windows(),
        validation=epoch.scores,
        epoch=epoch.number,
        finished=fit.ended,
        inputs=[],
        recipe=recipes.recipe("train", {}),
    )
    save(Checkpoint(run, described, model, fit_standardisation(clips(range(3))), fit.state()), LAST)


@pytest.mark.parametrize(
    "config",
    [
        Training(),
        Training(optimizer="adam", ema=0.9, accumulate=2),
        Training(optimizer="sgd", schedule="plateau", plateau_patience=0, plateau_factor=0.3),
        Training(optimizer="adamw", schedule="cosine", warmup=0.5, balance="valence", precision="bf16", clip=0.1),
        Training(loss="ccc", schedule="onecycle", patience=2),
    ],
    ids=lambda config: f"{config.optimizer}-{config.schedule}",
)
def test_a_resumed_training_ends_with_the_same_bits(tmp_path: Path, config: Training) -> None:
    config = dataclasses.replace(config, lr=0.02, batch=4, epochs=5)
    fit, model = begin(config)
    unbroken = list(fit)
    assert fit.ended
    stored(tmp_path / "unbroken", fit, model, unbroken[-1])
    for broken_after in (1, 3):
        fit, model = begin(config)
        epochs = list(itertools.islice(fit, broken_after))
        assert epochs == unbroken[:broken_after]
        run = tmp_path / str(broken_after)
        stored(run, fit, model, epochs[-1])
        torch.manual_seed(99)  # what the process happens to have drawn since must not matter
        last = load(run, LAST)
        assert last.state is not None
        fit, model = begin(config, last.state, last.model.state_dict())
        rest = list(fit)
        assert epochs + rest == unbroken
        stored(run, fit, model, (epochs + rest)[-1])
        files = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("unbroken", run.name)]
        assert files[0] == files[1] == sorted(["last.json", f"last-{len(unbroken)}.safetensors"])
        for name in files[0]:
            assert (run / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes()


def test_a_training_that_has_ended_has_no_more_epochs(tmp_path: Path) -> None:
    config = Training(lr=0.02, batch=4, epochs=2)
    fit, model = begin(config)
    stored(tmp_path, fit, model, list(fit)[-1])
    last = load(tmp_path, LAST)
    assert last.description.finished
    assert list(begin(config, last.state, last.model.state_dict())[0]) == []


def test_a_save_that_is_killed_leaves_the_pair_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit, model = begin(Training(lr=0.02, batch=4, epochs=2))
    epochs = iter(fit)
    stored(tmp_path, fit, model, next(epochs))
    second = next(epochs)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("affcli.training.checkpoint.describe", killed)
        stored(tmp_path, fit, model, second)
    assert load(tmp_path, LAST).description.epoch == 1


def test_a_state_without_its_tensors_is_refused(tmp_path: Path) -> None:
    fit, model = begin(Training(batch=4, epochs=1))
    stored(tmp_path, fit, model, next(iter(fit)))
    path = tmp_path / "last-1.safetensors"
    tensors = safetensors.torch.load_file(path)
    del tensors["state.random.cpu.0"]
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(InputError, match=r"last-1\.safetensors: is not the file that last\.json describes"):
        load(tmp_path, LAST)
    content = json.loads((tmp_path / "last.json").read_text())
    (tmp_path / "last.json").write_text(json.dumps({**content, "tensors": recipes.digest(path)}))
    with pytest.raises(SchemaError, match="its state of the training is garbled"):
        load(tmp_path, LAST)


def test_a_nest_of_tensors_comes_back() -> None:
    tree = {"a": {0: torch.ones(2), 1: None}, "b": [torch.zeros(1), (1, 2.5)], "big": 2**100, "same": torch.ones(2)}
    plain, tensors = state.packed(tree)
    back = state.unpacked(json.loads(json.dumps(plain)), tensors)
    assert torch.equal(back["a"][0], torch.ones(2)) and back["a"][1] is None
    assert back["b"][1] == [1, 2.5] and back["big"] == 2**100
    assert sorted(tensors) == ["a.#0", "b.0", "same"]
