"""affcli score, as typed."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import invoke
from numpy.typing import NDArray

from affcli import recipes, tables
from affcli.cli.panels import SCORE
from affcli.cli.score import score
from affcli.cli.score_checks import form_of
from affcli.errors import AffcliError, InputError, UsageError
from affcli.labels.affect import Affect
from affcli.metrics import METRICS, ccc
from affcli.schemas import AFFECT, WINDOWS

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
    assert done.stderr == "affcli: constant truth leaves CCC and PCC of valence and arousal undefined for clip b\n"
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


HEADER = "clip,frame,valence,arousal\n"


def scored(*arguments: object) -> dict[str, Any]:
    """What `affcli score` says as JSON; it ends well."""
    done = invoke("score", *arguments)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def write_clips(path: Path, count: int = 12, noise: float = 0.2, frames: int = 50, seed: int = 0) -> Path:
    """Clips c0, c1, ... of noisy curves; without noise the truth."""
    random = np.random.default_rng(seed)
    lines = [HEADER]
    for clip in range(count):
        curve = np.sin(np.arange(frames) / 9 + clip) * 0.6
        values = np.clip(curve + random.normal(0, noise, (2, frames)), -1, 1) if noise else (curve, curve)
        lines += [f"c{clip},{frame},{v},{a}\n" for frame, (v, a) in enumerate(zip(*values, strict=True))]
    path.write_text("".join(lines))
    return path


@pytest.fixture
def systems(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A good prediction, a worse one, and the truth."""
    good, bad = write_clips(tmp_path / "good.csv", noise=0.1), write_clips(tmp_path / "bad.csv", noise=0.5, seed=1)
    return good, bad, write_clips(tmp_path / "gt.csv", noise=0)


def write_windows(path: Path, clips: dict[str, dict[str, Any]]) -> Path:
    columns = {column.name: np.zeros(0, np.int32) for column in WINDOWS.columns}
    columns |= {"clip": np.zeros(0, object), "split": np.zeros(0, object)}
    facts = {"length": 8, "overlap": 0, "features": {}, "clips": clips}
    tables.write(path, WINDOWS, columns, recipe=recipes.recipe("window", {}), inputs=[], facts=facts)
    return path


def write_timed(path: Path, values: NDArray[np.float64], period_us: int = 40_000) -> Path:
    times = np.arange(len(values), dtype=np.int64) * period_us
    columns = Affect(path.name.split(".")[0], values, values, time_us=times).columns()
    tables.write(path, AFFECT, columns, recipe=recipes.recipe("predict", {}), inputs=[], facts={})
    return path


def test_intervals_hold_the_score_and_depend_on_the_seed_alone(systems: tuple[Path, Path, Path]) -> None:
    words = ("--ccc", systems[0], systems[2], "--ci", 90, "--resamples", 200)
    found = scored(*words)
    drawn = {key: found["intervals"][key] for key in ("level", "method", "resamples", "seed", "of")}
    assert drawn == {"level": 90.0, "method": "percentile", "resamples": 200, "seed": 0, "of": "clips"}
    for name, value in found["concatenated"]["ccc"].items():
        interval = found["intervals"]["ccc"][name]
        assert interval["low"] < value < interval["high"]
    assert scored(*words) == found
    assert scored(*words, "--seed", 1)["intervals"]["ccc"] != found["intervals"]["ccc"]
    assert scored(*words, "--bca")["intervals"]["method"] == "bca"
    assert scored(*words, "--bca")["intervals"]["ccc"] != found["intervals"]["ccc"]


def test_several_predictions_are_compared_with_the_first(systems: tuple[Path, Path, Path]) -> None:
    good, bad, truth = systems
    found = scored("--ccc", good, bad, good, truth, "--resamples", 500)
    assert [one["predictions"] for one in found["systems"]] == [str(good), str(bad), str(good)]
    alone = scored("--ccc", bad, truth)
    assert found["systems"][1] == {"predictions": str(bad), **alone}
    worse, same = found["differences"]["each"]
    assert found["differences"]["against"] == str(good)
    apart = worse["ccc"]["mean"]
    of_good = found["systems"][0]["concatenated"]["ccc"]["mean"]
    assert apart["estimate"] == pytest.approx(alone["concatenated"]["ccc"]["mean"] - of_good, abs=1e-12)
    assert apart["low"] < apart["estimate"] < apart["high"] < 0
    assert apart["p"] < 0.05
    assert same["ccc"]["mean"] == {"estimate": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}


