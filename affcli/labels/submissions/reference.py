"""A challenge submission beside predictions or labels of the same clips: what agrees better another way round.

Agreement is Pearson's correlation.  Something is said only where it cannot well be chance, as `evidence` tells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError, UsageError, some
from affcli.labels.affect import UNKNOWN, Affect, distinct
from affcli.labels.submissions.evidence import CLIPS, FEW, FEW_AGREE, LONG, SHORTEST, clear, overwhelming
from affcli.labels.submissions.rows import Finding
from affcli.labels.submissions.sample import Sample

Clips = list[tuple[str, NDArray[np.int64]]]

# Of one clip: correlation, mean of valence and arousal, from which on it is said to be turned round, and by how much
# that is then better. Of pairs of random walks of 10 steps, 1 in 10,000 agrees so well by chance; of 30 or more, none.
AGREES, BETTER = 0.95, 0.5
AT_ALL = 0.2  # mean correlation below which the reference is said to agree hardly at all
SHIFTS = (1, -1, 2, -2, 3, -3, 4, -4, 5, -5)  # rows
MOVED, ROWS_MOVED = 0.01, 3  # squared differences that a shift leaves, and rows that must differ without it


def reference_values(sample: Sample, clips: Sequence[Affect]) -> NDArray[np.float64]:
    """What the reference says of each row of the sample: float64 (n, columns), NaN where nothing.

    Raises InputError where it has no clip in common with the sample, UsageError where it says nothing of any row.
    """
    by_name = {affect.clip: affect for affect in distinct(clips)}
    if not by_name.keys() & set(sample.clips):
        raise InputError(
            clips[0].source if clips else "reference",
            f"has no clip in common with the sample ({some(by_name) or 'none'})",
            expected=f"clips {some(sample.clips)}",
            advice="name the clips alike",
        )
    found = np.full((len(sample), len(sample.form.columns)), np.nan)
    for clip, rows in zip(sample.clips, sample.rows_of_clips(), strict=True):
        affect = by_name.get(clip)
        if affect is None:
            continue
        rows = rows[sample.frame[rows] < len(affect)]
        frames, classes = sample.frame[rows], affect.classes()
        for place, name in enumerate(sample.form.columns):
            if place < sample.form.numbers:
                found[rows, place] = getattr(affect, name)[frames]
            elif name in classes:
                found[rows, place] = np.where(classes[name] == UNKNOWN, np.nan, classes[name])[frames]
    if np.isnan(found).all():
        names = sample.form.columns
        raise UsageError(
            "--reference",
            f"says no {' or '.join(names) if len(names) < 3 else some(names)} in any row of the sample",
            expected="predictions or labels of the same task and clips",
            advice="name others, or leave it out",
        )
    return found


def reference_findings(
    sample: Sample, values: NDArray[np.float64], truth: NDArray[np.float64], lines: NDArray[np.int64]
) -> list[Finding]:
    """What agrees with `truth` better another way: both float64 (n, columns), by the rows of the sample, NaN unknown.

    `lines` int64 (n,) is where each row stands in its file.
    """
    k = sample.form.numbers
    clips = list(zip(sample.clips, sample.rows_of_clips(), strict=True))
    findings = _moved(clips, values, truth, lines, backwards=not k)
    if k:
        findings += _numbers(sample, clips, values[:, :k], truth[:, :k], lines)
    return findings


def unjudged_numbers(
    sample: Sample, values: NDArray[np.float64], truth: NDArray[np.float64], found: bool = False
) -> str:
    """Why the reference cannot tell how the curves stand, or more than was `found`; "" where it can, or they agree."""
    k = sample.form.numbers
    known = _known(list(zip(sample.clips, sample.rows_of_clips(), strict=True)), values[:, :k], truth[:, :k])
    long = sum(len(rows) >= LONG for _, rows in known)
    agree = bool(known) and all(_agreement(values[rows], truth[rows]) >= AGREES for _, rows in known)
    if agree:
        return ""
    if long >= FEW or len(known) >= CLIPS:
        straight = float(np.mean([_agreement(values[rows], truth[rows]) for _, rows in known]))
        if found or straight >= AT_ALL:
            return ""
        return (
            f"the reference hardly agrees with the submission (mean correlation over clips {straight:.2f}), nor "
            "well enough any other way to tell what is wrong: swapped columns, curves that run backwards, opposite "
            "signs, or poor predictions"
        )
    return (
        f"the reference has {long} clip{'s' * (long != 1)} of {LONG} frames or more of the submission: too few to tell "
        f"{'more of ' * found}swapped columns, curves that run backwards or opposite signs by, expected {FEW} of them, "
        f"or {CLIPS} of {SHORTEST} frames"
    )


def _known(clips: Clips, values: NDArray[np.float64], truth: NDArray[np.float64]) -> Clips:
    """The rows of clips that have numbers on both sides, where they are SHORTEST or more."""
    both = ~np.isnan((values + truth).sum(axis=1))
    known = [(clip, rows[both[rows]]) for clip, rows in clips]
    return [(clip, rows) for clip, rows in known if len(rows) >= SHORTEST]


def _moved(
    clips: Clips, values: NDArray[np.float64], truth: NDArray[np.float64], lines: NDArray[np.int64], *, backwards: bool
) -> list[Finding]:
    """Clips that are what the reference says, some rows earlier or later: nothing else makes them equal.

    With `backwards`, from last to first too (which of valence and arousal is told by their correlation).
    """
    found: dict[int, list[tuple[str, int]]] = {}
    for clip, rows in clips:
        a, b = values[rows], truth[rows]
        here = (a - b) ** 2
        if np.count_nonzero(here > 0) < ROWS_MOVED or np.count_nonzero((here > 0).any(axis=1)) < ROWS_MOVED:
            continue
        line = int(lines[rows][~np.isnan(a).all(axis=1)].min())
        if backwards and _mean((a[::-1] - b) ** 2) <= MOVED * _mean(here):
            found.setdefault(0, []).append((clip, line))
            continue
        for shift in SHIFTS:
            ahead, behind = max(shift, 0), max(-shift, 0)
            x, y = a[ahead : len(a) - behind], b[behind : len(b) - ahead]
            if len(x) >= SHORTEST and _mean((x - y) ** 2) <= MOVED * _mean(here):
                found.setdefault(shift, []).append((clip, line))
                break
    findings = []
    for shift, named in sorted(found.items()):
        by = f"{abs(shift)} row{'s' * (abs(shift) > 1)} {'late' if shift > 0 else 'early'}"
        said = f"stand {by}" if shift else "run backwards in time"
        told = f"clips whose rows {said}, by the reference: {some(clip for clip, _ in named)}"
        findings.append(Finding("shifted" if shift else "reversed", min(line for _, line in named), len(named), told))
    return findings


def _mean(squares: NDArray[np.float64]) -> float:
    """The mean of what is known; infinite where nothing is."""
    known = squares[~np.isnan(squares)]
    return float(known.mean()) if len(known) else np.inf


def _numbers(
    sample: Sample,
    clips: Clips,
    values: NDArray[np.float64],
    truth: NDArray[np.float64],
    lines: NDArray[np.int64],
) -> list[Finding]:
    """Columns, or curves of clips, that agree with the reference better when they are turned back."""
    known = _known(clips, values, truth)
    if not known:
        return []
    every = np.concatenate([rows for _, rows in known])
    findings = []
    straight, crossed = _agreement(values[every], truth[every]), _agreement(values[every][:, ::-1], truth[every])
    # Two curves that go together agree crossed, too: what counts is the part of what lacks to 1.
    exact = crossed >= AGREES and crossed > straight + (1 - straight) / 2
    each = np.array([_agreement(values[rows], truth[rows]) for _, rows in known])
    other = np.array([_agreement(values[rows][:, ::-1], truth[rows]) for _, rows in known])
    far = overwhelming(each, other, [len(rows) for _, rows in known], 2)
    if exact or (crossed > straight and (far or clear(other - each))):
        told = (
            "valence and arousal seem to be swapped: correlation with the reference, mean of both, "
            f"{straight:.2f} as they are and {crossed:.2f} the other way round"
        )
        findings.append(Finding("swapped", int(lines[every].min()), len(every), told))
        values = values[:, ::-1]
    return findings + _turned(sample, known, values, truth, lines)


def _turned(
    sample: Sample, clips: Clips, values: NDArray[np.float64], truth: NDArray[np.float64], lines: NDArray[np.int64]
) -> list[Finding]:
    """Curves that run backwards in time or have the opposite sign: those of most clips, or else of some."""
    forward = np.array([[correlation(values[r, c], truth[r, c]) for c in range(2)] for _, r in clips])
    back = np.array([[correlation(values[r, c][::-1], truth[r, c]) for c in range(2)] for _, r in clips])
    first = np.array([int(lines[rows].min()) for _, rows in clips])
    lengths = [len(rows) for _, rows in clips]
    findings = []
    if clear((back - forward).mean(axis=1)) or overwhelming(forward.mean(axis=1), back.mean(axis=1), lengths, 2):
        told = (
            f"the curves of {len(clips)} clips run backwards in time, by the reference: mean correlation "
            f"{forward.mean():.2f} as they are and {back.mean():.2f} from last to first"
        )
        findings.append(Finding("reversed", int(first.min()), len(clips), told))
        forward = back  # what else is wrong shows when this is undone
    else:
        at = (back.mean(axis=1) >= AGREES) & (back.mean(axis=1) > forward.mean(axis=1) + BETTER)
        for i, (_, rows) in enumerate(clips):  # a hill is much the same from behind, but not quite
            a, b = values[rows], truth[rows]
            at[i] |= (a != b).any(axis=1).sum() >= ROWS_MOVED and _mean((a[::-1] - b) ** 2) <= MOVED * _mean(
                (a - b) ** 2
            )
        findings += _some_clips("reversed", "run backwards in time", clips, at, back.mean(axis=1), first)
    every = [len(clips) > 1 and bool((curve <= -AGREES).all()) for curve in forward.T]
    both = overwhelming(forward.mean(axis=1), -forward.mean(axis=1), lengths, 2)
    opposite = [
        column
        for column, curve in enumerate(forward.T)
        if clear(-curve)
        or overwhelming(curve, -curve, lengths, 1)
        or (both and curve.mean() <= -FEW_AGREE[1])
        or every[column]
    ]
    for column in opposite:
        told = (
            f"{sample.form.columns[column]} seems to have the opposite sign: mean correlation with the reference over "
            f"{len(clips)} clips {forward[:, column].mean():.2f}"
        )
        findings.append(Finding("opposite", int(first.min()), len(clips), told))
    if not opposite:
        at = forward.mean(axis=1) <= -AGREES
        findings += _some_clips("opposite", "have the opposite sign", clips, at, forward.mean(axis=1), first)
    return findings


def _some_clips(
    kind: str,
    said: str,
    clips: Clips,
    at: NDArray[np.bool_],
    agreement: NDArray[np.float64],
    first: NDArray[np.int64],
) -> list[Finding]:
    if not at.any():
        return []
    least = float(np.abs(agreement[at]).min())
    told = f"clips whose curves {said}, by the reference (correlation that way at least {least:.2f}): "
    told += some(clip for (clip, _), yes in zip(clips, at.tolist(), strict=True) if yes)
    return [Finding(kind, int(first[at].min()), int(at.sum()), told)]


def _agreement(values: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Correlation with the reference, (k, 2) each, mean of the columns."""
    return sum(correlation(values[:, c], truth[:, c]) for c in range(2)) / 2


def correlation(values: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Pearson's correlation of two curves, (k,) each; of a constant one 0."""
    if np.ptp(values) == 0 or np.ptp(truth) == 0:
        return 0.0
    a, b = values - values.mean(), truth - truth.mean()
    return float((a @ b) / np.sqrt((a @ a) * (b @ b)))
