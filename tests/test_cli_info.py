"""affcli info, as typed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from affcli import __version__, recipes, tables
from affcli.recipes import digest
from affcli.schemas import FEATURES

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """A table of features with its array and a recipe of two steps."""
    parent = recipes.recipe("extract-faces", {"det_size": 320}, weights={"centerface": "ab" * 32})
    path = tmp_path / "talk.hog.parquet"
    tables.write(
        path,
        FEATURES,
        {
            "clip": np.array(["talk"] * 3, dtype=object),
            "frame": np.arange(3),
            "time_us": np.arange(3) * 40_000,
            "valid": np.array([True, True, False]),
        },
        recipe=recipes.recipe("embed", {"encoder": "hog"}, parents=[parent]),
        inputs=[{"name": "talk.faces.parquet", "sha256": "cd" * 32}],
        facts={"encoder": "hog", "modality": "face", "width": 4},
        array=np.zeros((3, 4), np.float32),
    )
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """What `info` needs of a checkpoint: a JSON file beside the tensors it names."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "best.safetensors").write_bytes(b"tensors")
    content = {
        "model": "gru-fusion",
        "validation": {"mean": 0.25},
        "inputs": [{"name": f"{i}.parquet", "sha256": "0"} for i in range(30)],
        "recipe": recipes.recipe("train", {"lr": 0.001}),
        "tensors": digest(run / "best.safetensors"),
    }
    (run / "best.json").write_text(json.dumps(content))
    return run


def test_text(affcli: Command, features: Path, checkpoint: Path) -> None:
    done = affcli("info", features, features.with_suffix(".npy"), checkpoint)
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "  table features, version 1: One vector for every decoded frame of a clip.",
        "  rows: 3",
        "    time_us int64  us  presentation time of the frame on the container's clock",
        "    width: 4  (numbers per vector)",
        "    shape: [3, 4]",
        "    name talk.faces.parquet, sha256 " + "cd" * 32,
        f"  recipe: embed (affcli {__version__})",
        f"    from: extract-faces (affcli {__version__})",
        "      det_size: 320",
        "        centerface: " + "ab" * 32,
        "  table: talk.hog.parquet",
        "  model: gru-fusion",
        "    ... and 10 more",
        f"  recipe: train (affcli {__version__})",
    ):
        assert line in done.stdout.splitlines()


def test_json(affcli: Command, features: Path, checkpoint: Path) -> None:
    done = affcli("info", "--json", features, features.with_suffix(".npy"), checkpoint / "best.json")
    assert (done.returncode, done.stderr) == (0, "")
    table, array, run = map(json.loads, done.stdout.splitlines())
    assert (table["kind"], table["schema"], table["rows"]) == ("table", "features", 3)
    assert table["columns"][2]["unit"] == "us"
    assert table["array"]["dtype"] == "float32"
    assert table["recipe"]["parents"][0]["config"] == {"det_size": 320}
    assert (array["shape"], array["table"]) == ([3, 4], features.name)
    assert (run["kind"], run["model"], run["validation"], len(run["inputs"])) == (
        "checkpoint",
        "gru-fusion",
        {"mean": 0.25},
        30,
    )


def test_one_bad_file_does_not_stop_the_others(affcli: Command, features: Path, checkpoint: Path) -> None:
    alone, wrong = features.with_name("alone.npy"), features.with_name("notes.md")
    np.save(alone, np.zeros(3))
    wrong.write_text("notes")
    (checkpoint / "best.safetensors").write_bytes(b"other")
    folder = features.parent
    done = affcli("info", alone, wrong, folder / "nothing.parquet", folder, checkpoint, features)
    assert done.returncode == 3
    assert "table features" in done.stdout
    assert [line.split(": ", 2)[2].split(",")[0].split(";")[0] for line in done.stderr.splitlines()] == [
        "stands alone",
        "is of no kind that affcli writes",
        "does not exist",
        "holds no best.json",
        "is not the file that best.json describes (its SHA-256 differs)",
    ]


def test_an_array_that_is_not_the_tables_ends_with_status_4(affcli: Command, features: Path) -> None:
    np.save(features.with_suffix(".npy"), np.zeros((2, 4), np.float32))
    done = affcli("info", features)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1)
    assert "holds float32 (2, 4), expected float32 (3, 4)" in done.stderr
