"""Progress on stderr: a bar on a terminal, else a line every 30 seconds, nothing with -q."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from affcli.cli.options import Verbosity, clear_line

T = TypeVar("T")

LOG_SECONDS = 30.0
DRAW_SECONDS = 0.1


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
            if time.monotonic() - self._last < DRAW_SECONDS:
                return
            self._last = time.monotonic()
            width = shutil.get_terminal_size().columns - 1  # a line that wraps cannot be taken back
            print(f"\r\x1b[K{text[:width]}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._last >= LOG_SECONDS:
            self._last = time.monotonic()
            print(f"affcli: {text}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away, so that another text can follow."""
        if not Verbosity.quiet:
            clear_line()


class Frames:
    """Frames and clips of a run over many videos: how many are done, how fast, how long it will take."""

    def __init__(self, label: str, clips: int, expected: Callable[[], int]) -> None:
        self._label, self._clips = label, clips
        self._expected = expected  # frames in all; asked for once there is something to show
        self._total: int | None = None
        self._frames = self._counted = self._ended = 0
        self._start = 0.0
        self._line = Line()

    def forward(self, frames: int) -> None:
        """So many frames further."""
        if Verbosity.quiet:
            return
        if self._total is None:
            self._total = self._expected()
            self._start = time.monotonic()  # not before: the first frames wait for libraries and networks
        else:
            self._counted += frames
        self._frames += frames
        rate = self._counted / max(time.monotonic() - self._start, 1e-3)
        minutes, seconds = divmod(round(max(self._total - self._frames, 0) / rate) if rate else 0, 60)
        clips = f"{self._ended}/{self._clips} clips, " if self._clips > 1 else ""
        of = f"{self._frames:,}/{max(self._total, self._frames):,} frames"
        self._line.show(f"{self._label}: {clips}{of}, {rate:.0f}/s, {minutes}:{seconds:02d} left")

    def clip(self) -> None:
        """One clip less."""
        self._ended += 1
        self._line.clear()

    def close(self) -> None:
        """Take the line away."""
        self._line.clear()


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
