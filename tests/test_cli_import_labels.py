"""affcli import-labels, as typed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import run

from affcli import recipes, tables
from affcli.recipes import digest
from affcli.schemas import AFFECT, AUDIO

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
    anew = f"affcli: {out}: made anew, since the files of these names hold something else now: "
    assert (done.returncode, done.stderr) == (0, f"{anew}video1_left\naffcli: 3 clips: 1 made, 2 up to date\n")
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


def test_a_clip_without_any_annotated_frame_is_told(affcli: Command, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("valence,arousal\n-5,-5\n,0.5\n")
    (tmp_path / "b.csv").write_text("valence,arousal\n0,0\n")
    done = affcli("import-labels", tmp_path, tmp_path / "out")
    assert done.stderr.splitlines() == [
        f"affcli: {tmp_path}: no frame has both valence and arousal in a",
        "affcli: 2 clips: 2 made",
    ]


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
    assert done.stderr.endswith("something else now: video1_left\naffcli: 2 clips: 1 made, 1 up to date\n")
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


def write_times(out: Path, clip: str, time_us: list[int]) -> Path:
    """The audio table of a clip, for the times of its frames."""
    n = len(time_us)
    columns = {
        "clip": np.full(n, clip, dtype=object),
        "frame": np.arange(n, dtype=np.int32),
        "time_us": np.array(time_us, np.int64),
        "valid": np.ones(n, np.bool_),
        "sample": np.arange(n, dtype=np.int64),
        "speech": np.full(n, np.nan),
    }
    facts = {"sample_rate": 16000, "start_us": 0, "rate": None, "sound": "present", "partial": False}
    recipe, path = recipes.recipe("extract-audio", {}), out / f"{clip}.audio.parquet"
    silence = np.zeros(n, np.int16)
    tables.write(path, AUDIO, columns, recipe=recipe, inputs=[], facts=facts, array=silence)
    return path


def affect(out: Path, clip: str) -> list[list[float | None]]:
    data = read(out, clip).data
    return [data.column(name).to_pylist() for name in ("valence", "arousal")]


MTL = "image,valence,arousal,expression,aus\n"


def test_multitask_labels_are_told_from_their_header(affcli: Command, tmp_path: Path) -> None:
    labels, out = tmp_path / "labels", tmp_path / "out"
    labels.mkdir()
    none = ",-1" * 12
    source = labels / "train.txt"
    source.write_text(f"{MTL}a/00003.jpg,0.5,-1,6{none}\nb/00001.jpg,-5,-5,-1,{','.join('010000000000')}\n")
    done = affcli("import-labels", labels, out)
    assert (done.returncode, done.stderr.splitlines()) == (
        0,
        [
            f"affcli: {labels}: read as abaw-mtl, valence -1:1, arousal -1:1 (--format)",
            f"affcli: {labels}: clips end with the last labelled frame (a 3, b 1); --times DIR tells their frames",
            f"affcli: {labels}: no frame has both valence and arousal in b",
            "affcli: 2 clips: 2 made",
        ],
    )
    assert affect(out, "a") == [[None, None, 0.5], [None, None, -1.0]]
    assert read(out, "a").data.column("expression").to_pylist() == [None, None, 6]
    assert read(out, "b").data.column("au2").to_pylist() == [1]
    table = read(out, "a")
    assert table.header.facts == {"annotated": 1, "format": "abaw-mtl", "expressions": 1, "action_units": 0}
    assert table.header.inputs == [{"name": "train.txt", "sha256": digest(source)}]
    assert table.header.recipe["config"]["scale"] == {"valence": [-1, 1], "arousal": [-1, 1]}

    before = (out / "a.affect.parquet").read_bytes()
    done = affcli("import-labels", labels, out, "--format", "abaw-mtl")
    assert done.stderr == "affcli: 2 clips: 2 up to date\n"
    affcli("import-labels", labels, out, "--force")
    assert (out / "a.affect.parquet").read_bytes() == before

    times = [write_times(out, clip, [0, 40_000, 80_000, 130_000]) for clip in ("a", "b")]
    done = affcli("import-labels", labels, out, "--format", "abaw-mtl", "--times", out, "-q")
    assert affect(out, "a") == [[None, None, 0.5, None], [None, None, -1.0, None]]
    table = read(out, "a")
    assert table.data.column("time_us").to_pylist() == [0, 40_000, 80_000, 130_000]
    assert table.header.inputs[1] == {"name": times[0].name, "sha256": digest(times[0]), "holds": "times"}


def test_a_clip_in_two_multitask_files_is_made_of_neither(affcli: Command, tmp_path: Path) -> None:
    for name in ("t", "v"):
        (tmp_path / f"{name}.txt").write_text(f"{MTL}a/00001.jpg,0,0,0{',0' * 12}\n{name}/00001.jpg,0,0,0{',0' * 12}\n")
    done = affcli("import-labels", tmp_path, tmp_path / "out")
    assert done.returncode == 3
    assert f"{tmp_path}/v.txt: clip 'a' is in {tmp_path}/t.txt too" in done.stderr
    assert sorted(path.name[0] for path in (tmp_path / "out").iterdir()) == ["t", "v"]


def test_a_file_of_many_clips_is_digested_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = tmp_path / "t.txt"
    labels.write_text(MTL + "".join(f"{name}/00001.jpg,0,0,0{',0' * 12}\n" for name in "abcd"))
    digested: list[Path] = []

    def counted(path: Path) -> dict[str, str]:
        digested.append(path)
        return {"name": path.name, "sha256": digest(path)}

    monkeypatch.setattr(recipes, "source", counted)
    run("import-labels", labels, tmp_path / "out")
    assert digested == [labels]
    assert len([*(tmp_path / "out").iterdir()]) == 4


def test_afew_va_is_told_from_its_ending(affcli: Command, tmp_path: Path) -> None:
    for clip, value in (("001", 5), ("002", 12)):
        (tmp_path / clip).mkdir()
        frames = f'{{"00000": {{"valence": {value}, "arousal": -10}}}}'
        (tmp_path / clip / f"{clip}.json").write_text(f'{{"video_id": "{clip}", "frames": {frames}}}')
    done = affcli("import-labels", tmp_path, tmp_path / "out")
    assert done.returncode == 3
    assert f"affcli: {tmp_path}: read as afew-va, valence -10:10, arousal -10:10 (--format)" in done.stderr
    assert f"{tmp_path}/002/002.json, frame '00000': valence is 12, expected -10 to 10" in done.stderr
    assert "affcli: 2 clips: 1 made, 1 failed" in done.stderr
    assert affect(tmp_path / "out", "001") == [[0.5], [-1.0]]


def test_omg_labels_every_frame_of_an_utterance(affcli: Command, tmp_path: Path) -> None:
    source = tmp_path / "omg.csv"
    source.write_text(
        "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"
        "l,0,1,v,utterance_1.mp4,0.25,-0.5,1\nl,1,2,v,utterance_2.mp4,0,0,1\n"
    )
    done = affcli("import-labels", source, tmp_path)
    assert done.returncode == 2
    assert "--times: is missing: in omg, a label is of a whole clip" in done.stderr
    write_times(tmp_path, "v_utterance_1", [0, 40_000])
    done = affcli("import-labels", source, tmp_path, "--times", tmp_path)
    assert done.returncode == 3  # the other has no video
    assert f"{tmp_path}: has no table of clip 'v_utterance_2', expected v_utterance_2.faces.parquet" in done.stderr
    assert affect(tmp_path, "v_utterance_1") == [[-0.5, -0.5], [-0.5, -0.5]]


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    """Two clips as RECOLA has them, a file for each dimension, and the times of their frames in `times`."""
    for dimension, values in (("arousal", (0.5, 0.25, -1)), ("valence", (0, 1, 0))):
        for clip in ("dev_1", "train_1"):
            path = tmp_path / "gold" / dimension / f"{clip}.arff"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = "".join(f"'{clip}',{0.04 * i:.2f},{value}\n" for i, value in enumerate(values))
            names = "@attribute name string\n@attribute frameTime numeric\n@attribute GoldStandard numeric\n"
            path.write_text(f"@relation gold\n{names}@data\n{rows}")
    for clip in ("dev_1", "train_1"):
        # A video whose clock begins at 1 s, and whose rate is another.
        write_times(tmp_path / "times", clip, [1_000_000, 1_030_000, 1_060_000, 1_090_000])
    return tmp_path


def test_arff_of_two_dimensions_at_the_times_of_frames(affcli: Command, gold: Path) -> None:
    out = gold / "out"
    done = affcli("import-labels", gold / "gold", out, "--times", gold / "times")
    assert (done.returncode, done.stderr.splitlines()) == (
        0,
        [
            f"affcli: {gold}/gold: read as arff, valence -1:1, arousal -1:1 (--format)",
            "affcli: 2 clips: 2 made",
        ],
    )
    assert affect(out, "train_1") == [[0, 1, 1, None], [0.5, 0.25, 0.25, None]]
    table = read(out, "train_1")
    assert table.data.column("time_us").to_pylist() == [1_000_000, 1_030_000, 1_060_000, 1_090_000]
    held = [(entry["name"], entry["holds"]) for entry in table.header.inputs]
    audio = "train_1.audio.parquet"
    assert held == [("train_1.arff", "valence"), ("train_1.arff", "arousal"), (audio, "times")]
    options = ("--times", gold / "times", "--resample", "linear", "--delay", "0.04", "-q")
    affcli("import-labels", gold / "gold", out, *options)
    assert affect(out, "train_1") == [[1, 0.25, None, None], [0.25, 0.25 - 1.25 * 0.75, None, None]]
    config = read(out, "train_1").header.recipe["config"]
    assert (config["resample"], config["delay_us"]) == ("linear", 40_000)
    assert read(out, "dev_1").header.recipe == read(out, "train_1").header.recipe


def test_half_a_clip_is_not_made_where_the_other_half_is_broken(affcli: Command, gold: Path) -> None:
    (gold / "gold/arousal/train_1.arff").write_text("@relation x\n@data\n")
    done = affcli("import-labels", gold / "gold", gold / "out", "--format", "arff", "--times", gold / "times")
    assert done.returncode == 3
    assert f"{gold}/gold/arousal/train_1.arff: has no line @attribute" in done.stderr
    assert "affcli: 2 clips: 1 made, 1 failed" in done.stderr
    assert [path.name for path in (gold / "out").iterdir()] == ["dev_1.affect.parquet"]


def test_clips_that_a_broken_file_names_itself_are_not_made_by_halves(affcli: Command, gold: Path) -> None:
    for dimension in ("arousal", "valence"):
        rows = "".join(f"{clip};{i};0\n" for clip in ("dev_1", "train_1") for i in range(2))
        path = gold / "csv" / dimension / "all.csv"
        path.parent.mkdir(parents=True)
        path.write_text("name;timestamp;value\n" + rows)
    path.write_text(path.read_text() + "train_1;2\n")
    (gold / "csv" / "whole.csv").write_text("name;timestamp;valence;arousal\nthird;0;0;0\n")
    write_times(gold / "times", "third", [0])
    options = ("--format", "ratings", "--range", "-1:1", "--times", gold / "times")
    done = affcli("import-labels", gold / "csv", gold / "out", *options)
    assert done.returncode == 3
    assert f"{path}, line 6: has 2 cells, expected 3" in done.stderr
    assert [path.name for path in (gold / "out").iterdir()] == ["third.affect.parquet"]


def test_ratings_of_many_annotators_become_a_gold_standard(affcli: Command, gold: Path) -> None:
    for dimension, sign in (("arousal", 1), ("valence", -1)):
        path = gold / "recola" / dimension / "train_1.csv"
        path.parent.mkdir(parents=True)
        rows = "".join(f"{0.03 * i:.2f};{sign * 0.1 * i:.1f};{sign * 0.2 * i:.1f}\n" for i in range(4))
        path.write_text("time;FM1 ;FF1\n" + rows)
    for who in ("FM1", "FF1"):
        options = ("--columns", f"time=time,value={who}", "--range", "-1:1", "--times", gold / "times")
        done = affcli("import-labels", gold / "recola", gold / "rated" / who, "--format", "ratings", *options)
        assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 made\n")
    done = affcli("gold", gold / "rated/FM1", gold / "rated/FF1", "-o", gold / "out")
    assert done.returncode == 0
    valence, arousal = affect(gold / "out", "train_1")
    assert arousal == pytest.approx([0, 0.15, 0.3, 0.45])
    assert valence == pytest.approx([0, -0.15, -0.3, -0.45])


def test_the_scale_that_is_said_is_the_one_that_is_used(affcli: Command, gold: Path) -> None:
    for path in (gold / "gold").glob("*/*.arff"):
        path.write_text(path.read_text().replace(",1\n", ",75\n").replace(",-1\n", ",100\n"))
    done = affcli("import-labels", gold / "gold", gold / "out", "--times", gold / "times", "--range", "0:100")
    assert done.stderr.splitlines() == [
        f"affcli: {gold}/gold: read as arff, valence 0:100, arousal 0:100 (--format)",
        "affcli: 2 clips: 2 made",
    ]
    assert affect(gold / "out", "dev_1")[0] == [-1, 0.5, 0.5, None]


def test_ratings_that_last_far_longer_than_the_video_are_told(affcli: Command, gold: Path) -> None:
    source = gold / "train_1.csv"
    source.write_text("time,valence,arousal\n0,0,0\n45,0.5,0.5\n90,1,1\n")  # in milliseconds
    options = ("--format", "ratings", "--range", "-1:1", "--times", gold / "times")
    done = affcli("import-labels", source, gold / "out", *options)
    said = "ratings and videos do not last alike (train_1 90 s of 0.09 s): check --time-unit, --rate and --times"
    assert (done.returncode, done.stderr.splitlines()[0]) == (0, f"affcli: {source}: {said}")
    done = affcli("import-labels", source, gold / "out", *options, "--time-unit", "ms")
    assert done.stderr == "affcli: 1 clip: 1 made\n"
    assert affect(gold / "out", "train_1")[0] == [0, 0.5, 0.5, 1]
    done = affcli("import-labels", source, gold / "out", *options, "--time-unit", "us")
    assert "(train_1 9e-05 s of 0.09 s)" in done.stderr


def test_formats_are_not_mixed_in_silence(affcli: Command, gold: Path) -> None:
    (gold / "csv").mkdir()
    (gold / "csv" / "a.csv").write_text("valence,arousal\n0,0.5\n")
    header = "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"
    (gold / "csv" / "omg.csv").write_text(f"{header}l,0,1,v,utterance_1.mp4,0.25,-0.5,1\n")
    done = affcli("import-labels", gold / "csv", gold / "out")
    assert done.returncode == 3
    assert f"{gold}/csv/omg.csv: has a line for each utterance, as OMG-Emotion has, and arousal from 0" in done.stderr
    assert [path.name for path in (gold / "out").iterdir()] == ["a.affect.parquet"]

    (gold / "gold" / "001.json").write_text('{"frames": {"00000": {"valence": 5, "arousal": -10}}}')
    done = affcli("import-labels", gold / "gold", gold / "other")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert (
        f"{gold}/gold: holds .arff and .json files, expected labels of one format; name it by --format" in done.stderr
    )


def test_times_that_are_not_read_are_told(affcli: Command, gold: Path) -> None:
    source = gold / "train_1.csv"
    source.write_text("Time,valence,arousal\n0,0,0\n0.05,0.5,0.5\n0.1,1,1\n")
    done = affcli("import-labels", source, gold / "out")
    assert (done.returncode, affect(gold / "out", "train_1")[0]) == (0, [0, 0.5, 1])
    assert f"{source}: a line is a frame, and the times beside it are not read, in train_1.csv (--format" in done.stderr
    done = affcli(
        "import-labels", source, gold / "out", "--format", "csv", "--time-unit", "s", "--times", gold / "times"
    )
    assert (done.stderr, affect(gold / "out", "train_1")[0]) == ("affcli: 1 clip: 1 made\n", [0, 0.5, 0.5, 1])
    source.write_text("frame,time,valence,arousal\n0,0,0,0\n1,0.05,0.5,0.5\n")
    done = affcli("import-labels", source, gold / "out", "--force")
    assert done.stderr == "affcli: 1 clip: 1 made\n"


def test_a_named_format_says_the_scale_that_it_brings(affcli: Command, tmp_path: Path) -> None:
    (tmp_path / "001.json").write_text('{"frames": {"00000": {"valence": 5, "arousal": -10}}}')
    done = affcli("import-labels", tmp_path, tmp_path / "out", "--format", "afew-va")
    said = f"affcli: {tmp_path}: values of valence -10:10, arousal -10:10 become -1:1"
    assert done.stderr.splitlines()[0] == said
    assert (
        affcli("import-labels", tmp_path, tmp_path / "other", "--format", "afew-va", "-q").stderr.count("become") == 0
    )


def test_interval_ratings_need_their_scale(affcli: Command, gold: Path) -> None:
    source = gold / "train_1.csv"
    source.write_text("time,evaluatorWeightedEstimate\n0,50\n0.05,100\n0.1,0\n")
    options = ("--format", "ratings", "--columns", "time=time,valence=evaluatorWeightedEstimate")
    done = affcli("import-labels", source, gold / "out", *options, "--times", gold / "times")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--range: is missing: files of ratings have no common scale, expected -1:1 (RECOLA" in done.stderr
    more = ("--range", "valence=0:100", "--times", gold / "times", "--resample", "linear")
    done = affcli("import-labels", source, gold / "out", *options, *more)
    assert done.returncode == 0
    assert f"{source}: no frame has both valence and arousal in train_1" in done.stderr
    valence, arousal = affect(gold / "out", "train_1")
    assert valence == pytest.approx([0, 0.6, 0.6, -0.6], abs=1e-12)
    assert arousal == [None] * 4


def test_csv_with_columns_of_its_own(affcli: Command, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("Frame;V;A\n0;-10;0\n2;10;1\n")
    columns = (
        "--format",
        "csv",
        "--columns",
        "time=Frame,valence=V,arousal=A",
        "--range",
        "valence=-10:10,arousal=0:1",
    )
    done = affcli("import-labels", source, tmp_path, *columns, "--time-unit", "frame")
    assert (done.returncode, affect(tmp_path, "a")) == (0, [[-1, None, 1], [-1, None, 1]])
    assert f"{source}: clips end with the last labelled frame (a 3)" in done.stderr
    write_times(tmp_path, "a", [0, 500_000, 1_000_000])
    done = affcli("import-labels", source, tmp_path, *columns, "--rate", "1", "--times", tmp_path)
    assert (done.returncode, affect(tmp_path, "a")) == (0, [[-1, -1, 1], [-1, -1, 1]])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--format aff-wild2 --range 0:1", "--range: has no meaning here: aff-wild2 has one line per frame"),
        ("--columns valence=V", "--columns: has no meaning here:"),
        ("--format afew-va --delay 2", "--delay: has no meaning here: afew-va has no columns and times"),
        ("--format abaw-mtl --range 0:1", "--range: has no meaning here: abaw-mtl is -1:1 by definition"),
        ("--format csv --time-unit frame --delay 0", "--delay: has no meaning here: with --time-unit frame"),
        ("--format csv --rate 25 --time-unit ms", "--time-unit: has no meaning here: with --rate"),
        ("--format csv --time-unit ms", "--times: is missing: in csv, labels have times of their own"),
        ("--format csv --range 1:0", "--range 1:0: has '1:0', expected LOW:HIGH"),
        ("--format csv --range 0:1,valence=0:2", "--range 0:1,valence=0:2: has 'valence=0:2'"),
        ("--format csv --range joy=0:2", "--range joy=0:2: has 'joy=0:2'"),
        ("--format csv --columns valence", "--columns valence: has 'valence', expected some of clip, time, valence"),
        ("--format csv --columns time=t", "--columns time=t: names no column of values"),
        ("--format csv --columns value=a,valence=b", "--columns value=a,valence=b: names no column of values, or too"),
        ("--format csv --columns time=1,valence=V", "--columns time=1,valence=V: has names and numbers"),
        ("--format csv --rate 0", "--rate 0: is no frame rate"),
        ("--format csv --rate=", "--rate : is no frame rate"),
        ("--format csv --range=", "--range : has ''"),
        ("--columns=", "--columns: has no meaning here:"),
        ("--format csv --delay nan", "command line: Invalid value for '--delay'"),
        ("--format omg --times x --expressions x", "--expressions, --action-units: has no meaning here"),
        ("--format csv", "--format: is not that of"),
    ],
)
def test_options_that_do_not_fit_are_refused(affcli: Command, tmp_path: Path, options: str, said: str) -> None:
    source = tmp_path / "a.txt"
    source.write_text("valence,arousal\n0,0\n")
    done = affcli("import-labels", source, tmp_path / "out", *options.split())
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"affcli: {said}")


def test_the_formats_of_today_can_be_named(affcli: Command, tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_text("valence,arousal\n0.5,0\n")
    affcli("import-labels", source, tmp_path / "plain")
    done = affcli("import-labels", source, tmp_path / "named", "--format", "aff-wild2")
    assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 made\n")
    names = [tmp_path / place / "a.affect.parquet" for place in ("plain", "named")]
    assert names[0].read_bytes() == names[1].read_bytes()
