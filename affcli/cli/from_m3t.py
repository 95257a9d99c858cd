"""The weights that M3T's own code wrote, given to a network."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affcli import configs
from affcli.cli.networks import network_settings
from affcli.errors import UsageError
from affcli.models import MODELS, sees

if TYPE_CHECKING:
    from affcli.models.m3t import M3t
    from affcli.models.v2p import Identity
    from affcli.windows import FeatureSet

STANDARDISATION = "none"  # the released code takes features, log-mel in dB among them, as they are
ORDER = "bgr"  # of the colours, as it reads pictures


def settings(model: str, pairs: Iterable[str], preset: str) -> Any:
    """The settings of the network `model`: those of `preset`, colours as the released code orders them, and `pairs`.

    Raises UsageError where it is none of M3T's, and as `network_settings` does.
    """
    entry, pairs = MODELS[model], list(pairs)
    if not issubclass(entry.config, configs.Sighted):
        raise UsageError(
            f"--model {model}",
            "is no network of M3T",
            expected="one of them, such as m3t-visual.emotion-tcae",
            advice="choose another (affcli models list), or --from keras",
        )
    base = entry.settings(preset)
    chosen = network_settings(model, pairs, dataclasses.replace(base, order=ORDER))
    return chosen if sees(chosen) else network_settings(model, pairs, base)


def take(net: M3t | Identity, file: Path, sets: Mapping[str, FeatureSet], order: str) -> dict[str, Any]:  # noqa: ARG001 -- as from_keras
    """Give `net` the weights in `file`; returns nothing more for the recipe to say.

    Raises UsageError where there is an order of branches, which have names here; InputError and SchemaError as
    `read_state` and `from_released` do.
    """
    from affcli.models.m3t_names import from_released
    from affcli.training.torch_file import read_state

    if order:
        raise UsageError(
            f"--order {order}",
            "is of no use to --from m3t, whose tensors have names",
            expected="no --order; that of the colours is --set order=rgb or bgr",
            advice="leave it out",
        )
    net.load_state_dict(from_released(net, read_state(file), str(file)))
    return {}
