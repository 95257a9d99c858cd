"""Labels with a row too many or too few, from window to score."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from affcli import recipes, tables
from affcli.cli import app
from affcli.cli.windowed import clip_data, read_windows
from affcli.labels.read import read_affect
from affcli.schemas import AFFECT

torch.set_num_threads(1)

Write = Callable[..., Path]

# Frames, and label rows of each clip; "c" and "d" are the validation clips.
CLIPS = {"a": (40, 41), "b": (41, 40), "c": (42, 41), "d": (38, 39), "e": (30, 30)}
TRAIN = ["--epochs", 2, "--lr", 0.01, "--batch", 4, "--device", "cpu"]


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def run(*arguments: object) -> str:
    """Run a command that ends well; returns what it said on stderr."""
    found = invoke(*arguments)
    assert found.exit_code == 0, found.output
    return str(found.stderr)


@pytest.fixture
def data(tmp_path: Path, write_features: Write, write_labels: Write) -> Path:
    rng = np.random.default_rng(0)
    for i, (clip, (n, rows)) in enumerate(CLIPS.items()):
        t = np.arange(max(n, rows))
        affect = 0.7 * np.stack([np.sin(t / 9 + i), np.cos(t / 7 + i)], axis=-1)
        write_features(tmp_path / "features", clip, (affect @ [[1, 0, 2], [0, 1, -1]])[:n] + rng.normal(0, 0.1, (n, 3)))
        write_labels(tmp_path / "labels", clip, affect[:rows])
    (tmp_path / "val.txt").write_text("c\nd\n")
    return tmp_path


def window(data: Path, mode: str) -> Path:
    out = data / f"{mode}.parquet"
    labels = ["--labels", data / "labels", "--val", data / "val.txt", "--mismatch", mode]
    said = run("window", data / "features", *labels, "-o", out)
    assert said.count("\n") == 5 and said.count(" label rows for ") == 4
    return out


@pytest.mark.parametrize("mode", ["crop", "pad"])
def test_the_chain_honours_what_window_did(data: Path, mode: str) -> None:
    windows = window(data, mode)
    index = read_windows(windows)
    for clip, (n, rows) in CLIPS.items():
        kept = min(n, rows) if mode == "crop" else n
        one = clip_data(clip, index.features(clip, ["hog"]), index.labels(clip))
        assert one.frames == len(one.features["hog"]) == len(one.valid["hog"]) == len(one.labels) == kept
        assert one.labelled.tolist() == [frame < rows for frame in range(kept)]

    run("train", windows, "-o", data / "run", *TRAIN)
    run("predict", data / "run", windows, "--split", "val", "-o", data / "preds")
    found = {one.clip: len(one) for one in read_affect(data / "preds")}
    assert found == {"c": 41 if mode == "crop" else 42, "d": 38}

    # d has a label row that no frame belongs to, so scoring must be told what to do about it, as with any other file.
    assert invoke("score", "--ccc", data / "preds", data / "labels").exit_code != 0
    truth = data / "truth"
    truth.mkdir()
    for clip in "cd":
        (truth / f"{clip}.affect.parquet").symlink_to(data / "labels" / f"{clip}.affect.parquet")
    done = invoke("score", "--ccc", data / "preds", truth, "--align", "crop")
    assert done.exit_code == 0, done.output
    best = json.loads((data / "run" / "best.json").read_text())["validation"]
    scores = json.loads(done.stdout)
    assert scores["concatenated"]["ccc"]["mean"] == pytest.approx(best["mean"], abs=1e-6)
    assert scores["coverage"] == pytest.approx(79 / 80)


def test_predictions_of_windows_cut_otherwise_are_made_again(data: Path) -> None:
    """The features are the same files, and the network is the same: only the frames differ."""
    crop, pad = window(data, "crop"), window(data, "pad")
    run("train", crop, "-o", data / "run", *TRAIN)

    def predict(*sources: object) -> str:
        return run("predict", data / "run", *sources, "-o", data / "preds")

    assert "5 clips: 5 made" in predict(crop)
    assert "5 clips: 5 up to date" in predict(crop)
    digest = recipes.digest(data / "features" / "b.hog.parquet")
    table = tables.read(data / "preds" / "b.affect.parquet", AFFECT)
    assert table.header.inputs == [{"name": "b.hog.parquet", "sha256": digest, "frames": "the first 40"}]
    assert table.data.num_rows == 40
    # The clips whose labels are shorter get their last frame back; the others are as they were.
    assert "5 clips: 2 made, 3 up to date" in predict(pad)
    assert "5 clips: 5 up to date" in predict(data / "features")
    assert tables.read_header(data / "preds" / "b.affect.parquet").inputs == [
        {"name": "b.hog.parquet", "sha256": digest}
    ]
