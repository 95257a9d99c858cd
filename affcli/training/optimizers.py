"""Optimisers that PyTorch does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class KerasRmsprop(torch.optim.Optimizer):
    """RMSprop as Keras defines it: v = rho v + (1 - rho) g^2; w = w - lr g / sqrt(v + epsilon).

    PyTorch divides by sqrt(v) + epsilon, and its first step is ten times as large where g is 1e-4.  Source: Hinton
    2012, lecture 6e; rho, epsilon and their place are those of keras.optimizers.RMSprop.

    Parameters without a gradient are left alone.  Raises ValueError where a number is out of its range.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        rho: float = 0.9,
        epsilon: float = 1e-7,
    ) -> None:
        if not (lr >= 0 and 0 <= rho < 1 and epsilon > 0):
            raise ValueError(f"lr {lr}, rho {rho}, epsilon {epsilon}: expected lr >= 0, 0 <= rho < 1 and epsilon > 0")
        super().__init__(params, {"lr": lr, "rho": rho, "epsilon": epsilon})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient; returns what `closure`, which computes them anew, gave."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            for weight in weights:
                if "velocity" not in self.state[weight]:
                    self.state[weight]["velocity"] = torch.zeros_like(weight)
            gradients = [weight.grad for weight in weights]
            velocities = [self.state[weight]["velocity"] for weight in weights]
            torch._foreach_mul_(velocities, group["rho"])
            torch._foreach_addcmul_(velocities, gradients, gradients, value=1 - group["rho"])
            scale = torch._foreach_add(velocities, group["epsilon"])
            torch._foreach_sqrt_(scale)
            torch._foreach_addcdiv_(weights, gradients, scale, value=-group["lr"])
        return loss
