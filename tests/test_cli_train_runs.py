"""affcli train: settings from files, folds, seeds, searches, several devices, and being ended."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import invoke, run

from affcli import configs, recipes
from affcli.cli import launch
from affcli.cli.plot import learning
from affcli.errors import AffcliError, AssetError, InputError, OutputError, UsageError
from affcli.labels.read import read_affect
from affcli.training import tuning

torch.set_num_threads(1)

Write = Callable[..., Path]
TRAIN = ["--epochs", 2, "--lr", 0.01, "--batch", 16, "--device", "cpu", "--set", "face_units=8"]


@pytest.fixture
def data(made: Path, tmp_path: Path, write_features: Write, write_labels: Write) -> Path:
    """Six clips of 60 frames; two of them are people of one video, who stay together."""
    if not list(made.iterdir()):
        rng = np.random.default_rng(0)
        for i, name in enumerate(("a", "b", "c", "v_left", "v_right", "z")):
            t = np.arange(60)
            affect = 0.7 * np.stack([np.sin(t / 9 + i), np.cos(t / 7 + i)], axis=-1)
            write_features(made / "features", name, affect @ [[1, 0, 2], [0, 1, -1]] + rng.normal(0, 0.1, (60, 3)))
            write_labels(made / "labels", name, affect)
        people = "clip,subject\na,Ann\nb,Bob\nc,Ann\nv,Cid\nz,Dan\n"
        (made / "people.csv").write_text(people)
        options = ["--subjects", made / "people.csv", "--val-share", 0.3]
        run("window", made / "features", "--labels", made / "labels", "-o", made / "w.parquet", *options)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}


def test_what_was_used_is_written_and_does_it_again(data: Path) -> None:
    run("train", data / "w.parquet", "-o", data / "one", *TRAIN, "--loss", "0.5*mse+ccc")
    text = (data / "one/config.toml").read_text()
    used = tomllib.loads(text)
    assert used["model"] == "gru-fusion" and used["encoders"] == ["hog"]
    for part, config in (("training", configs.Training), ("network", configs.GruFusion), ("runs", configs.Runs)):
        assert list(used[part]) == [field.name for field in dataclasses.fields(config)]
    assert used["training"]["loss"] == "0.5*mse+ccc" and used["network"]["face_units"] == [8]
    assert max(map(len, text.splitlines())) <= 120
    run("train", data / "w.parquet", "-o", data / "two", "--config", data / "one/config.toml", "--device", "cpu")
    assert files(data / "one") == files(data / "two")


def test_smoothing_is_tuned_on_the_times_of_the_val_clips(
    data: Path, write_features: Write, write_labels: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for name, frames in (("a", 60), ("b", 50), ("c", 40)):
        affect = rng.uniform(-1, 1, (frames, 2))
        write_features(data / "f", name, affect @ np.ones((2, 3)), period_us=80_000)
        affect[::5] = np.nan
        write_labels(data / "l", name, affect)
    (data / "val.txt").write_text("b\nc\n")
    run("window", data / "f", "--labels", data / "l", "-o", data / "slow.parquet", "--val", data / "val.txt")
    found: list[tuning.Curves] = []
    monkeypatch.setattr(tuning, "tune", lambda clips: found.extend(clips) or "mean:3s")
    run("train", data / "slow.parquet", "-o", data / "run", *TRAIN)
    assert [one.time_us.tolist() for one in found] == [[80_000 * frame for frame in range(n)] for n in (50, 40)]
    assert [one.labelled.tolist() for one in found] == [[frame % 5 > 0 for frame in range(n)] for n in (50, 40)]
    run("predict", data / "run", data / "f", "-o", data / "preds")
    for one, name in zip(found, "bc", strict=True):
        affect = read_affect(data / f"preds/{name}.affect.parquet")[0]
        assert one.prediction[:, 0] == pytest.approx(affect.valence, abs=1e-6)
    assert json.loads((data / "run/best.json").read_text())["smooth"] == "mean:3s"


def test_flags_come_before_the_file_and_the_file_before_defaults(data: Path) -> None:
    config = data / "c.toml"
    config.write_text(
        '\ufeffmodel = "gru-face"\n[training]\nepochs = 1\nlr = 1\nloss = "l1"\n[network]\ndropout = 0.5\n', "utf-8"
    )
    options = ["--config", config, "--lr", 0.02, "--set", "face_units=4", "--device", "cpu"]
    run("train", data / "w.parquet", "-o", data / "run", *options)
    used = tomllib.loads((data / "run/config.toml").read_text())
    assert used["model"] == "gru-face"
    assert (used["training"]["lr"], used["training"]["loss"], used["training"]["epochs"]) == (0.02, "l1", 1)
    assert (used["network"]["dropout"], used["network"]["face_units"]) == (0.5, [4])
    assert used["training"]["batch"] == 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trainin]\nlr = 1", r"c\.toml: trainin: is no part of a configuration, expected one of model, encoders"),
        ("lr = 1", r"c\.toml: lr: is no part"),
        ("[training]\nlearning_rate = 1", r"c\.toml: \[training\] learning_rate: is no setting of affcli train"),
        ('[training]\nlr = "a"', r'c\.toml: \[training\] lr = "a": is not what it takes, expected a number'),
        ("[training]\nlr = -1", "expected a number of at least 0"),
        ("[training]\nlr = nan", "expected a finite number"),
        ("[training]\nepochs = 1.5", "expected a whole number"),
        ("[training]\nepochs = true", "expected a whole number"),
        ('[training]\noptimizer = "lion"', "expected rmsprop or adam or adamw or sgd"),
        ("[network]\nunits = 1", r"c\.toml: \[network\] units: is no setting of gru-fusion"),
        ("[network]\nface_units = 4", "a list of them"),
        ("[runs]\nfolds = -1", "expected a whole number of at least 0"),
        ("model = 3", "c.toml: model: is of another kind, expected a name in quotes"),
        ('encoders = "hog"', "expected a list of names"),
        ('model = "gru"', "gru: is no model"),
    ],
)
def test_a_file_that_says_what_there_is_not(data: Path, text: str, message: str) -> None:
    (data / "c.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        run("train", data / "w.parquet", "-o", data / "run", "--config", data / "c.toml")
    assert not (data / "run").exists()


@pytest.mark.parametrize("content", [b"[training\n", b"\xff\xfe\x00"])
def test_a_file_that_is_no_toml(data: Path, content: bytes) -> None:
    (data / "c.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"c\.toml: cannot be read .*expected a TOML file"):
        run("train", data / "w.parquet", "-o", data / "run", "--config", data / "c.toml")
    with pytest.raises(InputError, match=r"nix\.toml: cannot be read \(No such file"):
        run("train", data / "w.parquet", "-o", data / "run", "--config", data / "nix.toml")


@pytest.mark.parametrize("group", ["video", "subject"])
def test_folds_predict_every_clip_by_networks_that_have_not_seen_it(data: Path, group: str) -> None:
    command = ["train", data / "w.parquet", "-o", data / "cv", *TRAIN, "--folds", 3, "--seeds", 2, "--group", group]
    run(*command)
    found = rows(data / "cv/runs.csv")
    assert [one["run"] for one in found] == [f"fold-{fold}/seed-{seed}" for fold in (1, 2, 3) for seed in (0, 1)]
    held = {}
    for fold in (1, 2, 3):
        description = json.loads((data / f"cv/fold-{fold}/seed-1/best.json").read_text())
        said = description["recipe"]["config"]
        assert (said["folds"], said["fold"], said["group"], said["seed"]) == (3, fold, group, 1)
        for clip in ["a", "b", "c", "v_left", "v_right", "z"]:
            path = data / f"cv/oof/{clip}.affect.parquet"
            parents = read_affect(path)[0].recipe["parents"]  # type: ignore[index]
            if parents[0]["config"]["fold"] == fold:
                assert [one["config"]["seed"] for one in parents] == [0, 1]
                held[clip] = fold
    assert len(held) == 6 and held["v_left"] == held["v_right"] and set(held.values()) == {1, 2, 3}
    if group == "subject":
        assert held["a"] == held["c"]
    # The score of a fold is that of its own clips, predicted by its own network.
    alone = data / "alone"
    run("predict", data / "cv/fold-1/seed-0", data / "features", "-o", alone)
    truth = data / "truth"
    shutil.copytree(data / "labels", truth)
    for clip, fold in held.items():
        if fold != 1:
            (alone / f"{clip}.affect.parquet").unlink()
            (truth / f"{clip}.affect.parquet").unlink()
    scores = json.loads(invoke("score", "--ccc", alone, truth).stdout)
    assert float(found[0]["mean"]) == pytest.approx(scores["concatenated"]["ccc"]["mean"], abs=1e-6)
    summary = json.loads((data / "cv/summary.json").read_text())["points"][0]
    means = np.reshape([float(one["mean"]) for one in found], (3, 2)).mean(axis=1)
    assert summary["runs"] == 6 and summary["mean"]["n"] == 3
    assert summary["mean"]["mean"] == pytest.approx(means.mean())
    assert summary["mean"]["sd"] == pytest.approx(means.std(ddof=1))
    together = json.loads(invoke("score", "--ccc", data / "cv/oof", data / "labels").stdout)
    assert summary["out_of_fold"]["mean"] == pytest.approx(together["concatenated"]["ccc"]["mean"], abs=1e-7)
    assert summary["out_of_fold"]["frames"] == 360


def test_networks_side_by_side_are_those_one_after_the_other(data: Path) -> None:
    command = ["train", data / "w.parquet", *TRAIN, "--seeds", 2, "-o"]
    run(*command, data / "one")
    assert "up to date" in run(*command, data / "one")
    run(*command, data / "two", "--workers", 2)
    for seed in (0, 1):
        assert files(data / f"one/seed-{seed}") == files(data / f"two/seed-{seed}")
    assert files(data / "one") == files(data / "two")
    alone = data / "alone"
    run("train", data / "w.parquet", *TRAIN, "--seed", 1, "-o", alone)
    assert files(alone) == files(data / "one/seed-1")


def test_a_grid_is_a_network_for_each_combination(data: Path) -> None:
    grid = data / "grid.toml"
    grid.write_text("[training]\nlr = [0.01, 1e30]\nbatch = 8\n[network]\ndropout = [0.0, 0.5]\n")
    options = ["--epochs", 2, "--batch", 16, "--device", "cpu", "--set", "face_units=8", "--grid", grid]
    found = invoke("train", data / "w.parquet", "-o", data / "g", *options)
    assert found.exit_code == 3  # two of four failed, and the others were made
    table = rows(data / "g/runs.csv")
    assert [(one["run"], one["training.lr"], one["network.dropout"]) for one in table] == [
        ("point-1", "0.01", "0.0"),
        ("point-2", "0.01", "0.5"),
        ("point-3", "1e+30", "0.0"),
        ("point-4", "1e+30", "0.5"),
    ]
    assert [one["failed"][:11] for one in table] == ["", "", "--lr 1e+30:", "--lr 1e+30:"]
    used = tomllib.loads((data / "g/point-2/config.toml").read_text())
    assert used["network"]["dropout"] == 0.5 and used["network"]["face_units"] == [8]
    assert used["training"]["batch"] == 16  # the command line goes before the file
    points = json.loads((data / "g/summary.json").read_text())["points"]
    assert [point["directory"] for point in points] == ["point-1", "point-2"]
    assert points[1]["settings"] == {"training.lr": 0.01, "network.dropout": 0.5}
    assert "2 of 4 networks failed (point-3, point-4)" in found.stderr and "0.01" in found.stdout
    with pytest.raises(UsageError, match=r"--lr: is varied by .*grid\.toml"):
        run("train", data / "w.parquet", "-o", data / "h", "--lr", 1, "--grid", grid)
    with pytest.raises(UsageError, match=r"--set dropout: is varied by .*grid\.toml"):
        run("train", data / "w.parquet", "-o", data / "h", "--set", "dropout=0", "--grid", grid)
    grid.write_text('model = ["gru-face", "gru-audio"]\n')
    with pytest.raises(UsageError, match="--model gru-audio: finds no audio features"):
        run("train", data / "w.parquet", "-o", data / "h", "--grid", grid)
    grid.write_text("[training]\nepochs = [1, 2]\nlr = [0.1, -1.0]\n")
    with pytest.raises(UsageError, match=r"grid\.toml: \[training\] lr = -1\.0: is not what it takes"):
        run("train", data / "w.parquet", "-o", data / "h", "--grid", grid)
    assert not (data / "h").exists()


def test_folds_that_cannot_be(data: Path) -> None:
    for options, message in (
        (["--folds", 1], "--folds 1: leaves nothing to train on"),
        (["--group", "subject"], "--group: is of folds, and there are none"),
        (["--folds", 6], "--folds 6: has 5 groups of clips"),
        (["--folds", 5, "--group", "subject"], "--folds 5: has 4 groups of clips"),
    ):
        with pytest.raises(UsageError, match=message):
            run("train", data / "w.parquet", "-o", data / "cv", *TRAIN, *options)
    run("window", data / "features", "--labels", data / "labels", "-o", data / "u.parquet")
    with pytest.raises(UsageError, match="--group subject: the windows do not say who is seen in a, b"):
        run("train", data / "u.parquet", "-o", data / "cv", *TRAIN, "--folds", 2, "--group", "subject")
    assert not (data / "cv").exists()


def test_tensorboard_that_is_not_there(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(AssetError, match=r"tensorboard: is not installed.*affcli\[tensorboard\]"):
        run("train", data / "w.parquet", "-o", data / "run", *TRAIN, "--tensorboard")


def test_tensorboard_has_the_numbers_of_every_epoch(data: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run("train", data / "w.parquet", "-o", data / "run", *TRAIN, "--tensorboard")
    events = EventAccumulator(str(data / "run/tensorboard"))
    events.Reload()
    lines = [json.loads(line) for line in (data / "run/metrics.jsonl").read_text().splitlines()]
    assert [one.value for one in events.Scalars("val/ccc_mean")] == pytest.approx(
        [one["val_ccc_mean"] for one in lines], abs=1e-6
    )
    assert sorted(events.Tags()["scalars"]) == sorted(
        ["train/loss", "train/lr", "val/ccc_arousal", "val/ccc_mean", "val/ccc_valence"]
    )


def test_learning_curves_are_drawn_on_their_own_scales() -> None:
    epochs = [
        {"epoch": number, "train_loss": 1 / number, "val_ccc_valence": 0.5, "val_ccc_arousal": number / 10}
        for number in range(1, 6)
    ]
    lines = learning(epochs, 20).splitlines()
    assert len(lines) == 3 * 5 + 1 and {len(line) for line in lines[1:5]} == {29}
    assert lines[1].startswith("   1.000|⠉") and lines[4].startswith("   0.200|")
    assert lines[11].startswith("   0.500|") and lines[14].startswith("   0.100|⣀")
    assert lines[-1].split() == ["epoch", "1", "5"]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "affcli", *map(str, arguments)]


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.02)


def epochs_in(path: Path) -> int:
    try:
        return int(json.loads(path.read_text())["epoch"])
    except FileNotFoundError:
        return 0


LONG = [*TRAIN, "--epochs", 60, "--patience", 60]


@pytest.mark.parametrize("devices", [1, 2])
def test_ctrl_c_leaves_the_last_checkpoint(data: Path, devices: int) -> None:
    words = command("train", data / "w.parquet", "-o", data / "run", *LONG, "--epochs", 5000, "--devices", devices)
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(lambda: epochs_in(data / "run/last.json") >= 2, process)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    known = json.loads((data / "run/last.json").read_text())
    if devices == 1:  # of several, torchrun may end the one that would say so
        assert (
            said == f"affcli: {data / 'run'}: ended after epoch {known['epoch']}; the same command goes on from there\n"
        )
    assert not list((data / "run").glob(".*"))
    assert known["finished"] is False
    tensors = data / f"run/last-{known['epoch']}.safetensors"
    assert recipes.digest(tensors) == known["tensors"]
    assert len((data / "run/metrics.jsonl").read_text().splitlines()) >= known["epoch"]


def test_a_process_that_dies_is_replaced_and_the_weights_are_the_same(data: Path) -> None:
    words = ["train", data / "w.parquet", *LONG, "--devices", 2, "-o"]
    unbroken = subprocess.run(command(*words, data / "one"), capture_output=True, text=True, check=True)
    assert unbroken.stderr.count("\n") == 1
    process = subprocess.Popen(command(*words, data / "two"), stderr=subprocess.PIPE, text=True)
    wait_for(lambda: epochs_in(data / "two/last.json") >= 3, process)
    os.kill(worker_of(process), signal.SIGKILL)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0 and "a process died: all have begun anew" in said and "Traceback" not in said
    assert files(data / "one") == files(data / "two")
    # Of two processes each draws its own dropout: another training than that of one.
    description = json.loads((data / "two/best.json").read_text())
    assert description["recipe"]["config"]["devices"] == 2


def command_lines() -> dict[int, list[str]]:
    """The command line of every process, by number."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            found[int(path.parent.name)] = path.read_bytes().decode(errors="replace").split("\0")
    return found


