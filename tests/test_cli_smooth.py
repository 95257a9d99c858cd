"""affcli smooth, as typed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import invoke, run
from numpy.typing import NDArray
from test_cli_import_labels import write_times

from affcli import metrics, recipes, tables
from affcli.errors import InputError, SchemaError, UsageError
from affcli.labels.affect import Affect
from affcli.labels.csv import write_csv
from affcli.labels.read import read_affect
from affcli.schemas import AFFECT
from affcli.smoothing import METHODS, parse, smooth, smooth_known

PREDICT = recipes.recipe("predict", {"model": "gru-fusion"})
N = 200


def curves(seed: int, noise: float = 0.0) -> NDArray[np.float64]:
    """Slow curves (N, 2), the same for every seed but for the noise on them."""
    t = np.arange(N)[:, None] / 25
    slow = 0.5 * np.sin(t * [0.9, 1.3] + [0.0, 1.0])
    return np.clip(slow + np.random.default_rng(seed).normal(0, 1, (N, 2)) * noise, -1, 1)


def affect(clip: str, values: NDArray[np.float64], **more: Any) -> Affect:
    return Affect(clip, values[:, 0], values[:, 1], np.arange(N, dtype=np.int64) * 40_000, **more)


def write(path: Path, clip: Affect, recipe: recipes.Recipe = PREDICT) -> Path:
    tables.write(path, AFFECT, clip.columns(), recipe=recipe, inputs=[], facts={})
    return path


@pytest.fixture
def preds(tmp_path: Path) -> Path:
    """Noisy predictions of two clips, with expressions, an action unit and standard deviations."""
    for seed, name in enumerate(("c1", "c2")):
        one = affect(
            name,
            curves(seed, 0.3),
            std=np.full((N, 2), 0.125),
            expression=np.arange(N, dtype=np.int8) % 7,
            action_units={"au12": np.arange(N, dtype=np.int8) % 2},
        )
        write(tmp_path / "preds" / f"{name}.affect.parquet", one)
    return tmp_path / "preds"


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    for name in ("c1", "c2"):
        values = curves(0)
        values[10:20] = np.nan
        write(tmp_path / "truth" / f"{name}.affect.parquet", affect(name, values), recipes.recipe("import-labels", {}))
    return tmp_path / "truth"


def expected(seed: int, how: str) -> NDArray[np.float64]:
    found = parse(how)
    time_us = np.arange(N, dtype=np.int64) * 40_000
    columns = curves(seed, 0.3).T
    return np.stack([smooth(columns[i], time_us, found[name]) if name in found else columns[i]
                     for i, name in enumerate(("valence", "arousal"))], axis=-1)  # fmt: skip


def test_each_curve_is_smoothed_as_predict_does(preds: Path, tmp_path: Path) -> None:
    how = "valence=mean:2s,arousal=median:15"
    said = run("smooth", preds, "-o", tmp_path / "out", "--smooth", how)
    assert "2 clips: 2 made" in said
    for seed, name in enumerate(("c1", "c2")):
        path = tmp_path / "out" / f"{name}.affect.parquet"
        table, before = tables.read(path, AFFECT), tables.read(preds / path.name, AFFECT)
        np.testing.assert_array_equal(table.column("valence"), expected(seed, how)[:, 0])
        np.testing.assert_array_equal(table.column("arousal"), expected(seed, how)[:, 1])
        for column in ("time_us", "valid", "valence_std", "arousal_std", "expression", "au12"):
            np.testing.assert_array_equal(table.column(column), before.column(column))
        assert table.header.recipe == recipes.recipe("smooth", {"smooth": how}, parents=[PREDICT])
        assert table.header.inputs == [recipes.source(preds / path.name)]
    assert "2 clips: 2 up to date" in run("smooth", preds, "-o", tmp_path / "out", "--smooth", how)
    assert "2 clips: 2 made" in run("smooth", preds, "-o", tmp_path / "out", "--smooth", "mean:1s")


@pytest.mark.parametrize("method", sorted(METHODS))
def test_method_and_window_are_a_smoothing_in_two_words(preds: Path, tmp_path: Path, method: str) -> None:
    for name, words in (("one", ("--smooth", f"{method}:2s")), ("two", ("--method", method, "--window", "2s"))):
        run("smooth", preds, "-o", tmp_path / f"{name}.parquet", *words)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_one_table_and_one_csv(preds: Path, tmp_path: Path) -> None:
    run("smooth", preds, "-o", tmp_path / "out.parquet", "--smooth", "mean:1s")
    both = read_affect(tmp_path / "out.parquet")
    assert [one.clip for one in both] == ["c1", "c2"]
    assert both[0].recipe == recipes.recipe("smooth", {"smooth": "mean:1s"}, parents=[PREDICT])
    np.testing.assert_array_equal(both[1].valence, expected(1, "mean:1s")[:, 0])
    assert both[1].expression is not None
    assert "up to date" in run("smooth", preds, "-o", tmp_path / "out.parquet", "--smooth", "mean:1.0s")
    run("smooth", preds, "-o", tmp_path / "out.csv", "--smooth", "mean:1s")
    assert (
        (tmp_path / "out.csv").read_text().startswith("clip,frame,valence,arousal,valence_std,arousal_std,expression")
    )
    np.testing.assert_array_equal(read_affect(tmp_path / "out.csv")[1].arousal, both[1].arousal)
    # A CSV's expressions are kept; again in frames, as a CSV tells no times.
    run("smooth", tmp_path / "out.csv", "-o", tmp_path / "again.csv", "--smooth", "none")
    assert (tmp_path / "again.csv").read_text().splitlines()[3].split(",")[-1] == "2"


def test_clips_made_otherwise_do_not_fit_in_one_table(preds: Path, tmp_path: Path) -> None:
    write(preds / "c3.affect.parquet", affect("c3", curves(3)), recipes.recipe("predict", {"model": "gru-audio"}))
    with pytest.raises(SchemaError, match="clip 'c3' was made otherwise than clip 'c1'"):
        invoke("smooth", preds, "-o", tmp_path / "out.parquet", "--smooth", "mean:1s")
    assert not (tmp_path / "out.parquet").exists()
    assert "3 clips: 3 made" in run("smooth", preds, "-o", tmp_path / "out", "--smooth", "mean:1s")


def test_frames_without_a_prediction_stay_so(tmp_path: Path) -> None:
    values = curves(0, 0.3)
    values[50:60] = np.nan
    write(tmp_path / "preds" / "c.affect.parquet", affect("c", values))
    run("smooth", tmp_path / "preds", "-o", tmp_path / "out", "--smooth", "mean:5")
    (found,) = read_affect(tmp_path / "out")
    assert np.flatnonzero(~found.valid).tolist() == list(range(50, 60))
    assert found.valence[49] == pytest.approx(values[47:50, 0].mean())  # not the frames beyond the gap
    assert found.valence[100] == pytest.approx(values[98:103, 0].mean())
    time_us = np.arange(N, dtype=np.int64) * 40_000
    assert np.isnan(smooth_known(np.full(N, np.nan), time_us, parse("wiener:1s")["valence"])).all()
    whole = curves(1, 0.3)[:, 0]
    for how in ("savgol:1s", "gaussian:11"):
        one = parse(how)["valence"]
        np.testing.assert_array_equal(smooth_known(whole, time_us, one), smooth(whole, time_us, one))


def test_a_pipe_of_csv(preds: Path, affcli: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    text = io.StringIO()
    write_csv(text, read_affect(preds))
    done = affcli("smooth", "-", "-o", "-", "--smooth", "mean:1s", "--rate", 25, input=text.getvalue())
    assert (done.returncode, done.stderr) == (0, "")
    values = np.array([line.split(",")[2:4] for line in done.stdout.splitlines()[1 : N + 1]], float)
    np.testing.assert_array_equal(values, expected(0, "mean:1s"))


def test_times_come_from_the_rate_where_they_are_needed(preds: Path, tmp_path: Path) -> None:
    with (tmp_path / "c.csv").open("w") as stream:
        write_csv(stream, read_affect(preds)[:1])
    options = ("smooth", tmp_path / "c.csv", "-o", tmp_path / "out")
    with pytest.raises(
        UsageError, match=r"have no times of frames, which windows in seconds need.*expected --rate FPS, --times"
    ):
        invoke(*options, "--smooth", "mean:1s")
    run(*options, "--smooth", "mean:1s", "--rate", "25.0")
    (found,) = read_affect(tmp_path / "out")
    np.testing.assert_array_equal(found.valence, expected(0, "mean:1s")[:, 0])
    assert found.recipe == recipes.recipe("smooth", {"smooth": "mean:1s", "rate": "25"})
    run(*options, "--smooth", "mean:25")
    with pytest.raises(UsageError, match="has no use: the windows are in frames"):
        invoke(*options, "--smooth", "mean:25", "--rate", "25")
    with pytest.raises(UsageError, match="has no use: every clip has its times"):
        invoke("smooth", preds, "-o", tmp_path / "out", "--smooth", "mean:1s", "--rate", "25")


def test_tuning_finds_tells_and_applies(preds: Path, truth: Path, tmp_path: Path) -> None:
    done = invoke("smooth", preds, "--tune", truth)
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    how = told["smooth"]
    assert how != "none"
    labelled = ~np.isnan(np.tile(read_affect(truth)[0].valence, 2))
    true = np.tile(curves(0), (2, 1))[labelled]
    for when, text in (("before", "none"), ("after", how)):
        said = np.concatenate([expected(seed, text) for seed in (0, 1)])[labelled]
        scores = [metrics.ccc(true[:, column], said[:, column]) for column in (0, 1)]
        assert [told[when]["valence"], told[when]["arousal"]] == scores
        assert told[when]["mean"] == pytest.approx(np.mean(scores))
    assert told["after"]["mean"] > told["before"]["mean"] + 0.05
    assert (told["clips"], told["frames"]) == (2, 2 * (N - 10))
    run("smooth", preds, "--tune", truth, "-o", tmp_path / "out")
    (c1, _) = read_affect(tmp_path / "out")
    np.testing.assert_array_equal(c1.valence, expected(0, how)[:, 0])
    assert c1.recipe == recipes.recipe("smooth", {"smooth": how, "tuned": True}, parents=[PREDICT])
    # Applied to the clips that it was found on, as affcli score says it.
    scored = json.loads(invoke("score", "--ccc", tmp_path / "out", truth).stdout)
    assert scored["concatenated"]["ccc"] == told["after"]


def test_tuning_leaves_out_what_is_not_predicted_and_not_labelled(preds: Path, truth: Path) -> None:
    before = invoke("smooth", preds, "--tune", truth).stdout
    values = curves(0, 0.3)
    values[12:15] = np.nan
    write(preds / "c1.affect.parquet", affect("c1", values))
    after = json.loads(invoke("smooth", preds, "--tune", truth).stdout)
    assert after["before"] == json.loads(before)["before"]
    values[30] = np.nan
    write(preds / "c1.affect.parquet", affect("c1", values))
    with pytest.raises(InputError, match=r"annotated frames have no prediction \(first: clip 'c1', frame 30\)"):
        invoke("smooth", preds, "--tune", truth)


@pytest.mark.parametrize("missing", ["hold", "interpolate", "zero"])
def test_frames_without_a_prediction_are_filled_where_asked(
    preds: Path, truth: Path, tmp_path: Path, missing: str
) -> None:
    values = curves(0, 0.3)
    values[30:32] = np.nan
    write(preds / "c1.affect.parquet", affect("c1", values))
    last, then = values[29], values[32]
    values[30:32] = {"hold": [last, last], "interpolate": [last + (then - last) / 3, last + (then - last) * 2 / 3],
                     "zero": [[0, 0], [0, 0]]}[missing]  # fmt: skip
    said = run("smooth", preds, "-o", tmp_path / "out", "--smooth", "mean:5", "--missing", missing)
    assert f"2 of 400 frames had no prediction and are filled in ({missing})" in said
    (c1, _) = read_affect(tmp_path / "out")
    how = parse("mean:5")["valence"]
    np.testing.assert_allclose(c1.valence, smooth(values[:, 0], np.arange(N, dtype=np.int64), how), atol=1e-12)
    assert c1.recipe == recipes.recipe("smooth", {"smooth": "mean:5", "missing": missing}, parents=[PREDICT])
    told = json.loads(invoke("smooth", preds, "--tune", truth, "--missing", missing).stdout)
    scored = json.loads(invoke("score", "--ccc", preds, truth, "--missing", missing).stdout)
    assert told["before"] == scored["concatenated"]["ccc"]


def test_nothing_is_made_up_of_nothing(preds: Path, tmp_path: Path) -> None:
    write(preds / "c1.affect.parquet", affect("c1", np.full((N, 2), np.nan)))
    said = run("smooth", preds, "-o", tmp_path / "out", "--smooth", "none", "--missing", "hold")
    assert "nothing is predicted, and so nothing is filled in: c1" in said
    header = tables.read(tmp_path / "out" / "c1.affect.parquet", AFFECT)
    assert header.data.column("valence").null_count == N
    said = run("smooth", preds, "-o", tmp_path / "out", "--smooth", "none", "--missing", "zero")
    assert f"{N} of {2 * N} frames had no prediction" in said


def test_what_is_read_is_not_overwritten(preds: Path, tmp_path: Path) -> None:
    run("smooth", preds, "-o", tmp_path / "out", "--smooth", "mean:5")
    run("smooth", preds, "-o", tmp_path / "all.csv", "--smooth", "mean:5")
    run("smooth", preds, "-o", tmp_path / "all.parquet", "--smooth", "mean:5")
    for path in (tmp_path / "out", tmp_path / "all.csv", tmp_path / "all.parquet"):
        held = path / "c1.affect.parquet" if path.is_dir() else path
        before = held.read_bytes()
        with pytest.raises(UsageError, match="is read, too, and would be lost"):
            invoke("smooth", path, "-o", path, "--smooth", "mean:5", "--force")
        assert held.read_bytes() == before


def test_what_tuning_found_for_people(
    preds: Path, truth: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from affcli.cli.smooth import print_tuned

    told = json.loads(invoke("smooth", preds, "--tune", truth, "--json").stdout)
    monkeypatch.setenv("COLUMNS", "100")
    print_tuned(told)
    said = capsys.readouterr().out
    assert f"best: --smooth {told['smooth']}\n" in said
    row = next(line for line in said.splitlines() if "│ after " in line)
    assert [cell.strip() for cell in row.split("│")][2:5] == [f"{value:.4f}" for value in told["after"].values()]


def test_labels_are_not_smoothed_and_nothing_else_is_overwritten(preds: Path, truth: Path, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"holds labels \(step import-labels\)"):
        invoke("smooth", truth, "-o", tmp_path / "out", "--smooth", "mean:1s", "--force")
    before = (preds / "c1.affect.parquet").read_bytes()
    done = invoke("smooth", preds, "-o", preds, "--smooth", "mean:1s", "--force")
    assert done.exit_code == 3
    assert "was written by the step 'predict'" in done.stderr
    assert (preds / "c1.affect.parquet").read_bytes() == before


def test_smoothing_twice_is_said(
    preds: Path, tmp_path: Path, affcli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    assert "smoothed already" not in run("smooth", preds, "-o", tmp_path / "one", "--smooth", "mean:1s")
    said = run("smooth", tmp_path / "one", "-o", tmp_path / "two", "--smooth", "mean:1s")
    assert "smoothed already, and now once more: c1, c2" in said
    done = affcli("smooth", tmp_path / "one", "-o", tmp_path / "three", "--smooth", "mean:1s", "--rate", "30")
    assert (done.returncode, done.stderr.count("\n"), "smoothed already" in done.stderr) == (2, 1, False)


def test_a_clip_of_another_length_than_its_labels(preds: Path, tmp_path: Path) -> None:
    truth = affect("c1", curves(0)).resized(N - 5)
    write(tmp_path / "short" / "c1.affect.parquet", truth, recipes.recipe("import-labels", {}))
    with pytest.raises(SchemaError, match=rf"clip 'c1' has {N} frames, expected {N - 5} as in .*same frames$"):
        invoke("smooth", preds, "--tune", tmp_path / "short")


def test_tables_of_times_in_a_directory_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("clip,frame,valence,arousal\na,0,0,0\nb,0,0,0\n")
    for arguments in (
        ("smooth", tmp_path / "p.csv", "--smooth", "mean:1s", "-o"),
        ("import-labels", tmp_path / "p.csv"),
    ):
        with pytest.raises(InputError, match=r"^nosuch: does not exist"):
            invoke(*arguments, tmp_path / "out", "--times", "nosuch")


@pytest.mark.parametrize(
    ("header", "rest"),
    [("image_location,valence,arousal", ""), ("image,valence,arousal,expression,aus", ",3" + ",1" * 12)],
)
def test_frames_without_a_picture_are_not_predicted(tmp_path: Path, header: str, rest: str) -> None:
    path, times, truth = tmp_path / "p.txt", tmp_path / "times", tmp_path / "gt.csv"
    rows = [f"a/{frame + 1:05d}.jpg,{frame / 100},0.{frame % 10}{rest}\n" for frame in range(4, 60)]
    path.write_text(header + "\n" + "".join(rows))
    run("smooth", path, "-o", tmp_path / "out", "--smooth", "mean:3")
    (found,) = read_affect(tmp_path / "out")
    assert found.clip == "a"
    np.testing.assert_array_equal(found.valid, np.arange(60) >= 4)
    np.testing.assert_allclose(found.valence[5:59], np.arange(5, 59) / 100)
    assert (found.expression is None) == (not rest)
    classes = {name: set(values[4:].tolist()) for name, values in found.classes().items()}
    assert {name: classes[name] for name in classes if name in ("expression", "au12")} == (
        {"expression": {3}, "au12": {1}} if rest else {}
    )
    write_times(times, "a", [40_000 * frame for frame in range(70)])
    run("smooth", path, "-o", tmp_path / "long", "--smooth", "mean:1s", "--times", times)
    (found,) = read_affect(tmp_path / "long")
    np.testing.assert_array_equal(found.valid, (np.arange(70) >= 4) & (np.arange(70) < 60))
    said = "".join(f"a,{n},{n / 100 if 4 <= n < 60 else ''},{n % 10 / 10 if 4 <= n < 60 else ''}\n" for n in range(65))
    truth.write_text("clip,frame,valence,arousal\n" + said)
    done = invoke("smooth", path, "--tune", truth, "--rate", "25", "--json")
    assert json.loads(done.stdout)["frames"] == 56
    with pytest.raises(InputError, match="is a submission of the task expr, and classes are not smoothed"):
        path.write_text("image,Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\na/00001.jpg,3\n")
        invoke("smooth", path, "-o", tmp_path / "none", "--smooth", "mean:3")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "neither --smooth nor --tune is given"),
        (("--smooth", "mean:1s", "--tune", "gt"), "are both given.*; leave out one$"),
        (("--smooth", "mean:1s"), "is given without --out"),
        (("--smooth", "mean:1s", "-o", "out", "--json"), "nothing to tell"),
        (("--tune", "gt", "-o", "-"), "also writes to stdout"),
        (("--smooth", "mean:1s", "-o", "out.txt"), "asks for a .txt file"),
        (("--smooth", "auto", "-o", "out"), "is what a training found"),
        (("--smooth", "mean", "-o", "out"), "is not what it takes"),
        (("--smooth", "mean:1s", "--method", "mean", "--window", "1s", "-o", "out"), "exclude each other"),
        (("--method", "mean", "-o", "out"), "--method: needs --window"),
        (("--window", "2s", "-o", "out"), "--window: needs --method"),
        (("--method", "mean", "--window", "2s"), "is given without --out"),
        (
            ("--method", "mean", "--window", "2s", "--tune", "gt"),
            "--method: is given beside --tune.*leave out --method",
        ),
        (("--window", "2s", "--tune", "gt"), "--window: is given beside --tune.*leave out --window"),
        (("--method", "mean", "--window", "two", "-o", "out"), "is not what it takes"),
    ],
)
def test_wrong_use(preds: Path, options: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        invoke("smooth", preds, *options)


def test_closed_standard_output_is_no_crash(preds: Path, truth: Path) -> None:
    command = [sys.executable, "-m", "affcli", "smooth", str(preds), "--tune", str(truth)]
    done = subprocess.run(
        command, stderr=subprocess.PIPE, text=True, check=False, preexec_fn=lambda: os.close(1), close_fds=True
    )
    assert "Traceback" not in done.stderr


def test_values_past_the_ends_are_smoothed_and_then_cut_off(tmp_path: Path) -> None:
    """-1.2 is a value like 1.2, and no frame without one; how many there are is said once."""
    rows = [(0.5, 1.2), (-1.2, 0.5), (-5, -5), (0.1, -1.5)]
    text = "".join(f"a,{frame},{v},{a}\n" for frame, (v, a) in enumerate(rows))
    source, out = tmp_path / "p.csv", tmp_path / "out.csv"
    source.write_text("clip,frame,valence,arousal\n" + text)
    said = run("smooth", source, "-o", out, "--smooth", "arousal=mean:1")
    assert said.count(f"3 values are past -1 or 1 (first: {source}, line 2: arousal is 1.2)") == 1
    (clip,) = read_affect(out)
    np.testing.assert_array_equal(clip.valence, [0.5, -1, np.nan, 0.1])
    np.testing.assert_array_equal(clip.arousal, [1, 0.5, np.nan, -1])


def test_times_come_from_tables_where_a_csv_tells_none(preds: Path, tmp_path: Path) -> None:
    """Frames of varying length: the window of each holds those within half a second of it."""
    with (tmp_path / "c.csv").open("w") as stream:
        write_csv(stream, read_affect(preds))
    times = np.cumsum(np.random.default_rng(5).integers(20_000, 90_000, N)).tolist()
    for name in ("c1", "c2"):
        write_times(tmp_path / "times", name, times)
    command = ("smooth", tmp_path / "c.csv", "--smooth", "mean:1s", "--times", tmp_path / "times")
    run(*command, "-o", tmp_path / "out")
    first, _ = read_affect(tmp_path / "out")
    how, time_us = parse("mean:1s"), np.array(times, np.int64)
    np.testing.assert_array_equal(first.valence, smooth(curves(0, 0.3)[:, 0], time_us, how["valence"]))
    assert first.time_us is not None
    assert first.time_us.tolist() == times
    assert first.recipe == recipes.recipe("smooth", {"smooth": "mean:1s", "frames": "of the video"})
    header = tables.read_header(tmp_path / "out" / "c1.affect.parquet")
    assert [(one["name"], one.get("holds")) for one in header.inputs] == [
        ("c.csv", None), ("c1.audio.parquet", "times"),
    ]  # fmt: skip
    assert "2 up to date" in run(*command, "-o", tmp_path / "out")
    run(*command, "-o", tmp_path / "all.parquet")
    assert len(tables.read_header(tmp_path / "all.parquet").inputs) == 3
    with pytest.raises(UsageError, match="--rate: stands beside --times, expected one of them"):
        invoke(*command, "-o", tmp_path / "out", "--rate", 25)
    with pytest.raises(UsageError, match=r"--times .*: has no use: every clip has its times"):
        invoke("smooth", preds, "-o", tmp_path / "out", "--smooth", "mean:1s", "--times", tmp_path / "times")
    write_times(tmp_path / "times", "c2", times[:-1])
    with pytest.raises(
        InputError, match=rf"c2.audio.parquet: has 199 frames, expected 200, as {tmp_path}/c.csv has of"
    ):
        invoke(*command, "-o", tmp_path / "out")


def test_a_csv_that_is_there_is_not_overwritten(preds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    run("smooth", preds, "-o", out, "--smooth", "mean:1s")
    before = out.read_bytes()
    assert run("smooth", preds, "-o", out, "--smooth", "mean:1s") == f"affcli: {out}: up to date\n"
    with pytest.raises(
        UsageError, match=r"out.csv: is there already, expected no file of these names; .* with --force"
    ):
        invoke("smooth", preds, "-o", out, "--smooth", "mean:2s")
    assert out.read_bytes() == before
    run("smooth", preds, "-o", out, "--smooth", "mean:2s", "--force")
    assert out.read_bytes() != before


def test_what_is_wrong_with_every_clip_alike_is_said_once(preds: Path, truth: Path) -> None:
    """Smoothing into the directory of labels: one line for the first clip, one for the others."""
    for folder in (preds, truth):
        step = tables.read_header(folder / "c1.affect.parquet").recipe
        write(folder / "c3.affect.parquet", affect("c3", curves(3)), step)
    done = invoke("smooth", preds, "-o", truth, "--smooth", "mean:2s")
    first, others, totals = done.stderr.splitlines()
    assert first.startswith(f"affcli: {truth}/c1.affect.parquet: was written by the step 'import-labels', expected a ")
    assert others == f"affcli: {truth}/c1.affect.parquet: the same of 2 more: " + ", ".join(
        f"{truth}/{name}.affect.parquet" for name in ("c2", "c3")
    )
    assert totals.startswith("affcli: 3 clips: 3 failed (")
    assert done.exit_code == 3


def test_what_tuning_leaves_out_is_told_once(preds: Path, truth: Path) -> None:
    (truth / "c2.affect.parquet").unlink()
    assert run("smooth", preds, "--tune", truth).count("not in the ground truth are left out: c2") == 1
