"""V2P, the video backbone of M3T (Zhang et al. 2020, arXiv 2002.02957; the layers are of Shillingford et al. 2018).

Five stages of a 3 x 3 x 3 convolution, batch normalisation and ReLU; after the first three the maximum of 2 x 2 pixels.
Time is padded by a frame at each end and so kept, space is never padded.  The first three stages are shared; valence
and arousal each have the last two for themselves.  From pixels 112 x 112 they leave 55 (27 after the pool), 25 (12),
10 (5), 3 and 1: a vector of each frame, which depends on 11 frames and on pixels 0..104 of each side.

What is computed is what the layers say, in another order where that gives the same numbers and takes less time: the
maximum before ReLU, which both orders agree on; where no batch statistics are taken, the 105 pixels that matter alone;
convolutions over so few pixels that they are one product of matrices; for prediction see also `affcli.models.folded`.

Initial weights (released code): kernels N(0, sqrt(2 / (27 channels out))), biases 0, normalisation 1 and 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from affcli.errors import SchemaError, some
from affcli.models.recurrent import Inside

SIDE = 112  # pixels of a crop
SEEN = 105  # of which so many, from the first, reach the output
CHANNELS = (64, 128, 256, 512, 512)
SHARED = 3  # stages before the branches
_KERNEL, PADDING = 3, (1, 0, 0)
NARROW = 5  # pixels of a side up to which a convolution is faster as a product of matrices
_LAST = torch.channels_last_3d


def windows(x: Tensor) -> Tensor:
    """What each output of a convolution reads, ordered as its kernel: (b, c, t, h, w) to (b, t, h - 2, w - 2, 27 c)."""
    x = functional.pad(x.permute(0, 2, 3, 4, 1), (0, 0, 0, 0, 0, 0, 1, 1))
    return x.unfold(1, 3, 1).unfold(2, 3, 1).unfold(3, 3, 1).flatten(4)


class Conv(nn.Conv3d):
    """A 3 x 3 x 3 convolution that keeps time: (b, c, t, h, w) to (b, m, t, h', w'), channels last in memory."""

    def __init__(self, width_in: int, width: int, stride: int = 1) -> None:
        super().__init__(width_in, width, _KERNEL, (1, stride, stride), PADDING)

    def forward(self, input: Tensor) -> Tensor:
        """Clips of any number of frames."""
        few = input.shape[-1] <= NARROW and self.stride[-1] == 1 and input.device.type == "cpu"
        if not few or torch.compiler.is_compiling():
            # PyTorch's own convolution, which it prefers to oneDNN's for some shapes, forgets the order in memory.
            return super().forward(input).contiguous(memory_format=_LAST)
        assert self.bias is not None
        made = functional.linear(windows(input), self.weight.flatten(1), self.bias)
        return made.permute(0, 4, 1, 2, 3)


class Norm(nn.BatchNorm3d):
    """Batch normalisation of (n, c, t, h, w).

    A single value of a channel has no variance: it is normalised with the running statistics, in training too.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.total: Callable[[Tensor], Tensor] | None = None  # sum over the processes that share a batch, if any do

    def forward(self, input: Tensor) -> Tensor:
        """Clips, or frames as clips of one."""
        if self.training and self.total:
            return self._shared(input, self.total)
        if self.training and input.numel() // input.shape[1] < 2:
            return self._as_known(input)
        return super().forward(input)

    def _as_known(self, input: Tensor) -> Tensor:
        """`input` normalised with the running statistics."""
        return functional.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)

    def _shared(self, input: Tensor, total: Callable[[Tensor], Tensor]) -> Tensor:
        """As `forward` in training, over the values of all processes, of which this one may have none."""
        assert self.running_mean is not None
        count, mean, squares = _moments(input, self.running_mean)
        sums = total(torch.cat([mean * count, mean.new_full((1,), count)]))
        n = float(sums[-1])
        if n < 2:
            return self._as_known(input)
        everywhere = sums[:-1] / n
        variance = total(squares + count * (mean - everywhere).square()) / n  # Chan, Golub and LeVeque 1979
        self._learn(everywhere, variance * (n / (n - 1)))
        scale = torch.rsqrt(variance + self.eps)
        made = _Together.apply(input, self.weight, self.bias, everywhere, scale, n, total)  # type: ignore[no-untyped-call]
        return functional.batch_norm(made[0], everywhere, variance, made[1], made[2], eps=self.eps)

    @torch.no_grad()
    def _learn(self, mean: Tensor, variance: Tensor) -> None:
        """Take the statistics of one more batch into the running ones."""
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


