"""Whose face extract-faces cuts out, what it keeps, and what is left of runs that were ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import schemas, tables
from affcli.media.write import write_video
from affcli.synthetic.clip import ClipPlan, synthesise

Command = Callable[..., "subprocess.CompletedProcess[str]"]

N = 90
CROSSING = slice(56, 76)  # frames in which the two change places
TINT = np.array([0.55, 1.0, 0.6])  # of the person on the right
PATIENCE = 60.0  # s


def places(frame: int) -> tuple[int, int]:
    """Where the left and the right person's pictures of 220 px begin: they change places once."""
    shift = round(300 * np.clip((frame - CROSSING.start) / (CROSSING.stop - CROSSING.start), 0, 1))
    return 20 + shift, 320 - shift


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people side by side, the greenish one on the right; they cross once, the greenish one in front."""
    path = tmp_path_factory.mktemp("pair") / "pair.mp4"
    plan = {"seconds": N / 25, "width": 220, "height": 240}
    left = synthesise(ClipPlan(seed=11, subject=1, **plan))  # type: ignore[arg-type]
    right = synthesise(ClipPlan(seed=12, subject=4, sound=False, **plan))  # type: ignore[arg-type]

    def frames() -> Iterator[NDArray[np.uint8]]:
        for index, (one, other) in enumerate(zip(left.frames(), right.frames(), strict=True)):
            picture = np.full((240, 560, 3), 70, np.uint8)
            for image, place in zip((one, other * TINT), places(index), strict=True):
                picture[:, place : place + 220] = image
            yield picture

    write_video(
        path, frames(), range(N), Fraction(1, 25), rate=Fraction(25), waveform=left.waveform,
        sample_rate=left.sample_rate,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of one person each, long enough to end a run in their middle."""
    folder = tmp_path_factory.mktemp("clips")
    for name, seed in (("one", 21), ("two", 22)):
        clip = synthesise(ClipPlan(seconds=2, seed=seed, subject=seed, sound=False))
        write_video(folder / f"{name}.mp4", clip.frames(), clip.pts, clip.time_base, rate=Fraction(25))
    return folder