def worker_of(process: subprocess.Popen[str]) -> int:
    """One of the processes of --devices."""
    parent = f"PPid:\t{process.pid}\n"
    return next(
        pid
        for pid, words in sorted(command_lines().items(), reverse=True)
        if "-o" in words and parent in Path(f"/proc/{pid}/status").read_text()
    )


def test_what_is_forced_is_forced_though_a_process_dies(data: Path) -> None:
    words = command("train", data / "w.parquet", "-o", data / "run", *LONG, "--devices", 2, "--seeds", 2)
    subprocess.run(words, check=True)
    stamps = {seed: (data / f"run/seed-{seed}/best.json").stat().st_mtime_ns for seed in (0, 1)}
    process = subprocess.Popen([*words, "--force"], stderr=subprocess.PIPE, text=True)
    wait_for(lambda: 3 <= epochs_in(data / "run/seed-0/last.json") < 60, process)
    os.kill(worker_of(process), signal.SIGKILL)
    said = process.communicate(timeout=180)[1]
    assert process.returncode == 0 and "up to date" not in said
    assert f"{data / 'run/seed-0'}: goes on after epoch" in said and "seed-1: goes on" not in said
    for seed, before in stamps.items():
        assert (data / f"run/seed-{seed}/best.json").stat().st_mtime_ns != before


