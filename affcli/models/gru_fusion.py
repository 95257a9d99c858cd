"""The GRU-fusion network of the Aff-Wild2 challenge (ABAW 2020), with any number of branches.

A branch per feature set turns each frame's vector into a short one: GRU layers for audio and face features, dense
layers for pose.  The branches' last layers are concatenated; a dense layer with PReLU and a dense layer of two with
tanh give valence and arousal.  Widths, dropout and activations are the paper's.

The paper leaves open, and chosen here: each layer is followed by batch normalisation over channels (epsilon 1e-3,
momentum .99, Keras's defaults), then PReLU with a slope per channel that starts at 0, then dropout; the head has no
batch normalisation; GRUs look backwards only and have two biases per gate.  Initial weights are Keras's: Glorot
uniform kernels over the whole of a layer's gates, an orthogonal recurrent kernel over all gates at once, zero biases.

A window shorter than its batch is padded at its end.  What happens in the padding reaches no other frame: GRUs run
forwards, and batch statistics are of the frames inside alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from affcli.configs import GruFusion as Config
from affcli.models import Input

BN_EPSILON = 1e-3
BN_MOMENTUM = 0.01  # of the new value; Keras counts that of the old, .99


def _dense(width: int, units: int) -> nn.Linear:
    layer = nn.Linear(width, units)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Gru(nn.Module):
    """One GRU layer, (b, t, width) to (b, t, units)."""

    def __init__(self, width: int, units: int) -> None:
        super().__init__()
        self.cell = nn.GRU(width, units, batch_first=True)
        kernel, recurrent, *biases = self.cell.parameters()
        nn.init.xavier_uniform_(kernel)
        nn.init.orthogonal_(recurrent)
        for bias in biases:
            nn.init.zeros_(bias)

    def forward(self, x: Tensor) -> Tensor:
        states: Tensor = self.cell(x)[0]
        return states


class Settle(nn.Module):
    """What follows a layer: batch normalisation, PReLU, dropout; (b, t, units) to the same.

    Statistics are of the frames `inside`.  A single frame has no variance: it is normalised with the running
    statistics, in training too.  These, which prediction uses, are the plain mean over the first `norm_warmup` batches
    and then move by BN_MOMENTUM: begun at 0 and 1, as Keras does, they would be wrong for hundreds of batches, which on
    a few clips is the whole training.
    """

    def __init__(self, units: int, config: Config) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(units, eps=BN_EPSILON, momentum=BN_MOMENTUM)
        self.slope = nn.PReLU(units, init=0.0)
        self.drop = nn.Dropout(config.dropout)
        self._warmup = config.norm_warmup
        self._batches = 0

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        rows: Tensor = self.drop(self.slope(self._normalise(x[inside])))
        return torch.zeros_like(x).masked_scatter(inside.unsqueeze(-1), rows)

    def _normalise(self, rows: Tensor) -> Tensor:
        if self.training and len(rows) < 2:
            norm = self.norm
            return functional.batch_norm(
                rows, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
            )
        if self.training:
            self._batches += 1
            self.norm.momentum = max(BN_MOMENTUM, 1 / self._batches) if self._batches <= self._warmup else BN_MOMENTUM
        normal: Tensor = self.norm(rows)
        return normal


class Branch(nn.Module):
    """The layers of one feature set, each followed by `Settle`: (b, t, d) to (b, t, last of `units`)."""

    def __init__(self, width: int, units: tuple[int, ...], recurrent: bool, config: Config) -> None:
        super().__init__()
        layer = Gru if recurrent else _dense
        widths = (width, *units[:-1])
        self.layers = nn.ModuleList(layer(a, b) for a, b in zip(widths, units, strict=True))
        self.settle = nn.ModuleList(Settle(b, config) for b in units)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        for layer, settle in zip(self.layers, self.settle, strict=True):
            x = settle(layer(x), inside)
        return x


class GruFusion(nn.Module):
    """Valence and arousal (b, t, 2), in [-1, 1], from windows of one or more feature sets."""

    def __init__(self, inputs: Mapping[str, Input], config: Config) -> None:
        super().__init__()
        units = {"audio": config.audio_units, "face": config.face_units, "pose": config.pose_units}
        self.encoders = tuple(inputs)
        self.branches = nn.ModuleList(
            Branch(one.width, units[one.modality], one.modality != "pose", config) for one in inputs.values()
        )
        self.hidden = _dense(sum(units[one.modality][-1] for one in inputs.values()), config.head_units)
        self.slope = nn.PReLU(config.head_units, init=0.0)
        self.affect = _dense(config.head_units, 2)

    def forward(self, features: Mapping[str, Tensor], inside: Tensor) -> Tensor:
        """`features` by encoder, each (b, t, d) float32; `inside` (b, t) bool, false where padded."""
        joint = torch.cat(
            [branch(features[name], inside) for name, branch in zip(self.encoders, self.branches, strict=True)], dim=-1
        )
        hidden = self.hidden(joint)
        # PReLU wants channels second: as (frames, channels) they are.
        hidden = self.slope(hidden.flatten(0, 1)).view_as(hidden)
        affect: Tensor = torch.tanh(self.affect(hidden))
        return affect
