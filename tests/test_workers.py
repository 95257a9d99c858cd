"""Jobs over processes, and the steps of one job over threads."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from affcli.cli.pipeline import ahead
from affcli.cli.workers import Done, Report, alone, side_by_side
from affcli.errors import AssetError, InputError, SchemaError

PATIENCE = 20.0  # s, for what takes milliseconds


# Jobs, as processes of their own can import them: by name.


def double(job: int, report: Report) -> int:
    for _ in range(job):
        report(1)
    if job == 7:
        raise InputError("seven.mp4", "is seven", expected="another", advice="take eight")
    if job == 9:
        raise AssetError("nine", "is nine", advice="run: nothing")
    return 2 * job


def stumble(job: int, report: Report) -> int:
    if job == 1:
        raise ZeroDivisionError("not the user's fault")
    return double(job, report)


def die(job: tuple[str, int], report: Report) -> int:
    """Is killed as often as the job says; every life leaves a mark."""
    folder, deaths = Path(job[0]), job[1]
    mark = folder / f"life-{len(list(folder.iterdir()))}"
    mark.write_text(str(os.getpid()))
    report(3)
    if len(list(folder.iterdir())) <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def leave(job: int, _report: Report) -> int:
    os._exit(job)


def speak(job: int, _report: Report) -> int:
    logger = logging.getLogger("affcli.speaker")
    logger.debug("too quiet %d", job)
    logger.warning("job %d of %s", job, "many")
    return job


def dawdle(job: str, _report: Report) -> int:
    """Says who it is, and works until it is ended."""
    Path(job).with_suffix(".tmp").write_text(str(os.getpid()))
    Path(job).with_suffix(".tmp").rename(job)
    if job.endswith("quick"):
        return 0
    try:
        while True:
            time.sleep(0.02)
    finally:
        Path(job).with_suffix(".tidy").touch()


def lives(pid: int) -> bool:
    """Whether a process is there, and not only waits for somebody to ask how it ended."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(true: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.01)


def quietly(_: int) -> None:
    """Nobody wants to know how far it is."""


@pytest.mark.parametrize("count", [0, 2])
def test_results_and_failures_of_every_job(count: int) -> None:
    frames: list[int] = []
    jobs = [30, 7, 60, 9, 0]
    ended = list(side_by_side(double, jobs, count, frames.append) if count else alone(double, jobs, frames.append))
    assert {done.job: done.result for done in ended if not done.failure} == {30: 60, 60: 120, 0: 0}
    seven, nine = (next(done.failure for done in ended if done.job == job) for job in (7, 9))
    assert type(seven) is InputError and str(seven) == "seven.mp4: is seven, expected another; take eight"
    assert (seven.subject, seven.found, seven.expected, seven.advice) == (
        *("seven.mp4", "is seven", "another", "take eight"),
    )
    assert type(nine) is AssetError and nine.status == 5
    assert len(ended) == len(jobs)
    assert sum(frames) == sum(jobs)  # also of those that failed
    assert not count or len(frames) < 20  # told in portions
    assert not multiprocessing.active_children()


def test_more_processes_than_jobs_and_no_job() -> None:
    assert list(side_by_side(double, [4], 3, quietly)) == [Done(4, 8)]
    assert list(side_by_side(double, [], 3, quietly)) == []
    assert list(alone(double, [], quietly)) == []


def test_a_bug_keeps_the_traceback_of_its_process() -> None:
    with pytest.raises(RuntimeError, match="in a worker process:\nTraceback") as raised:
        list(side_by_side(stumble, [1, 40, 50], 2, quietly))
    assert "ZeroDivisionError: not the user's fault" in str(raised.value)
    assert "in stumble" in str(raised.value)
    assert not multiprocessing.active_children()
    with pytest.raises(ZeroDivisionError):
        list(alone(stumble, [1], quietly))


