"""affcli score"""

from __future__ import annotations

import dataclasses
import logging
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from affcli.cli.options import SEED
from affcli.cli.panels import SCORE, in_panels
from affcli.errors import UsageError, some

if TYPE_CHECKING:
    from affcli.cli.score_report import Asked
    from affcli.labels.affect import Affect
    from affcli.labels.scales import Scale
    from affcli.labels.tasks import TaskLabels
    from affcli.scoring import Scores

log = logging.getLogger(__name__)

SIDE = (
    "an affect table, a CSV (clip,frame,valence,arousal), an Aff-Wild2 text file, a directory of one of these, a "
    "challenge submission, multi-task labels, or -"
)
NEED_TRUTH = ("ccc", "pcc")  # undefined where the truth is constant
BELOW = 6  # exit status of a CCC below --min-ccc


@in_panels(SCORE)
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
    task: Literal["va", "expr", "au", "mtl"] | None = typer.Option(
        None,
        "--task",
        help="Valence and arousal, expressions, action units, or all of them together (multi-task). By default what "
        "the first lines of the files say, or else va.",
    ),
    classes: int | None = typer.Option(
        None,
        "--classes",
        min=7,
        max=8,
        metavar="7|8",
        help="With --task expr: how many classes the list has, 7 as in 2020 or 8 as since ABAW3. By default as the "
        "header of the ground truth has, or 8 where it has none.",
    ),
    formula: Literal["2021", "2020"] | None = typer.Option(
        None,
        "--formula",
        help="With --task expr and au: 2020 makes the measure of the first ABAW challenge the headline: .67 F1 + .33 "
        "accuracy, or .5 and .5 of action units; 2021, the default, as since then, F1 alone.",
    ),
    ranges: list[str] | None = typer.Option(
        None,
        "--range",
        metavar="LOW:HIGH",
        help="Scale of the values of text, which becomes -1 to 1: -10:10 for both sides; or preds=0:1 and gt=-5:5, "
        "once each. A value off it is an error. On a scale that reaches below -1, -5 is a value, and only an empty "
        "cell is not annotated.",
    ),
    missing: Literal["error", "hold", "interpolate", "zero"] = typer.Option(
        "error",
        "--missing",
        help="What an annotated frame without a prediction gets: error refuses, hold the value before it, interpolate "
        "the line between its neighbours (of classes the nearest), zero 0.",
    ),
    align: Literal["crop", "pad"] | None = typer.Option(
        None,
        "--align",
        help="Clips of two lengths, else refused: crop leaves out the frames past the shorter one, pad takes them as "
        "not predicted.",
    ),
    mask: Literal["joint", "each"] | None = typer.Option(
        None,
        "--mask",
        help="Which frames count: joint, as the challenges do, those with valence and arousal both annotated; each, "
        "those with valence for valence, and those with arousal for arousal. By default joint.",
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
        None,
        "--ci",
        help="Confidence intervals of so many percent, from resampled clips; 95, say. JSON has standard errors "
        "too, from leaving out a clip at a time (jackknife).",
    ),
    resamples: int = typer.Option(10_000, "--resamples", min=100, max=1_000_000, help="How many resamples."),
    seed: int = typer.Option(0, "--seed", min=SEED["min"], max=SEED["max"], help="Of the resamples."),
    bca: bool = typer.Option(False, "--bca", help="BCa intervals, corrected for bias and skew; else percentiles."),
    test: Literal["bootstrap", "permutation"] = typer.Option(
        "bootstrap",
        "--test",
        help="Where the p-values of differences come from: bootstrap, the resamples of their intervals; permutation, "
        "swaps of the two predictions, clip by clip: all of them, or as many at random as there are resamples.",
    ),
    min_ccc: float | None = typer.Option(
        None, "--min-ccc", help=f"End with status {BELOW} where the mean CCC of any PREDS is below this, or undefined."
    ),
    json_: bool = typer.Option(False, "--json", help="JSON; the default, but on a terminal."),
    table: bool = typer.Option(False, "--table", help="Tables for people; the default on a terminal."),
    latex: bool = typer.Option(False, "--latex", help="The tables as LaTeX."),
    markdown: bool = typer.Option(False, "--markdown", help="The tables as Markdown."),
) -> None:
    """Score predicted valence and arousal, expressions or action units against the ground truth, which comes last.

    Writes one JSON object to stdout, or tables for people. "concatenated" is the headline: each metric over all
    annotated frames of all clips, for valence, arousal, and the mean of both. "mean_over_clips" averages the clips' own
    scores instead. "coverage" is the share of annotated frames that were predicted. Without a metric option, all of
    them.

    Expressions (--task expr) have macro F1 over the fixed list of classes, in which one that never comes up counts 0,
    accuracy, the F1 of each class, and "confusion", a row for each true class; they come from label files of Aff-Wild2,
    affect tables, or CSV (clip,frame,expression). Action units (au) have the mean of their F1, in which one that is
    never present counts 0, the F1 of each unit, accuracy, and how often each was absent and present; from label files
    and affect tables. The multi-task score (mtl) is mean CCC + F1 of eight expressions + F1 of the action units, each
    on its own annotated frames. Submissions in one file (image_location,...) and multi-task labels are of their task by
    their first line; picture <clip>/00001.jpg is frame 0, and a frame that they do not name is not predicted, or not
    annotated.

    Several PREDS are compared: "systems" has the scores of each, in order, and "differences" how far each is from the
    first, with 95 % intervals (or those of --ci), from the same resampled clips, and two-sided p-values (--test).

    Ends with status 6 where all went well but a mean CCC is below --min-ccc.
    """
    wanted = {"ccc": ccc, "pcc": pcc, "rmse": rmse, "mse": mse, "mae": mae, "sagr": sagr}
    metrics = tuple(name for name, asked in wanted.items() if asked) or tuple(wanted)
    form = _form({"json": json_, "table": table, "latex": latex, "markdown": markdown})
    _require_sense(preds, truth, test, by, windows, {"--ci": ci, "--lag": lag, "--min-ccc": min_ccc})
    from affcli.cli import score_report, score_sides
    from affcli.cli.score_output import write

    chosen = score_sides.task_of(task, preds, truth)
    given = {f"--{name}": asked for name, asked in wanted.items()} | {"--mask": mask is not None}
    given |= {"--lag": lag is not None, "--decompose": decompose, "--min-ccc": min_ccc is not None}
    given |= {"--range": bool(ranges), "--classes": classes is not None, "--formula": formula is not None}
    score_sides.require_fit(chosen, given)
    scales = score_sides.scales(ranges or [])
    score_sides.require_text(scales, preds, truth)
    true, scale = score_sides.read(truth, chosen, scales.get("gt"))
    labelled = score_sides.labelled(true.clips, chosen, mask or "joint")
    groups = score_report.required_groups(windows, by, labelled) if windows and by else None
    asked = score_report.Asked(
        *(metrics, missing, align, mask or "joint", per_clip, decompose, lag, faces, groups, by),
        *(_subjects(windows, labelled), ci, resamples, seed, "bca" if bca else "percentile", chosen),
        *(score_sides.class_list(classes, true), formula or "2021"),
        scales={"gt": str(scale)} if scale else {},
        test=test,
        loose=true.open_ended,
    )
    result, systems = _compared(asked, preds, true, scales.get("preds"))
    write(result, asked, form)
    if min_ccc is not None:
        _require_ccc(preds, systems, min_ccc)


