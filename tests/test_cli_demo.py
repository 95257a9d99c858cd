"""The demo and the examples: whole chains, as a newcomer runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from affcli.cli.plot import curve, panel
from affcli.labels.categories import read_expressions
from affcli.labels.files import label_stems
from affcli.labels.read import read_affect
from affcli.synthetic.curves import quadrant_expression
from affcli.synthetic.dataset import demo_clips

ROOT = Path(__file__).resolve().parents[1]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The directory of a quick demo, and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "made"
    command = [sys.executable, "-m", "affcli", "demo", str(folder), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_demo_types_every_command_and_ends_with_scores(demo: tuple[Path, str]) -> None:
    folder, said = demo
    typed = [line.split()[2] for line in said.splitlines() if line.startswith("$ affcli ")]
    assert typed == [
        *("extract-faces", "extract-audio", "embed", "embed", "import-labels", "import-labels", "import-labels"),
        *("window", "train", "predict", "score"),
    ]
    assert "CCC" in said
    assert "they say nothing about how well real affect is recognised" in said
    assert (folder / "run" / "best.safetensors").is_file()
    assert len(list((folder / "preds").glob("*.affect.parquet"))) == 3


def test_the_demo_has_expressions(demo: tuple[Path, str]) -> None:
    folder, said = demo
    assert f"import-labels {folder}/labels/Train_Set {folder}/out --expressions {folder}/expressions/Train_Set" in said
    for split, clip in (("Train_Set", "train-01"), ("Validation_Set", "val-01"), ("Test_Set", "test-01")):
        (affect,) = read_affect(folder / "out" / f"{clip}.affect.parquet")
        assert affect.expression is not None
        assert affect.expression.tolist() == quadrant_expression(affect.valence, affect.arousal).tolist()
        assert affect.expression.tolist() == read_expressions(folder / "expressions" / split / f"{clip}.txt").tolist()
    assert label_stems(folder / "labels").keys() == label_stems(folder / "expressions").keys()


def test_the_demo_learns(demo: tuple[Path, str], affcli: Command) -> None:
    folder, _ = demo
    done = affcli("score", "--ccc", folder / "preds", folder / "labels" / "Test_Set")
    scores = json.loads(done.stdout)
    assert scores["coverage"] == 1
    assert min(scores["concatenated"]["ccc"][name] for name in ("valence", "arousal")) > 0.3


def test_the_demo_again_keeps_everything_and_predicts_your_own(demo: tuple[Path, str], affcli: Command) -> None:
    folder, _ = demo
    own = folder.parent / "mine.mp4"
    shutil.copy(folder / "videos" / "test-01.mp4", own)
    done = affcli("demo", folder, "--quick", "--on", own)
    assert done.returncode == 0, done.stderr
    totals = re.findall(r"\d+ clips?: (.*)", done.stderr)
    assert totals[:9] == [f"{n} up to date" for n in (11, 11, 11, 11, 6, 2, 3, 3)] + ["1 made"]
    assert "valence" in done.stdout and "⠀" in done.stdout
    assert "200 frames, 200 with a face" in done.stdout


def test_a_demo_that_is_ended_leaves_nothing_half_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "affcli", "demo", str(tmp_path), "--quick"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(out.glob(".*.tmp")) and time.monotonic() < deadline:
        time.sleep(0.005)  # until a step is writing
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert not list(tmp_path.rglob(".*"))


def test_the_demo_leaves_other_files_alone(tmp_path: Path, affcli: Command) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "holiday.mp4").write_bytes(b"mine")
    done = affcli("demo", tmp_path)
    assert done.returncode == 2
    assert "holds holiday.mp4, which is not part of this demo" in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["videos", "holiday.mp4"]


def test_nobody_of_the_demo_is_in_two_sets() -> None:
    for quick in (True, False):
        clips = demo_clips(quick)
        assert len({clip.plan.subject for clip in clips}) == len(clips) == len({clip.name for clip in clips})
        assert any(clip.plan.absent for clip in clips) and any(clip.plan.variable_rate for clip in clips)


@pytest.fixture(scope="module")
def small(demo: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training clips and one validation clip of the demo, laid out as the examples want them."""
    folder = tmp_path_factory.mktemp("small")
    for split, names in (("Train_Set", ("train-01", "train-04")), ("Validation_Set", ("val-01",))):
        (folder / "labels" / split).mkdir(parents=True)
        (folder / "videos").mkdir(exist_ok=True)
        for name in names:
            shutil.copy(demo[0] / "videos" / f"{name}.mp4", folder / "videos")
            shutil.copy(demo[0] / "labels" / split / f"{name}.txt", folder / "labels" / split)
    return folder


@pytest.fixture
def on_path(tmp_path: Path) -> dict[str, str]:
    """An environment in which `affcli` is the command under test."""
    tool = tmp_path / "bin" / "affcli"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m affcli "$@"\n')
    tool.chmod(0o755)
    return {**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}"}


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_makefile_makes_what_is_missing_and_no_more(small: Path, on_path: dict[str, str]) -> None:
    command = ["make", "-j2", "-f", str(ROOT / "examples" / "Makefile"), "TRAIN=--epochs 2"]

    def make() -> str:
        done = subprocess.run(command, cwd=small, env=on_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert make().count("affcli extract-faces") == 3
    assert set(json.loads((small / "out" / "scores.json").read_text())["concatenated"]) == {"ccc"}
    assert "is up to date" in make()
    (small / "videos" / "val-01.mp4").touch()  # newer, but the same: its faces are kept, and touched
    assert make().count("affcli extract-faces") == 1
    assert "is up to date" in make()


def test_the_script_ends_with_a_score_table(small: Path, on_path: dict[str, str], tmp_path: Path) -> None:
    script = ROOT / "examples" / "pipeline.sh"
    done = subprocess.run(
        [script, "videos", "labels", tmp_path / "out"],
        cwd=small,
        env=on_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "CCC" in done.stdout


def test_a_curve_is_drawn_where_its_values_are() -> None:
    top, middle, bottom = curve([1, 1, 0, 0, -1, -1], width=3, height=3)
    assert top == "⠉⠀⠀"
    assert middle[0] == middle[2] == "⠀" and middle[1] != "⠀"
    assert bottom == "⠀⠀⣀"


def test_a_panel_says_its_scale() -> None:
    lines = panel("valence", [0.0] * 100, 19.6).splitlines()
    assert lines[0].strip() == "valence"
    assert lines[1].startswith("  +1 |") and lines[-2].startswith("  -1 |")
    assert lines[-1].strip().startswith("0 s") and lines[-1].endswith("19.6 s")
