"""affcli train"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from affcli import configs
from affcli.cli.fields import with_fields
from affcli.cli.options import DEVICE, ENCODER, FORCE
from affcli.cli.panels import TRAIN, in_panels
from affcli.errors import UsageError
from affcli.models import MODELS

if TYPE_CHECKING:
    from affcli.training.world import World

WINDOWS = typer.Argument(
    ...,
    metavar="WINDOWS",
    help="Windows table with labels, as affcli window writes it; for v2p-identity, a directory of faces (see above).",
)
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
PEOPLE = typer.Option(
    None,
    "--people",
    metavar="FILE.csv",
    help="For v2p-identity: CSV file with the columns clip and person, where tracks are not in a directory per person.",
)
LR_RANGE_TEST = typer.Option(
    False,
    "--lr-range-test",
    help="Only train for a few steps over a rising learning rate, write RUN/lr_range.csv, and draw how the loss goes.",
)
STAGES = typer.Option(
    None,
    "--stages",
    metavar="FILE.toml",
    help="Train the stages that the file names one after the other, each into RUN/NAME, such as M3T's streams and then "
    "their fusion; those that are there are kept.",
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


PRESET = typer.Option(
    "",
    "--preset",
    help="Settings of M3T's networks as the paper has them (paper) or its released code (official), where these differ "
    "from the defaults; every other option, and what a file says, goes before it.",
    metavar="paper|official",
)
CROPS = typer.Option(
    None, "--crops", metavar="DIR", help="The faces of the clips, as affcli extract-faces wrote them: what M3T sees."
)
FLIPPED = typer.Option(
    None,
    "--flip-features",
    metavar="DIR",
    help="Features of the flipped crops, as affcli embed --flip writes them: for windows that --flip turns.",
)
INIT = typer.Option(None, "--init", metavar="RUN", help="Begin with the weights of this run, of the same network.")
INIT_VISUAL = typer.Option(
    None, "--init-visual", metavar="RUN", help="Begin with the visual stream of this run, such as one of m3t-visual."
)
INIT_AUDIO = typer.Option(
    None, "--init-audio", metavar="RUN", help="Begin with the audio stream of this run, one of m3t-audio."
)
INIT_BACKBONE = typer.Option(
    None, "--init-backbone", metavar="RUN", help="Begin with the backbone of this run, one of v2p-identity."
)


@in_panels(TRAIN)
@with_fields(configs.LrRange)
@with_fields(configs.Runs)
@with_fields(configs.Training)
def train(
    context: typer.Context,
    windows: Path = WINDOWS,
    out: Path = OUT,
    model: str = MODEL,  # noqa: ARG001 -- this and what follows without use: see `_typed_options`
    encoder: list[str] = ENCODER,  # noqa: ARG001
    network: list[str] = SET,
    preset: str = PRESET,  # noqa: ARG001
    crops: Path | None = CROPS,
    flip_features: Path | None = FLIPPED,
    people: Path | None = PEOPLE,
    init: Path | None = INIT,  # noqa: ARG001
    init_visual: Path | None = INIT_VISUAL,  # noqa: ARG001
    init_audio: Path | None = INIT_AUDIO,  # noqa: ARG001
    init_backbone: Path | None = INIT_BACKBONE,  # noqa: ARG001
    config: Path | None = CONFIG,
    grid: Path | None = GRID,
    stages: Path | None = STAGES,
    resume: bool = RESUME,
    device: Literal["auto", "cpu", "cuda", "mps"] = DEVICE,
    devices: int = DEVICES,
    workers: int = WORKERS,
    tensorboard: bool = TENSORBOARD,
    lr_range_test: bool = LR_RANGE_TEST,  # noqa: ARG001
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

    In the file of --stages, each table stages.NAME is a training, in this order: its model, and preset, encoders,
    training and network as in config.toml; its table init names stages above it, or directories of runs, as visual,
    audio, backbone or whole. What stands above the stages is common to all; an option of the command line goes before
    what the file says, in every stage.

    v2p-identity learns to tell people apart: in place of WINDOWS it takes a directory of faces tables, in a directory
    for each person or with --people. A tenth of each person's tracks, at least one, is held out.
    """
    from affcli.cli import lr_range, several
    from affcli.cli.choice import CONFIG as USED
    from affcli.cli.choice import Choice, choose, used
    from affcli.cli.dry_run import say_size
    from affcli.cli.one_run import Again, Job, fit_one
    from affcli.cli.people import check_people
    from affcli.cli.place import check_place
    from affcli.cli.plan import GRID as TRIED
    from affcli.cli.plan import Search, first_model
    from affcli.cli.record import say_done
    from affcli.cli.staged import STAGES as IN_STAGES
    from affcli.cli.staged import fit_stages, stages_of

    typed = _typed_options(context)
    rates = lr_range.rates_of(typed)
    again: Again = "force" if force else "resume" if resume else "keep"

    def job_of(out: Path, choice: Choice) -> Job:
        check_people(people, choice)
        job = Job(windows, out, choice, device, again, tensorboard=tensorboard, people=people)
        return dataclasses.replace(job, crops=crops, flipped=flip_features)

    if stages or (resume and (out / IN_STAGES).exists()):
        path = stages or out / IN_STAGES
        _refuse_beside(path, typed)
        jobs = stages_of(path, typed, network, out, job_of)
        if dry_run:
            for one in jobs.values():
                print(f"{one.out}:")
                say_size(one, begins=False)
            return
        check_place(out, "stages")
        devices = max(one.choice.devices for one in jobs.values())
        _launched(functools.partial(fit_stages, out, path, jobs), device, devices, workers)
        return
    file = config or (out / USED if resume and (out / USED).exists() else None)
    goes_on = resume and (out / TRIED).exists() and grid is None
    tried = grid or (out / TRIED if goes_on else None)
    choice = choose(typed, network, file, (tried and first_model(tried)) or MODEL_NAME)
    if not choice.runs.folds and (alone := typed.keys() & {"group", "fold_seed"}):
        option = f"--{min(alone).replace('_', '-')}"
        raise UsageError(
            option, "is of folds, and there are none", expected="--folds", advice="add it, or leave this out"
        )
    job = job_of(out, choice)
    search = None
    if tried:
        search = Search(tried, typed, tuple(network), goes_on, file)
    else:
        used(typed, [choice])
    many = search is not None or choice.runs.folds > 0 or choice.runs.seeds > 1
    if dry_run:
        if many:
            planned = several.plan(job, search)[-1]
            job = planned[0].job
            print(f"networks: {len(planned)}, of which {planned[0].name} takes:")
        say_size(job)
        return
    if rates:
        lr_range.test(job, rates, several=many)
        return
    if not many:
        check_place(out, "one")

    def fit(world: World) -> None:
        if many:
            several.fit_all(job, search, workers, world)
        else:
            say_done(job, fit_one(job, world))

    _launched(fit, device, choice.devices, workers)


