"""How well classes, and whether something is there, are recognised: accuracy and F1; pure NumPy.

Every measure is computed from `Confusion`: counts that add up, so that the counts of clips or shards, joined in any
order, give the same score to the last bit as all frames at once.

A class of the list that is neither in the truth nor predicted counts 0, as the Aff-Wild2 challenges count it: the list
is fixed, so that what was left out of a set of clips does not make its score better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

PRESENCE = (0, 1)  # the classes of an action unit: not there, there
WEIGHTS_2020 = {"expr": (0.67, 0.33), "au": (0.5, 0.5)}  # of F1 and of accuracy, in the first ABAW challenge


def accuracy(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Share of the n classes (n,) that are right, 0 to 1; NaN of none.

    >>> accuracy([0, 1, 1, 2], [0, 1, 2, 2])
    0.75
    """
    return Confusion.from_arrays(truth, prediction).accuracy()


def macro_f1(truth: ArrayLike, prediction: ArrayLike, classes: Sequence[int] | None = None) -> float:
    """Mean over the classes of F1 = 2 hits / (2 hits + misses + false alarms), 0 to 1; NaN of no frame.

    The measure of the expression challenges since 2021, where `classes` are all of the challenge's (`range(8)`), and
    one that never comes up counts 0.  Without `classes` they are those that come up in the truth or in the prediction,
    as in scikit-learn's `f1_score(..., average="macro")`: no score to compare over other frames.
    Raises ValueError where a value is none of `classes`.

    >>> macro_f1([0, 0, 1, 1], [0, 1, 1, 1])
    0.7333333333333334
    >>> macro_f1([0, 0, 1, 1], [0, 1, 1, 1], classes=range(3))
    0.48888888888888893
    """
    return Confusion.from_arrays(truth, prediction, classes).macro_f1()


def presence_f1(truth: ArrayLike, prediction: ArrayLike) -> float:
    """F1 = 2 hits / (2 hits + misses + false alarms) of what is there (1) or not (0) in n frames, 0 to 1; NaN of none.

    It is 0 where nothing is there, whatever is said.  The measure of an action unit in the challenges.
    Raises ValueError where a value is neither 0 nor 1.

    >>> presence_f1([0, 0, 1, 1], [0, 1, 1, 1])
    0.8
    """
    return Confusion.from_arrays(truth, prediction, PRESENCE).presence_f1()


