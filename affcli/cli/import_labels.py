"""affcli import-labels"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from affcli.cli.options import FORCE, OUT
from affcli.cli.progress import progress
from affcli.cli.runs import Run
from affcli.errors import InputError, SchemaError, some

if TYPE_CHECKING:
    from affcli.labels.affect import Affect
    from affcli.recipes import Recipe

log = logging.getLogger(__name__)

RULE = {"not_annotated": "empty, or below -1", "valid": "valence and arousal"}
# Said where they are imported, so that labels without them keep the recipe that they always had.
EXPRESSIONS = {"expression": "number of the class"}
ACTION_UNITS = {"action_units": "0 or 1"}

SOURCE = typer.Argument(
    ...,
    metavar="DIR",
    help="Directory of Aff-Wild2 text files (.txt) and CSV files (.csv) of valence and arousal, or one such file.",
)
EXPRESSION_FILES = typer.Option(
    None,
    "--expressions",
    metavar="DIR",
    help="The expression labels of these clips: Aff-Wild2 text files, searched for to the depths of DIR, or one file.",
)
ACTION_UNIT_FILES = typer.Option(
    None,
    "--action-units",
    metavar="DIR",
    help="The action unit labels of these clips: Aff-Wild2 text files, searched for to the depths of DIR, or one file.",
)


def import_labels(
    source: Path = SOURCE,
    out: Path = OUT,
    expressions: Path | None = EXPRESSION_FILES,
    action_units: Path | None = ACTION_UNIT_FILES,
    force: bool = FORCE,
) -> None:
    """Turn label files into affect tables, one per clip.

    Writes OUT/<clip>.affect.parquet, one row per frame. Line k after the header of an Aff-Wild2 file is frame k - 1;
    -5, and anything else below -1, is not annotated. A CSV has the columns clip,frame,valence,arousal, or
    frame,valence,arousal, or valence,arousal with one line per frame; without the column clip its file name is the
    clip's name. Its column expression, where it has one, is the number of the class.

    With --expressions and --action-units, the table of a clip also holds what the files of its name there say, which
    must have as many lines. A clip that has a file only there becomes a table with valence and arousal nowhere
    annotated, unless DIR is one file. To import nothing but expressions or action units, give their directory as DIR,
    too.

    Classes are Neutral 0, Anger 1, Disgust 2, Fear 3, Happiness 4, Sadness 5, Surprise 6 and, since ABAW3, Other 7;
    action units are the 8 of the challenge of 2020, or the 12 since ABAW3. Not annotated is -1.
    """
    from affcli import recipes, tables
    from affcli.labels.categories import with_categories
    from affcli.schemas import AFFECT

    run = Run(0)
    clips = _clips(run, source, expressions, action_units)
    told = EXPRESSIONS if any(one.has_expressions for one in clips) or expressions else {}
    recipe = recipes.recipe("import-labels", RULE | told | (ACTION_UNITS if action_units else {}))
    seen: dict[str, Path] = {}
    for one in progress(clips, "import-labels", "clip", len(clips)):
        with run.clip():
            if one.name in seen:
                raise InputError(
                    one.path,
                    f"clip '{one.name}' is in {seen[one.name]} too",
                    expected="each clip once",
                    advice="rename one of them, or leave one out",
                )
            seen[one.name] = one.path
            target = _target(out, one.name, one.path)
            inputs = one.inputs()
            if one.affect is None and _is_part_of(target, one, recipe, inputs):
                run.keep()
                continue
            if not force and tables.keep(target, AFFECT, recipe, inputs):
                run.keep()
                continue
            affect = with_categories(one.name, one.affect, one.expressions, one.action_units)
            tables.write(target, AFFECT, affect.columns(), recipe=recipe, inputs=inputs, facts=_facts(one, affect))
    run.close()


@dataclass(frozen=True, eq=False)
class _Clip:
    """One clip and its label files."""

    name: str
    affect: Affect | None  # as `source` tells it
    source: dict[str, str] | None  # the file of valence and arousal as an input
    path: Path  # the file that it is known by in messages
    expressions: Path | None
    action_units: Path | None

    @property
    def has_expressions(self) -> bool:
        """Whether its own file of valence and arousal, a CSV, tells expressions."""
        return self.affect is not None and self.affect.expression is not None

    def inputs(self) -> list[dict[str, str]]:
        """The files by base name and digest; files of equal names are told apart by what they hold."""
        from affcli import recipes

        made = [] if self.source is None else [self.source]
        for path, what in ((self.expressions, "expressions"), (self.action_units, "action units")):
            if path is not None:
                made.append({**recipes.source(path), "holds": what})
        return made


def _clips(run: Run, source: Path, expressions: Path | None, action_units: Path | None) -> list[_Clip]:
    """Every clip that there are labels of; files of valence and arousal that cannot be read are reported."""
    from affcli import recipes
    from affcli.labels.categories import category_files
    from affcli.labels.read import read_text, text_files

    faces = category_files(expressions) if expressions else {}
    units = category_files(action_units) if action_units else {}
    files = [] if source in (expressions, action_units) else text_files(source)
    clips: list[_Clip] = []
    known: set[str] = set()
    for path in progress(files, "import-labels", "file", len(files)):
        read: list[Affect] = []
        with run.report():
            read = read_text(path)
            made = recipes.source(path)
            clips += [_Clip(a.clip, a, made, path, faces.get(a.clip), units.get(a.clip)) for a in read]
        # A file that cannot be read has no clip but that of its name, which then is not one without such a file.
        known |= {affect.clip for affect in read} or {path.stem}
        run.clips += max(1, len(read))
    alone = sorted({*faces, *units} - known) if source.is_dir() or not files else []
    if files and not source.is_dir():
        for option, labels in (("--expressions", faces), ("--action-units", units)):
            if labels and not known & labels.keys():
                given = expressions if labels is faces else action_units
                log.warning("%s %s: holds nothing of %s: nothing is taken from it", option, given, some(sorted(known)))
    run.clips += len(alone)
    for name in alone:
        path = faces[name] if name in faces else units[name]
        clips.append(_Clip(name, None, None, path, faces.get(name), units.get(name)))
    return clips


def _is_part_of(target: Path, one: _Clip, recipe: Recipe, inputs: list[dict[str, str]]) -> bool:
    """Whether a clip without valence and arousal stands in OUT with them, imported by another run from the same files.

    The sets of the challenges divide the clips otherwise for each task: a run over one set must not undo what that
    over another has made.  Raises InputError where the table has valence and arousal, but not these labels.
    """
    from affcli import tables

    if not target.exists():
        return False
    try:
        header = tables.read_header(target)
    except (InputError, SchemaError):
        return False  # damaged or foreign: it is made again
    if header.recipe.get("step") != recipe["step"] or all("holds" in entry for entry in header.inputs):
        return False
    if header.recipe == recipe and all(entry in header.inputs for entry in inputs):
        return True
    raise InputError(
        one.path,
        f"has no file of valence and arousal beside it, but {target} was made of one, and without this",
        expected="both in one run",
        advice="give the directory of all sets, by the same options, in every run; or take another OUT",
    )


def _facts(one: _Clip, affect: Affect) -> dict[str, object]:
    """What the table of a clip says of its rows."""
    import numpy as np

    text = one.affect is None or one.path.suffix.lower() == ".txt"
    facts: dict[str, object] = {"annotated": int(affect.valid.sum()), "format": "aff-wild2" if text else "csv"}
    if affect.expression is not None:
        facts["expressions"] = int(np.count_nonzero(affect.expression >= 0))
    if affect.action_units:
        facts["action_units"] = int(np.count_nonzero(np.max([*affect.action_units.values()], axis=0) >= 0))
    return facts


def _target(out: Path, clip: str, path: Path) -> Path:
    """Where the table of a clip goes.  Raises InputError, naming the file it comes from, where no file can."""
    from affcli.clips import table_path

    try:
        return table_path(out, clip, "affect")
    except InputError as error:
        raise InputError(
            f"{path}, {error.subject}", error.found, expected=error.expected, advice=error.advice
        ) from error
