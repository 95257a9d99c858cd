"""affcli import-labels"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from affcli.cli import label_options
from affcli.cli.foreign_labels import Reading, facts, import_foreign, reading, target_of
from affcli.cli.options import FORCE, OUT
from affcli.cli.progress import progress, say
from affcli.cli.runs import Run
from affcli.errors import InputError, SchemaError, UsageError, some

if TYPE_CHECKING:
    from affcli.labels.affect import Affect
    from affcli.recipes import Recipe

log = logging.getLogger(__name__)

_ENDINGS = {"aff-wild2": ".txt", "csv": ".csv"}
RULE = {"not_annotated": "empty, or below -1", "valid": "valence and arousal"}
# Said where they are imported, so that labels without them keep the recipe that they always had.
EXPRESSIONS = {"expression": "number of the class"}
ACTION_UNITS = {"action_units": "0 or 1"}

SOURCE = typer.Argument(
    ...,
    metavar="DIR",
    help="Directory of Aff-Wild2 text files (.txt) and CSV files (.csv) of valence and arousal, or one such file; or "
    "label files of another --format.",
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
    format: label_options.Name | None = label_options.FORMAT,
    columns: str | None = label_options.COLUMNS,
    time_unit: label_options.Unit | None = label_options.TIME_UNIT,
    rate: str | None = label_options.RATE,
    range: str | None = label_options.RANGE,
    times: Path | None = label_options.TIMES,
    resample: label_options.Resampling | None = label_options.RESAMPLE,
    delay: float | None = label_options.DELAY,
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

    Labels of other data sets have scales of their own, which become -1 to 1; a value outside of its scale is an error.
    abaw-mtl and afew-va have a line for each labelled frame: other frames are not annotated, and without --times DIR
    the clip ends with the last labelled one. omg has a line for each utterance, which is a clip VIDEO_UTTERANCE; its
    value is that of every frame. ratings, arff, and csv with --columns, --time-unit, --rate or --range have values at
    times of their own, counted from the clip's first frame: each frame gets its value by its real time, and is not
    annotated before the first rating and after the last. A file may hold one dimension, where a column, the end of its
    name (_valence, _arousal) or its directory (valence, arousal) says which; the other may be in a second file. Of
    files with a column for each annotator, import each to an OUT of its own, by --columns time=NAME,value=ANNOTATOR:
    affcli gold brings them together.
    """
    from affcli import recipes, tables
    from affcli.labels.categories import with_categories
    from affcli.schemas import AFFECT

    asked = label_options.Asked(columns, time_unit, rate, range, times, resample, delay)
    if foreign := _foreign_format(source, format, asked, [expressions, action_units]):
        how = reading(foreign, asked)
        _tell(source, how, told=format is not None)
        import_foreign(source, out, how, force)
        return
    run = Run(0)
    clips = _clips(run, source, expressions, action_units, format)
    told = EXPRESSIONS if any(one.has_expressions for one in clips) or expressions else {}
    recipe = recipes.recipe("import-labels", RULE | told | (ACTION_UNITS if action_units else {}))
    seen: dict[str, Path] = {}
    bare: list[str] = []
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
            target = target_of(out, one.name, one.path)
            inputs = one.inputs()
            if one.affect is None and _is_part_of(target, one, recipe, inputs):
                run.keep()
                continue
            if not force and tables.keep(target, AFFECT, recipe, inputs):
                run.keep()
                continue
            affect = with_categories(one.name, one.affect, one.expressions, one.action_units)
            tables.write(
                target, AFFECT, affect.columns(), recipe=recipe, inputs=inputs, facts=facts(affect, one.format)
            )
            if one.affect is not None and not affect.valid.any():
                bare.append(one.name)
    if bare:
        log.warning("%s: no frame has both valence and arousal in %s", source, some(bare))
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

    @property
    def format(self) -> str:
        """What its file of valence and arousal is; without one, what the challenges' own files are."""
        return "aff-wild2" if self.affect is None or self.path.suffix.lower() == ".txt" else "csv"

    def inputs(self) -> list[dict[str, str]]:
        """The files by base name and digest; files of equal names are told apart by what they hold."""
        from affcli import recipes

        made = [] if self.source is None else [self.source]
        for path, what in ((self.expressions, "expressions"), (self.action_units, "action units")):
            if path is not None:
                made.append({**recipes.source(path), "holds": what})
        return made


