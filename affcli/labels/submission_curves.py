"""Curves of a challenge submission that cannot be right: constant, padded, swapped, or turned round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.errors import some
from affcli.labels.submissions import Sample

SHORTEST = 10  # rows of a clip, or of a file, below which a curve tells nothing
# Pearson correlation with the reference, mean of valence and arousal, from which on a curve is said to be turned round,
# and by how much it is then better than as it stands. Slow curves correlate by chance, however long they are: of pairs
# of random walks of 10 steps, 7 in 10,000 agree so well backwards.
AGREES, BETTER = 0.9, 0.5
SHORTEST_GAP = 4  # frames: a line of fewer comes about by chance, where numbers are rounded
_EQUAL = 1e-6  # the last digit of float32 and more


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind, the first line of the file it is in (from 1), how often, and what it is."""

    kind: str
    line: int
    count: int
    message: str


def curve_findings(
    sample: Sample, values: NDArray[np.float64], lines: NDArray[np.int64], truth: NDArray[np.float64] | None
) -> list[Finding]:
    """What is wrong with the curves: `values` float64 (n, columns), by the rows of the sample, NaN where there is none.

    `lines` int64 (n,) is where each row stands in the file; `truth`, like `values`, is what a reference says.
    """
    clips = [rows[~np.isnan(values[rows]).any(axis=1)] for rows in sample.rows_of_clips()]
    named = [(clip, rows) for clip, rows in zip(sample.clips, clips, strict=True) if len(rows) >= SHORTEST]
    if sample.form.task != "va":
        findings = _one_class(sample, values, lines)
        return findings if truth is None else findings + _below_chance(values, truth, lines)
    findings = _constant(sample, named, values, lines) + _padded(named, values, lines)
    findings += _filled_backwards(named, values, lines)
    return findings if truth is None else findings + _turned(named, values, truth, lines)


def _constant(
    sample: Sample, clips: list[tuple[str, NDArray[np.int64]]], values: NDArray[np.float64], lines: NDArray[np.int64]
) -> list[Finding]:
    findings = []
    for column, name in enumerate(sample.form.columns):
        still = [(clip, rows) for clip, rows in clips if np.ptp(values[rows, column]) == 0]
        if still:
            told = f"clips whose {name} never changes: {some(clip for clip, _ in still)}"
            findings.append(Finding("constant", min(int(lines[rows[0]]) for _, rows in still), len(still), told))
    return findings


def _padded(
    clips: list[tuple[str, NDArray[np.int64]]], values: NDArray[np.float64], lines: NDArray[np.int64]
) -> list[Finding]:
    """Clips that end in one row again and again, more than twice as often as any row within them is repeated.

    Rounded curves have equal neighbours everywhere; those of networks have none, so that one repetition tells.
    """
    found, repeated = [], 0
    for clip, rows in clips:
        changes = np.flatnonzero((values[rows[1:]] != values[rows[:-1]]).any(axis=1)) + 1
        if not len(changes):
            continue  # constant, which has been told
        edges = np.concatenate(([0], changes, [len(rows)]))
        *within, last = (np.diff(edges) - 1).tolist()
        if last > 2 * max(within):
            repeated += last
            found.append((clip, int(lines[rows[len(rows) - last]])))
    if not found:
        return []
    told = f"rows that repeat the last one of their clip to its end: {some(clip for clip, _ in found)}"
    return [Finding("padding", min(line for _, line in found), repeated, told)]


def _filled_backwards(
    clips: list[tuple[str, NDArray[np.int64]]], values: NDArray[np.float64], lines: NDArray[np.int64]
) -> list[Finding]:
    """Gaps that were interpolated with the weights of both ends changed over.

    Between the values a and b at its ends, such a gap runs in a line from next to b to next to a: one step further
    it would come to a, and one step back to b.
    """
    found: list[tuple[str, int]] = []
    for clip, rows in clips:
        for x in values[rows].T:
            even = np.abs(np.diff(x, 2)) <= _EQUAL
            edges = np.flatnonzero(np.diff(np.concatenate(([False], even, [False])).astype(np.int8)))
            first, last = edges[::2], edges[1::2] + 1  # of the values on each line
            whole = (last - first + 1 >= SHORTEST_GAP) & (first > 0) & (last < len(x) - 1)
            first, last = first[whole], last[whole]
            step = (x[last] - x[first]) / (last - first)
            onward, back = np.abs(x[last] + step - x[first - 1]), np.abs(x[first] - step - x[last + 1])
            wrong = (np.abs(step) > _EQUAL) & (onward <= _EQUAL) & (back <= _EQUAL)
            found += [(clip, int(line)) for line in lines[rows[first[wrong]]]]
    if not found:
        return []
    said = "gaps that are filled in backwards, as by interpolation with its weights changed over"
    told = f"{said}: {some(dict.fromkeys(clip for clip, _ in found))}"
    return [Finding("reversed-interpolation", min(line for _, line in found), len(found), told)]


