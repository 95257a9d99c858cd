"""affcli embed, as typed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import recipes, tables
from affcli.faces.crops import open_crops
from affcli.features.views import Mirrored
from affcli.schemas import AUDIO, FACES, FEATURES

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def write_audio(folder: Path, clip: str) -> Path:
    """Ten frames at 25 frames per second, with a tone under them."""
    path, n, rate = folder / f"{clip}.audio.parquet", 10, 16_000
    columns = {
        "clip": np.full(n, clip, dtype=object),
        "frame": np.arange(n),
        "time_us": np.arange(n) * 40_000,
        "valid": np.ones(n, bool),
        "sample": np.arange(n) * 640,
        "speech": np.full(n, np.nan),
    }
    facts = {"sample_rate": rate, "start_us": 0, "rate": "25", "sound": "present", "partial": False}
    wave = (8000 * np.sin(np.arange(n * 640) / 5)).astype(np.int16)
    recipe = recipes.recipe("extract-audio", {"sample_rate": rate})
    tables.write(path, AUDIO, columns, recipe=recipe, inputs=[], facts=facts, array=wave)
    return path


def test_a_broken_table_does_not_stop_the_others(affcli: Command, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for clip in ("a", "b", "c"):
        write_audio(source, clip)
    broken = source / "b.audio.parquet"
    broken.write_bytes(broken.read_bytes()[:-50])
    done = affcli("embed", source, out, "--encoder", "logmel-stack")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines() == [
        f"affcli: {broken}: cannot be read as Parquet, expected a whole Parquet file; make it again from its source",
        f"affcli: 3 clips: 2 made, 1 failed ({broken})",
    ]
    assert sorted(path.name for path in out.glob("*.parquet")) == ["a.logmel-stack.parquet", "c.logmel-stack.parquet"]


def test_settings_are_options_and_stand_in_the_recipe(affcli: Command, tmp_path: Path) -> None:
    write_audio(tmp_path, "a")
    done = affcli("embed", "--n-mels", 20, tmp_path, tmp_path, "--encoder", "logmel-stack", "--name", "small")
    assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 made\n")
    table = tables.read(tmp_path / "a.small.parquet", FEATURES)
    assert table.header.facts == {"encoder": "small", "modality": "audio", "width": 100}
    assert table.header.recipe["config"]["encoder"] == "logmel-stack"
    assert table.header.recipe["config"]["n_mels"] == 20
    again = affcli("embed", tmp_path, tmp_path, "--encoder", "logmel-stack", "--set", "n-mels=20", "--name", "small")
    assert again.stderr == "affcli: 1 clip: 1 up to date\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cell", "4"], "--cell: is no setting of logmel-stack, expected one of its own: --n-mels, --n-fft, "),
        (["--n-mels", "many"], "--n-mels many: is not what it takes, expected a whole number, such as 40; "),
        (["--n-mels", "0"], "--n-mels 0: is not what it takes, expected a whole number of at least 1, such as 40; "),
        (["--window", "600"], "--window 600: is more than --n-fft 512, expected at most 512; "),
        (["--top-db", "nan"], "--top-db nan: is not what it takes, expected a finite number, such as 80.0; "),
        (["--clock", "wall"], "--clock wall: is not what it takes, expected exact or official; "),
        (["--set", "n-mels"], "--set n-mels: has no value, expected NAME=VALUE; "),
        (["--set", "n-mels=3", "--n-mels", "3"], "--set n-mels=3: is given twice, expected one value; "),
        (["--set", "mels=3"], "--mels: is no setting of logmel-stack, expected one of its own: --n-mels, "),
        (["--half"], "--half: is not safe for logmel-stack, expected full precision; "),
        (["--device", "cuda"], "--device cuda: is nothing to logmel-stack, expected cpu; "),
    ],
)
def test_wrong_settings_are_status_2(affcli: Command, tmp_path: Path, words: list[str], said: str) -> None:
    write_audio(tmp_path, "a")
    done = affcli("embed", tmp_path, tmp_path, "--encoder", "logmel-stack", *words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"affcli: {said}")
    assert done.stderr.count("\n") == 1


def test_processes_and_threads_give_the_same_bytes(
    affcli: Command, tmp_path: Path, write_faces: Callable[..., Path], real_crops: NDArray[np.uint8]
) -> None:
    for clip, start in (("a", 0), ("b", 3)):
        write_faces(tmp_path / "faces", clip, real_crops[start:], np.arange(12 - start) != 2)
    for out, words in (("one", ["--workers", 1, "--threads", 1]), ("more", ["--workers", 2, "--batch", 3])):
        done = affcli("embed", tmp_path / "faces", tmp_path / out, "--encoder", "centerface-b448", *words)
        assert (done.returncode, done.stderr) == (0, "affcli: 2 clips: 2 made\n")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "more" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("audio", "--name audio: is the name that tables of audio have"),
        ("affect", "--name affect: is the name that tables of affect have"),
        ("hog", "--name hog: is the name that the encoder of that name gives"),
        ("../x", "--name ../x: cannot be a name of files"),
    ],
)
def test_features_take_no_name_of_another_kind(affcli: Command, tmp_path: Path, name: str, said: str) -> None:
    source = write_audio(tmp_path, "a")
    before = source.read_bytes()
    done = affcli("embed", tmp_path, tmp_path, "--encoder", "mfcc-mel", "--name", name)
    assert done.returncode == 2
    assert said in done.stderr
    assert source.read_bytes() == before


def test_what_an_encoder_says_names_the_file(
    affcli: Command, tmp_path: Path, write_faces: Callable[..., Path], real_crops: NDArray[np.uint8]
) -> None:
    path = write_faces(tmp_path, "a", real_crops, np.ones(12, bool))
    done = affcli("embed", tmp_path, tmp_path, "--encoder", "hog", "--cell", "99")
    assert done.returncode == 4
    assert done.stderr.startswith(f"affcli: {path}: crops: are 112 px wide, expected at least 198 px")
    done = affcli("embed", tmp_path, tmp_path, "--encoder", "nets/a.onnx")
    assert done.returncode == 2
    assert "nets/a.onnx: is a file, not an encoder, expected onnx:nets/a.onnx for a network of pictures" in done.stderr


@pytest.mark.parametrize(
    ("encoder", "jpeg"), [("hog", False), ("hog", True), ("flow", False), ("centerface-b448", True)]
)
def test_flip_gives_the_features_of_mirrored_crops(
    affcli: Command,
    tmp_path: Path,
    write_faces: Callable[..., Path],
    real_crops: NDArray[np.uint8],
    encoder: str,
    jpeg: bool,
) -> None:
    valid = np.arange(12) != 2
    crops = open_crops(tables.read(write_faces(tmp_path / "faces", "a", real_crops, valid, jpeg=jpeg), FACES))
    write_faces(tmp_path / "mirrored", "a", crops[:][:, :, ::-1], valid)
    for source, out, words in (("faces", "flipped", ["--flip"]), ("mirrored", "plain", []), ("faces", "as-is", [])):
        done = affcli("embed", tmp_path / source, tmp_path / out, "--encoder", encoder, *words)
        assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 made\n")
    flipped, plain, as_is = (
        tables.read(tmp_path / out / f"a.{encoder}.parquet", FEATURES) for out in ("flipped", "plain", "as-is")
    )
    assert flipped.array().any() and np.array_equal(flipped.array(), plain.array())
    assert not np.array_equal(flipped.array(), as_is.array())
    assert recipes.differences(flipped.header.recipe, as_is.header.recipe) == ["config.flip: true, other null"]
    assert flipped.header.facts == as_is.header.facts
    again = affcli("embed", tmp_path / "faces", tmp_path / "flipped", "--encoder", encoder, "--flip")
    assert again.stderr == "affcli: 1 clip: 1 up to date\n"


def test_flipped_features_and_others_do_not_replace_each_other(
    affcli: Command, tmp_path: Path, write_faces: Callable[..., Path], real_crops: NDArray[np.uint8]
) -> None:
    for clip in ("a", "b"):
        write_faces(tmp_path / "faces", clip, real_crops, np.ones(12, bool))
    embed = ("embed", tmp_path / "faces", tmp_path, "--encoder", "hog")
    assert affcli(*embed).returncode == 0
    path = tmp_path / "a.hog.parquet"
    before = path.read_bytes()
    refused = affcli(*embed, "--flip")
    assert (refused.returncode, refused.stderr) == (
        4,
        f"affcli: {path}: holds features of crops as they are, expected those of flipped crops, or no features of that "
        "name; choose another OUT or another --name, or replace them with --force\n",
    )
    assert path.read_bytes() == before
    named = affcli(*embed, "--flip", "--name", "hog[flipped]")
    assert (named.returncode, named.stderr) == (0, "affcli: 2 clips: 2 made\n")
    assert affcli(*embed, "--name", "hog[flipped]").returncode == 4
    forced = affcli(*embed, "--flip", "--force")
    assert (forced.returncode, forced.stderr) == (0, "affcli: 2 clips: 2 made\n")
    back = affcli(*embed)
    assert back.returncode == 4
    assert f"{path}: holds features of flipped crops, expected those of crops as they are" in back.stderr
    for left in ("a", "b"):
        (tmp_path / f"{left}.hog.parquet").write_bytes(b"damaged")
    assert affcli(*embed).returncode == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize(("encoder", "reads"), [("logmel-stack", "audio"), ("landmarks", "landmarks")])
def test_only_pictures_can_be_flipped(affcli: Command, tmp_path: Path, encoder: str, reads: str) -> None:
    write_audio(tmp_path, "a")
    done = affcli("embed", tmp_path, tmp_path / "out", "--encoder", encoder, "--flip")
    assert (done.returncode, done.stderr) == (
        2,
        f"affcli: --flip: is nothing to {encoder}, which reads {reads} and no pictures, expected an encoder of crops "
        "or film; leave the option out\n",
    )


@pytest.mark.parametrize("jpeg", [False, True])
def test_mirrored_crops_are_indexed_like_the_crops(
    tmp_path: Path, write_faces: Callable[..., Path], real_crops: NDArray[np.uint8], jpeg: bool
) -> None:
    crops = open_crops(tables.read(write_faces(tmp_path, "a", real_crops, np.arange(12) != 5, jpeg=jpeg), FACES))
    mirrored, whole = Mirrored(crops), crops[:][:, :, ::-1]
    assert mirrored.shape == crops.shape and len(mirrored) == 12
    for which in (3, slice(2, 9, 3), np.array([7, 1, 7]), np.arange(12) % 2 == 0):
        assert np.array_equal(mirrored[which], whole[which]) and mirrored[which].flags.c_contiguous
    asked: list[object] = []

    class Watched:
        shape = crops.shape

        def __len__(self) -> int:
            return len(crops)

        def __getitem__(self, which: object) -> NDArray[np.uint8]:
            asked.append(which)
            return crops[which]

    Mirrored(Watched())[4:6]
    assert asked == [slice(4, 6)]  # and no other frame is read
