"""Many networks for one question, one after the other or side by side."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from affcli.cli.choice import write
from affcli.cli.one_run import Job, fit_one, prepare, scored
from affcli.cli.options import clear_line
from affcli.cli.outcomes import summarise_all, write_runs
from affcli.cli.plan import Planned, Search, folds_of, groups_of, planned_of
from affcli.cli.progress import Line, say
from affcli.cli.workers import Done, Report, machine, side_by_side
from affcli.errors import AffcliError, InputError

if TYPE_CHECKING:
    from affcli.cli.one_run import Outcome
    from affcli.training.world import World


def fit_all(job: Job, search: Search | None, workers: int, world: World) -> None:
    """Fit every network that `job`, a search and its runs ask for, and write what they come to.

    A network that fails does not stop the others.  Exits with InputError's status where one did; raises UsageError and
    InputError, before any training, where what is asked for cannot be.
    """
    from affcli.cli.windowed import read_windows
    from affcli.models.device import pick
    from affcli.training.optimisation import check

    index = read_windows(job.windows)
    groups = list(groups_of(job, search))
    folds = folds_of(index, job.choice.runs)
    planned = [one for number, group in enumerate(groups) for one in planned_of(job, group, number, folds)]
    for one in planned:  # what is wrong with the last of them is better known now
        check(one.job.choice.training, world.device or pick(job.device), world.size)
        prepare(one.job, world.size)
    if world.rank == 0:
        write(job.out, job.choice, "What these trainings have in common; runs.csv has what each of them is.")
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
            clear_line()
            print(f"affcli: {done.job.job.out}: {done.failure}", file=sys.stderr)
        if world.rank == 0:
            write_runs(job.out, planned, groups, failed)
        line.show(f"{len(failed) + sum(len(group.ended) for group in groups)} of {len(planned)} networks")
    line.clear()
    if world.rank == 0:
        summarise_all(job, index, groups, folds)
    if failed:
        say(f"{job.out}: {len(failed)} of {len(planned)} networks failed ({', '.join(failed)})")
        raise typer.Exit(InputError.status)


def _work(planned: list[Planned], workers: int, world: World) -> Iterator[Done[Planned, Outcome]]:
    """Fit the networks: all processes one after the other together, or so many side by side."""
    count = min(workers, len(planned))
    if count > 1:
        threads = max(1, machine() // count)
        yield from side_by_side(functools.partial(_fit_quietly, threads), planned, count, lambda _: None)
        return
    for one in planned:
        try:
            yield Done(one, fit_one(one.job, world))
        except AffcliError as error:
            if world.size > 1:
                raise  # the other processes may not know of it
            yield Done(one, failure=error)


def _fit_quietly(threads: int, planned: Planned, report: Report) -> Outcome:
    """Fit one of several networks that are trained side by side, each with its share of the cores."""
    from affcli.cli.options import Verbosity
    from affcli.models.device import use_cores
    from affcli.training.world import ALONE

    Verbosity.quiet = True
    use_cores(threads)
    report(0)
    return fit_one(planned.job, ALONE)
