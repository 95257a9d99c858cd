"""M3T's networks by name: one for each row of its table, and what the paper and its code train them with.

The rows are those of Table I of Zhang et al. 2020 (arXiv 2002.02957), with their concordance on the validation clips of
Aff-Wild2.  Where the settings of a row are said nowhere, those of the paper's text hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PAPER = "M3T, Zhang et al. 2020, arXiv 2002.02957"


@dataclass(frozen=True)
class Row:
    """One network: what is said of it, and how its settings differ from those of its class."""

    doc: str
    network: Mapping[str, Any]
    published: tuple[float, float, float] | None = None  # CCC on Aff-Wild2's validation clips, as Model says
    backbone: bool = False  # it begins with a backbone that has learnt to tell people apart
    training: Mapping[str, Any] | None = None  # beside what all have


# What all of them are trained with, and how the paper and the released code do it otherwise.
TRAINING: Mapping[str, Any] = {
    "loss": "ccc",
    "optimizer": "adam",
    "lr": 5e-5,
    "weight_decay": 1e-4,
    "clip": 1.0,
    "schedule": "plateau",
    "lr_min": 1e-6,
    "per_clip": 200,
}
VARIANTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "paper": {
        "training": {"clip": 0.0, "schedule": "cyclic", "lr_min": 1e-7, "cycle_up": 3.0, "batch": 64},
        "network": {},
    },
    "official": {
        "training": {
            "ccc_moments": "mixed",
            "expression_weight": 0.8,
            "expression_over": "all",
            "batch": 96,
        },
        "network": {"order": "bgr", "missing": "previous", "crop": 224},
    },
}
IDENTITY_VARIANTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "paper": {"training": {}, "network": {}},
    "official": {"training": {}, "network": {**VARIANTS["official"]["network"], "average": "features"}},
}
IDENTITY_TRAINING: Mapping[str, Any] = {
    "optimizer": "sgd",
    "lr": 0.3,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "batch": 128,
    "schedule": "plateau",
    "lr_min": 1e-6,
    "epochs": 80,
    "jitter": 0.1,
    "per_clip": 1,
}

_EMOTION = {"streams": "visual", "static": "emotion"}
_BOTH = {"streams": "audio-visual", "static": "emotion"}
_SMALL = {"channels": (8, 16, 24, 32, 32), "visual_units": 32, "fusion_units": 64}
_SMALL_TRAINING = {"lr": 1e-3, "schedule": "cosine", "epochs": 12, "per_clip": 24, "batch": 16}

ROWS: Mapping[str, Row] = {
    "m3t-audio": Row("sound alone", {"streams": "audio"}, (0.19, 0.36, 0.28), training={"lr": 1e-4}),
    "m3t-visual": Row("clips alone, without features beside them, from the beginning", {"streams": "visual"}),
    "m3t-visual.emotion-tcae": Row(
        "clips, emotion features for valence, TCAE features for arousal",
        {"streams": "visual", "static": "emotion-tcae"},
        (0.27, 0.44, 0.35),
    ),
    "m3t-visual.emotion": Row("clips and emotion features", _EMOTION, (0.26, 0.48, 0.37)),
    "m3t-visual.emotion-voxceleb": Row(
        "as m3t-visual.emotion, from a backbone that has learnt to tell people apart",
        _EMOTION,
        (0.36, 0.48, 0.42),
        True,
    ),
    "m3t-visual.multitask": Row(
        "as m3t-visual.emotion, and it learns expressions too", {**_EMOTION, "expressions": 7}, (0.33, 0.48, 0.40)
    ),
    "m3t-visual.multitask-voxceleb": Row(
        "as m3t-visual.multitask, from a backbone that has learnt to tell people apart",
        {**_EMOTION, "expressions": 7},
        (0.33, 0.51, 0.42),
        True,
    ),
    "m3t-concat": Row("video and sound side by side", {**_BOTH, "fusion": "concatenation"}, (0.32, 0.55, 0.44)),
    "m3t-attention": Row(
        "video and sound, weighted by attention", {**_BOTH, "fusion": "attention"}, (0.33, 0.51, 0.42)
    ),
    "m3t-attention.unbounded": Row(
        "m3t-attention whose weights can leave a stream out", {**_BOTH, "fusion": "unbounded-attention"}
    ),
    "m3t-visual.demo": Row(
        "a small m3t-visual, of another size than the paper's: to try things out on a CPU",
        {"streams": "visual", **_SMALL},
        training=_SMALL_TRAINING,
    ),
    "m3t-concat.demo": Row(
        "a small m3t-concat over m3t-visual.demo and m3t-audio: to try things out on a CPU",
        {"streams": "audio-visual", "fusion": "concatenation", **_SMALL},
        training=_SMALL_TRAINING,
    ),
}
