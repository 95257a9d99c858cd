"""affcli import-labels, as typed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from affcli import tables
from affcli.recipes import digest
from affcli.schemas import AFFECT

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_files_become_tables_and_a_second_run_keeps_them(affcli: Command, tmp_path: Path) -> None:
    labels, out = tmp_path / "labels", tmp_path / "out"
    labels.mkdir()
    (labels / "video1_left.txt").write_text("valence,arousal\n0.5,-0.25\n-5,-5\n0.1,0\n")
    (labels / "more.csv").write_text("clip,frame,valence,arousal\na,0,0.1,0.2\nb,0,,0.5\nb,1,1,1\n")
    done = affcli("import-labels", labels, out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "affcli: 3 clips: 3 made\n")
    table = tables.read(out / "video1_left.affect.parquet", AFFECT)
    assert table.data.to_pydict() == {
        "clip": ["video1_left"] * 3,
        "frame": [0, 1, 2],
        "time_us": [None] * 3,
        "valid": [True, False, True],
        "valence": [0.5, None, 0.1],
        "arousal": [-0.25, None, 0.0],
        "valence_std": [None] * 3,
        "arousal_std": [None] * 3,
    }
    assert table.header.facts == {"annotated": 2, "format": "aff-wild2"}
    assert table.header.recipe["step"] == "import-labels"
    source = labels / "video1_left.txt"
    assert table.header.inputs == [{"name": source.name, "sha256": digest(source)}]
    b = tables.read(out / "b.affect.parquet", AFFECT)
    assert b.header.facts == {"annotated": 1, "format": "csv"}
    assert b.header.recipe == table.header.recipe
    assert b.data.column("valid").to_pylist() == [False, True]

    before = (out / "a.affect.parquet").read_bytes()
    source.write_text("valence,arousal\n0.5,-0.25\n")
    done = affcli("import-labels", labels, out)
    assert (done.returncode, done.stderr) == (0, "affcli: 3 clips: 1 made, 2 up to date\n")
    done = affcli("import-labels", labels, out, "--force")
    assert done.stderr == "affcli: 3 clips: 3 made\n"
    assert (out / "a.affect.parquet").read_bytes() == before


def test_one_bad_file_does_not_stop_the_others(affcli: Command, tmp_path: Path) -> None:
    labels, out = tmp_path / "labels", tmp_path / "out"
    labels.mkdir()
    (labels / "a.txt").write_text("valence,arousal\n0.5\n")
    (labels / "b.txt").write_text("valence,arousal\n0.5,0.5\n")
    (labels / "c.csv").write_text("clip,frame,valence,arousal\nb,0,0,0\n")
    (labels / "d.csv").write_text("clip,frame,valence,arousal\n../d,0,0,0\n")
    done = affcli("import-labels", labels, out)
    assert done.returncode == 3
    said = done.stderr.splitlines()
    assert said[0].startswith(f"affcli: {labels}/a.txt, line 2: has 1 cell, expected 2")
    assert said[1].startswith(f"affcli: {labels}/c.csv: clip 'b' is in {labels}/b.txt too")
    assert said[2].startswith(f"affcli: {labels}/d.csv, clip '../d': cannot be a name of files")
    names = f"{labels}/a.txt, line 2, {labels}/c.csv, {labels}/d.csv, clip '../d'"
    assert said[3:] == [f"affcli: 4 clips: 1 made, 3 failed ({names})"]
    assert [path.name for path in out.iterdir()] == ["b.affect.parquet"]


def test_one_bad_clip_of_a_file_does_not_stop_the_others(affcli: Command, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("valence,arousal\n0.5,0.5\n")
    lines = "".join(f"{clip},0,0,0\n" for clip in ("x", "../y", "a", "z"))
    (tmp_path / "more.csv").write_text("clip,frame,valence,arousal\n" + lines)
    done = affcli("import-labels", tmp_path, tmp_path / "out")
    assert done.returncode == 3
    said = done.stderr.splitlines()
    assert said[0].startswith(f"affcli: {tmp_path}/more.csv, clip '../y': cannot be a name of files")
    assert said[1].startswith(f"affcli: {tmp_path}/more.csv: clip 'a' is in {tmp_path}/a.txt too")
    assert said[2:] == [f"affcli: 5 clips: 3 made, 2 failed ({tmp_path}/more.csv, clip '../y', {tmp_path}/more.csv)"]
    assert sorted(path.name[0] for path in (tmp_path / "out").iterdir()) == ["a", "x", "z"]
    done = affcli("import-labels", tmp_path, tmp_path / "out")
    assert "affcli: 5 clips: 3 up to date, 2 failed" in done.stderr


def test_a_lone_file_that_is_broken_ends_with_its_own_status(affcli: Command, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("valence,arousal\n0.5\n")
    done = affcli("import-labels", tmp_path / "a.txt", tmp_path / "out")
    assert (done.returncode, done.stderr.splitlines()[1:]) == (3, [])


def test_nothing_to_import(affcli: Command, tmp_path: Path) -> None:
    done = affcli("import-labels", tmp_path, tmp_path / "out")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "holds no labels or predictions, expected .txt or .csv files" in done.stderr
    done = affcli("import-labels", tmp_path / "nothing.txt", tmp_path / "out", "-q")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert not (tmp_path / "out").exists()


EIGHT = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
UNITS = "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25"


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Two clips with valence and arousal; expressions of one of them and of a third, action units of a fourth."""
    for name, text in (
        ("va/video1_left.txt", "valence,arousal\n0.5,0.5\n-5,-5\n"),
        ("va/b.txt", "valence,arousal\n0,0\n"),
        ("expr/Train_Set/video1_left.txt", f"{EIGHT}\n4\n-1\n"),
        ("expr/Validation_Set/video1_right.txt", f"{EIGHT}\n7\n-1\n0\n"),
        ("au/video1_left.txt", f"{UNITS}\n0,0,0,0,1,0,0,1\n" + ",".join(["-1"] * 8) + "\n"),
        ("au/d.txt", f"{UNITS}\n1,1,1,1,1,1,1,1\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def read(out: Path, clip: str) -> tables.Table:
    return tables.read(out / f"{clip}.affect.parquet", AFFECT)


def test_expressions_and_action_units_join_the_clips(affcli: Command, sets: Path) -> None:
    out = sets / "out"
    options = ("--expressions", sets / "expr", "--action-units", sets / "au")
    done = affcli("import-labels", sets / "va", out, *options)
    assert (done.returncode, done.stderr) == (0, "affcli: 4 clips: 4 made\n")
    whole = read(out, "video1_left")
    assert whole.data.column("valence").to_pylist() == [0.5, None]
    assert whole.data.column("expression").to_pylist() == [4, None]
    assert whole.data.column("au12").to_pylist() == [1, None]
    assert "au26" not in whole.data.column_names
    assert whole.header.facts == {"annotated": 1, "format": "aff-wild2", "expressions": 1, "action_units": 1}
    assert whole.header.inputs == [
        {"name": "video1_left.txt", "sha256": digest(sets / "va/video1_left.txt")},
        {
            "name": "video1_left.txt",
            "sha256": digest(sets / "expr/Train_Set/video1_left.txt"),
            "holds": "expressions",
        },
        {"name": "video1_left.txt", "sha256": digest(sets / "au/video1_left.txt"), "holds": "action units"},
    ]
    config = whole.header.recipe["config"]
    assert (config["expression"], config["action_units"]) == ("number of the class", "0 or 1")
    right = read(out, "video1_right")
    assert right.data.column("expression").to_pylist() == [7, None, 0]
    assert right.data.column("valence").null_count == right.data.column("arousal").null_count == 3
    assert right.column("valid").tolist() == [False] * 3
    assert right.header.facts == {"annotated": 0, "format": "aff-wild2", "expressions": 2}
    assert read(out, "d").header.facts == {"annotated": 0, "format": "aff-wild2", "action_units": 1}
    assert "expression" not in read(out, "b").data.column_names
    assert all(read(out, clip).header.recipe == whole.header.recipe for clip in ("b", "d", "video1_right"))

    before = {path.name: path.read_bytes() for path in out.iterdir()}
    done = affcli("import-labels", sets / "va", out, *options)
    assert done.stderr == "affcli: 4 clips: 4 up to date\n"
    affcli("import-labels", sets / "va", out, *options, "--force")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_expressions_that_come_later_make_the_tables_again(affcli: Command, sets: Path) -> None:
    out, expr = sets / "out", sets / "expr/Train_Set"
    affcli("import-labels", sets / "va", out)
    plain = (out / "video1_left.affect.parquet").read_bytes()
    done = affcli("import-labels", sets / "va", out, "--expressions", expr)
    assert done.stderr == "affcli: 2 clips: 2 made\n"
    assert read(out, "video1_left").data.column("expression").to_pylist() == [4, None]
    (expr / "video1_left.txt").write_text(f"{EIGHT}\n5\n5\n")
    done = affcli("import-labels", sets / "va", out, "--expressions", expr)
    assert done.stderr == "affcli: 2 clips: 1 made, 1 up to date\n"
    affcli("import-labels", sets / "va", out)
    assert (out / "video1_left.affect.parquet").read_bytes() == plain


def test_expressions_alone(affcli: Command, sets: Path) -> None:
    expr = sets / "expr/Validation_Set"
    done = affcli("import-labels", expr, sets / "out", "--expressions", expr)
    assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 made\n")
    assert read(sets / "out", "video1_right").data.column("expression").to_pylist() == [7, None, 0]


def test_one_file_takes_its_own_expressions_alone(affcli: Command, sets: Path) -> None:
    done = affcli("import-labels", sets / "va/video1_left.txt", sets / "out", "--expressions", sets / "expr")
    assert done.stderr == "affcli: 1 clip: 1 made\n"
    assert [path.name for path in (sets / "out").iterdir()] == ["video1_left.affect.parquet"]
    other = sets / "expr/Validation_Set/video1_right.txt"
    done = affcli("import-labels", sets / "va/video1_left.txt", sets / "out", "--expressions", other)
    assert done.stderr.startswith(f"affcli: --expressions {other}: holds nothing of video1_left: nothing is taken from")


def test_a_run_over_one_set_undoes_nothing_of_another(affcli: Command, sets: Path) -> None:
    """The sets of the challenges divide the clips otherwise for each task."""
    out, expr = sets / "out", ("--expressions", sets / "expr")
    (sets / "va2").mkdir()
    (sets / "va2/video1_right.txt").write_text("valence,arousal\n0.5,0.5\n0.5,0.5\n0.5,0.5\n")
    assert affcli("import-labels", sets / "va", out, *expr).stderr == "affcli: 3 clips: 3 made\n"
    assert affcli("import-labels", sets / "va2", out, *expr).stderr == "affcli: 2 clips: 1 made, 1 up to date\n"
    for force in ((), ("--force",)):
        done = affcli("import-labels", sets / "va", out, *expr, *force)
        assert done.returncode == 0
        right = read(out, "video1_right")
        assert right.data.column("valence").to_pylist() == [0.5] * 3
        assert right.data.column("expression").to_pylist() == [7, None, 0]

    affcli("import-labels", sets / "va2", out)  # without its expressions, which then come alone
    done = affcli("import-labels", sets / "va", out, *expr)
    assert done.returncode == 3
    file, target = sets / "expr/Validation_Set/video1_right.txt", out / "video1_right.affect.parquet"
    assert f"{file}: has no file of valence and arousal beside it, but {target} was made of one" in done.stderr
    assert read(out, "video1_right").data.column("valence").to_pylist() == [0.5] * 3


def test_what_is_wrong_with_one_clip_does_not_stop_the_others(affcli: Command, sets: Path) -> None:
    expr, out = sets / "expr/Train_Set", sets / "out"
    (expr / "video1_left.txt").write_text(f"{EIGHT}\n4\n")
    (expr / "c.txt").write_text(f"{EIGHT}\n8\n")
    (expr / "broken.txt").write_text(f"{EIGHT}\n1\n")
    (sets / "va/broken.txt").write_text("valence,arousal\n0\n")
    done = affcli("import-labels", sets / "va", out, "--expressions", expr)
    assert done.returncode == 3
    said = done.stderr.splitlines()
    assert said[0].startswith(f"affcli: {sets}/va/broken.txt, line 2: has 1 cell")
    assert said[1].startswith(
        f"affcli: {expr}/video1_left.txt: has 1 lines of frames, expected 2, as {sets}/va/video1_left.txt has; "
    )
    assert said[2].startswith(f"affcli: {expr}/c.txt, line 2: the class is '8', expected 0 to 7")
    assert said[3].startswith("affcli: 4 clips: 1 made, 3 failed (")
    assert [path.name for path in out.iterdir()] == ["b.affect.parquet"]


def test_csv_with_expressions_says_so_in_every_recipe(affcli: Command, tmp_path: Path) -> None:
    labels, out = tmp_path / "labels", tmp_path / "out"
    labels.mkdir()
    (labels / "a.csv").write_text("clip,frame,valence,arousal,expression\na,0,0.5,0.5,4\na,1,0,0,\n")
    (labels / "b.txt").write_text("valence,arousal\n0.5,0.5\n")
    done = affcli("import-labels", labels, out)
    assert (done.returncode, done.stderr) == (0, "affcli: 2 clips: 2 made\n")
    assert read(out, "a").data.column("expression").to_pylist() == [4, None]
    assert read(out, "a").header.facts == {"annotated": 2, "format": "csv", "expressions": 1}
    # Made in one run, they are alike: `window` takes both.
    assert read(out, "a").header.recipe == read(out, "b").header.recipe
    assert read(out, "b").header.recipe["config"]["expression"] == "number of the class"


def test_labels_of_another_task_are_refused_with_the_option_for_them(affcli: Command, sets: Path) -> None:
    done = affcli("import-labels", sets / "expr/Train_Set", sets / "out")
    assert done.returncode == 3
    assert "holds expression labels, expected valence,arousal" in done.stderr
    assert "affcli import-labels takes this one by --expressions" in done.stderr
    done = affcli("import-labels", sets / "va", sets / "out", "--expressions", sets / "none")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert f"{sets}/none: does not exist" in done.stderr
    done = affcli("import-labels", sets / "va", sets / "out", "--action-units", sets / "expr/Train_Set")
    assert "begins with 'Neutral,Anger" in done.stderr and "action unit set (AU_Set)" in done.stderr
