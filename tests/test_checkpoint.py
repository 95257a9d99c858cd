"""Checkpoints: equal bytes, whole or not there, and refused when anything in them is not what it should be."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from affcli import recipes
from affcli.configs import GruFusion, Windows
from affcli.errors import InputError, OutputError, SchemaError
from affcli.training.checkpoint import Checkpoint, load, prepare, save
from affcli.training.data import Standardisation
from affcli.training.description import Description, describe, keep, save_metrics
from affcli.training.fit import new_model
from affcli.windows import FeatureSet

torch.set_num_threads(1)

SETS = {"hog": FeatureSet(3, "face", {"step": "embed"}), "mel.v1": FeatureSet(2, "audio", {"step": "embed"})}
CONFIG = GruFusion(face_units=(4,), audio_units=(4,), head_units=4)
RECIPE = recipes.recipe("train", {"model": "gru-fusion"})
INPUTS = [{"name": "windows.parquet", "sha256": "0"}]


def make(run: Path, seed: int = 0, finished: bool = True) -> Checkpoint:
    description = Description(
        model="gru-fusion",
        config=recipes.plain(CONFIG),
        features=SETS,
        windows=Windows(),
        validation={"valence": 0.5, "arousal": 0.25, "mean": 0.375},
        epoch=3,
        finished=finished,
        inputs=INPUTS,
        recipe=RECIPE,
    )
    mean = {"hog": np.float32([1, 2, 3]), "mel.v1": np.float32([0, 1])}
    std = {"hog": np.float32([1, 1, 2]), "mel.v1": np.float32([3, 1])}
    return Checkpoint(run, description, new_model("gru-fusion", SETS, CONFIG, seed), Standardisation(mean, std))


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    made = save(make(tmp_path / "run"))
    found = load(tmp_path / "run")
    assert found.description == made.description
    assert found.description.tensors == hashlib.sha256((tmp_path / "run/best.safetensors").read_bytes()).hexdigest()
    features = {"hog": torch.randn(2, 5, 3), "mel.v1": torch.randn(2, 5, 2)}
    inside = torch.ones(2, 5, dtype=torch.bool)
    assert not found.model.training
    assert torch.equal(found.model(features, inside), made.model.eval()(features, inside))
    for kind in ("mean", "std"):
        for name, values in getattr(made.standardisation, kind).items():
            assert getattr(found.standardisation, kind)[name].tolist() == values.tolist()


def test_equal_checkpoints_are_equal_bytes_and_nothing_else_is_left(tmp_path: Path) -> None:
    for run in ("a", "b"):
        save(make(tmp_path / run))
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["best.json", "best.safetensors"]
    for name in ("best.json", "best.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_description_says_what_people_ask_for(tmp_path: Path) -> None:
    save(make(tmp_path))
    content = json.loads((tmp_path / "best.json").read_text())
    assert (content["format"], content["version"], content["model"]) == ("affcli checkpoint", 1, "gru-fusion")
    assert content["features"]["hog"] == {"width": 3, "modality": "face", "recipe": {"step": "embed"}}
    assert content["windows"] == {"length": 15, "overlap": 5}
    assert content["validation"]["mean"] == 0.375


def test_metrics_are_a_line_per_epoch(tmp_path: Path) -> None:
    save_metrics(tmp_path, [{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.25}])
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["train_loss"] for line in lines] == [0.5, 0.25]
    with pytest.raises(ValueError, match="JSON"):
        save_metrics(tmp_path, [{"epoch": 1, "train_loss": float("nan")}])
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_an_interrupted_save_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(make(tmp_path))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    class BreaksOff(io.BytesIO):
        def write(self, *_: object) -> int:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "open", lambda *_: BreaksOff())
        save(make(tmp_path, seed=1))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_place_that_cannot_be_written_is_said_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        prepare(tmp_path / "file")
    prepare(tmp_path / "new" / "run")
    assert list((tmp_path / "new" / "run").iterdir()) == []


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist, expected a directory that affcli train or"):
        load(tmp_path / "none")
    with pytest.raises(InputError, match=r"holds no best\.json"):
        load(tmp_path)
    save(make(tmp_path))
    (tmp_path / "best.safetensors").unlink()
    with pytest.raises(
        InputError, match=r"best\.safetensors: does not exist, but best\.json describes it.*with --force"
    ):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("{", InputError, "cannot be read"),
        ("[]", SchemaError, "does not describe a checkpoint"),
        ('{"format": "other", "version": 1}', SchemaError, "does not describe a checkpoint"),
        ('{"format": "affcli checkpoint", "version": 2}', SchemaError, "version 2.*upgrade affcli"),
        ('{"format": "affcli checkpoint", "version": 1}', SchemaError, "lacks or garbles an entry"),
    ],
)
def test_a_description_that_is_none(tmp_path: Path, text: str, kind: type[Exception], message: str) -> None:
    save(make(tmp_path))
    (tmp_path / "best.json").write_text(text)
    with pytest.raises(kind, match=message):
        load(tmp_path)


def change(run: Path, **entries: object) -> None:
    content = json.loads((run / "best.json").read_text())
    (run / "best.json").write_text(json.dumps({**content, **entries}))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"model": "gru-fission"}, "describes no model of this affcli.*gru-fission"),
        ({"config": {"layers": 3}}, "describes no model of this affcli.*layers"),
        ({"features": {"hog": {"width": 3, "modality": "smell", "recipe": {}}}}, "describes no model"),
        ({"features": {"hog": {"width": -1, "modality": "face", "recipe": {}}}}, "describes no model"),
        ({"windows": 15}, "lacks or garbles"),
        ({"recipe": 1}, "lacks or garbles"),
    ],
)
def test_a_description_of_another_model(tmp_path: Path, entries: dict[str, object], message: str) -> None:
    save(make(tmp_path))
    change(tmp_path, **entries)
    with pytest.raises(SchemaError, match=message):
        load(tmp_path)


def test_changed_or_truncated_tensors(tmp_path: Path) -> None:
    save(make(tmp_path))
    path = tmp_path / "best.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"is not the file that best\.json describes"):
        load(tmp_path)
    change(tmp_path, tensors=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(InputError, match=r"cannot be read .*expected a safetensors file"):
        load(tmp_path)


def test_tensors_of_another_model_are_listed(tmp_path: Path) -> None:
    save(make(tmp_path))
    path = tmp_path / "best.safetensors"
    tensors = safetensors.torch.load_file(path)
    del tensors["model.affect.bias"]
    tensors["model.extra"] = torch.zeros(1)
    tensors["standardisation.hog.mean"] = torch.zeros(5)
    tensors["model.hidden.bias"] = tensors["model.hidden.bias"].double()
    path.write_bytes(safetensors.torch.save(tensors))
    change(tmp_path, tensors=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(SchemaError) as caught:
        load(tmp_path)
    for problem in (
        "model.affect.bias is missing",
        "model.extra is not of this model",
        "standardisation.hog.mean is float32 [5] for float32 [3]",
        "model.hidden.bias is float64 [4] for float32 [4]",
    ):
        assert problem in str(caught.value)


def test_a_finished_run_is_kept(tmp_path: Path) -> None:
    made = save(make(tmp_path))
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    assert keep(tmp_path, RECIPE, INPUTS) == made.description
    assert all(path.stat().st_mtime > 0 for path in tmp_path.iterdir())  # so that Make does not ask again
    assert keep(tmp_path, recipes.recipe("train", {"model": "gru-face"}), INPUTS) is None
    assert keep(tmp_path, RECIPE, []) is None
    assert keep(tmp_path / "none", RECIPE, INPUTS) is None


def test_an_unfinished_or_damaged_run_is_made_again(tmp_path: Path) -> None:
    made = save(make(tmp_path, finished=False))
    assert keep(tmp_path, RECIPE, INPUTS) is None
    describe(tmp_path, dataclasses.replace(made.description, finished=True))
    assert keep(tmp_path, RECIPE, INPUTS) is not None
    (tmp_path / "best.safetensors").write_bytes(b"")
    assert keep(tmp_path, RECIPE, INPUTS) is None
