"""M3T: valence, arousal and expressions from video and sound (Zhang et al. 2020, arXiv 2002.02957).

Three networks out of the same parts.  `visual`: V2P's two vectors of a frame, each with a static feature of the frame
(of an emotion network, or of TCAE) behind it, go through two layers of a bidirectional GRU and two dense layers: one
head for valence, one for arousal.  `audio`: one such head on log-mel spectra.  `audio-visual`: both without their
dense layers; the GRUs of valence and arousal, side by side, are projected to the audio GRU's width, joined with it,
and a third head gives the result.  Two streams are joined side by side, audio first, or by attention: a GRU and a dense
layer give each frame of a stream a score, and the streams are added with the softmax of their scores as weights.

Each network returns (b, t, K): K = 2, valence and arousal, or K = 9, the logits of 7 expressions before them.  The
expressions are outputs of valence's head, or of the head behind the fusion.  Outputs are linear, as in the paper and
its code: nothing holds valence and arousal in [-1, 1]; who writes predictions clips them.

Initial weights of GRUs are the released code's: input weights uniform in +-sqrt(6 / (w + h)), for every layer with the
width w of the first one's input and h units, recurrent ones orthogonal gate by gate, biases 0.  Dense layers are
PyTorch's own.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from affcli.configs import M3t as Config
from affcli.configs import M3tIdentity as IdentityConfig
from affcli.errors import SchemaError, UsageError
from affcli.models import gru
from affcli.models.affine import is_ours
from affcli.models.folded import Folded
from affcli.models.recurrent import Inside
from affcli.models.v2p import CHANNELS, Identity, V2p

EXPRESSIONS = 7
WIDTHS = {"emotion": 512, "tcae": 256, "audio": 200}  # numbers per frame of what a network reads beside clips
STATIC = {"none": (None, None), "emotion": ("emotion", "emotion"), "emotion-tcae": ("emotion", "tcae")}
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


class Visual(nn.Module):
    """Clips and static features to what valence's and arousal's heads give, side by side.

    With dense layers that is (b, t, K); without, the states of their GRUs, (b, t, 4 `visual_units`).
    """

    backbone: V2p | Folded

    def __init__(self, config: Config, dense: bool) -> None:
        super().__init__()
        self.static = STATIC[config.static]
        self.backbone = V2p(config.channels)
        widths = [self.backbone.width + WIDTHS.get(name or "", 0) for name in self.static]
        logits = EXPRESSIONS if config.expressions else 0
        self.valence = Head(widths[0], config.visual_units, logits + 1 if dense else 0)
        self.arousal = Head(widths[1], config.visual_units, 1 if dense else 0)

    def forward(self, inputs: Mapping[str, Tensor], inside: Inside) -> Tensor:
        made = []
        for head, name, x in zip(
            (self.valence, self.arousal), self.static, self.backbone(inputs["clip"], inside), strict=True
        ):
            made.append(head(x if name is None else torch.cat([x, inputs[name]], dim=-1), inside))
        return torch.cat(made, dim=-1)


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


class M3t(nn.Module):
    """The network that `config` describes: (b, t, K) from `clip`, `emotion`, `tcae` and `audio`, those it reads.

    Raises UsageError where a word of `config` is none of its choices.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.outputs = 2 + (EXPRESSIONS if config.expressions else 0)
        alone, units = config.streams != "audio-visual", config.audio_units
        self.visual = Visual(config, alone) if config.streams != "audio" else None
        audible = config.streams != "visual"
        self.audio = Head(WIDTHS["audio"], units, self.outputs if alone else 0) if audible else None
        if alone:
            self.projection = self.attention = self.fusion = None
        else:
            width = 2 * units
            attends = config.fusion != "concatenation"
            bounded = config.fusion == "attention"
            self.projection = nn.Linear(4 * config.visual_units, width)
            self.attention = Attention(width, config.scorer_units, bounded) if attends else None
            self.fusion = Head(width if attends else 2 * width, config.fusion_units, self.outputs)
        self._frozen = False

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of its inputs."""
        static = () if self.visual is None else tuple(sorted({name for name in self.visual.static if name}))
        return (*(("clip",) if self.visual else ()), *static, *(("audio",) if self.audio else ()))

    def forward(self, inputs: Mapping[str, Tensor], inside: Tensor) -> Tensor:
        """`clip` is (b, 3, t, 112, 112), (x - 127.5) / 127.5 of bytes x; the others are (b, t, d); all float32.

        `inside` is (b, t) bool, false where a window is padded at its end: what is there reaches no other frame, and
        the outputs there are 0.  Raises SchemaError where an input is missing or of another shape.
        """
        self._check_inputs(inputs, inside)
        frames = Inside(inside)
        if self.fusion is None:
            alone: Tensor = self._audio(inputs, frames) if self.visual is None else self.visual(inputs, frames)
            return alone
        assert self.visual is not None and self.projection is not None
        # What is frozen needs no gradients, and so keeps nothing for them.
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._frozen):
            audio, seen = self._audio(inputs, frames), self.visual(inputs, frames)
        visual = frames.scatter(self.projection(frames.gather(seen)))
        joined = self.attention(audio, visual, frames) if self.attention else torch.cat([audio, visual], dim=-1)
        fused: Tensor = self.fusion(joined, frames)
        return fused

    def _audio(self, inputs: Mapping[str, Tensor], frames: Inside) -> Tensor:
        assert self.audio is not None
        made: Tensor = self.audio(inputs["audio"], frames)
        return made

    def _check_inputs(self, inputs: Mapping[str, Tensor], inside: Tensor) -> None:
        for name in self.reads:
            expected = "a clip" if name == "clip" else str((*inside.shape, WIDTHS[name]))
            found = tuple(inputs[name].shape) if name in inputs else None
            if found is None or (name != "clip" and str(found) != expected):
                raise SchemaError(
                    name,
                    "is missing" if found is None else f"is of shape {found}",
                    expected=expected,
                    advice=f"give the network what it reads: {', '.join(self.reads)}",
                )

    def freeze_encoders(self, frozen: bool = True) -> None:
        """Keep the two streams of an audio-visual network as they are, statistics included, whatever mode follows.

        The projection, the scorers and the head behind them go on learning.  With `frozen` false, all learns again.
        """
        if self.fusion is None:
            raise UsageError(
                f"streams {self.config.streams}",
                "has no encoders to freeze",
                expected="audio-visual",
                advice="freeze the encoders of an audio-visual network",
            )
        self._frozen = frozen
        for stream in self._streams():
            stream.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> M3t:
        """As in PyTorch, but that frozen encoders stay in eval mode."""
        super().train(mode)
        if self._frozen:
            for stream in self._streams():
                stream.eval()
        return self

    def _streams(self) -> tuple[nn.Module, nn.Module]:
        assert self.visual is not None and self.audio is not None
        return self.visual, self.audio


def folded(network: M3t, dtype: torch.dtype = torch.float32) -> M3t:
    """A copy for prediction, in eval mode: its backbone is `affcli.models.folded.Folded` and computes in `dtype`.

    In float32 it gives the values of `network` to 1e-5; in bfloat16 its GRUs and dense layers still are float32.
    """
    taken: dict[int, object] = {}
    if network.visual is not None and isinstance(network.visual.backbone, V2p):
        taken[id(network.visual.backbone)] = Folded(network.visual.backbone, dtype)
    return copy.deepcopy(network, taken).eval()


def identity(config: IdentityConfig) -> Identity:
    """The network of the identity pre-training that `config` describes.

    Raises UsageError where a word of `config` is none of its choices.
    """
    _check(config)
    return Identity(config.classes, config.channels, config.identity_units, config.average)


def _check(config: Config | IdentityConfig) -> None:
    for field in dataclasses.fields(config):
        words, word = field.metadata["choices"], getattr(config, field.name)
        if words and word not in words:
            raise UsageError(
                f"{field.name} {word}", "is unknown", expected=" or ".join(words), advice="choose one of them"
            )
    if len(config.channels) != len(CHANNELS):
        raise UsageError(
            "channels",
            f"names {len(config.channels)} convolutions",
            expected=str(len(CHANNELS)),
            advice="give the width of each, or leave the setting out",
        )