@pytest.mark.parametrize("options", [["--devices", 2], ["--seeds", 2, "--workers", 2]])
def test_nobody_goes_on_when_the_command_is_killed(data: Path, options: list[object]) -> None:
    words = command("train", data / "w.parquet", "-o", data / "run", *LONG, "--epochs", 5000, *options)
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, text=True)
    lines = data / "run" / ("seed-0" if "--seeds" in options else "") / "last.json"
    wait_for(lambda: epochs_in(lines) >= 1, process)
    process.kill()
    process.wait()
    end = time.monotonic() + 60
    while any(str(data / "run") in words for words in command_lines().values()):
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_network_that_fails_does_not_stop_the_others_on_several_devices(data: Path) -> None:
    (data / "g.toml").write_text("[training]\nlr = [1e30, 0.01]\n")
    options = ["--epochs", 2, "--batch", 16, "--device", "cpu", "--set", "face_units=8", "--devices", 2]
    words = command("train", data / "w.parquet", "-o", data / "g", *options, "--grid", data / "g.toml")
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert found.returncode == 3
    assert found.stderr.count("point-2: CCC") == 1 and found.stderr.count("point-1: --lr") == 1, found.stderr
    assert [bool(one["failed"]) for one in rows(data / "g/runs.csv")] == [True, False]
    # A run of several devices does it again on as many.
    again = command("train", data / "w.parquet", "-o", data / "two", "--config", data / "g/point-2/config.toml")
    subprocess.run([*again, "--device", "cpu"], check=True)
    assert files(data / "two")["best.safetensors"] == files(data / "g/point-2")["best.safetensors"]


