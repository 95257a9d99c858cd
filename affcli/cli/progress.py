"""Progress on stderr: a bar on a terminal, else a line every 30 seconds, nothing with -q."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from affcli.cli.options import Verbosity

T = TypeVar("T")

LOG_SECONDS = 30.0


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
            print(f"{label}: {done}{of} {unit}s, {done / (now - start):.1f}/s", file=sys.stderr, flush=True)
