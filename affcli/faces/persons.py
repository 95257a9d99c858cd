"""Tracks that are one person: pieces torn by a gap, a cut, or by another face in front.

Two pieces can be one person where no frame shows both.  They are joined where the later one begins near where the
earlier ended (at most `rejoin` face widths away and as much again for each second between, at most `rejoin` times as
large or small) and looks like it; where other faces were there at the time, it must look very much like it.  Where it
looks like nothing but it, place does not matter.  The likest are joined first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
    found = []
    for place, one in enumerate(pieces):
        for other in pieces[place + 1 :]:
            if not _apart(one, other):
                continue
            earlier, later = (one, other) if one.first < other.first else (other, one)
            alike = appearance.similarity(one.number, other.number)
            near = _near(earlier, later, (times[later.first] - times[earlier.last]) / MICROSECONDS, config.rejoin)
            among = any(
                piece.first <= later.first and piece.last >= earlier.last
                for piece in pieces
                if piece is not one and piece is not other
            )
            if alike >= (_LIKE_ANYWHERE if not near else _LIKE_AMONG_OTHERS if among else _LIKE_NEARBY):
                found.append((alike + _NEARBY_BONUS * near, one.number, other.number))
    return found


def _apart(one: Track, other: Track) -> bool:
    return one.last < other.first or other.last < one.first


def _near(earlier: Track, later: Track, seconds: float, most: float) -> bool:
    left, came = earlier.rows[-1], later.rows[0]
    widths = sorted(float(box[2] - box[0]) for box in (left, came))
    distance = np.linalg.norm((left[:2] + left[2:4] - came[:2] - came[2:4]) / 2)
    reach = most * widths[1] * (1 + min(seconds, _LONGEST_WALK))
    return bool(widths[1] <= most * widths[0] and distance <= reach)