@pytest.fixture(scope="module")
def whole(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an unbroken run in one process makes of them."""
    out = tmp_path_factory.mktemp("whole")
    command = [sys.executable, "-m", "affcli", "extract-faces", str(clips), str(out), "--workers", "1"]
    subprocess.run(command, check=True, capture_output=True)
    return contents(out)


@pytest.fixture(scope="module")
def left_and_right(pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of both, made in one run."""
    out, labels = tmp_path_factory.mktemp("both"), tmp_path_factory.mktemp("labels")
    for name in ("pair_left", "pair_right"):
        (labels / f"{name}.txt").write_text("valence,arousal\n")
    command = [sys.executable, "-m", "affcli", "extract-faces", str(pair), str(out), "--labels", str(labels)]
    subprocess.run(command, check=True, capture_output=True)
    return out


def faces_of(path: Path) -> tables.Table:
    return tables.read(path, schemas.FACES)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names(folder: Path, ending: str) -> list[str]:
    return sorted(path.name.removesuffix(ending) for path in folder.glob(f"*{ending}"))


def greenness(table: tables.Table) -> NDArray[np.float64]:
    """How much more green than red there is in each crop, levels; about -12 of the left person and 55 of the right."""
    crops = table.array().astype(np.float64)
    difference: NDArray[np.float64] = (crops[..., 1] - crops[..., 0]).mean(axis=(1, 2))
    return difference


def middles(table: tables.Table) -> NDArray[np.float64]:
    middle: NDArray[np.float64] = (table.column("x1") + table.column("x2")) / 2
    return middle


OUTSIDE = np.r_[0 : CROSSING.start, CROSSING.stop : N]


@pytest.mark.parametrize(("who", "place", "green"), [("left", 0, (-40, 10)), ("right", 1, (35, 90))])
def test_two_who_cross_keep_their_own_faces(
    left_and_right: Path, who: str, place: int, green: tuple[float, float]
) -> None:
    table = faces_of(left_and_right / f"pair_{who}.faces.parquet")
    assert (table.data.num_rows, table.clip) == (N, f"pair_{who}")
    assert table.header.facts["person"] == who
    valid, ambiguous = table.column("valid"), table.column("ambiguous")
    assert valid[OUTSIDE].all()
    truth = np.array([places(frame)[place] + 110 for frame in range(N)])
    assert np.abs(middles(table) - truth)[OUTSIDE].max() < 25  # the head sways
    assert (greenness(table)[OUTSIDE] > green[0]).all() and (greenness(table)[OUTSIDE] < green[1]).all()
    sure = valid & ~ambiguous
    wrong = (greenness(table) < green[0]) | (greenness(table) > green[1])
    assert (sure & wrong).sum() <= 4  # half hidden faces, while one goes behind the other
    assert not ambiguous[OUTSIDE].any()


def test_where_they_cross_the_rows_say_that_they_are_not_sure(left_and_right: Path) -> None:
    left, right = (faces_of(left_and_right / f"pair_{who}.faces.parquet") for who in ("left", "right"))
    assert right.column("valid").all()  # nobody hides the one in front
    assert 3 <= right.column("ambiguous").sum() <= 20
    hidden = ~left.column("valid")
    assert 3 <= hidden.sum() <= 15
    middle = (CROSSING.start + CROSSING.stop) // 2
    assert hidden[middle]
    doubtful = right.column("ambiguous")
    assert (right.column("confidence")[doubtful] <= 0.5).all()
    assert (right.column("confidence")[~doubtful] > 0.5).all()


def test_one_subject_is_the_clip_that_a_label_file_asks_for(
    affcli: Command, pair: Path, left_and_right: Path, tmp_path: Path
) -> None:
    done = affcli("extract-faces", pair, tmp_path, "--subject", "left")
    assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 made\n")
    assert names(tmp_path, ".faces.parquet") == ["pair_left"]
    both = contents(left_and_right)
    assert all(both[name] == content for name, content in contents(tmp_path).items())


def test_a_plain_label_beside_a_right_one_is_the_other_person(
    affcli: Command, pair: Path, left_and_right: Path, tmp_path: Path
) -> None:
    videos, labels, out = (tmp_path / name for name in ("videos", "labels", "out"))
    videos.mkdir()
    labels.mkdir()
    shutil.copy(pair, videos)
    shutil.copy(pair, videos / "stray.mp4")
    for name in ("pair", "pair_right", "gone_left"):
        (labels / f"{name}.txt").write_text("valence,arousal\n")
    done = affcli("extract-faces", videos, out, "--labels", labels)
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"affcli: {labels}: has labels of gone_left, whose videos are not there, expected a video for each label file; "
        "name the videos' directory too, or take these label files out",
        f"affcli: {labels}: no labels of stray: not made",
        f"affcli: 3 clips: 2 made, 1 failed ({labels})",
    ]
    assert names(out, ".faces.parquet") == ["pair", "pair_right"]
    assert (out / "pair.faces.npy").read_bytes() == (left_and_right / "pair_left.faces.npy").read_bytes()
    assert (out / "pair_right.faces.npy").read_bytes() == (left_and_right / "pair_right.faces.npy").read_bytes()
    assert faces_of(out / "pair.faces.parquet").header.facts["person"] == "not-right"
    # Without the right one, the plain clip is another person's: it is not taken for up to date.
    (labels / "pair_right.txt").unlink()
    (labels / "gone_left.txt").unlink()
    done = affcli("extract-faces", pair, out, "--labels", labels)
    assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 made\n")
    assert faces_of(out / "pair.faces.parquet").header.facts["person"] == "main"

    (labels / "pair_right.txt").touch()
    sounds = tmp_path / "sounds"
    assert affcli("extract-audio", pair, sounds, "--labels", labels).stderr == "affcli: 2 clips: 2 made\n"
    assert names(sounds, ".audio.parquet") == ["pair", "pair_right"]
    assert (sounds / "pair.audio.npy").read_bytes() == (sounds / "pair_right.audio.npy").read_bytes()
    for clip in ("pair", "pair_right"):
        table = tables.read(sounds / f"{clip}.audio.parquet", schemas.AUDIO)
        assert (table.clip, table.data.num_rows) == (clip, N)
        assert table.column("valid").any()


