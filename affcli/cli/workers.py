"""Jobs over processes: one job at a time each, and a process that is killed costs no other job."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import multiprocessing
import os
import queue
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from affcli.errors import AffcliError, InputError

J = TypeVar("J")
R = TypeVar("R")

Report = Callable[[int], None]  # told how many frames further the job is
Work = Callable[[J, Report], R]

_REPORT_FRAMES = 25
_HEARD_SECONDS = 1.0
_LIVES = 2  # processes that one job may cost


@dataclass(frozen=True)
class Done(Generic[J, R]):
    """A job that ended: with a result, or with a failure of its own."""

    job: J
    result: R | None = None
    failure: AffcliError | None = None


def machine() -> int:
    """How many processes this machine has cores for."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def alone(work: Work[J, R], jobs: Sequence[J], report: Report) -> Generator[Done[J, R], None, None]:
    """The jobs one after the other, in this process."""
    for job in jobs:
        try:
            done = Done(job, work(job, report))
        except AffcliError as error:
            # Tracebacks would keep all that the job held while the next one is done.
            error.__cause__ = error.__context__ = None
            done = Done(job, failure=error.with_traceback(None))
        yield done


def side_by_side(work: Work[J, R], jobs: Sequence[J], count: int, report: Report) -> Generator[Done[J, R], None, None]:
    """The jobs over `count` processes, as they end; `work` and the jobs must be picklable.

    A process that dies (killed for its memory, say) is replaced and its job begun again, once.  Any other exception
    than AffcliError is a bug: it is raised here, with the process's own traceback.
    """
    waiting = deque((job, _LIVES) for job in jobs)
    working: dict[Connection, _Worker] = {}
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a dead worker's pipe must not end this process
    try:
        while waiting or working:
            while waiting and len(working) < count:
                job, lives = waiting.popleft()
                worker = _Worker(work, job, lives)
                working[worker.connection] = worker
            for ready in wait(list(working)):
                assert isinstance(ready, Connection)
                worker = working[ready]
                try:
                    kind, content = ready.recv()
                except (EOFError, OSError):  # it died, before it had read its job or after
                    del working[ready]
                    status = worker.join()
                    if worker.lives > 1:
                        waiting.appendleft((worker.job, worker.lives - 1))
                    else:
                        yield Done(worker.job, failure=_killed(worker.job, status))
                    continue
                if kind == "frames":
                    report(content)
                elif kind == "log":
                    logging.getLogger(content.name).handle(content)
                elif kind == "bug":
                    raise RuntimeError(f"in a worker process:\n{content}")
                else:
                    yield Done(worker.job, **{kind: content})
                    if waiting:
                        job, lives = waiting.popleft()
                        worker.give(job, lives)
                    else:
                        del working[ready]
                        worker.dismiss()
    finally:
        for worker in working.values():
            worker.terminate()
        signal.signal(signal.SIGPIPE, before)


def _killed(job: object, status: int) -> InputError:
    name = signal.Signals(-status).name if status < 0 else f"status {status}"
    return InputError(
        job,
        f"the process that worked on it was ended twice ({name})",
        expected="enough memory",
        advice="run again with --workers 1, or on a machine with more memory",
    )


class _Worker:
    """A process that is given jobs one at a time."""

    def __init__(self, work: Any, job: Any, lives: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        level = logging.getLogger("affcli").level
        self._process = context.Process(target=_serve, args=(theirs, work, level), daemon=True)
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # for the child: Ctrl-C is its parent's to act on
        self._process.start()
        signal.signal(signal.SIGINT, before)
        theirs.close()  # so that its death is the end of the pipe
        self.give(job, lives)

    def give(self, job: Any, lives: int) -> None:
        self.job, self.lives = job, lives
        with contextlib.suppress(OSError):  # it died just now: the end of the pipe says so
            self.connection.send(job)

    def dismiss(self) -> None:
        """No more jobs."""
        with contextlib.suppress(OSError):
            self.connection.send(None)
        self.join()

    def join(self) -> int:
        """Wait for its end; the exit status, or the negative number of a signal."""
        self._process.join()
        self.connection.close()
        return self._process.exitcode or 0

    def terminate(self) -> None:
        """End it now; it leaves nothing half-written."""
        # Where an exception cannot pass, in a callback from C say, the signal is lost: it is sent until it is heard.
        while self._process.is_alive():
            self._process.terminate()
            self._process.join(_HEARD_SECONDS)
        self.connection.close()


def leave_with_parent() -> None:
    """End this process when its parent is gone, killed say: else it would go on writing where others begin anew."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_HEARD_SECONDS)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _serve(connection: Connection, work: Any, level: int) -> None:
    """The process's side."""
    signal.signal(signal.SIGTERM, _leave)
    leave_with_parent()
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger = logging.getLogger("affcli")
    logger.handlers[:] = [logging.handlers.QueueHandler(records)]
    logger.setLevel(level)
    frames = 0

    def report(count: int) -> None:
        nonlocal frames
        frames += count
        if frames >= _REPORT_FRAMES or not count:
            connection.send(("frames", frames))
            frames = 0

    def say() -> None:
        report(0)
        while not records.empty():
            connection.send(("log", records.get()))

    # Where the parent was killed there is nobody left to tell anything.
    with contextlib.suppress(EOFError, ConnectionError):
        while (job := connection.recv()) is not None:
            try:
                answer = ("result", work(job, report))
            except AffcliError as error:
                answer = ("failure", error)
            except Exception:
                answer = ("bug", traceback.format_exc())
            say()
            connection.send(answer)
    connection.close()


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
