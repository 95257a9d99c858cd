"""What a training will take, from one pass of one batch, before it is begun."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from affcli.configs import Training
from affcli.prediction import to_tensors
from affcli.training.data import WindowedClips
from affcli.training.feed import sampler_of
from affcli.training.fit import steps_per_epoch

_SEEN = 4  # windows that pass, at most, through a network that sees: one takes half a second, and keeps 130 MB
_STATES = {"rmsprop": 1, "adam": 2, "adamw": 2, "sgd": 1}  # numbers that an optimiser remembers per weight


@dataclass(frozen=True)
class Estimate:
    """The size of a training."""

    parameters: int  # that are learnt
    part: int  # windows that pass through the network at a time
    windows: int  # of an epoch, those that balance repeats included
    steps: int  # of an epoch
    state_bytes: int  # weights, gradients, what the optimiser remembers, the running average
    output: tuple[int, ...]  # shape of what the network says of them
    batch_bytes: int  # what a batch, or a part of it, keeps in float32 from its pass until its gradients are there


def estimate(model: nn.Module, train: WindowedClips, config: Training) -> Estimate:
    """The size of a training of `model`, which is on the CPU, by a pass of its first batch.

    Of windows that are seen, a few pass for all: what they keep is in proportion to their number.  The pass moves the
    statistics of batch normalisation: the network is not to be used afterwards.

    Raises UsageError where the windows cannot be balanced as `config` asks.
    """
    parameters = sum(one.numel() for one in model.parameters() if one.requires_grad)
    held = sum(one.nbytes for one in model.state_dict().values())
    remembered = _STATES[config.optimizer] if config.optimizer != "sgd" or config.momentum else 0
    windows = len(sampler_of(train, config))
    part = -(-min(config.batch, windows, len(train)) // config.accumulate)
    passing = min(part, _SEEN) if train.sight else part
    (_, *shape), kept = _pass(model, train, passing)
    return Estimate(
        parameters,
        part,
        windows,
        steps_per_epoch(windows, config),
        held + 4 * parameters * (1 + remembered) + held * (config.ema > 0),
        (part, *shape),
        kept * part // passing,
    )


def _pass(model: nn.Module, train: WindowedClips, windows: int) -> tuple[tuple[int, ...], int]:
    """The shape of what the network says of so many windows, and the bytes of these and of what the pass keeps.

    That is all that is kept for the gradients, each storage once; weights are not counted.
    """
    own = {one.untyped_storage().data_ptr() for one in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    features, inside = to_tensors(train.gather(np.arange(windows)), torch.device("cpu"))
    model.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = model(features, inside)
    for tensor in (*features.values(), inside, result):
        keep(tensor)
    return tuple(result.shape), sum(kept.values())
