"""What a network is given: its settings, as NAME=VALUE or by a TOML file, and its feature sets, of a windows table."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from affcli.cli import settings
from affcli.errors import UsageError
from affcli.models import MODELS, inputs_of

if TYPE_CHECKING:
    from affcli.cli.windowed import Index
    from affcli.windows import FeatureSet


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
    wording = settings.Wording(
        model,
        lambda name, value: f"{where} {name}" if value is None else f"{where} {name} = {value}",
        choice=str,
        shown=_toml,
        several=" (a list of them)",
        advice="correct it, or leave it out",
    )
    return config(**settings.checked(config, mapping, wording, settings.from_typed))


def input_sets(model: str, index: Index, encoders: Iterable[str]) -> dict[str, FeatureSet]:
    """The feature sets of windows that the network `model` reads, or those of them that --encoder names, by encoder.

    Raises UsageError where --encoder names another one, and as `affcli.models.inputs_of` does.
    """
    wanted = list(encoders)
    for name in wanted:
        if name not in index.facts.features:
            raise UsageError(
                f"--encoder {name}",
                f"is no feature set of {index.path}",
                expected=f"one of {', '.join(index.facts.features)}",
                advice="check the name, or cut windows with these features too",
            )
    return inputs_of(model, {name: one for name, one in index.facts.features.items() if not wanted or name in wanted})


def _pair(name: str, value: str | None) -> str:
    return f"--set {name}" if value is None else f"--set {name}={value}"


def _toml(value: Any) -> str:
    """A value as TOML writes it, which for these kinds is as JSON does; of other kinds, something to know it by."""
    return json.dumps(value, ensure_ascii=False, default=str)