def test_labels_of_no_video_that_is_there(affcli: Command, pair: Path, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "other.txt").write_text("valence,arousal\n")
    done = affcli("extract-faces", pair.parent, tmp_path / "out", "--labels", tmp_path / "labels")
    assert done.returncode == 3
    assert "has labels of other, whose videos are not there" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--subject", "left", "--labels", "."), "--subject left: beside --labels, expected one of them;"),
        (("--subject", "middle"), "--subject middle: is nobody, expected main, left, right, all, or the number of"),
        (("--subject=-1",), "--subject -1: is nobody"),
        (("--subject", "²"), "--subject ²: is nobody"),
        (("--subject", "1234567890"), "--subject 1234567890: is nobody"),
        (("--subject", ""), "--subject : is nobody"),
        (("--subject", "not-right"), "--subject not-right: is nobody"),
    ],
)
def test_subjects_that_make_no_sense(
    affcli: Command, pair: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    done = affcli("extract-faces", pair, tmp_path / "out", *options, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"affcli: {message}")
    assert not (tmp_path / "out").exists()


def test_everybody_or_somebody_by_number(affcli: Command, pair: Path, left_and_right: Path, tmp_path: Path) -> None:
    done = affcli("extract-faces", pair, tmp_path, "--subject", "all")
    assert (done.returncode, done.stderr) == (0, "affcli: 2 clips: 2 made\n")
    made = names(tmp_path, ".faces.parquet")
    assert [name.rstrip("0123456789") for name in made] == ["pair_t", "pair_t"]
    sides = {(left_and_right / f"pair_{who}.faces.npy").read_bytes() for who in ("left", "right")}
    assert {(tmp_path / f"{name}.faces.npy").read_bytes() for name in made} == sides
    first = made[0].removeprefix("pair_t")
    assert faces_of(tmp_path / f"{made[0]}.faces.parquet").header.facts["person"] == first

    before = contents(tmp_path)
    done = affcli("extract-faces", pair, tmp_path, "--subject", first)
    assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 up to date\n")
    done = affcli("extract-faces", pair, tmp_path, "--subject", "77")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    expected = f"affcli: {pair}: has no track 77 of a person, expected one of 0, 1, "
    assert done.stderr.startswith(expected)
    assert done.stderr.endswith(f"; affcli info {tmp_path}/pair.tracks.parquet lists them\n")
    assert contents(tmp_path) == before

    # After the crossing both go on in tracks of their own: each stands for its person, and makes that person's clip.
    tracks = tables.read(tmp_path / "pair.tracks.parquet", schemas.TRACKS)
    later = int(tracks.column("track")[-1])
    assert int(tracks.column("person")[-1]) != later
    done = affcli("extract-faces", pair, tmp_path, "--subject", later)
    assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 up to date\n")
    assert contents(tmp_path) == before
    shown = affcli("info", tmp_path / "pair.tracks.parquet").stdout
    assert f"track {later}, person {int(tracks.column('person')[-1])}, frames " in shown


def test_a_plain_label_beside_either_side_is_the_other_person(
    affcli: Command, pair: Path, left_and_right: Path, tmp_path: Path
) -> None:
    for side, other in (("left", "right"), ("right", "left")):
        labels, out = tmp_path / side, tmp_path / f"out_{side}"
        labels.mkdir()
        for name in ("pair", f"pair_{side}"):
            (labels / f"{name}.txt").write_text("valence,arousal\n")
        assert affcli("extract-faces", pair, out, "--labels", labels).returncode == 0
        assert (out / "pair.faces.npy").read_bytes() == (left_and_right / f"pair_{other}.faces.npy").read_bytes()
        assert faces_of(out / "pair.faces.parquet").header.facts["person"] == f"not-{side}"


def test_ambiguous_frames_can_be_dropped(affcli: Command, pair: Path, left_and_right: Path, tmp_path: Path) -> None:
    assert affcli("extract-faces", pair, tmp_path, "--subject", "right", "--ambiguous", "drop").returncode == 0
    kept, dropped = (faces_of(folder / "pair_right.faces.parquet") for folder in (left_and_right, tmp_path))
    doubtful = kept.column("ambiguous")
    assert doubtful.any() and not dropped.column("ambiguous").any()
    assert (dropped.column("valid") == kept.column("valid") & ~doubtful).all()
    assert not dropped.array()[doubtful].any()
    assert set(dropped.column("how")[doubtful]) == {"absent"} and np.isnan(dropped.column("x1")[doubtful]).all()


def test_a_person_who_is_seen_less_than_others_is_said(affcli: Command, tmp_path: Path) -> None:
    """A cut from one person to another: the clip of the main one says how much of it shows others only."""
    one, other = (synthesise(ClipPlan(seed=s, subject=s, seconds=s / 25, sound=False)) for s in (30, 20))

    def frames() -> Iterator[NDArray[np.uint8]]:
        yield from one.frames()
        for image in other.frames():
            picture = np.full_like(image, 200)
            picture[:, :200] = (image[:, -200:] * TINT).astype(np.uint8)
            yield picture

    write_video(tmp_path / "cut.mp4", frames(), range(50), Fraction(1, 25), rate=Fraction(25))
    done = affcli("extract-faces", tmp_path / "cut.mp4", tmp_path)
    assert "cut.mp4: the main person is in 30 of 50 frames; in 20 more only other faces are" in done.stderr


def test_a_track_of_a_video_without_faces(affcli: Command, tmp_path: Path) -> None:
    grey = [np.full((48, 64, 3), 128, np.uint8)] * 5
    write_video(tmp_path / "grey.mp4", grey, range(5), Fraction(1, 25), rate=Fraction(25))
    out = tmp_path / "out"
    done = affcli("extract-faces", tmp_path / "grey.mp4", out, "--subject", "0")
    assert done.returncode == 3
    assert done.stderr.endswith("grey.mp4: has no track 0 of a person, expected a face; leave it out\n")
    done = affcli("extract-faces", tmp_path / "grey.mp4", out, "--subject", "all")
    assert done.returncode == 0
    assert "grey.mp4: no face in any of 5 frames: nobody to make a clip of" in done.stderr
    assert [path.name for path in out.iterdir()] == ["grey.tracks.parquet"]


def test_from_tracks_are_the_same_bytes(affcli: Command, pair: Path, left_and_right: Path, tmp_path: Path) -> None:
    shutil.copy(left_and_right / "pair.tracks.parquet", tmp_path)
    # Other settings of the search do not matter: the tracks are taken however they were made.
    done = affcli("extract-faces", pair, tmp_path, "--subject", "right", "--from-tracks", "--every", 7)
    assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 made\n")
    both = contents(left_and_right)
    found = contents(tmp_path)
    assert sorted(found) == ["pair.tracks.parquet", "pair_right.faces.npy", "pair_right.faces.parquet"]
    assert all(both[name] == content for name, content in found.items())


def test_from_tracks_says_what_is_missing_or_foreign(
    affcli: Command, pair: Path, clips: Path, left_and_right: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = affcli("extract-faces", pair, out, "--from-tracks")
    assert (done.returncode, done.stderr) == (
        3,
        f"affcli: {out}/pair.tracks.parquet: does not exist, expected the tracks of {pair}; "
        "run once without --from-tracks\n",
    )
    assert not out.exists()
    out.mkdir()
    shutil.copy(left_and_right / "pair.tracks.parquet", out / "one.tracks.parquet")
    done = affcli("extract-faces", clips / "one.mp4", out, "--from-tracks")
    assert (done.returncode, done.stderr) == (
        4,
        f"affcli: {out}/one.tracks.parquet: was made of another file than {clips}/one.mp4, "
        "expected the tracks of this video; leave --from-tracks out, or name the video that they are of\n",
    )
    assert names(out, "") == ["one.tracks.parquet"]
    shutil.copy(left_and_right / "pair_left.faces.parquet", out / "pair.tracks.parquet")
    done = affcli("extract-faces", pair, out, "--from-tracks")
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert "is a table of faces, expected a table of tracks" in done.stderr


def test_other_crops_are_cut_without_another_search(
    affcli: Command, pair: Path, left_and_right: Path, tmp_path: Path
) -> None:
    """The tracks are moved by 6 px behind the command's back: crops that follow were not searched for anew."""
    table = tables.read(left_and_right / "pair.tracks.parquet", schemas.TRACKS)
    columns: dict[str, Any] = {name: table.column(name) for name in table.data.column_names}
    columns |= {name: values + np.float32(6) for name, values in columns.items() if name == "x1" or name.endswith("_x")}
    columns["x2"] = columns["x2"] + np.float32(6)
    header = table.header
    path = tmp_path / "pair.tracks.parquet"
    tables.write(path, schemas.TRACKS, columns, recipe=header.recipe, inputs=header.inputs, facts=header.facts)
    before = path.read_bytes()
    usual = faces_of(left_and_right / "pair_left.faces.parquet")
    for option, value, side in (("--template", "m3t-128", 128), ("--size", 64, 64), ("--smooth", 0, 112)):
        done = affcli("extract-faces", pair, tmp_path, "--subject", "left", option, value)
        assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 made\n")
        assert path.read_bytes() == before
        made = faces_of(tmp_path / "pair_left.faces.parquet")
        assert made.array().shape == (N, side, side, 3)
        assert made.column("x1") == pytest.approx(usual.column("x1") + 6, abs=1e-3, nan_ok=True)
        assert made.header.recipe["step"] == "extract-faces"
        assert [parent["step"] for parent in made.header.recipe["parents"]] == ["find-faces"]
    # Another way of searching makes them anew.
    affcli("extract-faces", pair, tmp_path, "--subject", "left", "--every", 3)
    assert path.read_bytes() != before
    again = faces_of(tmp_path / "pair_left.faces.parquet")
    assert np.nanmedian(np.abs(again.column("x1") - usual.column("x1"))) < 2


def test_tracks_of_other_frames_than_are_decoded(
    affcli: Command, pair: Path, left_and_right: Path, tmp_path: Path
) -> None:
    """The same file, but a decoder that gave fewer frames, or more."""
    table = tables.read(left_and_right / "pair.tracks.parquet", schemas.TRACKS)
    columns = {name: table.column(name) for name in table.data.column_names}
    header = table.header
    alike: dict[str, Any] = {"recipe": header.recipe, "inputs": header.inputs}
    path = tmp_path / "pair.tracks.parquet"
    more = {name: np.concatenate([values, values[-1:]]) for name, values in columns.items()}
    more["frame"][-1], more["time_us"][-1] = N, N * 40_000
    fewer = {name: values[columns["frame"] < N - 3] for name, values in columns.items()}
    for n, changed in ((N + 1, more), (N - 3, fewer)):
        tables.write(path, schemas.TRACKS, changed, facts={**header.facts, "frames": n}, **alike)
        done = affcli("extract-faces", pair, tmp_path)
        assert (done.returncode, done.stderr) == (
            4,
            f"affcli: {path}: has the tracks of {n} frames, "
            f"expected those of the {N} frames that are decoded of {pair}; make them again with --force\n",
        )
        assert [path.name for path in tmp_path.iterdir()] == ["pair.tracks.parquet"]


def test_jpeg_holds_the_same_pictures(affcli: Command, pair: Path, left_and_right: Path, tmp_path: Path) -> None:
    import cv2

    shutil.copy(left_and_right / "pair.tracks.parquet", tmp_path)
    done = affcli("extract-faces", pair, tmp_path, "--subject", "left", "--format", "jpeg")
    assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 made\n")
    made, usual = (faces_of(folder / "pair_left.faces.parquet") for folder in (tmp_path, left_and_right))
    crops, ends, stream = usual.array(), made.column("jpeg_end"), made.array()
    assert made.header.facts["format"] == "jpeg" and stream.ndim == 1 and ends[-1] == len(stream)
    assert stream.size < crops.size / 4
    start = 0
    for row, (end, valid) in enumerate(zip(ends.tolist(), made.column("valid"), strict=True)):
        end = int(end)
        assert (end > start) == valid
        if valid:
            picture = np.asarray(cv2.imdecode(stream[start:end], cv2.IMREAD_COLOR_RGB))
            assert np.abs(picture.astype(int) - crops[row]).mean() < 4
        start = end
    done = affcli("embed", tmp_path, tmp_path, "--encoder", "hog")
    assert done.returncode == 0, done.stderr


def test_any_number_of_workers_gives_the_same_bytes(
    affcli: Command, clips: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """Beside others a clip is worked on in one go, by itself in three threads."""
    assert len(whole) == 6
    done = affcli("extract-faces", clips, tmp_path / "2", "--workers", 2)
    assert (done.returncode, done.stderr) == (0, "affcli: 2 clips: 2 made\n")
    assert contents(tmp_path / "2") == whole


def begun(videos: Path, out: Path) -> subprocess.Popen[str]:
    """A run over two processes, in a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "affcli", "extract-faces", str(videos), str(out), "--workers", "2"],
        stderr=subprocess.PIPE, text=True, start_new_session=True, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip


def members(group: int) -> list[int]:
    """The living processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, in_group = path.read_text().rpartition(") ")[2].split()[:3]
        except OSError:
            continue  # it has just ended
        if int(in_group) == group and state != "Z":
            found.append(int(path.parent.name))
    return found


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.005)


def kill_when(videos: Path, out: Path, true: Callable[[], bool]) -> None:
    """Begin a run, and kill all of its processes as soon as something is true."""
    process = begun(videos, out)
    wait_until(true)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not members(process.pid))


def test_what_a_killed_run_leaves_is_finished_by_the_next(
    affcli: Command, clips: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    kill_when(clips, out, out.exists)  # crops are being put aside
    kill_when(clips, out, lambda: any(out.glob("*.tracks.parquet")))  # tracks are written, and the faces are being so
    assert contents(out) != whole
    done = affcli("extract-faces", clips, out)
    assert done.returncode == 0, done.stderr
    assert contents(out) == whole


def test_where_only_the_first_process_is_killed_the_others_end(clips: Path, tmp_path: Path) -> None:
    process = begun(clips, tmp_path / "out")
    wait_until((tmp_path / "out").exists)
    process.kill()
    process.wait()
    wait_until(lambda: not members(process.pid))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_ended_run_leaves_no_process_and_no_file(
    clips: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    out = tmp_path / "out"
    process = begun(clips, out)
    wait_until(out.exists)
    assert len(members(process.pid)) >= 2
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == status
    assert "Traceback" not in errors
    wait_until(lambda: not members(process.pid))
    assert not any(path.name.startswith(".") for path in out.iterdir())
