"""The learning-rate range test: its rates, where it ends, what it finds, and that it leaves a run as it was."""

from __future__ import annotations

import csv
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import invoke, run
from torch import Tensor, nn

from affcli.cli.plot import rising as drawn
from affcli.configs import LrRange, Training
from affcli.errors import AffcliError, UsageError
from affcli.training.data import ClipData, WindowedClips
from affcli.training.lr_range import Tried, found_in, lr_range, rising

torch.set_num_threads(1)

Write = Callable[..., Path]
CPU = torch.device("cpu")
GRU = ["--model", "gru-face", "--device", "cpu", "--batch", 4, "--set", "face_units=4", "--set", "head_units=4"]


class Scale(nn.Module):
    """Valence w x and arousal 0: with x = 1, truth .5 and 0, the loss is (w - .5)^2 / 2 and a step w -= lr (w - .5)."""

    def __init__(self, lasts: int = 1000) -> None:
        super().__init__()
        self.w, self.lasts = nn.Parameter(torch.zeros(())), lasts

    def forward(self, features: dict[str, Tensor], inside: Tensor) -> Tensor:  # noqa: ARG002
        self.lasts -= 1
        x: Tensor = features["one"][..., :1] * (1 if self.lasts >= 0 else math.nan)
        return torch.cat([self.w * x, 0 * x], dim=-1)


def ones(value: float = 0.5) -> WindowedClips:
    """Six windows of which the vector is always 1 and valence `value`, arousal 0."""
    labels = np.stack([np.full(6, value), np.zeros(6)], axis=-1)
    clip = ClipData("a", {"one": np.ones((6, 1), np.float32)}, {"one": np.ones(6, np.bool_)}, labels, np.ones(6, bool))
    return WindowedClips([clip], np.zeros(6, np.int64), np.arange(6), np.ones(6, np.int64))


def tried(config: Training, rates: LrRange) -> list[Tried]:
    return list(lr_range(Scale(), ones(), config, CPU, rates))


SGD = Training(optimizer="sgd", momentum=0.0, batch=6)


def test_rates_rise_by_one_factor_from_the_first_to_the_last() -> None:
    rate = rising(LrRange(1e-4, 1.0, 5))
    assert [rate(step) for step in range(5)] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0], rel=1e-12)
    for first, last in ((1.0, 1.0), (1.0, 0.1)):
        with pytest.raises(UsageError, match="--lr-from 1: is not below --lr-to"):
            rising(LrRange(first, last, 5))


def test_steps_are_those_worked_by_hand() -> None:
    found = tried(SGD, LrRange(0.1, 0.4, 3))
    w, losses = 0.0, []
    for lr in (0.1, 0.2, 0.4):
        losses.append((w - 0.5) ** 2 / 2)
        w -= lr * (w - 0.5)
    assert [one.lr for one in found] == pytest.approx([0.1, 0.2, 0.4], rel=1e-12)
    assert [one.loss for one in found] == pytest.approx(losses, rel=1e-6)
    first, second, third = losses
    smoothed = [first, (0.9 * first + second) / 1.9, (0.81 * first + 0.9 * second + third) / 2.71]
    assert [one.smoothed for one in found] == pytest.approx(smoothed, rel=1e-6)


def test_the_schedule_and_the_running_average_of_a_training_are_left_out() -> None:
    usual = Training(optimizer="sgd", momentum=0.0, batch=6, schedule="cosine", warmup=3, ema=0.9, lr=7.0)
    assert tried(usual, LrRange(0.1, 0.4, 3)) == tried(SGD, LrRange(0.1, 0.4, 3))


def test_more_steps_than_an_epoch_has_go_on_with_the_next() -> None:
    assert len(tried(Training(optimizer="sgd", batch=4), LrRange(1e-6, 1e-3, 9))) == 9  # of two steps each


