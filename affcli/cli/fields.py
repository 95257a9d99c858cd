"""The fields of a class of settings as options of a command: each field has a flag, its help, its words and bounds."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any, Literal

from affcli.cli.options import setting, with_options


def with_fields(config: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command, which takes them as keywords, an option for every field of `config`.

    A field's `choices` are the words that its option takes, its `least` and `most` the bounds.
    """
    kinds = typing.get_type_hints(config)
    added = []
    for field in dataclasses.fields(config):
        told = {"min": field.metadata["least"], "max": field.metadata["most"]}
        bounds = {name: value for name, value in told.items() if value is not None}
        choices = field.metadata["choices"]
        kind: Any = Literal[choices] if choices else kinds[field.name]
        option = setting(config, field.name, **bounds)
        added.append(inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind))

    return functools.partial(with_options, added=added)