def _launched(fit: Callable[[World], None], device: str, devices: int, workers: int) -> None:
    """Call `fit` in this process, or have as many processes as there are to be devices do what this one was asked."""
    from affcli.cli import launch

    if devices > 1 and not launch.launched():
        launch.check(device, devices, workers)
        launch.launch(devices)
        return
    with launch.joined(device) as world:
        fit(world)


def _refuse_beside(path: Path, typed: dict[str, Any]) -> None:
    """Raise UsageError where an option was typed that does not go with the stages of a file."""
    own = ("model", "config", "grid", "folds", "seeds", "preset", "init", "init_visual", "init_audio", "init_backbone")
    alone = ("folds", "seeds", "grid", "lr_range_test")  # of one network, or of many that do not hang together
    if wrong := [name for name in (*own, "lr_range_test") if name in typed]:
        raise UsageError(
            f"--{wrong[0].replace('_', '-')}",
            f"does not go with the stages of {path}",
            expected="one of the two" if wrong[0] in alone else "it in the file, or none",
            advice="leave it out" if wrong[0] in alone else "write it below a stage, or leave it out",
        )


def _typed_options(context: typer.Context) -> dict[str, Any]:
    """The options that stand on the command line: those that were not typed give way to the file of --config."""
    typed = {}
    for name, value in context.params.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            typed[name] = value
    return typed
