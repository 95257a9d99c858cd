"""Many networks for one question, one after the other or side by side."""

from __future__ import annotations

import dataclasses
import functools
import gc
import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from affcli import configs
from affcli.cli.beginnings import check_begun
from affcli.cli.choice import used, write
from affcli.cli.one_run import Job, fit_one, sets_of
from affcli.cli.options import clear_line
from affcli.cli.outcomes import OUT_OF_FOLD, SUMMARY, summarise_all, write_runs
from affcli.cli.place import check_place
from affcli.cli.plan import GRID, Group, Planned, Search, common, folds_of, groups_of, planned_of
from affcli.cli.progress import Line, say
from affcli.cli.record import scored
from affcli.cli.sighted import check_sight, shared
from affcli.cli.workers import Done, Report, alone, machine, side_by_side
from affcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from affcli.cli.one_run import Outcome
    from affcli.cli.windowed import Index
    from affcli.training.world import World

log = logging.getLogger(__name__)


def fit_all(job: Job, search: Search | None, workers: int, world: World) -> None:
    """Fit every network that `job`, a search and its runs ask for, and write what they come to.

    A network that fails does not stop the others.  Exits with InputError's status where one did; raises UsageError and
    InputError, before any training, where what is asked for cannot be.
    """
    index, groups, folds, planned = plan(job, search)
    if world.rank == 0:
        _begin(job, search, groups)
    failed: dict[str, str] = {}
    line = Line()
    for done in _work(planned, workers, world):
        line.clear()
        if done.result:
            groups[done.job.point].ended[done.job] = done.result
            score = scored(done.result.description.validation)
            say(f"{done.job.job.out}: {'up to date, ' * done.result.kept}{score}")
        elif done.failure:
            failed[done.job.name] = str(done.failure)
            if world.rank == 0:  # every process has found it
                clear_line()
                print(f"affcli: {done.job.job.out}: {done.failure}", file=sys.stderr)
        if world.rank == 0:
            write_runs(job.out, planned, groups, failed)
        del done
        line.show(f"{len(failed) + sum(len(group.ended) for group in groups)} of {len(planned)} networks")
    line.clear()
    for group in groups:  # equal bytes, whichever network was fitted first
        group.ended = {one: group.ended[one] for one in planned if one in group.ended}
    if world.rank == 0:
        summarise_all(job, index, groups, folds)
    if failed:
        say(f"{job.out}: {len(failed)} of {len(planned)} networks failed ({', '.join(failed)})")
        world.meet()  # the first process to end so ends the others
        raise typer.Exit(InputError.status)


def plan(job: Job, search: Search | None) -> tuple[Index, list[Group], list[list[str]], list[Planned]]:
    """The windows, the points, the clips that each fold holds out, and all networks, every one looked at.

    Raises UsageError, InputError and SchemaError where one of them cannot be.
    """
    from affcli.cli.windowed import read_windows
    from affcli.models.device import pick
    from affcli.training.optimisation import check

    groups = list(groups_of(job, search))
    if any(isinstance(one.choice.network, configs.M3tIdentity) for one in groups):
        raise UsageError(
            "--model v2p-identity",
            "is trained once, and not as one of several",
            expected="neither --folds nor --seeds nor --grid",
            advice="leave them out; train with other settings into another RUN",
        )
    index = read_windows(job.windows)
    folds = folds_of(index, job.choice.runs)
    if search:
        used(search.given, (group.choice for group in groups))
    planned = [one for number, group in enumerate(groups) for one in planned_of(job, group, number, folds)]
    jobs = shared([one.job for one in planned])
    planned = [dataclasses.replace(one, job=mine) for one, mine in zip(planned, jobs, strict=True)]
    for one in planned:  # what is wrong with the last of them is better known now
        check(one.job.choice.training, pick(job.device), job.choice.devices)
        check_sight(one.job, sets_of(one.job.choice, index))
        check_begun(one.job.choice)
    if folds and (seen := [part for part in job.choice.init if part != "backbone"]):
        log.warning(
            "--init%s: if it was trained on these clips, it has seen those that folds hold out: scores flatter it",
            "" if seen[0] == "whole" else f"-{seen[0]}",
        )
    return index, groups, folds, planned


def _begin(job: Job, search: Search | None, groups: list[Group]) -> None:
    """Write what the trainings are, and take away what earlier ones came to, which is found anew.

    Raises UsageError where something else stands in the directory.
    """
    from affcli.files import explained, replacing

    check_place(job.out, "several")
    alike, apart = common(job.choice, groups)
    write(job.out, alike, "What these trainings have in common; runs.csv has what each of them is.", apart)
    if search and not search.goes_on:
        with replacing(job.out / GRID) as file:
            file.write(search.path.read_bytes())
    stale = [path for group in groups for path in (group.out / OUT_OF_FOLD).glob("*.affect.parquet")]
    with explained(job.out):
        for path in [job.out / SUMMARY, *stale]:
            path.unlink(missing_ok=True)


def _work(planned: list[Planned], workers: int, world: World) -> Iterator[Done[Planned, Outcome]]:
    """Fit the networks: all processes one after the other together, or so many side by side."""
    from affcli.training.fit import DivergedError

    count = min(workers, len(planned))
    if count > 1:
        threads = max(1, machine() // count)
        yield from side_by_side(functools.partial(_fit_quietly, threads), planned, count, lambda _: None)
        return
    for done in alone(functools.partial(_fit_together, world), planned, lambda _: None):
        if done.failure and world.size > 1 and not isinstance(done.failure, DivergedError):
            raise done.failure  # the other processes may not know of it
        gc.collect()  # a network that failed is part of cycles, which would keep its memory from the next one
        yield done


def _fit_together(world: World, planned: Planned, _: Report) -> Outcome:
    """Fit one of several networks that are trained one after the other, by all processes."""
    return fit_one(planned.job, world)


def _fit_quietly(threads: int, planned: Planned, report: Report) -> Outcome:
    """Fit one of several networks that are trained side by side, each with its share of the cores."""
    from affcli.cli.options import Verbosity
    from affcli.models.device import use_cores
    from affcli.training.world import ALONE

    Verbosity.quiet = True
    use_cores(threads)
    report(0)
    return fit_one(planned.job, ALONE)
