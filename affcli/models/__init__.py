"""Networks from windows of features to valence and arousal of every frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from affcli import configs
from affcli.errors import SchemaError, UsageError
from affcli.registry import Entry, Registry


class Input(Protocol):
    """What a network must know of a feature set."""

    @property
    def width(self) -> int:
        """Numbers per frame."""

    @property
    def modality(self) -> str:
        """face, audio or pose."""


I_ = TypeVar("I_", bound=Input)


@dataclass(frozen=True)
class Model(Entry):
    """A network: `resolve()` gives a class that is built as (inputs: Mapping[str, Input], config).

    It is a torch module; called with features by name, each (b, t, d) float32, and `inside` (b, t) bool, false where
    a short window is padded at its end, it returns valence and arousal (b, t, 2) in [-1, 1].
    """

    config: type = configs.GruFusion
    modality: str | None = None  # the one modality it takes, or None: every feature set


_PAPER = "the GRU-fusion system of the Aff-Wild2 challenge, ABAW 2020"

MODELS: Registry[Model] = Registry(
    "model",
    {
        "gru-fusion": Model(
            load="affcli.models.gru_fusion:GruFusion",
            doc="a recurrent or dense branch for each feature set, concatenated, two dense layers",
            source=_PAPER,
            licence="Apache-2.0",
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
            )
            for name, modality, doc in (
                ("gru-audio", "audio", "gru-fusion with its audio branch alone"),
                ("gru-face", "face", "gru-fusion with its face branch alone"),
                ("gru-expnet", "face", "the same network as gru-face under the paper's name, for any face features"),
                ("gru-pose", "pose", "gru-fusion with its pose branch alone"),
            )
        },
    },
)


def inputs_of(name: str, sets: Mapping[str, I_]) -> dict[str, I_]:
    """Those of the feature sets that the model `name` takes, by encoder and in order of name.

    Raises UsageError where no model has that name, or where it takes one set and there are none or several;
    SchemaError where a set's modality is unknown.
    """
    wanted = MODELS[name].modality
    for encoder, one in sets.items():
        if one.modality not in ("audio", "face", "pose"):
            raise SchemaError(
                encoder,
                f"is of modality '{one.modality}'",
                expected="audio, face or pose",
                advice="make the features again, or leave them out by naming the others with --encoder",
            )
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
