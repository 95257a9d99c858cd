"""affcli score"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from affcli.errors import UsageError, some

if TYPE_CHECKING:
    from affcli.labels.affect import Affect
    from affcli.recipes import Recipe
    from affcli.scoring import Scores

log = logging.getLogger(__name__)

SIDE = "an affect table, a CSV (clip,frame,valence,arousal), an Aff-Wild2 text file, a directory of one of these, or -"
DIMENSIONS_AND_MEAN = ("valence", "arousal", "mean")
NEED_TRUTH = ("ccc", "pcc")  # undefined where the truth is constant


def score(
    preds: Path = typer.Argument(..., metavar="PREDS", help=f"Predictions: {SIDE} for CSV on stdin."),
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
    table: bool = typer.Option(False, "--table", help="A table for people instead of JSON."),
    per_clip: bool = typer.Option(False, "--per-clip", help="Every clip's own scores too."),
) -> None:
    """Score predicted valence and arousal against the ground truth.

    Writes one JSON object to stdout. "concatenated" is the headline: each metric over all annotated frames of all
    clips, for valence, arousal, and the mean of both. "mean_over_clips" averages the clips' own scores instead.
    "coverage" is the share of annotated frames that were predicted. Without a metric option, all of them.
    """
    wanted = {"ccc": ccc, "pcc": pcc, "rmse": rmse, "mse": mse, "mae": mae, "sagr": sagr}
    metrics = [name for name, asked in wanted.items() if asked] or list(wanted)
    if str(preds) == str(truth) == "-":
        raise UsageError(
            "PREDS and GT", "are both -", expected="one of them on stdin", advice="name a file for the other"
        )
    from affcli import scoring

    predicted = _read(preds)
    scores = scoring.score(_read(truth), predicted, missing=missing, align=align)
    undefined = sorted({clip for name in metrics if name in NEED_TRUTH for clip in scores.undefined(name)})
    if undefined:
        log.warning("constant truth leaves CCC and PCC undefined for clip %s", some(undefined))
    recipe = _recipe(predicted)
    if table:
        _print_table(scores, metrics, recipe, per_clip)
        return
    result = {**scores.to_json(metrics, per_clip=per_clip), "predictions_recipe": recipe}
    print(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))


def _read(path: Path) -> list[Affect]:
    from affcli.labels.read import read_affect, read_stream

    return read_stream(sys.stdin.buffer) if str(path) == "-" else read_affect(path)


def _recipe(predicted: list[Affect]) -> Recipe | list[Recipe] | None:
    """How the predictions were made: one recipe, several where the clips differ, None where the files do not say."""
    recipes: list[Recipe] = []
    for clip in predicted:
        if clip.recipe is not None and clip.recipe not in recipes:
            recipes.append(clip.recipe)
    if len(recipes) > 1:
        log.warning("the predictions were made in %d different ways: see predictions_recipe", len(recipes))
        return recipes
    return recipes[0] if recipes else None


def _print_table(scores: Scores, metrics: list[str], recipe: Any, per_clip: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from affcli import recipes

    console = Console(highlight=False)
    overall = Table("", *DIMENSIONS_AND_MEAN, "mean over clips")
    for name in metrics:
        figures, clips = scores.concatenated(name), scores.mean_over_clips(name)
        overall.add_row(name.upper(), *(_figure(figures[key]) for key in DIMENSIONS_AND_MEAN), _figure(clips["mean"]))
    console.print(overall)
    print(f"clips: {len(scores.clips)}, frames: {scores.frames}, coverage: {scores.coverage:.2%}")
    if per_clip:
        each = Table("clip", "frames", "", *DIMENSIONS_AND_MEAN)
        for clip in scores.clips:
            for row, name in enumerate(metrics):
                first = (Text(clip.clip, overflow="fold"), str(clip.frames)) if row == 0 else ("", "")
                figures = clip.figures(name)
                each.add_row(*first, name.upper(), *(_figure(figures[key]) for key in DIMENSIONS_AND_MEAN))
        console.print(each)
    made = recipe if isinstance(recipe, list) else [recipe] * (recipe is not None)
    for number, one in enumerate(made):
        lines = recipes.outline(one) if number == 0 else [recipes.apart(one, made[0])]
        print("predictions made by" if number == 0 else "others by")
        print("\n".join(f"  {line}" for line in lines))


def _figure(value: float) -> str:
    return f"{value:.4f}" if value == value else "undefined"
