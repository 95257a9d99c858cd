"""Trained networks as they predict: what only training needs is left out, and numbers may be shorter."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from affcli.models.m3t import M3t, folded


class _Shortened(nn.Module):
    """A network that computes in bfloat16 where PyTorch's autocast holds that to be exact enough."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Any, inside: torch.Tensor) -> Any:
        with torch.autocast(inside.device.type, torch.bfloat16):
            return self.network(inputs, inside)


def ready(network: nn.Module, device: torch.device, precision: str = "fp32") -> nn.Module:
    """What predicts as `network` does, in eval mode and on `device`, in the least time known.

    `precision` is fp32 or bf16.  On a CPU, a network of M3T that sees is folded (`models.m3t.folded`): that is a copy,
    equal to 1e-5 in fp32.  Every other network is itself, in bf16 under autocast.
    """
    if isinstance(network, M3t) and network.visual is not None and device.type == "cpu":
        return folded(network.to(device), torch.bfloat16 if precision == "bf16" else torch.float32)
    network = network.to(device).eval()
    return _Shortened(network).eval() if precision == "bf16" else network
