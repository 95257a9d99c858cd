"""affcli import-labels"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from affcli.cli.options import FORCE, OUT
from affcli.cli.progress import progress
from affcli.cli.runs import Run
from affcli.errors import InputError

if TYPE_CHECKING:
    from affcli.labels.affect import Affect

RULE = {"not_annotated": "empty, or below -1", "valid": "valence and arousal"}


def import_labels(
    source: Path = typer.Argument(
        ..., metavar="DIR", help="Directory of Aff-Wild2 text files (.txt) and CSV files (.csv), or one such file."
    ),
    out: Path = OUT,
    force: bool = FORCE,
) -> None:
    """Turn label files into affect tables, one per clip.

    Writes OUT/<clip>.affect.parquet, one row per frame. Line k after the header of an Aff-Wild2 file is frame k - 1;
    -5, and anything else below -1, is not annotated. A CSV has the columns clip,frame,valence,arousal, or
    frame,valence,arousal, or valence,arousal with one line per frame; without the column clip its file name is the
    clip's name.
    """
    from affcli import recipes, tables
    from affcli.labels.read import read_text, text_files
    from affcli.schemas import AFFECT

    files = text_files(source)
    recipe = recipes.recipe("import-labels", RULE)
    seen: dict[str, Path] = {}
    run = Run(0)
    for path in progress(files, "import-labels", "file", len(files)):
        clips: list[Affect] = []
        with run.report():
            clips = read_text(path)
            inputs = [recipes.source(path)]
            kind = "aff-wild2" if path.suffix.lower() == ".txt" else "csv"
        run.clips += max(1, len(clips))
        for affect in clips:
            with run.clip():
                if affect.clip in seen:
                    raise InputError(
                        path,
                        f"clip '{affect.clip}' is in {seen[affect.clip]} too",
                        expected="each clip once",
                        advice="rename one of them, or leave one out",
                    )
                seen[affect.clip] = path
                target = _target(out, affect.clip, path)
                if not force and tables.keep(target, AFFECT, recipe, inputs):
                    run.keep()
                    continue
                facts = {"annotated": int(affect.valid.sum()), "format": kind}
                tables.write(target, AFFECT, affect.columns(), recipe=recipe, inputs=inputs, facts=facts)
    run.close()


def _target(out: Path, clip: str, path: Path) -> Path:
    """Where the table of a clip goes.  Raises InputError, naming the file it comes from, where no file can."""
    from affcli.clips import table_path

    try:
        return table_path(out, clip, "affect")
    except InputError as error:
        raise InputError(
            f"{path}, {error.subject}", error.found, expected=error.expected, advice=error.advice
        ) from error
