"""The GRU-fusion network of the Aff-Wild2 challenge (ABAW 2020), with any number of branches.

A branch per feature set turns each frame's vector into a short one: recurrent layers for audio and face features,
dense layers for pose.  The branches' last layers are concatenated; a dense layer with PReLU and a dense layer of two
with tanh give valence and arousal.  Widths, dropout and activations are the paper's; what it leaves open is a field of
`affcli.configs.GruFusion`, with Keras's habit as the default: see there, and `affcli.models.recurrent` for the initial
weights.

A window shorter than its batch is padded at its end.  What happens in the padding reaches no other frame: recurrent
layers that look ahead begin at the last frame inside, and batch statistics are of the frames inside alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from affcli.configs import GruFusion as Config
from affcli.errors import UsageError
from affcli.models.activation import Dropout, Slope
from affcli.models.recurrent import Inside, Recurrent, dense
from affcli.models.roles import Input


class Norm(nn.BatchNorm1d):
    """Batch normalisation of frames, (n, units) to the same.

    A single frame has no variance: it is normalised with the running statistics, in training too.  These, which
    prediction uses, are the plain mean over the first `norm_warmup` batches and then keep `norm_momentum` of the old at
    each batch: begun at 0 and 1, as Keras does, they would be wrong for hundreds of batches, which on a few clips is
    the whole training.  How many batches there were is part of the state, so that a resumed training goes on alike; it
    stays a tensor, which a GPU need not be waited for, and a compiled network not be compiled again for.
    """

    def __init__(self, units: int, config: Config) -> None:
        super().__init__(units, eps=config.norm_epsilon, momentum=1 - config.norm_momentum)
        self._new_share = 1 - config.norm_momentum
        self._warmup = config.norm_warmup
        self._population = config.norm_variance == "population"
        self.total: Callable[[Tensor], Tensor] | None = None  # sum over the processes that share a batch, if any do

    def forward(self, input: Tensor) -> Tensor:
        """Frames (n, units), n at least 1."""
        if self.training and self.total:
            return self._shared(input, self.total)
        n, mean, variance = len(input), self.running_mean, self.running_var
        assert mean is not None and variance is not None
        if not self.training or n < 2:
            return functional.batch_norm(input, mean, variance, self.weight, self.bias, eps=self.eps)
        # With momentum 1, PyTorch puts the statistics of the batch in place of those it is given.
        here, spread = torch.zeros_like(mean), torch.zeros_like(variance)
        normal = functional.batch_norm(
            input, here, spread, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps
        )
        self._learn(here, spread * ((n - 1) / n) if self._population else spread)
        return normal

    @torch.no_grad()
    def _learn(self, mean: Tensor, variance: Tensor) -> None:
        """Take the statistics of one more batch into the running ones."""
        count = self.num_batches_tracked
        assert self.running_mean is not None and self.running_var is not None and count is not None
        count.add_(1)
        share = torch.where(count <= self._warmup, 1 / count, self._new_share).to(mean.dtype)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)

    def _shared(self, input: Tensor, total: Callable[[Tensor], Tensor]) -> Tensor:
        """As `forward` in training, over the frames of all processes, of which this one may have none."""
        frames = input.float()
        sums = total(torch.cat([frames.sum(0), frames.new_full((1,), len(frames))]))
        n = float(sums[-1].detach())
        assert self.running_mean is not None and self.running_var is not None
        if n < 2:
            return functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        mean = sums[:-1] / n
        centred = frames - mean
        variance = total(centred.square().sum(0)) / n
        self._learn(mean.detach(), variance.detach() * (1.0 if self._population else n / (n - 1)))
        normal = centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias
        return normal.to(input.dtype)


class Settle(nn.Module):
    """What follows a layer: batch normalisation and PReLU in the order of `norm_order`, then dropout.

    (n, units), the frames inside, to the same.
    """

    def __init__(self, units: int, config: Config) -> None:
        super().__init__()
        self.norm = Norm(units, config)
        self.slope = _slope(units, config)
        self.drop = Dropout(config.dropout)
        self._norm_first = config.norm_order == "norm-prelu"

    def forward(self, rows: Tensor) -> Tensor:
        rows = self.slope(self.norm(rows)) if self._norm_first else self.norm(self.slope(rows))
        settled: Tensor = self.drop(rows)
        return settled


def _slope(units: int, config: Config) -> Slope:
    return Slope(units if config.slope == "channel" else 1, init=config.initial_slope)


class Branch(nn.Module):
    """The layers of one feature set, each followed by `Settle`: (b, t, d) to the frames inside, (n, `width`)."""

    def __init__(self, width: int, units: tuple[int, ...], recurrent: bool, config: Config) -> None:
        super().__init__()
        self.layers, self.settle = nn.ModuleList(), nn.ModuleList()
        for one in units:
            layer = Recurrent(width, one, config) if recurrent else dense(width, one)
            width = layer.width if isinstance(layer, Recurrent) else one
            self.layers.append(layer)
            self.settle.append(Settle(width, config))
        self.width = width

    def forward(self, x: Tensor, inside: Inside) -> Tensor:
        rows = inside.gather(x)
        for layer, settle in zip(self.layers, self.settle, strict=True):
            # Only what is recurrent must know which frames follow each other.
            is_recurrent = isinstance(layer, Recurrent)
            rows = inside.gather(layer(inside.scatter(rows), inside)) if is_recurrent else layer(rows)
            rows = settle(rows)
        return rows


class GruFusion(nn.Module):
    """Valence and arousal (b, t, 2), in [-1, 1], from windows of one or more feature sets.

    Raises UsageError where a word of `config` is none of its choices.
    """

    def __init__(self, inputs: Mapping[str, Input], config: Config) -> None:
        super().__init__()
        _check(config)
        units = {"audio": config.audio_units, "face": config.face_units, "pose": config.pose_units}
        self.config = config
        self.encoders = tuple(inputs)
        branches = [Branch(one.width, units[one.modality], one.modality != "pose", config) for one in inputs.values()]
        self.branches = nn.ModuleList(branches)
        self.hidden = dense(sum(branch.width for branch in branches), config.head_units)
        self.norm = Norm(config.head_units, config) if config.head_norm else None
        self.slope = _slope(config.head_units, config)
        self.affect = dense(config.head_units, 2)
        self._norm_first = config.norm_order == "norm-prelu"

    def forward(self, features: Mapping[str, Tensor], inside: Tensor) -> Tensor:
        """`features` by encoder, each (b, t, d) float32; `inside` (b, t) bool, false where padded.

        Where padded, valence and arousal are 0.
        """
        frames = Inside(inside)
        branches = zip(self.encoders, self.branches, strict=True)
        hidden = self.hidden(torch.cat([branch(features[name], frames) for name, branch in branches], dim=-1))
        if self.norm is None:
            hidden = self.slope(hidden)
        elif self._norm_first:
            hidden = self.slope(self.norm(hidden))
        else:
            hidden = self.norm(self.slope(hidden))
        return frames.scatter(torch.tanh(self.affect(hidden)))


def _check(config: Config) -> None:
    for name in ("audio_units", "face_units", "pose_units"):
        if not getattr(config, name):
            raise UsageError(
                name, "names no layer", expected="one width or more", advice="name one, or leave the setting out"
            )
    for field in dataclasses.fields(config):
        words, word = field.metadata["choices"], getattr(config, field.name)
        if words and word not in words:
            raise UsageError(
                f"{field.name} {word}", "is unknown", expected=" or ".join(words), advice="choose one of them"
            )
