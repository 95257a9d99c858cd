"""Faces that come so close that one may be taken for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.faces.appearance import Appearance
from affcli.faces.detections import SAME_FACE
from affcli.faces.search import Pick, overlap
from affcli.faces.track import Track, affinity
from affcli.media.video import Frame

TOUCHING = 0.05  # overlap of two tracks from which on either may be the other
_LIKE_ITSELF = 0.8  # likeness below which a face that comes out of a tangle is not the track's
_TELLS_APART = 0.05  # difference of likeness to two tracks that says whose face it is


@dataclass
class Followed:
    """A living track and where it is looked for."""

    track: Track
    anchor: NDArray[np.float32]  # (4,), the box that the region was put around
    due: int  # frame of the next look
    missed: bool = False  # the last look did not find it
    tangled: bool = False  # has been one with another track, and may be the wrong one of them


def disentangled(
    frame: Frame, due: Sequence[Followed], picks: list[Pick | None], appearance: Appearance
) -> list[Pick | None]:
    """Give a face that two tracks took up to the one whose it is by its looks; else where it goes on best."""
    for i, pick in enumerate(picks):
        number = due[i].track.number
        if pick and due[i].tangled and 0 < appearance.likeness(number, frame, pick[0]) < _LIKE_ITSELF:
            picks[i] = None
    there = [i for i, pick in enumerate(picks) if pick is not None]
    for place, i in enumerate(there):
        for j in there[place + 1 :]:
            one, other = picks[i], picks[j]
            if one is None or other is None or overlap(one[0][:4], other[0][:4]) < 0.5:
                continue
            due[i].tangled = due[j].tangled = True
            alike = [appearance.likeness(due[k].track.number, frame, one[0]) for k in (i, j)]
            # Where a lost face was seen last, the face that hides it comes by: it stays with its own track.
            known = [not due[k].missed for k in (i, j)]
            fit = affinity([due[i].track, due[j].track], np.stack([one[0], other[0]]), 0.0)
            if all(alike) and abs(alike[0] - alike[1]) >= _TELLS_APART:
                first = alike[0] > alike[1]
            else:
                first = (known[0], fit[0, 0]) >= (known[1], fit[1, 1])
            picks[j if first else i] = None
    return picks


def mark_overlaps(followed: Sequence[Followed], frame: int) -> None:
    """Mark faces that overlap: either may be taken for the other."""
    boxes = [one.track.box for one in followed]
    for i, one in enumerate(followed):
        others = [box for j, box in enumerate(boxes) if j != i]
        if one.track.last != frame or not others:
            continue
        most = max(overlap(boxes[i], other) for other in others)
        if one.tangled or most >= TOUCHING:
            one.track.mark(frame)
        one.tangled = one.tangled or most >= SAME_FACE
