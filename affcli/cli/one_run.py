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
    from affcli.cli.beginnings import Begun
    from affcli.cli.people import PeoplePrepared
    from affcli.cli.windowed import Beside, Index
    from affcli.training.checkpoint import Checkpoint
    from affcli.training.data import WindowedClips
    from affcli.training.description import Description
    from affcli.training.tasks import Task
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
    crops: Path | None = None  # directory of faces tables, for networks that see
    flipped: Path | None = None  # directory of features of flipped crops
    advice: str = "--resume alone goes on with it as config.toml says; --force begins again; or choose another RUN"
    people: Path | None = None  # CSV file of who each track shows, for networks that tell people apart

    def __str__(self) -> str:
        return str(self.out)


@dataclass(frozen=True)
class Outcome:
    """A network that was fitted, or had been before."""

    description: Description
    epochs: int
    kept: bool


@dataclass(frozen=True, eq=False)
class Prepared:
    """A job whose inputs were looked at."""

    job: Job
    index: Index
    sets: dict[str, FeatureSet]
    recipe: recipes.Recipe
    inputs: list[dict[str, str]]
    beside: Beside
    begun: Begun
    people: tuple[str, ...] = ()  # it tells nobody apart

    @property
    def plan(self) -> configs.Windows:
        """How clips are cut where whole clips are predicted."""
        return configs.Windows(self.index.facts.length, self.index.facts.overlap)

    @property
    def task(self) -> Task:
        """What the network is trained for."""
        from affcli.training.tasks import task_of

        return task_of(self.job.choice.network)

    def parts(self) -> tuple[WindowedClips, WindowedClips]:
        """The windows of the train clips and those of the val clips.  Raises as `windows_of` does."""
        return self._part("train"), self._part("val")

    def _part(self, part: Part) -> WindowedClips:
        from affcli.cli.windowed import windows_of
        from affcli.training.starts import valid_windows

        training = self.job.choice.training
        windows = windows_of(self.index, list(self.sets), part, self.job.held_out, self.beside)
        if part == "train" and training.per_clip:
            windows = valid_windows(windows.clips, self.plan.length, training.missing_share)
        return seeing(windows, self)


def seeing(windows: WindowedClips, made: Prepared | PeoplePrepared) -> WindowedClips:
    """The windows with their crops, where the network of a job is to see them."""
    from affcli.training.sight import Sight

    network, crops = made.job.choice.network, made.beside.crops
    if crops is None:
        return windows
    if crops.side >= 2 * network.crop:
        log.warning(
            "%s: crops are of %d px, of which the network is shown %d: a part of a face (--set crop=224 shows more)",
            crops.source, crops.side, network.crop,
        )  # fmt: skip
    return windows.seeing(Sight.of(crops.side, network))


def sets_of(choice: Choice, index: Index) -> dict[str, FeatureSet]:
    """The feature sets that a network is fitted to.  Raises UsageError and SchemaError where they do not fit it."""
    from affcli.cli.windowed import chosen_sets

    return inputs_of(choice.model, chosen_sets(index, choice.encoders), choice.network)


def prepare(job: Job, begins: bool = True) -> Prepared:
    """Look at what a job is to be made of.  Raises UsageError, InputError and SchemaError where that is not possible.

    Without `begins`, the runs that it begins with are not looked at, which may still have to be trained.

    The number of devices is part of the recipe where there are several: each process draws its own dropout.
    """
    from affcli.cli.beginnings import Begun, read_begun
    from affcli.cli.sighted import beside_of
    from affcli.cli.windowed import read_windows

    index, choice = read_windows(job.windows), job.choice
    sets = sets_of(choice, index)
    beside = beside_of(job, sets)
    begun = read_begun(job, sets, beside.crops) if begins else Begun()
    settings = {
        "model": choice.model,
        "encoders": list(sets),
        "network": recipes.plain(choice.network),
        **recipes.plain(choice.training),
        **job.fold,
        **({"devices": choice.devices} if choice.devices > 1 else {}),
    }
    parents = [index.recipe, *beside.recipes, *begun.recipes]
    recipe = recipes.recipe("train", settings, weights=begun.weights, parents=parents)
    taking_part = [clip for clip in index.windows if index.facts.clips[clip].split != "test"]
    inputs = [recipes.source(job.windows), *beside.sources(taking_part)]
    return Prepared(job, index, sets, recipe, inputs, beside, begun)


