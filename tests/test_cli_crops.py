"""export-crops, import-crops and embed over crops of both formats, as typed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import tables
from affcli.faces.crops import encode_jpeg, open_crops
from affcli.media.write import write_video
from affcli.schemas import FACES, FEATURES

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[..., Path]
Pictures = NDArray[np.uint8]

VALID = np.array([0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0], np.bool_)


@pytest.fixture
def faces(tmp_path: Path, write_faces: Write, real_crops: Pictures) -> Path:
    """Clip a as pixels and clip b as JPEG, twelve frames each, four of them without the face."""
    write_faces(tmp_path / "faces", "a", real_crops, VALID)
    write_faces(tmp_path / "faces", "b", real_crops, VALID, jpeg=True)
    return tmp_path / "faces"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def make_video(path: Path, times_ms: list[int]) -> Path:
    pictures = [np.full((32, 48, 3), 10 * i, np.uint8) for i in range(len(times_ms))]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, pictures, times_ms, Fraction(1, 1000), rate=Fraction(25))
    return path


def test_features_of_both_formats_are_nearly_the_same(affcli: Command, faces: Path, tmp_path: Path) -> None:
    assert affcli("embed", faces, tmp_path / "out", "--encoder", "hog").stderr == "affcli: 2 clips: 2 made\n"
    a, b = (tables.read(tmp_path / "out" / f"{clip}.hog.parquet", FEATURES) for clip in "ab")
    assert (a.column("valid") == VALID).all() and (b.column("valid") == VALID).all()
    assert not b.array()[~VALID].any()
    assert np.corrcoef(a.array()[VALID].ravel(), b.array()[VALID].ravel())[0, 1] > 0.98


def test_embed_says_which_jpeg_is_damaged(affcli: Command, faces: Path, tmp_path: Path) -> None:
    array = np.load(faces / "b.faces.npy")
    array[tables.read(faces / "b.faces.parquet", FACES).column("jpeg_end")[4] :] = 0
    np.save(faces / "b.faces.npy", array)
    done = affcli("embed", faces / "b.faces.parquet", tmp_path / "out", "--encoder", "hog")
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert "b.faces.npy: is not the array that b.faces.parquet was written with" in done.stderr


def test_export_lays_pictures_out_as_the_field_does(
    affcli: Command, faces: Path, tmp_path: Path, real_crops: Pictures
) -> None:
    done = affcli("export-crops", faces, tmp_path / "tree")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "affcli: 2 clips: 2 made\n")
    names = [f"{number:05d}.jpg" for number in np.flatnonzero(VALID) + 1]
    stored = open_crops(tables.read(faces / "b.faces.parquet", FACES))
    for clip in "ab":
        assert sorted(path.name for path in (tmp_path / "tree" / clip).iterdir()) == [".affcli.json", *names]
        for name in names:
            picture = cv2.imread(str(tmp_path / "tree" / clip / name))[..., ::-1]
            assert np.abs(picture.astype(int) - real_crops[int(name[:5]) - 1]).mean() < 2.5
            content = (tmp_path / "tree" / clip / name).read_bytes()
            assert content == stored.file(int(name[:5]) - 1).tobytes()  # type: ignore[attr-defined]
    stamp = json.loads((tmp_path / "tree/a/.affcli.json").read_text())
    assert stamp["recipe"]["config"] == {"quality": 95} and stamp["recipe"]["parents"][0]["step"] == "extract-faces"


def test_export_makes_only_what_is_missing_or_changed(
    affcli: Command, faces: Path, tmp_path: Path, write_faces: Write, real_crops: Pictures
) -> None:
    tree = tmp_path / "tree"
    affcli("export-crops", faces, tree)
    before = contents(tree)
    assert affcli("export-crops", faces, tree).stderr == "affcli: 2 clips: 2 up to date\n"
    assert affcli("export-crops", faces, tree, "--force").stderr == "affcli: 2 clips: 2 made\n"
    (tree / "a" / "00002.jpg").unlink()
    assert affcli("export-crops", faces, tree).stderr == "affcli: 2 clips: 1 made, 1 up to date\n"
    assert contents(tree) == before
    write_faces(faces, "a", real_crops, ~VALID)
    assert affcli("export-crops", faces, tree).stderr == "affcli: 2 clips: 1 made, 1 up to date\n"
    assert sorted(path.name for path in (tree / "a").glob("*.jpg")) == [
        "00001.jpg",
        "00004.jpg",
        "00005.jpg",
        "00012.jpg",
    ]
    assert affcli("export-crops", faces, tree, "--quality", 60).stderr == "affcli: 2 clips: 2 made\n"
    assert len((tree / "b" / "00002.jpg").read_bytes()) < len(before["b/00002.jpg"]) / 2


def test_export_goes_on_after_a_bad_clip_and_touches_no_pictures_of_others(
    affcli: Command, faces: Path, tmp_path: Path
) -> None:
    np.save(faces / "a.faces.npy", np.zeros((12, 112, 112, 3), np.uint8))
    done = affcli("export-crops", faces, tmp_path / "tree")
    assert (done.returncode, done.stderr.splitlines()[-1][:32]) == (3, "affcli: 2 clips: 1 made, 1 faile")
    assert [path.name for path in (tmp_path / "tree").iterdir()] == ["b"]
    (tmp_path / "official" / "b").mkdir(parents=True)
    (tmp_path / "official" / "b" / "00001.jpg").write_bytes(b"the only copy")
    done = affcli("export-crops", faces / "b.faces.parquet", tmp_path / "official", "--force")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "holds what affcli did not export: 00001.jpg" in done.stderr
    assert contents(tmp_path / "official") == {"b/00001.jpg": b"the only copy"}


def test_one_clip_from_two_directories(
    affcli: Command, faces: Path, tmp_path: Path, real_crops: Pictures, write_faces: Write
) -> None:
    again = write_faces(tmp_path / "again", "a", real_crops, VALID)
    done = affcli("export-crops", faces, again, tmp_path / "tree")
    assert (done.returncode, "are both clip 'a'" in done.stderr) == (3, True)
    assert sorted(path.name for path in (tmp_path / "tree").iterdir()) == ["a", "b"]


def test_a_clip_without_faces_is_an_empty_directory_with_a_warning(
    affcli: Command, tmp_path: Path, write_faces: Write, real_crops: Pictures
) -> None:
    write_faces(tmp_path / "faces", "a", real_crops, np.zeros(12, np.bool_), jpeg=True)
    done = affcli("export-crops", tmp_path / "faces", tmp_path / "tree")
    assert (done.returncode, "no face in any frame" in done.stderr) == (0, True)
    assert [path.name for path in (tmp_path / "tree" / "a").iterdir()] == [".affcli.json"]
    for form in ("npy", "jpeg"):
        words = ("--rate", "25", "--frames", 12, "--format", form)
        assert affcli("import-crops", tmp_path / "tree", tmp_path / form, *words).returncode == 0
        table = tables.read(tmp_path / form / "a.faces.parquet", FACES)
        assert table.data.num_rows == 12 and not table.column("valid").any()
        assert open_crops(table)[:].shape == (12, 112, 112, 3)
    done = affcli("import-crops", tmp_path / "tree", tmp_path / "none", "--rate", "25")
    assert (done.returncode, "holds no picture" in done.stderr) == (3, True)


@pytest.mark.parametrize("clip", ["a", "b"])
def test_there_and_back_again(affcli: Command, faces: Path, tmp_path: Path, clip: str) -> None:
    affcli("export-crops", faces, tmp_path / "tree", "-q")
    done = affcli("import-crops", tmp_path / "tree", tmp_path / "back", "--rate", "25", "--frames", 12)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "affcli: 2 clips: 2 made\n")
    table = tables.read(tmp_path / "back" / f"{clip}.faces.parquet", FACES)
    source = tables.read(faces / f"{clip}.faces.parquet", FACES)
    assert (table.column("valid") == VALID).all()
    assert (table.column("time_us") == source.column("time_us")).all()
    difference = np.abs(table.array().astype(int) - open_crops(source)[:])
    assert difference.mean() < 2.5 and not table.array()[~VALID].any()
    assert table.data.column("how").to_pylist() == ["imported" if here else "absent" for here in VALID]
    for column in FACES.columns:
        assert table.data.column(column.name).null_count == (12 if column.null else 0), column.name
    assert table.header.facts == {
        "width": None,
        "height": None,
        "rate": "25",
        "decode_errors": 0,
        "stated_frames": 0,
        "partial": False,
        "faces": int(VALID.sum()),
        "person": "imported",
        "format": "npy",
    }
    assert affcli("embed", tmp_path / "back", tmp_path / "back", "--encoder", "hog", "-q").returncode == 0


def test_times_are_those_of_the_video_whoever_the_person(affcli: Command, faces: Path, tmp_path: Path) -> None:
    varying = [0, 40, 70, 120, 160, 200, 280, 300, 360, 400, 440, 500, 520, 560]
    make_video(tmp_path / "videos" / "a.mp4", varying)
    affcli("export-crops", faces, tmp_path / "tree", "-q")
    (tmp_path / "tree" / "b").rename(tmp_path / "tree" / "a_left")
    arguments = ["import-crops", tmp_path / "tree", tmp_path / "back", "--videos", tmp_path / "videos"]
    assert affcli(*arguments).stderr == "affcli: 2 clips: 2 made\n"
    for clip in ("a", "a_left"):
        table = tables.read(tmp_path / "back" / f"{clip}.faces.parquet", FACES)
        assert (np.diff(table.column("time_us")) == 1000 * np.diff(varying)).all()
        assert table.array().shape == (14, 112, 112, 3)
        assert table.column("valid").tolist() == [*VALID, False, False]
        assert table.header.facts["rate"] is None
        assert [one["name"] for one in table.header.inputs] == [clip, "a.mp4"]
    assert affcli(*arguments).stderr == "affcli: 2 clips: 2 up to date\n"
    (tmp_path / "tree" / "a" / "00002.jpg").unlink()
    assert affcli(*arguments).stderr == "affcli: 2 clips: 1 made, 1 up to date\n"


def test_a_picture_beyond_the_video(affcli: Command, faces: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path / "videos" / "a.mp4", [40 * i for i in range(9)])
    affcli("export-crops", faces, tmp_path / "tree", "-q")
    done = affcli("import-crops", tmp_path / "tree", tmp_path / "back", "--videos", video)
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert lines[0].startswith(
        f"affcli: {tmp_path}/tree/a/00011.jpg: is frame 11, counted from 1, expected at most 9, the decoded frames of "
        f"{video}; "
    )
    assert lines[1].startswith(f"affcli: {tmp_path}/tree/b: has no video in {video}, expected a video named b; add")
    assert not list((tmp_path / "back").glob("*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "import-crops: pictures do not say when they were shown, expected --videos or --rate; give the videos"),
        (["--rate", "29.97"], "--rate 29.97: is a rounded 30000/1001, expected an exact rate; write 30000/1001"),
        (["--rate", "23.976"], "--rate 23.976: is a rounded 24000/1001"),
        (["--rate", "0"], "--rate 0: is no frame rate"),
        (["--rate", "1/0"], "--rate 1/0: is no frame rate"),
        (["--rate", "nan"], "--rate nan: is no frame rate"),
        (["--rate", "25", "--videos", "."], "--rate: stands beside --videos"),
        (["--videos", "/dev/null", "--frames", "3"], "--frames: stands beside --videos"),
    ],
)
def test_nothing_guesses_a_frame_rate(affcli: Command, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = affcli("import-crops", tmp_path, tmp_path / "out", *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"affcli: {message}")


def test_exact_rates(affcli: Command, faces: Path, tmp_path: Path) -> None:
    affcli("export-crops", faces / "a.faces.parquet", tmp_path / "tree", "-q")
    for rate, last in (("30000/1001", 333_667), ("12.5", 800_000), ("25.0", 400_000)):
        affcli("import-crops", tmp_path / "tree", tmp_path / "back", "--rate", rate, "-q")
        table = tables.read(tmp_path / "back/a.faces.parquet", FACES)
        assert (len(table.column("time_us")), table.column("time_us")[-1]) == (11, last)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("00003.jpg", (96, 96), "00003.jpg: is 96 x 96 px, expected 112 x 112 as the clip's first picture"),
        ("00001.png", (112, 96), "00001.png: is 96 x 112 px, expected a square picture"),
        ("00003.jpg", None, "00003.jpg: cannot be read as a picture"),
        ("face.jpg", (112, 112), "face.jpg: is named by no frame number from 1 on"),
        ("000.jpg", (112, 112), "000.jpg: is named by no frame number from 1 on"),
        ("20201224.jpg", (112, 112), "20201224.jpg: is frame 20201224, expected at most 1000000 frames"),
    ],
)
def test_bad_pictures(
    affcli: Command, faces: Path, tmp_path: Path, name: str, size: tuple[int, int] | None, message: str
) -> None:
    affcli("export-crops", faces, tmp_path / "tree", "-q")
    if size is None:
        (tmp_path / "tree/a" / name).write_bytes(b"\xff\xd8\xff no picture \xff\xd9")
    else:
        content = np.zeros((*size, 3), np.uint8)
        encoded = cv2.imencode(".png", content)[1] if name.endswith("png") else encode_jpeg(content)
        (tmp_path / "tree/a" / name).write_bytes(encoded.tobytes())
    done = affcli("import-crops", tmp_path / "tree", tmp_path / "back", "--rate", 25)
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (3, 2)
    assert lines[0].startswith(f"affcli: {tmp_path}/tree/a/{message}")
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == ["b.faces.npy", "b.faces.parquet"]


def test_more_pictures_than_frames(affcli: Command, faces: Path, tmp_path: Path) -> None:
    affcli("export-crops", faces / "a.faces.parquet", tmp_path / "tree", "-q")
    done = affcli("import-crops", tmp_path / "tree", tmp_path / "back", "--rate", 25, "--frames", 10)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "00011.jpg: is frame 11, counted from 1, expected at most 10, as --frames says" in done.stderr


def test_equal_trees_give_equal_bytes(affcli: Command, faces: Path, tmp_path: Path) -> None:
    affcli("export-crops", faces, tmp_path / "tree", "-q")
    for out in ("one", "two"):
        affcli("import-crops", tmp_path / "tree", tmp_path / out, "--rate", 25, "-q")
        os.utime(tmp_path / "tree/a/00002.jpg", (0, 0))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_jpeg_files_stay_what_they_are(affcli: Command, faces: Path, tmp_path: Path, real_crops: Pictures) -> None:
    tree = tmp_path / "tree"
    affcli("export-crops", faces / "a.faces.parquet", tree, "--quality", 80, "-q")
    known = contents(tree)
    arguments = ["import-crops", tree, tmp_path / "back", "--rate", 25, "--format", "jpeg"]
    assert affcli(*arguments).stderr == "affcli: 1 clip: 1 made\n"
    table = tables.read(tmp_path / "back/a.faces.parquet", FACES)
    assert table.header.facts["format"] == "jpeg" and table.array().ndim == 1
    assert affcli("export-crops", tmp_path / "back", tmp_path / "again", "-q").returncode == 0
    again = contents(tmp_path / "again")
    assert all(again[name] == known[name] for name in known if name.endswith(".jpg")) and len(again) == len(known)
    (tree / "a/00002.jpg").unlink()
    cv2.imwrite(str(tree / "a/00002.png"), real_crops[1][..., ::-1])
    assert affcli(*arguments).stderr == "affcli: 1 clip: 1 made\n"
    crops = open_crops(tables.read(tmp_path / "back/a.faces.parquet", FACES))
    assert crops.shape == (11, 112, 112, 3)
    assert np.abs(crops[1].astype(int) - real_crops[1]).mean() < 2.5
