"""A run over many clips: one that fails is reported, and the others are made."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import typer

from affcli.cli.options import Verbosity, clear_line
from affcli.errors import AffcliError, AssetError, InputError, OutputError, UsageError, some


class Run:
    """Counts what was made, kept and failed.

    Every failure is one line on stderr when it happens; with `once`, of those that say the same of three files or more
    the first is, and in the end how many others there were.  `close` prints the totals, naming what failed, and ends
    with the status of a lone clip's failure, or 3 where one of several failed.
    """

    def __init__(self, clips: int, *, once: bool = False) -> None:
        self.clips = clips
        self._once = once
        self.made = 0
        self.kept = 0
        self.failures: list[AffcliError] = []
        self.again = 0  # failures of clips of which others are counted
        self._alike: dict[tuple[object, ...], list[AffcliError]] = {}  # failures that say the same

    @contextlib.contextmanager
    def clip(self) -> Iterator[None]:
        """Work on one clip: count it as made, unless it is kept, or report its failure."""
        before = self.kept + len(self.failures)
        with self.report():
            yield
        if before == self.kept + len(self.failures):
            self.made += 1

    @contextlib.contextmanager
    def report(self) -> Iterator[None]:
        """Report a failure as `clip` does; count nothing as made."""
        try:
            yield
        except AffcliError as error:
            self.fail(error)

    def fail(self, error: AffcliError) -> None:
        """Report a failure.  Raises what is not one clip's fault: a full disk, a wrong option, missing weights."""
        if isinstance(error, OutputError | UsageError | AssetError):
            raise error
        self.failures.append(error)
        alike = self._alike.setdefault((type(error), error.found, error.expected, error.advice), [])
        alike.append(error)
        if len(alike) == 1 or not self._once:
            clear_line()
            print(f"affcli: {error}", file=sys.stderr)

    def keep(self) -> None:
        """Count the clip at hand as kept from an earlier run."""
        self.kept += 1

    def close(self) -> None:
        """Print the totals; exit where anything failed."""
        self._tell_alike()
        alone = self.clips == 1 and self.failures  # its one line says it all
        if not Verbosity.quiet and not alone:
            counts = {"made": self.made, "up to date": self.kept, "failed": len(self.failures) - self.again}
            said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
            if self.failures:
                said += f" ({some(dict.fromkeys(error.listed for error in self.failures))})"
            print(f"affcli: {self.clips} clip{'s' * (self.clips != 1)}: {said or 'nothing to make'}", file=sys.stderr)
        self.leave()

    def _tell_alike(self) -> None:
        """Say of how many others each failure was that has been said of the first."""
        for first, *others in self._alike.values() if self._once else ():
            if others:
                clear_line()
            if len(others) == 1:
                print(f"affcli: {others[0]}", file=sys.stderr)
            elif others:
                named = some(error.listed for error in others)
                print(f"affcli: {first.listed}: the same of {len(others)} more: {named}", file=sys.stderr)
        self._alike.clear()

    def leave(self) -> None:
        """Exit where anything failed."""
        self._tell_alike()
        if self.failures:
            alone = self.clips == 1
            raise typer.Exit(self.failures[0].status if alone else InputError.status)
