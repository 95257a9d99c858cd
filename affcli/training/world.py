"""The processes that train one network together: one on each device, each with its share of every batch.

Concordance and batch normalisation are not means over frames, so that averaging what each process finds alone would be
another loss.  Here their sums run over all processes, and gradients flow back through these sums: every process
computes the loss of the whole batch, and the mean of their gradients is its gradient.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from affcli.models import gru_fusion, v2p

Total = Callable[[Tensor], Tensor]  # the sum of a tensor over all processes, with gradients


def own(tensor: Tensor) -> Tensor:
    """The sum over one process."""
    return tensor


@dataclass(frozen=True)
class World:
    """`size` processes, of which this is number `rank`, from 0; without more, one alone."""

    rank: int = 0
    size: int = 1
    device: torch.device | None = None  # of this process, where there are more

    def total(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over all processes, on every one of them; gradients are summed likewise."""
        if self.size == 1:
            return tensor
        summed: Tensor = _Total.apply(tensor)  # type: ignore[no-untyped-call]
        return summed

    def gathered(self, tensor: Tensor) -> list[Tensor]:
        """The tensor of every process, by rank; on the CPU."""
        if self.device is None:
            return [tensor.cpu()]
        here = tensor.to(self.device)
        found = [torch.empty_like(here) for _ in range(self.size)]
        torch.distributed.all_gather(found, here)
        return [one.cpu() for one in found]

    def meet(self) -> None:
        """Wait until every process has come so far."""
        if self.size > 1:
            torch.distributed.barrier()

    def join_model(self, model: nn.Module) -> None:
        """Let batch normalisation of `model` be of the frames of all processes."""
        for module in model.modules():
            if isinstance(module, gru_fusion.Norm | v2p.Norm) and self.size > 1:
                module.total = self.total

    def mean_gradients(self, model: nn.Module) -> None:
        """Make the gradients of `model` their means over all processes.

        All in one sum: DistributedDataParallel lays its buckets anew after the first step, and where an element stands
        decides in which order a ring adds it, so that a training of three processes that was broken off would not go
        on to the same bits.
        """
        if self.size == 1:
            return
        weights = [one for one in model.parameters() if one.requires_grad]
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in weights]
        flat = torch.cat([one.flatten() for one in gradients])
        torch.distributed.all_reduce(flat)
        flat /= self.size
        for weight, mean in zip(weights, torch.split(flat, [one.numel() for one in weights]), strict=True):
            weight.grad = mean.view_as(weight)


ALONE = World()


class _Total(torch.autograd.Function):
    """All-reduce whose gradient is an all-reduce: d(sum over ranks of L) / dx = sum over ranks of dL / d(total)."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total


def join(device: torch.device) -> World:
    """The world that torchrun started this process in; over NCCL on CUDA devices, over gloo elsewhere."""
    local = int(os.environ["LOCAL_RANK"])
    if device.type == "cuda":
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return World(torch.distributed.get_rank(), torch.distributed.get_world_size(), device)


def lost(error: RuntimeError) -> bool:
    """Whether an error means that another process cannot be reached any more; gloo has no class of its own for it."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error) or "Connection closed" in str(error)