def test_a_standard_error_stands_beside_each_interval(systems: tuple[Path, Path, Path]) -> None:
    """By the jackknife as the textbook has it, from scores of all clips but one."""
    good, _, truth = systems
    found = scored("--ccc", good, truth, "--ci", 95, "--resamples", 100)["intervals"]["ccc"]["mean"]
    text = {path: path.read_text().splitlines(True) for path in (good, truth)}
    left = []
    for clip in range(12):
        for path, lines in text.items():
            path.write_text("".join(line for line in lines if not line.startswith(f"c{clip},")))
        left.append(scored("--ccc", good, truth)["concatenated"]["ccc"]["mean"])
    wanted = math.sqrt(11 / 12 * sum((one - np.mean(left)) ** 2 for one in left))
    assert found["standard_error"] == pytest.approx(wanted, rel=1e-9)
    assert wanted < found["high"] - found["low"] < 6 * wanted


def test_p_values_of_a_permutation_test(systems: tuple[Path, Path, Path]) -> None:
    """Of the 4,096 swaps of 12 clips 400 are drawn; of four clips all 16 are tried."""
    good, bad, truth = systems
    drawn = scored("--ccc", good, bad, truth, "--test", "permutation", "--resamples", 400)["differences"]
    usual = scored("--ccc", good, bad, truth, "--resamples", 400)["differences"]
    assert (drawn["test"], usual["test"]) == ("permutation", "bootstrap")
    (one,), (other,) = drawn["each"], usual["each"]
    assert one["ccc"]["mean"]["p"] == pytest.approx(2 / 401)  # among them all swapped, by chance
    assert {**one["ccc"]["mean"], "p": 0} == {**other["ccc"]["mean"], "p": 0}
    for path in systems:
        path.write_text("".join(line for line in path.read_text().splitlines(True) if line[:3] in "clip c0,c1,c2,c3,"))
    few = scored("--ccc", good, bad, truth, "--test", "permutation")["differences"]["each"][0]
    assert few["ccc"]["mean"]["p"] == 2 / 16  # as they are, and all swapped
    shown = invoke("score", "--ccc", *systems, "--markdown", "--test", "permutation").stdout
    assert f"| less {good} | 95 % interval | p (permutation) |" in shown
    with pytest.raises(AffcliError, match=r"bad\.csv: was not scored over the same frames as .*good\.csv"):
        bad.write_text("".join(bad.read_text().splitlines(True)[:-3]))
        invoke("score", "--ccc", *systems, "--align", "crop")


def test_what_is_left_out_is_told_once(tmp_path: Path, affcli: Command, write_faces: Callable[..., Path]) -> None:
    """--faces and --lag score again, and have nothing new to say."""
    curve = np.linspace(-0.5, 0.5, 10)
    for name in ("a", "z"):
        write_timed(tmp_path / "preds" / f"{name}.affect.parquet", curve)
    write_timed(tmp_path / "gt" / "a.affect.parquet", curve)
    write_faces(tmp_path, "a", np.zeros((10, 8, 8, 3), np.uint8), np.arange(10) < 6)
    done = affcli("score", "--ccc", tmp_path / "preds", tmp_path / "gt", "--faces", tmp_path, "--lag", "0.1")
    left_out = f"affcli: {tmp_path / 'preds'}: predicted clips that are not in the ground truth are left out: z\n"
    assert done.stderr == left_out
    twice = affcli("score", "--ccc", *[tmp_path / "preds"] * 2, tmp_path / "gt", "--resamples", "100")
    assert twice.stderr.startswith(left_out) and twice.stderr.count("left out") == 1
    lone = write_csv(tmp_path / "a.csv", curve.tolist(), curve.tolist())
    other = tmp_path / "preds" / "z.affect.parquet"
    done = affcli("score", "--ccc", other, lone, "--lag", "0.1")
    assert done.stderr == "affcli: clip 'z' is compared with clip 'a'\n"


