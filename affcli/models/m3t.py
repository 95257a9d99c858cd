"""M3T: valence, arousal and expressions from video and sound (Zhang et al. 2020, arXiv 2002.02957).

Three networks out of the same parts.  `visual`: V2P's two vectors of a frame, each with a static feature of the frame
(of an emotion network, or of TCAE) behind it, go through two layers of a bidirectional GRU and two dense layers: one
head for valence, one for arousal.  `audio`: one such head on log-mel spectra.  `audio-visual`: both without their
dense layers; the GRUs of valence and arousal, side by side, are projected to the audio GRU's width, joined with it,
and a third head gives the result.  Two streams are joined side by side, audio first, or by attention: a GRU and a dense
layer give each frame of a stream a score, and the streams are added with the softmax of their scores as weights.

Each network returns (b, t, K): K = 2, valence and arousal, or K = 9, the logits of 7 expressions before them; logits of
action units, which neither paper nor code has, stand between the two.  Both are outputs of valence's head, or of the
head behind the fusion.  Outputs are linear, as in the paper and its code: nothing holds valence and arousal in [-1, 1];
who writes predictions clips them.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from affcli.configs import M3t as Config
from affcli.configs import M3tIdentity as IdentityConfig
from affcli.errors import SchemaError, UsageError
from affcli.models.folded import Folded
from affcli.models.heads import Attention, Head
from affcli.models.recurrent import Inside
from affcli.models.roles import Input, roles
from affcli.models.v2p import CHANNELS, SIDE, Identity, V2p
from affcli.schemas import ACTION_UNITS

WIDTHS = {"emotion": 512, "tcae": 256, "audio": 200}  # numbers per frame of the features of the paper
STATIC = {"none": (None, None), "emotion": ("emotion", "emotion"), "emotion-tcae": ("emotion", "tcae")}


class Visual(nn.Module):
    """Clips and static features to what valence's and arousal's heads give, side by side.

    With dense layers that is (b, t, K); without, the states of their GRUs, (b, t, 4 `visual_units`).
    """

    backbone: V2p | Folded

    def __init__(self, config: Config, given: Mapping[str, int], dense: bool) -> None:
        super().__init__()
        self.static = STATIC[config.static]
        self.backbone = V2p(config.channels)
        widths = [self.backbone.width + (given[name] if name else 0) for name in self.static]
        logits = config.expressions + len(config.action_units)
        self.valence = Head(widths[0], config.visual_units, logits + 1 if dense else 0)
        self.arousal = Head(widths[1], config.visual_units, 1 if dense else 0)

    def forward(self, inputs: Mapping[str, Tensor], inside: Inside) -> Tensor:
        made = []
        for head, name, x in zip(
            (self.valence, self.arousal), self.static, self.backbone(inputs["clip"], inside), strict=True
        ):
            made.append(head(x if name is None else torch.cat([x, inputs[name]], dim=-1), inside))
        return torch.cat(made, dim=-1)


class M3t(nn.Module):
    """The network that `config` describes: (b, t, K) from clips and the features `emotion`, `tcae` and `audio`.

    `widths` are those of the features it reads, `encoders` what each of them is called among the inputs; what is not
    said is as in the paper, and called what it is.  Raises UsageError where a word of `config` is none of its choices.
    """

    def __init__(
        self, config: Config, widths: Mapping[str, int] = WIDTHS, encoders: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.outputs = config.expressions + len(config.action_units) + 2
        alone, units = config.streams != "audio-visual", config.audio_units
        self.visual = Visual(config, widths, alone) if config.streams != "audio" else None
        audible = config.streams != "visual"
        self.audio = Head(widths["audio"], units, self.outputs if alone else 0) if audible else None
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
        self._widths = widths
        self._encoders = {role: role for role in self.reads} | dict(encoders or {})

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
        inputs = self._checked(inputs, inside)
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

    def _checked(self, inputs: Mapping[str, Tensor], inside: Tensor) -> dict[str, Tensor]:
        """The inputs by what they are to the network."""
        for name in self.reads:
            expected = "a clip" if name == "clip" else str((*inside.shape, self._widths[name]))
            given = inputs.get(self._encoders[name])
            if given is None or (name != "clip" and str(tuple(given.shape)) != expected):
                raise SchemaError(
                    self._encoders[name],
                    "is missing" if given is None else f"is of shape {tuple(given.shape)}",
                    expected=expected,
                    advice=f"give the network what it reads: {', '.join(self._encoders.values())}",
                )
        return {name: inputs[self._encoders[name]] for name in self.reads}

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


def build(inputs: Mapping[str, Input], config: Config) -> M3t:
    """The network of `config` for feature sets by encoder.  Raises UsageError as `roles` and `M3t` do."""
    _check(config)
    chosen = roles(config, inputs)
    return M3t(config, {role: inputs[encoder].width for role, encoder in chosen.items()}, chosen)


def build_identity(_: Mapping[str, Input], config: IdentityConfig) -> Identity:
    """The network of the identity pre-training that `config` describes; it reads no features.  Raises as `M3t`."""
    _check(config)
    return Identity(config.classes, config.channels, config.identity_units, config.average)


def folded(network: M3t, dtype: torch.dtype = torch.float32) -> M3t:
    """A copy for prediction, in eval mode: its backbone is `affcli.models.folded.Folded` and computes in `dtype`.

    In float32 it gives the values of `network` to 1e-5; in bfloat16 its GRUs and dense layers still are float32.
    """
    taken: dict[int, object] = {}
    if network.visual is not None and isinstance(network.visual.backbone, V2p):
        taken[id(network.visual.backbone)] = Folded(network.visual.backbone, dtype)
    return copy.deepcopy(network, taken).eval()


def _check(config: Config | IdentityConfig) -> None:
    for field in dataclasses.fields(config):
        words, word = field.metadata["choices"], getattr(config, field.name)
        if words and word not in words:
            raise UsageError(
                f"{field.name} {word}", "is unknown", expected=" or ".join(words), advice="choose one of them"
            )
    if config.crop not in (SIDE, 2 * SIDE):
        raise UsageError(
            f"crop {config.crop}", "cannot be seen", expected=f"{SIDE} or {2 * SIDE}", advice="choose one of them"
        )
    if unknown := [name for name in getattr(config, "action_units", ()) if name not in ACTION_UNITS]:
        raise UsageError(
            f"action_units {','.join(unknown)}",
            "is unknown",
            expected=f"some of {', '.join(ACTION_UNITS)}",
            advice="name each as the column of affect tables is named",
        )
    if len(config.channels) != len(CHANNELS):
        raise UsageError(
            "channels",
            f"names {len(config.channels)} convolutions",
            expected=str(len(CHANNELS)),
            advice="give the width of each, or leave the setting out",
        )
