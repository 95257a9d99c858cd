"""affcli probe, as typed."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from affcli.cli import app
from affcli.media.write import write_video
from affcli.synthetic.clip import ClipPlan, synthesise

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos: `varying` with sound, `mute` of 15 frames without, and `pair` of 10 frames."""
    folder = tmp_path_factory.mktemp("videos")
    plan = ClipPlan(seconds=1.2, seed=2, subject=2, variable_rate=True)
    clip = synthesise(plan)
    write_video(
        folder / "varying.mp4", clip.frames(), clip.pts, clip.time_base, rate=plan.rate, waveform=clip.waveform,
        sample_rate=clip.sample_rate,
    )  # fmt: skip
    for name, n in (("mute", 15), ("pair", 10)):
        grey = [np.full((48, 64, 3), 128, np.uint8)] * n
        write_video(folder / f"{name}.mp4", grey, range(n), Fraction(1, 25), rate=Fraction(25))
    return folder


def label(path: Path, rows: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("valence,arousal\n" + "0.1,-0.2\n" * rows)
    return path


def rows_of(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    return {row["clip"]: row for row in csv.DictReader(io.StringIO(done.stdout))}


def test_csv_is_the_default_off_a_terminal(affcli: Command, made: Path) -> None:
    done = affcli("probe", made)
    assert (done.returncode, done.stderr) == (0, "")
    rows = rows_of(done)
    assert list(rows) == ["mute", "pair", "varying"]
    mute = rows["mute"]
    assert mute == {
        **dict.fromkeys(mute, ""),
        "clip": "mute", "video": str(made / "mute.mp4"), "frames": "15", "stated_frames": "15", "partial": "false",
        "decode_errors": "0", "corrupt_frames": "0", "first_s": "0.0", "last_s": "0.56", "duration_s": "0.6",
        "stated_duration_s": "0.6", "time_base_s": "1/12800", "rate_fps": "25", "stated_rate_fps": "25",
        "variable_rate": "false", "shortest_gap_ms": "40.0", "longest_gap_ms": "40.0", "width_px": "64",
        "height_px": "48", "size_changes": "0", "rotation_deg": "0", "codec": "h264", "pixel_format": "yuv420p",
        "audio": "none",
    }  # fmt: skip
    varying = rows["varying"]
    assert (varying["rate_fps"], varying["variable_rate"], varying["audio"]) == ("", "true", "present")
    assert float(varying["shortest_gap_ms"]) < float(varying["longest_gap_ms"])
    assert float(varying["audio_length_s"]) == pytest.approx(1.2, abs=0.03)


def test_json_holds_the_same_with_null_for_what_is_not_there(affcli: Command, made: Path) -> None:
    done = affcli("probe", made, "--json")
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["clip"] for one in objects] == ["mute", "pair", "varying"]
    assert (objects[0]["audio_offset_ms"], objects[0]["person"], objects[0]["partial"]) == (None, None, False)
    assert objects[2]["rate_fps"] is None
    assert list(objects[0]) == list(rows_of(affcli("probe", made, "--csv"))["mute"])


def test_a_table_for_people_fits_into_80_columns(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    label(tmp_path / "mute.txt", 14)
    words = ["probe", str(made), "--table", "--labels", str(tmp_path), "--tolerance", "1"]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stderr) == (0, "")
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert max(map(len, lines)) <= 80 and "\x1b" not in done.stdout
    assert [" ".join(line.split()) for line in lines if line.startswith((" mute", " pair"))] == [
        "mute 15 15 14 1/12800 25 none - -1 label",
        "pair 10 10 - 1/12800 25 none -",
    ]


@pytest.mark.parametrize(("tolerance", "status"), [(None, 3), (0, 3), (1, 0)])
def test_labels_off_by_one(affcli: Command, made: Path, tmp_path: Path, tolerance: int | None, status: int) -> None:
    labels = label(tmp_path / "labels" / "mute.txt", 16)
    label(tmp_path / "labels" / "pair.txt", 10)
    options = [] if tolerance is None else ["--tolerance", tolerance]
    done = affcli("probe", made, "--labels", labels.parent, *options)
    assert done.returncode == status
    rows = rows_of(done)
    assert {clip: (row["label_rows"], row["label_rows_more"], row["labels"]) for clip, row in rows.items()} == {
        "mute": ("16", "1", str(labels)),
        "pair": ("10", "0", str(labels.with_name("pair.txt"))),
        "varying": ("", "", ""),
    }
    said = f"affcli: {labels}: has 16 rows, expected 15, the frames of {made}/mute.mp4; check that they are of this"
    assert done.stderr.startswith(said) if status else done.stderr == ""
    assert done.stderr.count("\n") == (status == 3)


def test_two_people_of_a_video(affcli: Command, made: Path, tmp_path: Path) -> None:
    label(tmp_path / "Train_Set" / "pair_right.txt", 10)
    label(tmp_path / "Validation_Set" / "pair.txt", 10)
    (tmp_path / "more.csv").write_text(
        "clip,frame,valence,arousal\n" + "".join(f"mute_left,{i},0,0\n" for i in range(15))
    )
    done = affcli("probe", made, "--labels", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [(row["clip"], row["person"], row["frames"]) for row in rows_of(done).values()] == [
        ("mute_left", "left", "15"),
        ("pair", "not-right", "10"),
        ("pair_right", "right", "10"),
        ("varying", "", rows_of(done)["varying"]["frames"]),
    ]


def test_affect_tables_are_labels_too(affcli: Command, made: Path, tmp_path: Path, write_labels: Write) -> None:
    write_labels(tmp_path, "pair", np.zeros((11, 2)))
    done = affcli("probe", made / "pair.mp4", "--labels", tmp_path)
    assert done.returncode == 3
    assert rows_of(done)["pair"]["label_rows_more"] == "1"


def test_labels_without_a_video(affcli: Command, made: Path, tmp_path: Path) -> None:
    for name in ("pair", "x", "y_left"):
        label(tmp_path / f"{name}.txt", 10)
    done = affcli("probe", made, "--labels", tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith(
        f"affcli: {tmp_path}: has labels of x, y_left, whose videos are not there, expected a video for"
    )
    assert done.stderr.count("\n") == 1
    assert len(rows_of(done)) == 3


def test_labels_that_cannot_be_read(affcli: Command, made: Path, tmp_path: Path) -> None:
    label(tmp_path / "mute.txt", 15)
    (tmp_path / "pair.txt").write_text("valence,arousal\n2,0\n")
    done = affcli("probe", made, "--labels", tmp_path)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1 and "pair.txt, line 2: valence is 2" in done.stderr
    assert [row["label_rows"] for row in rows_of(done).values()] == ["15", "", ""]


def test_labels_that_name_a_clip_twice(affcli: Command, made: Path, tmp_path: Path) -> None:
    label(tmp_path / "pair.txt", 10)
    (tmp_path / "all.csv").write_text("clip,frame,valence,arousal\npair,0,0,0\n")
    done = affcli("probe", made, "--labels", tmp_path)
    assert done.returncode == 3
    assert f"{tmp_path}/pair.txt: clip 'pair' is in {tmp_path}/all.csv too" in done.stderr


def test_broken_files_are_reported_and_the_others_shown(affcli: Command, made: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_text("valence,arousal\n")
    done = affcli("probe", tmp_path / "nosuch.mp4", tmp_path / "broken.mp4", made / "mute.mp4")
    assert done.returncode == 3
    assert list(rows_of(done)) == ["mute"]
    assert [line.partition(": ")[2].partition(";")[0] for line in done.stderr.splitlines()] == [
        f"{tmp_path}/nosuch.mp4: does not exist",
        f"{tmp_path}/broken.mp4: cannot be opened as video or audio (truncated, or no media file), "
        "expected a container that FFmpeg reads",
    ]


def test_a_video_that_breaks_off_is_shown_as_far_as_it_goes(affcli: Command, tmp_path: Path) -> None:
    noise = list(np.random.default_rng(0).integers(0, 255, (100, 48, 64, 3), dtype=np.uint8))
    path = tmp_path / "cut.mkv"
    write_video(path, noise, range(100), Fraction(1, 25), rate=Fraction(25))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    done = affcli("probe", path)
    assert done.returncode == 3
    assert "cut.mkv: ends after " in done.stderr and "expected a whole video; copy it again" in done.stderr
    row = rows_of(done)["cut"]
    assert (row["partial"], row["rate_fps"], row["stated_duration_s"]) == ("true", "25", "4.0")
    assert 10 < int(row["frames"]) < 100
    assert "cut.mkv: ends at" in done.stderr and "the rest is missing" in done.stderr


def test_sound_that_cannot_be_decoded_is_a_failure_and_a_row(affcli: Command, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    grey = [np.full((48, 64, 3), 128, np.uint8)] * 25
    write_video(path, grey, range(25), Fraction(1, 25), rate=Fraction(25), waveform=np.zeros(44_100, np.float32))
    path.write_bytes(path.read_bytes().replace(b"A_AAC", b"A_XXX"))
    done = affcli("probe", path)
    assert done.returncode == 3
    assert "a.mkv: has a sound track of which nothing can be decoded" in done.stderr
    assert (rows_of(done)["a"]["frames"], rows_of(done)["a"]["audio"]) == ("25", "broken")


def test_wrong_use(affcli: Command, made: Path, tmp_path: Path) -> None:
    done = affcli("probe", made, "--csv", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "affcli: --csv and --json: are both given, expected one of them; choose one\n"
    done = affcli("probe", made, "--labels", tmp_path / "nosuch")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert affcli("probe", made, "--tolerance", -1).returncode == 2