def _compared(
    asked: Asked, preds: list[Path], true: TaskLabels, scale: Scale | None
) -> tuple[dict[str, Any], list[Any]]:
    """What is to be written, and the scores of each of the predictions."""
    from affcli.cli import score_intervals, score_report, score_sides, score_tasks
    from affcli.labels.tasks import fitted

    reports: list[dict[str, Any]] = []
    systems: list[Any] = []
    for path in preds:
        side, applied = score_sides.read(path, asked.task, scale)
        truth, predicted = fitted(true, side)
        here = dataclasses.replace(asked, scales={"preds": str(applied), **asked.scales}) if applied else asked
        if asked.task == "va":
            scores = _scored(here, truth, predicted, warn=not systems)  # the truth is the same for all
            found = score_report.report(here, truth, predicted, scores)
            systems.append(scores)
        else:
            classes = score_tasks.scored(here, truth, predicted)
            found = score_tasks.report(here, truth, predicted, classes)
            systems.append(classes)
        reports.append({"predictions": str(path), **found})
    if asked.ci is not None or len(preds) > 1:
        score_intervals.warn_of_few_draws(asked, systems[0].names)
    if len(preds) == 1:
        return {key: value for key, value in reports[0].items() if key != "predictions"}, systems
    compare = score_report.compare if asked.task == "va" else score_tasks.compare
    return {"systems": reports, "differences": compare(asked, [str(path) for path in preds], systems)}, systems


def _scored(asked: Asked, truth: list[Affect], predicted: list[Affect], *, warn: bool) -> Scores:
    from affcli.scoring import score as scores_of

    scores = scores_of(truth, predicted, **asked.choices())
    undefined = sorted({clip for name in asked.metrics if name in NEED_TRUTH for clip in scores.undefined(name)})
    if undefined and warn:
        log.warning("constant truth leaves CCC and PCC undefined for clip %s", some(undefined))
    return scores


def _form(asked: dict[str, bool]) -> str:
    chosen = [name for name, given in asked.items() if given]
    if len(chosen) > 1:
        raise UsageError(
            " and ".join(f"--{name}" for name in chosen), "exclude each other", expected="one of them", advice="choose"
        )
    # sys.stdout is None where it was closed before we began.
    return chosen[0] if chosen else "table" if sys.stdout and sys.stdout.isatty() else "json"


def _require_sense(
    preds: list[Path], truth: Path, test: str, by: str | None, windows: Path | None, numbers: dict[str, float | None]
) -> None:
    """Raise UsageError where options do not fit together, or a number makes no sense."""
    piped = [str(path) for path in (*preds, truth)].count("-")
    if piped > 1:
        what = "PREDS and GT" if str(truth) == "-" else "PREDS"
        both = "both" if piped == 2 else f"{piped} times"
        raise UsageError(what, f"are {both} -", expected="one of them on stdin", advice="name a file for the other")
    if test == "permutation" and len(preds) == 1:
        raise UsageError(
            f"--test {test}", "is of differences", expected="two PREDS or more", advice="name what to compare with"
        )
    if by and not windows:
        raise UsageError(f"--by {by}", "needs --windows", expected="the table that tells it", advice="name the table")
    bounds = {"--ci": (0.0, 100.0), "--lag": (0.0, math.inf), "--min-ccc": (-1.000001, 1.000001)}
    for name, value in numbers.items():
        low, high = bounds[name]
        if value is not None and not low < value < high:
            wanted = {"--ci": "more than 0 and less than 100", "--lag": "seconds, more than 0", "--min-ccc": "-1 to 1"}
            raise UsageError(f"{name} {value:g}", "makes no sense", expected=wanted[name], advice="correct it")


def _subjects(windows: Path | None, labelled: list[str]) -> dict[str, str] | None:
    """Who is seen in each annotated clip, where the windows tell it of all of them."""
    if windows is None:
        return None
    from affcli.cli.score_report import groups_of

    found = groups_of(windows, "subject")
    return found if all(clip in found for clip in labelled) else None


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
