"""Tracks that are one person: pieces torn by a gap, a cut, or by another face in front.

Two pieces can be one person where no frame shows both.  They are joined where the later one begins near where the
earlier ended (at most `rejoin` face widths away and as much again for each second between, at most `rejoin` times as
large or small) and looks like it; where other faces were there at the time, it must look very much like it.  Where it
looks like nothing but it, place does not matter.  The likest are joined first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from affcli.clock import MICROSECONDS
from affcli.configs import Tracks
from affcli.faces.appearance import Appearance
from affcli.faces.track import Track

_LIKE_NEARBY, _LIKE_AMONG_OTHERS, _LIKE_ANYWHERE = 0.85, 0.92, 0.97
_NEARBY_BONUS = 0.02  # place counts as much as this much likeness
_LONGEST_WALK = 3.0  # s between two pieces for which the distance grows
_MOST_PIECES = 2000  # the comparison is of each with each; shorter ones stay alone


def persons(tracks: Sequence[Track], appearance: Appearance, times: Sequence[int], config: Tracks) -> list[int]:
    """For each track the number of its person, which is the number of that person's first track.

    `times` are those of the frames, in us.
    """
    pieces = [track for track in tracks if track.detections >= config.min_track]
    pieces = sorted(sorted(pieces, key=lambda track: -track.detections)[:_MOST_PIECES], key=lambda track: track.number)
    person = {track.number: [track] for track in tracks}
    for _, one, other in sorted(_joints(pieces, appearance, times, config), key=lambda joint: (-joint[0], *joint[1:])):
        first, second = person[one], person[other]
        if first is second or any(not _apart(a, b) for a in first for b in second):
            continue
        first.extend(second)
        for track in second:
            person[track.number] = first
    return [min(mate.number for mate in person[track.number]) for track in tracks]


def _joints(
    pieces: Sequence[Track], appearance: Appearance, times: Sequence[int], config: Tracks
) -> list[tuple[float, int, int]]:
    """Pairs that may be one person: how much speaks for it, and their numbers."""
    if not pieces:
        return []
    alike = appearance.similarities([piece.number for piece in pieces])
    first = np.array([piece.first for piece in pieces])
    last = np.array([piece.last for piece in pieces])
    # Each pair once, the earlier piece before the later one; what is not even alike is most of them.
    one, other = np.nonzero((alike >= _LIKE_NEARBY) & (last[:, None] < first[None, :]))
    us = np.asarray(times, np.int64)
    near = _near(
        np.stack([piece.rows[-1, :4] for piece in pieces])[one],
        np.stack([piece.rows[0, :4] for piece in pieces])[other],
        (us[first[other]] - us[last[one]]) / MICROSECONDS,
        config.rejoin,
    )
    # Faces in the frames between: begun before the later piece does, not over when the earlier one is, but these two.
    begun, over = np.sort(first), np.sort(last)
    between = np.searchsorted(begun, first[other], "right") - np.searchsorted(over, last[one], "left") - 2
    least = np.where(near, np.where(between > 0, _LIKE_AMONG_OTHERS, _LIKE_NEARBY), _LIKE_ANYWHERE)
    likeness = alike[one, other]
    return [
        (float(likeness[k]) + _NEARBY_BONUS * bool(near[k]), *sorted((pieces[one[k]].number, pieces[other[k]].number)))
        for k in np.flatnonzero(likeness >= least)
    ]


def _apart(one: Track, other: Track) -> bool:
    return one.last < other.first or other.last < one.first


def _near(
    left: NDArray[np.float32], came: NDArray[np.float32], seconds: NDArray[np.float64], most: float
) -> NDArray[np.bool_]:
    """Whether who left at one box (k, 4) can be who came at another, so many seconds later: (k,)."""
    narrow, wide = np.sort(np.stack([box[:, 2] - box[:, 0] for box in (left, came)]), axis=0)
    distance = np.linalg.norm((left[:, :2] + left[:, 2:] - came[:, :2] - came[:, 2:]) / 2, axis=1)
    reach = most * wide * (1 + np.minimum(seconds, _LONGEST_WALK))
    return np.asarray((wide <= most * narrow) & (distance <= reach))
