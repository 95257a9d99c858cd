"""How a setting is declared."""

from __future__ import annotations

import dataclasses
from typing import Any


def setting(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    source: str = "",
    choices: tuple[str, ...] = (),
    least: float | None = None,
    most: float | None = None,
) -> Any:
    """A dataclass field with its meaning and unit, where the default comes from, and what it may be.

    `choices` are the words that a text may be, `least` and `most` the smallest and the largest number; an encoder's
    settings are held to them.
    """
    return dataclasses.field(
        default=default,
        metadata={"doc": doc, "unit": unit, "source": source, "choices": choices, "least": least, "most": most},
    )


def field(config: type, name: str) -> dataclasses.Field[Any]:
    """The field `name` of a configuration class."""
    return {f.name: f for f in dataclasses.fields(config)}[name]
