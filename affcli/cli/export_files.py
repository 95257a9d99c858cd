"""The files of `affcli export-labels`: one of all clips, one per clip, or one for each dimension; the times in them."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from affcli.cli.export_losses import known
from affcli.cli.export_options import SHEETS, Export
from affcli.cli.own_tables import was_read
from affcli.cli.progress import progress, say
from affcli.cli.runs import Run
from affcli.cli.table_times import clip_times, with_times
from affcli.errors import InputError, UsageError, some
from affcli.files import spare
from affcli.schemas import DIMENSIONS

if TYPE_CHECKING:
    from affcli.labels.affect import Affect

_ONE_FILE = {"abaw-mtl": (".txt", ".csv"), "omg": (".csv",)}  # formats of one file for all clips, and its endings
_ENDINGS = {"afew-va": ".json", "arff": ".arff", "ratings": ".csv", "csv": ".csv"}  # of files per clip; else .txt
_FILES = (".txt", ".csv", ".json", ".arff", ".parquet")  # what no directory is called


@dataclasses.dataclass(frozen=True)
class _File:
    """A file to write: of what clips, and of which dimension where that is all that it holds."""

    path: Path
    clips: tuple[Affect, ...]
    dimension: str = ""


def is_one_file(out: Path, how: Export) -> bool:
    """Whether all clips are written to the one file `out`, `-` for stdout."""
    sheet = how.name in SHEETS and not how.split and (out.suffix.lower() == ".csv" or str(out) == "-")
    return how.name in _ONE_FILE or (sheet and not out.is_dir())


def check_place(out: Path, how: Export) -> None:
    """Raise UsageError where `out` is a directory and must be a file, or a file and must be a directory."""
    if str(out) == "-" and is_one_file(out, how):
        return
    endings = _ONE_FILE.get(how.name, (".csv",))
    if not is_one_file(out, how):
        if str(out) == "-" or (not out.is_dir() and (out.exists() or out.suffix.lower() in _FILES)):
            advice = "name a directory" + " or one .csv file" * (how.name in SHEETS and not how.split)
            raise UsageError(f"--out {out}", f"is no directory, and {how.name} has files for each clip", advice=advice)
    elif out.is_dir() or out.suffix.lower() not in endings:
        raise UsageError(
            f"--out {out}",
            "is a directory" if out.is_dir() else "does not end as such a file does",
            expected=f"a file for all clips that ends in {' or '.join(endings)}, or -",
            advice="name one",
        )


def check_times(clips: Sequence[Affect], how: Export) -> None:
    """Raise InputError where the format has times and clips lack them, UsageError where nothing needs those given."""
    untimed = [affect for affect in clips if affect.time_us is None]
    given = how.times is not None or how.rate is not None
    if untimed and how.needs_times and not given:
        raise InputError(
            untimed[0].source,
            f"tells no times of the frames of {some(affect.clip for affect in untimed)}, and {how.name} has times",
            expected="--times DIR or --rate FPS",
            advice="name the directory of their faces or audio tables, or the rate of frames where it is constant",
        )
    if given and not untimed:
        option = "--times" if how.times else "--rate"
        raise UsageError(option, "has no use: every clip has its times", advice="leave it out")


def timed(affect: Affect, how: Export) -> Affect:
    """A clip with the times of its frames where the format has times.

    Raises InputError where there is no table that tells them, or one of another number of frames.
    """
    from affcli.clock import frame_times

    if not how.needs_times or affect.time_us is not None:
        return affect
    if how.times is None:
        return affect if how.rate is None else dataclasses.replace(affect, time_us=frame_times(len(affect), how.rate))
    return with_times(affect, *clip_times(how.times, affect.clip))


def write(out: Path, clips: Sequence[Affect], how: Export, force: bool) -> None:
    """Write the files of all clips; one that cannot be is reported, and the others are written.

    Raises UsageError where a file is there already and `force` does not replace it, or is what was read.
    """
    from affcli.labels.writing import write_text

    if is_one_file(out, how):
        _write_one(out, _File(out, tuple(timed(affect, how) for affect in clips)), how, force)
        return
    run = Run(len(clips), once=True)
    files: list[list[_File]] = []
    for affect in clips:
        with run.report():
            files.append(_files(out, timed(affect, how), how))
    _check_free(out, [file for of_clip in files for file in of_clip], force)
    say(f"{out}: {how.described()}")
    for of_clip in progress(files, "export-labels", "clip", len(files)):
        with run.clip():
            for path, text in [(file.path, _text(file, how)) for file in of_clip]:
                write_text(path, text)
    run.close()


def _write_one(out: Path, file: _File, how: Export, force: bool) -> None:
    from affcli.labels.writing import write_text

    if how.layout is not None and "clip" not in how.layout.columns:
        raise UsageError(
            f"--out {out}",
            "is one file, and --columns has no column of clips",
            expected="clip=NAME in --columns, or a directory for a file per clip",
            advice="choose one",
        )
    place = "standard output" if str(out) == "-" else str(out)
    if str(out) == "-":
        print(_text(file, how), end="")
    else:
        _check_free(out, [file], force)
        write_text(out, _text(file, how))
    say(f"{place}: {len(file.clips)} clip{'s' * (len(file.clips) != 1)} as {how.described()}")


def _check_free(out: Path, files: Sequence[_File], force: bool) -> None:
    """Raise UsageError where a file stands in the way that `force` does not replace, or that was read."""
    read = {Path(affect.source).resolve() for file in files for affect in file.clips}
    there = [file.path for file in files if file.path.exists()]
    if own := [path for path in there if path.resolve() in read]:
        raise was_read(own[0])
    spare(out, [] if force else there)


def _files(out: Path, affect: Affect, how: Export) -> list[_File]:
    """The file of a clip, or one for each dimension of it that is annotated anywhere."""
    from affcli.clips import file_name

    name = f"{file_name(affect.clip)}{_ENDINGS.get(how.name, '.txt')}"
    if not how.split:
        return [_File(out / name, (affect,))]
    return [_File(out / one / name, (affect,), one) for one in DIMENSIONS if known(affect, one)]


def _text(file: _File, how: Export) -> str:
    from affcli.labels import writing, writing_times
    from affcli.labels.affwild2 import label_text
    from affcli.labels.csv import write_csv

    if how.layout is not None and how.name == "arff":
        return writing_times.arff_text(file.clips[0], how.layout, file.dimension)
    if how.layout is not None:
        return writing_times.ratings_text(file.clips, how.layout, file.dimension)
    if how.name == "csv":
        for affect in file.clips:
            writing.cell_name(affect)
        text = io.StringIO(newline="")
        write_csv(text, file.clips)
        return text.getvalue()
    if how.name == "abaw-mtl":
        return writing.multitask_text(file.clips)
    if how.name == "omg":
        return writing.omg_text(file.clips, how.scales)
    of_clip: dict[str, Callable[[Affect], str]] = {
        "affwild2-va": lambda affect: label_text(affect.valence, affect.arousal),
        "affwild2-expr": lambda affect: writing.classes_text(affect, how.classes),
        "affwild2-au": lambda affect: writing.action_unit_text(affect, how.units),
        "afew-va": lambda affect: writing.afew_va_text(affect, how.scales),
    }
    return of_clip[how.name](file.clips[0])
