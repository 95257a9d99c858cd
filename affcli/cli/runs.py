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

    Every failure is one line on stderr when it happens.  `close` prints the totals, naming what failed, and ends with
    the status of a lone clip's failure, or 3 where one of several failed.
    """

    def __init__(self, clips: int) -> None:
        self.clips = clips
        self.made = 0
        self.kept = 0
        self.failures: list[AffcliError] = []

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
        clear_line()
        print(f"affcli: {error}", file=sys.stderr)

    def keep(self) -> None:
        """Count the clip at hand as kept from an earlier run."""
        self.kept += 1

    def close(self) -> None:
        """Print the totals; exit where anything failed."""
        alone = self.clips == 1 and self.failures  # its one line says it all
        if not Verbosity.quiet and not alone:
            counts = {"made": self.made, "up to date": self.kept, "failed": len(self.failures)}
            said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
            if self.failures:
                said += f" ({some(dict.fromkeys(error.subject for error in self.failures))})"
            print(f"affcli: {self.clips} clip{'s' * (self.clips != 1)}: {said or 'nothing to make'}", file=sys.stderr)
        self.leave()

    def leave(self) -> None:
        """Exit where anything failed."""
        if self.failures:
            alone = self.clips == 1
            raise typer.Exit(self.failures[0].status if alone else InputError.status)
