"""affcli predict: ensembles, smoothing, and features made otherwise; the rest is in test_cli_train_predict.py."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import invoke, run
from numpy.typing import NDArray

from affcli import recipes, tables
from affcli.errors import InputError, SchemaError, UsageError
from affcli.labels.read import read_affect
from affcli.prediction import centred
from affcli.schemas import AFFECT, FEATURES
from affcli.smoothing import parse, smooth, smooth_both

torch.set_num_threads(1)

Write = Callable[..., Path]
FRAMES = {"a": 40, "b": 41, "c": 8}


@pytest.fixture
def data(tmp_path: Path, made: Path, write_features: Write, write_labels: Write) -> Path:
    """Three clips, two feature sets that tell the labels, and the runs hears (mel) and sees (hog)."""
    if not list(made.iterdir()):
        rng = np.random.default_rng(0)
        for i, (clip, n) in enumerate(FRAMES.items()):
            t = np.arange(n)
            affect = 0.7 * np.stack([np.sin(t / 9 + i), np.cos(t / 7 + i)], axis=-1)
            write_features(made / "features", clip, affect @ [[1, 0, 2], [0, 1, -1]] + rng.normal(0, 0.1, (n, 3)))
            write_features(made / "features", clip, affect + rng.normal(0, 0.3, (n, 2)), "mel", "audio")
            write_labels(made / "labels", clip, affect)
        (made / "val.txt").write_text("b\n")
        windows = ["-o", made / "w.parquet", "--val", made / "val.txt"]
        run("window", made / "features", "--labels", made / "labels", *windows)
        options = ["--epochs", 2, "--lr", 0.01, "--batch", 4, "--device", "cpu"]
        for name, model in (("hears", "gru-audio"), ("sees", "gru-face")):
            run("train", made / "w.parquet", "-o", made / name, "--model", model, *options)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def predict(data: Path, out: str, *options: object, run_: str = "hears", source: str = "features") -> Path:
    run("predict", data / run_, data / source, "-o", data / out, "--device", "cpu", *options)
    return data / out


def curves(folder: Path, clip: str = "a") -> NDArray[np.float64]:
    table = tables.read(folder / f"{clip}.affect.parquet", AFFECT)
    return np.stack([table.column("valence"), table.column("arousal")], axis=-1)


def deviations(folder: Path, clip: str = "a") -> NDArray[np.float64]:
    table = tables.read(folder / f"{clip}.affect.parquet", AFFECT)
    return np.stack([table.column("valence_std"), table.column("arousal_std")], axis=-1)


def header(folder: Path, clip: str = "a") -> tables.Header:
    return tables.read_header(folder / f"{clip}.affect.parquet")


def test_without_new_options_the_recipe_is_what_it_was(data: Path) -> None:
    plain = predict(data, "plain")
    same = predict(data, "same", "--overlap-weights", "flat", "--ensemble", "mean", "--smooth", "valence=none")
    assert header(plain).recipe["config"] == {"model": "gru-audio", "length": 15, "overlap": 5}
    assert list(header(plain).recipe["weights"]) == ["best.safetensors"]
    assert len(header(plain).recipe["parents"]) == 1
    for clip in FRAMES:
        name = f"{clip}.affect.parquet"
        assert (plain / name).read_bytes() == (same / name).read_bytes()
        assert np.isnan(deviations(plain, clip)).all()


def test_the_mean_of_runs_with_features_of_their_own(data: Path) -> None:
    hears, sees = predict(data, "p1"), predict(data, "p2", run_="sees")
    both = predict(data, "both", "--with", data / "sees", "--std")
    for clip, n in FRAMES.items():
        one, other = curves(hears, clip), curves(sees, clip)
        assert curves(both, clip).shape == (n, 2)
        assert curves(both, clip) == pytest.approx((one + other) / 2, abs=1e-12)
        assert deviations(both, clip) == pytest.approx(np.abs(one - other) / 2, abs=1e-12)
    assert np.abs(curves(hears) - curves(sees)).max() > 0.01
    found = header(both)
    assert found.recipe["config"] == {
        "model": ["gru-audio", "gru-face"],
        "length": [15, 15],
        "overlap": [5, 5],
        "ensemble": "mean",
        "std": True,
    }
    digests = [recipes.digest(data / name / "best.safetensors") for name in ("hears", "sees")]
    assert found.recipe["weights"] == {"1/best.safetensors": digests[0], "2/best.safetensors": digests[1]}
    assert [one["step"] for one in found.recipe["parents"]] == ["train", "train"]
    assert [one["name"] for one in found.inputs] == ["a.mel.parquet", "a.hog.parquet"]
    assert "3 up to date" in run(
        "predict", data / "hears", data / "features", "-o", both, "--with", data / "sees", "--std"
    )


def test_an_ensemble_by_a_windows_table_is_that_by_features(data: Path) -> None:
    one = predict(data, "one", "--with", data / "sees")
    other = predict(data, "other", "--with", data / "sees", source="w.parquet")
    for clip in FRAMES:
        assert curves(one, clip) == pytest.approx(curves(other, clip), abs=1e-6)


def test_runs_count_by_their_validation_scores(data: Path) -> None:
    for name, scores in (("hears", (0.3, 0.2)), ("sees", (0.1, -0.5))):
        path = data / name / "best.json"
        content = json.loads(path.read_text())
        content["validation"] = {"valence": scores[0], "arousal": scores[1], "mean": sum(scores) / 2}
        path.write_text(json.dumps(content))
    hears, sees = curves(predict(data, "p1")), curves(predict(data, "p2", run_="sees"))
    both = predict(data, "both", "--with", data / "sees", "--ensemble", "weighted", "--std")
    assert curves(both)[:, 0] == pytest.approx(0.75 * hears[:, 0] + 0.25 * sees[:, 0], abs=1e-12)
    assert curves(both)[:, 1].tolist() == hears[:, 1].tolist()
    assert deviations(both)[:, 1].tolist() == [0] * 40
    config = header(both).recipe["config"]
    assert config["ensemble"] == "weighted"
    assert config["valence_shares"] == pytest.approx([0.75, 0.25]) and config["arousal_shares"] == [1, 0]


def test_scores_that_are_no_good_are_said(data: Path) -> None:
    for name in ("hears", "sees"):
        path = data / name / "best.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "validation": {"valence": 0.5, "arousal": -0.1, "mean": 0.2}}))
    command = ["predict", data / "hears", data / "features", "-o", data / "p", "--with", data / "sees"]
    said = run(*command, "--ensemble", "weighted")
    assert "no run has a validation CCC of arousal above 0: all count alike in it" in said
    assert said.count("all count alike") == 1


def test_centred_runs(data: Path) -> None:
    hears, sees = curves(predict(data, "p1")), curves(predict(data, "p2", run_="sees"))
    both = curves(predict(data, "both", "--with", data / "sees", "--ensemble", "centred"))
    for column in (0, 1):
        wanted = centred(np.stack([hears[:, column], sees[:, column]])).mean(axis=0)
        assert both[:, column] == pytest.approx(np.clip(wanted, -1, 1), abs=1e-12)
    assert header(data / "both").recipe["config"]["ensemble"] == "centred"


def test_curves_are_smoothed_each_in_its_way(data: Path) -> None:
    plain = curves(predict(data, "plain"))
    found = predict(data, "smooth", "--smooth", "arousal=median:5, valence=mean:0.4s")
    times = np.arange(40, dtype=np.int64) * 40_000
    for column, (name, text) in enumerate({"valence": "mean:0.4s", "arousal": "median:5"}.items()):
        wanted = smooth(plain[:, column], times, parse(text)[name])
        assert curves(found)[:, column].tolist() == wanted.tolist() != plain[:, column].tolist()
    assert header(found).recipe["config"]["smooth"] == "valence=mean:0.4s,arousal=median:5"
    same = ["--smooth", "valence=mean:0.40s,arousal=median:5"]
    assert "3 up to date" in run("predict", data / "hears", data / "features", "-o", found, *same)
    one = predict(data, "one", "--smooth", "valence=mean:0.4s")
    assert curves(one)[:, 1].tolist() == plain[:, 1].tolist()


def note(run_: Path, **entries: object) -> None:
    """Have the description of a run say something else."""
    path = run_ / "best.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def test_auto_is_what_the_training_found_best(data: Path) -> None:
    note(data / "hears", smooth="valence=mean:0.40s,arousal=median:5")
    named = predict(data, "named", "--smooth", "valence=mean:0.4s,arousal=median:5")
    auto = predict(data, "auto", "--smooth", " auto ")
    assert header(auto).recipe["config"]["smooth"] == "valence=mean:0.4s,arousal=median:5"
    for clip in FRAMES:
        name = f"{clip}.affect.parquet"
        assert (auto / name).read_bytes() == (named / name).read_bytes()
    again = ["predict", data / "hears", data / "features", "-o", auto, "--smooth", "auto"]
    assert "3 up to date" in run(*again)
    note(data / "hears", smooth="mean:1s")
    said = run(*again, "-v")
    assert "3 made" in said and f"{data / 'hears'}: smoothing by its validation clips: mean:1s\n" in said
    assert header(auto).recipe["config"]["smooth"] == "mean:1s"


def test_auto_smooths_each_run_in_its_own_way_before_they_are_averaged(data: Path) -> None:
    texts = {"hears": "median:7", "sees": "arousal=mean:0.4s"}
    times = np.arange(40, dtype=np.int64) * 40_000
    smoothed = []
    for name, text in texts.items():
        note(data / name, smooth=text)
        plain = curves(predict(data, f"plain-{name}", run_=name))
        smoothed.append(smooth_both(plain, times, parse(text)))
    one, other = smoothed
    both = predict(data, "both", "--with", data / "sees", "--std", "--smooth", "auto")
    assert curves(both) == pytest.approx((one + other) / 2, abs=1e-12)
    assert deviations(both) == pytest.approx(np.abs(one - other) / 2, abs=1e-12)
    assert header(both).recipe["config"]["smooth"] == ["median:7", "arousal=mean:0.4s"]
    moved = curves(predict(data, "moved", "--with", data / "sees", "--ensemble", "centred", "--smooth", "auto"))
    for column in (0, 1):
        wanted = centred(np.stack([one[:, column], other[:, column]])).mean(axis=0)
        assert moved[:, column] == pytest.approx(np.clip(wanted, -1, 1), abs=1e-12)
    # The same for all is not the same as smoothing their mean, and the recipe tells which it was.
    note(data / "sees", smooth="median:7")
    alike, after = (
        predict(data, how.replace(":", "-"), "--with", data / "sees", "--smooth", how) for how in ("auto", "median:7")
    )
    assert [header(folder).recipe["config"]["smooth"] for folder in (alike, after)] == [["median:7"] * 2, "median:7"]
    assert np.abs(curves(alike) - curves(after)).max() > 1e-6


def test_where_no_smoothing_was_best_auto_changes_nothing(data: Path) -> None:
    for options in ([], ["--with", data / "sees"]):
        for name in ("hears", "sees"):
            note(data / name, smooth="none")
        plain = predict(data, f"plain{len(options)}", *options)
        auto = predict(data, f"auto{len(options)}", *options, "--smooth", "auto")
        for clip in FRAMES:
            name = f"{clip}.affect.parquet"
            assert (auto / name).read_bytes() == (plain / name).read_bytes()
    note(data / "sees", smooth="mean:1s")
    one = predict(data, "one", "--with", data / "sees", "--smooth", "auto")
    assert header(one).recipe["config"]["smooth"] == ["none", "mean:1s"]


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ({"finished": False, "smooth": "none"}, "was broken off before it looked for one"),
        ({"smooth": ""}, "did not look for one"),
    ],
)
def test_auto_needs_a_training_that_looked_for_the_best(data: Path, entries: dict[str, object], why: str) -> None:
    note(data / "hears", smooth="mean:1s")
    note(data / "sees", **entries)
    with pytest.raises(UsageError) as error:
        predict(data, "p", "--with", data / "sees", "--smooth", "auto")
    assert f"--smooth auto: asks for the smoothing that is best for {data / 'sees'}, whose training {why}" in str(
        error.value
    )
    assert not (data / "p").exists()
    predict(data, "p", "--with", data / "sees", "--smooth", "mean:1s")


@pytest.mark.parametrize("text", ["box:2s", "auto", 5])
def test_a_checkpoint_that_garbles_its_smoothing(data: Path, text: object) -> None:
    note(data / "hears", smooth=text)
    with pytest.raises(SchemaError, match=rf"best\.json: its smoothing, '{text}', (is|names).*train again"):
        predict(data, "p", "--smooth", "auto")


@pytest.mark.parametrize("method", ["mean", "median", "gaussian", "savgol", "wiener"])
def test_smoothed_curves_are_whole_and_between_the_limits(data: Path, method: str) -> None:
    found = predict(data, "smooth", "--smooth", f"{method}:1s")
    for clip, n in FRAMES.items():
        assert curves(found, clip).shape == (n, 2)
        assert (np.abs(curves(found, clip)) <= 1).all()  # a NaN would not be


def test_what_is_beyond_the_limits_is_cut_off(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from affcli import smoothing

    monkeypatch.setitem(smoothing.METHODS, "mean", lambda values, *_: values + 3)
    monkeypatch.setitem(smoothing.METHODS, "median", lambda values, *_: values - 3)
    found = curves(predict(data, "p", "--smooth", "valence=mean:1s,arousal=median:1s"))
    assert found.tolist() == [[1, -1]] * 40


def test_triangular_weights_change_only_where_windows_overlap(data: Path) -> None:
    flat, triangular = predict(data, "flat"), predict(data, "tri", "--overlap-weights", "triangular")
    changed = (curves(flat) != curves(triangular)).any(axis=1)
    assert not changed[:10].any() and changed[10:15].any()  # windows of 15 frames begin at 0, 10, 20 and 25
    assert curves(flat, "c").tolist() == curves(triangular, "c").tolist()  # one short window
    assert header(triangular).recipe["config"]["overlap_weights"] == "triangular"


def test_windows_that_do_not_overlap_and_those_that_do_by_half(data: Path) -> None:
    for overlap in ("none", "half"):
        for source in ("features", "w.parquet"):
            found = predict(data, f"{overlap}-{source[0]}", "--overlap", overlap, source=source)
            assert header(found).recipe["config"] == {"model": "gru-audio", "length": 15, "overlap": overlap}
    plain = predict(data, "plain")
    for overlap in ("none", "half"):
        one, other = (data / f"{overlap}-{source}" for source in "fw")
        for clip in FRAMES:
            assert curves(one, clip).tolist() == curves(other, clip).tolist()
        assert curves(one, "c").tolist() == curves(plain, "c").tolist()  # one short window
        assert np.abs(curves(one) - curves(plain)).max() > 1e-4
    run("window", data / "features", "-o", data / "cut.parquet", "--overlap", 8)  # one begins every seven frames
    cut = predict(data, "cut", source="cut.parquet")
    assert curves(cut).tolist() == curves(data / "half-f").tolist()


def test_standard_deviations_as_csv(data: Path) -> None:
    options = ["--with", data / "sees", "--std"]
    both = predict(data, "both", *options)
    said = invoke("predict", data / "hears", data / "features", "-o", "-", *options)
    rows = list(csv.DictReader(io.StringIO(said.stdout)))
    assert list(rows[0]) == ["clip", "frame", "valence", "arousal", "valence_std", "arousal_std"]
    found = [[float(row["valence_std"]), float(row["arousal_std"])] for row in rows if row["clip"] == "a"]
    assert np.array(found).tolist() == deviations(both).tolist()
    assert predict(data, "p.csv", *options).read_text() == said.stdout
    (again,) = (one for one in read_affect(data / "p.csv") if one.clip == "a")
    assert again.valence.tolist() == curves(both)[:, 0].tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--std"], "--std: is given with one run"),
        (["--ensemble", "weighted"], "--ensemble weighted: is given with one run, .*name the others: --with RUN"),
        (["--with", "hears"], "--with .*hears: is the same network as .*hears"),
        (["--smooth", "box:2s"], "names 'box', which is no method"),
        (["--smooth", "mean:4"], "an odd number of frames"),
    ],
)
def test_wrong_options(data: Path, options: list[str], message: str) -> None:
    given = [data / one if one == "hears" else one for one in options]
    with pytest.raises(UsageError, match=message):
        predict(data, "p", *given)
    assert not (data / "p").exists()


def test_a_further_run_that_is_none(data: Path) -> None:
    with pytest.raises(InputError, match=r"none: does not exist"):
        predict(data, "p", "--with", data / "none")


def test_features_that_a_further_run_needs(data: Path) -> None:
    for clip in FRAMES:
        (data / f"features/{clip}.hog.parquet").unlink()
    with pytest.raises(InputError, match="features of hog: are not among"):
        predict(data, "p", "--with", data / "sees")
    run("window", data / "features", "-o", data / "mel.parquet")
    with pytest.raises(SchemaError, match="has no hog features, expected the features of the training: hog"):
        predict(data, "p", "--with", data / "sees", source="mel.parquet")


@pytest.mark.parametrize("windows", [False, True])
def test_features_made_otherwise_are_used_when_that_is_asked_for(
    data: Path, write_features: Write, windows: bool
) -> None:
    before = curves(predict(data, "before"))
    for clip in FRAMES:
        vectors = tables.read(data / f"features/{clip}.mel.parquet", FEATURES).array()
        write_features(data / "other", clip, np.array(vectors), "mel", "audio", cell=8)
    source = "other"
    if windows:
        run("window", data / "other", "-o", data / "other.parquet")
        source = "other.parquet"
    with pytest.raises(SchemaError, match=r"config\.cell: 8, other null.*--force-recipe"):
        predict(data, "p", source=source)
    said = run("predict", data / "hears", data / source, "-o", data / "p", "--force-recipe")
    assert said.count("mel features were made otherwise than those of the training (config.cell: 8, other null)") == 1
    assert curves(data / "p") == pytest.approx(before, abs=1e-6)
    made = header(data / "p").recipe["parents"]
    assert [one["step"] for one in made] == ["train", "embed"] and made[1]["config"]["cell"] == 8


def test_force_recipe_changes_nothing_where_the_recipes_agree(data: Path) -> None:
    plain, forced = predict(data, "plain"), predict(data, "forced", "--force-recipe")
    for clip in FRAMES:
        name = f"{clip}.affect.parquet"
        assert (plain / name).read_bytes() == (forced / name).read_bytes()


def test_features_of_another_width_are_refused_all_the_same(data: Path, write_features: Write) -> None:
    for clip, n in FRAMES.items():
        write_features(data / "wide", clip, np.zeros((n, 4)), "mel", "audio")
    with pytest.raises(SchemaError, match="are 4 numbers wide, expected 2 as in the training"):
        predict(data, "p", "--force-recipe", source="wide")


def test_a_run_that_sees_nothing_of_a_clip_and_one_that_was_broken_off_are_named(
    data: Path, write_features: Write
) -> None:
    write_features(data / "features", "c", np.zeros((8, 3)), valid=np.zeros(8, np.bool_))
    path = data / "sees" / "best.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "finished": False}))
    said = run("predict", data / "hears", data / "features", "-o", data / "p", "--with", data / "sees")
    assert f"clip c: no features describe any of its frames; the predictions of {data / 'sees'} mean nothing" in said
    assert said.count("mean nothing") == 1
    assert f"{data / 'sees'}: its training was broken off" in said and f"{data / 'hears'}: its" not in said


def test_smoothing_in_seconds_takes_the_times_of_the_features(data: Path) -> None:
    plain = curves(predict(data, "plain"))
    times = np.cumsum(np.random.default_rng(0).integers(10_000, 90_000, 40))
    for encoder in ("hog", "mel"):
        path = data / f"features/a.{encoder}.parquet"
        table = tables.read(path, FEATURES)
        vectors = np.array(table.array())
        columns = {name: table.column(name) for name in table.data.column_names} | {"time_us": times}
        made = table.header
        tables.write(path, FEATURES, columns, recipe=made.recipe, inputs=[], facts=made.facts, array=vectors)
    found = curves(predict(data, "smooth", "--smooth", "mean:0.5s"))
    for column in (0, 1):
        wanted = [plain[np.abs(times - time) <= 250_000, column].mean() for time in times]
        assert found[:, column] == pytest.approx(wanted, abs=1e-12)
