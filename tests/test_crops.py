"""Crops as JPEG, and pictures as files."""

from __future__ import annotations

import resource
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import tables
from affcli.errors import InputError, OutputError, SchemaError
from affcli.faces.crops import JpegCrops, encode_jpeg, open_crops
from affcli.media.pictures import FolderWriter, clip_folders, decode_picture, digest_pictures, numbered, read_picture
from affcli.schemas import FACES

Write = Callable[..., Path]
Pictures = NDArray[np.uint8]


def test_jpeg_keeps_the_picture_and_its_bytes_are_always_the_same(real_crops: Pictures) -> None:
    encoded = encode_jpeg(real_crops[0])
    assert encoded.ndim == 1 and encoded.dtype == np.uint8 and len(encoded) < 15_000
    assert encoded.tobytes() == encode_jpeg(real_crops[0].copy()).tobytes()
    decoded = decode_picture(encoded)
    assert decoded is not None
    difference = np.abs(decoded.astype(int) - real_crops[0])
    assert difference.mean() < 2.5 and difference.max() < 32
    assert len(encode_jpeg(real_crops[0], 50)) < len(encoded) / 2


def test_colours_are_where_they_belong() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    decoded = decode_picture(encode_jpeg(red))
    assert decoded is not None and decoded[8, 8, 0] > 250 and decoded[8, 8, 1:].max() < 5


def test_jpeg_crops_are_indexed_like_an_array(real_crops: Pictures, write_faces: Write, tmp_path: Path) -> None:
    valid = np.ones(12, np.bool_)
    valid[[0, 5, 11]] = False
    crops = open_crops(tables.read(write_faces(tmp_path, "a", real_crops, valid, jpeg=True), FACES))
    plain = open_crops(tables.read(write_faces(tmp_path, "b", real_crops, valid), FACES))
    assert isinstance(crops, JpegCrops) and isinstance(plain, np.memmap)
    assert crops.shape == plain.shape == (12, 112, 112, 3) and len(crops) == len(plain) == 12
    whole = crops[:]
    assert np.abs(whole.astype(int) - plain[:]).mean() < 2.5
    assert not whole[~valid].any()
    for which in (
        3,
        -2,
        np.int64(4),
        slice(2, 9, 3),
        slice(5, 5),
        valid,
        np.array([7, 1, 7]),
        [2, 3],
        np.zeros(12, bool),
    ):
        assert crops[which].shape == plain[which].shape and (crops[which] == whole[which]).all()
    with pytest.raises(IndexError):
        crops[12]


@pytest.mark.parametrize("damage", ["cut", "noise", "size"])
def test_a_damaged_jpeg_names_file_and_frame(
    real_crops: Pictures, write_faces: Write, tmp_path: Path, damage: str
) -> None:
    path = write_faces(tmp_path, "a", real_crops, np.ones(12, np.bool_), jpeg=True)
    ends = tables.read(path, FACES).column("jpeg_end")
    content = np.load(tmp_path / "a.faces.npy")
    if damage == "cut":
        content[ends[3] - 300 : ends[3]] = 0
    elif damage == "noise":
        content[ends[2] : ends[2] + 8] = 7
    else:
        small = encode_jpeg(real_crops[3][:96, :96])
        content[ends[2] : ends[3]] = np.pad(small, (0, ends[3] - ends[2] - len(small)))
    np.save(tmp_path / "a.faces.npy", content)
    crops = open_crops(tables.read(path, FACES))
    assert crops[[0, 1, 2, 4]].any()
    with pytest.raises(SchemaError, match=r"a\.faces\.npy: the JPEG of frame 3 is damaged"):
        crops[:]


def test_a_clip_without_a_face_has_crops_of_the_templates_size(
    real_crops: Pictures, write_faces: Write, tmp_path: Path
) -> None:
    path = write_faces(tmp_path, "a", real_crops, np.zeros(12, np.bool_), jpeg=True)
    crops = open_crops(tables.read(path, FACES))
    assert crops.shape == (12, 112, 112, 3) and not crops[:].any()


def test_what_holds_no_crops_is_refused(real_crops: Pictures, write_faces: Write, tmp_path: Path) -> None:
    flat = write_faces(tmp_path, "flat", real_crops[..., 0, :][:, :, None], np.ones(12, np.bool_))
    with pytest.raises(SchemaError, match=r"flat.faces.parquet: holds an array of \(12, 112, 1, 3\), expected crops"):
        open_crops(tables.read(flat, FACES))


