"""Several processes for one training: `--devices N` runs this command line again under torchrun.

A process that dies is replaced: torchrun ends the others too and starts them all anew, and they go on from the last
checkpoint, so that the weights are in the end what they would have been.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from affcli.cli.options import Verbosity
from affcli.cli.workers import leave_with_parent, machine
from affcli.errors import AffcliError, InputError, UsageError

if TYPE_CHECKING:
    from affcli.training.world import World

log = logging.getLogger(__name__)

RESTARTS = 3  # of all processes, before a training is given up
_FOLDER = "AFFCLI_LAUNCH"  # names the directory of what the processes of one command line tell each other:
_FAILURE = "failure.json"  # how the first process that fails does, for its parent
_BEGUN = "begun"  # the runs that were begun, one a line


def launched() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def restarted() -> bool:
    """Whether this process was started anew because one of the others, or itself, had died."""
    return launched() and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"


def begun(run: Path) -> bool:
    """Whether the processes of this command line have begun the training in `run`, before one of them died."""
    listed = _shared(_BEGUN)
    if listed is None:
        return restarted()
    return listed.exists() and str(run) in listed.read_text().splitlines()


def note_begun(run: Path) -> None:
    """Note that the training in `run` has been begun; what stood there before is gone."""
    if listed := _shared(_BEGUN):
        with listed.open("a") as file:
            file.write(f"{run}\n")


def check(device: str, devices: int, workers: int) -> None:
    """Raise UsageError where there are no such devices, or several networks at a time are asked for as well."""
    from affcli.models.device import check_count

    if workers > 1:
        raise UsageError(
            f"--workers {workers}",
            f"does not go with --devices {devices}",
            expected="one of the two",
            advice="train the networks one after the other, each on all devices; or each on one, side by side",
        )
    check_count(device, devices)


def launch(devices: int) -> None:
    """Run this command line in `devices` processes, and wait for them.  Exits as the first that fails does."""
    from affcli.training.torchrun import DiedError, run

    # Each process computes with its share of the cores; torchrun would give it one.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, machine() // devices)))
    with tempfile.TemporaryDirectory(prefix="affcli-") as folder:
        failure = Path(folder) / _FAILURE
        os.environ[_FOLDER] = folder
        try:
            # -P: else a file named after a module, in the directory at hand, would be taken for it.
            status = run([sys.executable, "-P", "-m", "affcli", *sys.argv[1:]], devices, RESTARTS, folder)
        except DiedError as error:
            if failure.exists():  # it was said when it happened
                raise typer.Exit(_status(failure)) from error
            raise InputError(
                f"--devices {devices}",
                f"one of the processes died {RESTARTS + 1} times ({error})",
                expected="processes that live",
                advice="see what was said above; for want of memory, try a smaller --batch, or --accumulate",
            ) from error
    if status:
        raise typer.Exit(status)


@contextlib.contextmanager
def joined(device: str) -> Iterator[World]:
    """The processes that this one was started with, or itself alone.  Only the first one speaks."""
    from affcli.training.world import ALONE, join, lost

    if not launched():
        yield ALONE
        return
    leave_with_parent()
    _leave_if_failed()
    from affcli.models.device import pick

    world = join(pick(device))
    if world.rank:
        Verbosity.quiet = True
        logging.getLogger("affcli").setLevel(logging.CRITICAL)
    elif restarted():
        log.warning("a process died: all have begun anew, from the last epoch that was saved")
    try:
        yield world
    except AffcliError as error:
        if not _first_to_fail(error.status):
            raise typer.Exit(error.status) from error
        raise
    except typer.Exit as ending:
        if ending.exit_code:  # what failed is said: torchrun, which sees a process that died, is not to try again
            _first_to_fail(ending.exit_code)
        raise
    except RuntimeError as error:
        if not lost(error):
            raise
        raise typer.Exit(InputError.status) from error  # the process that died is what matters


def _shared(name: str) -> Path | None:
    """A file of what the processes of one command line tell each other; None where another launcher started them."""
    folder = os.environ.get(_FOLDER)
    return Path(folder) / name if folder else None


def _leave_if_failed() -> None:
    """End at once where a process has failed for good: beginning anew would change nothing."""
    path = _shared(_FAILURE)
    if path and path.exists():
        raise typer.Exit(_status(path))


def _status(failure: Path) -> int:
    return int(json.loads(failure.read_text())["status"])


def _first_to_fail(status: int) -> bool:
    """Note a failure for the parent; whether no other process had one before."""
    path = _shared(_FAILURE)
    if not path:
        return True
    try:
        with path.open("x") as file:
            json.dump({"status": status}, file)
    except FileExistsError:
        return False
    return True
