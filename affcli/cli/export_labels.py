"""affcli export-labels"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, get_args

import typer

from affcli.cli import label_options
from affcli.cli.export_files import check_place, check_times, write
from affcli.cli.export_losses import fitting, tell_losses
from affcli.cli.export_options import Asked, Name, exporting, format_name

LABELS = typer.Argument(
    ...,
    metavar="LABELS",
    help="Labels or predictions: an affect table, a CSV or Aff-Wild2 text file, a directory of one of these, or - for "
    "CSV on stdin.",
)
OUT = typer.Option(
    ...,
    "--out",
    "-o",
    metavar="OUT",
    help="Directory for a file per clip; or the file of all clips, or - for stdout: with abaw-mtl and omg always, with "
    "csv and ratings where it ends in .csv.",
)
FORMAT = typer.Option(
    ...,
    "--format",
    parser=format_name,
    metavar="|".join(get_args(Name)),
    help="affwild2-va, affwild2-expr, affwild2-au: a text file per clip. abaw-mtl: all tasks in one file. afew-va: a "
    "JSON file per clip, -10:10. omg: OMG-Emotion, one file, valence -1:1, arousal 0:1. arff: valence/CLIP.arff and "
    "arousal/CLIP.arff, -1:1 (AVEC). ratings: CSV over time (RECOLA, SEWA, AVEC, SEND), scale by --range. csv: "
    "clip,frame,valence,arousal,expression, or what --columns asks for, -1:1.",
)
CLASSES = typer.Option(
    None, "--classes", help="With affwild2-expr: 7 as in 2020, or 8, with Other, since ABAW3 (default).", metavar="7|8"
)
DROP_OTHER = typer.Option(
    False,
    "--drop-other",
    help="With --classes 7: frames of class Other become not annotated; without, they are refused.",
)
UNITS = typer.Option(
    None,
    "--units",
    help="With affwild2-au: the 8 action units of 2020, or the 12 since ABAW3 (default).",
    metavar="8|12",
)
RANGE = typer.Option(
    None,
    "--range",
    metavar="LOW:HIGH",
    help="Scale to write, to which -1 to 1 is brought: as 0:100, or valence=-1:1,arousal=0:1.",
)
COLUMNS = typer.Option(
    None,
    "--columns",
    metavar="KEY=NAME,...",
    help="With csv and ratings: the columns, some of clip, time, valence, arousal, in this order and by these names. "
    "value in place of the two dimensions writes files valence/CLIP.csv and arousal/CLIP.csv. By default, ratings have "
    "name,timestamp,valence,arousal.",
)
SEPARATOR = typer.Option(
    None,
    "--separator",
    help="With csv and ratings: what stands between cells; by default a comma. Readers need not be told, but in "
    "csv without --columns no name of a clip may hold a comma or quotes.",
)
TIME_UNIT = typer.Option(
    None,
    "--time-unit",
    help="With csv and ratings: unit of the column time, by default s; frame counts frames from 0, as csv does "
    "where neither --columns nor --every is given.",
)
EVERY = typer.Option(
    None,
    "--every",
    metavar="SECONDS",
    min=0.001,
    max=3600.0,
    help="With arff, ratings and csv: a row at 0, SECONDS, twice that and so on, in place of one for each frame.",
)
RESAMPLE = typer.Option(
    None, "--resample", help="With --every: the value of the nearest frame (default), or a line between two."
)
TIMES = typer.Option(
    None,
    "--times",
    metavar="DIR",
    help="Directory of the faces or audio tables of clips whose labels tell no times, where the format has times.",
)
FORCE = typer.Option(False, "--force", help="Replace files that are there already.")
RATE = typer.Option(
    None, "--rate", metavar="FPS", help="In place of --times: frames per second, constant and exact, as 30000/1001."
)


def export_labels(
    labels: Path = LABELS,
    out: Path = OUT,
    format: Name = FORMAT,
    classes: int | None = CLASSES,
    drop_other: bool = DROP_OTHER,
    units: int | None = UNITS,
    range: str | None = RANGE,
    columns: str | None = COLUMNS,
    separator: Literal["comma", "semicolon", "tab"] | None = SEPARATOR,
    time_unit: label_options.Unit | None = TIME_UNIT,
    every: float | None = EVERY,
    resample: label_options.Resampling | None = RESAMPLE,
    times: Path | None = TIMES,
    rate: str | None = RATE,
    force: bool = FORCE,
) -> None:
    """Write labels in the formats of other data sets.

    import-labels reads the files back: affwild2-va as DIR, without --format; affwild2-expr by --expressions DIR, and
    affwild2-au by --action-units DIR; the others with the same --format, --columns, --time-unit and --range, and with
    --times where frames are timed; csv on another scale without --columns needs --time-unit frame, too. Values are the
    same to the last bit where the scale is -1:1, to the rounding of the conversion where it is another. The scale
    is said on stderr, and so is what the format cannot hold, such as expressions and standard deviations, and which
    clips have nothing to write. Numbers are as short as they are read back exactly.

    Not annotated is -5,-5 in affwild2-va, where a frame needs both; -1 for expressions and action units; -5 and -1 in
    abaw-mtl, each by itself, which has lines for frames with any label; ? in arff; an empty cell in ratings and csv.
    afew-va leaves such frames out, and has neither actors nor landmarks. omg has one line for a clip, the mean of each
    dimension over its annotated frames, and a clip VIDEO_UTTERANCE is that utterance; link, start, end and
    EmotionMaxVote are left empty.

    Frames are counted from 0, pictures of abaw-mtl from 00001. arff, ratings, and csv with --columns have times,
    counted from the clip's first frame; labels that tell none need --times or --rate. No other format keeps times.

    A file that is there already is only replaced with --force.
    """
    asked = Asked(
        *(classes, drop_other, units, range, columns, separator, time_unit, every, resample),
        *(times, rate),
    )
    how = exporting(format, asked)
    check_place(out, how)
    from affcli.labels.read import read_stream, read_whole

    held = read_stream(sys.stdin.buffer) if str(labels) == "-" else read_whole(labels)
    clips = fitting(held, how, labels)
    check_times(clips, how)
    tell_losses(clips, how)
    write(out, clips, how, force)
