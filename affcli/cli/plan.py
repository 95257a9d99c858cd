"""Which networks a question asks for: folds, seeds, and the points of a search."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from affcli import configs, recipes
from affcli.cli import networks
from affcli.cli.choice import Choice, chosen, parsed, read
from affcli.cli.one_run import Job
from affcli.cli.settings import from_toml, with_pairs
from affcli.errors import InputError, UsageError, some
from affcli.models import MODELS

if TYPE_CHECKING:
    from affcli.cli.one_run import Outcome
    from affcli.cli.windowed import Index
    from affcli.training.search import Point

log = logging.getLogger(__name__)


GRID = "grid.toml"  # in RUN, a copy of the file of a search


@dataclass(frozen=True)
class Search:
    """A file of settings to try, and the options of the command line, which it may not vary.

    Of a search that goes on, what the file does not vary is in the run's config.toml, with what was typed then.
    """

    path: Path
    given: Mapping[str, Any]  # options that were typed, by name
    pairs: tuple[str, ...] = ()  # NAME=VALUE of the network
    goes_on: bool = False
    config: Path | None = None  # the file of --config, or the run's own where it goes on

    @functools.cached_property
    def typed(self) -> frozenset[str]:
        """What was typed: model, training.NAME, network.NAME."""
        names = {name if name == "model" else f"training.{name}" for name in self.given}
        return frozenset(names | {f"network.{name}" for name in with_pairs({}, self.pairs)})


@dataclass(frozen=True, eq=False)
class Planned:
    """One of the networks."""

    job: Job
    name: str  # its directory below RUN
    point: int  # position in the list of points
    fold: int  # from 1; 0 where there are none
    seed: int


@dataclass
class Group:
    """One point of the search, or all there is where nothing is searched."""

    out: Path
    choice: Choice
    varied: Mapping[str, Any]
    ended: dict[Planned, Outcome]


def groups_of(job: Job, search: Search | None) -> Iterator[Group]:
    """The points of a search, or the one point there is without.

    Raises InputError where the file of the search cannot be read, UsageError where it says what there is not.
    """
    if search is None:
        yield Group(job.out, job.choice, {}, {})
        return
    from affcli.training.search import points

    for number, point in enumerate(points(parsed(search.path), search.path, job.choice.model), start=1):
        yield Group(job.out / f"point-{number}", _chosen(job.choice, point, search), point.row(), {})


def first_model(path: Path) -> str | None:
    """The model, or the first of the models, that the file of a search names.  Raises InputError as `parsed` does."""
    named = parsed(path).get("model")
    first = named[0] if isinstance(named, list) and named else named
    return first if isinstance(first, str) and first in MODELS else None


def _chosen(choice: Choice, point: Point, search: Search) -> Choice:
    """The choice of a point: what the search says, before the file of --config, after the command line."""
    for name in point.varied:
        if name in search.typed:
            part, _, option = name.rpartition(".")
            raise UsageError(
                f"--set {option}" if part == "network" else f"--{option.replace('_', '-')}",
                f"is varied by {search.path}",
                expected="one of the two",
                advice="leave the option out, or take it out of the file",
            )

    def counts(name: str) -> bool:
        return name in point.varied or not (search.goes_on or name in search.typed)

    said = {name: value for name, value in point.training.items() if counts(f"training.{name}")}
    said = from_toml(configs.Training, said, "affcli train", f"{search.path}: [training]")
    model = point.model if point.model is not None and counts("model") else choice.model
    if model != choice.model:  # another network is trained in its own way, where nothing else is said
        content = read(search.config) if search.config else {}
        content = {**content, "model": model, "network": content.get("network", {}) if search.goes_on else {}}
        choice = chosen({**search.given, "model": model}, (), content, str(search.config), model)
    network = recipes.plain(choice.network)
    network |= {name: value for name, value in point.network.items() if counts(f"network.{name}")}
    base = networks.values(model, network, f"{search.path}: [network]")
    return dataclasses.replace(
        choice,
        model=model,
        network=networks.network_settings(model, search.pairs, base),
        training=dataclasses.replace(choice.training, **said),
    )


def common(choice: Choice, groups: list[Group]) -> tuple[Choice, frozenset[str]]:
    """What all points have in common, and the settings, as `training.lr`, that they have not.

    Settings that are varied are as without a search.  Where the model is, the others are those in which all agree.
    """
    first, varied = groups[0].choice, groups[0].varied
    if "model" in varied:
        parts = {"training": [one.choice.training for one in groups], "network": [one.choice.network for one in groups]}
        apart = {
            f"{part}.{field.name}"
            for part, every in parts.items()
            for field in dataclasses.fields(every[0])
            if any(getattr(one, field.name, None) != getattr(every[0], field.name) for one in every)
        }
        return first, frozenset(apart)
    before = {
        part: {name: getattr(getattr(choice, part), name) for at, _, name in map(_parted, varied) if at == part}
        for part in ("training", "network")
    }
    if first.model != choice.model:
        before["network"] = {}
    return dataclasses.replace(
        choice,
        model=first.model,
        network=dataclasses.replace(first.network, **before["network"]),
        training=dataclasses.replace(first.training, **before["training"]),
    ), frozenset()


def _parted(name: str) -> tuple[str, str, str]:
    return name.partition(".")


def folds_of(index: Index, runs: configs.Runs) -> list[list[str]]:
    """The clips that each fold holds out; none where the windows' own split is kept."""
    from affcli.training.folds import assign, groups

    if not runs.folds:
        return []
    clips = {name: clip for name, clip in index.facts.clips.items() if clip.split != "test" and clip.labels}
    annotated = {name: int(index.labels(name).valid.sum()) for name in clips}
    if not any(annotated.values()):
        raise InputError(
            index.path, "has no labelled train or val clip", expected="some", advice="cut windows with --labels"
        )
    if without := [name for name, frames in annotated.items() if not frames]:
        log.warning("%s: no frame of %s is annotated: in no fold", index.path, some(without))
    taking_part = {name: clip for name, clip in clips.items() if annotated[name]}
    by: Literal["subject", "video"] = "subject" if runs.group == "subject" else "video"
    return assign(groups(taking_part, by), annotated, runs.folds, runs.fold_seed)


def planned_of(job: Job, group: Group, number: int, folds: list[list[str]]) -> Iterator[Planned]:
    """The networks of a point: a directory for each fold, and in it one for each seed."""
    runs, first = group.choice.runs, group.choice.training.seed
    if first + runs.seeds > 2**63:
        raise UsageError(
            f"--seed {first}", f"leaves no {runs.seeds} seeds", expected="a smaller one", advice="lower it, or --seeds"
        )
    for fold in range(1, len(folds) + 1) if folds else (0,):
        for seed in range(first, first + runs.seeds):
            names = [f"fold-{fold}"] * (fold > 0) + [f"seed-{seed}"] * (runs.seeds > 1)
            training = dataclasses.replace(group.choice.training, seed=seed)
            facts = {"folds": runs.folds, "group": runs.group, "fold_seed": runs.fold_seed, "fold": fold}
            one = dataclasses.replace(
                job,
                out=group.out.joinpath(*names),
                choice=dataclasses.replace(group.choice, training=training, runs=configs.Runs()),
                held_out=tuple(folds[fold - 1]) if fold else None,
                fold=facts if fold else {},
            )
            yield Planned(one, one.out.relative_to(job.out).as_posix(), number, fold, seed)
