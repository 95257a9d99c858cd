"""affcli score"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from affcli.cli.options import SEED
from affcli.errors import UsageError, some

if TYPE_CHECKING:
    from affcli.cli.score_report import Asked
    from affcli.labels.affect import Affect
    from affcli.scoring import Scores

log = logging.getLogger(__name__)

SIDE = "an affect table, a CSV (clip,frame,valence,arousal), an Aff-Wild2 text file, a directory of one of these, or -"
NEED_TRUTH = ("ccc", "pcc")  # undefined where the truth is constant
BELOW = 6  # exit status of a CCC below --min-ccc


def score(
    preds: list[Path] = typer.Argument(
        ..., metavar="PREDS", help=f"Predictions, once or several times: {SIDE} for CSV on stdin."
    ),
    truth: Path = typer.Argument(..., metavar="GT", help=f"Ground truth: {SIDE}."),
    ccc: bool = typer.Option(False, "--ccc", help="Concordance correlation, -1 to 1."),
    pcc: bool = typer.Option(False, "--pcc", help="Pearson correlation, -1 to 1."),
    rmse: bool = typer.Option(False, "--rmse", help="Root mean squared error, 0 to 2."),
    mse: bool = typer.Option(False, "--mse", help="Mean squared error, 0 to 4."),
    mae: bool = typer.Option(False, "--mae", help="Mean absolute error, 0 to 2."),
    sagr: bool = typer.Option(False, "--sagr", help="Sign agreement, 0 to 1."),
    missing: Literal["error", "hold", "interpolate", "zero"] = typer.Option(
        "error",
        "--missing",
        help="What an annotated frame without a prediction gets: error refuses, hold the value before it, interpolate "
        "the line between its neighbours, zero 0.",
    ),
    align: Literal["crop", "pad"] | None = typer.Option(
        None,
        "--align",
        help="Clips of two lengths, else refused: crop leaves out the frames past the shorter one, pad takes them as "
        "not predicted.",
    ),
    mask: Literal["joint", "each"] = typer.Option(
        "joint",
        "--mask",
        help="Which frames count: joint, as the challenges do, those with valence and arousal both annotated; each, "
        "those with valence for valence, and those with arousal for arousal.",
    ),
    per_clip: bool = typer.Option(False, "--per-clip", help="Every clip's own scores too, and the worst and the best."),
    by: Literal["split", "subject"] | None = typer.Option(
        None, "--by", help="The scores of every split, or of every person, apart; needs --windows."
    ),
    windows: Path | None = typer.Option(
        None,
        "--windows",
        help="The windows table that tells each clip's split and, where it was cut with --subjects, who is seen in it: "
        "intervals are then drawn over people instead of clips.",
    ),
    faces: Path | None = typer.Option(
        None, "--faces", help="Directory of extract-faces: score the frames with a face and those without apart."
    ),
    lag: float | None = typer.Option(
        None,
        "--lag",
        help="CCC with the predictions moved, in 10 steps each way, by up to so many seconds; the best lag is above 0 "
        "where they are late. Needs affect tables, which tell times.",
    ),
    decompose: bool = typer.Option(
        False, "--decompose", help="CCC as correlation times accuracy, and the accuracy's scale and shift (Lin 1989)."
    ),
    ci: float | None = typer.Option(
        None, "--ci", help="Confidence intervals of so many percent, from resampled clips; 95, say."
    ),
    resamples: int = typer.Option(10_000, "--resamples", min=100, max=1_000_000, help="How many resamples."),
    seed: int = typer.Option(0, "--seed", min=SEED["min"], max=SEED["max"], help="Of the resamples."),
    bca: bool = typer.Option(False, "--bca", help="BCa intervals, corrected for bias and skew; else percentiles."),
    min_ccc: float | None = typer.Option(
        None, "--min-ccc", help=f"End with status {BELOW} where the mean CCC of any PREDS is below this, or undefined."
    ),
    json_: bool = typer.Option(False, "--json", help="JSON; the default, but on a terminal."),
    table: bool = typer.Option(False, "--table", help="Tables for people; the default on a terminal."),
    latex: bool = typer.Option(False, "--latex", help="The tables as LaTeX."),
    markdown: bool = typer.Option(False, "--markdown", help="The tables as Markdown."),
) -> None:
    """Score predicted valence and arousal against the ground truth, which comes last.

    Writes one JSON object to stdout, or tables for people. "concatenated" is the headline: each metric over all
    annotated frames of all clips, for valence, arousal, and the mean of both. "mean_over_clips" averages the clips' own
    scores instead. "coverage" is the share of annotated frames that were predicted. Without a metric option, all of
    them.

    Several PREDS are compared: "systems" has the scores of each, in order, and "differences" how far each is from the
    first, with 95 % intervals (or those of --ci) and two-sided p-values, from the same resampled clips.

    Ends with status 6 where all went well but a mean CCC is below --min-ccc.
    """
    wanted = {"ccc": ccc, "pcc": pcc, "rmse": rmse, "mse": mse, "mae": mae, "sagr": sagr}
    metrics = tuple(name for name, asked in wanted.items() if asked) or tuple(wanted)
    form = _form({"json": json_, "table": table, "latex": latex, "markdown": markdown})
    _require_sense(preds, truth, by, windows, {"--ci": ci, "--lag": lag, "--min-ccc": min_ccc})
    from affcli import scoring
    from affcli.cli import score_report

    true = _read(truth)
    groups = score_report.required_groups(windows, by, true) if windows and by else None
    subjects = _subjects(windows, true)
    asked = score_report.Asked(
        *(metrics, missing, align, mask, per_clip, decompose, lag, faces, groups, by, subjects),
        *(ci, resamples, seed, "bca" if bca else "percentile"),
    )
    reports: list[dict[str, Any]] = []
    systems: list[Scores] = []
    for path in preds:
        predicted = _read(path)
        scores = scoring.score(true, predicted, **asked.choices())
        undefined = sorted({clip for name in metrics if name in NEED_TRUTH for clip in scores.undefined(name)})
        if undefined and not systems:  # the truth is the same for all
            log.warning("constant truth leaves CCC and PCC undefined for clip %s", some(undefined))
        reports.append({"predictions": str(path), **score_report.report(asked, true, predicted, scores)})
        systems.append(scores)
    if ci is not None or len(preds) > 1:
        score_report.warn_of_few_draws(asked, systems[0])
    result: dict[str, Any] = {"systems": reports}
    if len(preds) == 1:
        result = {key: value for key, value in reports[0].items() if key != "predictions"}
    else:
        result["differences"] = score_report.compare(asked, [str(path) for path in preds], systems)
    _write(result, asked, form)
    if min_ccc is not None:
        _require_ccc(preds, systems, min_ccc)


def _form(asked: dict[str, bool]) -> str:
    chosen = [name for name, given in asked.items() if given]
    if len(chosen) > 1:
        raise UsageError(
            " and ".join(f"--{name}" for name in chosen), "exclude each other", expected="one of them", advice="choose"
        )
    # sys.stdout is None where it was closed before we began.
    return chosen[0] if chosen else "table" if sys.stdout and sys.stdout.isatty() else "json"


def _require_sense(
    preds: list[Path], truth: Path, by: str | None, windows: Path | None, numbers: dict[str, float | None]
) -> None:
    """Raise UsageError where options do not fit together, or a number makes no sense."""
    piped = [str(path) for path in (*preds, truth)].count("-")
    if piped > 1:
        what = "PREDS and GT" if str(truth) == "-" else "PREDS"
        both = "both" if piped == 2 else f"{piped} times"
        raise UsageError(what, f"are {both} -", expected="one of them on stdin", advice="name a file for the other")
    if by and not windows:
        raise UsageError(f"--by {by}", "needs --windows", expected="the table that tells it", advice="name the table")
    bounds = {"--ci": (0.0, 100.0), "--lag": (0.0, math.inf), "--min-ccc": (-1.000001, 1.000001)}
    for name, value in numbers.items():
        low, high = bounds[name]
        if value is not None and not low < value < high:
            wanted = {"--ci": "more than 0 and less than 100", "--lag": "seconds, more than 0", "--min-ccc": "-1 to 1"}
            raise UsageError(f"{name} {value:g}", "makes no sense", expected=wanted[name], advice="correct it")


def _read(path: Path) -> list[Affect]:
    from affcli.labels.read import read_affect, read_stream

    return read_stream(sys.stdin.buffer) if str(path) == "-" else read_affect(path)


def _subjects(windows: Path | None, truth: list[Affect]) -> dict[str, str] | None:
    """Who is seen in each annotated clip, where the windows tell it of all of them."""
    if windows is None:
        return None
    from affcli.cli.score_report import groups_of

    found = groups_of(windows, "subject")
    return found if all(clip.clip in found for clip in truth if clip.valid.any()) else None


def _write(result: dict[str, Any], asked: Asked, form: str) -> None:
    if form == "json":
        print(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))
        return
    from affcli.cli import score_tables

    systems = result.get("systems")
    grids = []
    if systems:
        grids = [
            score_tables.comparison(systems, asked.metrics),
            score_tables.differences(result["differences"], asked.metrics),
        ]
    for one in systems or [result]:
        # What the comparison says already is not said again.
        each = score_tables.grids(one, asked.metrics)[1 if systems else 0 :]
        grids += [dataclasses.replace(grid, title=one["predictions"]) for grid in each] if systems else each
    for grid in grids:
        if form == "table":
            score_tables.show(grid)
        else:
            print(score_tables.text(grid, form))
    if form == "table" and not systems:
        _print_recipe(result["predictions_recipe"])


def _print_recipe(recipe: Any) -> None:
    from affcli import recipes

    made = recipe if isinstance(recipe, list) else [recipe] * (recipe is not None)
    for number, one in enumerate(made):
        lines = recipes.outline(one) if number == 0 else [recipes.apart(one, made[0])]
        print("predictions made by" if number == 0 else "others by")
        print("\n".join(f"  {line}" for line in lines))


def _require_ccc(preds: list[Path], systems: list[Scores], least: float) -> None:
    """End with status 6 where a mean CCC, over all frames, is not as high as asked."""
    short = False
    for path, scores in zip(preds, systems, strict=True):
        found = scores.concatenated("ccc")["mean"]
        if not found >= least:
            log.error(
                "%s: CCC %s is below --min-ccc %g", path, "undefined" if math.isnan(found) else f"{found:.4f}", least
            )
            short = True
    if short:
        raise typer.Exit(BELOW)