def test_no_face_but_in_frames_that_are_cropped(tmp_path: Path, write_faces: Callable[..., Path]) -> None:
    truth = np.linspace(-0.5, 0.5, 10)
    write_timed(tmp_path / "gt" / "a.affect.parquet", truth)
    write_timed(tmp_path / "preds" / "a.affect.parquet", truth[:6])
    write_faces(tmp_path, "a", np.zeros((10, 8, 8, 3), np.uint8), np.arange(10) < 6)
    found = scored("--ccc", tmp_path / "preds", tmp_path / "gt", "--faces", tmp_path, "--align", "crop")["faces"]
    assert (found["with"]["frames"], found["without"]) == (6, None)


def test_people_of_clips_with_one_dimension_alone(tmp_path: Path) -> None:
    """With --mask each such clips count, and so the windows must tell of them."""
    preds, gt = tmp_path / "p.csv", tmp_path / "g.csv"
    preds.write_text(HEADER + "a,0,.1,.2\na,1,.3,.1\nb,0,.2,.1\nb,1,.5,.2\n")
    gt.write_text(HEADER + "a,0,.1,.2\na,1,.3,.1\nb,0,.2,\nb,1,.5,\n")
    windows = write_windows(tmp_path / "w.parquet", {"a": {"split": "val", "subject": "p"}})
    words = ("--ccc", preds, gt, "--windows", windows, "--ci", 95, "--resamples", 100)
    assert scored(*words)["intervals"]["of"] == "subjects"
    assert scored(*words, "--mask", "each")["intervals"]["of"] == "clips"
    with pytest.raises(AffcliError, match="tells no split of 1 annotated clip: b"):
        invoke("score", *words, "--mask", "each", "--by", "split")


def test_a_directory_without_a_name_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        write_csv(tmp_path / f"{name}.csv", [0.1, 0.2], [0.1, 0.2])
    (tmp_path / "gt").mkdir()
    write_csv(tmp_path / "gt" / "c.csv", [0.1, 0.2], [0.1, 0.2])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AffcliError, match=r"^\.: has no clip in common"):
        invoke("score", ".", "gt")


def test_options_stand_in_groups() -> None:
    """Every option has a heading, and no heading an option that is not there."""
    names = [name for group in SCORE.values() for name in group]
    assert sorted(names) == sorted(set(score.__annotations__) - {"preds", "truth", "return"})


def test_tables_of_several_predictions_say_which_is_which(systems: tuple[Path, Path, Path]) -> None:
    done = invoke("score", "--ccc", *systems, "--markdown", "--decompose", "--resamples", 100)
    first = done.stdout.splitlines()[0]
    assert first == "| predictions |  | valence | arousal | mean | coverage |"
    assert f"\n{systems[1]}\n\n|  | CCC | correlation | accuracy | scale | shift |" in done.stdout


@pytest.mark.parametrize(("bar", "status"), [("0.9", 0), ("0.95", 6)])
def test_a_score_below_the_bar_ends_with_status_6(
    affcli: Command, files: tuple[Path, Path], bar: str, status: int
) -> None:
    done = affcli("score", "--rmse", *files, "--min-ccc", bar)
    assert done.returncode == status
    assert json.loads(done.stdout)["frames"] == 4  # the scores are written all the same
    assert done.stderr == f"affcli: {files[0]}: CCC 0.9167 is below --min-ccc 0.95\n" * (status == 6)


def test_an_undefined_score_is_below_every_bar(tmp_path: Path, files: tuple[Path, Path]) -> None:
    flat = write_csv(tmp_path / "flat.csv", [0.2] * 4, [0.2] * 4)
    assert invoke("score", "--ccc", files[0], flat, "--min-ccc", "-1").exit_code == 6


