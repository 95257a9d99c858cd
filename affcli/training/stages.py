"""What a network begins with: the streams, the backbone or the whole of another that was trained before."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from torch import Tensor, nn

from affcli import configs
from affcli.errors import SchemaError, UsageError, some
from affcli.models import sees
from affcli.models.m3t import M3t
from affcli.models.v2p import V2p, load_identity

_SEEN = ("order", "missing", "crop")  # how crops are shown to a network that sees
_MEANT = ("static", "expressions", "action_units")  # what inputs and outputs are, which shapes alone do not tell
_OF_STREAM = {
    "visual": (*_SEEN, "static", "channels", "visual_units"),
    "audio": ("audio_units",),
}


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network that was trained before: its settings, its weights, and what messages call it."""

    run: str
    config: object
    state: Mapping[str, Tensor]


def begin(network: nn.Module, config: object, part: str, trained: Trained) -> None:
    """Give `network`, whose settings are `config`, the weights of a part of it: "visual", "audio", "backbone", "whole".

    Visual and audio are the two streams of an audio-visual network, from networks of one stream each; the backbone is
    that of a network which tells people apart, conv1 to conv3 shared and conv4 and conv5 in both branches; the whole is
    a network with the same tensors.  Statistics of batch normalisation come too.  Raises as `check`, and SchemaError
    where tensors are of another shape.
    """
    check(config, part, trained)
    if part == "backbone":
        assert isinstance(network, M3t) and network.visual is not None and isinstance(network.visual.backbone, V2p)
        load_identity(network.visual.backbone, trained.state)
    else:
        _copy(network, trained, "" if part == "whole" else f"{part}.")


def check(config: object, part: str, trained: Trained) -> None:
    """Raise where a network with the settings `config` cannot begin with that part of another.

    SchemaError where the other network is of another kind or other settings, UsageError where there is no such part.
    """
    streams = config.streams if isinstance(config, configs.M3t) else ""
    if part == "whole":
        if type(trained.config) is not type(config) or getattr(trained.config, "streams", "") != streams:
            raise SchemaError(
                trained.run,
                f"is {_kind(trained.config)}",
                expected=f"{_kind(config)}, as this one",
                advice="name it for the part that it is: --init-visual, --init-audio or --init-backbone",
            )
        meant = _MEANT if streams else ()
        _check_alike(trained, config, (*_SEEN, *meant) if sees(config) else meant)
    elif part == "backbone":
        if not streams or streams == "audio":
            raise _refused(part, "a network of M3T that sees")
        _check_kind(trained, isinstance(trained.config, configs.M3tIdentity), configs.M3tIdentity(), "v2p-identity")
        _check_alike(trained, config, (*_SEEN, "channels"))
    elif streams != "audio-visual":
        raise _refused(part, "a network of two streams, such as m3t-concat")
    else:
        alone = getattr(trained.config, "streams", "") == part
        _check_kind(trained, alone, configs.M3t(streams=part), f"m3t-{part}")
        _check_alike(trained, config, _OF_STREAM[part])


def _kind(config: object) -> str:
    """What a network is, in words."""
    if isinstance(config, configs.M3tIdentity):
        return "a network that tells people apart"
    return f"a network of {config.streams}" if isinstance(config, configs.M3t) else "a network of features alone"


def _copy(network: nn.Module, trained: Trained, prefix: str) -> None:
    """Copy the tensors whose names begin with `prefix`."""
    own = network.state_dict()
    wanted = [name for name in own if name.startswith(prefix)]
    wrong = [name for name in wanted if name not in trained.state or trained.state[name].shape != own[name].shape]
    if wrong:
        raise SchemaError(
            trained.run,
            f"has no tensor of the right shape for {some(wrong)}",
            expected="the tensors of this network",
            advice="train it with the same settings and features",
        )
    network.load_state_dict({name: trained.state[name] for name in wanted}, strict=False)


def _check_kind(trained: Trained, right: bool, wanted: object, model: str) -> None:
    if not right:
        raise SchemaError(
            trained.run,
            f"is {_kind(trained.config)}",
            expected=_kind(wanted),
            advice=f"train it first: affcli train --model {model}",
        )


def _check_alike(trained: Trained, config: object, names: tuple[str, ...]) -> None:
    """Raise SchemaError where settings of both differ."""
    theirs, ours = ({name: getattr(one, name, "unknown") for name in names} for one in (trained.config, config))
    if differing := [f"{name} {theirs[name]}, here {ours[name]}" for name in names if theirs[name] != ours[name]]:
        raise SchemaError(
            trained.run,
            f"was trained with other settings ({some(differing)})",
            expected="the settings of this network",
            advice="train it with the same --set, or this one as that one was",
        )


def _refused(part: str, expected: str) -> UsageError:
    return UsageError(
        f"--init-{part}", "is of no part of this network", expected=expected, advice="leave it out, or change --model"
    )
