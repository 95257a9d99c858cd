"""Names that load lazily from an explicit table, so that listing them imports nothing."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from affcli.errors import UsageError


@dataclass(frozen=True)
class Entry:
    """One name: where its code is, where the method comes from, and under which licence."""

    load: str  # "package.module:attribute", imported only when asked for
    doc: str  # one line for people
    source: str  # paper or project
    licence: str  # of the weights, or of the code where there are none
    weights: str | None = None  # a name in affcli.weights.WEIGHTS

    def resolve(self) -> Any:
        """Import the module and return the attribute."""
        module, attribute = self.load.split(":")
        return getattr(importlib.import_module(module), attribute)


E_ = TypeVar("E_")


class Registry(Generic[E_]):
    """An explicit table of entries of one kind."""

    def __init__(self, kind: str, entries: dict[str, E_]) -> None:
        self.kind = kind
        self._entries = entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> E_:
        """The entry of that name.  Raises UsageError naming the known ones, nearest first."""
        if name in self._entries:
            return self._entries[name]
        near = difflib.get_close_matches(name, self._entries, n=1)
        advice = f"did you mean '{near[0]}'?" if near else "choose one of them"
        raise UsageError(name, f"is no {self.kind}", expected=f"one of {', '.join(self._entries)}", advice=advice)
