"""affcli gold, as typed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import invoke, run
from test_cli_import_labels import write_times

from affcli import recipes, tables
from affcli.errors import InputError, SchemaError, UsageError
from affcli.labels.affect import Affect
from affcli.labels.read import read_affect
from affcli.schemas import AFFECT

Write = Callable[..., Path]


def csv(path: Path, *clips: tuple[str, list[float], list[float]]) -> Path:
    rows = [
        f"{clip},{frame},{v},{a}\n"
        for clip, valence, arousal in clips
        for frame, (v, a) in enumerate(zip(valence, arousal, strict=True))
    ]
    path.write_text("clip,frame,valence,arousal\n" + "".join(rows).replace("nan", ""))
    return path


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Three annotators of the clips c1 and c2, of which cy rated the first alone."""
    (tmp_path / "bo").mkdir()
    (tmp_path / "bo" / "c1.txt").write_text("valence,arousal\n0.2,0.1\n0.4,0.3\n-5,-5\n0.8,0.5\n")
    (tmp_path / "bo" / "c2.txt").write_text("valence,arousal\n0.1,0.1\n0.3,-0.1\n")
    return [
        tmp_path / "bo",
        csv(tmp_path / "al.csv", ("c1", [0.0, 0.2, 0.4, 0.6], [0.1, 0.5, 0.3, 0.3]), ("c2", [0.1, 0.5], [0.3, 0.1])),
        csv(tmp_path / "cy.csv", ("c1", [0.4, 0.6, 0.2, float("nan")], [0.4, 0.4, 0.1, float("nan")])),
    ]


