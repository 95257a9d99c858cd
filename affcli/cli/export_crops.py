"""affcli export-crops"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from affcli.cli.options import FORCE, OUT
from affcli.cli.progress import progress
from affcli.cli.runs import Run
from affcli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from affcli.tables import Table

log = logging.getLogger(__name__)


def export_crops(
    faces: list[Path] = typer.Argument(..., metavar="FACES", help="Directories of faces tables, or tables."),
    out: Path = OUT,
    quality: int = typer.Option(
        95, "--quality", min=1, max=100, help="Quality of the JPEG files; crops kept as JPEG are copied at 95."
    ),
    force: bool = FORCE,
) -> None:
    """Write crops as pictures, one JPEG file per frame, as the official cropped faces are laid out.

    Writes OUT/<clip>/00001.jpg and so on: the number is the frame, counted from 1, and a frame without the face has no
    file. A clip's directory is replaced as a whole; one that holds anything else is not touched.
    """
    from affcli import recipes, schemas, tables
    from affcli.clips import file_name
    from affcli.media.pictures import FolderWriter, keep_folder

    found = [file for path in faces for file, _ in tables.find(path, schemas.FACES)]
    seen: dict[str, Path] = {}
    run = Run(len(found))
    for path in progress(found, "export-crops", "clip", len(found)):
        with run.clip():
            table = tables.read(path, schemas.FACES)
            folder = out / file_name(table.clip)
            if seen.setdefault(table.clip, path) != path:
                raise InputError(
                    path,
                    f"and {seen[table.clip]} are both clip '{table.clip}'",
                    expected="each clip once",
                    advice="write them to different directories",
                )
            recipe = recipes.recipe("export-crops", {"quality": quality}, parents=[table.header.recipe])
            count = int(table.column("valid").sum())
            stamp = {"pictures": count, "inputs": [recipes.source(path)], "recipe": recipe}
            if not force and keep_folder(folder, stamp):
                run.keep()
                continue
            tables.verify_array(path, table.header)
            if not count:
                log.warning("%s: no face in any frame: no picture", path)
            with FolderWriter(folder) as writer:
                for row, content in progress(_pictures(table, quality), table.clip, "picture", count):
                    writer.add(row + 1, content)
                writer.finish(stamp)
    run.close()


def _pictures(table: Table, quality: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The frames with the face, and their JPEG files as (bytes,) uint8."""
    import numpy as np

    from affcli.faces.crops import QUALITY, JpegCrops, encode_jpeg, open_crops

    crops = open_crops(table)
    kept = crops if isinstance(crops, JpegCrops) and quality == QUALITY else None
    for row in np.flatnonzero(table.column("valid")).tolist():
        crop = crops[row]  # decoded even where it is copied: no damaged picture leaves
        yield row, kept.file(row) if kept else encode_jpeg(crop, quality)