def test_it_ends_where_the_loss_runs_away() -> None:
    found = tried(SGD, LrRange(0.1, 1000.0, 60))
    best = np.minimum.accumulate([one.smoothed for one in found])
    above = [one.smoothed > 4 * lowest for one, lowest in zip(found, best, strict=True)]
    assert 10 < len(found) < 60
    assert above == [False] * (len(found) - 1) + [True]


def test_it_ends_where_the_loss_is_no_number() -> None:
    rates = LrRange(0.1, 0.4, 5)
    assert list(lr_range(Scale(2), ones(), SGD, CPU, rates)) == tried(SGD, rates)[:2]
    with pytest.raises(UsageError, match="makes the first loss infinite or NaN"):
        list(lr_range(Scale(0), ones(), SGD, CPU, rates))


def steps(*smoothed: float) -> list[Tried]:
    return [Tried(10.0 ** (i - 5), 9.0, one) for i, one in enumerate(smoothed)]


def test_what_is_found_follows_its_rules() -> None:
    found = found_in(steps(9, 5, 5, 4.5, 2, 1.5, 1, 3))  # the first tenth, here the first step, is left out
    assert found.steepest == pytest.approx(1e-2) and found.lowest == pytest.approx(10.0)
    assert found.safe == pytest.approx(1.0)
    assert found_in(steps(1, 2, 3)).steepest is None and found_in(steps(1, 2, 3)).lowest == pytest.approx(1e-5)
    assert found_in(steps(1)).steepest is None
    # Over two of twenty steps, not over one.
    wide = [20.0] * 8 + [18, 18, 15, 15, 11, 8.5, 8, 8, 8, 8, 8, 8]
    assert found_in(steps(*wide)).steepest == pytest.approx(10.0 ** (11 - 5))
    with pytest.raises(ValueError):
        found_in([])


def test_the_curve_has_its_powers_of_ten_and_is_cut_off_where_the_loss_runs_away() -> None:
    lines = drawn([1e-3, 1e-2, 1e-1, 1.0], [3.0, 2.0, 1.0, 50.0], width=31, height=4).splitlines()
    assert lines[1].startswith("  >4.000|") and lines[4].startswith("   1.000|")
    assert lines[-1] == " " * 9 + "1e-3      1e-2      1e-1      1e0"
    whole = drawn([1e-3, 1e-2], [2.0, 1.0], width=10, height=2).splitlines()
    assert whole[1].startswith("   2.000|")
    assert drawn([2e-3, 3e-3], [2.0, 1.0], width=10, height=2).splitlines()[-1].strip() == "2.0e-03 to 3.0e-03"
    assert drawn([1e-3], [2.0], width=10, height=2).splitlines()[-1].strip() == "1e-3"


@pytest.fixture
def data(tmp_path: Path, made: Path, write_features: Write, write_labels: Write, write_faces: Write) -> Path:
    """Three clips of 12 frames with features and crops, cut into windows, and a training on them."""
    if not list(made.iterdir()):
        random = np.random.default_rng(0)
        for clip in ("a", "b", "c"):
            affect = random.uniform(-1, 1, (12, 2))
            write_features(made / "features", clip, affect @ [[1, 0, 2], [0, 1, -1]])
            write_labels(made / "labels", clip, affect)
            for folder in ("crops", "tracks/ann", "tracks/bob"):
                crops = random.integers(0, 256, (12, 112, 112, 3), dtype=np.uint8)
                write_faces(made / folder, clip, crops, np.ones(12, np.bool_))
        cut = ["--labels", made / "labels", "--length", 4, "--overlap", 0, "--val-share", 0.3]
        run("window", made / "features", "-o", made / "w.parquet", *cut)
        run("train", made / "w.parquet", "-o", made / "run", *GRU, "--epochs", 1)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def curve_of(folder: Path) -> list[dict[str, float]]:
    with (folder / "lr_range.csv").open(newline="") as file:
        return [{name: float(value) for name, value in line.items()} for line in csv.DictReader(file)]


