"""affcli import-crops"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from affcli.cli import times
from affcli.cli.extraction import KEEP_PARTIAL
from affcli.cli.options import FORCE, OUT
from affcli.cli.progress import progress
from affcli.cli.runs import Run
from affcli.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.cli.times import Timeline
    from affcli.tables import Writer

_USUAL_SIDE = 112  # px, of crops of which there is none
_CROPS_AT_ONCE = 64


def import_crops(
    tree: Path = typer.Argument(..., metavar="TREE", help="Directory with a directory of pictures for each clip."),
    out: Path = OUT,
    videos: Path | None = times.VIDEOS,
    rate: str | None = times.RATE,
    frames: int | None = typer.Option(
        None, "--frames", min=1, help="With --rate: frames of each clip; by default up to its last picture."
    ),
    form: Literal["npy", "jpeg"] = typer.Option(
        "npy",
        "--format",
        help="Crops as pixels, 38 kB each at 112 px, or as the JPEG files they are (PNG: quality 95).",
    ),
    keep_partial: bool = KEEP_PARTIAL,
    force: bool = FORCE,
) -> None:
    """Turn pictures of aligned faces, such as the official crops of Aff-Wild2, into faces tables.

    TREE/<clip>/00001.jpg is the face in the clip's first frame; .jpg, .jpeg and .png, square and of one size, with any
    number of digits. Writes OUT/<clip>.faces.parquet and OUT/<clip>.faces.npy; a frame without a picture is a row with
    valid = false. When each frame was shown tell the clip's video (--videos), or a constant --rate: no rate is guessed.
    """
    from affcli import recipes, tables
    from affcli.clips import table_path
    from affcli.media.pictures import clip_folders, digest_pictures, numbered, read_picture
    from affcli.schemas import FACES

    clocks = times.Times(videos, rate, keep_partial=keep_partial)
    _check(clocks, videos, frames)
    folders = clip_folders(tree)
    run = Run(len(folders))
    usual: int | None = None  # side of the clips of which there is no picture: that of the first picture of the tree
    for folder in progress(folders, "import-crops", "clip", len(folders)):
        with run.clip():
            # A clip without any face has no picture; how many frames it has must be known from elsewhere.
            clip, pictures = folder.name, numbered(folder, may_be_empty=bool(videos or frames))
            target = table_path(out, clip, FACES.name)
            first = next(iter(pictures.values()), None)
            if first:
                size = _side(first, read_picture(first))
            else:
                size = usual = usual or _first_side(folders)
            recipe = recipes.recipe("import-crops", {"size": size, "format": form, **clocks.config, "frames": frames})
            inputs = [{"name": clip, "sha256": digest_pictures(pictures)}, *clocks.inputs(clip, folder)]
            if not force and tables.keep(target, FACES, recipe, inputs, unless="" if keep_partial else "partial"):
                run.keep()
                continue
            last = max(pictures, default=0)
            timeline = clocks.timeline(clip, last, pictures.get(last, folder), frames)
            with tables.Writer(target, FACES, recipe=recipe, inputs=inputs) as writer:
                ends = (_write_pixels if form == "npy" else _write_files)(writer, pictures, size, len(timeline.time_us))
                columns = _columns(clip, timeline, pictures) | {"jpeg_end": ends}
                writer.finish(columns, _facts(timeline, pictures) | {"format": form})
    run.close()


def _check(clocks: times.Times, videos: Path | None, frames: int | None) -> None:
    if not clocks:
        raise UsageError(
            "import-crops",
            "pictures do not say when they were shown",
            expected="--videos or --rate",
            advice="give the videos they were cut from with --videos, or, where none has a varying frame rate, "
            "the rate, such as --rate 30000/1001",
        )
    if frames and videos:
        raise UsageError(
            "--frames", "stands beside --videos", expected="--rate", advice="leave it out: the videos tell the number"
        )


def _first_side(folders: list[Path]) -> int:
    """The side of the first picture of a tree, px; the usual one where there is no picture at all."""
    from affcli.media.pictures import numbered, read_picture

    for folder in folders:
        for path in numbered(folder, may_be_empty=True).values():
            return int(read_picture(path).shape[0])
    return _USUAL_SIDE


def _side(path: Path, picture: NDArray[np.uint8], size: int | None = None) -> int:
    """The side of a square picture, px.  Raises InputError where it is none, or its side is not `size`."""
    height, width = int(picture.shape[0]), int(picture.shape[1])
    if height != width or size not in (None, height):
        raise InputError(
            path,
            f"is {width} x {height} px",
            expected=f"{size} x {size} as the clip's first picture" if size else "a square picture",
            advice="cut all faces of a clip to one square size",
        )
    return height


def _write_pixels(writer: Writer, pictures: dict[int, Path], size: int, frames: int) -> NDArray[np.float64]:
    """Write the crops, zeros where there is no picture, as pixels; returns the empty `jpeg_end`, (n,)."""
    import numpy as np

    from affcli.media.pictures import read_picture

    for start in range(0, frames, _CROPS_AT_ONCE):
        batch = np.zeros((min(_CROPS_AT_ONCE, frames - start), size, size, 3), np.uint8)
        for place in range(len(batch)):
            if path := pictures.get(start + place + 1):
                picture = read_picture(path)
                _side(path, picture, size)
                batch[place] = picture
        writer.append(batch)
    return np.full(frames, np.nan)


def _write_files(writer: Writer, pictures: dict[int, Path], size: int, frames: int) -> NDArray[np.int64]:
    """Write the JPEG files end to end, each as it is, and PNG files as JPEG; returns `jpeg_end`, (n,)."""
    import numpy as np

    from affcli.faces.crops import encode_jpeg
    from affcli.media.pictures import read_bytes, read_picture

    lengths = np.zeros(frames, np.int64)
    writer.append(np.zeros(0, np.uint8))  # an array, even where there is no picture
    for number, path in pictures.items():
        picture = read_picture(path)
        _side(path, picture, size)
        content = np.frombuffer(read_bytes(path), np.uint8)
        if content[0] != 0xFF:  # a PNG
            content = encode_jpeg(picture)
        writer.append(content)
        lengths[number - 1] = len(content)
    return np.cumsum(lengths)


def _columns(clip: str, timeline: Timeline, pictures: dict[int, Path]) -> dict[str, Any]:
    """The rows of the faces table: where the face was in the video's picture nobody knows any more."""
    import numpy as np

    from affcli.schemas import FACES

    n = len(timeline.time_us)
    valid = np.zeros(n, np.bool_)
    valid[[number - 1 for number in pictures]] = True
    unknown = {column.name: np.full(n, np.nan) for column in FACES.columns if column.null}
    return unknown | {
        "clip": np.full(n, clip, dtype=object),
        "frame": np.arange(n, dtype=np.int32),
        "time_us": timeline.time_us,
        "valid": valid,
        "how": np.where(valid, "imported", "absent").astype(object),
        "ambiguous": np.zeros(n, np.bool_),
        "corrupt": timeline.corrupt,
    }


def _facts(timeline: Timeline, pictures: dict[int, Path]) -> dict[str, Any]:
    return {
        "width": None,
        "height": None,
        **timeline.facts,
        "faces": len(pictures),
        "person": "imported",
    }