@torch.no_grad()
def _moments(x: Tensor, like: Tensor) -> tuple[int, Tensor, Tensor]:
    """Of each channel of (n, c, t, h, w): how many values, mean, and sum of the squares around it, (c,) as `like`."""
    count, mean, variance = x.numel() // x.shape[1], torch.zeros_like(like), torch.zeros_like(like)
    if count < 2:
        return count, x.sum((0, 2, 3, 4), dtype=mean.dtype), variance
    # With momentum 1, PyTorch puts the statistics of the batch in place of those it is given.
    functional.batch_norm(x, mean, variance, training=True, momentum=1.0)
    return count, mean, variance * (count - 1)


class _Together(torch.autograd.Function):
    """Input, weight and bias of a normalisation as they are; going back, the gradient of the input is made whole.

    The normalisation behind it takes mean and variance for constants.  What goes through these is still to be taken
    away: w s / n (sum g + y sum g y), with the weight w, s = 1 / sqrt(variance + eps), the n normalised values y of
    all processes and their gradients g (Ioffe and Szegedy 2015, arXiv 1502.03167).  The sums are the gradients of bias
    and weight, added up over all processes.
    """

    @staticmethod
    def forward(
        context: Any,
        input: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        scale: Tensor,
        n: float,
        total: Callable[[Tensor], Tensor],
    ) -> tuple[Tensor, Tensor, Tensor]:
        context.save_for_backward(input, weight, mean, scale)
        context.n, context.total = n, total
        return input.view_as(input), weight.view_as(weight), bias.view_as(bias)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (input, weight, mean, scale), (of_input, of_weight, of_bias) = context.saved_tensors, gradients
        by_weight, by_bias = context.total(torch.cat([of_weight, of_bias])).chunk(2)
        slope = weight * scale.square() * by_weight / -context.n
        shift = weight * scale * by_bias / -context.n - slope * mean
        rows, found = input.permute(0, 2, 3, 4, 1), of_input.permute(0, 2, 3, 4, 1)
        whole = torch.addcmul(shift, rows, slope).add_(found).to(of_input.dtype).permute(0, 4, 1, 2, 3)
        return whole, of_weight, of_bias, None, None, None, None


