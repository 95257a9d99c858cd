"""The clips of Aff-Wild2's label files and of plain CSV: which files each has, and what of it stands in OUT already."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from affcli.cli import label_options
from affcli.cli.progress import progress
from affcli.cli.runs import Run
from affcli.errors import InputError, SchemaError, UsageError, some

if TYPE_CHECKING:
    from affcli.labels.affect import Affect
    from affcli.recipes import Recipe

log = logging.getLogger(__name__)

_ENDINGS = {"aff-wild2": ".txt", "csv": ".csv"}


@dataclass(frozen=True, eq=False)
class LabelledClip:
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


def labelled_clips(
    run: Run, source: Path, expressions: Path | None, action_units: Path | None, format: label_options.Name | None
) -> list[LabelledClip]:
    """Every clip that there are labels of; files of valence and arousal that cannot be read are reported."""
    from affcli import recipes
    from affcli.labels.files import label_stems, text_files
    from affcli.labels.formats import column_of_times
    from affcli.labels.read import read_text

    faces = label_stems(expressions, (".txt",)) if expressions else {}
    units = label_stems(action_units, (".txt",)) if action_units else {}
    ending = _ENDINGS.get(format or "")
    files = [] if source in (expressions, action_units) else text_files(source)
    if others := [path for path in files if ending and path.suffix.lower() != ending]:
        raise UsageError(
            "--format", f"is not that of {others[0]}", expected=f"files that end in {ending}", advice="leave it out"
        )
    clips: list[LabelledClip] = []
    known: set[str] = set()
    for path in progress(files, "import-labels", "file", len(files)):
        read: list[Affect] = []
        with run.report():
            if format is None:
                _refuse_utterances(path)
            read = read_text(path)
            made = recipes.source(path)
            clips += [LabelledClip(a.clip, a, made, path, faces.get(a.clip), units.get(a.clip)) for a in read]
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
        clips.append(LabelledClip(name, None, None, path, faces.get(name), units.get(name)))
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


def is_part_of(target: Path, one: LabelledClip, recipe: Recipe, inputs: list[dict[str, str]]) -> bool:
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
