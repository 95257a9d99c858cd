"""The fields of a class of settings as options of a command: each field has a flag, its help, its words and bounds."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Any, Literal

from affcli.cli.options import setting


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

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        function.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        return function

    return decorate
