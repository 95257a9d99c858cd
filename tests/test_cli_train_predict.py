"""affcli train and affcli predict"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import safetensors.numpy
import torch
from commands import invoke, run
from numpy.typing import NDArray
from typer.testing import CliRunner

from affcli import recipes, tables
from affcli.cli import app
from affcli.configs import Training
from affcli.errors import InputError, OutputError, SchemaError, UsageError
from affcli.labels.read import read_affect
from affcli.schemas import AFFECT, FEATURES
from affcli.training.fit import Fit

torch.set_num_threads(1)

Write = Callable[..., Path]


TRAIN = ["--epochs", 3, "--lr", 0.01, "--batch", 4, "--device", "cpu"]


@pytest.fixture
def data(tmp_path: Path, made: Path, write_features: Write, write_labels: Write) -> Path:
    """Four clips a .. d of 40 .. 43 frames and e of 8, two feature sets that tell the labels, and windows."""
    if not list(made.iterdir()):
        rng = np.random.default_rng(0)
        for i, (clip, n) in enumerate({"a": 40, "b": 41, "c": 42, "d": 43, "e": 8}.items()):
            t = np.arange(n)
            affect = 0.7 * np.stack([np.sin(t / 9 + i), np.cos(t / 7 + i)], axis=-1)
            write_features(made / "features", clip, affect @ [[1, 0, 2], [0, 1, -1]] + rng.normal(0, 0.1, (n, 3)))
            valid = rng.random(n) > 0.1
            vectors = np.where(valid[:, None], affect + rng.normal(0, 0.1, (n, 2)), 0)
            write_features(made / "features", clip, vectors, "mel", "audio", valid)
            affect[::7] = np.nan
            write_labels(made / "labels", clip, affect)
        (made / "val.txt").write_text("d\n")
        windows = ["-o", made / "w.parquet", "--val", made / "val.txt"]
        run("window", made / "features", "--labels", made / "labels", *windows)
        run("train", made / "w.parquet", "-o", made / "run", *TRAIN)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def description(run: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((run / "best.json").read_text())
    return content


def test_a_run_says_what_it_did(data: Path) -> None:
    best = description(data / "run")
    assert best["finished"] is True
    assert list(best["features"]) == ["hog", "mel"]  # type: ignore[call-overload]
    assert best["inputs"] == [{"name": "w.parquet", "sha256": recipes.digest(data / "w.parquet")}]
    recipe = best["recipe"]
    assert recipe["step"] == "train" and recipe["parents"][0]["step"] == "window"  # type: ignore[index]
    assert recipe["config"]["lr"] == 0.01 and "device" not in recipe["config"]  # type: ignore[index]
    lines = [json.loads(line) for line in (data / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert max(line["val_ccc_mean"] for line in lines) == best["validation"]["mean"]  # type: ignore[index]
    assert set(lines[0]) == {"epoch", "train_loss", "val_ccc_valence", "val_ccc_arousal", "val_ccc_mean", "lr"}
    assert {line["lr"] for line in lines} == {0.01}


def test_standardisation_is_fitted_on_the_training_clips_alone(data: Path) -> None:
    found = safetensors.numpy.load_file(data / "run" / "best.safetensors")
    for name in ("hog", "mel"):
        rows = {clip: tables.read(data / f"features/{clip}.{name}.parquet", FEATURES) for clip in "abcde"}
        described = {clip: table.array()[table.column("valid")] for clip, table in rows.items()}
        wanted = np.concatenate([described[clip] for clip in "abce"])
        assert found[f"standardisation.{name}.mean"] == pytest.approx(wanted.mean(0), abs=1e-5)
        assert found[f"standardisation.{name}.std"] == pytest.approx(wanted.std(0), abs=1e-5)
        every = np.concatenate([wanted, described["d"]])  # d is the validation clip
        assert np.abs(wanted.mean(0) - every.mean(0)).max() > 0.01


def test_equal_inputs_and_seed_give_equal_bytes(data: Path) -> None:
    said = run("train", data / "w.parquet", "-o", data / "again", *TRAIN)
    assert said.startswith(f"affcli: {data / 'again'}: CCC valence ")
    for name in ("best.safetensors", "best.json", "metrics.jsonl"):
        assert (data / "again" / name).read_bytes() == (data / "run" / name).read_bytes()
    run("train", data / "w.parquet", "-o", data / "other", *TRAIN, "--seed", 1)
    assert recipes.digest(data / "other/best.safetensors") != recipes.digest(data / "run/best.safetensors")


def test_a_finished_run_is_kept_and_a_changed_one_made_again(data: Path) -> None:
    os.utime(data / "run/best.json", (0, 0))
    assert "up to date" in run("train", data / "w.parquet", "-o", data / "run", *TRAIN)
    assert (data / "run/best.json").stat().st_mtime > 0
    assert "up to date" not in run("train", data / "w.parquet", "-o", data / "run", *TRAIN, "--force")
    other = ["train", data / "w.parquet", "-o", data / "run", *TRAIN, "--loss", "ccc"]
    with pytest.raises(SchemaError, match=r"run: holds a finished training of other settings .loss: .*--force"):
        run(*other)
    run(*other, "--force")
    assert description(data / "run")["recipe"]["config"]["loss"] == "ccc"  # type: ignore[index]
    rewindow(data, "--labels", data / "labels", "--val-share", 0.5)
    said = run("train", data / "other.parquet", *other[2:])
    assert "what it was made of has changed: it is trained again" in said and "up to date" not in said


def break_off_in_epoch(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Ctrl-C come in an epoch, counted in this process."""
    whole = Fit._pass
    calls = []

    def break_off(fit: Fit, order: NDArray[np.int64]) -> float:
        calls.append(1)
        if len(calls) == number:
            raise KeyboardInterrupt
        return whole(fit, order)

    monkeypatch.setattr(Fit, "_pass", break_off)


