"""The recurrent parts of M3T: heads of bidirectional GRUs and dense layers, and the attention that joins two streams.

Initial weights of GRUs are the released code's: input weights uniform in +-sqrt(6 / (w + h)), for every layer with the
width w of the first one's input and h units, recurrent ones orthogonal gate by gate, biases 0.  Dense layers are
PyTorch's own.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from affcli.models import gru
from affcli.models.affine import is_ours
from affcli.models.recurrent import Inside

_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class Bigru(nn.GRU):
    """Layers of a bidirectional GRU, (b, t, width) to (b, t, 2 units), that begin where each window ends."""

    def __init__(self, width: int, units: int, layers: int = 2) -> None:
        super().__init__(width, units, layers, batch_first=True, bidirectional=True)
        bound = math.sqrt(6 / (width + units))
        for name, values in self.named_parameters():
            for gate in torch.split(values.detach(), units):
                if name.startswith("weight_ih"):
                    nn.init.uniform_(gate, -bound, bound)
                elif name.startswith("weight_hh"):
                    nn.init.orthogonal_(gate)
                else:
                    nn.init.zeros_(gate)

    def run(self, x: Tensor, inside: Inside) -> Tensor:
        """The states of the last layer; 0 where padded.

        On a CPU it computes in the type of its weights under autocast too, which is more exact and takes less time.
        """
        if x.device.type != "cpu":
            return self._states(x, inside)
        with torch.autocast("cpu", enabled=False):
            return self._states(x.to(next(self.parameters()).dtype), inside)

    def _states(self, x: Tensor, inside: Inside) -> Tensor:
        if inside.lengths is None:
            if not (is_ours(x) and gru.is_faster(self, x)):
                states: Tensor = self(x)[0]
                return states
            for layer in range(self.num_layers):
                x = gru.states(self._layer(layer), x)
            return x
        # Packing refuses empty windows; whatever one frame of them gives is set to 0.
        packed = pack_padded_sequence(x, inside.lengths.clamp(min=1), batch_first=True, enforce_sorted=False)
        padded: Tensor = pad_packed_sequence(self(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        return inside.scatter(inside.gather(padded))

    def _layer(self, k: int) -> nn.GRU:
        """What `gru.states` must know of layer `k`: its weights, under the names of a GRU's only one."""
        names = [f"{name}_l{{}}{way}" for name in _WEIGHTS for way in ("", "_reverse")]
        weights = {name.format(0): getattr(self, name.format(k)) for name in names}
        return cast(nn.GRU, SimpleNamespace(bidirectional=True, **weights))


class Head(nn.Module):
    """A bidirectional GRU and the dense layers behind it: (b, t, width) to (b, t, outputs), 0 where padded.

    Two dense layers with ReLU between them, or one where `dense` is 1.  With no `outputs` there is none, and what comes
    out are the states of the GRU, (b, t, 2 units).
    """

    def __init__(self, width: int, units: int, outputs: int, layers: int = 2, dense: int = 2) -> None:
        super().__init__()
        self.gru = Bigru(width, units, layers)
        self.fc = _dense(units, outputs, dense) if outputs else None

    def forward(self, x: Tensor, inside: Inside) -> Tensor:
        states = self.gru.run(x, inside)
        return states if self.fc is None else inside.scatter(self.fc(inside.gather(states)))


def _dense(units: int, outputs: int, layers: int) -> nn.Module:
    if layers == 1:
        return nn.Linear(2 * units, outputs)
    return nn.Sequential(nn.Linear(2 * units, units), nn.ReLU(inplace=True), nn.Linear(units, outputs))


class Attention(nn.Module):
    """Two streams (b, t, width) to their sum with weights, (b, t, width).

    The weights are the softmax of two scores.  Where `bounded`, as published, a score is first put through a sigmoid,
    so that no weight leaves [.269, .731] and no stream can be left out; else it is the dense layer's own.
    """

    def __init__(self, width: int, units: int, bounded: bool) -> None:
        super().__init__()
        self.audio = Head(width, units, 1, layers=1, dense=1)
        self.visual = Head(width, units, 1, layers=1, dense=1)
        self._bounded = bounded

    def forward(self, audio: Tensor, visual: Tensor, inside: Inside) -> Tensor:
        weights = self.weights(audio, visual, inside)
        return weights[..., :1] * audio + weights[..., 1:] * visual

    def weights(self, audio: Tensor, visual: Tensor, inside: Inside) -> Tensor:
        """Of audio and of video, (b, t, 2), which add up to 1."""
        scores = torch.cat([self.audio(audio, inside), self.visual(visual, inside)], dim=-1)
        return torch.softmax(torch.sigmoid(scores) if self._bounded else scores, dim=-1)
