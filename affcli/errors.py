"""The failures a user can do something about, each with its exit status.

A message is one line of four parts: which file (or option), what was found, what was expected, and what to
do about it.  Anything that is not one of these is a bug and keeps its traceback (exit status 1).
"""

from __future__ import annotations

from collections.abc import Iterable

NAMED = 5  # names that a message lists before it only counts the others


class AffcliError(Exception):
    """A failure with advice.  `str(error)` is the whole line."""

    status = 1

    def __init__(self, subject: object, found: str, *, expected: str = "", advice: str) -> None:
        self.subject = str(subject)
        self.found = found
        self.expected = expected
        self.advice = advice
        wanted = f", expected {expected}" if expected else ""
        super().__init__(f"{self.subject}: {found}{wanted}; {advice}".replace("\n", " "))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by the parts (an exception with keyword arguments cannot be rebuilt from `args`)."""
        return _rebuild, (type(self), self.subject, self.found, self.expected, self.advice)


def _rebuild(kind: type[AffcliError], subject: str, found: str, expected: str, advice: str) -> AffcliError:
    return kind(subject, found, expected=expected, advice=advice)


def some(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return ", ".join(every[:NAMED]) + more


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error, of Python or of a library that computes, says that the memory is full."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text


class UsageError(AffcliError):
    """The command line asks for something that does not exist or does not fit together."""

    status = 2


class InputError(AffcliError):
    """A file is missing, truncated, undecodable, or has nothing in common with the others."""

    status = 3


class OutputError(AffcliError):
    """A file cannot be written: no space, no permission, a directory in its place."""

    status = 3


class SchemaError(AffcliError):
    """A table, array or checkpoint of the wrong kind, version, recipe, width or row count."""

    status = 4


class AssetError(AffcliError):
    """Weights or a package are missing, or a checksum or licence was refused."""

    status = 5
