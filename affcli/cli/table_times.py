"""The times of a clip's frames from its faces or audio table: for labels and predictions that tell none."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from affcli.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.labels.affect import Affect


def require_directory(path: Path) -> None:
    """Raise InputError where what should hold the tables of all clips is no directory."""
    if not path.is_dir():
        raise InputError(
            path,
            "is no directory" if path.exists() else "does not exist",
            expected="the directory of the clips' faces or audio tables",
            advice="check the path",
        )


def clip_times(directory: Path, clip: str) -> tuple[Path, NDArray[np.int64]]:
    """The table that tells the times of a clip's frames, and the times, (n,) us.  Raises InputError without one."""
    from affcli import tables
    from affcli.clips import table_path
    from affcli.schemas import AUDIO, FACES

    for schema in (FACES, AUDIO):
        path = table_path(directory, clip, schema.name)
        if path.exists():
            time_us = tables.read(path, schema).column("time_us")
            if not len(time_us):
                raise InputError(path, "has no frame", expected="a row per frame", advice="make it again")
            return path, time_us
    raise InputError(
        directory,
        f"has no table of clip '{clip}'",
        expected=f"{clip}.faces.parquet or {clip}.audio.parquet",
        advice="run extract-faces or extract-audio on its video, or give the video the clip's name",
    )


def with_times(affect: Affect, path: Path, time_us: NDArray[np.int64]) -> Affect:
    """A clip with the times of its frames, (n,) us, that the table at `path` tells.

    Raises InputError where the table is of another number of frames.
    """
    if len(time_us) != len(affect):
        raise InputError(
            path,
            f"has {len(time_us)} frames",
            expected=f"{len(affect)}, as {affect.source or 'its file'} has of clip '{affect.clip}'",
            advice="check that both are of one video, with a line for every frame",
        )
    return dataclasses.replace(affect, time_us=time_us)