def test_a_search_goes_on_without_its_file(data: Path) -> None:
    (data / "g.toml").write_text("[training]\nlr = [0.01, 0.02]\nbatch = 8\nepochs = 2\n")
    options = ["--batch", 16, "--device", "cpu", "--set", "face_units=8"]
    run("train", data / "w.parquet", "-o", data / "g", *options, "--grid", data / "g.toml")
    shutil.rmtree(data / "g/point-2")
    (data / "g.toml").unlink()
    said = run("train", data / "w.parquet", "-o", data / "g", "--resume", "--device", "cpu")
    assert f"{data / 'g/point-1'}: up to date" in said and f"{data / 'g/point-2'}: CCC" in said
    for message, words in (
        ("holds several trainings", ["-o", data / "g", *TRAIN]),
        ("holds a training of its own", ["-o", data / "g/point-1", *TRAIN, "--seeds", 2]),
    ):
        with pytest.raises(UsageError, match=message):
            run("train", data / "w.parquet", *words)
    found = invoke("info", data / "g")
    assert found.exit_code == 3
    assert "g: holds several networks: point-1, point-2, expected one of them; name it: " in found.stderr


def test_a_slip_costs_no_finished_training(data: Path) -> None:
    run("train", data / "w.parquet", "-o", data / "run", *TRAIN)
    before = files(data / "run")
    with pytest.raises(UsageError, match="--lr 1e\\+30: made the loss infinite"):
        run("train", data / "w.parquet", "-o", data / "run", *TRAIN, "--lr", 1e30, "--force")
    assert files(data / "run") == before