def _foreign_format(
    source: Path, name: label_options.Name | None, asked: label_options.Asked, others: list[Path | None]
) -> str:
    """The format of the files where it is another than Aff-Wild2's text files and plain CSV, else "".

    Raises UsageError where the options do not go with it.
    """
    from affcli.labels.formats import FORMATS, detect, refuse_mixture

    given = asked.given()
    found = name or (detect(source) if source not in others else "")
    if found == "csv" and not given:
        found = ""
    if found not in FORMATS:
        if name is None:
            refuse_mixture(source)
        if given:
            what = f"{found} has one line per frame, -1 to 1" if found else f"{source} is no file that tells its format"
            raise label_options.unfit(given[0], what)
        return ""
    if any(others):
        raise label_options.unfit("--expressions, --action-units", f"they go with files of aff-wild2, not of {found}")
    return found


def _tell(source: Path, how: Reading, *, told: bool) -> None:
    """Say which format and scale the files are taken for; of a format that was `told`, a scale that is converted."""
    from affcli.labels.scales import UNIT, described

    if not told:
        log.warning("%s: read as %s, %s (--format)", source, how.format, described(how.scales))
    elif any(scale != UNIT[name] for name, scale in how.scales.items()):
        say(f"{source}: values of {described(how.scales)} become -1:1")


def _clips(
    run: Run, source: Path, expressions: Path | None, action_units: Path | None, format: label_options.Name | None
) -> list[_Clip]:
    """Every clip that there are labels of; files of valence and arousal that cannot be read are reported."""
    from affcli import recipes
    from affcli.labels.categories import category_files
    from affcli.labels.formats import column_of_times
    from affcli.labels.read import read_text, text_files

    faces = category_files(expressions) if expressions else {}
    units = category_files(action_units) if action_units else {}
    ending = _ENDINGS.get(format or "")
    files = [] if source in (expressions, action_units) else text_files(source)
    if others := [path for path in files if ending and path.suffix.lower() != ending]:
        raise UsageError(
            "--format", f"is not that of {others[0]}", expected=f"files that end in {ending}", advice="leave it out"
        )
    clips: list[_Clip] = []
    known: set[str] = set()
    for path in progress(files, "import-labels", "file", len(files)):
        read: list[Affect] = []
        with run.report():
            if format is None:
                _refuse_utterances(path)
            read = read_text(path)
            made = recipes.source(path)
            clips += [_Clip(a.clip, a, made, path, faces.get(a.clip), units.get(a.clip)) for a in read]
        # A file that cannot be read has no clip but that of its name, which then is not one without such a file.
        known |= {affect.clip for affect in read} or {path.stem}
        run.clips += max(1, len(read))
    if format is None and (timed := [path.name for path in files if column_of_times(path)]):
        log.warning(
            "%s: a line is a frame, and the times beside it are not read, in %s (--format csv --time-unit s "
            "--times DIR reads them)",
            source,
            some(timed),
        )
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


def _refuse_utterances(path: Path) -> None:
    """Raise InputError where a CSV among others has a line per utterance, and another scale: nothing else tells."""
    from affcli.labels.formats import detect

    if path.suffix.lower() == ".csv" and detect(path) == "omg":
        raise InputError(
            path,
            "has a line for each utterance, as OMG-Emotion has, and arousal from 0 to 1",
            expected="a line for each frame, -1 to 1, as the files beside it",
            advice="import it by itself",
        )


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
