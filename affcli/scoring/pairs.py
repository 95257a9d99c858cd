"""Truth and predictions side by side: clips matched by name, lengths made equal, missing predictions filled in."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError, SchemaError, UsageError, some
from affcli.labels.affect import ACTION_UNITS, DIMENSIONS, UNKNOWN, Affect, origin
from affcli.labels.filling import MISSING, filled

log = logging.getLogger(__name__)

# What is compared under each mask: valence and arousal, expressions, action units.
COLUMNS = {"joint": DIMENSIONS, "each": DIMENSIONS, "expr": ("expression",), "au": tuple(ACTION_UNITS)}


ALIGN = ("crop", "pad")
CHOICES: dict[str, tuple[str | None, ...]] = {
    "task": ("expr", "au"),
    "missing": MISSING,
    "align": (None, *ALIGN),
    "mask": ("joint", "each"),
    "formula": ("2021", "2020"),  # since 2021 F1 alone; 2020 F1 and accuracy, weighted
}


def require_known(**chosen: str | None) -> None:
    """Raise UsageError where a value is none of CHOICES."""
    for name, value in chosen.items():
        if value not in CHOICES[name]:
            expected = ", ".join(choice for choice in CHOICES[name] if choice)
            raise UsageError(f"{name}={value}", "is unknown", expected=expected, advice="choose one")


def known(clip: Affect, name: str) -> NDArray[np.bool_]:
    """Where a dimension, the expression or an action unit is known: (n,)."""
    if name in DIMENSIONS:
        return np.asarray(~np.isnan(getattr(clip, name)))
    values = clip.expression if name == "expression" else clip.action_units.get(name)
    return np.zeros(len(clip), np.bool_) if values is None else values != UNKNOWN


def annotated(clip: Affect, mask: str) -> NDArray[np.bool_]:
    """Where a frame counts, (n,): with `mask` "joint" both dimensions are known there, with others any of COLUMNS."""
    if mask == "joint":
        return clip.valid
    found = np.zeros(len(clip), np.bool_)
    for name in COLUMNS[mask]:
        found |= known(clip, name)
    return found


@dataclass(frozen=True)
class Pair:
    """One clip's truth and prediction, of equal length, and the annotated frames before lengths were made equal."""

    truth: Affect
    prediction: Affect
    annotated: int
    mask: str  # of COLUMNS

    def compared(self, name: str) -> NDArray[np.bool_]:
        """Where one dimension, the expression or one action unit is compared: (n,)."""
        return self.truth.valid if self.mask == "joint" else known(self.truth, name)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where a frame is annotated and not predicted: (n,)."""
        if self.mask == "joint":
            return self.truth.valid & ~self.prediction.valid
        lacks = np.zeros(len(self.truth), np.bool_)
        for name in COLUMNS[self.mask]:
            lacks |= self.compared(name) & ~known(self.prediction, name)
        return lacks

    def predictions(self, missing: str) -> dict[str, NDArray[np.float64]]:
        """Valence and arousal as predicted, (n,) each, filled in as `missing` says where annotated frames lack them."""
        values = {name: getattr(self.prediction, name) for name in DIMENSIONS}
        if not self.missing.any():
            return values
        needed = {name for name in DIMENSIONS if (self.compared(name) & np.isnan(values[name])).any()}
        return {
            name: _filled(column, missing, self.prediction) if name in needed else column
            for name, column in values.items()
        }

    def predicted_class(self, name: str, missing: str) -> NDArray[np.int8]:
        """The expression or one action unit as predicted, int8 (n,), filled in as `missing` says where it lacks.

        "interpolate" takes the nearest, the earlier of two.  Frames that are not compared may be -1.
        """
        values = self.prediction.classes().get(name, np.full(len(self.prediction), UNKNOWN, np.int8))
        if not (self.compared(name) & (values == UNKNOWN)).any():
            return values
        numbers = np.where(values == UNKNOWN, np.nan, values.astype(np.float64))
        return _filled(numbers, missing, self.prediction, classes=True).astype(np.int8)


def matched(truth: list[Affect], prediction: list[Affect], mask: str = "joint") -> list[tuple[Affect, Affect]]:
    """Each clip that has an annotated frame, with its prediction.

    Two lone files belong together whatever they are called.  Raises InputError where a clip has no prediction.
    """
    if len(truth) == len(prediction) == 1 and not (truth[0].named and prediction[0].named):
        # A lone CSV without a column clip is named after its file, which says little.
        if (truth[0].named or prediction[0].named) and truth[0].clip != prediction[0].clip:
            log.warning("clip '%s' is compared with clip '%s'", prediction[0].clip, truth[0].clip)
        return [(truth[0], prediction[0])]
    predicted = {clip.clip: clip for clip in prediction}
    wanted = [clip for clip in truth if annotated(clip, mask).any()]
    lacking = [clip.clip for clip in wanted if clip.clip not in predicted]
    if len(lacking) == len(wanted):
        raise InputError(
            origin(prediction),
            f"has no clip in common with the ground truth (predicted: {some([*predicted]) or 'none'})",
            expected=f"clips {some(lacking)}",
            advice="name the clips alike: by the column clip, or else by the file's name",
        )
    if lacking:
        raise InputError(
            origin(prediction),
            f"lacks {len(lacking)} of {len(wanted)} clips: {some(lacking)}",
            expected="every annotated clip",
            advice="predict them, or leave them out of the ground truth; were the arguments swapped?",
        )
    extra = predicted.keys() - {clip.clip for clip in truth}
    if extra:
        log.warning(
            "%s: predicted clips that are not in the ground truth are left out: %s",
            *(origin(prediction), some(sorted(extra))),
        )
    return [(clip, predicted[clip.clip]) for clip in wanted]


def pertinent(truth: Sequence[Affect], prediction: Sequence[Affect]) -> list[Affect]:
    """What `matched` takes of predictions that it has matched before, named as the truth: it need not warn again."""
    if len(truth) == len(prediction) == 1:
        return [dataclasses.replace(prediction[0], clip=truth[0].clip)]
    names = {clip.clip for clip in truth}
    return [clip for clip in prediction if clip.clip in names]


def aligned(pairs: list[tuple[Affect, Affect]], align: str | None, mask: str = "joint") -> list[Pair]:
    """The pairs with lengths made equal as `align` says.  Raises SchemaError where it is None and they are not."""
    unequal = [(t, p) for t, p in pairs if len(t) != len(p)]
    if unequal and align is None:
        t, p = unequal[0]
        others = f" (and {len(unequal) - 1} other clip{'s' * (len(unequal) > 2)})" if len(unequal) > 1 else ""
        raise SchemaError(
            p.source or "predictions",
            f"clip '{p.clip}' has {len(p)} frames{others}",
            expected=f"{len(t)} as in {t.source or 'the ground truth'}",
            advice="predict every decoded frame, or choose --align crop or --align pad",
        )
    equal = []
    for t, p in pairs:
        length = min(len(t), len(p)) if align == "crop" else len(t)
        count = int(np.count_nonzero(annotated(t, mask)))
        equal.append(Pair(t.resized(length), p.resized(length), count, mask))
    return equal


def nothing_compared(pairs: list[Pair]) -> InputError:
    """What to say where what --align crop leaves is nowhere annotated."""
    return InputError(
        pairs[0].truth.source,
        "has no annotated frame within the length of the predictions",
        advice="check that the predictions are whole",
    )


def require_predictions(pairs: list[Pair]) -> None:
    """Raise InputError where an annotated frame is not predicted, with their number."""
    lacking = [(pair, np.flatnonzero(pair.missing)) for pair in pairs if pair.missing.any()]
    if not lacking:
        return
    pair, frames = lacking[0]
    count = sum(len(frames) for _, frames in lacking)
    swapped = (
        "" if any((~annotated(pair.truth, pair.mask)).any() for pair in pairs) else "; were the arguments swapped?"
    )
    raise InputError(
        pair.prediction.source or "predictions",
        f"{count} of {sum(pair.annotated for pair in pairs)} annotated frames have no prediction "
        f"(first: clip '{pair.truth.clip}', frame {frames[0]})",
        expected="a value for every annotated frame",
        advice=f"--missing hold, interpolate or zero fills them{swapped}",
    )


def _filled(
    values: NDArray[np.float64], missing: str, prediction: Affect, *, classes: bool = False
) -> NDArray[np.float64]:
    """`values`, (n,), with NaN filled in as `missing` says.  Raises InputError where there is nothing to fill from."""
    if missing != "zero" and np.isnan(values).all():
        raise InputError(
            prediction.source or "predictions",
            f"clip '{prediction.clip}' has no prediction at all",
            expected=f"something to {missing}",
            advice="predict it, or use --missing zero",
        )
    return filled(values, missing, classes=classes)