def test_an_interrupted_run_leaves_its_best_epoch(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        break_off_in_epoch(2, patch)
        assert invoke("train", data / "w.parquet", "-o", data / "cut", *TRAIN).exit_code == 130
    files = ["best.json", "best.safetensors", "config.toml", "last-1.safetensors", "last.json", "metrics.jsonl"]
    assert sorted(path.name for path in (data / "cut").iterdir()) == files
    assert description(data / "cut")["finished"] is False
    assert "was broken off" in run("predict", data / "cut", data / "features", "-o", data / "preds")


def test_a_broken_off_training_goes_on_to_the_same_bytes(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2, 3):
        cut = data / f"cut{number}"
        with monkeypatch.context() as patch:
            break_off_in_epoch(number, patch)
            assert invoke("train", data / "w.parquet", "-o", cut, *TRAIN, "--resume").exit_code == 130
        resume = TRAIN if number < 3 else ["--device", "cpu", "--resume"]  # which knows the settings
        said = run("train", data / "w.parquet", "-o", cut, *resume)
        assert (f"{cut}: goes on after epoch {number - 1}" in said) == (number > 1)
        names = sorted(path.name for path in cut.iterdir())
        assert names == sorted(path.name for path in (data / "run").iterdir())
        for name in names:
            assert (cut / name).read_bytes() == (data / "run" / name).read_bytes()
        assert "up to date" in run("train", data / "w.parquet", "-o", cut, "--resume")


def test_another_training_is_not_gone_on_with(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        break_off_in_epoch(2, patch)
        assert invoke("train", data / "w.parquet", "-o", data / "cut", *TRAIN).exit_code == 130
    resume = ["train", data / "w.parquet", "-o", data / "cut", "--device", "cpu", "--resume"]
    other = r"last\.json: is of another training than this, after epoch 1 \(config\.lr: 0\.5, other 0\.01\).*--force"
    with pytest.raises(SchemaError, match=other):
        run(*resume, "--lr", 0.5)
    with pytest.raises(SchemaError, match=other):  # what was not finished is not thrown away unasked
        run("train", data / "w.parquet", "-o", data / "cut", *TRAIN, "--lr", 0.5)
    with pytest.raises(SchemaError, match=r"config\.network\.dropout: 0\.5, other 0\.25"):
        run(*resume, "--set", "dropout=0.5")
    content = json.loads((data / "cut/last.json").read_text())
    (data / "cut/last.json").write_text(json.dumps({**content, "versions": {"torch": "0.1"}}))
    assert "other versions of packages" in run(*resume)
    (data / "cut/best.json").unlink()
    (data / "cut/last-3.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"last-3\.safetensors: is not the file that last\.json describes"):
        run(*resume)
    assert "up to date" not in run("train", data / "w.parquet", "-o", data / "cut", *TRAIN, "--force")
    assert (data / "cut/best.safetensors").read_bytes() == (data / "run/best.safetensors").read_bytes()


@pytest.mark.parametrize(("model", "sets"), [("gru-audio", ["mel"]), ("gru-face", ["hog"])])
def test_single_branches_take_their_feature_set(data: Path, model: str, sets: list[str]) -> None:
    run("train", data / "w.parquet", "-o", data / model, "--model", model, *TRAIN, "--epochs", 1)
    assert list(description(data / model)["features"]) == sets  # type: ignore[call-overload]
    assert "5 made" in run("predict", data / model, data / "features", "-o", data / "preds")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "gru-pose"], r"--model gru-pose: finds no pose features among hog \(face\), mel \(audio\)"),
        (["--model", "gru-fuson"], "did you mean 'gru-fusion'"),
        (["--encoder", "hug"], "--encoder hug: is no feature set of"),
        (["--encoder", "hog", "--model", "gru-audio"], "finds no audio features"),
        (["--lr", 1e30], "made the loss infinite or NaN"),
        (["--loss", "mse+mea"], r"--loss mse\+mea: has the term 'mea', expected mse, l1, ccc"),
        (["--schedule", "cyclic", "--warmup", 1], "--warmup 1: does not go with --schedule cyclic"),
        (["--precision", "fp16"], "--precision fp16: needs a CUDA device"),
    ],
)
def test_wrong_training_options(data: Path, options: list[object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run("train", data / "w.parquet", "-o", data / "new", *TRAIN, *options)
    assert not (data / "new" / "best.json").exists()


OTHERWISE = {
    "loss": "0.5*mse+ccc",
    "ccc_over": "window",
    "ccc_moments": "mixed",
    "expression_weight": 0.75,
    "expression_over": "all",
    "au_weight": 0.25,
    "optimizer": "adamw",
    "lr": 0.02,
    "momentum": 0.5,
    "weight_decay": 0.01,
    "clip": 1.0,
    "schedule": "plateau",
    "warmup": 0.5,
    "lr_min": 1e-5,
    "cycle_up": 2.0,
    "plateau_factor": 0.25,
    "plateau_patience": 1,
    "milestones": "",
    "milestone_factor": 0.25,
    "ema": 0.5,
    "precision": "bf16",
    "compile": False,
    "balance": "valence",
    "per_clip": 6,
    "missing_share": 0.5,
    "flip": 0.25,
    "cutout": 8,
    "jitter": 0.125,
    "stage": "end-to-end",
    "batch": 8,
    "accumulate": 2,
    "epochs": 2,
    "patience": 2,
    "seed": 5,
}


OF_OTHER_NETWORKS = (
    *("expression_weight", "expression_over", "au_weight", "flip", "cutout", "jitter"),
    *("momentum", "cycle_up", "milestone_factor"),
)


def test_every_setting_is_an_option_and_in_the_recipe(data: Path) -> None:
    unused = {name: value for name, value in OTHERWISE.items() if name in OF_OTHER_NETWORKS}
    (data / "c.toml").write_text("[training]\n" + "\n".join(f"{name} = {json.dumps(unused[name])}" for name in unused))
    typed = {name: value for name, value in OTHERWISE.items() if value and name not in unused}
    options = [word for name, value in typed.items() for word in (f"--{name.replace('_', '-')}", value)]
    command = ["train", data / "w.parquet", "--device", "cpu", "--config", data / "c.toml", *options, "-o"]
    for name, value in unused.items():  # an option, and nothing to this network
        with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} {value}: is of no use to --model gru-fusion"):
            run(*command, data / "none", f"--{name.replace('_', '-')}", value)
    run(*command, data / "one")
    config = dict(description(data / "one")["recipe"]["config"])  # type: ignore[index]
    assert set(OTHERWISE) == {field.name for field in dataclasses.fields(Training)}
    assert {name: config[name] for name in OTHERWISE} == OTHERWISE
    run(*command, data / "other")
    for name in ("best.safetensors", "best.json", "metrics.jsonl"):
        assert (data / "one" / name).read_bytes() == (data / "other" / name).read_bytes()


@pytest.mark.parametrize(
    "options", [["--ema", 1], ["--clip", -1], ["--plateau-factor", 1.5], ["--schedule", "line"], ["--accumulate", 0]]
)
def test_settings_out_of_bounds_are_refused(data: Path, options: list[object]) -> None:
    found = invoke("train", data / "w.parquet", "-o", data / "new", *options)
    assert found.exit_code == 2 and f"Invalid value for '{options[0]}'" in found.stderr


def test_a_dry_run_says_how_large_and_writes_nothing(data: Path) -> None:
    before = sorted(data.rglob("*"))
    options = ["--batch", 8, "--accumulate", 2, "--optimizer", "adam", "--epochs", 5, "--device", "cpu", "--dry-run"]
    found = invoke("train", data / "w.parquet", "-o", data / "new", *options)
    lines = found.stdout.splitlines()
    windows = len(tables.read(data / "w.parquet", tables.read_header(data / "w.parquet").schema).column("clip")) - 4
    steps = -(-windows // 8)
    assert lines[:3] == [
        "hog: 4 x 15 x 3 (windows, frames, numbers)",
        "mel: 4 x 15 x 2 (windows, frames, numbers)",
        "output: 4 x 15 x 2",
    ]
    tensors = safetensors.numpy.load_file(data / "run" / "best.safetensors")
    learnt = [v.size for k, v in tensors.items() if k.startswith("model.") and "running" not in k and "num_b" not in k]
    assert lines[3:6] == [
        f"parameters: {sum(learnt)}",
        f"windows per epoch: {windows}, of 4 clips",
        f"steps per epoch: {steps}, {5 * steps} at most",
    ]
    assert lines[6].startswith("memory: about ") and len(lines) == 7
    assert sorted(data.rglob("*")) == before


def rewindow(data: Path, *options: object) -> Path:
    out = data / "other.parquet"
    run("window", data / "features", "-o", out, *options)
    return out


def test_windows_that_cannot_be_trained_on(data: Path, write_labels: Write) -> None:
    out = ["-o", data / "new", *TRAIN]
    with pytest.raises(InputError, match="has no labels"):
        run("train", rewindow(data), *out)
    with pytest.raises(InputError, match="has no val clip"):
        run("train", rewindow(data, "--labels", data / "labels", "--val-share", 0), *out)
    (data / "all.txt").write_text("a b c d e".replace(" ", "\n"))
    with pytest.raises(InputError, match="has no train clip"):
        run("train", rewindow(data, "--labels", data / "labels", "--val", data / "all.txt"), *out)
    for clip, n in {"a": 40, "b": 41, "c": 42, "d": 43, "e": 8}.items():
        write_labels(data / "none", clip, np.full((n, 2), np.nan))
    with pytest.raises(InputError, match="no frame of its 4 train clips is annotated"):
        run("train", rewindow(data, "--labels", data / "none", "--val", data / "val.txt"), *out)


def test_features_that_changed_under_the_windows_are_refused(data: Path, write_features: Write) -> None:
    write_features(data / "features", "b", np.zeros((41, 3)), version=2)
    for command in (["train", data / "w.parquet"], ["predict", data / "run", data / "w.parquet"]):
        found = CliRunner().invoke(app, [*map(str, command), "-o", str(data / "new")])
        assert "b.hog.parquet: has changed since" in str(found.exception or "") + found.stderr
    (data / "features" / "b.hog.parquet").unlink()
    with pytest.raises(InputError, match=r"b\.hog\.parquet: does not exist, but .*w\.parquet was cut from it"):
        run("train", data / "w.parquet", "-o", data / "new", *TRAIN)


def test_features_that_are_no_numbers(data: Path, write_features: Write) -> None:
    vectors = np.ones((41, 3))
    vectors[7, 1] = np.nan
    write_features(data / "features", "b", vectors)
    windows = rewindow(data, "--labels", data / "labels", "--val", data / "val.txt")
    with pytest.raises(InputError, match="hog features of clip b: hold NaN or infinity in frame 7"):
        run("train", windows, "-o", data / "new", *TRAIN)
    found = invoke("predict", data / "run", data / "features", "-o", data / "preds")
    assert found.exit_code == 3
    assert "hog features of clip b: hold NaN or infinity in frame 7" in found.stderr
    assert "5 clips: 4 made, 1 failed" in found.stderr
    found = invoke("predict", data / "run", data / "features", "-o", data / "preds.csv")
    assert found.exit_code == 3 and "not written" in found.stderr and not (data / "preds.csv").exists()


def test_damaged_windows_are_refused(data: Path) -> None:
    table = tables.read(data / "w.parquet", tables.read_header(data / "w.parquet").schema)
    columns = {name: table.column(name) for name in table.data.column_names}
    facts = table.header.facts
    for changed, said, message in (
        (
            {name: values[1:] for name, values in columns.items()},
            facts,
            "windows of clip 'a' do not cover the 40 frames",
        ),
        ({**columns, "start": columns["start"] + 1}, facts, "do not cover"),
        ({**columns, "split": np.full(len(columns["split"]), "val", object)}, facts, "otherwise than in its header"),
        (columns, {**facts, "clips": 3}, "does not say what it was cut from"),
        ({name: values[columns["clip"] != "b"] for name, values in columns.items()}, facts, "has no window of b"),
    ):
        path = data / "damaged.parquet"
        tables.write(path, table.header.schema, changed, recipe={}, inputs=[], facts=said)
        with pytest.raises(SchemaError, match=message):
            run("train", path, "-o", data / "new", *TRAIN)


def test_a_run_that_cannot_be_written(data: Path) -> None:
    with pytest.raises(OutputError, match=r"val\.txt: cannot be written"):
        run("train", data / "w.parquet", "-o", data / "val.txt", *TRAIN)


def test_every_frame_of_every_clip_is_predicted(data: Path) -> None:
    assert "5 clips: 5 made" in run("predict", data / "run", data / "features", "-o", data / "preds")
    for clip, n in {"a": 40, "b": 41, "c": 42, "d": 43, "e": 8}.items():
        table = tables.read(data / "preds" / f"{clip}.affect.parquet", AFFECT)
        assert table.data.num_rows == n
        assert table.column("valid").all()
        for name in ("valence", "arousal"):
            assert (np.abs(table.column(name)) <= 1).all()
        assert table.column("time_us").tolist() == [40_000 * frame for frame in range(n)]
        recipe = table.header.recipe
        assert recipe["step"] == "predict" and recipe["parents"][0]["step"] == "train"
        assert recipe["config"] == {"model": "gru-fusion", "length": 15, "overlap": 5}
        assert recipe["weights"] == {"best.safetensors": recipes.digest(data / "run/best.safetensors")}
        assert [one["name"] for one in table.header.inputs] == [f"{clip}.hog.parquet", f"{clip}.mel.parquet"]


def test_validation_scores_are_those_of_the_predictions(data: Path) -> None:
    from affcli.metrics import ccc

    run("predict", data / "run", data / "w.parquet", "--split", "val", "-o", data / "preds")
    assert [path.name for path in (data / "preds").iterdir()] == ["d.affect.parquet"]
    (truth,), (found,) = read_affect(data / "labels/d.affect.parquet"), read_affect(data / "preds")
    scores = description(data / "run")["validation"]
    for name in ("valence", "arousal"):
        one, other = getattr(truth, name)[truth.valid], getattr(found, name)[truth.valid]
        assert ccc(one, other) == pytest.approx(scores[name], abs=1e-6)  # type: ignore[index]


def test_the_validation_score_is_of_all_frames_together_not_a_mean_over_clips(data: Path) -> None:
    from affcli.metrics import ccc

    (data / "two.txt").write_text("d\ne\n")  # the labels of e, which is short, hardly change: its own CCC is poor
    windows = rewindow(data, "--labels", data / "labels", "--val", data / "two.txt")
    run("train", windows, "-o", data / "two", *TRAIN)
    run("predict", data / "two", windows, "--split", "val", "-o", data / "preds")
    truth = {one.clip: one for one in read_affect(data / "labels")}
    found = {one.clip: one for one in read_affect(data / "preds")}
    assert list(found) == ["d", "e"]
    for name in ("valence", "arousal"):
        pairs = [(getattr(truth[clip], name), getattr(one, name), truth[clip].valid) for clip, one in found.items()]
        true, guess = (np.concatenate([pair[i][pair[2]] for pair in pairs]) for i in (0, 1))
        score = description(data / "two")["validation"][name]  # type: ignore[index]
        assert score == pytest.approx(ccc(true, guess), abs=1e-6)
        mean = np.mean([ccc(one[valid], other[valid]) for one, other, valid in pairs])
        assert abs(score - mean) > 0.05


def test_predictions_do_not_overwrite_labels(data: Path) -> None:
    shutil.copy(data / "labels/b.affect.parquet", data / "kept.parquet")
    for options in ([], ["--force"]):
        found = invoke("predict", data / "run", data / "features", "-o", data / "labels", *options)
        assert found.exit_code == 3
        assert (
            "b.affect.parquet: was written by the step 'import-labels', expected a table of the step predict"
            in found.stderr
        )
        assert "5 clips: 5 failed" in found.stderr
        for target in (data / "labels/b.affect.parquet", data / "w.parquet"):
            with pytest.raises(SchemaError, match=f"{target}: was written by the step"):
                run("predict", data / "run", data / "features", "-o", target, *options)
    assert (data / "labels/b.affect.parquet").read_bytes() == (data / "kept.parquet").read_bytes()
    (data / "labels/b.affect.parquet").unlink()
    assert (
        "5 clips: 1 made, 4 failed" in invoke("predict", data / "run", data / "features", "-o", data / "labels").stderr
    )


def test_predictions_in_pieces_are_made_again(data: Path) -> None:
    command = ["predict", data / "run", data / "features", "-o", data / "preds"]
    run(*command)
    (data / "preds/c.affect.parquet").write_bytes(b"PAR1")
    assert "5 clips: 1 made, 4 up to date" in run(*command)


def test_broken_features_fail_their_clip_alone(data: Path) -> None:
    broken = data / "features/b.mel.parquet"
    broken.write_bytes(broken.read_bytes()[:-100])
    found = invoke("predict", data / "run", data / "features", "-o", data / "preds")
    assert found.exit_code == 3
    assert f"affcli: {broken}: cannot be read as Parquet" in found.stderr
    assert f"affcli: 5 clips: 4 made, 1 failed ({broken})" in found.stderr
    assert sorted(path.name[0] for path in (data / "preds").iterdir()) == ["a", "c", "d", "e"]


def test_predictions_are_kept_and_only_missing_ones_made(data: Path) -> None:
    command = ["predict", data / "run", data / "features", "-o", data / "preds"]
    run(*command)
    before = {path.name: path.read_bytes() for path in (data / "preds").iterdir()}
    assert "5 clips: 5 up to date" in run(*command)
    (data / "preds" / "c.affect.parquet").unlink()
    assert "5 clips: 1 made, 4 up to date" in run(*command)
    assert "5 clips: 5 made" in run(*command, "--force")
    assert {path.name: path.read_bytes() for path in (data / "preds").iterdir()} == before


def test_one_table_one_csv_or_standard_output(data: Path) -> None:
    run("predict", data / "run", data / "features", "-o", data / "preds")
    wanted = {one.clip: one for one in read_affect(data / "preds")}
    command = ["predict", data / "run", data / "w.parquet", "-o"]
    run(*command, data / "new" / "preds.parquet")
    assert "up to date" in run(*command, data / "new" / "preds.parquet")
    run(*command, data / "preds.csv")
    assert sorted(path.name for path in (data / "new").iterdir()) == ["preds.parquet"]
    for path in (data / "new" / "preds.parquet", data / "preds.csv"):
        found = {one.clip: one for one in read_affect(path)}
        assert list(found) == list("abcde")
        for clip, one in found.items():
            assert one.valence == pytest.approx(wanted[clip].valence, abs=1e-6)
            assert one.arousal == pytest.approx(wanted[clip].arousal, abs=1e-6)
    said = invoke(*command, "-", "--split", "val")
    assert said.stdout.splitlines()[0] == "clip,frame,valence,arousal"
    rows = list(csv.DictReader(io.StringIO(said.stdout)))
    assert [row["frame"] for row in rows] == [str(frame) for frame in range(43)]
    assert {row["clip"] for row in rows} == {"d"}


def test_the_number_of_windows_at_a_time_changes_nothing(data: Path) -> None:
    for batch in (1, 256):
        run("predict", data / "run", data / "features", "-o", data / f"p{batch}", "--batch", batch)
    for one, other in zip(read_affect(data / "p1"), read_affect(data / "p256"), strict=True):
        assert one.valence == pytest.approx(other.valence, abs=1e-6)


def test_windows_cut_otherwise_are_used_with_a_warning(data: Path) -> None:
    said = run("predict", data / "run", rewindow(data, "--length", 20), "-o", data / "preds")
    assert "windows of 20 frames that overlap by 5, otherwise than in the training (15, 5)" in said
    assert tables.read_header(data / "preds/a.affect.parquet").recipe["config"]["length"] == 20


def test_a_checkpoint_of_another_feature_width(data: Path, write_features: Write) -> None:
    for clip, n in {"a": 40, "b": 41, "c": 42, "d": 43, "e": 8}.items():
        write_features(data / "features", clip, np.zeros((n, 4)))
    for source in (data / "features", rewindow(data)):
        with pytest.raises(SchemaError, match="its hog features are 4 numbers wide, expected 3 as in the training"):
            run("predict", data / "run", source, "-o", data / "preds")


def test_features_made_otherwise_than_in_the_training(data: Path, write_features: Write) -> None:
    folder = data / "other"
    write_features(folder, "a", np.zeros((40, 3)), cell=8)
    shutil.copy(data / "features/a.mel.parquet", folder)
    shutil.copy(data / "features/a.mel.npy", folder)
    with pytest.raises(SchemaError, match=r"hog features were made otherwise than .*config\.cell: 8, other null"):
        run("predict", data / "run", folder, "-o", data / "preds")


def test_features_that_are_missing(data: Path) -> None:
    with pytest.raises(InputError, match="features of mel: are not among"):
        run("predict", data / "run", data / "features/a.hog.parquet", "-o", data / "preds")
    with pytest.raises(SchemaError, match="has no mel features"):
        run("predict", data / "run", rewindow(data, "--encoder", "hog"), "-o", data / "preds")
    (data / "features/b.mel.parquet").unlink()
    (data / "features/c.hog.npy").unlink()
    found = invoke("predict", data / "run", data / "features", "-o", data / "preds")
    assert found.exit_code == 3
    assert "its clip 'b' has no mel features" in found.stderr and "c.hog.npy: is missing" in found.stderr
    assert sorted(path.name[0] for path in (data / "preds").iterdir()) == ["a", "d", "e"]


def test_wrong_prediction_options(data: Path) -> None:
    for options, message in (
        ([data / "features", "--split", "val", "-o", "p"], "--split val: needs a windows table"),
        ([data / "w.parquet", data / "features", "-o", "p"], "is a windows table beside 1 other source"),
        ([data / "features", "-o", "p.txt"], r"--out p\.txt: asks for a \.txt file"),
    ):
        with pytest.raises(UsageError, match=message):
            run("predict", data / "run", *options)
    with pytest.raises(InputError, match="has no test clip"):
        run("predict", data / "run", data / "w.parquet", "--split", "test", "-o", "p")
    with pytest.raises(SchemaError, match="is a table of affect"):
        run("predict", data / "run", data / "labels/a.affect.parquet", "-o", "p")


def test_statuses_and_streams(data: Path, affcli: Callable[..., CompletedProcess[str]]) -> None:
    done = affcli("train", data / "w.parquet", "-o", data / "run", *TRAIN)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.count("\n") == 1 and "up to date" in done.stderr
    done = affcli("predict", data / "run", data / "features/e.hog.parquet", data / "features/e.mel.parquet", "-o", "-")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 9 and done.stderr == "affcli: 1 clip: 1 made\n"
    failed = affcli("predict", data / "features", data / "features", "-o", data / "preds")
    assert (failed.returncode, failed.stdout) == (3, "")
    assert "holds no best.json" in failed.stderr and failed.stderr.count("\n") == 1
