"""Curves of a challenge submission that cannot be right: constant, padded, filled in backwards, all of one class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from affcli.errors import some
from affcli.labels.submissions.classes import class_findings, unjudged_classes
from affcli.labels.submissions.evidence import SHORTEST
from affcli.labels.submissions.reference import reference_findings, unjudged_numbers
from affcli.labels.submissions.rows import Finding
from affcli.labels.submissions.sample import Sample

SHORTEST_GAP = 4  # frames: a line of fewer comes about by chance, where numbers are rounded
_OF_CURVES = {"swapped", "reversed", "opposite"}
_EQUAL = 1e-6  # the last digit of float32 and more


def curve_findings(
    sample: Sample, values: NDArray[np.float64], lines: NDArray[np.int64], truth: NDArray[np.float64] | None
) -> list[Finding]:
    """What is wrong with the curves: `values` float64 (n, columns), by the rows of the sample, NaN where there is none.

    `lines` int64 (n,) is where each row stands in the file; `truth`, like `values`, is what a reference says.
    """
    k = sample.form.numbers
    findings = []
    if k:
        there = [rows[lines[rows] > 0] for rows in sample.rows_of_clips()]
        clips = [rows[~np.isnan(values[rows, :k]).any(axis=1)] for rows in there]
        named = [
            (clip, rows)
            for clip, rows, every in zip(sample.clips, clips, there, strict=True)
            if _enough(len(rows), len(every))
        ]
        numbers = values[:, :k]
        findings += _constant(sample, named, numbers, lines) + _padded(named, numbers, lines)
        findings += _filled_backwards(named, numbers, lines)
    findings += _one_class(sample, values, lines)
    if truth is not None:
        findings += reference_findings(sample, values, truth, lines) + class_findings(sample, values, truth, lines)
    return findings


def unjudged(
    sample: Sample, values: NDArray[np.float64], truth: NDArray[np.float64], findings: Sequence[Finding]
) -> list[str]:
    """What the reference is too small to tell, in one line for each kind of curves: beside findings, what more."""
    kinds = {one.kind for one in findings}
    told = [unjudged_numbers(sample, values, truth, bool(kinds & _OF_CURVES))] if sample.form.numbers else []
    told += unjudged_classes(sample, values, truth, kinds)
    return [one for one in told if one]


def _enough(sound: int, rows: int) -> bool:
    """Whether rows that are in order are enough, and not the lesser part of those of the file."""
    return sound >= SHORTEST and 2 * sound >= rows


def _constant(
    sample: Sample, clips: list[tuple[str, NDArray[np.int64]]], values: NDArray[np.float64], lines: NDArray[np.int64]
) -> list[Finding]:
    findings = []
    for column, name in enumerate(sample.form.columns[: values.shape[1]]):
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


def _one_class(sample: Sample, values: NDArray[np.float64], lines: NDArray[np.int64]) -> list[Finding]:
    """Columns that say one class in every row."""
    findings, rows = [], int(np.count_nonzero(lines))
    for column, name in list(enumerate(sample.form.columns))[sample.form.numbers :]:
        at = np.flatnonzero(~np.isnan(values[:, column]))
        if _enough(len(at), rows) and np.ptp(values[at, column]) == 0:
            told = f"{name} is {values[at[0], column]:.0f} in every row"
            findings.append(Finding("one-class", int(lines[at].min()), len(at), told))
    return findings
