"""Whose face a clip shows.

`main` is the person of the greatest weight: over all frames, the sum of the face's width as a share of the picture's,
times how central it is (1 in the middle of the picture, 0 in a corner).  Long, large and central wins.

`left` and `right` are the two people who are seen together most (frames that show both, weighted by the smaller face),
each by the side they are on in most of those frames: people who change places for a while keep their side.  Where no
two people are ever seen together, they are the two of the greatest weight, by where each is on average; a person who is
alone in the video is on the side where they are.  `not-right` and `not-left` are the main person among the others: what
a label file without a side means beside one for the right or the left person.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.faces.track import Track


@dataclass(frozen=True)
class Person:
    """Tracks that are one person, in the order of time."""

    number: int  # of the track that was found first
    tracks: tuple[Track, ...]
    weight: float


def people(tracks: Sequence[Track], person: Sequence[int], width: int, height: int, min_track: int) -> list[Person]:
    """The people of a video, the main one first; `person` (len(tracks)) numbers them.

    Tracks of fewer than `min_track` detections are taken for mistakes, unless their person has longer ones.  `width`
    and `height` are those of the picture, px.
    """
    groups: dict[int, list[Track]] = {}
    for track, number in zip(tracks, person, strict=True):
        groups.setdefault(number, []).append(track)
    found = [
        Person(number, tuple(sorted(group, key=lambda t: t.first)), sum(_weight(t, width, height) for t in group))
        for number, group in groups.items()
        if max(track.detections for track in group) >= min_track
    ]
    return sorted(found, key=lambda one: (-one.weight, one.number))


def choose(found: Sequence[Person], who: str, width: int) -> Person | None:
    """The person that `who` names; None for nobody.

    `who` is main, left, right, not-left, not-right, or the number of one of their tracks.
    """
    if who == "main":
        return found[0] if found else None
    if who in ("not-left", "not-right"):
        other = choose(found, who.removeprefix("not-"), width)
        return next((one for one in found if one is not other), None)
    if who in ("left", "right"):
        return _sides(found, width).get(who)
    return next((one for one in found if int(who) in (track.number for track in one.tracks)), None)


def _sides(found: Sequence[Person], width: int) -> dict[str, Person]:
    if not found:
        return {}
    if len(found) == 1:
        return {"left" if _across(found[0]) < width / 2 else "right": found[0]}
    # Few people are ever large enough to be meant; the rest of a crowd need not be compared.
    pairs = itertools.combinations(found[:8], 2)
    best, one, other = max(((_together(a, b), a, b) for a, b in pairs), key=lambda pair: pair[0])
    if best == 0:
        one, other = found[:2]
        first = _across(one) <= _across(other)
    else:
        first = _mostly_left(one, other)
    return {"left": one, "right": other} if first else {"left": other, "right": one}


def _edges(one: Person, n: int) -> NDArray[np.float64]:
    """Left and right edge of the face in each of the first n frames of the video, (n, 2) px; NaN where absent."""
    out = np.full((max(n, *(track.last + 1 for track in one.tracks)), 2), np.nan)
    for track in one.tracks:
        out[track.first : track.last + 1] = track.rows[:, [0, 2]]
    return out[:n]


def _last(one: Person) -> int:
    return max(track.last for track in one.tracks)


def _across(one: Person) -> float:
    """Where the middle of the face is on average, px."""
    return float(np.nanmean(_edges(one, _last(one) + 1).mean(axis=1)))


def _both(one: Person, other: Person) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The edges of both faces in the frames that show both, (k, 2) px each."""
    n = min(_last(one), _last(other)) + 1
    a, b = _edges(one, n), _edges(other, n)
    shown = ~np.isnan(a[:, 0]) & ~np.isnan(b[:, 0])
    return a[shown], b[shown]


def _together(one: Person, other: Person) -> float:
    """How much two people are seen together: over those frames, the sum of the narrower face's width, px."""
    a, b = _both(one, other)
    return float(np.minimum(a[:, 1] - a[:, 0], b[:, 1] - b[:, 0]).sum())


def _mostly_left(one: Person, other: Person) -> bool:
    """Whether one is to the left in most of the frames that show both."""
    a, b = _both(one, other)
    return bool((a.sum(axis=1) < b.sum(axis=1)).mean() >= 0.5)


def _weight(track: Track, width: int, height: int) -> float:
    boxes = track.rows[~np.isnan(track.rows[:, 0]), :4]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    middle = np.array([width, height]) / 2
    off = np.linalg.norm(centres - middle, axis=1) / np.linalg.norm(middle)
    return float(np.sum((boxes[:, 2] - boxes[:, 0]) / width * np.clip(1 - off, 0, 1)))
