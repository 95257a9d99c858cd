"""Crops and features of flipped crops, as commands find them on disk."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import recipes, tables
from affcli.cli.crop_files import CropFiles, find_crops, find_flipped
from affcli.cli.featuresets import feature_set, find_features
from affcli.errors import InputError, SchemaError, UsageError
from affcli.faces.crops import open_crops
from affcli.schemas import FACES
from affcli.training.crops import ClipCrops, check_crops
from affcli.windows import FeatureSet

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Pictures = NDArray[np.uint8]
Write = Callable[..., Path]
VALID = np.arange(12) != 4


def restamped(path: Path, facts: dict[str, object] | None = None, **config: object) -> Path:
    """The table at `path` with another account of itself."""
    table = tables.read(path, FACES)
    columns = {column.name: table.column(column.name) for column in FACES.columns}
    recipe = {**table.header.recipe, "config": {**table.header.recipe["config"], **config}}
    array = np.array(table.array())
    stated = {**table.header.facts, **(facts or {})}
    tables.write(path, FACES, columns, recipe=recipe, inputs=[], facts=stated, array=array)
    return path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arrays that are opened, by name of file."""
    found: list[str] = []
    really = np.lib.format.open_memmap

    def open_memmap(file: Path, mode: str) -> object:
        found.append(file.name)
        return really(file, mode=mode)

    monkeypatch.setattr(np.lib.format, "open_memmap", open_memmap)
    return found


@pytest.mark.parametrize("jpeg", [False, True])
def test_crops_of_a_clip_are_those_of_its_table(
    tmp_path: Path, write_faces: Write, real_crops: Pictures, jpeg: bool
) -> None:
    path = write_faces(tmp_path, "b", real_crops, VALID, jpeg=jpeg)
    write_faces(tmp_path, "a", real_crops[:7], VALID[:7], jpeg=jpeg)
    crops = find_crops(tmp_path)
    assert (crops.clips, crops.side) == (["a", "b"], 112)
    table = tables.read(path, FACES)
    assert crops.recipe == table.header.recipe
    one, whole = crops.of("b"), open_crops(table)[:]
    assert one.source() == recipes.source(path)
    assert np.array_equal(one.valid, VALID) and np.array_equal(one.time_us, np.arange(12) * 40_000)
    for which in (slice(2, 6), np.array([7, 1, 7]), slice(None)):
        assert np.array_equal(one.frames[which], whole[which])
    check_crops(ClipCrops("b", one.frames, one.valid), 112, 112)


@pytest.mark.parametrize("jpeg", [False, True])
def test_where_windows_lie_in_fewer_frames_the_others_are_left_out(
    tmp_path: Path, write_faces: Write, real_crops: Pictures, jpeg: bool
) -> None:
    path = write_faces(tmp_path, "a", real_crops, VALID, jpeg=jpeg)
    crops, whole = find_crops(path), open_crops(tables.read(path, FACES))
    one = crops.of("a", 9)
    assert one.frames.shape == (9, 112, 112, 3) and len(one.valid) == len(one.time_us) == 9
    assert isinstance(one.frames, np.memmap) != jpeg  # pages of a mapped file are announced and let go of
    assert np.array_equal(one.frames[2:20], whole[2:9])
    assert np.array_equal(one.frames[np.array([8, 0])], whole[[8, 0]])
    assert one.source() == {**recipes.source(path), "frames": "the first 9"}
    assert crops.of("a", 12).source() == recipes.source(path)
    with pytest.raises(IndexError):
        one.frames[np.array([9])]
    with pytest.raises(SchemaError, match=r"a\.faces\.parquet: 12 frames of clip 'a', expected 13, as its windows"):
        crops.of("a", 13)


@pytest.mark.parametrize("jpeg", [False, True])
def test_nothing_is_opened_before_it_is_needed(
    tmp_path: Path, write_faces: Write, real_crops: Pictures, opened: list[str], jpeg: bool
) -> None:
    for clip in ("a", "b", "c"):
        restamped(write_faces(tmp_path, clip, real_crops, VALID, jpeg=jpeg), size=112)
    opened.clear()
    crops = find_crops(tmp_path)
    one = crops.of("b", 10)
    assert (crops.side, opened) == (112, [])
    assert one.frames.shape == (10, 112, 112, 3) and one.frames is one.frames
    assert opened == ["b.faces.npy"]