def png(width: int, height: int) -> bytes:
    """A black PNG of two colours, a bit a pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width // 8 + 1) * height), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_pictures_that_would_take_gigabytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(png(160, 80))
    assert read_picture(tmp_path / "1.png").shape == (80, 160, 3)
    (tmp_path / "2.png").write_bytes(png(40_000, 20_000))
    assert (tmp_path / "2.png").stat().st_size < 200_000
    huge = encode_jpeg(np.zeros((16, 32, 3), np.uint8)).tobytes().replace(b"\0\x10\0\x20", b"\xff\xff\xff\xff")
    (tmp_path / "3.jpg").write_bytes(huge)
    for name in ("2.png", "3.jpg"):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(InputError, match=f"{name}: cannot be read as a picture"):
            read_picture(tmp_path / name)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_pictures_that_are_not_whole(real_crops: Pictures, tmp_path: Path) -> None:
    whole = encode_jpeg(real_crops[0]).tobytes()
    for number, content in enumerate((b"", b"valence", whole[:-2], whole[: len(whole) // 2], b"GIF89a" + whole), 1):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"{number}\.jpg: cannot be read as a picture"):
            read_picture(path)


def test_numbers(real_crops: Pictures, tmp_path: Path) -> None:
    for name in ("00010.JPG", "2.jpeg", "0003.png", ".hidden.jpg", "Thumbs.db"):
        (tmp_path / name).write_bytes(encode_jpeg(real_crops[0]).tobytes())
    assert {number: path.name for number, path in numbered(tmp_path).items()} == {
        2: "2.jpeg",
        3: "0003.png",
        10: "00010.JPG",
    }
    (tmp_path / "02.jpg").touch()
    with pytest.raises(InputError, match=r"2\.jpeg: and 02\.jpg are both frame 2"):
        numbered(tmp_path)


@pytest.mark.parametrize(
    ("name", "advice"),
    [("frame1.jpg", "rename"), ("00000.jpg", "add 1"), ("1234567890.png", "rename"), ("-1.jpg", "rename")],
)
def test_names_that_are_no_number(tmp_path: Path, name: str, advice: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=rf"{name}: is named by no frame number from 1 on.*; {advice}"):
        numbered(tmp_path)


def test_a_digest_tells_names_and_bytes(tmp_path: Path) -> None:
    def digest(**contents: bytes) -> str:
        for path in tmp_path.iterdir():
            path.unlink()
        for name, content in contents.items():
            (tmp_path / f"{name[1:]}.jpg").write_bytes(content)
        return digest_pictures(numbered(tmp_path))

    known = digest(_1=b"ab", _2=b"c")
    assert known == digest(_2=b"c", _1=b"ab")
    assert len({known, digest(_1=b"a", _2=b"bc"), digest(_1=b"ab", _3=b"c"), digest(_1=b"ab")}) == 4


def test_trees(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        clip_folders(tmp_path / "none")
    (tmp_path / "1.jpg").touch()
    with pytest.raises(InputError, match=r"holds pictures itself.*name the directory above it"):
        clip_folders(tmp_path)
    for name in ("b", "a", ".c"):
        (tmp_path / name).mkdir()
    assert [path.name for path in clip_folders(tmp_path)] == ["a", "b"]
    with pytest.raises(InputError, match="a: holds no picture"):
        numbered(tmp_path / "a")


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    picture, folder = np.arange(4, dtype=np.uint8), tmp_path / "clip"
    with FolderWriter(folder) as writer:
        writer.add(100_000, picture)
        writer.finish({"pictures": 1})
    with pytest.raises(KeyboardInterrupt), FolderWriter(folder) as writer:
        writer.add(1, picture)
        with pytest.raises(OutputError, match="is being written by another process"), FolderWriter(folder):
            pass
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]
    assert sorted(path.name for path in folder.iterdir()) == [".affcli.json", "100000.jpg"]
    (tmp_path / ".clip.new").mkdir()  # a killed run's
    (tmp_path / ".clip.new" / "00009.jpg").touch()
    with FolderWriter(folder) as writer:
        writer.add(2, picture)
        writer.finish({"pictures": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]
    assert sorted(path.name for path in folder.iterdir()) == [".affcli.json", "00002.jpg"]
    folder.rename(tmp_path / ".clip.old")  # ended between the two renames
    with FolderWriter(folder):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]
    assert sorted(path.name for path in folder.iterdir()) == [".affcli.json", "00002.jpg"]


def test_pictures_of_others_are_never_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    (folder / "00001.jpg").touch()
    with pytest.raises(OutputError, match=r"holds what affcli did not export: 00001\.jpg"), FolderWriter(folder):
        pass
    (folder / ".affcli.json").touch()
    (folder / "notes.txt").touch()
    with pytest.raises(OutputError, match=r"did not export: notes\.txt"), FolderWriter(folder):
        pass
    assert len(list(folder.iterdir())) == 3


def test_quality_is_written_so_that_other_programs_read_it(real_crops: Pictures, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode_jpeg(real_crops[0]).tobytes())
    assert np.abs(cv2.imread(str(tmp_path / "a.jpg"))[..., ::-1].astype(int) - real_crops[0]).mean() < 2.5
