"""affcli predict"""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from affcli.cli.options import DEVICE, FORCE, configure, setting
from affcli.cli.progress import progress, say
from affcli.cli.runs import Run
from affcli.configs import Prediction
from affcli.errors import AffcliError, InputError, SchemaError, UsageError

if TYPE_CHECKING:
    from affcli.cli.ensemble import Ensemble
    from affcli.cli.to_predict import Clip
    from affcli.labels.affect import Affect
    from affcli.recipes import Recipe

log = logging.getLogger(__name__)

RUN = typer.Argument(
    ..., metavar="RUN", help="Checkpoint: a directory that affcli train or import-checkpoint wrote, or its last.json."
)
SOURCES = typer.Argument(
    ..., metavar="WINDOWS|FEATURES...", help="One windows table, or directories and tables of features."
)
OUT = typer.Option(
    ...,
    "--out",
    "-o",
    help="A directory for a table per clip, or one table (.parquet), or one CSV file (.csv), or - for CSV on stdout.",
)
WITH = typer.Option([], "--with", metavar="RUN", help="One more run, to be averaged with the first; repeatable.")
FORCE_RECIPE = typer.Option(
    False, "--force-recipe", help="Use features that were made otherwise than those of the training, with a warning."
)
SPLIT = typer.Option("all", "--split", help="Which clips of a windows table to predict.")
BATCH = typer.Option(
    256, "--batch", min=1, help="Windows at a time; fewer need less memory, and may change the last bits."
)


def predict(
    run: Path = RUN,
    sources: list[Path] = SOURCES,
    out: Path = OUT,
    more: list[Path] = WITH,
    split: Literal["train", "val", "test", "all"] = SPLIT,
    overlap_weights: Literal["flat", "triangular"] = setting(Prediction, "overlap_weights"),
    ensemble: Literal["mean", "weighted", "centred"] = setting(Prediction, "ensemble"),
    std: bool = setting(Prediction, "std"),
    smooth: str = setting(Prediction, "smooth", metavar="METHOD:WINDOW|auto"),
    batch: int = BATCH,
    device: Literal["auto", "cpu", "cuda", "mps"] = DEVICE,
    force_recipe: bool = FORCE_RECIPE,
    force: bool = FORCE,
) -> None:
    """Predict valence and arousal of every frame with a trained network, or with several (--with).

    The features must be made as those of the training were. Every frame gets a value, whether or not the features
    describe it: the mean over the windows it is in. Several networks may need other features each; the sources have
    to hold them all. What they say is averaged, then smoothed, then cut off at -1 and 1; with --smooth auto, each is
    smoothed in its own way first, then averaged. In a directory, only missing and outdated tables are made.
    """
    from affcli.cli.ensemble import Ensemble, recipe_of, runs_of
    from affcli.cli.to_predict import work_of
    from affcli.models.device import pick
    from affcli.smoothing import AUTO, canonical, parse

    _check(out)
    smooth = AUTO if smooth.strip() == AUTO else canonical(parse(smooth))
    config = configure(Prediction, locals())
    runs = runs_of([run, *more], config)
    work = work_of(sources, [one.description for one in runs], split, force_recipe)
    recipe = recipe_of(runs, work, config)
    network = Ensemble(runs, config, batch, pick(device))
    if out.is_dir() or (out.suffix not in (".parquet", ".csv") and str(out) != "-"):
        _write_each(out, work.clips, network, recipe, force)
    else:
        _write_one(out, work.clips, network, recipe, force)


def _check(out: Path) -> None:
    if out.suffix in (".txt", ".tsv", ".json", ".jsonl", ".npy", ".pq", ".feather"):
        raise UsageError(
            f"--out {out}",
            f"asks for a {out.suffix} file",
            expected="a directory, a name that ends in .parquet or .csv, or -",
            advice="choose one of these",
        )


def _write_each(out: Path, clips: list[Clip], network: Ensemble, recipe: Recipe, force: bool) -> None:
    """A table for each clip, in a directory."""
    from affcli import tables
    from affcli.clips import table_path
    from affcli.schemas import AFFECT

    run = Run(len(clips))
    for clip in progress(clips, "predict", "clip", len(clips)):
        with run.clip():
            path = table_path(out, clip.name, "affect")
            _spare_others(path)
            files = clip.files()
            inputs = [file.source() for file in files.values()]
            if not force and tables.keep(path, AFFECT, recipe, inputs):
                run.keep()
                continue
            columns = network.predict(clip, files).columns()
            tables.write(path, AFFECT, columns, recipe=recipe, inputs=inputs, facts={})
    run.close()


def _write_one(out: Path, clips: list[Clip], network: Ensemble, recipe: Recipe, force: bool) -> None:
    """All clips in one table or CSV: whole, or not at all."""
    import numpy as np

    from affcli import tables
    from affcli.files import explained
    from affcli.schemas import AFFECT

    with explained(out):  # before the work, not after it
        out.parent.mkdir(parents=True, exist_ok=True)
    inputs: list[dict[str, str]] = []
    if out.suffix == ".parquet":
        _spare_others(out)
        inputs = _inputs(clips)
    if inputs and not force and tables.keep(out, AFFECT, recipe, inputs):
        say(f"{out}: up to date")
        return
    run = Run(len(clips))
    predicted: list[Affect] = []
    for clip in progress(clips, "predict", "clip", len(clips)):
        with run.clip():
            predicted.append(network.predict(clip, clip.files()))
    if run.failures:
        log.error("%s: not written, because not every clip could be predicted", out)
    elif out.suffix == ".parquet":
        every = [affect.columns() for affect in predicted]
        columns = {name: np.concatenate([one[name] for one in every]) for name in every[0]}
        tables.write(out, AFFECT, columns, recipe=recipe, inputs=inputs, facts={})
    else:
        _write_csv(out, predicted)
    run.close()


def _spare_others(path: Path) -> None:
    """Raise SchemaError where a table that is no prediction stands at `path`: labels have the same name."""
    from affcli import tables

    try:
        step = tables.read_header(path).recipe.get("step")
    except InputError:
        return  # absent, or in pieces
    if step != "predict":
        raise SchemaError(
            path,
            f"was written by the step '{step}'",
            expected="predictions, or no file",
            advice="write the predictions to a directory of their own (--force does not overwrite other tables)",
        )


def _inputs(clips: list[Clip]) -> list[dict[str, str]]:
    """The feature files of all clips; none where one of them cannot be used."""
    try:
        return [file.source() for clip in clips for file in clip.files().values()]
    except AffcliError:
        return []  # said when the clip is predicted


def _write_csv(out: Path, predicted: list[Affect]) -> None:
    from affcli.files import replacing
    from affcli.labels.csv import write_csv

    if str(out) == "-":
        write_csv(sys.stdout, predicted)
        return
    with replacing(out) as file, io.TextIOWrapper(file, encoding="utf-8", newline="") as stream:
        write_csv(stream, predicted)
