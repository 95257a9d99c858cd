"""What the formats of `affcli export-labels` hold of labels: which clips have any of it, and what of them is lost."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from affcli.cli.export_options import Export
from affcli.cli.own_tables import PREDICTED
from affcli.errors import InputError, some
from affcli.schemas import DIMENSIONS

if TYPE_CHECKING:
    from affcli.labels.affect import Affect

log = logging.getLogger(__name__)

_BOTH = ("affwild2-va", "afew-va")  # formats of which a frame needs valence and arousal


def fitting(clips: Sequence[Affect], how: Export, source: Path) -> list[Affect]:
    """The clips that have anything to write, without what the user lets go; others are said.

    Raises InputError where none has.
    """
    import numpy as np

    from affcli.labels.affect import UNKNOWN

    made: list[Affect] = []
    dropped = 0
    for affect in clips:
        if how.drop_other and affect.expression is not None:
            others = affect.expression >= how.classes
            dropped += int(others.sum())
            affect = dataclasses.replace(
                affect, expression=np.where(others, UNKNOWN, affect.expression).astype(np.int8)
            )
        made.append(affect)
    if dropped:
        log.warning("%d frames of class Other are written as not annotated (--drop-other)", dropped)
    kept = [affect for affect in made if _has_any(affect, how)]
    held = {
        "affwild2-expr": "expressions",
        "affwild2-au": f"action units of these {len(how.units)}",
        "abaw-mtl": "labels",
    }
    what = held.get(how.name) or " and ".join(how.dimensions)
    if not kept:
        raise InputError(
            source,
            f"has no {what} in any of {len(clips)} clip{'s' * (len(clips) != 1)}",
            expected=f"labels for {how.described()}",
            advice="choose another --format, or import these labels first",
        )
    names = {affect.clip for affect in kept}
    if left := [affect.clip for affect in clips if affect.clip not in names]:
        log.warning("left out, without %s: %s", what, some(left))
    return kept


def tell_losses(clips: Sequence[Affect], how: Export) -> None:
    """Say what the clips have and the format cannot hold."""
    from affcli.labels.writing import known_classes

    if predicted := [affect.clip for affect in clips if (affect.recipe or {}).get("step") in PREDICTED]:
        log.warning("predictions, not labels, which the files do not say: %s", some(predicted))
    held, found = _columns(how), known_classes(clips)
    lost = ["expressions"] * ("expression" in found and "expression" not in held)
    holds_units = any(name != "expression" for name in held)
    if units := [name.upper() for name in found if name not in (*held, "expression")]:
        lost.append(f"action units {', '.join(units)}" if holds_units else "action units")
    if not how.plain_csv and any(affect.std is not None for affect in clips):
        lost.append("standard deviations")
    others = [name for name in DIMENSIONS if name not in how.dimensions]
    if curves := [name for name in others if any(known(affect, name) for affect in clips)]:
        lost.append(" and ".join(curves))
    if lost:
        log.warning("left out of %s: %s", how.name, "; ".join(lost))
    if holds_units and (missing := [name for name in held if name not in found]):
        named = (name if name == "expression" else name.upper() for name in missing)
        log.warning("nowhere annotated, written as -1: %s", ", ".join(named))
    _tell_of_affect(clips, how)


def _tell_of_affect(clips: Sequence[Affect], how: Export) -> None:
    """Say where valence and arousal are not written as they are."""
    import numpy as np

    from affcli.labels.writing import omg_place

    halves = sum(int((np.isnan(one.valence) != np.isnan(one.arousal)).sum()) for one in clips)
    if halves and how.name in _BOTH:
        log.warning("%d frames have valence or arousal alone, and are written as not annotated", halves)
    if how.split:
        for name in DIMENSIONS:
            if without := [affect.clip for affect in clips if not known(affect, name)]:
                log.warning("no file of %s, which is nowhere annotated: %s", name, some(without))
    if how.name == "omg":
        if varying := [affect.clip for affect in clips if _varies(affect)]:
            log.warning("labels vary within %s: the mean of each clip is written", some(varying))
        if renamed := [affect.clip for affect in clips if "_".join(omg_place(affect.clip)) != affect.clip]:
            log.warning("no VIDEO_UTTERANCE, written as the first utterance of a video: %s", some(renamed))


def known(affect: Affect, dimension: str) -> bool:
    """Whether any frame of the clip has valence, or arousal, as `dimension` says."""
    import numpy as np

    return not bool(np.isnan(getattr(affect, dimension)).all())


def _columns(how: Export) -> tuple[str, ...]:
    """The columns of expression and action units that the format holds."""
    from affcli.labels.multitask import UNITS

    if how.name == "abaw-mtl":
        return ("expression", *UNITS)
    return ("expression",) if how.name == "affwild2-expr" or how.plain_csv else how.units


def _has_any(affect: Affect, how: Export) -> bool:
    """Whether there is anything in a clip that the format holds."""
    from affcli.labels.affect import UNKNOWN
    from affcli.labels.writing import classes_of

    if how.name in _BOTH:
        return bool(affect.valid.any())
    if any(known(affect, name) for name in how.dimensions):
        return True
    columns = _columns(how)
    return bool(columns) and bool((classes_of(affect, columns) != UNKNOWN).any())


def _varies(affect: Affect) -> bool:
    """Whether valence or arousal is not one and the same in all annotated frames of a clip."""
    import numpy as np

    curves = (getattr(affect, name) for name in DIMENSIONS)
    return any(np.nanmin(curve) != np.nanmax(curve) for curve in curves if not np.isnan(curve).all())