def test_groups_are_those_of_the_windows(tmp_path: Path, systems: tuple[Path, Path, Path]) -> None:
    clips = {f"c{i}": {"split": "val" if i < 4 else "train", "subject": f"p{i // 6}"} for i in range(12)}
    windows = write_windows(tmp_path / "windows.parquet", clips)
    found = scored("--ccc", systems[0], systems[2], "--by", "split", "--windows", windows)["by"]
    assert found["column"] == "split"
    assert {name: (part["clips"], part["frames"]) for name, part in found["groups"].items()} == {
        "train": (8, 400),
        "val": (4, 200),
    }
    part = tmp_path / "part.csv"
    part.write_text(
        "".join(line for line in systems[2].read_text().splitlines(True) if line[:3] in "clip c0,c1,c2,c3,")
    )
    alone = scored("--ccc", systems[0], part)["concatenated"]
    assert found["groups"]["val"]["concatenated"] == alone
    people = scored("--ccc", systems[0], systems[2], "--by", "subject", "--windows", windows, "--ci", 95)
    assert list(people["by"]["groups"]) == ["p0", "p1"]
    assert people["intervals"]["of"] == "subjects"


def test_a_clip_without_a_group_is_refused(tmp_path: Path, systems: tuple[Path, Path, Path]) -> None:
    windows = write_windows(tmp_path / "windows.parquet", {f"c{i}": {"split": "val"} for i in range(10)})
    with pytest.raises(AffcliError, match="tells no split of 2 annotated clips: c10, c11"):
        invoke("score", *systems[::2], "--by", "split", "--windows", windows)
    with pytest.raises(AffcliError, match=r"tells no subject of 12 annotated clips.*--subjects"):
        invoke("score", *systems[::2], "--by", "subject", "--windows", windows)


def test_frames_with_and_without_a_face_apart(tmp_path: Path, write_faces: Callable[..., Path]) -> None:
    truth, guess = np.linspace(-0.5, 0.5, 10), np.linspace(-0.5, 0.5, 10)
    guess[6:] = -guess[6:]
    preds, gt = tmp_path / "preds" / "a.affect.parquet", tmp_path / "gt" / "a.affect.parquet"
    write_timed(preds, guess)
    write_timed(gt, truth)
    valid = np.arange(10) < 6
    write_faces(tmp_path, "a", np.zeros((10, 8, 8, 3), np.uint8), valid)
    found = scored("--ccc", preds, gt, "--faces", tmp_path)["faces"]
    assert found["with"]["concatenated"]["ccc"]["mean"] == 1.0
    assert found["without"]["concatenated"]["ccc"]["mean"] == ccc(truth[6:], guess[6:])
    assert (found["with"]["frames"], found["without"]["frames"]) == (6, 4)
    write_faces(tmp_path, "a", np.zeros((10, 8, 8, 3), np.uint8), np.ones(10, bool))
    assert scored("--ccc", preds, gt, "--faces", tmp_path)["faces"]["without"] is None
    write_faces(tmp_path, "a", np.zeros((9, 8, 8, 3), np.uint8), np.ones(9, bool))
    with pytest.raises(AffcliError, match="clip 'a' has 10 frames, expected 9 as there are faces of it"):
        invoke("score", "--ccc", preds, gt, "--faces", tmp_path)


def test_a_lone_file_has_the_faces_of_the_clip_that_is_predicted(
    tmp_path: Path, write_faces: Callable[..., Path]
) -> None:
    preds = write_timed(tmp_path / "a.affect.parquet", np.linspace(-0.5, 0.5, 4))
    gt = tmp_path / "mine.csv"
    gt.write_text("valence,arousal\n" + "".join(f"{v},{v}\n" for v in (0.1, 0.3, -0.2, 0.4)))
    write_faces(tmp_path, "a", np.zeros((4, 8, 8, 3), np.uint8), np.array([True, True, False, False]))
    found = scored("--ccc", preds, gt, "--faces", tmp_path)["faces"]
    assert (found["with"]["frames"], found["without"]["frames"]) == (2, 2)