def test_jpeg_whose_table_states_no_size_says_it_itself(
    tmp_path: Path, write_faces: Write, real_crops: Pictures, opened: list[str]
) -> None:
    write_faces(tmp_path, "a", real_crops[:, :96, :96], VALID, jpeg=True)
    write_faces(tmp_path, "b", real_crops, VALID, jpeg=True)
    crops = find_crops(tmp_path)
    opened.clear()
    assert (crops.side, opened) == (96, ["a.faces.npy"])
    assert crops.of("a").frames.shape == (12, 96, 96, 3)
    with pytest.raises(SchemaError, match=r"b\.faces\.parquet: its crops are 112 x 112 px, expected 96 x 96 px"):
        crops.of("b").frames  # noqa: B018


def test_the_person_may_differ_and_settings_may_not(tmp_path: Path, write_faces: Write, real_crops: Pictures) -> None:
    for clip in ("a", "b"):
        restamped(write_faces(tmp_path, clip, real_crops, VALID), {"person": clip})
    assert find_crops(tmp_path).clips == ["a", "b"]
    restamped(tmp_path / "b.faces.parquet", ambiguous="drop")
    with pytest.raises(
        SchemaError, match=r"b\.faces.parquet: was made otherwise than .*a\.faces.parquet \(config\.amb"
    ):
        find_crops(tmp_path)


@pytest.mark.parametrize("jpeg", [False, True])
def test_crops_of_two_sizes_are_refused(tmp_path: Path, write_faces: Write, real_crops: Pictures, jpeg: bool) -> None:
    for clip, side in (("a", 112), ("b", 96)):
        restamped(write_faces(tmp_path, clip, real_crops[:, :side, :side], VALID, jpeg=jpeg), size=side)
    with pytest.raises(SchemaError) as caught:
        find_crops(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/b.faces.parquet: its crops are 96 x 96 px, expected 112 x 112 px as in {tmp_path}/a.faces.parquet"
        "; make all alike: affcli extract-faces --force --size 112"
    )


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ((12, 112, 96, 3), r"crops of 96 x 112 px, an array of \(12, 112, 96, 3\)"),
        ((12, 112, 112), r"no crops, an array of \(12, 112, 112\)"),
    ],
)
def test_what_is_not_square_is_refused(
    tmp_path: Path, write_faces: Write, real_crops: Pictures, shape: tuple[int, ...], found: str
) -> None:
    table = tables.read(write_faces(tmp_path, "a", real_crops, VALID), FACES)
    columns = {column.name: table.column(column.name) for column in FACES.columns}
    header = table.header
    array = np.zeros(shape, np.uint8)
    tables.write(table.path, FACES, columns, recipe=header.recipe, inputs=[], facts=header.facts, array=array)
    with pytest.raises(SchemaError, match=rf"a\.faces\.parquet: holds {found}, expected square ones"):
        find_crops(tmp_path)


def test_a_clip_without_crops_is_named(tmp_path: Path, write_faces: Write, real_crops: Pictures) -> None:
    path = write_faces(tmp_path, "a", real_crops, VALID)
    for source in (tmp_path, path):
        with pytest.raises(InputError) as caught:
            find_crops(source).of("b")
        assert str(caught.value) == (
            f"{source}: holds no crops of clip 'b', expected b.faces.parquet; "
            f"check the directory, or make them: affcli extract-faces VIDEOS {tmp_path}"
        )
    with pytest.raises(InputError, match="holds no table of faces"):
        find_crops(tmp_path.parent)


def test_a_broken_table_is_no_other_clips_concern(tmp_path: Path, write_faces: Write, real_crops: Pictures) -> None:
    for clip in ("a", "b"):
        write_faces(tmp_path, clip, real_crops, VALID)
    (tmp_path / "a.faces.parquet").write_bytes(b"PAR1")
    crops = find_crops(tmp_path)
    assert (crops.clips, crops.side) == (["a", "b"], 112)
    assert crops.of("b").frames.shape == (12, 112, 112, 3)
    with pytest.raises(InputError, match=r"a\.faces\.parquet: cannot be read as Parquet"):
        crops.of("a")
    (tmp_path / "b.faces.parquet").unlink()
    with pytest.raises(InputError, match=r"a\.faces\.parquet: cannot be read as Parquet"):
        find_crops(tmp_path)


def test_a_table_is_of_the_clip_that_it_is_named_for(tmp_path: Path, write_faces: Write, real_crops: Pictures) -> None:
    write_faces(tmp_path, "a", real_crops, VALID)
    for end in ("parquet", "npy"):
        shutil.copy(tmp_path / f"a.faces.{end}", tmp_path / f"b.faces.{end}")
    with pytest.raises(
        SchemaError, match=r"b\.faces\.parquet: holds the faces of clip 'a', expected those of clip 'b'"
    ):
        find_crops(tmp_path).of("b")
    for end in ("parquet", "npy"):
        (tmp_path / f"b.faces.{end}").rename(tmp_path / f"a.{end}")
    with pytest.raises(InputError, match=r"are both named for clip 'a', expected one faces table for each clip"):
        find_crops(tmp_path)


