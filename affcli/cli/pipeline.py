"""Steps of one clip's work side by side: each in a thread of its own, a few items ahead of the next."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_AHEAD = 4  # items that wait; frames are large


@dataclass(frozen=True)
class _Failed:
    error: BaseException


class _End:
    """After the last item."""


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The items in their order, made by a thread while the caller works on those before.

    What `items` raises is raised here.  Left early, the thread stops at its next item.
    """
    waiting: queue.Queue[T | _Failed | _End] = queue.Queue(_AHEAD)
    left = threading.Event()

    def put(item: T | _Failed | _End) -> None:
        while not left.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def make() -> None:
        try:
            for item in items:
                put(item)
                if left.is_set():
                    return
            put(_End())
        except BaseException as error:
            put(_Failed(error))

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            if isinstance(item, _Failed):
                raise item.error
            yield item
    finally:
        left.set()
        thread.join()
