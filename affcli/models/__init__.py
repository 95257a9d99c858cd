"""Networks from windows of features to valence and arousal of every frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from affcli import configs
from affcli.errors import SchemaError, UsageError
from affcli.models import presets
from affcli.models.roles import Input, roles
from affcli.registry import Entry, Registry

I_ = TypeVar("I_", bound=Input)

_Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Model(Entry):
    """A network: `resolve()` gives what builds it from (inputs: Mapping[str, Input], config).

    It is a torch module; called with features by name, each (b, t, d) float32, and `inside` (b, t) bool, false where
    a short window is padded at its end, it returns (b, t, K), the last two of them valence and arousal.  A network
    that sees is also given `clip`, (b, 3, t, 112, 112), as `affcli.models.pixels` finishes it; one that tells people
    apart returns logits, (b, classes).
    """

    config: type = configs.GruFusion
    modality: str | None = None  # the one modality it takes, or None: every feature set
    network: _Settings = field(default_factory=dict)  # its own defaults, where they are not those of `config`
    training: _Settings = field(default_factory=dict)  # likewise, of configs.Training
    variants: Mapping[str, Mapping[str, _Settings]] = field(default_factory=dict)  # by --preset: training and network
    published: tuple[float, float, float] | None = None  # CCC on Aff-Wild2's validation clips: valence, arousal, mean
    backbone: bool = False  # as published, it begins with the backbone of another training

    def settings(self, preset: str = "") -> Any:
        """The settings of the network, an instance of `config`.  Raises UsageError where it has no such preset."""
        return self.config(**{**self.network, **self.variant(preset).get("network", {})})

    def variant(self, preset: str) -> Mapping[str, _Settings]:
        """What a preset says of `training` and `network`.  Raises UsageError where there is none of that name."""
        if preset and preset not in self.variants:
            raise UsageError(
                f"--preset {preset}",
                "is none of this network",
                expected=" or ".join(self.variants) or "a network that has presets: those of M3T",
                advice="choose another, or leave it out",
            )
        return self.variants.get(preset, {})


_PAPER = "the GRU-fusion system of the Aff-Wild2 challenge, ABAW 2020"
_PUBLISHED = {  # the mean, which the paper does not print, is that of the other two
    "gru-fusion": (0.22, 0.34, 0.28),
    "gru-audio": (0.14, 0.21, 0.175),
    "gru-expnet": (0.18, 0.29, 0.235),
}

MODELS: Registry[Model] = Registry(
    "model",
    {
        "gru-fusion": Model(
            load="affcli.models.gru_fusion:GruFusion",
            doc="a recurrent or dense branch for each feature set, concatenated, two dense layers",
            source=_PAPER,
            licence="Apache-2.0",
            published=_PUBLISHED["gru-fusion"],
        ),
        "bilstm-fusion": Model(
            load="affcli.models.gru_fusion:GruFusion",
            doc="gru-fusion with bidirectional LSTMs in place of GRUs, as many cells in each direction",
            source=_PAPER,
            licence="Apache-2.0",
            config=configs.BilstmFusion,
        ),
        **{
            name: Model(
                load="affcli.models.gru_fusion:GruFusion",
                doc=doc,
                source=_PAPER,
                licence="Apache-2.0",
                modality=modality,
                published=_PUBLISHED.get(name),
            )
            for name, modality, doc in (
                ("gru-audio", "audio", "gru-fusion with its audio branch alone"),
                ("gru-face", "face", "gru-fusion with its face branch alone"),
                ("gru-expnet", "face", "the same network as gru-face under the paper's name, for any face features"),
                ("gru-pose", "pose", "gru-fusion with its pose branch alone"),
            )
        },
        **{
            name: Model(
                load="affcli.models.m3t:build",
                doc=row.doc,
                source=presets.PAPER,
                licence="Apache-2.0",
                config=configs.M3t,
                network=row.network,
                training={**presets.TRAINING, **(row.training or {})},
                variants=presets.VARIANTS,
                published=row.published,
                backbone=row.backbone,
            )
            for name, row in presets.ROWS.items()
        },
        "v2p-identity": Model(
            load="affcli.models.m3t:build_identity",
            doc="the backbone of M3T, which learns to tell people apart before it learns affect",
            source=presets.PAPER,
            licence="Apache-2.0",
            config=configs.M3tIdentity,
            training=presets.IDENTITY_TRAINING,
            variants=presets.IDENTITY_VARIANTS,
        ),
    },
)


def sees(config: object) -> bool:
    """Whether the network of these settings is given crops."""
    return isinstance(config, configs.Sighted) and getattr(config, "streams", "visual") != "audio"


def inputs_of(name: str, sets: Mapping[str, I_], config: Any = None) -> dict[str, I_]:
    """Those of the feature sets that the model `name` takes, by encoder and in order of name.

    `config` are its settings, by default its own.  Raises UsageError where no model has that name, or where it takes
    one set and there are none or several; SchemaError where a set's modality is unknown.
    """
    entry = MODELS[name]
    wanted = entry.modality
    for encoder, one in sets.items():
        if one.modality not in ("audio", "face", "pose"):
            raise SchemaError(
                encoder,
                f"is of modality '{one.modality}'",
                expected="audio, face or pose",
                advice="make the features again, or leave them out by naming the others with --encoder",
            )
    if issubclass(entry.config, configs.M3tIdentity):
        return {}
    if issubclass(entry.config, configs.M3t):
        chosen = set(roles(config or entry.settings(), sets).values())
        return {encoder: sets[encoder] for encoder in sorted(chosen)}
    taken = {encoder: sets[encoder] for encoder in sorted(sets) if wanted in (None, sets[encoder].modality)}
    if not taken:
        have = ", ".join(f"{encoder} ({one.modality})" for encoder, one in sets.items())
        raise UsageError(
            f"--model {name}",
            f"finds no {wanted} features among {have}",
            expected=f"one set of {wanted} features",
            advice="choose another model, or cut windows with these features too",
        )
    if wanted and len(taken) > 1:
        raise UsageError(
            f"--model {name}",
            f"takes one set of {wanted} features, there are {len(taken)}: {', '.join(taken)}",
            expected="one of them",
            advice=f"choose with --encoder {next(iter(taken))}",
        )
    return taken