def test_two_trainings_do_not_write_one_run(data: Path) -> None:
    words = command("train", data / "w.parquet", "-o", data / "run", *LONG, "--epochs", 5000)
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, text=True)
    wait_for(lambda: epochs_in(data / "run/last.json") >= 1, process)
    with pytest.raises(OutputError, match="run: is being written by another process; wait for it, or end it"):
        run("train", data / "w.parquet", "-o", data / "run", *LONG, "--epochs", 5000)
    process.terminate()
    assert process.wait() == 143


def test_settings_of_a_network_are_of_that_network_only(data: Path) -> None:
    run("train", data / "w.parquet", "-o", data / "one", *TRAIN)
    options = ["--config", data / "one/config.toml", "--model", "bilstm-fusion", "--set", "face_units=4"]
    assert "its [network] is of gru-fusion" in run("train", data / "w.parquet", "-o", data / "two", *options)
    used = tomllib.loads((data / "two/config.toml").read_text())["network"]
    assert (used["cell"], used["bidirectional"], used["face_units"]) == ("lstm", True, [4])
    (data / "g.toml").write_text('model = ["gru-face", "bilstm-fusion"]\n')
    run("train", data / "w.parquet", "-o", data / "g", *TRAIN, "--grid", data / "g.toml")
    for number, cell in ((1, "gru"), (2, "lstm")):
        used = tomllib.loads((data / f"g/point-{number}/config.toml").read_text())["network"]
        assert (used["cell"], used["face_units"]) == (cell, [8])


