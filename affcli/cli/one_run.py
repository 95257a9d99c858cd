"""One network, fitted: what `affcli train` does once, or many times over folds, seeds and points of a search."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from affcli import configs, recipes
from affcli.cli import launch
from affcli.cli.choice import Choice
from affcli.cli.record import Record
from affcli.errors import AffcliError, SchemaError, some
from affcli.models import inputs_of

if TYPE_CHECKING:
    from affcli.cli.windowed import Index
    from affcli.training.checkpoint import Checkpoint
    from affcli.training.data import WindowedClips
    from affcli.training.description import Description
    from affcli.training.world import World
    from affcli.windows import FeatureSet, Part

log = logging.getLogger(__name__)

Again = Literal["keep", "resume", "force"]


@dataclass(frozen=True)
class Job:
    """One network to fit."""

    windows: Path
    out: Path
    choice: Choice
    device: str
    again: Again  # what becomes of a training that stands there already
    held_out: tuple[str, ...] | None = None  # the clips of the fold, or None for the split of the windows
    fold: Mapping[str, Any] = field(default_factory=dict)  # what the recipe says of the fold
    tensorboard: bool = False

    def __str__(self) -> str:
        return str(self.out)


@dataclass(frozen=True)
class Outcome:
    """A network that was fitted, or had been before."""

    description: Description
    epochs: int
    kept: bool


@dataclass(frozen=True)
class Prepared:
    """A job whose inputs were looked at."""

    job: Job
    index: Index
    sets: dict[str, FeatureSet]
    recipe: recipes.Recipe
    inputs: list[dict[str, str]]

    def part(self, part: Part) -> WindowedClips:
        """The windows of one part of the clips.  Raises as `windows_of` does."""
        from affcli.cli.windowed import windows_of

        return windows_of(self.index, list(self.sets), part, self.job.held_out)


def sets_of(choice: Choice, index: Index) -> dict[str, FeatureSet]:
    """The feature sets that a network is fitted to.  Raises UsageError and SchemaError where they do not fit it."""
    from affcli.cli.windowed import chosen_sets

    return inputs_of(choice.model, chosen_sets(index, choice.encoders))


def prepare(job: Job) -> Prepared:
    """Look at what a job is to be made of.  Raises UsageError, InputError and SchemaError where that is not possible.

    The number of devices is part of the recipe where there are several: each process draws its own dropout.
    """
    from affcli.cli.windowed import read_windows

    index, choice = read_windows(job.windows), job.choice
    sets = sets_of(choice, index)
    settings = {
        "model": choice.model,
        "encoders": list(sets),
        "network": recipes.plain(choice.network),
        **recipes.plain(choice.training),
        **job.fold,
        **({"devices": choice.devices} if choice.devices > 1 else {}),
    }
    return Prepared(
        job, index, sets, recipes.recipe("train", settings, parents=[index.recipe]), [recipes.source(job.windows)]
    )


def fit_one(job: Job, world: World) -> Outcome:
    """Fit the network of a job, unless it is there; go on where it was broken off, where that is asked for.

    Raises as `prepare` and `training.fit.Fit` do, SchemaError where another unfinished training stands in its place.
    """
    from affcli.models.device import pick
    from affcli.training import checkpoint, description
    from affcli.training.data import fit_standardisation
    from affcli.training.fit import Fit, new_model
    from affcli.training.optimisation import check

    if job.again == "force" and launch.begun(job.out):  # before one of the processes died
        job = dataclasses.replace(job, again="keep")
    made, choice = prepare(job), job.choice
    device = world.device or pick(job.device)
    check(choice.training, device, world.size)
    if job.again != "force" and (kept := description.keep(job.out, made.recipe, made.inputs)):
        return Outcome(kept, _epochs(job.out) or kept.epoch, kept=True)
    train, val = made.part("train"), made.part("val")
    last = _broken_off(made)
    if last is None:
        net = new_model(choice.model, made.sets, choice.network, choice.training.seed)
        scale = fit_standardisation(train)
    else:
        net, scale = last.model, last.standardisation
    train, val = train.standardised(scale), val.standardised(scale)
    run = Record(made, checkpoint.Checkpoint(job.out, _described(made), net, scale), last)
    fit = Fit(net, train, val, choice.training, device, run.show, state=last.state if last else None, world=world)
    finished = None
    world.meet()  # before this, every process has read what stood there; after it, the first one writes
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.closing(run))
        if world.rank == 0:
            stack.enter_context(run.begun())
        for epoch in fit:
            state = fit.state()
            if world.rank == 0:
                run.end_of_epoch(epoch, state, fit.ended)
        if world.rank == 0:
            finished = run.finish(val, device)
    world.meet()
    return Outcome(finished or description.read_description(job.out), len(run.history), kept=False)


def _epochs(run: Path) -> int:
    """How many epochs a training went; 0 where nobody can say any more."""
    from affcli.training.description import read_metrics

    try:
        return len(read_metrics(run))
    except AffcliError:
        return 0


def _described(made: Prepared) -> Description:
    """What the checkpoints will say, but for their epoch."""
    from affcli.training.checkpoint import versions
    from affcli.training.description import Description

    return Description(
        model=made.job.choice.model,
        config=recipes.plain(made.job.choice.network),
        features=made.sets,
        windows=configs.Windows(made.index.facts.length, made.index.facts.overlap),
        validation={},
        epoch=0,
        finished=False,
        inputs=made.inputs,
        recipe=made.recipe,
        versions=versions(),
    )


def _broken_off(made: Prepared) -> Checkpoint | None:
    """The last checkpoint of this training, to go on with; None where there is nothing to go on with.

    Raises SchemaError where that is of another training, InputError where it is damaged.
    """
    from affcli.training import checkpoint, description
    from affcli.training.description import BEST, LAST

    job = made.job
    path = description.description_path(job.out, LAST)
    if job.again == "force" or not path.exists():
        return None
    if job.again == "keep":
        with contextlib.suppress(AffcliError):
            if description.read_description(job.out, BEST).finished:
                return None  # whole, and made otherwise: it is made again
    known = description.read_description(job.out, LAST)
    changed = recipes.differences(made.recipe, known.recipe) or recipes.differences(made.inputs, known.inputs)
    if changed:
        raise SchemaError(
            path,
            f"is of another training than this, after epoch {known.epoch} ({some(changed)})",
            expected="the same settings and windows",
            advice="--resume alone goes on with it as config.toml says; --force begins again; or choose another RUN",
        )
    if known.versions != checkpoint.versions():
        log.warning("%s: other versions of packages (%s): the last bits may differ", path, known.versions)
    return checkpoint.load(job.out, LAST)
