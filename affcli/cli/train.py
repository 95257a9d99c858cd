"""affcli train"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import typer

from affcli import configs
from affcli.cli.fields import with_fields
from affcli.cli.options import DEVICE, ENCODER, FORCE
from affcli.cli.progress import say
from affcli.errors import UsageError
from affcli.models import MODELS

WINDOWS = typer.Argument(..., metavar="WINDOWS", help="Windows table with labels, as affcli window writes it.")
OUT = typer.Option(..., "--out", "-o", metavar="RUN", help="Directory for the checkpoints; made where it is missing.")
MODEL_NAME = "gru-fusion"
MODEL = typer.Option(MODEL_NAME, "--model", help=f"Network: {', '.join(MODELS)}.", autocompletion=lambda: list(MODELS))
SET = typer.Option(
    [],
    "--set",
    metavar="NAME=VALUE",
    help="A setting of the network, such as dropout=0.1; repeatable. affcli models show MODEL lists them.",
)
CONFIG = typer.Option(
    None,
    "--config",
    metavar="FILE.toml",
    help="Settings from a file such as RUN/config.toml; an option of the command line goes before it.",
)
GRID = typer.Option(
    None,
    "--grid",
    metavar="FILE.toml",
    help="Train once for each combination of the values that the file lists, or for points drawn at random, into "
    "RUN/point-1 and so on, and compare them in RUN/runs.csv.",
)
RESUME = typer.Option(
    False,
    "--resume",
    help="Take the settings from RUN/config.toml, where there is one, to go on with a training that was broken off; "
    "refuse other settings.",
)
DEVICES = typer.Option(
    1,
    "--devices",
    min=1,
    max=1024,
    help="Processes that share every batch, each on a GPU of its own, or on CPUs with --device cpu.",
)
WORKERS = typer.Option(
    1, "--workers", min=1, max=256, help="Networks of --folds, --seeds and --grid that are trained at a time."
)
TENSORBOARD = typer.Option(
    False, "--tensorboard", help="Write the learning curves to RUN/tensorboard, too; needs the extra tensorboard."
)


@with_fields(configs.Runs)
@with_fields(configs.Training)
def train(
    context: typer.Context,
    windows: Path = WINDOWS,
    out: Path = OUT,
    model: str = MODEL,  # noqa: ARG001 -- this and what follows without use: see `_typed_options`
    encoder: list[str] = ENCODER,  # noqa: ARG001
    network: list[str] = SET,
    config: Path | None = CONFIG,
    grid: Path | None = GRID,
    resume: bool = RESUME,
    device: Literal["auto", "cpu", "cuda", "mps"] = DEVICE,
    devices: int = DEVICES,  # noqa: ARG001
    workers: int = WORKERS,
    tensorboard: bool = TENSORBOARD,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say how large the training will be; write nothing."),
    force: bool = FORCE,
    **settings: Any,  # noqa: ARG001
) -> None:
    """Fit a network to labelled windows and keep the epoch that predicts the validation clips best.

    After every epoch the validation clips are predicted as a whole and scored: CCC over all their annotated frames,
    mean of valence and arousal. Writes to RUN: best.safetensors (weights and standardisation) and best.json (what they
    are), metrics.jsonl (one line per epoch), config.toml (every setting that was used), and last.json with its tensors:
    the same command again goes on from there, to the same weights as if it had not been broken off.

    With --folds, --seeds or --grid many networks are fitted, each in a directory of its own below RUN. RUN/runs.csv
    then has a line for each, RUN/summary.json the mean scores with their 95 % intervals, and, with --folds, RUN/oof the
    predictions of each clip by the networks that have not seen it.
    """
    from affcli.cli import launch, several
    from affcli.cli.choice import CONFIG as USED
    from affcli.cli.choice import choose
    from affcli.cli.one_run import Job, fit_one
    from affcli.cli.outcomes import RUNS
    from affcli.cli.plan import GRID as TRIED
    from affcli.cli.plan import Search
    from affcli.cli.record import scored
    from affcli.cli.settings import with_pairs

    file = config or (out / USED if resume and (out / USED).exists() else None)
    goes_on = resume and (out / TRIED).exists() and grid is None
    typed = _typed_options(context)
    choice = choose(typed, network, file, MODEL_NAME)
    if not choice.runs.folds and (alone := typed.keys() & {"group", "fold_seed"}):
        option = f"--{min(alone).replace('_', '-')}"
        raise UsageError(
            option, "is of folds, and there are none", expected="--folds", advice="add it, or leave this out"
        )
    job = Job(
        windows, out, choice, device, "force" if force else "resume" if resume else "keep", tensorboard=tensorboard
    )
    search = None
    if grid or goes_on:
        names = {name if name == "model" else f"training.{name}" for name in typed}
        names |= {f"network.{name}" for name in with_pairs({}, network)}
        search = Search(grid or out / TRIED, frozenset(names), tuple(network), goes_on)
    many = search is not None or choice.runs.folds > 0 or choice.runs.seeds > 1
    if dry_run:
        if many:
            planned = several.plan(job, search)[-1]
            job = planned[0].job
            print(f"networks: {len(planned)}, of which {planned[0].name} takes:")
        _say_size(job)
        return
    if not many and (out / RUNS).exists():
        raise UsageError(
            f"--out {out}",
            "holds several trainings",
            expected="a directory for one",
            advice="choose another, or name --folds, --seeds or --grid again",
        )
    if choice.devices > 1 and not launch.launched():
        launch.check(device, choice.devices, workers)
        launch.launch(choice.devices)
        return
    with launch.joined(device) as world:
        if many:
            several.fit_all(job, search, workers, world)
            return
        done = fit_one(job, world)
        best = f"{scored(done.description.validation)} at epoch {done.description.epoch}"
        say(f"{out}: up to date, {best}" if done.kept else f"{out}: {best} of {done.epochs}")
        if not done.kept and sys.stderr.isatty():
            from affcli.cli.plot import learning
            from affcli.training.description import read_metrics

            print(learning(read_metrics(out)), file=sys.stderr)


def _typed_options(context: typer.Context) -> dict[str, Any]:
    """The options that stand on the command line: those that were not typed give way to the file of --config."""
    typed = {}
    for name, value in context.params.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            typed[name] = value
    return typed


def _say_size(job: Any) -> None:
    """Print how large a training is."""
    from affcli.cli.one_run import prepare
    from affcli.models.device import pick
    from affcli.training.estimate import estimate
    from affcli.training.fit import new_model
    from affcli.training.optimisation import check

    config = job.choice.training
    check(config, pick(job.device), job.choice.devices)
    made = prepare(job)
    train, _ = made.part("train"), made.part("val")
    size = estimate(new_model(job.choice.model, made.sets, job.choice.network, config.seed), train, config)
    longest = int(train.length.max())
    for name, vectors in train.clips[0].features.items():
        print(f"{name}: {size.part} x {longest} x {vectors.shape[1]} (windows, frames, numbers)")
    print(f"output: {size.part} x {longest} x 2")
    print(f"parameters: {size.parameters}")
    print(f"windows per epoch: {size.windows}, of {len(train.clips)} clips")
    print(f"steps per epoch: {size.steps}, {size.steps * config.epochs} at most")
    print(
        f"memory: about {(size.state_bytes + size.batch_bytes) / 1e6:.1f} MB, "
        f"{size.state_bytes / 1e6:.1f} for the network and its optimiser and {size.batch_bytes / 1e6:.1f} for a pass"
    )
