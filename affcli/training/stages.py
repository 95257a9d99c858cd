"""What a network begins with: the streams, the backbone or the whole of another that was trained before."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from torch import Tensor, nn

from affcli import configs
from affcli.errors import SchemaError, UsageError, some
from affcli.models.m3t import M3t
from affcli.models.v2p import V2p, load_identity

_SEEN = ("order", "missing", "crop")  # how crops are shown to a network that sees
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
    a network with the same tensors.  Statistics of batch normalisation come too.  Raises SchemaError where the other
    network is of another kind or other settings, UsageError where `network` has no such part.
    """
    if part == "whole":
        _check_alike(trained, config, _SEEN if isinstance(config, configs.Sighted) else ())
        _copy(network, trained, "")
    elif not isinstance(network, M3t) or (part == "backbone" and network.visual is None):
        raise _refused(part, "a network of M3T that sees" if part == "backbone" else "a network of M3T")
    elif part == "backbone":
        _check_kind(trained, configs.M3tIdentity, "a network that tells people apart", "v2p-identity")
        _check_alike(trained, config, (*_SEEN, "channels"))
        assert network.visual is not None and isinstance(network.visual.backbone, V2p)
        load_identity(network.visual.backbone, trained.state)
    elif network.fusion is None:
        raise _refused(part, "a network of two streams, such as m3t-concat")
    else:
        kind = configs.M3t if getattr(trained.config, "streams", "") == part else type(None)
        _check_kind(trained, kind, f"a network of {part} alone", f"m3t-{part}")
        _check_alike(trained, config, _OF_STREAM[part])
        _copy(network, trained, f"{part}.")


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


def _check_kind(trained: Trained, kind: type, expected: str, model: str) -> None:
    if not isinstance(trained.config, kind):
        streams = getattr(trained.config, "streams", "")
        raise SchemaError(
            trained.run,
            f"is a network of {streams}" if streams else "is another network",
            expected=expected,
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
