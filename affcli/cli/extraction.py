"""What extract-faces and extract-audio share: a table for every video, resumable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from affcli.cli.progress import progress
from affcli.cli.runs import Run

if TYPE_CHECKING:
    from affcli.media.video import Video
    from affcli.recipes import Recipe
    from affcli.schemas import Schema
    from affcli.tables import Writer

KEEP_PARTIAL = typer.Option(False, "--keep-partial", help="Keep the frames before a video breaks off.")


def extract_clips(
    videos: list[Path],
    out: Path,
    schema: Schema,
    recipe: Recipe,
    extract: Callable[[str, Video, Writer], None],
    *,
    keep_partial: bool,
    force: bool,
) -> None:
    """Write the table of each video with `extract`, which is given the clip's name, its video and a writer."""
    from affcli import recipes, tables
    from affcli.clips import table_path
    from affcli.media.find import sources
    from affcli.media.video import open_video

    found = sources(videos)
    run = Run(len(found))
    for source in progress(found, recipe["step"], "clip", len(found)):
        with run.clip():
            path = table_path(out, source.clip, schema.name)
            inputs = [recipes.source(source.path)]
            # What was kept in part is refused again once nobody asks to keep it.
            if not force and tables.keep(path, schema, recipe, inputs, unless="" if keep_partial else "partial"):
                run.keep()
                continue
            video = open_video(source.path, keep_partial=keep_partial)
            with tables.Writer(path, schema, recipe=recipe, inputs=inputs) as writer:
                extract(source.clip, video, writer)
    run.close()
