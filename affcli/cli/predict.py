"""affcli predict"""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from affcli.cli.ensemble import BATCH, BATCH_SEEN
from affcli.cli.options import DEVICE, FORCE, configure, setting
from affcli.cli.own_tables import spare_others
from affcli.cli.progress import progress, say
from affcli.cli.runs import Run
from affcli.configs import Prediction
from affcli.errors import AffcliError, UsageError

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
    [],
    metavar="[WINDOWS|FEATURES...]",
    help="One windows table, or directories and tables of features; none for networks that read no features.",
)
CROPS = typer.Option(
    None,
    "--crops",
    metavar="DIR",
    help="The faces of the clips, as affcli extract-faces wrote them, or the table of one clip, which alone is then "
    "predicted: what M3T sees.",
)
OUT = typer.Option(
    ...,
    "--out",
    "-o",
    help="A directory for a table per clip, or one table (.parquet), or one CSV file (.csv), or - for CSV on stdout.",
)
WITH = typer.Option([], "--with", metavar="RUN", help="One more run, to be averaged with the first; repeatable.")
FORCE_RECIPE = typer.Option(
    False,
    "--force-recipe",
    help="Use features and crops that were made otherwise than those of the training, with a warning.",
)
SPLIT = typer.Option("all", "--split", help="Which clips of a windows table to predict.")
WINDOWS_AT_ONCE = typer.Option(
    None,
    "--batch",
    min=1,
    help=f"Windows at a time; fewer need less memory, and may change the last bits. {BATCH}, or {BATCH_SEEN} for "
    "networks that see, where it is not given.",
)


def predict(
    run: Path = RUN,
    sources: list[Path] = SOURCES,
    out: Path = OUT,
    more: list[Path] = WITH,
    crops: Path | None = CROPS,
    split: Literal["train", "val", "test", "all"] = SPLIT,
    overlap: Literal["as-trained", "half", "none"] = setting(Prediction, "overlap"),
    overlap_weights: Literal["flat", "triangular"] = setting(Prediction, "overlap_weights"),
    ensemble: Literal["mean", "weighted", "centred"] = setting(Prediction, "ensemble"),
    std: bool = setting(Prediction, "std"),
    smooth: str = setting(Prediction, "smooth", metavar="METHOD:WINDOW|auto"),
    precision: Literal["fp32", "bf16"] = setting(Prediction, "precision"),
    batch: int | None = WINDOWS_AT_ONCE,
    device: Literal["auto", "cpu", "cuda", "mps"] = DEVICE,
    force_recipe: bool = FORCE_RECIPE,
    force: bool = FORCE,
) -> None:
    """Predict valence and arousal of every frame with a trained network, or with several (--with).

    The features, and the crops of a network that sees (--crops), must be made as those of the training were. Every
    frame gets a value, whether or not they describe it: the mean over the windows it is in. Several networks may need
    other features each; the sources have to hold them all. What they say is averaged, then smoothed, then cut off at -1
    and 1; with --smooth auto, each is smoothed in its own way first, then averaged. In a directory, only missing and
    outdated tables are made.

    Where networks have expressions or action units, so has the table: for each frame the class that the networks find
    most probable on average, and whether it shows each action unit. A CSV file has no action units.

    M3T's paper predicts windows that do not overlap (--overlap none). Its released code, whose networks were trained
    with --preset official (colours BGR, the last face in a frame without one, crops of 224 pixels), lets them overlap
    by half (--overlap half) and smooths the average of all networks: --smooth wiener:35 to score, wiener:13 to submit.
    At the ends of a clip the smoothing here keeps to the frames that there are, where SciPy's, which that
    code calls, takes zeros for those that there are not; and the last window ends with the clip, where that code fills
    it up with the last frame.
    """
    from affcli.cli.ensemble import Ensemble, recipe_of, runs_of
    from affcli.cli.to_predict import work_of
    from affcli.models.device import pick
    from affcli.smoothing import AUTO, canonical, parse

    _check(out)
    smooth = AUTO if smooth.strip() == AUTO else canonical(parse(smooth))
    config = configure(Prediction, locals())
    runs = runs_of([run, *more], config)
    work = work_of(sources, runs, crops=crops, split=split, overlap=overlap, force_recipe=force_recipe)
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
            spare_others(path, "predict")
            files = clip.files()
            inputs = files.sources()
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
        spare_others(out, "predict")
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


def _inputs(clips: list[Clip]) -> list[dict[str, str]]:
    """The feature and faces tables of all clips; none where one of them cannot be used."""
    try:
        return [source for clip in clips for source in clip.files().sources()]
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
