"""One network, fitted: what `affcli train` does once, or many times over folds, seeds and points of a search."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from affcli import configs, recipes
from affcli.cli import launch
from affcli.cli.choice import Choice, write
from affcli.cli.progress import Line, say
from affcli.errors import AffcliError, SchemaError, some
from affcli.models import inputs_of

if TYPE_CHECKING:
    from affcli.cli.windowed import Index
    from affcli.training.checkpoint import Checkpoint
    from affcli.training.data import WindowedClips
    from affcli.training.description import Description
    from affcli.training.fit import Epoch
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


def prepare(job: Job) -> Prepared:
    """Look at what a job is to be made of.  Raises UsageError, InputError and SchemaError where that is not possible.

    The number of devices is part of the recipe where there are several: each process draws its own dropout.
    """
    from affcli.cli.windowed import chosen_sets, read_windows

    index, choice = read_windows(job.windows), job.choice
    sets = inputs_of(choice.model, chosen_sets(index, choice.encoders))
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
    run = _Run(made, checkpoint.Checkpoint(job.out, _described(made), net, scale), last)
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


class _Run:
    """What a training leaves behind, epoch by epoch, and what it shows."""

    def __init__(self, made: Prepared, checkpoint: Checkpoint, last: Checkpoint | None) -> None:
        self._made, self._checkpoint = made, checkpoint
        self._last = last
        self.history: list[dict[str, float]] = []
        self._line = Line()
        self._board: Any = None

    @contextlib.contextmanager
    def begun(self) -> Iterator[None]:
        """The directory, ready and kept to this process.  Raises OutputError where nothing can be written there."""
        from affcli.files import held
        from affcli.training import checkpoint, description, tensorboard

        job, run = self._made.job, self._made.job.out
        checkpoint.prepare(run)
        with held(run):
            if self._last:
                self.history = description.read_metrics(run)[: self._last.description.epoch]
                checkpoint.drop_older(run, self._last.description.epoch)
                say(f"{run}: goes on after epoch {self._last.description.epoch}")
            if job.tensorboard:
                self._board = tensorboard.board(run, len(self.history))
            try:
                yield
            except (KeyboardInterrupt, SystemExit):
                self._line.clear()
                if self.history:
                    say(f"{run}: ended after epoch {len(self.history)}; the same command goes on from there")
                raise

    def _take_over(self) -> None:
        """Take away what stood there, once there is something to put in its place: a slip costs no finished run."""
        from affcli.training import checkpoint

        job, run = self._made.job, self._made.job.out
        checkpoint.clear(run)
        said = (
            f"Fold {job.fold['fold']} of {job.fold['folds']}; the settings of all folds are in the directory above."
            if job.fold
            else "What this training used; affcli train WINDOWS -o RUN --config FILE does it again."
        )
        write(run, dataclasses.replace(job.choice, encoders=tuple(self._made.sets)), said)
        launch.note_begun(run)

    def show(self, done: int, total: int) -> None:
        """Say how far the epoch at hand is."""
        best = max((one["val_ccc_mean"] for one in self.history), default=None)
        told = f", best mean CCC {best:.3f}" if best is not None else ""
        self._line.show(f"{self._made.job}: epoch {len(self.history) + 1}: {done} of {total} windows{told}")

    def end_of_epoch(self, epoch: Epoch, state: dict[str, Any], ended: bool) -> None:
        """Save the weights where they are the best, the metrics, and last of all what a training goes on from."""
        from affcli.training import tensorboard
        from affcli.training.checkpoint import save
        from affcli.training.description import LAST, save_metrics

        if not self.history:
            self._take_over()
        self.history.append(epoch.to_json())
        scores = {"valence": epoch.valence, "arousal": epoch.arousal, "mean": epoch.mean}
        known = dataclasses.replace(self._checkpoint.description, epoch=epoch.number, validation=scores)
        here = dataclasses.replace(self._checkpoint, description=known)
        if epoch.improved:
            save(here)
        save_metrics(self._made.job.out, self.history)
        save(dataclasses.replace(here, description=dataclasses.replace(known, finished=ended), state=state), LAST)
        if self._board:
            tensorboard.add(self._board, epoch)
        text = f"{self._made.job}: epoch {epoch.number}: loss {epoch.train_loss:.4f}, {scored(scores)}"
        self._line.show(text)
        log.info("%s", text)

    def finish(self, val: WindowedClips, device: Any) -> Description:
        """Find the best smoothing of the best weights, and mark the training as finished."""
        from affcli.training.checkpoint import load
        from affcli.training.description import describe
        from affcli.training.fit import curves
        from affcli.training.tuning import Curves, tune

        best = load(self._made.job.out)
        affect = curves(best.model, val, self._made.job.choice.training.batch, device)
        clips = []
        for one, first in zip(val.clips, val.offsets, strict=False):
            here = slice(first, first + one.frames)
            files = self._made.index.features(one.name, list(self._made.sets)[:1])
            time_us = next(iter(files.values())).time_us
            clips.append(Curves(affect[here], val.labels[here], val.labelled[here], time_us))
        finished = dataclasses.replace(best.description, finished=True, smooth=tune(clips))
        describe(self._made.job.out, finished)
        return finished

    def close(self) -> None:
        """Take the line away."""
        self._line.clear()
        if self._board:
            self._board.close()


def scored(scores: Mapping[str, float]) -> str:
    """CCC for people."""
    return "CCC " + ", ".join(f"{name} {scores[name]:.3f}" for name in ("valence", "arousal", "mean"))
