"""The settings of networks, given as NAME=VALUE on the command line or by the part [network] of a TOML file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from affcli.cli import settings
from affcli.models import MODELS


def network_settings(model: str, pairs: Iterable[str], base: Any = None) -> Any:
    """The settings of the network `model`, an instance of its class of settings, from `NAME=VALUE` pairs.

    What the pairs leave out is as in `base`, such as what `values` gave, or as by default.  Raises UsageError where
    there is no such network or setting, where a value is none of its kind, or where one is given twice.
    """
    config = MODELS[model].config
    wording = settings.Wording(model, _pair, str, settings.shown, settings.COMMAS)
    chosen = settings.checked(config, settings.with_pairs({}, pairs), wording, settings.from_text)
    return config(**chosen) if base is None else dataclasses.replace(base, **chosen)


def values(model: str, mapping: Mapping[str, Any], where: str = "[network]") -> Any:
    """The settings of the network `model` from values as TOML holds them: int, float, bool, str, list.

    What they leave out is as by default; `where` is what messages call the place they come from.  Raises UsageError
    where there is no such network or setting, or where a value is none of its kind.
    """
    config = MODELS[model].config
    return config(**settings.from_toml(config, mapping, model, where))


def _pair(name: str, value: str | None) -> str:
    return f"--set {name}" if value is None else f"--set {name}={value}"
