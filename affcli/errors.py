"""The failures a user can do something about, each with its exit status.

A message is one line of four parts: which file (or option), what was found, what was expected, and what to
do about it.  Anything that is not one of these is a bug and keeps its traceback (exit status 1).
"""

from __future__ import annotations

from collections.abc import Iterable

BELOW = 6  # exit status of a score below the bar that the user set
NAMED = 5  # names that a message lists before it only counts the others


class AffcliError(Exception):
    """A failure with advice.  `str(error)` is the whole line; `listed` is what it is called among others."""

    status = 1

    def __init__(self, subject: object, found: str, *, expected: str = "", advice: str, listed: str = "") -> None:
        self.subject = str(subject)
        self.listed = listed or self.subject
        self.found = found
        self.expected = expected
        self.advice = advice
        wanted = f", expected {expected}" if expected else ""
        super().__init__(f"{self.subject}: {found}{wanted}; {advice}".replace("\n", " "))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by the parts (an exception with keyword arguments cannot be rebuilt from `args`)."""
        return _rebuild, (type(self), self.subject, self.found, self.expected, self.advice, self.listed)


def _rebuild(kind: type[AffcliError], subject: str, found: str, expected: str, advice: str, listed: str) -> AffcliError:
    return kind(subject, found, expected=expected, advice=advice, listed=listed)


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


# Every exit status, and what it means: of every command, and beside that of single ones.  The manual pages and README
# are told from here.
EXIT_STATUS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("0", "done; an empty result (no face found) is a result, with a warning", {}),
    ("1", "a bug: a traceback is shown", {}),
    (str(UsageError.status), "wrong command line", {}),
    (
        str(InputError.status),
        "a file is missing, truncated, undecodable or cannot be written; or one of several clips failed, and the "
        "others were made",
        {},
    ),
    (
        str(SchemaError.status),
        "wrong table, version, recipe, width or row count",
        {"lint-submission": "`lint-submission` has findings"},
    ),
    (str(AssetError.status), "weights or a package missing, checksum or licence refused", {}),
    (str(BELOW), "", {"score": "`score --min-ccc`: done, but a CCC of valence and arousal is below the bar"}),
    ("130, 143", "ended by Ctrl-C or SIGTERM; nothing half-written remains", {}),
)


def exit_statuses(command: str = "") -> list[tuple[str, str]]:
    """Each exit status and what it means: of one command, or of all of them."""
    every = [
        (status, [meaning, *(said for name, said in special.items() if command in ("", name))])
        for status, meaning, special in EXIT_STATUS
    ]
    return [(status, "; ".join(filter(None, said))) for status, said in every if any(said)]
