"""The classes of a challenge submission beside a reference: in another order, inverted, or the least probable ones.

Agreement of expressions is the share of rows whose class is the same, of action units the phi coefficient.  Something
is said only where it cannot well be chance: since classes stay for many frames, it is runs of one class that count.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np
from numpy.typing import NDArray

from affcli.errors import some
from affcli.labels.affect import EXPRESSIONS
from affcli.labels.submissions.evidence import (
    FEW,
    LONG,
    SHORTEST,
    TELLING,
    clear_classes,
    overwhelming_classes,
    runs,
    unlike,
)
from affcli.labels.submissions.rows import Finding
from affcli.labels.submissions.sample import Sample

_ROWS_AT_ONCE = 1 << 15
UNLIKE = 7.0  # runs of one length that are enough for a few clips, where nine tenths agree and a fourth would by chance
SURE = 0.9  # agreement of any other numbering, which is chosen to agree
CHANCE_ERRORS = 3.0  # by how many standard errors agreement must be below chance, and less than half of it
# Other orders of classes that networks have, by the name of the class in the order of the challenge.
ORDERS = {
    "the alphabet": ("Anger", "Disgust", "Fear", "Happiness", "Neutral", "Other", "Sadness", "Surprise"),
    # Mollahosseini et al., "AffectNet", 2017, https://arxiv.org/abs/1708.03985; its eighth is contempt.
    "AffectNet": ("Neutral", "Happiness", "Sadness", "Surprise", "Fear", "Disgust", "Anger", "Other"),
    # Goodfellow et al., "Challenges in Representation Learning", 2013, https://arxiv.org/abs/1307.0414; it has seven.
    "FER2013": ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Neutral", "Other"),
}


def class_findings(
    sample: Sample, values: NDArray[np.float64], truth: NDArray[np.float64], lines: NDArray[np.int64]
) -> list[Finding]:
    """What agrees with `truth` better another way: both float64 (n, columns), by the rows of the sample, NaN unknown.

    `lines` int64 (n,) is where each row stands in its file.
    """
    columns = sample.form.columns
    findings = []
    if "expression" in columns:
        place = columns.index("expression")
        findings += _expressions(sample, values[:, place], truth[:, place], lines)
    units = [i for i, name in enumerate(columns) if i >= sample.form.numbers and name != "expression"]
    if units:
        findings += _action_units([columns[i] for i in units], values[:, units], truth[:, units], lines)
    return findings


def _expressions(
    sample: Sample, values: NDArray[np.float64], truth: NDArray[np.float64], lines: NDArray[np.int64]
) -> list[Finding]:
    """Classes that are those of the reference in another order; or hardly ever those of the reference."""
    at = np.flatnonzero(~(np.isnan(values) | np.isnan(truth)))
    if len(at) < SHORTEST:
        return []
    said, true = values[at].astype(np.int64), truth[at].astype(np.int64)
    counts = np.zeros((len(EXPRESSIONS), len(EXPRESSIONS)))
    np.add.at(counts, (said, true), 1 / len(at))
    equal, chance = float(counts.trace()), float(counts.sum(axis=1) @ counts.sum(axis=0))
    line = int(lines[at].min())
    orders = _orders(sample.form.highest + 1)
    agreed = {
        name: float(sum(counts[number, true_class] for number, true_class in enumerate(order)))
        for name, order in orders.items()
    }
    best = max(agreed, key=agreed.__getitem__)
    far = _far_better(sample, values, truth, np.array(orders[best]))
    there = np.unique(said).tolist()
    likely = counts[there].argmax(axis=1).tolist()  # the class that each number mostly is in the reference
    one_to_one = float(counts[there, likely].sum())
    if len(set(likely)) == len(there) and one_to_one >= SURE and one_to_one > agreed[best] + 1e-9:
        best = "numbered otherwise, " + some(f"{a} for {b}" for a, b in zip(there, likely, strict=True) if a != b)
        agreed[best], far = one_to_one, False
    if far or clear_classes(agreed[best] - equal, said, true):
        told = (
            f"the classes seem to be {best}: {equal:.1%} of them are those of the reference, "
            f"{agreed[best]:.1%} if that is undone"
        )
        return [Finding("class-order", line, len(at), told)]
    error = (chance * (1 - chance) / runs(said, true)) ** 0.5
    if equal < chance / 2 and chance - equal >= CHANCE_ERRORS * error:
        told = f"{equal:.1%} of the classes are those of the reference, {chance:.1%} by chance"
        told += ": is it argmin for argmax?"
        return [Finding("below-chance", line, len(at), told)]
    return []


def _far_better(
    sample: Sample, values: NDArray[np.float64], truth: NDArray[np.float64], order: NDArray[np.int64]
) -> bool:
    """Whether the classes agree so much better in another order that a few clips tell."""
    said, true, place = _known(sample, np.concatenate(sample.rows_of_clips()), values, truth)
    count = np.bincount(place, minlength=len(sample.clips))
    share = [
        np.bincount(place, equal, len(count)) / np.maximum(count, 1) for equal in (said == true, order[said] == true)
    ]
    of = [np.bincount(x, minlength=len(order)) / len(said) for x in (order[said], true)]
    return overwhelming_classes(share[0], share[1], count, float(of[0] @ of[1]), unlike(said, true, place))


def _known(
    sample: Sample, rows: NDArray[np.int64], values: NDArray[np.float64], truth: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """The classes of those of the `rows` that have one on both sides, and their clips."""
    at = rows[~(np.isnan(values) | np.isnan(truth))[rows]]
    return values[at].astype(np.int64), truth[at].astype(np.int64), sample.place[at]


def unjudged_classes(
    sample: Sample, values: NDArray[np.float64], truth: NDArray[np.float64], kinds: Container[str] = ()
) -> list[str]:
    """Why the reference cannot tell how classes stand, but for the `kinds` found; nothing where it can, or they agree.

    Expressions have one order, of which class-order says all; action units may be swapped and inverted, each by itself.
    """
    columns, rows = sample.form.columns, np.concatenate(sample.rows_of_clips())
    told, changes = [], {}
    for place, name in list(enumerate(columns))[sample.form.numbers :]:
        said, true, of = _known(sample, rows, values[:, place], truth[:, place])
        count = runs(said, true) if len(said) >= SHORTEST else 0
        if len(said) >= SHORTEST and np.mean(said == true) >= SURE:
            count = TELLING
        if name != "expression":
            changes[name] = count
            continue
        long = int((np.bincount(of, minlength=1) >= LONG).sum())
        if "class-order" not in kinds and count < TELLING and (long < FEW or unlike(said, true, of) < UNLIKE):
            told.append(
                f"the reference has {long} clip{'s' * (long != 1)} of {LONG} frames or more, and {count} runs of one "
                f"class, of the submission: too few to tell another order of classes by, expected {FEW} clips of "
                f"several classes, or {TELLING} runs"
            )
    if changes and max(changes.values()) < TELLING:
        more = "more of " * ("column-order" in kinds or "inverted" in kinds)
        told.append(
            f"the reference has at most {max(changes.values())} runs of one value of an action unit of the submission: "
            f"too few to tell {more}swapped or inverted units by, expected {TELLING}"
        )
    return told


def _orders(classes: int) -> dict[str, list[int]]:
    """For each order that the first `classes` may have been in, which class each number then means."""
    here, orders = EXPRESSIONS[:classes], {}
    for shift in range(1, classes):
        name = f"moved on by {shift}" if shift <= classes // 2 else f"moved back by {classes - shift}"
        orders[name] = [(number - shift) % classes for number in range(classes)]
    for name, order in ORDERS.items():
        orders[f"in the order of {name}"] = [here.index(one) for one in order if one in here]
    return orders


def _action_units(
    names: Sequence[str], values: NDArray[np.float64], truth: NDArray[np.float64], lines: NDArray[np.int64]
) -> list[Finding]:
    """Action units that are present where the reference has them absent, or that stand in each other's columns."""
    count = len(names)
    phi = _phi(values, truth)
    first = int(lines[lines > 0].min(initial=np.iinfo(np.int64).max))  # the columns are wrong from the first row on
    findings, inverted = [], []
    for place in range(count):
        at = ~(np.isnan(values[:, place]) | np.isnan(truth[:, place]))
        if clear_classes(-phi[place, place], values[at, place], truth[at, place]):
            inverted.append(place)
    # In the column of another, where each of the two is the other's best, and it is not one pair alone.
    elsewhere = []
    for place in range(count):
        best = int(phi[place].argmax())
        at = ~(np.isnan(values[:, place]) | np.isnan(truth[:, best]))
        mutual = best != place and int(phi[:, best].argmax()) == place
        if mutual and clear_classes(phi[place, best] - max(phi[place, place], 0.0), values[at, place], truth[at, best]):
            elsewhere.append((place, best))
    if len(elsewhere) > 1:
        told = "action units in the columns of others, by the reference (phi there, and as they are): " + some(
            f"{names[place]} holds {names[best]} ({phi[place, best]:.2f}, {phi[place, place]:.2f})"
            for place, best in elsewhere
        )
        findings.append(Finding("column-order", first, len(elsewhere), told))
    elif inverted:
        told = "action units that seem to be inverted, 0 for 1, by the reference (phi): " + some(
            f"{names[place]} ({phi[place, place]:.2f})" for place in inverted
        )
        findings.append(Finding("inverted", first, len(inverted), told))
    return findings


def _phi(values: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """The phi coefficient of each column of zeros and ones with each of the other, (k, k), over the rows with both.

    Where a column is constant, or both have fewer than SHORTEST rows, it is 0.
    """
    k = values.shape[1]
    rows, both, said, true = np.zeros((4, k, k))  # counts, which are exact
    for start in range(0, len(values), _ROWS_AT_ONCE):
        one, other = (x[start : start + _ROWS_AT_ONCE] for x in (values, truth))
        here, there = (~np.isnan(x) * 1.0 for x in (one, other))
        ones, true_ones = np.nan_to_num(one), np.nan_to_num(other)
        rows, both = rows + here.T @ there, both + ones.T @ true_ones
        said, true = said + ones.T @ there, true + here.T @ true_ones
    spread = said * (rows - said) * true * (rows - true)
    known = (rows >= SHORTEST) & (spread > 0)
    return np.where(known, (rows * both - said * true) / np.sqrt(np.where(known, spread, 1.0)), 0.0)
