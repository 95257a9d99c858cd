"""affcli score, as typed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from affcli import recipes, tables
from affcli.cli.score import score
from affcli.labels.affect import Affect
from affcli.metrics import METRICS, ccc
from affcli.schemas import AFFECT

Command = Callable[..., "subprocess.CompletedProcess[str]"]
TRUTH, GUESS = [0.1, 0.4, -0.2, 0.3], [0.2, 0.3, -0.1, 0.5]


def write_csv(path: Path, valence: list[float], arousal: list[float]) -> Path:
    rows = [f"{frame},{v},{a}\n" for frame, (v, a) in enumerate(zip(valence, arousal, strict=True))]
    path.write_text("frame,valence,arousal\n" + "".join(rows))
    return path


def write_table(path: Path, clip: str, values: list[float], recipe: recipes.Recipe) -> Path:
    columns = Affect(clip, np.array(values), np.array(values)).columns()
    tables.write(path, AFFECT, columns, recipe=recipe, inputs=[], facts={})
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return write_csv(tmp_path / "preds.csv", GUESS, TRUTH), write_csv(tmp_path / "gt.csv", TRUTH, TRUTH)


def test_two_csv_files(affcli: Command, files: tuple[Path, Path]) -> None:
    done = affcli("score", "--ccc", *files)
    assert (done.returncode, done.stderr) == (0, "")
    figures = {"valence": ccc(TRUTH, GUESS), "arousal": 1.0, "mean": (ccc(TRUTH, GUESS) + 1) / 2}
    assert json.loads(done.stdout) == {
        "concatenated": {"ccc": figures},
        "mean_over_clips": {"ccc": {**figures, "clips": 1}},
        "clips": 1,
        "frames": 4,
        "coverage": 1.0,
        "missing": "error",
        "align": None,
        "predictions_recipe": None,
    }


def test_stdin_and_all_metrics(affcli: Command, files: tuple[Path, Path]) -> None:
    done = affcli("score", "-", files[1], "--per-clip", input=files[0].read_text())
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result["concatenated"]) == list(METRICS)
    assert result["per_clip"]["gt"]["ccc"] == result["concatenated"]["ccc"]
    assert (result["per_clip"]["gt"]["frames"], result["per_clip"]["gt"]["coverage"]) == (4, 1.0)


def test_tables_print_the_recipe_and_undefined_is_null(affcli: Command, tmp_path: Path) -> None:
    recipe = recipes.recipe("predict", {"smooth": 1.5})
    preds, truth = tmp_path / "preds", tmp_path / "truth"
    for name in ("a", "b"):
        write_table(preds / f"{name}.affect.parquet", name, GUESS, recipe)
        write_table(truth / f"{name}.affect.parquet", name, TRUTH if name == "a" else [0.2] * 4, recipe)
    done = affcli("score", "--ccc", preds, truth, "--per-clip")
    result = json.loads(done.stdout)
    assert done.returncode == 0
    assert done.stderr == "affcli: constant truth leaves CCC and PCC undefined for clip b\n"
    assert result["predictions_recipe"] == recipe
    assert result["per_clip"]["b"]["ccc"] == {"valence": None, "arousal": None, "mean": None}
    assert result["mean_over_clips"]["ccc"]["clips"] == 1


def test_table_for_people(affcli: Command, files: tuple[Path, Path]) -> None:
    done = affcli("score", *files, "--table", "--per-clip")
    assert (done.returncode, done.stderr) == (0, "")
    assert "CCC  │ 0.8333  │ 1.0000  │ 0.9167 │ 0.9167" in done.stdout
    assert "clips: 1, frames: 4, coverage: 100.00%" in done.stdout
    assert "\x1b" not in done.stdout


def test_missing_predictions_end_with_status_3(affcli: Command, files: tuple[Path, Path]) -> None:
    files[0].write_text("frame,valence,arousal\n0,0.1,0.1\n1,,\n2,0.2,0.2\n3,0.1,0.3\n")
    done = affcli("score", *files)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1
    assert "preds.csv: 1 of 4 annotated frames have no prediction (first: clip 'gt', frame 1)" in done.stderr
    done = affcli("score", *files, "--missing", "interpolate", "--rmse")
    assert json.loads(done.stdout)["coverage"] == 0.75


def test_a_length_mismatch_ends_with_status_4(affcli: Command, files: tuple[Path, Path]) -> None:
    write_csv(files[0], GUESS[:3], GUESS[:3])
    done = affcli("score", *files)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith(f"affcli: {files[0]}: clip 'preds' has 3 frames, expected 4 as in {files[1]}; ")
    assert done.stderr.count("\n") == 1


def test_wrong_use_ends_with_status_2(affcli: Command, files: tuple[Path, Path]) -> None:
    done = affcli("score", "-", "-", input="")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    done = affcli("score", *files, "--missing", "drop")
    assert done.returncode == 2
    assert "interpolate" in done.stderr


def test_every_metric_has_an_option() -> None:
    assert set(METRICS) < set(score.__annotations__)
