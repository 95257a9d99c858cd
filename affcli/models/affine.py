"""Matrix products of layers on a CPU: x W^T + b, its gradients, and when they are computed here.

PyTorch's own products of float32 matrices go to BLAS, which in its builds for x86 is Intel's MKL.  On an AMD EPYC with
AVX-512 that was measured at 107 GFLOP/s a thread, and oneDNN, which these builds also hold, at 237.  Both add in
float32, each in an order of its own: of 2,048 numbers of size 1, results are off by 2.5e-7 (MKL) and 5.7e-7 (oneDNN)
times their size.  The operator is not part of PyTorch's public interface: where it is missing or another one, and for
float64, the product is PyTorch's own.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


@functools.cache
def _has_onednn() -> bool:
    """Whether oneDNN's product is there and is what it is taken for here, tried on a transposed matrix of integers."""
    if not (torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return False
    x, weight = torch.arange(6.0).view(2, 3), torch.arange(12.0).view(3, 4).t()
    bias = torch.arange(8.0)[::2]
    try:
        made, moved = _onednn(x, weight, None), _onednn(x, weight, bias)
    except (RuntimeError, TypeError):  # it takes something else in this version of PyTorch
        return False
    right = torch.mm(x, weight.t())
    return torch.equal(made, right) and torch.equal(moved, right + bias)


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    bias = bias if bias is None else bias.contiguous()  # any other it takes for one
    made: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return made


def is_ours(x: Tensor) -> bool:
    """Whether layers of `affcli.models` compute with `x` (any shape, not empty) by their own means.

    That is on a CPU, in float32 or float64.  Elsewhere, under autocast, and where PyTorch takes a network down to
    compile or export it, they leave it to PyTorch's modules, whose operations it knows.
    """
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and torch._C._get_tracing_state() is None
    )


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b on a CPU: (n, d), (m, d) and (m,) to (n, m), n and d above 0; gradients are not followed."""
    if x.dtype == torch.float32 and _has_onednn():
        return _onednn(x, weight, bias)
    return torch.nn.functional.linear(x, weight, bias)


class Dense(nn.Linear):
    """nn.Linear, (n, width) to (n, units), which is faster on a CPU and differs in the last bits alone."""

    def forward(self, input: Tensor) -> Tensor:
        """Frames (n, width)."""
        if input.dim() != 2 or not is_ours(input):
            return super().forward(input)
        made: Tensor = _Affine.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return made


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        return (
            product(grad, weight.t()) if wants_x else None,
            product(grad.t(), x.t()) if wants_weight else None,
            grad.sum(0) if wants_bias else None,
        )