def test_a_run_stays_as_it_was_and_equal_tests_give_equal_bytes(data: Path) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in (data / "run").iterdir()}
    test = ["--lr-range-test", "--lr-from", 1e-5, "--lr-to", 1e-1, "--lr-steps", 12, "--clip", 1]
    done = invoke("train", data / "w.parquet", "-o", data / "run", *GRU, *test)
    assert done.exit_code == 0
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in (data / "run").iterdir()}
    csv_file, _ = after.pop("lr_range.csv")
    assert after == before
    lines = curve_of(data / "run")
    assert list(lines[0]) == ["lr", "loss", "smoothed"] and len(lines) == 12
    assert (lines[0]["lr"], lines[-1]["lr"]) == pytest.approx((1e-5, 1e-1), rel=1e-9)
    assert lines[0]["smoothed"] == pytest.approx(lines[0]["loss"], rel=1e-12)
    assert "1e-5" in done.stdout and "\u28ff" >= max(done.stdout) >= "\u2801"  # Braille
    told = [line for line in done.stdout.splitlines() if line.startswith(("falls", "lowest", "a tenth"))]
    assert len(told) == 3 and "rules of thumb" in done.stderr
    invoke("train", data / "w.parquet", "-o", data / "new", *GRU, *test)
    assert [path.name for path in (data / "new").iterdir()] == ["lr_range.csv"]
    assert (data / "new/lr_range.csv").read_bytes() == csv_file
    # A training begins with the same weights and the same windows.
    plain = ["--epochs", 1, "--lr", 1e-5, "--clip", 1, "--batch", 6]
    run("train", data / "w.parquet", "-o", data / "one", *GRU, *plain)
    invoke("train", data / "w.parquet", "-o", data / "new", *GRU, *test, "--batch", 6)
    loss = float((data / "one/metrics.jsonl").read_text().split('"train_loss": ')[1].split(",")[0])
    assert curve_of(data / "new")[0]["loss"] == pytest.approx(loss, rel=1e-6)  # an epoch is one step of all windows


@pytest.mark.parametrize("model", ["m3t-visual", "v2p-identity"])
def test_networks_that_see_are_tested_alike(data: Path, model: str) -> None:
    common = ["--model", model, "--device", "cpu", "--set", "channels=2,2,2,3,3", "--batch", 4, "--per-clip", 2]
    own: dict[str, list[object]] = {
        "m3t-visual": [data / "w.parquet", "--crops", data / "crops", "--set", "visual_units=3"],
        "v2p-identity": [data / "tracks", "--set", "classes=2", "--set", "frames=4", "--set", "identity_units=3"],
    }
    assert invoke("train", *own[model], "-o", data / "x", *common, "--lr-range-test", "--lr-steps", 4).exit_code == 0
    lines = curve_of(data / "x")
    assert [line["lr"] for line in lines] == pytest.approx(np.geomspace(1e-7, 1, 4), rel=1e-9)
    assert [path.name for path in (data / "x").iterdir()] == ["lr_range.csv"]


def test_what_does_not_go_together_is_refused(data: Path) -> None:
    def refused(text: str, kind: type[AffcliError], *more: object) -> None:
        with pytest.raises(kind, match=text):
            invoke("train", data / "w.parquet", "-o", data / "x", *GRU, *more)

    refused("--lr-from: is of a test that is not asked for", UsageError, "--lr-from", 1e-3)
    refused("--lr-steps: is of a test that is not asked for", UsageError, "--lr-steps", 9)
    for more in (["--seeds", 2], ["--folds", 2], ["--devices", 2]):
        refused("--lr-range-test: is of one network on one device", UsageError, "--lr-range-test", *more)
    refused("--lr-from 1: is not below --lr-to 1", UsageError, "--lr-range-test", "--lr-from", 1)
    with pytest.raises(UsageError, match="--lr-range-test: does not go with the stages"):
        invoke("train", data / "w.parquet", "-o", data / "x", "--lr-range-test", "--stages", data / "s.toml")
    assert not (data / "x").exists()