@dataclass(frozen=True)
class Confusion:
    """How often each class was predicted as each.  `Confusion()` is of no frame, and `+` joins two sets of frames."""

    classes: tuple[int, ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()  # a row for each true class, a column for each predicted one

    @classmethod
    def from_arrays(cls, truth: ArrayLike, prediction: ArrayLike, classes: Sequence[int] | None = None) -> Confusion:
        """The counts of n frames (n,): over `classes`, or over those that come up, in order.

        Raises ValueError where the shapes differ, a class is listed twice, or a value is none of `classes`: frames
        that are not annotated (-1) are for the caller to leave out.
        """
        true, said = _checked(truth, prediction)
        listed = np.union1d(true, said) if classes is None else np.asarray(classes, np.int64)
        size, order = len(listed), np.argsort(listed)
        if len(np.unique(listed)) != size or (len(true) and not size):
            raise ValueError(f"classes {listed.tolist()}, expected at least one, each once")
        places = [_places(values, listed, order, name) for values, name in ((true, "truth"), (said, "prediction"))]
        counts = np.bincount(places[0] * size + places[1], minlength=size * size).reshape(size, size)
        return cls(tuple(listed.tolist()), tuple(map(tuple, counts.tolist())))

    def __add__(self, other: Confusion) -> Confusion:
        """Both together, over the classes of either: in their order where it is the same, or else by number."""
        if self.classes == other.classes:
            rows = zip(self.counts, other.counts, strict=True)
            return Confusion(self.classes, tuple(tuple(map(sum, zip(*pair, strict=True))) for pair in rows))
        if not self.classes or not other.classes:
            return self if self.classes else other
        classes = tuple(sorted({*self.classes, *other.classes}))
        return self._over(classes) + other._over(classes)

    def _over(self, classes: tuple[int, ...]) -> Confusion:
        """The same counts over more classes."""
        known = {
            (true, said): count
            for true, row in zip(self.classes, self.counts, strict=True)
            for said, count in zip(self.classes, row, strict=True)
        }
        return Confusion(classes, tuple(tuple(known.get((true, said), 0) for said in classes) for true in classes))

    @property
    def count(self) -> int:
        """Frames."""
        return sum(map(sum, self.counts))

    @property
    def hits(self) -> int:
        """Frames of which the class was right."""
        return sum(row[place] for place, row in enumerate(self.counts))

    def accuracy(self) -> float:
        """Share of the frames of which the class was right, 0 to 1; NaN of none."""
        return self.hits / self.count if self.count else math.nan

    def f1(self) -> tuple[float, ...]:
        """F1 of each class, 0 to 1, in the order of `classes`; 0 where it never comes up; NaN of no frame."""
        if not self.count:
            return (math.nan,) * len(self.classes)
        return tuple(class_f1(np.array(self.counts, np.float64)).tolist())

    def macro_f1(self) -> float:
        """The mean of `f1`, as the function `macro_f1`."""
        return float(np.mean(self.f1())) if self.count else math.nan

    def presence_f1(self) -> float:
        """F1 of the class 1 alone, as the function `presence_f1`: for the classes PRESENCE."""
        return self.f1()[self.classes.index(1)]

    def expression_2020(self) -> float:
        """0.67 macro F1 + 0.33 accuracy: the measure of expressions in the first ABAW challenge, 0 to 1.

        Kollias, Schulc, Hajiyev and Zafeiriou, "Analysing affective behavior in the first ABAW 2020 competition",
        IEEE FG 2020.
        """
        of_f1, of_accuracy = WEIGHTS_2020["expr"]
        return of_f1 * self.macro_f1() + of_accuracy * self.accuracy()


def class_f1(counts: ArrayLike) -> NDArray[np.float64]:
    """F1 of each class, float64 (..., c), from counts (..., c, c) of true (rows) and predicted (columns) classes.

    0 where a class never comes up.  Counts are of frames or of a bootstrap's resamples (`affcli.statistics`).
    """
    table = np.asarray(counts, np.float64)
    hits = np.diagonal(table, axis1=-2, axis2=-1)
    either = table.sum(axis=-1) + table.sum(axis=-2)  # 2 hits + misses + false alarms
    return np.asarray(np.divide(2 * hits, either, out=np.zeros_like(either), where=either > 0))


def action_units_f1(units: Sequence[Confusion]) -> float:
    """Mean of the F1 of action units, 0 to 1: the measure of the challenges since 2021.

    Each is a Confusion over PRESENCE.  A unit that is annotated and never present counts 0, one that is not annotated
    in any frame is left out; NaN of none.
    """
    return _mean([unit.presence_f1() for unit in units if unit.count])


def action_units_2020(units: Sequence[Confusion]) -> float:
    """0.5 mean F1 + 0.5 accuracy: the measure of action units in the first ABAW challenge, 0 to 1; NaN of none.

    The accuracy is that of all units and frames together.  Kollias et al. as in `Confusion.expression_2020`.
    """
    together = sum(units, Confusion())
    of_f1, of_accuracy = WEIGHTS_2020["au"]
    return of_f1 * action_units_f1(units) + of_accuracy * together.accuracy()


def multi_task(valence_ccc: float, arousal_ccc: float, expression_f1: float, action_units_f1: float) -> float:
    """The measure of the multi-task challenges: mean CCC + macro F1 of expressions + mean F1 of action units, to 3.

    Kollias, "ABAW: valence-arousal estimation, expression recognition, action unit detection & multi-task learning
    challenges", CVPR workshops 2022.
    """
    return 0.5 * (valence_ccc + arousal_ccc) + expression_f1 + action_units_f1


def _checked(truth: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both as (n,) integers.  Raises ValueError where they are of different lengths, or not whole numbers."""
    true, said = _whole(truth, "truth"), _whole(prediction, "prediction")
    if true.shape != said.shape or true.ndim != 1:
        raise ValueError(f"classes of shapes {true.shape} and {said.shape}, expected (n,) twice")
    return true, said


def _whole(values: ArrayLike, name: str) -> NDArray[np.int64]:
    """As integers.  Raises ValueError where one is not: probabilities and NaN are no classes."""
    given = np.asarray(values)
    with np.errstate(invalid="ignore"):
        whole = given.astype(np.int64)
    wrong = given[given != whole]
    if wrong.size:
        raise ValueError(f"{name} holds {wrong.flat[0]}, expected numbers of classes")
    return whole


def _places(
    values: NDArray[np.int64], listed: NDArray[np.int64], order: NDArray[np.int64], name: str
) -> NDArray[np.int64]:
    """Where each of n values stands in `listed`, which `order` sorts; ValueError where one does not."""
    if np.array_equal(listed, np.arange(len(listed))):  # the usual 0, 1, 2, ... need no search
        places = np.clip(values, 0, max(len(listed) - 1, 0))
    else:
        places = order[np.minimum(np.searchsorted(listed, values, sorter=order), len(listed) - 1)]
    bad = np.flatnonzero(listed[places] != values)
    if len(bad):
        raise ValueError(f"{name} holds {values[bad[0]]} at index {bad[0]}, expected one of {listed.tolist()}")
    return places


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