def test_a_dry_run_counts_the_networks(data: Path) -> None:
    (data / "g.toml").write_text("[network]\nface_units = [[4], [16]]\n")
    words = ["train", data / "w.parquet", "-o", data / "g", "--grid", data / "g.toml", "--folds", 3, "--dry-run"]
    lines = invoke(*words).stdout.splitlines()
    assert lines[0] == "networks: 6, of which point-1/fold-1 takes:" and "parameters: " in lines[3]
    with pytest.raises(UsageError, match="--folds 99: has 5 groups"):
        run(*words, "--folds", 99)
    with pytest.raises(UsageError, match="leaves no 2 seeds"):
        run("train", data / "w.parquet", "-o", data / "g", "--seed", 2**63 - 1, "--seeds", 2)


def test_what_fails_in_every_process_is_said_once(data: Path) -> None:
    words = command("train", data / "w.parquet", "-o", data / "run", *TRAIN, "--lr", 1e30, "--devices", 2)
    failed = subprocess.run(words, capture_output=True, text=True, check=False)
    assert failed.returncode == 2 and failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("affcli: --lr 1e+30: made the loss infinite or NaN in epoch 1")


@pytest.mark.parametrize(
    ("device", "devices", "workers", "message"),
    [
        ("cpu", 2, 3, "--workers 3: does not go with --devices 2"),
        ("mps", 2, 1, "--device mps: is one device"),
        ("auto", 4, 1, r"--devices 4: finds 2 CUDA devices,"),
    ],
)
def test_devices_that_cannot_be(
    device: str, devices: int, workers: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(AffcliError, match=message):
        launch.check(device, devices, workers)
    launch.check("cuda", 2, 1)
