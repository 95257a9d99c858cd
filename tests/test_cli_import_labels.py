"""affcli import-labels, as typed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

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
