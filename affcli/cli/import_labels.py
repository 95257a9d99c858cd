"""affcli import-labels"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from affcli.cli import label_options
from affcli.cli.clip_labels import is_part_of, labelled_clips
from affcli.cli.foreign_labels import Reading, facts, import_foreign, reading, target_of, tell_anew
from affcli.cli.options import FORCE, OUT
from affcli.cli.own_tables import spare_labels
from affcli.cli.progress import progress, say
from affcli.cli.runs import Run
from affcli.cli.table_times import clip_times, require_directory, with_times
from affcli.errors import InputError, some

if TYPE_CHECKING:
    from affcli.labels.scales import Scales

log = logging.getLogger(__name__)

STEP = "import-labels"
RULE = {"not_annotated": "empty, or below -1", "valid": "valence and arousal"}
# Said where they are imported, so that labels without them keep the recipe that they always had.
EXPRESSIONS = {"expression": "number of the class"}
ACTION_UNITS = {"action_units": "0 or 1"}
FRAMES = {"frames": "of the video"}  # as --times tells

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
    clip's name. Its column expression, where it has one, is the number of the class. Semicolons or tabs may stand for
    commas where the first line has them and neither commas nor quotes are in the file.

    With --expressions and --action-units, the table of a clip also holds what the files of its name there say, which
    must have as many lines. A clip that has a file only there becomes a table with valence and arousal nowhere
    annotated, unless DIR is one file. To import nothing but expressions or action units, give their directory as DIR,
    too.

    Classes are Neutral 0, Anger 1, Disgust 2, Fear 3, Happiness 4, Sadness 5, Surprise 6 and, since ABAW3, Other 7;
    action units are the 8 of the challenge of 2020, or the 12 since ABAW3. Not annotated is -1.

    Tables of such files have no times, unless --times DIR tells them, by tables of as many frames. A table in OUT that
    was made of a file of another name with something else in it is only replaced with --force; one whose file has
    changed since is made anew, which is said. Files are known by name and content, not by their directory.

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
    if times is not None:
        require_directory(times)
    run = Run(0, once=True)
    clips = labelled_clips(run, source, expressions, action_units, format)
    told = EXPRESSIONS if any(one.has_expressions for one in clips) or expressions else {}
    rule = RULE | told | (ACTION_UNITS if action_units else {}) | (FRAMES if times else {})
    recipe = recipes.recipe(STEP, rule)
    seen: dict[str, Path] = {}
    bare: list[str] = []
    anew: list[str] = []
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
            timed = clip_times(times, one.name) if times else None
            if timed:
                inputs.append(recipes.source(timed[0]) | {"holds": "times"})
            changed = spare_labels(target, STEP, inputs, force=force)
            if one.affect is None and is_part_of(target, one, recipe, inputs):
                run.keep()
                continue
            if not force and tables.keep(target, AFFECT, recipe, inputs):
                run.keep()
                continue
            affect = with_categories(one.name, one.affect, one.expressions, one.action_units)
            affect = with_times(affect, *timed) if timed else affect
            tables.write(
                target, AFFECT, affect.columns(), recipe=recipe, inputs=inputs, facts=facts(affect, one.format)
            )
            if changed:
                anew.append(one.name)
            if one.affect is not None and not affect.valid.any():
                bare.append(one.name)
    tell_anew(out, anew)
    if bare:
        log.warning("%s: no frame has both valence and arousal in %s", source, some(bare))
    run.close()


def _foreign_format(
    source: Path, name: label_options.Name | None, asked: label_options.Asked, others: list[Path | None]
) -> str:
    """The format of the files where it is another than Aff-Wild2's text files and plain CSV, else "".

    Raises UsageError where the options do not go with it.
    """
    from affcli.labels.formats import FORMATS, detect, refuse_mixture

    given = asked.given()
    found = name or (detect(source) if source not in others else "")
    if name is None:
        _tell_unread(source)
    if found == "csv" and not given:
        found = ""
    if found not in FORMATS:
        if name is None:
            refuse_mixture(source)
        other = [option for option in given if option != "--times"]
        if other:
            what = f"{found} has one line per frame, -1 to 1" if found else f"{source} is no file that tells its format"
            raise label_options.unfit(other[0], what)
        if given and not found and source not in others and (timed := _with_times_of_its_own(source)):
            what = f"{timed} has a column of times, and no --format (csv, ratings) says whether a line is a frame"
            raise label_options.unfit(given[0], what)
        return ""
    if any(others):
        raise label_options.unfit("--expressions, --action-units", f"they go with files of aff-wild2, not of {found}")
    return found


def _with_times_of_its_own(source: Path) -> Path | None:
    """The first of the label files that has a column of times."""
    from affcli.labels.files import text_files
    from affcli.labels.formats import column_of_times

    return next((path for path in text_files(source) if column_of_times(path)), None)


def _tell_unread(source: Path) -> None:
    """Say which JSON and ARFF files, each of a format of its own, are not read beside the text files of a directory."""
    from affcli.labels.formats import beside_texts

    for name, files in beside_texts(source).items():
        log.warning("%s: not read beside text files: %s (--format %s reads them)", source, some(files), name)


def _tell(source: Path, how: Reading, *, told: bool) -> None:
    """Say which format and scale the files are taken for; of a format that was `told`, a scale that is converted."""
    from affcli.labels.scales import UNIT, described

    # Where --columns names one dimension alone, the scale of the other means nothing.
    asked = {name: scale for name, scale in how.scales.items() if name in (how.columns or ())}
    scales: Scales = asked or how.scales
    if not told:
        log.warning("%s: read as %s, %s (--format)", source, how.format, described(scales))
    elif any(scale != UNIT[name] for name, scale in scales.items()):
        say(f"{source}: values of {described(scales)} become -1:1")
