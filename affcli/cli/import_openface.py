"""affcli import-openface"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from affcli.cli import times
from affcli.cli.extraction import KEEP_PARTIAL
from affcli.cli.options import FORCE, OUT
from affcli.cli.progress import progress
from affcli.cli.runs import Run
from affcli.errors import InputError, SchemaError, UsageError, some

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.features.openface import Rows

log = logging.getLogger(__name__)

ENCODER = "openface"

_SIDES = ("left", "right")


def import_openface(
    files: list[Path] = typer.Argument(..., metavar="CSV", help="CSV files that OpenFace 2 wrote, or directories."),
    out: Path = OUT,
    videos: Path | None = times.VIDEOS,
    rate: str | None = times.RATE,
    face: str = typer.Option(
        "main",
        "--face",
        metavar="FACE",
        help="Of several faces: main (greatest sum of confidence), left or right in the picture, or a face_id.",
    ),
    columns: Literal["measured", "all"] = typer.Option(
        "measured",
        "--columns",
        help="measured leaves out frame, face_id, timestamp, confidence and success, which tell where in the clip a "
        "frame is: 709 numbers. all keeps them, as the GRU-fusion paper does: 714.",
    ),
    keep_partial: bool = KEEP_PARTIAL,
    force: bool = FORCE,
) -> None:
    """Turn the CSV files of OpenFace into pose features, one row of the CSV per frame.

    Writes OUT/<clip>.openface.parquet and OUT/<clip>.openface.npy, (frames, columns) float32; with everything that
    OpenFace measures these are 709, or 714 with --columns all. A frame without a row, or whose success is 0, has
    valid = false and zeros. The clip is named as the file; --face left and --face right add _left and _right.

    Without --videos and --rate the times are the CSV's timestamps, which OpenFace computes from the rate that the
    container states and rounds to milliseconds. Features of one clip go together only where their times are equal:
    give --videos to use them beside others.
    """
    from affcli import recipes, tables
    from affcli.clips import table_path
    from affcli.features import openface
    from affcli.schemas import FEATURES

    if not re.fullmatch(r"main|left|right|\d{1,6}", face, re.ASCII):
        raise UsageError(f"--face {face}", "is no face", expected="main, left, right or a face_id", advice="correct it")
    clocks = times.Times(videos, rate, keep_partial=keep_partial)
    found = _named(files, face)
    alike: tuple[Path, tuple[str, ...]] | None = None
    run = Run(len(found))
    for clip, path in progress(found.items(), "import-openface", "clip", len(found)):
        with run.clip():
            target = table_path(out, clip, ENCODER)
            inputs = [recipes.source(path) | {"face": face}, *clocks.inputs(clip, path)]
            content = path.read_bytes()
            names = openface.read_names(content, str(path))
            alike = alike or (path, names)
            _check_alike(path, names, *alike)
            config = {"columns": openface.groups(names), "kept": columns}
            recipe = recipes.recipe("import-openface", {**config, "times": "timestamps", **clocks.config})
            if not force and tables.keep(target, FEATURES, recipe, inputs):
                run.keep()
                continue
            rows = openface.parse(content, str(path))
            chosen = openface.choose_face(rows, face)
            time_us = _times(rows, clocks, clip, path)
            kept = [i for i, name in enumerate(names) if columns == "all" or name not in openface.BOOKKEEPING]
            vectors, valid = openface.vectors(rows, chosen, len(time_us), kept)
            facts = {"encoder": ENCODER, "modality": "pose", "width": len(kept)}
            rows_of = _columns(clip, time_us, valid)
            tables.write(target, FEATURES, rows_of, recipe=recipe, inputs=inputs, facts=facts, array=vectors)
            _say(rows, chosen, face, path, len(time_us))
    run.close()


def _named(paths: list[Path], face: str) -> dict[str, Path]:
    """The CSV files, by clip.  Raises InputError where a directory holds none, and where two are one clip."""
    found: dict[str, Path] = {}
    for path in paths:
        inside = sorted(file for file in path.glob("[!.]*.csv") if not file.is_dir()) if path.is_dir() else [path]
        if not inside:
            raise InputError(path, "holds no CSV", expected="files that end in .csv", advice="check the directory")
        for file in inside:
            clip = file.stem
            if face in _SIDES and not clip.endswith(tuple(f"_{side}" for side in _SIDES)):
                clip += f"_{face}"
            other = found.setdefault(clip, file)
            if other.resolve() != file.resolve():
                raise InputError(
                    file,
                    f"and {other} are both clip '{clip}'",
                    expected="one CSV for each name",
                    advice="rename one of them, or write them to different directories",
                )
    return found


def _check_alike(path: Path, names: tuple[str, ...], other: Path, wanted: tuple[str, ...]) -> None:
    if names == wanted:
        return
    missing, more = [n for n in wanted if n not in names], [n for n in names if n not in wanted]
    said = [f"lacks {some(missing)}"] * bool(missing) + [f"has {some(more)} besides"] * bool(more)
    raise SchemaError(
        path,
        " and ".join(said) or "has its columns in another order",
        expected=f"the {len(wanted)} columns of {other}",
        advice="run OpenFace with the same options on every video",
    )


def _times(rows: Rows, clocks: times.Times, clip: str, path: Path) -> NDArray[np.int64]:
    """The times of the clip's frames, (n,) us."""
    from affcli.features import openface

    last = int(rows.frame.max())
    if clocks:
        return clocks.timeline(clip, last, path).time_us
    return openface.times(rows, last)


def _columns(clip: str, time_us: NDArray[np.int64], valid: NDArray[np.bool_]) -> dict[str, Any]:
    import numpy as np

    n = len(time_us)
    return {
        "clip": np.full(n, clip, dtype=object),
        "frame": np.arange(n, dtype=np.int32),
        "time_us": time_us,
        "valid": valid,
    }


def _say(rows: Rows, chosen: int, face: str, path: Path, frames: int) -> None:
    """Warn of what a user may not expect."""
    if not rows.faces:
        log.warning("%s: no face in any frame: every vector is zeros", path)
    elif face == "main" and len(rows.faces) > 1:
        log.warning("%s: shows %d faces; took face %d, the main one (--face)", path, len(rows.faces), chosen)
    if (last := int(rows.frame.max())) < frames:
        log.warning("%s: ends with frame %d of %d; the others count as frames without the face", path, last, frames)
    if broken := int((rows.success & ~rows.finite).sum()):
        log.warning("%s: %d rows hold what is no number, and count as frames without the face", path, broken)
