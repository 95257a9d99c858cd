"""Names that load lazily from an explicit table, so that listing them imports nothing."""

from __future__ import annotations

import difflib
import functools
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from affcli.errors import AssetError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


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
    """An explicit table of entries of one kind, and those that other packages add to it.

    Another package adds a name by an entry point of the group `group`, which leads to an entry.  Iterating and `in`
    know the names of the table alone; `added` has the others.
    """

    def __init__(self, kind: str, entries: dict[str, E_], group: str = "") -> None:
        self.kind = kind
        self.group = group
        self._entries = entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    @functools.cached_property
    def added(self) -> dict[str, EntryPoint]:
        """What other installed packages add, by name; a name of the table itself is not theirs to take."""
        from importlib.metadata import entry_points  # costs 10 ms, which few commands need to spend

        points = entry_points(group=self.group) if self.group else ()
        return {point.name: point for point in points if point.name not in self._entries}

    def __getitem__(self, name: str) -> E_:
        """The entry of that name.

        Raises UsageError naming the known ones, nearest first, and AssetError where another package's cannot be loaded.
        """
        if name in self._entries:
            return self._entries[name]
        if name in self.added:
            return self._loaded(self.added[name])
        known = [*self._entries, *self.added]
        near = difflib.get_close_matches(name.lower(), known, n=1)
        advice = f"did you mean '{near[0]}'?" if near else "choose one of them"
        raise UsageError(name, f"is no {self.kind}", expected=f"one of {', '.join(known)}", advice=advice)

    def origin(self, name: str) -> str:
        """Name and version of the other package that adds a name; "" for the table's own."""
        distribution = None if name in self._entries or name not in self.added else self.added[name].dist
        return f"{distribution.name} {distribution.version}" if distribution else ""

    def _loaded(self, point: EntryPoint) -> E_:
        whose = f"{self.kind} '{point.name}' of {self.origin(point.name)}"
        try:
            entry = point.load()
        except Exception as error:  # another package's code may fail in any way
            raise AssetError(
                whose,
                f"cannot be loaded ({type(error).__name__}: {error})",
                expected=f"{point.value} to be there",
                advice="reinstall that package, or tell whoever wrote it",
            ) from error
        kind = type(next(iter(self._entries.values())))
        if not isinstance(entry, kind):
            raise AssetError(
                whose,
                f"{point.value} is of type {type(entry).__name__}",
                expected=f"an instance of {kind.__module__}.{kind.__name__}",
                advice="tell whoever wrote that package",
            )
        return entry