def test_an_array_that_is_gone_is_missed_when_it_is_needed(
    tmp_path: Path, write_faces: Write, real_crops: Pictures
) -> None:
    write_faces(tmp_path, "a", real_crops, VALID)
    (tmp_path / "a.faces.npy").unlink()
    one: CropFiles = find_crops(tmp_path)
    with pytest.raises(InputError, match=r"a\.faces\.npy: is missing"):
        one.of("a").frames  # noqa: B018


VECTORS = np.arange(24, dtype=np.float32).reshape(8, 3)


def wanted(folder: Path) -> dict[str, FeatureSet]:
    """What windows of the features in a folder say of these."""
    return {name: feature_set(files) for name, files in find_features([folder], []).features.items()}


def test_flipped_features_are_those_that_differ_in_nothing_else(tmp_path: Path, write_features: Write) -> None:
    plain, other = tmp_path / "plain", tmp_path / "flipped"
    for clip in ("a", "b"):
        write_features(plain, clip, VECTORS, cell=8)
        write_features(plain, clip, VECTORS, "mfcc-mel", "audio")
        path = write_features(other, clip, VECTORS[::-1], cell=8, flip=True, valid=np.arange(8) != 2)
    flipped = find_flipped(other, wanted(plain))
    assert list(flipped.of("a")) == ["hog"]
    assert np.array_equal(flipped.of("a")["hog"], VECTORS[::-1])
    assert np.array_equal(flipped.of("b", 5)["hog"], VECTORS[:2:-1])
    assert flipped.files("b")["hog"].valid.tolist() == [True, True, False, *[True] * 5]
    assert flipped.sources("b") == [recipes.source(path)]
    with pytest.raises(SchemaError, match=r"a\.hog\.parquet: 8 frames of clip 'a', expected 9, as its windows have"):
        flipped.of("a", 9)
    with pytest.raises(InputError, match="holds no hog features of clip 'c', expected those of its flipped crops"):
        flipped.of("c")
    path.write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"b\.hog\.parquet: cannot be read as Parquet"):
        find_flipped(other, wanted(plain)).of("b")


def test_flipped_features_that_do_not_belong_are_refused(tmp_path: Path, write_features: Write) -> None:
    plain, other = tmp_path / "plain", tmp_path / "flipped"
    write_features(plain, "a", VECTORS, cell=8)
    sets = wanted(plain)

    def refused(kind: type[Exception], text: str, sets: dict[str, FeatureSet] = sets) -> None:
        with pytest.raises(kind, match=text):
            find_flipped(other, sets)

    write_features(other, "a", VECTORS, "resnet", flip=True)
    refused(InputError, "flipped: holds no hog features, expected those of flipped crops; .*: affcli embed --flip")
    write_features(other, "a", VECTORS, cell=8)
    refused(SchemaError, "flipped: holds hog features of crops as they are, expected flipped ones")
    write_features(other, "a", VECTORS, cell=9, flip=True)
    refused(SchemaError, r"its hog features were made otherwise than hog of the windows \(config.cell: 9, other 8\)")
    write_features(other, "a", VECTORS, cell=8, flip=True)
    assert list(find_flipped(other, sets).of("a")) == ["hog"]
    refused(SchemaError, "hog features of the windows: are of flipped crops themselves", {"hog": wanted(other)["hog"]})
    refused(UsageError, "has nothing to stand for: the windows hold no features", {})
    write_features(plain, "a", VECTORS, "tcae")
    refused(InputError, "flipped: holds no tcae features", wanted(plain))


def test_flipped_features_may_have_a_name_of_their_own(
    affcli: Command, tmp_path: Path, write_faces: Write, real_crops: Pictures
) -> None:
    write_faces(tmp_path, "a", real_crops, VALID)
    embed = ("embed", tmp_path, tmp_path, "--encoder", "hog")
    assert affcli(*embed).returncode == affcli(*embed, "--flip", "--name", "turned").returncode == 0
    features = find_features([tmp_path], ["hog", "turned"]).features
    flipped = find_flipped(tmp_path, {"hog": feature_set(features["hog"])})
    assert flipped.sources("a") == [recipes.source(tmp_path / "a.turned.parquet")]
    assert np.array_equal(flipped.of("a")["hog"], features["turned"]["a"].array())
    assert affcli(*embed, "--flip", "--name", "again").returncode == 0
    with pytest.raises(InputError, match="holds hog features of flipped crops twice, as again, turned"):
        find_flipped(tmp_path, {"hog": feature_set(features["hog"])})