def _turned(
    clips: list[tuple[str, NDArray[np.int64]]],
    values: NDArray[np.float64],
    truth: NDArray[np.float64],
    lines: NDArray[np.int64],
) -> list[Finding]:
    """Columns, or curves of clips, that agree with the reference better when they are turned back."""
    findings = []
    known = np.flatnonzero(~(np.isnan(values).any(axis=1) | np.isnan(truth).any(axis=1)))
    if len(known) >= SHORTEST:
        straight = _agreement(values[known], truth[known])
        crossed = _agreement(values[known][:, ::-1], truth[known])
        # Two curves that go together agree crossed, too: what counts is the part of what lacks to 1.
        if crossed > straight + 0.1 * (1 - straight):
            told = (
                "valence and arousal seem to be swapped: correlation with the reference, mean of both, "
                f"{straight:.2f} as they are and {crossed:.2f} the other way round"
            )
            findings.append(Finding("swapped", int(lines[known[0]]), len(known), told))
            values = values[:, ::-1]
    backwards, opposite = [], []
    for clip, rows in clips:
        both = rows[~np.isnan(truth[rows]).any(axis=1)]
        if len(both) < SHORTEST:
            continue
        forward, back = (_agreement(curve, truth[both]) for curve in (values[both], values[both][::-1]))
        if back >= AGREES and back > forward + BETTER:
            backwards.append((clip, int(lines[both[0]])))
        elif forward <= -AGREES:
            opposite.append((clip, int(lines[both[0]])))
    for kind, found, said in (
        ("reversed", backwards, "clips whose curves run backwards in time"),
        ("opposite", opposite, "clips whose curves have the opposite sign"),
    ):
        if found:
            told = f"{said}, by the reference: {some(clip for clip, _ in found)}"
            findings.append(Finding(kind, min(line for _, line in found), len(found), told))
    return findings


def _agreement(values: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Pearson correlation with the reference, (k, 2) each, mean of the columns; a constant one has 0."""
    a, b = values - values.mean(axis=0), truth - truth.mean(axis=0)
    spread = np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
    steady = (np.ptp(values, axis=0) == 0) | (np.ptp(truth, axis=0) == 0)
    return float(np.where(steady, 0.0, (a * b).sum(axis=0) / np.where(steady, 1.0, spread)).mean())


def _one_class(sample: Sample, values: NDArray[np.float64], lines: NDArray[np.int64]) -> list[Finding]:
    """Columns that say one class in every row."""
    findings = []
    for column, name in enumerate(sample.form.columns):
        at = np.flatnonzero(~np.isnan(values[:, column]))
        if len(at) >= SHORTEST and np.ptp(values[at, column]) == 0:
            told = f"{name} is {values[at[0], column]:.0f} in every row"
            findings.append(Finding("one-class", int(lines[at].min()), len(at), told))
    return findings


def _below_chance(values: NDArray[np.float64], truth: NDArray[np.float64], lines: NDArray[np.int64]) -> list[Finding]:
    """Classes that agree with the reference less than half as often as the same classes in any order would."""
    at = np.flatnonzero(~(np.isnan(values[:, 0]) | np.isnan(truth[:, 0])))
    if len(at) < SHORTEST:
        return []
    said, true = (np.bincount(x[at, 0].astype(np.int64), minlength=8) / len(at) for x in (values, truth))
    chance = float(said @ true)
    equal = float((values[at, 0] == truth[at, 0]).mean())
    if not equal < chance / 2:
        return []
    told = f"{equal:.1%} of the classes are those of the reference, {chance:.1%} by chance: is it argmin for argmax?"
    return [Finding("below-chance", int(lines[at].min()), len(at), told)]
