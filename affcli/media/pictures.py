"""Directories of pictures, one for each clip, as the field hands crops on: <clip>/00001.jpg is the first frame."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError, OutputError, some
from affcli.files import aside, explained, open_aside

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png")
STAMP = ".affcli.json"  # beside exported pictures: how they were made

_MOST_PIXELS = 8192 * 8192  # a file of a few kilobytes can state a size that takes gigabytes to unpack
_WHOLE = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG": b"IEND"}  # how a picture file begins, and what stands at its end


def clip_folders(tree: Path) -> list[Path]:
    """The directories in `tree`, one for each clip, by name; hidden ones are passed over.

    Raises InputError where there is none.
    """
    if not tree.is_dir():
        found = "is no directory" if tree.exists() else "does not exist"
        raise InputError(tree, found, expected="a directory of directories of pictures", advice="check the path")
    folders = sorted(path for path in tree.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        own = any(path.suffix.lower() in PICTURE_ENDINGS for path in tree.iterdir())
        raise InputError(
            tree,
            "holds pictures itself" if own else "holds no directory",
            expected="a directory of pictures for each clip, such as CLIP/00001.jpg",
            advice="name the directory above it" if own else "check the path",
        )
    return folders


def numbered(folder: Path, *, may_be_empty: bool = False) -> dict[int, Path]:
    """The pictures of one clip by number, from 1, in order; files that are hidden or no pictures are passed over.

    Raises InputError where one has no number from 1 on, where two have the same, and where there is none, unless it
    `may_be_empty`.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in PICTURE_ENDINGS:
            continue
        number = int(path.stem) if re.fullmatch(r"\d{1,9}", path.stem, re.ASCII) else 0
        if not number:
            raise InputError(
                path,
                "is named by no frame number from 1 on",
                expected="names such as 00001.jpg, the first frame being 1",
                advice="rename or remove it" if path.stem.strip("0") else "add 1 to every number",
            )
        other = found.setdefault(number, path)
        if other != path:
            raise InputError(path, f"and {other.name} are both frame {number}", advice="remove one of them")
    if not found and not may_be_empty:
        raise InputError(
            folder,
            "holds no picture",
            expected=f"files that end in {' '.join(PICTURE_ENDINGS)}",
            advice="name the directory whose directories are the clips, or remove this one",
        )
    return dict(sorted(found.items()))


def digest_pictures(pictures: Mapping[int, Path]) -> str:
    """SHA-256 over the names and bytes of pictures, in order of their names, in hexadecimal.

    Raises InputError where one cannot be read.
    """
    found = hashlib.sha256()
    for path in sorted(pictures.values()):
        content = read_bytes(path)
        found.update(f"{path.name}\0{len(content)}\0".encode())
        found.update(content)
    return found.hexdigest()


def read_picture(path: Path) -> NDArray[np.uint8]:
    """The picture in a JPEG or PNG file, (h, w, 3) uint8 RGB.  Raises InputError where there is no whole one."""
    picture = decode_picture(np.frombuffer(read_bytes(path), np.uint8))
    if picture is None:
        raise InputError(
            path,
            "cannot be read as a picture (truncated, damaged, or far too large)",
            expected="a whole JPEG or PNG file",
            advice="copy it again, or remove it: its frame then counts as one without the face",
        )
    return picture


def decode_picture(content: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """The picture (h, w, 3) uint8 RGB in the (bytes,) of a JPEG or PNG file; None where it is not whole, or too large.

    What is refused here never reaches OpenCV: its own limit is read only once, when whoever comes first loads it.
    """
    held = content.tobytes()
    # OpenCV before version 5 fills what is missing from a file with grey, and says nothing.
    if not any(held.startswith(begin) and end in held for begin, end in _WHOLE.items()):
        return None
    if not 0 < _stated_pixels(held) <= _MOST_PIXELS:
        return None
    found = cv2.imdecode(content, cv2.IMREAD_COLOR)
    return None if found is None else np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _stated_pixels(held: bytes) -> int:
    """How many pixels a PNG or JPEG file says it has; 0 where it does not say."""
    if held.startswith(b"\x89PNG"):
        width, height = struct.unpack(">II", held[16:24]) if len(held) >= 24 else (0, 0)
        return int(width * height)
    place = 2
    while place + 9 <= len(held) and held[place] == 0xFF:
        marker, length = held[place + 1], int.from_bytes(held[place + 2 : place + 4], "big")
        if marker == 0xFF:  # padding
            place += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame: bits, height, width
            height, width = struct.unpack(">HH", held[place + 5 : place + 9])
            return int(width * height)
        else:
            place += 2 + length
    return 0


def read_bytes(path: Path) -> bytes:
    """The bytes of a picture file.  Raises InputError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", advice="check its permissions") from error


def keep_folder(folder: Path, stamp: Mapping[str, Any]) -> bool:
    """Whether `folder` holds as many pictures as `stamp` says, exported as it says."""
    there = sum(1 for _ in folder.glob("[!.]*.jpg"))
    return bool(_stamp(folder) == stamp and there == stamp["pictures"])


def _stamp(folder: Path) -> Any:
    """What was written beside exported pictures; None where it is missing or damaged."""
    try:
        return json.loads((folder / STAMP).read_bytes())
    except (OSError, ValueError):
        return None


class FolderWriter:
    """Writes the JPEG files of one clip: `add` them, then `finish`.

    A context manager.  The files are written into a hidden directory aside, which takes the place of `folder` when it
    is whole; left before `finish`, it leaves nothing behind and `folder` as it was.  Raises OutputError where it cannot
    be written, where another process is writing it, and where it holds what affcli did not export.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._new = folder.with_name(f".{folder.name}.new")
        self._old = folder.with_name(f".{folder.name}.old")

    def __enter__(self) -> FolderWriter:
        with explained(self.folder):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._refuse_foreign()
            self._lock = open_aside(self.folder)
            self._clear()  # a killed run leaves them
            self._new.mkdir()
        return self

    def add(self, number: int, content: NDArray[np.uint8]) -> None:
        """Write the JPEG file (bytes,) of one frame, counted from 1."""
        with explained(self.folder):
            (self._new / f"{number:05d}.jpg").write_bytes(content.tobytes())

    def finish(self, stamp: Mapping[str, Any]) -> None:
        """Write how the pictures were made, and put them in their place."""
        with explained(self.folder):
            (self._new / STAMP).write_text(json.dumps(stamp, allow_nan=False) + "\n", encoding="utf-8")
            if self.folder.exists():
                self.folder.rename(self._old)
            self._new.rename(self.folder)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()
        aside(self.folder).unlink(missing_ok=True)
        self._lock.close()

    def _clear(self) -> None:
        """Remove what is aside, and put back what was to be replaced and was not."""
        if self._old.exists() and not self.folder.exists():
            self._old.rename(self.folder)
        for folder in (self._new, self._old):
            shutil.rmtree(folder, ignore_errors=True)

    def _refuse_foreign(self) -> None:
        """Raise OutputError where what would be replaced is not all ours: it may be somebody's only copy."""
        if not self.folder.exists():
            return
        names = sorted(path.name for path in self.folder.iterdir())
        ours = STAMP in names
        strange = [name for name in names if name != STAMP and not (ours and re.fullmatch(r"\d{5,}\.jpg", name))]
        if strange:
            raise OutputError(
                self.folder,
                f"holds what affcli did not export: {some(strange)}",
                expected="a directory of its own",
                advice="choose another OUT, or move that away",
            )
