"""Progress on stderr: a bar on a terminal, else a line every 30 seconds, nothing with -q."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from affcli.cli.options import Verbosity

T = TypeVar("T")

LOG_SECONDS = 30.0


def say(text: str) -> None:
    """One line for people on stderr; nothing with -q."""
    if not Verbosity.quiet:
        print(f"affcli: {text}", file=sys.stderr, flush=True)


class Line:
    """A line that is rewritten in place on a terminal, else printed every 30 seconds; nothing with -q."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._last = time.monotonic()

    def show(self, text: str) -> None:
        """Show `text` in place of what stood there."""
        if Verbosity.quiet:
            return
        if self._live:
            width = shutil.get_terminal_size().columns - 1  # a line that wraps cannot be taken back
            print(f"\r\x1b[K{text[:width]}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._last >= LOG_SECONDS:
            self._last = time.monotonic()
            print(f"affcli: {text}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away, so that another text can follow."""
        if self._live and not Verbosity.quiet:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def progress(items: Iterable[T], label: str, unit: str, total: int | None = None) -> Iterator[T]:
    """Yield the items and show how far they are."""
    if Verbosity.quiet:
        yield from items
    elif sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(
            items, desc=label, unit=f" {unit}", total=total, leave=False, dynamic_ncols=True, file=sys.stderr
        )
    else:
        yield from _logged(items, label, unit, total)


def _logged(items: Iterable[T], label: str, unit: str, total: int | None) -> Iterator[T]:
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= LOG_SECONDS:
            last = now
            of = f" of {total}" if total else ""
            print(f"affcli: {label}: {done}{of} {unit}s, {done / (now - start):.1f}/s", file=sys.stderr, flush=True)
