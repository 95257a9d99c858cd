"""V2P for prediction: batch normalisation inside the weights, and weights that are laid out once.

At the end of training, a convolution and the normalisation behind it are one convolution, with kernels w s and bias
(b - m) s + o, where s = g / sqrt(v + eps), m and v are the running mean and variance, and g and o the normalisation's
own weights.  The fourth convolutions of valence and arousal read the same input and become one, of whose channels each
branch goes on with its half.  oneDNN, which computes the convolutions on a CPU, lays kernels out in blocks before it
begins; here that is done once, not at every clip.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from affcli.models.affine import is_ours, product
from affcli.models.recurrent import Inside
from affcli.models.v2p import NARROW, PADDING, Stage, V2p, entered, per_frame, windows


@functools.cache
def _has_packing() -> bool:
    """Whether oneDNN's convolution with laid-out weights is there, which is no part of PyTorch's public interface."""
    x, weight, bias = torch.arange(1.0, 28).view(1, 1, 3, 3, 3), torch.ones(1, 1, 3, 3, 3), torch.tensor([-200.0])
    try:
        made = _pointwise(x, _packed(weight, (1, 1, 1)), bias, (1, 1, 1))
    except (AttributeError, RuntimeError, TypeError):  # it is missing, or takes something else in this version
        return False
    return torch.equal(made, functional.conv3d(x, weight, bias, 1, PADDING).relu())


def _packed(weight: Tensor, stride: tuple[int, ...]) -> Any:
    return torch._C._nn.mkldnn_reorder_conv3d_weight(weight.to_mkldnn(), list(PADDING), list(stride), [1, 1, 1], 1)


def _pointwise(x: Tensor, packed: Any, bias: Tensor, stride: tuple[int, ...]) -> Tensor:
    """Convolution and ReLU."""
    made: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, packed, bias, PADDING, stride, (1, 1, 1), 1, "relu", [], ""
    )
    return made


class _Layer:
    """A convolution with its normalisation inside, ReLU behind it, and its weights laid out for one kind of number."""

    def __init__(self, stages: list[Stage], dtype: torch.dtype) -> None:
        kernels, biases = zip(*(_folded(stage) for stage in stages), strict=True)
        conv = stages[0].conv
        self.stride, self.pools = conv.stride, stages[0].pool is not None
        self.weight = torch.cat(kernels).to(dtype)
        self.bias = torch.cat(biases).to(dtype)
        self.matrix = self.weight.flatten(1)
        self.packed: Any = None
        if self.pools and self.weight.device.type == "cpu" and _has_packing():
            self.packed = _packed(self.weight, self.stride)

    def __call__(self, x: Tensor) -> Tensor:
        if x.shape[-1] <= NARROW:
            read = windows(x)
            rows = read.flatten(0, -2)
            made = (
                product(rows, self.matrix, self.bias) if is_ours(x) else functional.linear(rows, self.matrix, self.bias)
            )
            return made.relu_().view(*read.shape[:-1], -1).permute(0, 4, 1, 2, 3)
        if self.packed is not None:
            made = _pointwise(x, self.packed, self.bias, self.stride)
        else:
            made = functional.conv3d(x, self.weight, self.bias, self.stride, PADDING).relu_()
        return functional.max_pool3d(made, (1, 2, 2)) if self.pools else made


def _folded(stage: Stage) -> tuple[Tensor, Tensor]:
    """Kernels and bias of the convolution that gives what convolution and normalisation of `stage` give."""
    norm, conv = stage.norm, stage.conv
    assert norm.running_mean is not None and norm.running_var is not None and conv.bias is not None
    scale = norm.weight.detach().double() * torch.rsqrt(norm.running_var.double() + norm.eps)
    kernel = conv.weight.detach().double() * scale[:, None, None, None, None]
    bias = (conv.bias.detach().double() - norm.running_mean.double()) * scale + norm.bias.detach().double()
    return kernel.float(), bias.float()


class Folded(nn.Module):
    """`backbone` for prediction: its values to 1e-5 of their size in float32, from weights that are laid out once.

    `dtype` is what it computes in, float32 or bfloat16; what it returns is float32.  It has no parameters: what becomes
    of `backbone` afterwards does not reach it, and it stays on the device that `backbone` was on.
    """

    def __init__(self, backbone: V2p, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        branches = [list(branch.children()) for branch in (backbone.valence, backbone.arousal)]
        with torch.no_grad():
            # The first of both branches read the same: one convolution, of whose channels each goes on with its half.
            both, *others = zip(*branches, strict=True)
            self._shared = [_Layer([stage], dtype) for stage in backbone.shared.children()]  # type: ignore[list-item]
            self._both = _Layer(list(both), dtype)
            self._own = [[_Layer([stage], dtype) for stage in pair] for pair in others]
        self._dtype = dtype
        self.width = backbone.width

    @torch.no_grad()
    def forward(self, clip: Tensor, inside: Inside) -> tuple[Tensor, Tensor]:
        """As `V2p.forward`, in eval mode."""
        with torch.autocast(clip.device.type, enabled=False):
            x = entered(clip, inside, cut=True).to(self._dtype)
            kept = _kept(inside, x)
            for layer in (*self._shared, self._both):
                x = layer(x) * kept if kept is not None else layer(x)
            ends: list[Tensor] = []
            for k, branch in enumerate(x.chunk(2, 1)):
                for pair in self._own:
                    branch = pair[k](branch) * kept if kept is not None else pair[k](branch)
                ends.append(per_frame(branch).float())
        return ends[0], ends[1]


def _kept(inside: Inside, x: Tensor) -> Tensor | None:
    """What `x` (b, c, t, h, w) is multiplied with to be 0 where padded, (b, 1, t, 1, 1); None where nothing is."""
    if inside.lengths is None:
        return None
    t = torch.arange(x.shape[2], device=x.device)
    return (t < inside.lengths.to(x.device)[:, None]).to(x.dtype)[:, None, :, None, None]