def fit_one(job: Job, world: World) -> Outcome:
    """Fit the network of a job, unless it is there; go on where it was broken off, where that is asked for.

    Raises as `prepare` and `training.fit.Fit` do, SchemaError where another unfinished training stands in its place.
    """
    from affcli.cli.beginnings import network_of
    from affcli.models.device import pick
    from affcli.training import checkpoint, description
    from affcli.training.fit import Fit
    from affcli.training.optimisation import check

    if job.again == "force" and launch.begun(job.out):  # before one of the processes died
        job = dataclasses.replace(job, again="keep")
    made, choice = prepared(job), job.choice
    device = world.device or pick(job.device)
    check(choice.training, device, world.size)
    if job.again != "force" and (kept := description.keep(job.out, made.recipe, made.inputs)):
        return Outcome(kept, _epochs(job.out) or kept.epoch, kept=True)
    train, val = made.parts()
    last = _broken_off(made)
    if last is None:
        net, scale = network_of(made, train)
    else:
        net, scale = last.model, last.standardisation
    if choice.training.stage == "fuse":
        net.freeze_encoders()
    train, val = train.standardised(scale), val.standardised(scale)
    run = Record(made, checkpoint.Checkpoint(job.out, _described(made), net, scale), last)
    state = last.state if last else None
    fit = Fit(net, train, val, choice.training, device, run.show, task=made.task, state=state, world=world)
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


def prepared(job: Job, begins: bool = True) -> Prepared | PeoplePrepared:
    """A job whose inputs were looked at: windows of affect, or people.  Otherwise as `prepare`."""
    if isinstance(job.choice.network, configs.M3tIdentity):
        from affcli.cli.people import prepare_people

        return prepare_people(job)
    return prepare(job, begins)


def _epochs(run: Path) -> int:
    """How many epochs a training went; 0 where nobody can say any more."""
    from affcli.training.description import read_metrics

    try:
        return len(read_metrics(run))
    except AffcliError:
        return 0


def _finished(run: Path) -> Description | None:
    """The description of a finished training; None where there is none, or nobody can say any more."""
    from affcli.training.description import read_description

    try:
        known = read_description(run)
    except AffcliError:
        return None
    return known if known.finished else None


def _described(made: Prepared | PeoplePrepared) -> Description:
    """What the checkpoints will say, but for their epoch."""
    from affcli.training.checkpoint import versions
    from affcli.training.description import CropSet, Description

    crops = made.beside.crops
    return Description(
        model=made.job.choice.model,
        config=recipes.plain(made.job.choice.network),
        features=made.sets,
        windows=made.plan,
        validation={},
        epoch=0,
        finished=False,
        inputs=made.inputs,
        recipe=made.recipe,
        versions=versions(),
        crops=CropSet(crops.side, crops.recipe) if crops else None,
        people=list(made.people),
    )


def _broken_off(made: Prepared | PeoplePrepared) -> Checkpoint | None:
    """The last checkpoint of this training, to go on with; None where there is nothing to go on with.

    Raises SchemaError where that is of another training, InputError where it is damaged.
    """
    from affcli.training import checkpoint, description
    from affcli.training.description import LAST

    job = made.job
    path = description.description_path(job.out, LAST)
    if job.again == "force" or not path.exists():
        return None
    if job.again == "keep" and (whole := _finished(job.out)):
        if changed := recipes.differences(made.recipe["config"], whole.recipe["config"]):
            raise SchemaError(
                job.out,
                f"holds a finished training of other settings ({some(changed)})",
                expected="the same settings, or another directory",
                advice="choose another RUN, or put this one in its place: --force",
            )
        log.warning("%s: what it was made of has changed: it is trained again", job.out)
        return None
    known = description.read_description(job.out, LAST)
    changed = recipes.differences(made.recipe, known.recipe) or recipes.differences(made.inputs, known.inputs)
    if changed:
        raise SchemaError(
            path,
            f"is of another training than this, after epoch {known.epoch} ({some(changed)})",
            expected="the same settings and windows",
            advice=job.advice,
        )
    if known.versions != checkpoint.versions():
        log.warning("%s: other versions of packages (%s): the last bits may differ", path, known.versions)
    return checkpoint.load(job.out, LAST)