def report(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(invoke("gold", *arguments, "-q").stdout)
    return found


def test_the_mean_of_who_rated_a_frame(three: list[Path], tmp_path: Path) -> None:
    told = report(*three, "-o", tmp_path / "out")
    c1, c2 = read_affect(tmp_path / "out")
    np.testing.assert_allclose(c1.valence, [0.2, 0.4, 0.3, 0.7])
    np.testing.assert_allclose(c1.arousal, [0.2, 0.4, 0.2, 0.4])
    np.testing.assert_allclose(c2.valence, [0.1, 0.4])
    assert c1.recipe == c2.recipe == told_recipe(["al", "bo", "cy"])
    assert (told["clips"], told["frames"], told["annotated"]) == (2, 6, 6)
    assert told["annotators"]["cy"]["clips"] == 1
    assert told["annotators"]["cy"]["frames"] == 3
    assert told["agreement"]["valence"]["frames_of_all"] == 2
    header = tables.read_header(tmp_path / "out" / "c1.affect.parquet")
    assert [(one["name"], one["annotator"]) for one in header.inputs] == [
        ("al.csv", "al"), ("c1.txt", "bo"), ("cy.csv", "cy"),
    ]  # fmt: skip
    assert header.facts == {"annotated": 4}


def told_recipe(annotators: list[str], **more: object) -> recipes.Recipe:
    return recipes.recipe("gold", {"method": "mean", "min_raters": 2, "annotators": annotators, "delay": 0.0, **more})


def test_frames_that_too_few_rated_are_not_annotated(three: list[Path], tmp_path: Path) -> None:
    found = invoke("gold", *three, "-o", tmp_path / "out", "--min-raters", 3)
    c1, c2 = read_affect(tmp_path / "out")
    assert c1.valid.tolist() == [True, True, False, False]
    assert not c2.valid.any()
    assert "fewer than 3 annotators rated any frame of c2" in found.stderr


def test_the_same_command_makes_nothing_again_and_order_means_nothing(three: list[Path], tmp_path: Path) -> None:
    for method in ("mean", "ewe", "ewe-others", "centred"):
        run("gold", *three, "-o", tmp_path / "one", "--method", method)
        run("gold", *reversed(three), "-o", tmp_path / "two", "--method", method)
        for name in ("c1", "c2"):
            one, two = (tmp_path / folder / f"{name}.affect.parquet" for folder in ("one", "two"))
            assert one.read_bytes() == two.read_bytes()
        assert "2 clips: 2 up to date" in run("gold", *three, "-o", tmp_path / "one", "--method", method)
    assert "2 clips: 2 made" in run("gold", *three, "-o", tmp_path / "one", "--method", "centred", "--force")


def test_weights_stand_in_report_and_recipe(three: list[Path], tmp_path: Path) -> None:
    told = report(*three, "-o", tmp_path / "out", "--method", "ewe")
    weights = [one["weight"]["valence"] for one in told["annotators"].values()]
    (c1, _) = read_affect(tmp_path / "out")
    assert c1.recipe is not None
    assert c1.recipe["config"]["valence_weights"] == weights
    assert sum(weights) == pytest.approx(1)
    np.testing.assert_allclose(c1.valence[0], np.dot(weights, [0.0, 0.2, 0.4]))


def test_weights_are_as_published(three: list[Path], tmp_path: Path) -> None:
    told = report(*three[:2], "-o", tmp_path / "out", "--method", "ewe")
    (c1, _) = read_affect(tmp_path / "out")
    assert c1.recipe is not None and c1.recipe["config"]["method"] == "ewe"
    al, bo = np.array([0.0, 0.2, 0.6, 0.1, 0.5]), np.array([0.2, 0.4, 0.8, 0.1, 0.3])  # the frames that both rated
    # Where one rated alone, the mean is that one's rating.
    own, mean = np.insert(al, 2, 0.4), np.insert((al + bo) / 2, 2, 0.4)
    r = np.array([np.corrcoef(own, mean)[0, 1], np.corrcoef(bo, (al + bo) / 2)[0, 1]])
    weights = [told["annotators"][name]["weight"]["valence"] for name in ("al", "bo")]
    np.testing.assert_allclose(weights, r / r.sum())
    np.testing.assert_allclose(c1.valence[0], np.dot(weights, [0.0, 0.2]))


def test_valence_alone_can_be_rated(tmp_path: Path) -> None:
    nan = float("nan")
    files = [
        csv(tmp_path / f"{who}.csv", ("c1", [0.1, 0.3 + add, 0.5], [nan] * 3)) for who, add in (("a", 0), ("b", 0.2))
    ]
    found = invoke("gold", *files, "-o", tmp_path / "out")
    assert found.stderr.splitlines() == [
        "affcli: no frame has both valence and arousal in c1",
        "affcli: 1 clip: 1 made",
    ]
    assert json.loads(found.stdout)["agreement"]["arousal"]["cronbach_alpha"] is None
    (c1,) = read_affect(tmp_path / "out")
    np.testing.assert_allclose(c1.valence, [0.1, 0.4, 0.5])
    assert np.isnan(c1.arousal).all()


def test_what_is_read_is_not_overwritten(three: list[Path], tmp_path: Path) -> None:
    run("gold", *three, "-o", tmp_path / "one")
    before = (tmp_path / "one" / "c1.affect.parquet").read_bytes()
    with pytest.raises(UsageError, match=r"one/c1\.affect\.parquet: is read, too, and would be lost"):
        invoke("gold", tmp_path / "one", three[0], "-o", tmp_path / "one", "--force")
    assert (tmp_path / "one" / "c1.affect.parquet").read_bytes() == before


def test_a_clip_that_cannot_be_centred_does_not_stop_the_others(three: list[Path], tmp_path: Path) -> None:
    (three[0] / "c2.txt").write_text("valence,arousal\n-5,-5\n0.3,-0.1\n")
    csv(
        three[1],
        ("c1", [0.0, 0.2, 0.4, 0.6], [0.1, 0.5, 0.3, 0.3]),
        ("c2", [0.1, float("nan")], [0.3, float("nan")]),
    )
    done = invoke("gold", *three, "-o", tmp_path / "out", "--method", "centred")
    assert done.exit_code == 3
    assert "clip 'c2': has no frame that all of its 2 annotators rated" in done.stderr
    assert json.loads(done.stdout)["annotated"] == 4
    (c1,) = read_affect(tmp_path / "out")
    assert c1.clip == "c1"


def waves(seed: int, n: int, late: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    rng = np.random.default_rng(seed)
    t = (np.arange(n)[:, None] - late) / 25
    return 0.4 * np.sin(t * rng.uniform(0.5, 2, 2)) + 0.4 * np.sin(t * rng.uniform(0.5, 2, 2) + 1)


def test_delays_are_taken_off(write_labels: Write, tmp_path: Path) -> None:
    for name, late in (("fast", 0), ("slow", 50)):
        write_labels(tmp_path / name, "c", waves(0, 600, late))
    options = (tmp_path / "slow", tmp_path / "fast", "-o", tmp_path / "out", "--rate", 25)
    told = report(*options, "--delay", "auto")
    assert [one["delay"] for one in told["annotators"].values()] == [0.0, 2.0]
    assert told["agreement"]["valence"]["mean_ccc"] > 0.999 > told["mean_ccc_before_delay"]["valence"]
    (gold,) = read_affect(tmp_path / "out")
    np.testing.assert_allclose(gold.valence[:550], waves(0, 600, 0)[:550, 0], atol=1e-12)
    assert not gold.valid[550:].any()
    assert gold.time_us is not None
    assert gold.time_us[1] == 40_000
    assert gold.recipe is not None
    assert gold.recipe["config"]["delays"] == [0.0, 2.0]
    assert [one["step"] for one in gold.recipe["parents"]] == ["import-labels"]
    told = report(*options, "--delay", "1", "--force")
    assert [one["delay"] for one in told["annotators"].values()] == [1.0, 1.0]
    with pytest.raises(UsageError, match="--delay: needs the times of frames, which are not told of c"):
        invoke("gold", *options[:-2], "--delay", "1")


def test_who_agrees_with_nobody_is_named(write_labels: Write, tmp_path: Path) -> None:
    for name, curve in (("al", waves(0, 300, 0)), ("bo", waves(0, 300, 1)), ("cy", -waves(0, 300, 0))):
        write_labels(tmp_path / name, "c", curve)
    found = invoke("gold", *(tmp_path / name for name in ("al", "bo", "cy")), "-o", tmp_path / "out")
    assert "cy agrees with nobody in valence" in found.stderr
    assert "al agrees" not in found.stderr
    assert json.loads(found.stdout)["agreement"]["arousal"]["agree_with_nobody"] == ["cy"]


def test_a_table_on_a_terminal(
    three: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from affcli.cli.agreement import print_agreement

    told = report(*three, "-o", tmp_path / "out", "--method", "ewe")
    monkeypatch.setenv("COLUMNS", "120")
    print_agreement(told)
    said = capsys.readouterr().out
    ccc = told["agreement"]["valence"]["ccc"]
    row = next(line for line in said.splitlines() if "│ al " in line)
    assert [cell.strip() for cell in row.split("│")][2:5] == ["", f"{ccc[0][1]:.3f}", f"{ccc[0][2]:.3f}"]
    assert f"Cronbach's alpha: {told['agreement']['arousal']['cronbach_alpha']:.3f} over 2 frames" in said


def test_lone_files_need_the_name_of_their_clip(tmp_path: Path) -> None:
    for name, shift in (("al", 0.0), ("bo", 0.2)):
        (tmp_path / f"{name}.csv").write_text(f"valence,arousal\n{0.1 + shift},0.1\n0.3,{0.1 + shift}\n")
    options = (tmp_path / "al.csv", tmp_path / "bo.csv", "-o", tmp_path / "out")
    with pytest.raises(UsageError, match=r"al.csv: does not say which clip was rated.*add --clip NAME"):
        invoke("gold", *options)
    run("gold", *options, "--clip", "film")
    (found,) = read_affect(tmp_path / "out" / "film.affect.parquet")
    np.testing.assert_allclose(found.valence, [0.2, 0.3])


def test_ratings_that_do_not_fit_together_are_refused(three: list[Path], tmp_path: Path) -> None:
    csv(three[2], ("c1", [0.4, 0.6], [0.4, 0.4]))
    with pytest.raises(SchemaError, match=r"c1.txt: clip 'c1' has 4 frames|cy.csv: clip 'c1' has 2 frames, expected 4"):
        invoke("gold", *three, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_times_are_refused(tmp_path: Path) -> None:
    recipe = recipes.recipe("import-labels", {})
    for name, period in (("al", 40_000), ("bo", 33_333)):
        path = tmp_path / name / "c.affect.parquet"
        columns = Affect("c", np.full(3, 0.1), np.full(3, 0.1), np.arange(3, dtype=np.int64) * period).columns()
        tables.write(path, AFFECT, columns, recipe=recipe, inputs=[], facts={})
    with pytest.raises(SchemaError, match="clip 'c' has frames at other times"):
        invoke("gold", tmp_path / "al", tmp_path / "bo", "-o", tmp_path / "out")


def test_predictions_do_not_become_labels(three: list[Path], tmp_path: Path) -> None:
    columns = Affect("c1", np.full(4, 0.1), np.full(4, 0.1)).columns()
    path = tmp_path / "net" / "c1.affect.parquet"
    for step in ("predict", "smooth"):
        tables.write(path, AFFECT, columns, recipe=recipes.recipe(step, {}), inputs=[], facts={})
        with pytest.raises(SchemaError, match=r"c1.affect.parquet: holds predictions"):
            invoke("gold", three[1], tmp_path / "net", "-o", tmp_path / "out")


def test_nothing_rated_and_other_tables_in_the_way(write_labels: Write, tmp_path: Path) -> None:
    for name in ("al", "bo"):
        write_labels(tmp_path / name, "c", np.full((3, 2), np.nan))
    with pytest.raises(InputError, match="RATINGS: have no annotated frame"):
        invoke("gold", tmp_path / "al", tmp_path / "bo", "-o", tmp_path / "out")
    for name in ("al", "bo"):
        write_labels(tmp_path / name, "c", np.full((3, 2), 0.1))
    before = (tmp_path / "al" / "c.affect.parquet").read_bytes()
    done = invoke("gold", tmp_path / "al", tmp_path / "bo", "-o", tmp_path / "al", "--force")
    assert done.exit_code == 4
    assert "was written by the step 'import-labels'" in done.stderr
    assert (tmp_path / "al" / "c.affect.parquet").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("al.csv",), "is one annotator alone"),
        (("al.csv", "al.csv"), "is a second annotator 'al'"),
        (("al.csv", "bo", "--min-raters", "3"), "is more than the 2 annotators"),
        (("al.csv", "bo", "--delay", "soon"), "is no delay"),
        (("al.csv", "bo", "--delay", "-1"), "is no delay"),
        (("al.csv", "bo", "--delay", "nan"), "is no delay"),
        (("al.csv", "bo", "--clip", "c1"), "has no use"),
        (("al.csv", "bo", "--rate", "29.97"), "is a rounded 30000/1001"),
    ],
)
def test_wrong_use(
    three: list[Path], tmp_path: Path, options: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(three) == 3
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        invoke("gold", *options, "-o", "out")


def test_gold_tables_are_labels(
    three: list[Path], tmp_path: Path, affcli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = affcli("gold", *three, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    scored = affcli("score", "--ccc", three[1], tmp_path / "out")
    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)["frames"] == 6


def test_the_loop_of_the_readme_reads_a_column_for_each_annotator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    names, imported, rated = re.findall(r"^for who in (.*); do\n((?:  .*\n)+)done\naffcli (gold .*)", text, re.M)[0]
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    ratings = rng.uniform(-1, 1, (2, 2, 6, 30)).round(4)  # by dimension, recording, annotator and time
    for dimension, of_recordings in zip(("valence", "arousal"), ratings, strict=True):
        for clip, curves in zip(("P16", "P17"), of_recordings, strict=True):
            rows = [";".join([f"{0.04 * i:.2f}", *map(str, at)]) for i, at in enumerate(curves.T.tolist())]
            path = tmp_path / "emotional_behaviour" / dimension / f"{clip}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(["time;FM1 ;FM2 ;FM3 ;FF1 ;FF2 ;FF3", *rows]) + "\n")
            write_times(tmp_path / "out", clip, [40_000 * i for i in range(30)])
    for who in names.split():
        run(*shlex.split(imported.replace("\\\n", " ").replace("$who", who))[1:])
    directories = sorted(str(path) for path in Path("rated").iterdir())
    arguments = [*shlex.split(rated.replace("--delay auto", "--delay 0"))]
    place = arguments.index("rated/*/")
    arguments[place : place + 1] = directories
    run(*arguments, "--method", "mean")
    for i, found in enumerate(read_affect(tmp_path / "gold")):
        np.testing.assert_allclose(found.valence, ratings[0, i].mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(found.arousal, ratings[1, i].mean(axis=0), atol=1e-12)


def test_nothing_is_reported_where_nothing_is_made(write_labels: Write, tmp_path: Path) -> None:
    for name in ("FM1", "FM2"):
        for clip in ("a", "b"):
            write_labels(tmp_path / name, clip, waves(0, 100, 0))
    done = invoke("gold", tmp_path / "FM1", tmp_path / "FM2", "-o", tmp_path / "FM1")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "was written by the step 'import-labels'" in done.stderr


@pytest.mark.parametrize(("command", "name"), [("gold", "RATINGS"), ("window", "FEATURES"), ("info", "FILE")])
def test_three_dots_are_enough(
    affcli: Callable[..., subprocess.CompletedProcess[str]], command: str, name: str
) -> None:
    assert affcli(command).stderr.rstrip().endswith(f"{name}...")
