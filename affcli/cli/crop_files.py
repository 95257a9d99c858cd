"""Crops as they lie on disk, before a network is given windows of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affcli.cli.flipped_files import FlippedFiles as FlippedFiles
from affcli.cli.flipped_files import find_flipped as find_flipped
from affcli.cli.flipped_files import too_few
from affcli.errors import InputError, SchemaError, some

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.cli.featuresets import FeatureFile
    from affcli.headers import Header
    from affcli.recipes import Recipe
    from affcli.tables import Table
    from affcli.training.crops import Frames

_SAME_VIDEO = "make features and crops again from the same video"


@dataclass(frozen=True, eq=False)
class CropFile:
    """The crops of one clip, as many of its frames as are used: n, the first ones of the table."""

    clip: str
    side: int  # px, as of the crops of all clips
    time_us: NDArray[np.int64]  # (n,)
    valid: NDArray[np.bool_]  # (n,): the face is in this frame
    table: Table  # no column but jpeg_end

    @functools.cached_property
    def frames(self) -> Frames:
        """The crops, (n, s, s, 3) uint8 RGB: mapped into memory, or decoded from JPEG when they are asked for.

        Their file is opened here, and stays open.  Raises InputError where it is missing, SchemaError where it is not
        what the table says, or its crops are not `side` px wide.
        """
        import numpy as np

        from affcli.faces.crops import open_crops

        crops = open_crops(self.table)
        if crops.shape[1] != self.side:
            raise _wrong_side(self.table.path, crops.shape[1], f"{self.side} x {self.side} px", self.side)
        n = len(self.valid)
        if n == len(crops):
            return crops
        return crops[:n] if isinstance(crops, np.ndarray) else _First(crops, n)

    def source(self) -> dict[str, str]:
        """The table as an input of what is made from it; it holds the digest of its crops."""
        from affcli.recipes import source

        used = {} if len(self.valid) == len(self.table.data) else {"frames": f"the first {len(self.valid)}"}
        return {**source(self.table.path), **used}

    def check(self, beside: FeatureFile) -> None:
        """Raise SchemaError where these crops are not of the same frames as features of the clip."""
        n, rows = len(beside.time_us), len(self.time_us)
        if rows == n and (beside.time_us == self.time_us).all():
            return
        raise SchemaError(
            self.table.path,
            f"{rows} frames of clip '{self.clip}'" if rows != n else f"frame times of clip '{self.clip}' differ",
            expected=f"{n} as in {beside.path}" if rows != n else f"those of {beside.path}",
            advice=_SAME_VIDEO,
        )


class _First:
    """The first `n` of crops that are no array."""

    def __init__(self, crops: Frames, n: int) -> None:
        self._crops = crops
        self.shape = (n, *crops.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: Any) -> NDArray[np.uint8]:
        import numpy as np

        return self._crops[np.arange(self.shape[0])[which]]


@dataclass(frozen=True, eq=False)
class CropFiles:
    """The crops of many clips, made alike; who is seen in each does not matter."""

    source: Path
    paths: Mapping[str, Path]  # of the tables, by clip in order of name
    headers: Mapping[str, Header]  # by clip, of the tables that can be read

    @property
    def clips(self) -> list[str]:
        """The clips, by name; `of` says what is wrong with the table of one that cannot be used."""
        return list(self.paths)

    @property
    def recipe(self) -> Recipe:
        """How all of them were made."""
        return next(iter(self.headers.values())).recipe

    @functools.cached_property
    def side(self) -> int:
        """Side of every crop, px; where no table says it, one JPEG is decoded.

        Raises InputError and SchemaError as `CropFile.frames` does.
        """
        from affcli.faces.crops import open_crops

        clip, header = next(iter(self.headers.items()))
        return _stated_side(self.paths[clip], header) or open_crops(self._read(clip)).shape[1]

    def of(self, clip: str, frames: int | None = None, rows: int | None = None) -> CropFile:
        """The crops of one clip; of its first `frames` alone where windows lie in no more.

        Raises InputError where it has none, SchemaError where the table has fewer frames, or another number than
        `rows`, those of the features that windows were cut from, or is of another clip, and both as `tables.read` does.
        """
        from affcli.schemas import FACES

        if clip not in self.paths:
            raise InputError(
                self.source,
                f"holds no crops of clip '{clip}'",
                expected=f"{clip}.{FACES.name}.parquet",
                advice=f"check the directory, or make them: affcli extract-faces VIDEOS {self._folder}",
            )
        table = self._read(clip)
        found = len(table.data)
        if frames is not None and found < frames:
            raise too_few(table.path, found, clip, frames, "faces")
        if rows not in (None, found):
            raise SchemaError(
                table.path,
                f"{found} frames of clip '{clip}'",
                expected=f"{rows}, as the features have that its windows were cut from",
                advice=_SAME_VIDEO,
            )
        used = slice(frames)
        time_us, valid = table.column("time_us")[used], table.column("valid")[used]
        return CropFile(clip, self.side, time_us, valid, _narrowed(table))

    @property
    def _folder(self) -> Path:
        return self.source if self.source.is_dir() else self.source.parent

    def _read(self, clip: str) -> Table:
        from affcli import tables
        from affcli.schemas import FACES

        table = tables.read(self.paths[clip], FACES)
        rows = len(table.data)
        whole = rows > 0 and table.column("frame")[-1] == rows - 1  # `read` has seen that each clip counts from 0
        if not whole or table.clip != clip:
            raise SchemaError(
                table.path,
                f"holds the faces of clip '{table.clip}'{'' if whole else ' and of others'}" if rows else "is empty",
                expected=f"those of clip '{clip}' alone, as its name says",
                advice="give it the name of its clip, or make it again: affcli extract-faces",
            )
        return table


def find_crops(source: Path) -> CropFiles:
    """The crops in a directory with `<clip>.faces.parquet`, or of one such table; no array is opened.

    Raises InputError where there are none or two tables are named for one clip, SchemaError where crops are not square,
    not of one size, or not made alike.
    """
    from affcli import tables
    from affcli.headers import read_kind
    from affcli.recipes import differences
    from affcli.schemas import FACES

    paths: dict[str, Path] = {}
    headers: dict[str, Header] = {}
    for path, header in tables.find(source, FACES):
        clip = path.stem.removesuffix(f".{FACES.name}")
        if clip in paths:
            raise InputError(
                path,
                f"and {paths[clip]} are both named for clip '{clip}'",
                expected="one faces table for each clip",
                advice="rename one of them",
            )
        paths[clip] = path
        if header:
            headers[clip] = header
    if not headers:
        headers = {clip: read_kind(path, FACES) for clip, path in paths.items()}  # which says what is wrong
    first, *others = headers
    side = _stated_side(paths[first], headers[first])
    for clip in others:
        found = _stated_side(paths[clip], headers[clip])
        if side and found and found != side:
            raise _wrong_side(paths[clip], found, f"{side} x {side} px as in {paths[first]}", max(side, found))
        if changed := differences(headers[clip].recipe, headers[first].recipe):
            raise SchemaError(
                paths[clip],
                f"was made otherwise than {paths[first]} ({some(changed)})",
                expected="crops made alike",
                advice="make them all again with the same settings and the same affcli: affcli extract-faces --force",
            )
    return CropFiles(source, dict(sorted(paths.items())), dict(sorted(headers.items())))


def _stated_side(path: Path, header: Header) -> int | None:
    """The side of a clip's crops, px, as far as its table says it.  Raises SchemaError where they are not square."""
    shape = header.array["shape"] if header.array else []
    if len(shape) == 1:  # JPEG files end to end; only a recipe with a size says how large they are
        config = header.recipe.get("config")
        size = config.get("size") if isinstance(config, dict) else None
        return size if isinstance(size, int) and size > 0 else None
    if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3:
        pixels = f"crops of {shape[2]} x {shape[1]} px" if len(shape) == 4 else "no crops"
        raise SchemaError(
            path,
            f"holds {pixels}, an array of {tuple(shape)}",
            expected="square ones, (frames, s, s, 3)",
            advice="make them again: affcli extract-faces --force --size 112",
        )
    return int(shape[1])


def _wrong_side(path: Path, found: int, expected: str, size: int) -> SchemaError:
    return SchemaError(
        path,
        f"its crops are {found} x {found} px",
        expected=expected,
        advice=f"make all alike: affcli extract-faces --force --size {size}",
    )


def _narrowed(table: Table) -> Table:
    """A table without what crops are not read by: boxes and landmarks of many clips are not to be kept in memory."""
    from affcli.tables import Table

    return Table(table.path, table.header, table.data.select(["jpeg_end"]))
