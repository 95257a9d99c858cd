"""The names that M3T's released code gives its tensors, and ours.

The code (github.com/sailordiary/m3f.pytorch, a PyTorch Lightning module) counts the layers of a stack of convolutions,
normalisations, ReLUs and pools, and calls its parts `visual`, `audio`, `att_fuse` and `fusion`:

    ours                                      released
    visual.backbone.shared.K.conv, .norm      visual.shared.4K, visual.shared.4K+1
    visual.backbone.valence.K.conv, .norm     visual.v_private.3K, visual.v_private.3K+1; a_private for arousal
    visual.valence.gru, .fc                   visual.gru_v.gru, .fc; gru_a for arousal
    audio.gru, .fc                            the same
    projection                                att_fuse.proj_v
    attention.audio, .visual                  att_fuse.scorer_a, att_fuse.scorer_v
    fusion.gru, .fc                           the same
    v2p.K.conv, .norm and fc (Identity)       visual.v2p.0, .1, .4, .5, .8, .9, .12, .13, .15, .16 and visual.fc

Inside GRUs, dense layers and normalisations the names are PyTorch's in both.  What the projection is called where the
streams are put side by side is not known: there, tensors go by their shape if just one of the file's others has it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from affcli.errors import SchemaError, some
from affcli.models.m3t import M3t
from affcli.models.v2p import SHARED, Identity

_STACKS = {"shared": "visual.shared", "valence": "visual.v_private", "arousal": "visual.a_private", "v2p": "visual.v2p"}
_HEADS = {"valence": "visual.gru_v", "arousal": "visual.gru_a"}
_FUSION = {
    "projection": "att_fuse.proj_v",
    "attention.audio": "att_fuse.scorer_a",
    "attention.visual": "att_fuse.scorer_v",
}
_COUNT = "num_batches_tracked"  # older files have none; momentum is fixed, so that it changes no result


def released_name(name: str) -> str:
    """What the released code calls the tensor `name` of an `M3t` or an `Identity`.

    >>> released_name("visual.backbone.shared.1.norm.weight")
    'visual.shared.5.weight'
    """
    parts = name.removeprefix("visual.backbone.").split(".")
    if name.startswith(("visual.backbone.", "v2p.")):
        stack, stage, layer, tensor = parts
        # A stage that pools has four layers, a private one three.
        pooling = SHARED if stack in ("shared", "v2p") else 0
        first = 4 * min(int(stage), pooling) + 3 * max(0, int(stage) - pooling)
        return f"{_STACKS[stack]}.{first + (layer == 'norm')}.{tensor}"
    if name.startswith("visual."):
        return ".".join([_HEADS[parts[1]], *parts[2:]])
    if name.startswith("fc."):
        return f"visual.{name}"
    for ours, theirs in _FUSION.items():
        if name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    return name


def from_released(
    network: M3t | Identity, state: Mapping[str, Tensor], subject: str, *, to_rgb: bool = False
) -> dict[str, Tensor]:
    """The state of `network`, as `load_state_dict` takes it, from `state`, a released checkpoint's `state_dict`.

    The released weights expect blue, green, red; `to_rgb` turns the first convolution's kernels round, so that the
    network gives for red, green, blue exactly what it gave for the other order.  `subject` names the file in messages.
    Raises SchemaError where tensors are missing, left over, of another shape or not finite, and names them.
    """
    ours = network.state_dict()
    left = dict(state)
    taken = {name: left.pop(released_name(name)) for name in ours if released_name(name) in left}
    missing = [name for name in ours if name not in taken]
    for name in list(missing):
        alike = [theirs for theirs, tensor in left.items() if tensor.shape == ours[name].shape]
        if name.startswith("projection.") and len(alike) == 1:
            taken[name] = left.pop(alike[0])
        elif name.endswith(_COUNT):
            taken[name] = torch.zeros_like(ours[name])
        else:
            continue
        missing.remove(name)
    taken = {name: tensor.to(ours[name].dtype) for name, tensor in taken.items()}
    problems = {
        "lacks": [f"{released_name(name)} {tuple(ours[name].shape)}" for name in missing],
        "has in another shape": [
            f"{released_name(name)} {tuple(tensor.shape)} for {tuple(ours[name].shape)}"
            for name, tensor in taken.items()
            if tensor.shape != ours[name].shape
        ],
        "also has": [f"{theirs} {tuple(tensor.shape)}" for theirs, tensor in left.items()],
        "has NaN or infinity in": [released_name(name) for name in taken if not torch.isfinite(taken[name]).all()],
    }
    if any(problems.values()):
        raise SchemaError(
            subject,
            "; ".join(f"{what} {some(tensors)}" for what, tensors in problems.items() if tensors),
            expected="the tensors of the network that the settings describe",
            advice="set streams, static, fusion and expressions as they were in training",
        )
    if to_rgb:
        for name in taken:
            if released_name(name) in ("visual.shared.0.weight", "visual.v2p.0.weight"):
                taken[name] = taken[name].flip(1)
    return {name: taken[name] for name in ours}


def to_released(network: M3t | Identity) -> dict[str, Tensor]:
    """The state of `network` under the released code's names, in their order of execution."""
    return {released_name(name): tensor for name, tensor in network.state_dict().items()}
