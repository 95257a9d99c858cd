"""From batches to better weights: optimiser, learning rate, precision, clipping and averaging, one step at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affcli.configs import Training
from affcli.errors import AssetError, UsageError
from affcli.prediction import to_tensors
from affcli.training.averaging import Average
from affcli.training.data import Batch
from affcli.training.losses import parse
from affcli.training.optimizers import KerasRmsprop
from affcli.training.schedules import Schedule
from affcli.training.tasks import AFFECT, Task
from affcli.training.world import ALONE, World

EPSILON = 1e-7  # Keras's, for rmsprop and both kinds of Adam
_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def new_optimizer(model: nn.Module, config: Training) -> torch.optim.Optimizer:
    """The optimiser of the weights of `model` that are to learn.

    Weight decay is added to the gradient (L2), but with adamw taken off the weights themselves (Loshchilov and Hutter
    2019).
    """
    weights, lr, decay = [one for one in model.parameters() if one.requires_grad], config.lr, config.weight_decay
    if config.optimizer == "adam":
        return torch.optim.Adam(weights, lr, eps=EPSILON, weight_decay=decay)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(weights, lr, eps=EPSILON, weight_decay=decay)
    if config.optimizer == "sgd":
        return torch.optim.SGD(weights, lr, momentum=config.momentum, weight_decay=decay)
    rmsprop = KerasRmsprop(weights, lr, epsilon=EPSILON)
    if decay:
        rmsprop.register_step_pre_hook(lambda optimizer, *_: _add_decay(optimizer, decay))
    return rmsprop


@torch.no_grad()
def _add_decay(optimizer: torch.optim.Optimizer, decay: float) -> None:
    """Add to every gradient its weight times `decay`, as PyTorch's own optimisers do."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if weight.grad is not None:
                weight.grad.add_(weight, alpha=decay)


def check(config: Training, device: torch.device, processes: int = 1) -> None:
    """Raise UsageError where settings do not fit together, or the device or so many processes cannot train so."""
    parse(config)
    Schedule(config, steps_per_epoch=1)
    if config.precision == "fp16" and device.type != "cuda":
        raise UsageError(
            "--precision fp16",
            f"needs a CUDA device, and this is {device.type}",
            expected="bf16 or fp32",
            advice="use --precision bf16",
        )
    if config.compile and processes > 1:
        raise UsageError(
            "--compile",
            f"does not go with --devices {processes}: what processes tell each other cannot be compiled",
            expected="one of the two",
            advice="leave --compile out",
        )


def _compiled(model: nn.Module) -> Callable[..., Any]:
    """`model` as torch compiles it, at its first pass; where it falls back to Python in parts is not for the user."""
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)
    # With shapes left open at once: else a smaller batch has it compiled anew, and its last bits change from then on.
    return torch.compile(model, dynamic=True)


class Optimisation:
    """The steps of one training of `model`, which changes in place.

    With precision bf16 or fp16, the network computes under autocast, the loss in float32; fp16 scales the loss so that
    small gradients are not lost, and leaves out a step whose gradients overflow.  Of the `world`'s processes each is
    given its share of every batch, and all make the same step.  The learning rate of each step, from 0, is as `config`
    has its schedule, or as `rate` says.

    Raises UsageError where settings do not fit together or the device cannot train so, AssetError where torch cannot
    compile the network.
    """

    def __init__(
        self,
        model: nn.Module,
        config: Training,
        device: torch.device,
        steps_per_epoch: int,
        world: World = ALONE,
        task: Task = AFFECT,
        rate: Callable[[int], float] | None = None,
    ) -> None:
        check(config, device, world.size)
        self._model, self._config, self._device = model, config, device
        world.join_model(model)
        self._world = world
        self._network = _compiled(model) if config.compile else model
        self._loss = task.loss(config, world.total)
        self._optimizer = new_optimizer(model, config)
        self._schedule = Schedule(config, steps_per_epoch)
        self._rate = rate or self._schedule.rate
        self._scaler = torch.amp.GradScaler("cuda", enabled=config.precision == "fp16")
        self._average = Average(model, config.ema) if config.ema else None
        self._steps = 0
        self.lr = config.lr  # of the last step

    @property
    def state(self) -> dict[str, Any]:
        """All that the next step depends on, but for the weights."""
        return {
            "steps": self._steps,
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state,
            "scaler": self._scaler.state_dict(),
            "average": self._average.state if self._average else None,
        }

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._steps = state["steps"]
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.state = state["schedule"]
        self._scaler.load_state_dict(state["scaler"])
        if self._average:
            self._average.state = state["average"]

    def step(self, parts: Sequence[Batch], counts: NDArray[np.int64]) -> Tensor:
        """Change the weights once, by the gradients of the parts of one batch; returns the loss, a scalar.

        `counts` (parts, m) is what each part counts by in each of the m terms of the loss, such as its labelled frames,
        over all processes: for terms that are means over these, and a network without batch normalisation or dropout,
        the sum is that of the whole batch.
        """
        self.lr = self._rate(self._steps)
        for group in self._optimizer.param_groups:
            group["lr"] = self.lr
        self._optimizer.zero_grad(set_to_none=True)
        shares = (counts / np.maximum(counts.sum(axis=0), 1)).tolist()  # nothing counts in a term: it is 0 as it is
        losses = [self._backward(part, share) for part, share in zip(parts, shares, strict=True)]
        self._world.mean_gradients(self._model)
        if self._config.clip:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._model.parameters(), self._config.clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._steps += 1
        if self._average:
            self._average.update(self._model)
        return torch.stack(losses).sum()

    def _backward(self, part: Batch, shares: list[float]) -> Tensor:
        """Add the gradients of a part of a batch, which has these shares of the terms; returns its part of the loss."""
        half = _HALF.get(self._config.precision)
        with torch.autocast(self._device.type, dtype=half, enabled=half is not None):
            said = self._pass(part)
        terms = self._loss(said.float(), part)
        loss = torch.stack([term * share for term, share in zip(terms, shares, strict=True)]).sum()
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _pass(self, part: Batch) -> Tensor:
        """What the network says of a part of a batch."""
        if not self._config.compile:
            said: Tensor = self._network(*to_tensors(part, self._device))
            return said
        try:
            said = self._network(*to_tensors(part, self._device))
        except (
            torch._dynamo.exc.TorchDynamoException
        ) as error:  # only there, and only loaded, where there is a compiler
            raise AssetError(
                "--compile",
                f"torch could not compile the network ({(str(error).strip() or type(error).__name__).splitlines()[0]})",
                expected="a C++ compiler on a CPU, Triton on a CUDA device",
                advice="install it, or leave --compile out",
            ) from error
        return said

    def swap_average(self) -> None:
        """Exchange the weights and their running average, where there is one; done twice, nothing has changed."""
        if self._average:
            self._average.swap(self._model)

    def end_of_epoch(self, score: float) -> None:
        """Tell the schedule the validation score of an epoch."""
        self._schedule.end_of_epoch(self._steps, score)
