"""Files that are whole or absent: written aside, renamed when nothing can go wrong any more."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from affcli.errors import OutputError, UsageError, some

log = logging.getLogger(__name__)


def aside(path: Path) -> Path:
    """Where a file is written until it is whole; a run that was killed leaves it, the next run overwrites it."""
    return path.with_name(f".{path.name}.tmp")


def open_aside(path: Path) -> BinaryIO:
    """The empty file aside of `path`, locked until it is closed: two processes must not write one table.

    Raises OutputError where another process has it, OSError where it cannot be opened.
    """
    while True:
        file = os.fdopen(os.open(aside(path), os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            _lock(file.fileno(), path)
        except OutputError:
            file.close()
            raise
        # The process that had it may just have renamed it: then it is a whole table, and must not be touched.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), aside(path).stat()):
                file.truncate(0)
                return file
        file.close()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write in place of the one at `path`, which it replaces when the body is through.

    Where the body raises, `path` is as it was.  Raises OutputError where it cannot be written.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside(path).open("wb") as file:
                yield file
            aside(path).replace(path)
        finally:
            aside(path).unlink(missing_ok=True)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write into OutputError."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            advice = "free space and run again"
        elif error.errno in (errno.EEXIST, errno.ENOTDIR):
            reason, advice = "a file stands where a directory should be", "choose another place"
        else:
            advice = "choose another place, or mend its permissions"
        raise OutputError(path, f"cannot be written ({reason})", advice=advice) from error


def spare(out: Path, there: Sequence[Path]) -> None:
    """Raise UsageError where files are `there`, at `out` or in it, that only --force would replace."""
    if there:
        raise UsageError(
            f"--out {out}",
            "is there already"
            if list(there) == [out]
            else f"holds {some(str(path.relative_to(out)) for path in there)} already",
            expected="no file of these names",
            advice="choose another place, or replace what is there with --force",
        )


@contextlib.contextmanager
def held(directory: Path) -> Iterator[None]:
    """Keep a directory to this process; a file system that knows no locks lets others in.

    Raises OutputError where another process has it.
    """
    with explained(directory):
        handle = os.open(directory, os.O_RDONLY)
    try:
        _lock(handle, directory)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    """Keep what is open as `handle` to this process until it is closed, where the file system knows locks.

    Raises OutputError, of `path`, where another process has it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(path, "is being written by another process", advice="wait for it, or end it") from error
    except OSError:
        log.debug("%s: this file system knows no locks", path)
