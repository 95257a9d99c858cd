"""affcli smooth"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from affcli.cli.options import FORCE
from affcli.cli.smoothed import (
    How,
    completed,
    read_predictions,
    refuse_labels,
    smoothed,
    tell_twice,
    timed,
    write_each,
    write_one,
)
from affcli.errors import InputError, SchemaError, UsageError
from affcli.schemas import DIMENSIONS

if TYPE_CHECKING:
    from affcli.labels.affect import Affect
    from affcli.scoring import Scores
    from affcli.smoothing import Smoothing
    from affcli.training.tuning import Curves

PREDS = typer.Argument(
    ...,
    metavar="PREDS",
    help="Predictions: an affect table, a CSV, a directory of one of these, a submission of valence and arousal in one "
    "file, multi-task labels, or - for CSV on stdin.",
)
OUT = typer.Option(
    None,
    "--out",
    "-o",
    metavar="OUT",
    help="Directory for a table per clip, or one .parquet or .csv file, or - for CSV on stdout.",
)
SMOOTH = typer.Option(
    None,
    "--smooth",
    metavar="METHOD:WINDOW",
    help="Smoothing of the curves over time: mean, median, gaussian, savgol or wiener with a window in seconds or "
    "frames, as mean:2s or wiener:35; one for each as valence=mean:2s,arousal=mean:4s; or none.",
)
METHOD = typer.Option(
    None, "--method", help="--method mean --window 2s is --smooth mean:2s: one smoothing of both, in two words."
)
WINDOW = typer.Option(
    None, "--window", metavar="WINDOW", help="The window of --method, in seconds (2s) or frames (35)."
)
TUNE = typer.Option(
    None, "--tune", metavar="GT", help="In place of --smooth: find the one that fits these labels of PREDS best."
)
FILLING = typer.Option(
    None,
    "--missing",
    help="Fill frames without a prediction first: hold the one before, interpolate between neighbours, or zero. "
    "Without, they stay so, and the labels of --tune must not be of such frames.",
)
RATE = typer.Option(
    None, "--rate", metavar="FPS", help="Frames per second of clips without times, constant and exact, as 30000/1001."
)


TIMES = typer.Option(
    None,
    "--times",
    metavar="DIR",
    help="In place of --rate: directory of the faces or audio tables of clips without times, each of as many frames.",
)


def smooth(
    preds: Path = PREDS,
    out: Path | None = OUT,
    smooth: str | None = SMOOTH,
    method: Literal["mean", "median", "gaussian", "savgol", "wiener"] | None = METHOD,
    window: str | None = WINDOW,
    tune: Path | None = TUNE,
    missing: Literal["hold", "interpolate", "zero"] | None = FILLING,
    rate: str | None = RATE,
    times: Path | None = TIMES,
    as_json: bool = typer.Option(False, "--json", help="What --tune found as JSON, as it is off a terminal."),
    force: bool = FORCE,
) -> None:
    """Smooth predictions over time, and find out how much smoothing is best.

    --smooth means what it means to predict: windows are centred, each clip is smoothed by itself, and the curves are
    cut off at -1 and 1. At the ends of a clip windows shrink to the frames that there are: nothing is made up beyond
    them. savgol fits a parabola (polynomials of order 2), gaussian has a standard deviation of a quarter of its window,
    and wiener's noise is the mean variance over the clip. Windows in seconds need the times of frames, of which a CSV
    tells none: --rate does where they are constant, --times DIR always. Frames without a prediction stay so;
    a submission and multi-task labels have none where they have no picture, and --times DIR tells how long clips are.
    Expressions and action units are kept as they are, and so are standard deviations, which are those of the networks
    before any smoothing; a CSV file's are left out.

    --tune finds the smoothing with the highest CCC over all annotated frames, for valence and arousal apart: mean,
    gaussian or median over 0.25 to 16 s, or none. It prints it with the CCC before and after, and with --out applies
    it. Tune on validation clips and smooth test clips with what was found: on the clips that it was found on, the CCC
    flatters it a little.

    Labels, which affcli import-labels and gold write, are not smoothed: they would pass for the truth. A CSV file that
    is there already with something else in it is only replaced with --force.
    """
    from affcli.labels.tasks import TaskLabels, fitted
    from affcli.smoothing import AUTO, canonical, parse

    if tune is not None and smooth is None and (method or window):
        option = "--method" if method else "--window"
        found = "is given beside --tune, which finds the smoothing"
        raise UsageError(option, found, expected="one of them", advice=f"leave out {option}, or --tune")
    if method is not None or window is not None:
        smooth = _one_of_both(smooth, method, window)
    _check(out, smooth, tune, as_json)
    if smooth is not None and smooth.strip() == AUTO:
        raise UsageError(
            f"--smooth {AUTO}",
            "is what a training found, which predictions do not say",
            expected="a smoothing such as mean:2s",
            advice="tune on labels with --tune GT, or use affcli predict --smooth auto",
        )
    asked = parse(smooth) if smooth is not None else None
    opened = _open_ended(preds)
    clips = read_predictions(preds) if opened is None else opened
    refuse_labels(clips)
    truth = None if tune is None else _truth(tune, clips)
    if truth is not None and opened is not None:
        clips = fitted(TaskLabels(truth), TaskLabels(clips, open_ended=True))[1]
    if missing is not None:
        clips = completed(clips, missing)
    in_seconds = tune is not None or any(one.unit == "s" for one in (asked or {}).values())
    clips, given = timed(clips, rate, times, needed=in_seconds, open_ended=opened is not None)
    if truth is not None:
        asked, told = _tuned(clips, truth)
        if as_json or not (sys.stdout and sys.stdout.isatty()):
            print(json.dumps(told, indent=2, allow_nan=False))
        else:
            print_tuned(told)
    if out is None or asked is None:
        return
    config: dict[str, object] = {"smooth": canonical(asked)}
    if tune is not None:
        config["tuned"] = True
    if missing is not None:
        config["missing"] = missing
    how = How(asked, config, rate, given)
    if out.is_dir() or (out.suffix not in (".parquet", ".csv") and str(out) != "-"):
        write_each(out, clips, how, force)
    else:
        write_one(out, clips, how, force)
    tell_twice(clips)


def _open_ended(path: Path) -> list[Affect] | None:
    """The predictions of a submission in one file or of multi-task labels, which do not say how long clips are.

    None where `path` is neither.  Raises InputError where it has neither valence nor arousal, or a line is malformed.
    """
    from affcli.labels.tasks import look, read_labels

    source = None if str(path) == "-" else look(path)
    if source is None or source.kind not in ("submission", "multi-task"):
        return None
    if source.task not in ("va", "mtl"):
        raise InputError(
            path,
            f"is a submission of the task {source.task}, and classes are not smoothed",
            expected="predictions of valence and arousal",
            advice="name these",
        )
    return read_labels(path, "va").clips


def _one_of_both(smooth: str | None, method: str | None, window: str | None) -> str:
    """What --smooth would say.  Raises UsageError where it says something, too, or one of the others is missing."""
    if smooth is not None:
        raise UsageError(
            "--method and --smooth", "exclude each other", expected="one of them", advice="leave out --method, --window"
        )
    if method is None or window is None:
        given, lacking = ("--window", "--method") if method is None else ("--method", "--window")
        raise UsageError(given, f"needs {lacking}", expected="--method mean --window 2s", advice=f"add {lacking}")
    return f"{method}:{window}"


def _check(out: Path | None, smooth: str | None, tune: Path | None, as_json: bool) -> None:
    """Raise UsageError where options do not fit together."""
    if (smooth is None) == (tune is None):
        found = "neither --smooth nor --tune is given" if smooth is None else "--smooth and --tune are both given"
        advice = "add --smooth mean:2s, or --tune GT" if smooth is None else "leave out one"
        raise UsageError("command line", found, expected="one of them", advice=advice)
    if smooth is not None and out is None:
        raise UsageError("--smooth", "is given without --out", expected="-o OUT", advice="say where to write")
    if as_json and tune is None:
        raise UsageError("--json", "is given without --tune, and there is nothing to tell", advice="leave it out")
    if tune is not None and str(out) == "-":
        raise UsageError("--out -", "stands beside --tune, which also writes to stdout", advice="name a file")
    if out is not None and out.suffix in (".txt", ".tsv", ".json", ".jsonl", ".npy", ".pq", ".feather"):
        raise UsageError(
            f"--out {out}",
            f"asks for a {out.suffix} file",
            expected="a directory, a name that ends in .parquet or .csv, or -",
            advice="choose one of these",
        )


def _truth(path: Path, clips: list[Affect]) -> list[Affect]:
    """The labels to tune on; where their file does not say how long clips are, as long as longer predictions."""
    from affcli.labels.tasks import TaskLabels, fitted, read_labels

    return fitted(read_labels(path, "va"), TaskLabels(clips))[0]


def _require_equal_lengths(truth: list[Affect], clips: list[Affect]) -> None:
    """Raise SchemaError where a clip has other frames than its labels: which of them are alike, nobody knows."""
    lengths = {one.clip: len(one) for one in clips}
    lone = len(truth) == len(clips) == 1
    for one in truth:
        count = len(clips[0]) if lone else lengths.get(one.clip, len(one))
        if count != len(one) and one.valid.any():
            raise SchemaError(
                next(clip for clip in clips if lone or clip.clip == one.clip).source or "predictions",
                f"clip '{clips[0].clip if lone else one.clip}' has {count} frames",
                expected=f"{len(one)} as in {one.source or 'the labels'}",
                advice="predict every decoded frame, or tune on labels of the same frames",
            )


def _tuned(clips: list[Affect], truth: list[Affect]) -> tuple[dict[str, Smoothing], dict[str, Any]]:
    """The best smoothing by labels, and what is to be told of it.

    Raises InputError and SchemaError as `scoring.score` does where labels and predictions do not fit together.
    """
    from affcli import scoring
    from affcli.smoothing import parse
    from affcli.training.tuning import tune

    _require_equal_lengths(truth, clips)
    before = scoring.score(truth, clips)
    by_name = {one.clip: one for one in clips}
    pairs = [
        (one, clips[0] if len(truth) == len(clips) == 1 else by_name[one.clip]) for one in truth if one.valid.any()
    ]
    text = tune([_curves(*pair) for pair in pairs])
    found = parse(text)
    # Clips without a truth, which were told the first time, are left out by now.
    known = clips if len(truth) == len(clips) == 1 else [by_name[one.clip] for one in truth if one.clip in by_name]
    after = scoring.score(truth, [smoothed(one, found) for one in known])
    told = {
        "smooth": text,
        "before": _figures(before),
        "after": _figures(after),
        "clips": len(before.clips),
        "frames": before.frames,
    }
    return found, told


def _curves(truth: Affect, predicted: Affect) -> Curves:
    """A clip for tuning, without its frames that are not predicted: a window in seconds does not see them either."""
    import numpy as np

    from affcli.training.tuning import Curves

    known = predicted.valid
    said, true = (np.stack([one.valence, one.arousal], axis=-1)[known] for one in (predicted, truth))
    assert predicted.time_us is not None
    return Curves(said, true, truth.valid[known], predicted.time_us[known])


def _figures(scores: Scores) -> dict[str, float | None]:
    return {name: value if value == value else None for name, value in scores.concatenated("ccc").items()}


def print_tuned(told: dict[str, Any]) -> None:
    """Print what tuning found, for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table("CCC", *DIMENSIONS, "mean")
    for when in ("before", "after"):
        figures = told[when].values()
        table.add_row(when, *("undefined" if value is None else f"{value:.4f}" for value in figures))
    Console(highlight=False).print(table)
    print(f"clips: {told['clips']}, frames: {told['frames']}")
    print(f"best: --smooth {told['smooth']}")
