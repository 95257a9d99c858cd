"""Which of the feature sets at hand M3T reads as what: the sound, the emotion features, those of TCAE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from affcli.configs import M3t
from affcli.errors import UsageError

TCAE = "tcae"  # how the name of an encoder of facial actions begins


class Input(Protocol):
    """What a network must know of a feature set."""

    @property
    def width(self) -> int:
        """Numbers per frame."""

    @property
    def modality(self) -> str:
        """face, audio or pose."""


def roles(config: M3t, sets: Mapping[str, Input]) -> dict[str, str]:
    """The encoder of each of the features that the network of `config` reads beside its clips: by role.

    Roles are audio, emotion and tcae.  An encoder that `config` names is taken; else the only one it can be.  Raises
    UsageError where there is none, or where several could be meant.
    """
    wanted = ["audio"] if config.streams != "visual" else []
    if config.streams != "audio":
        wanted += {"none": [], "emotion": ["emotion"], "emotion-tcae": ["emotion", "tcae"]}[config.static]
    of_sound = [name for name, one in sets.items() if one.modality == "audio"]
    of_faces = [name for name, one in sets.items() if one.modality == "face" and name != config.tcae]
    actions = [name for name in of_faces if name.startswith(TCAE)]
    others = [name for name in of_faces if name not in actions] if "tcae" in wanted else of_faces
    fitting = {"audio": of_sound, "emotion": others, "tcae": actions}
    return {role: _chosen(role, getattr(config, role), fitting[role], sets) for role in wanted}


def _chosen(role: str, named: str, fitting: list[str], sets: Mapping[str, Input]) -> str:
    what = {"audio": "sound", "emotion": "faces", "tcae": "faces whose name begins with tcae"}[role]
    if named:
        if named in sets:
            return named
        raise UsageError(
            f"--set {role}={named}",
            "is no feature set of the windows",
            expected=f"one of {', '.join(sets) or 'none'}",
            advice="check the name, or cut windows with these features too: affcli window",
        )
    if len(fitting) == 1:
        return fitting[0]
    have = ", ".join(f"{name} ({one.modality})" for name, one in sets.items()) or "none"
    raise UsageError(
        f"{role} features",
        f"could be any of {', '.join(fitting)}" if fitting else f"are not among those of the windows: {have}",
        expected=f"one set of features of {what}",
        advice=f"name it: --set {role}=ENCODER"
        if fitting
        else "make them: affcli embed; then cut windows with them too",
    )
