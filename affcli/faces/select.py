"""Which tracks are the person the clip is about.

The main person is the track with the greatest weight: over its frames, the sum of the face's width as a share of the
picture's, times how central it is (1 in the middle of the picture, 0 in a corner).  Long, large and central wins.

The person may leave and come back.  A later or earlier track is the same person where it shares no frame span with
what is already theirs (a face seen at the same time is somebody else) and where it is near the piece nearest in
time: at most `rejoin` face widths away, and at most `rejoin` times as large or small.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from affcli.configs import Faces
from affcli.faces.track import Track


def main_person(tracks: Sequence[Track], width: int, height: int, config: Faces) -> list[Track]:
    """The tracks of the main person, in the order of time; empty where there is nobody.

    `width` and `height` are those of the picture, in pixels.
    """
    weights = {id(track): _weight(track, width, height) for track in tracks}
    candidates = sorted(
        (track for track in tracks if len(track.frames) >= config.min_track),
        key=lambda track: -weights[id(track)],
    )
    chosen = candidates[:1]
    for track in candidates[1:]:
        if all(_apart(track, other) for other in chosen) and _near(track, _nearest(track, chosen), config.rejoin):
            chosen.append(track)
    return sorted(chosen, key=lambda track: track.frames[0])


def _weight(track: Track, width: int, height: int) -> float:
    boxes = np.stack(track.boxes)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    middle = np.array([width, height]) / 2
    off = np.linalg.norm(centres - middle, axis=1) / np.linalg.norm(middle)
    return float(np.sum((boxes[:, 2] - boxes[:, 0]) / width * np.clip(1 - off, 0, 1)))


def _apart(one: Track, other: Track) -> bool:
    return one.frames[-1] < other.frames[0] or other.frames[-1] < one.frames[0]


def _nearest(track: Track, others: Sequence[Track]) -> Track:
    return min(others, key=lambda other: max(track.frames[0] - other.frames[-1], other.frames[0] - track.frames[-1]))


def _near(track: Track, other: Track, most: float) -> bool:
    earlier, later = sorted((track, other), key=lambda one: one.frames[0])
    left, came = earlier.boxes[-1], later.boxes[0]
    widths = sorted(float(box[2] - box[0]) for box in (left, came))
    distance = np.linalg.norm((left[:2] + left[2:] - came[:2] - came[2:]) / 2)
    return bool(widths[1] <= most * widths[0] and distance <= most * widths[1])