def test_windows_that_tell_nobody_of_a_clip_are_said(
    tmp_path: Path, systems: tuple[Path, Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    clips: dict[str, dict[str, Any]] = {f"c{i}": {"split": "val", "subject": f"p{i}"} for i in range(12)}
    del clips["c3"]["subject"]
    windows = write_windows(tmp_path / "windows.parquet", clips)
    words = ("--ccc", systems[0], systems[2], "--ci", 95, "--resamples", 100, "--windows")
    assert scored(*words, windows)["intervals"]["of"] == "clips"
    assert "tells no subject of 1 of 12 clips, so that clips are drawn, not people" in caplog.text
    other = write_windows(tmp_path / "other.parquet", {"x": {"split": "val", "subject": "p"}})
    with pytest.raises(AffcliError, match="has none of the annotated clips: c0, c1"):
        invoke("score", *words, other)


def test_the_best_lag_is_how_late_the_predictions_are(tmp_path: Path, files: tuple[Path, Path]) -> None:
    random = np.random.default_rng(3)
    for clip, period in (("a", 40_000), ("b", 20_000)):  # 0.12 s late: 3 frames of one, 6 of the other
        curve = np.clip(np.cumsum(random.normal(0, 0.1, 200)), -1, 1)
        late = np.roll(curve, 120_000 // period)
        write_timed(tmp_path / "gt" / f"{clip}.affect.parquet", curve, period)
        write_timed(tmp_path / "preds" / f"{clip}.affect.parquet", late, period)
    found = scored("--ccc", tmp_path / "preds", tmp_path / "gt", "--lag", "0.4")
    assert [one["seconds"] for one in found["lag"]["ccc"]] == pytest.approx(np.linspace(-0.4, 0.4, 21).tolist())
    assert found["lag"]["best"] == pytest.approx({"valence": 0.12, "arousal": 0.12, "mean": 0.12})
    at_best = found["lag"]["ccc"][13]
    assert (at_best["seconds"], at_best["mean"]) == (pytest.approx(0.12), 1.0)
    zero = found["lag"]["ccc"][10]
    assert zero == {"seconds": 0.0, **found["concatenated"]["ccc"]}
    with pytest.raises(AffcliError, match="has no times of its frames"):
        invoke("score", *files, "--lag", "1")


def test_decomposition_multiplies_to_the_score(files: tuple[Path, Path]) -> None:
    found = scored("--ccc", *files, "--decompose")
    part = found["decomposition"]["valence"]
    assert part["correlation"] * part["accuracy"] == pytest.approx(found["concatenated"]["ccc"]["valence"], abs=1e-12)
    assert found["decomposition"]["arousal"]["scale"] == 1.0


def test_each_dimension_by_its_own_annotation(tmp_path: Path) -> None:
    preds, gt = tmp_path / "p.csv", tmp_path / "g.csv"
    preds.write_text("frame,valence,arousal\n0,0.1,0.1\n1,0.2,0.3\n2,0.5,0.6\n")
    gt.write_text("frame,valence,arousal\n0,0.1,0.1\n1,0.2,-5\n2,-5,0.4\n")
    found = scored("--mae", preds, gt, "--mask", "each")
    assert (found["mask"], found["frames"], found["frames_by_dimension"]) == ("each", 3, {"valence": 2, "arousal": 2})
    assert found["concatenated"]["mae"]["arousal"] == pytest.approx(0.1)
    assert scored("--mae", preds, gt)["frames"] == 1


def test_worst_and_best_clips(systems: tuple[Path, Path, Path]) -> None:
    found = scored("--rmse", systems[1], systems[2], "--per-clip")
    order = sorted(found["per_clip"], key=lambda clip: -found["per_clip"][clip]["rmse"]["mean"])
    assert (found["worst"], found["best"]) == (order[:5], order[::-1][:5])
    assert len(order) == 12
    shown = invoke("score", "--rmse", *systems[1:], "--per-clip", "--table").stdout
    assert f"worst: {order[0]} {found['per_clip'][order[0]]['rmse']['mean']:.4f}, " in shown


def test_no_clip_is_among_the_worst_and_the_best(tmp_path: Path) -> None:
    gt, preds = write_clips(tmp_path / "gt.csv", 3, noise=0), write_clips(tmp_path / "p.csv", 3)
    found = scored("--rmse", preds, gt, "--per-clip")
    order = sorted(found["per_clip"], key=lambda clip: -found["per_clip"][clip]["rmse"]["mean"])
    assert (found["worst"], found["best"]) == (order[:1], order[-1:])
    lone = write_clips(tmp_path / "lone.csv", 1)
    found = scored("--rmse", lone, lone, "--per-clip")
    assert (found["worst"], found["best"]) == ([], [])
    assert "worst" not in invoke("score", "--rmse", lone, lone, "--per-clip", "--markdown").stdout


def test_tables_tell_the_recipe_of_each_system(tmp_path: Path) -> None:
    truth = write_table(tmp_path / "gt" / "a.affect.parquet", "a", TRUTH, recipes.recipe("import-labels", {}))
    made = [
        write_table(tmp_path / f"s{n}" / "a.affect.parquet", "a", GUESS, recipes.recipe("predict", {"smooth": n}))
        for n in (1, 2)
    ]
    drawn = "95 % intervals (percentile, 100 resamples of clips, seed 3)"
    for form, mark in (("table", ""), ("latex", "% "), ("markdown", "")):
        shown = invoke("score", "--ccc", *made, truth, f"--{form}", "--resamples", 100, "--seed", 3).stdout
        lines = shown.splitlines()
        assert f"{mark}{drawn}" in lines
        assert f"{mark}clips: 1, frames: 4" in lines
        for n in (1, 2):
            text = " ".join(shown.replace("%", "").split())
            assert f"{made[n - 1]} made by predict: smooth {n}" in text
        alone = invoke("score", "--ccc", made[0], truth, f"--{form}").stdout
        assert "predictions made by predict: smooth 1" in " ".join(alone.replace("%", "").split())
        if form == "latex":
            assert all(line.startswith("% ") for line in alone.split(r"\end{tabular}")[1].splitlines() if line)


def test_each_dimension_is_averaged_over_the_clips_that_have_it(tmp_path: Path) -> None:
    half = {"a": (TRUTH, TRUTH), "b": (TRUTH, [0.2] * 4), "c": ([0.1] * 4, TRUTH), "d": (TRUTH, [0.3] * 4)}
    rows = [f"{c},{n},{v[n]},{a[n]}\n" for c, (v, a) in half.items() for n in range(4)]
    gt = tmp_path / "gt.csv"
    gt.write_text("clip,frame,valence,arousal\n" + "".join(rows))
    preds = tmp_path / "p.csv"
    rows = [f"{c},{n},{GUESS[n] / (1 + place)},{GUESS[n]}\n" for place, c in enumerate(half) for n in range(4)]
    preds.write_text("clip,frame,valence,arousal\n" + "".join(rows))
    done = invoke("score", "--ccc", preds, gt, "--json", "--per-clip")
    found = json.loads(done.stdout)
    each, mean = found["per_clip"], found["mean_over_clips"]["ccc"]
    assert mean["valence"] == pytest.approx(np.mean([each[c]["ccc"]["valence"] for c in "abd"]))
    assert mean["arousal"] == pytest.approx(np.mean([each[c]["ccc"]["arousal"] for c in "ac"]))
    assert (mean["mean"], mean["clips"]) == (each["a"]["ccc"]["mean"], 1)
    assert mean["clips_by_dimension"] == {"valence": 3, "arousal": 2}
    assert "constant truth leaves CCC and PCC of valence undefined for clip c" in done.stderr
    assert "constant truth leaves CCC and PCC of arousal undefined for clip b, d" in done.stderr
    assert "clips_by_dimension" not in scored("--rmse", preds, gt)["mean_over_clips"]["rmse"]


@pytest.mark.parametrize("missing", ["error", "hold", "interpolate", "zero"])
def test_predictions_of_another_task_are_refused(tmp_path: Path, missing: str) -> None:
    count, nothing = 4, np.full(4, np.nan)
    affect = Affect("a", nothing, nothing, expression=np.zeros(count, np.int8))
    preds = tmp_path / "preds"
    columns = affect.columns()
    tables.write(preds / "a.affect.parquet", AFFECT, columns, recipe=recipes.recipe("predict", {}), inputs=[], facts={})
    truth = write_table(tmp_path / "gt" / "a.affect.parquet", "a", TRUTH, recipes.recipe("import-labels", {}))
    message = r"tells no valence or arousal in any frame \(it has expressions: --task expr\), expected valence and"
    with pytest.raises(InputError, match=message):
        invoke("score", preds, truth.parent, "--missing", missing)
    empty = tmp_path / "e.csv"
    empty.write_text("clip,frame,valence,arousal\na,0,,\na,1,,\na,2,,\na,3,,\n")
    with pytest.raises(InputError, match="in any frame, expected valence and arousal; check the predictions"):
        invoke("score", empty, truth.parent, "--missing", missing)


def test_a_directory_that_is_not_there_is_said(tmp_path: Path, files: tuple[Path, Path]) -> None:
    for words in (("--faces",), ("--lag", 2, "--times")):
        with pytest.raises(InputError, match="nosuch: does not exist"):
            invoke("score", "--ccc", *files, *words, tmp_path / "nosuch")
        with pytest.raises(InputError, match=r"gt\.csv: is no directory"):
            invoke("score", "--ccc", *files, *words, files[1])


def test_both_sides_are_asked_for(affcli: Command, files: tuple[Path, Path]) -> None:
    for words in ((), (files[0],)):
        done = affcli("score", "--ccc", *words)
        assert done.returncode == 2
        assert done.stderr.startswith("affcli: command line: PREDS and GT are both needed; usage: affcli score ")


def test_latex_and_markdown(tmp_path: Path, files: tuple[Path, Path]) -> None:
    named = files[0].rename(tmp_path / "a_b.csv")
    markdown = invoke("score", "--ccc", named, files[1], "--markdown").stdout
    assert markdown.splitlines()[:3] == [
        "|  | valence | arousal | mean | mean over clips |",
        "| --- | --- | --- | --- | --- |",
        "| CCC | 0.8333 | 1.0000 | 0.9167 | 0.9167 |",
    ]
    latex = invoke("score", "--ccc", named, named, files[1], "--latex", "--resamples", 100).stdout
    assert r"a\_b.csv & CCC & 0.8333 & 1.0000 & 0.9167 & 100.00\% \\" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--latex", "--json"), "--json and --latex: exclude each other"),
        (("--by", "split"), "--by split: needs --windows, expected the table that tells it, which affcli window wrote"),
        (("--test", "permutation"), "--test permutation: is of differences, expected two PREDS or more"),
        (("--ci", "100"), "--ci 100: makes no sense, expected percent, more than 1 and less than 100; correct it"),
        (
            ("--ci", "0.95"),
            "--ci 0.95: makes no sense, expected percent, more than 1 and less than 100; did you mean 95?",
        ),
        (("--ci", "1"), "--ci 1: makes no sense"),
        (("--bca",), "--bca: has no meaning here: nothing is resampled, expected --ci, or several PREDS"),
        (("--seed", "0"), "--seed: has no meaning here"),
        (("--resamples", "10000"), "--resamples: has no meaning here"),
        (("--windows", "w.parquet"), "--windows w.parquet: has no meaning here: nothing asks for it"),
        (("--times", "out"), "--times out: has no meaning here: only --lag needs times"),
        (("--lag", "-1"), "--lag -1: makes no sense"),
        (("--min-ccc", "50"), "--min-ccc 50: makes no sense, expected -1 to 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(files: tuple[Path, Path], words: tuple[str, ...], found: str) -> None:
    with pytest.raises(UsageError) as caught:
        invoke("score", *files, *words)
    assert str(caught.value).startswith(found)


GOOD = HEADER + "a,0,0.1,0.2\na,1,0.3,0.4\na,2,0.5,0.1\n"


@pytest.mark.parametrize(
    ("preds", "message"),
    [
        (GOOD + GOOD[len(HEADER) :], "line 5: frame 0 where frame 3 is due"),
        (HEADER + "a,0,.1,.2\na,0,.1,.2\na,1,.3,.4\n", "line 3: frame 0 comes twice"),
        (HEADER + "a,0,.1,.2\na,2,.1,.2\na,1,.3,.4\n", "line 3: frame 2 where frame 1 is due"),
        (HEADER, "holds a header and nothing else"),
        (GOOD.replace(",", ";").replace(".", ","), "is separated by semicolons"),
        (HEADER + 'a,0,"0,1","0,2"\n', "line 2: has decimal commas"),
        (HEADER + "a,0,0,1,0,2\n", "line 2: has decimal commas ('a,0,0,1,0,2')"),
        (HEADER + "a,0,0.1,0.2\na,1,0.1\n", "line 3: has 3 cells, expected 4 as in line 1"),
        (HEADER + "a,0,1e400,0.2\n", "line 2: valence is 1e400"),
        (HEADER + "b,0,0.1,0.2\n", "has no clip in common with the ground truth (predicted: b), expected clips a"),
        (GOOD.replace("0.3,0.4", "-5,-5"), "1 of 3 annotated frames have no prediction (first: clip 'a', frame 1)"),
    ],
)
def test_predictions_that_are_not_in_order_are_refused(tmp_path: Path, preds: str, message: str) -> None:
    (tmp_path / "preds.csv").write_text(preds)
    (tmp_path / "gt.csv").write_text(GOOD)
    with pytest.raises(AffcliError) as caught:
        invoke("score", "--ccc", tmp_path / "preds.csv", tmp_path / "gt.csv")
    assert str(caught.value).startswith(str(tmp_path / "preds.csv"))
    assert message in str(caught.value)
    assert caught.value.status == 3


def test_predictions_with_gaps_as_ground_truth_are_known_for_swapped(tmp_path: Path) -> None:
    (tmp_path / "preds.csv").write_text(GOOD)
    (tmp_path / "gt.csv").write_text(GOOD.replace("0.3,0.4", "-5,-5"))
    assert scored("--ccc", tmp_path / "preds.csv", tmp_path / "gt.csv")["frames"] == 2
    with pytest.raises(AffcliError, match="were the arguments swapped"):
        invoke("score", "--ccc", tmp_path / "gt.csv", tmp_path / "preds.csv")


@pytest.mark.parametrize("mangled", ["\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), GOOD + "\n\n"])
def test_marks_and_line_ends_of_other_systems_change_nothing(tmp_path: Path, mangled: str) -> None:
    (tmp_path / "preds.csv").write_bytes(mangled.encode())
    (tmp_path / "gt.csv").write_text(GOOD)
    assert scored("--mse", tmp_path / "preds.csv", tmp_path / "gt.csv")["concatenated"]["mse"]["mean"] == 0.0


def test_one_file_of_a_directory_that_cannot_be_read_is_named(tmp_path: Path, files: tuple[Path, Path]) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "a.csv").write_text("frame,valence,arousal\n0,0.1,0.1\n")
    (folder / "b.csv").symlink_to(tmp_path / "nowhere.csv")
    with pytest.raises(AffcliError, match=r"many/b\.csv: does not exist"):
        invoke("score", "--ccc", folder, files[1])
    assert not math.isnan(scored("--ccc", *files)["concatenated"]["ccc"]["mean"])


def test_a_single_clip_has_no_interval_and_says_so(affcli: Command, files: tuple[Path, Path]) -> None:
    done = affcli("score", "--ccc", "--pcc", *files, "--ci", "95")
    assert done.returncode == 0
    assert done.stderr == (
        "affcli: there is a single clip, which leaves intervals undefined: clips are what is resampled\n"
    )
    assert json.loads(done.stdout)["intervals"]["ccc"]["mean"] == {
        "low": None,
        "high": None,
        "undefined": 0,
        "standard_error": None,
    }


@pytest.mark.parametrize(("terminal", "form"), [(True, "table"), (False, "json")])
def test_tables_on_a_terminal_and_json_elsewhere(monkeypatch: pytest.MonkeyPatch, terminal: bool, form: str) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert form_of(dict.fromkeys(("json", "table", "latex", "markdown"), False)) == form


def test_a_ground_truth_that_is_a_prediction_is_suspected(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whether the predictions say that they are labels, or, as text, nothing."""
    guess = write_timed(tmp_path / "a.affect.parquet", np.linspace(-0.5, 0.5, 4))
    text = tmp_path / "a.csv"
    text.write_text("valence,arousal\n" + "".join(f"{v},{v}\n" for v in (0.1, 0.3, -0.2, 0.4)))
    scored("--ccc", guess, text)
    assert "swapped" not in caplog.text
    scored("--ccc", text, guess)
    assert "the ground truth was made by predict: were the arguments swapped? GT comes last" in caplog.text
    caplog.clear()
    scored("--ccc", guess, guess)
    assert "swapped" not in caplog.text
