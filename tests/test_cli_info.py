"""affcli info, as typed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from affcli import __version__, recipes, tables
from affcli.configs import Windows
from affcli.recipes import digest
from affcli.schemas import FEATURES
from affcli.training.description import Description, describe
from affcli.windows import FeatureSet

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
    """What `info` needs of a checkpoint: a description beside the tensors it names."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "best.safetensors").write_bytes(b"tensors")
    description = Description(
        model="gru-fusion",
        config={"units": [4]},
        features={"hog": FeatureSet(4, "face", {"step": "embed"})},
        windows=Windows(),
        validation={"mean": 0.25},
        epoch=3,
        finished=True,
        inputs=[{"name": f"{i}.parquet", "sha256": "0"} for i in range(30)],
        recipe=recipes.recipe("train", {"lr": 0.001}),
        tensors=digest(run / "best.safetensors"),
    )
    describe(run, description)
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
        "is a directory of tables",
        "is not the file that best.json describes (its SHA-256 differs)",
    ]


def test_an_array_that_is_not_the_tables_ends_with_status_4(affcli: Command, features: Path) -> None:
    np.save(features.with_suffix(".npy"), np.zeros((2, 4), np.float32))
    done = affcli("info", features)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1)
    assert "holds float32 (2, 4), expected float32 (3, 4)" in done.stderr


@pytest.mark.parametrize("ending", [".parquet", ".npy"])
def test_an_array_with_other_numbers_ends_with_status_4(affcli: Command, features: Path, ending: str) -> None:
    array = features.with_suffix(".npy")
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    done = affcli("info", features.with_suffix(ending))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1)
    assert f"{array}: is not the array that {features.name} was written with (SHA-256 " in done.stderr


def test_a_description_of_no_checkpoint_ends_with_status_4(affcli: Command, checkpoint: Path) -> None:
    (checkpoint / "best.json").write_text('{"model": "gru-fusion"}')
    done = affcli("info", checkpoint)
    assert (done.returncode, done.stdout) == (4, "")
    assert "best.json: does not describe a checkpoint, expected format 'affcli checkpoint', version 1" in done.stderr


def test_a_checkpoint_is_read_without_the_network(checkpoint: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['affcli', 'info', sys.argv[1]]\n"
        "from affcli.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program, checkpoint], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "  model: gru-fusion" in done.stdout.splitlines()


def test_odd_recipes_are_shown_as_they_are(affcli: Command, features: Path) -> None:
    table = tables.read(features, FEATURES)
    columns = {name: table.column(name) for name in table.data.column_names}
    for recipe in ({}, {"step": "x", "config": [1], "parents": 3}, {"step": "x", "parents": [{}, 1]}):
        facts, array = table.header.facts, np.zeros((3, 4), np.float32)
        tables.write(features, FEATURES, columns, recipe=recipe, inputs=[], facts=facts, array=array)
        done = affcli("info", features)
        assert (done.returncode, done.stderr) == (0, ""), recipe
