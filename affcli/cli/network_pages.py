"""What `affcli models` tells of networks: what they read, settings, presets, and the scores that were published."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from affcli import configs
from affcli.cli import settings
from affcli.models import MODELS, Model

_COLUMNS = 100
_OF = "validation clips of Aff-Wild2, features of the paper"
LONG = ("training", "presets", "settings")  # what a page shows below the rest
_CLIPS = {
    "none": ["clips"],
    "emotion": ["clips", "emotion features"],
    "emotion-tcae": ["clips", "emotion and TCAE features"],
}
_SOUND = "one set of sound features"


def network(name: str) -> dict[str, Any]:
    """All that is known of one network, as plain values."""
    known = MODELS[name]
    return {
        "name": name,
        "kind": "network",
        "what": known.doc,
        "inputs": _inputs(known),
        "begins_with": "--init-backbone RUN" if known.backbone else None,
        "published": dict(zip(("valence", "arousal", "mean"), known.published, strict=True))
        if known.published
        else None,
        "licence": known.licence,
        "source": known.source,
        "training": dict(known.training),
        "presets": {name: {part: dict(said) for part, said in one.items()} for name, one in known.variants.items()},
        "settings": settings.described(known.config, known.settings()),
    }


def _inputs(known: Model) -> str:
    """What a network reads, in words."""
    config = known.settings()
    if isinstance(config, configs.M3t):
        seen = _CLIPS[config.static] if config.streams != "audio" else []
        return ", ".join([*seen, *([_SOUND] if config.streams != "visual" else [])])
    if isinstance(config, configs.M3tIdentity):
        return "clips"
    return f"one set of {known.modality} features" if known.modality else "any sets of audio, face, pose features"


def table(networks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Two lines for each network: name, published CCC and inputs in columns, and what it is."""
    rows = [("NETWORK", "CCC", "INPUTS"), *((row["name"], ccc(row["published"]), row["inputs"]) for row in networks)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first, *others = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    lines = [first]
    for line, row in zip(others, networks, strict=True):
        lines += [line, f"    {row['what']}"]
    return [*lines, "", f"CCC: valence/arousal/mean, published ({_OF})"]


def ccc(published: Mapping[str, float] | None) -> str:
    """Scores as papers print them; "" where there are none.

    >>> ccc({"valence": 0.14, "arousal": 0.2, "mean": 0.175})
    '.14/.20/.175'
    """
    return "/".join(f"{one:.3f}".removesuffix("0").removeprefix("0") for one in (published or {}).values())


def published(scores: Mapping[str, float]) -> str:
    """Scores in words."""
    return f"CCC of {', '.join(f'{name} {ccc({name: one})}' for name, one in scores.items())} ({_OF})"


def page(described: Mapping[str, Any]) -> list[str]:
    """The lines that show settings, defaults of training and presets of a network to people."""
    lines = []
    if described["training"]:
        lines += ["", "trained by default with:", *_wrapped(_options(described["training"], {}))]
    if described["presets"]:
        lines += ["", "presets, and what each sets:"]
    for name, one in described["presets"].items():
        lines += _wrapped(f"--preset {name}: {_options(one['training'], one['network'])}")
    return [*lines, "", "settings, each as --set NAME=VALUE:", *settings.page(described["settings"], "{}={}".format)]


def _options(training: Mapping[str, Any], network: Mapping[str, Any]) -> str:
    options = [f"{settings.flag(name)} {settings.shown(value)}" for name, value in training.items()]
    return " ".join(options + [f"--set {name}={settings.shown(value)}" for name, value in network.items()])


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _COLUMNS, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)
