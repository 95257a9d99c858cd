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
    entry = MODELS[model]
    wording = settings.Wording(model, _pair, str, settings.shown, settings.COMMAS)
    chosen = settings.checked(entry.config, settings.with_pairs({}, pairs), wording, settings.from_text)
    return dataclasses.replace(entry.settings() if base is None else base, **chosen)


def values(model: str, mapping: Mapping[str, Any], where: str = "[network]", preset: str = "") -> Any:
    """The settings of the network `model` from values as TOML holds them: int, float, bool, str, list.

    What they leave out is as in the preset, or as by default; `where` is what messages call the place they come from.
    Raises UsageError where there is no such network, preset or setting, or where a value is none of its kind.
    """
    entry = MODELS[model]
    chosen = settings.from_toml(entry.config, mapping, model, where)
    return dataclasses.replace(entry.settings(preset), **chosen)


def _pair(name: str, value: str | None) -> str:
    return f"--set {name}" if value is None else f"--set {name}={value}"