def test_a_process_that_is_killed_once_is_replaced(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir()
    frames: list[int] = []
    jobs = [(str(folders[0]), 1), (str(folders[1]), 0), (str(folders[2]), 0)]
    ended = list(side_by_side(die, jobs, 2, frames.append))
    assert sorted(done.job for done in ended) == jobs and not any(done.failure for done in ended)
    assert [len(list(folder.iterdir())) for folder in folders] == [2, 1, 1]
    first, second = ((folders[0] / f"life-{life}").read_text() for life in (0, 1))
    assert first != second
    assert next(done.result for done in ended if done.job == jobs[0]) == int(second)


def test_a_process_that_is_killed_twice_fails_its_own_job_only(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c", "d")]
    for folder in folders:
        folder.mkdir()
    jobs = [(str(folder), 9 if folder.name == "a" else 0) for folder in folders]
    ended = {done.job[0]: done for done in side_by_side(die, jobs, 2, quietly)}
    assert len(ended) == 4
    failure = ended.pop(str(folders[0])).failure
    assert type(failure) is InputError and failure.status == 3
    assert failure.subject == str(jobs[0])
    assert failure.found == "the process that worked on it was ended twice (SIGKILL)"
    assert "memory" in failure.advice
    assert len(list(folders[0].iterdir())) == 2
    assert all(done.result for done in ended.values())


def test_a_process_that_leaves_by_itself_says_its_status() -> None:
    (done,) = side_by_side(leave, [5], 2, quietly)
    assert done.failure is not None and "was ended twice (status 5)" in str(done.failure)


def test_what_a_process_logs_is_said_here(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("affcli")
    before = logger.level, logger.propagate
    logger.setLevel(logging.WARNING)
    logger.propagate = True
    try:
        with caplog.at_level(logging.WARNING, "affcli"):
            list(side_by_side(speak, [1, 2, 3], 2, quietly))
    finally:
        logger.level, logger.propagate = before
    said = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert sorted(said) == [("affcli.speaker", "WARNING", f"job {job} of many") for job in (1, 2, 3)]


def test_left_early_all_processes_end_and_tidy_up(tmp_path: Path) -> None:
    jobs = [str(tmp_path / name) for name in ("quick", "slow", "slower")]
    ended = side_by_side(dawdle, jobs, 2, quietly)
    assert next(ended).job == jobs[0]
    wait_until(lambda: all(Path(job).exists() for job in jobs[:2]))
    ended.close()
    pids = [int(Path(job).read_text()) for job in jobs if Path(job).exists()]
    assert len(pids) >= 2
    assert not any(lives(pid) for pid in pids)
    assert not multiprocessing.active_children()
    for job in jobs[1:]:
        assert Path(job).with_suffix(".tidy").exists() == Path(job).exists()


def endless(job: str, report: Report) -> int:
    Path(job).with_suffix(".tmp").write_text(str(os.getpid()))
    Path(job).with_suffix(".tmp").rename(job)
    while True:
        time.sleep(0.001)
        report(1)


def test_where_the_parent_is_killed_no_process_is_left(tmp_path: Path) -> None:
    """A worker notices as soon as it has something to say."""
    jobs = [str(tmp_path / name) for name in "ab"]
    program = f"import test_workers as t; list(t.side_by_side(t.endless, {jobs}, 2, t.quietly))"
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parent)
    wait_until(lambda: all(Path(job).exists() for job in jobs))
    parent.kill()
    parent.wait()
    pids = [int(Path(job).read_text()) for job in jobs]
    wait_until(lambda: not any(lives(pid) for pid in pids))


# Steps of one job.


def test_ahead_keeps_the_order() -> None:
    assert list(ahead(range(1000))) == list(range(1000))
    assert list(ahead([])) == []
    assert list(ahead(ahead(ahead(range(50))))) == list(range(50))
    assert list(ahead([None, False, 0])) == [None, False, 0]


def test_ahead_passes_on_what_is_raised_after_the_items_before() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise SchemaError("x", "is wrong", advice="mend it")

    got = []
    with pytest.raises(SchemaError, match="x: is wrong"):
        for item in ahead(items()):
            got.append(item)
    assert got == [1, 2]


def test_ahead_is_a_few_items_ahead_and_no_more() -> None:
    made = []

    def items() -> Iterator[int]:
        for item in range(1000):
            made.append(item)
            yield item

    reader = ahead(items())
    assert next(reader) == 0
    time.sleep(0.3)
    assert 2 <= len(made) <= 12  # eight that wait, one that is held, and the one that was taken
    for _ in range(20):
        next(reader)
    time.sleep(0.3)
    assert 22 <= len(made) <= 32
    close(reader)


def test_ahead_left_early_stops_its_thread_and_closes_its_items() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    before = threading.active_count()
    reader = ahead(items())
    assert next(reader) == 1
    assert threading.active_count() == before + 1
    close(reader)
    assert threading.active_count() == before
    assert closed.wait(PATIENCE)


def test_ahead_of_a_consumer_that_fails_stops_its_thread() -> None:
    before = threading.active_count()
    with pytest.raises(ValueError, match="mine"), contextlib.ExitStack() as stack:
        reader = ahead(iter(range(100)))
        stack.callback(close, reader)
        for item in reader:
            if item == 3:
                raise ValueError("mine")
    assert threading.active_count() == before


def close(reader: Iterator[Any]) -> None:
    assert isinstance(reader, Generator)
    reader.close()