class Stage(nn.Module):
    """Convolution, batch normalisation, ReLU and, where `pools`, the maximum of 2 x 2 pixels.

    (b, c, t, h, w) to (b, m, t, h', w').  Statistics are of the frames inside alone, and frames that are not become 0,
    which is what a convolution finds before and after a clip.
    """

    def __init__(self, width_in: int, width: int, stride: int = 1, pools: bool = False) -> None:
        super().__init__()
        self.conv = Conv(width_in, width, stride)
        self.norm = Norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool3d((1, 2, 2)) if pools else None
        nn.init.normal_(self.conv.weight, 0, math.sqrt(2 / (_KERNEL**3 * width)))
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, inside: Inside) -> Tensor:
        made: Tensor = self.conv(x)
        if inside.lengths is None:
            return self._settle(made)
        b, m, t, h, w = made.shape
        rows = inside.gather(made.permute(0, 2, 3, 4, 1).flatten(2)).view(-1, 1, h, w, m)
        settled = self._settle(rows.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)
        h, w = settled.shape[2:4]
        return inside.scatter(settled.flatten(1)).view(b, t, h, w, m).permute(0, 4, 1, 2, 3)

    def _settle(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        settled: Tensor = self.relu(x if self.pool is None else self.pool(x))
        return settled


def stages(channels: tuple[int, ...], first: int, last: int) -> nn.Sequential:
    """Stages `first` to `last`, counted from 0, the last one left out; `channels` are those of all five."""
    widths = (3, *channels)
    each = range(first, last)
    return nn.Sequential(*(Stage(widths[k], widths[k + 1], stride=2 if k == 0 else 1, pools=k < SHARED) for k in each))


def through(stages: nn.Module, x: Tensor, inside: Inside) -> Tensor:
    """`x` (b, c, t, h, w) after all of the stages, (b, m, t, h', w')."""
    for stage in stages.children():
        x = stage(x, inside)
    return x


def entered(clip: Tensor, inside: Inside, cut: bool) -> Tensor:
    """A clip (b, 3, t, 112, 112) as the first stage takes it: channels last in memory, 0 where padded.

    With `cut`, the 7 rows and columns that reach no output are left out; where batch statistics are taken they count.
    Raises SchemaError where the clip has another shape.
    """
    b, t = inside.shape
    if t < 1 or tuple(clip.shape) != (b, 3, t, SIDE, SIDE):
        raise SchemaError(
            "clip",
            f"is of shape {tuple(clip.shape)} with `inside` of shape {(b, t)}",
            expected=f"(b, 3, t, {SIDE}, {SIDE}) with (b, t), t at least 1",
            advice=f"cut a square of {SIDE} pixels out of the crops",
        )
    if cut:
        clip = clip[..., :SEEN, :SEEN]
    if inside.lengths is not None:
        frames = clip.transpose(1, 2)
        clip = inside.scatter(inside.gather(frames.flatten(2))).view(frames.shape).transpose(1, 2)
    return clip.contiguous(memory_format=_LAST)


def per_frame(x: Tensor) -> Tensor:
    """(b, c, t, 1, 1), the end of the last stage, to (b, t, c)."""
    return x.flatten(2).transpose(1, 2)


class V2p(nn.Module):
    """The backbone: from clips (b, 3, t, 112, 112) float32, two vectors of each frame, (b, t, `width`) each.

    The first is valence's, the second arousal's.  Values are (x - 127.5) / 127.5 of bytes x.  Raises SchemaError where
    a clip has another shape.
    """

    def __init__(self, channels: tuple[int, ...] = CHANNELS) -> None:
        super().__init__()
        self.shared = stages(channels, 0, SHARED)
        self.valence = stages(channels, SHARED, len(channels))
        self.arousal = stages(channels, SHARED, len(channels))
        self.width = channels[-1]

    def forward(self, clip: Tensor, inside: Inside) -> tuple[Tensor, Tensor]:
        """Both branches' vectors; those of padded frames are 0."""
        x = through(self.shared, entered(clip, inside, cut=not self.training), inside)
        return per_frame(through(self.valence, x, inside)), per_frame(through(self.arousal, x, inside))


class Identity(nn.Module):
    """The network that is trained to tell people apart before V2P learns affect: V2P with one branch, two dense layers.

    It reads the input `clip` (b, 3, t, 112, 112), and gives the logits (b, classes).  `average` is what is
    averaged over the frames inside: the logits (the paper), or the vectors before the dense layers (the released code).
    """

    def __init__(
        self, classes: int = 1000, channels: tuple[int, ...] = CHANNELS, units: int = 512, average: str = "logits"
    ) -> None:
        super().__init__()
        self.v2p = stages(channels, 0, len(channels))
        self.fc = nn.Sequential(nn.Linear(channels[-1], units), nn.ReLU(inplace=True), nn.Linear(units, classes))
        self._average = average

    def forward(self, inputs: Mapping[str, Tensor], inside: Tensor) -> Tensor:
        """`inside` is (b, t) bool, false where padded."""
        frames = Inside(inside)
        x = per_frame(through(self.v2p, entered(inputs["clip"], frames, cut=not self.training), frames))
        if self._average == "logits":
            x = frames.scatter(self.fc(frames.gather(x)))
        x = x.sum(1) / inside.sum(1, keepdim=True).clamp(min=1)
        logits: Tensor = x if self._average == "logits" else self.fc(x)
        return logits


def load_identity(backbone: V2p, state: Mapping[str, Tensor]) -> None:
    """Begin `backbone` with what `Identity` learnt: stages 1 to 3 shared, 4 and 5 in both branches, statistics too.

    `state` is the state of an `Identity` of the same channels; its dense layers are left.  Raises SchemaError where
    tensors are missing or of another shape; then nothing is changed.
    """
    held = backbone.state_dict()
    taken: dict[str, Tensor] = {}
    for name in held:
        branch, _, rest = name.partition(".")
        stage, _, tensor = rest.partition(".")
        taken[name] = state.get(f"v2p.{int(stage) + (0 if branch == 'shared' else SHARED)}.{tensor}", torch.empty(0))
    wrong = [name for name, tensor in taken.items() if tensor.shape != held[name].shape]
    if wrong:
        raise SchemaError(
            "identity network",
            f"has no tensor of the right shape for {some(wrong)}",
            expected="the state of a V2P trained on identities, with the same channels",
            advice="name the run of a v2p-identity",
        )
    backbone.load_state_dict(taken)
