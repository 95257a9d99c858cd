"""affcli score"""

from __future__ import annotations

import dataclasses
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from affcli.cli.options import SEED
from affcli.cli.panels import SCORE, in_panels
from affcli.cli.score_checks import form_of, require_sense
from affcli.errors import BELOW

if TYPE_CHECKING:
    from affcli.cli.score_report import Asked
    from affcli.labels.scales import Scale
    from affcli.labels.tasks import TaskLabels
    from affcli.scoring import Scores

log = logging.getLogger(__name__)

SIDE = (
    "an affect table, a CSV (clip,frame,valence,arousal), an Aff-Wild2 text file, a directory of one of these, a "
    "challenge submission, multi-task labels, or -"
)
RESAMPLES = 10_000


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
        "once each. A value off it is an error, unless --clip cuts off those of PREDS. On a scale that reaches below "
        "-1, -5 is a value, and only an empty cell is not annotated.",
    ),
    clip: bool = typer.Option(
        False,
        "--clip",
        help='Cut off predictions past -1 and 1, as submit does, instead of refusing them; JSON tells as "clipped" how '
        "many. Of PREDS in text, -5 and empty cells alone are not predicted; of GT, whatever is below -1 is not "
        "annotated.",
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
        "not predicted, or not annotated where the ground truth is the shorter one.",
    ),
    mask: Literal["joint", "each"] | None = typer.Option(
        None,
        "--mask",
        help="Which frames count: joint, as the challenges do, those with valence and arousal both annotated; each, "
        "those with valence for valence, and those with arousal for arousal. By default joint.",
    ),
    per_clip: bool = typer.Option(False, "--per-clip", help="Every clip's own scores too, and the worst and the best."),
    by: Literal["split", "subject"] | None = typer.Option(
        None,
        "--by",
        help="The scores of every split, or of every person, apart; needs --windows, whose table tells them.",
    ),
    windows: Path | None = typer.Option(
        None,
        "--windows",
        help="The windows table (affcli window) that tells each clip's split for --by and, where it was cut with "
        "--subjects, who is seen in it: intervals are then drawn over people instead of clips.",
    ),
    faces: Path | None = typer.Option(
        None, "--faces", help="Directory of extract-faces: score the frames with a face and those without apart."
    ),
    lag: float | None = typer.Option(
        None,
        "--lag",
        help="CCC with the predictions moved, in 10 steps each way, by up to so many seconds; the best lag is above 0 "
        "where they are late. They are moved by whole frames, whose times affect tables tell, or --times.",
    ),
    times: Path | None = typer.Option(
        None,
        "--times",
        metavar="DIR",
        help="With --lag: directory of the clips' faces or audio tables, for clips that do not tell their frames' "
        "times, as CSV and label files, and tables made of them.",
    ),
    decompose: bool = typer.Option(
        False,
        "--decompose",
        help="CCC as correlation times accuracy, and the two parts of that (Lin 1989): scale, standard deviation of "
        "the truth over that of the predictions, above 1 where they move too little; and shift, the mean of the truth "
        "less that of the predictions, over the root of both deviations' product, above 0 where they are too low.",
    ),
    ci: float | None = typer.Option(
        None,
        "--ci",
        help="Confidence intervals of so many percent, from resampled clips; 95, say. JSON has standard errors "
        "too, from leaving out a clip at a time (jackknife).",
    ),
    resamples: int | None = typer.Option(
        None,
        "--resamples",
        min=100,
        max=1_000_000,
        help=f"How many resamples, with --ci or several PREDS; by default {RESAMPLES}.",
    ),
    seed: int | None = typer.Option(
        None, "--seed", min=SEED["min"], max=SEED["max"], help="Of the resamples; by default 0."
    ),
    bca: bool = typer.Option(False, "--bca", help="BCa intervals, corrected for bias and skew; else percentiles."),
    test: Literal["bootstrap", "permutation"] = typer.Option(
        "bootstrap",
        "--test",
        help="Where the p-values of differences come from: bootstrap, the resamples of their intervals; permutation, "
        "swaps of the two predictions, clip by clip: all of them, or as many at random as there are resamples.",
    ),
    min_ccc: float | None = typer.Option(
        None,
        "--min-ccc",
        help=f"End with status {BELOW} where the mean CCC of any PREDS, of valence and arousal, is "
        "below this, or undefined.",
    ),
    json_: bool = typer.Option(False, "--json", help="JSON; the default, but on a terminal."),
    table: bool = typer.Option(False, "--table", help="Tables for people; the default on a terminal."),
    latex: bool = typer.Option(False, "--latex", help="The tables as LaTeX."),
    markdown: bool = typer.Option(False, "--markdown", help="The tables as Markdown."),
) -> None:
    """Score predicted valence and arousal, expressions or action units against the ground truth, which comes last.

    Writes one JSON object to stdout, or tables for people. "concatenated" is the headline: each metric over all
    annotated frames of all clips, for valence, arousal, and the mean of both. "mean_over_clips" averages the clips'
    own scores instead, each figure over the clips in which it is defined: "clips" have both dimensions, and where more
    have one, "clips_by_dimension" tells how many. "coverage" is the share of annotated frames that were predicted.
    Without a metric option, all of them.

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
    form = form_of({"json": json_, "table": table, "latex": latex, "markdown": markdown})
    drawing = {"--resamples": resamples is not None, "--seed": seed is not None, "--bca": bca}
    require_sense(preds, truth, {"--ci": ci, "--lag": lag, "--min-ccc": min_ccc}, test, by, windows, times, drawing)
    from affcli.cli import score_groups, score_report, score_sides
    from affcli.cli.score_output import write
    from affcli.cli.table_times import require_directory

    chosen = score_sides.task_of(task, preds, truth)
    given = {f"--{name}": asked for name, asked in wanted.items()} | {"--mask": mask is not None}
    given |= {"--lag": lag is not None, "--decompose": decompose, "--min-ccc": min_ccc is not None}
    given |= {"--range": bool(ranges), "--classes": classes is not None, "--formula": formula is not None}
    given |= {"--clip": clip, "--times": times is not None}
    score_sides.require_fit(chosen, given)
    for directory in filter(None, (faces, times)):
        require_directory(directory)
    scales = score_sides.scales(ranges or [])
    score_sides.require_text(scales, preds, truth, clip=clip)
    true, scale = score_sides.read(truth, chosen, scales.get("gt"))
    labelled = score_sides.labelled(true.clips, chosen, mask or "joint")
    groups = score_groups.required_groups(windows, by, labelled) if windows and by else None
    drawn = ci is not None or len(preds) > 1
    subjects = score_groups.subjects(windows, by, labelled) if windows and drawn else None
    asked = score_report.Asked(
        *(metrics, missing, align, mask or "joint", per_clip, decompose, lag, faces, groups, by),
        *(subjects, ci, resamples or RESAMPLES, seed or 0),
        *("bca" if bca else "percentile", chosen),
        *(score_sides.class_list(classes, true), formula or "2021"),
        scales={"gt": str(scale)} if scale else {},
        test=test,
        loose=true.open_ended,
        clip=clip,
        times=times,
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
    from affcli.cli.score_warnings import Warnings
    from affcli.labels.affect import require_affect
    from affcli.labels.tasks import fitted
    from affcli.scoring import score as scores_of

    reports: list[dict[str, Any]] = []
    systems: list[Any] = []
    warnings = Warnings(asked)
    for path in preds:
        side, applied, cut = score_sides.read_predictions(path, asked.task, scale, clip=asked.clip)
        if asked.task == "va":
            require_affect(side.clips, path)
        truth, predicted = fitted(true, side)
        lone = len(truth) == len(predicted) == 1 and not truth[0].named and predicted[0].named
        if lone and (asked.faces or asked.times):  # a lone file is called anything; its faces and times are not
            truth = [dataclasses.replace(truth[0], clip=predicted[0].clip)]
        warnings.of_sides(path, truth, predicted)
        predicted = warnings.without_extra(path, truth, predicted)
        here = dataclasses.replace(asked, scales={"preds": str(applied), **asked.scales}) if applied else asked
        if asked.task == "va":
            scores = scores_of(truth, predicted, **here.choices())
            warnings.of_truth(scores)
            found = score_report.report(here, truth, predicted, scores)
            systems.append(scores)
        else:
            classes = score_tasks.scored(here, truth, predicted)
            found = score_tasks.report(here, truth, predicted, classes)
            systems.append(classes)
        warnings.of_lengths(path, truth, predicted)
        reports.append({"predictions": str(path), **found} | ({"clipped": cut} if asked.clip else {}))
    warnings.of_extra()
    if asked.ci is not None or len(preds) > 1:
        score_intervals.warn_of_few_draws(asked, systems[0].names)
    if len(preds) == 1:
        return {key: value for key, value in reports[0].items() if key != "predictions"}, systems
    compare = score_report.compare if asked.task == "va" else score_tasks.compare
    return {"systems": reports, "differences": compare(asked, [str(path) for path in preds], systems)}, systems


def _require_ccc(preds: list[Path], systems: list[Scores], least: float) -> None:
    """End with status 6 where a mean CCC, over all frames, is not as high as asked."""
    short = False
    for path, scores in zip(preds, systems, strict=True):
        found = scores.concatenated("ccc")["mean"]
        if not found >= least:
            nowhere = "".join(f": {name} is nowhere annotated" for name in scores.nowhere)
            figure = "undefined" if math.isnan(found) else f"{found:.4f}"
            log.error("%s: CCC %s is below --min-ccc %g%s", path, figure, least, nowhere)
            short = True
    if short:
        raise typer.Exit(BELOW)
