"""Faces of neighbouring frames that are one face: tracks.

A face continues the track it overlaps most (IoU tracking, as in M3T), all faces of a frame assigned at once.  A cut
in the video usually ends tracks by itself, since faces then jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from affcli.faces.detections import Detections, overlaps


@dataclass
class Track:
    """One face over time; the lists run in step."""

    frames: list[int] = field(default_factory=list)
    boxes: list[NDArray[np.float32]] = field(default_factory=list)  # (4,) each
    landmarks: list[NDArray[np.float32]] = field(default_factory=list)  # (5, 2) each
    scores: list[float] = field(default_factory=list)

    def add(self, frame: int, found: Detections, which: int) -> None:
        """Continue the track with one face of a frame."""
        self.frames.append(frame)
        self.boxes.append(found.boxes[which])
        self.landmarks.append(found.landmarks[which])
        self.scores.append(float(found.scores[which]))


def link(found: Sequence[Detections], time_us: NDArray[np.int64], least_overlap: float, gap_us: int) -> list[Track]:
    """Tracks of all faces of a clip, in the order of their first frames.

    `found` and `time_us` (n,) run over the decoded frames.  A track ends when its face was not seen for `gap_us`.
    """
    tracks: list[Track] = []
    living: list[Track] = []
    for frame, faces in enumerate(found):
        living = [track for track in living if time_us[frame] - time_us[track.frames[-1]] <= gap_us]
        free = set(range(len(faces)))
        if living and free:
            overlap = overlaps(np.stack([track.boxes[-1] for track in living]), faces.boxes)
            for one, which in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
                if overlap[one, which] >= least_overlap:
                    living[one].add(frame, faces, int(which))
                    free.discard(int(which))
        for which in sorted(free):
            track = Track()
            track.add(frame, faces, which)
            tracks.append(track)
            living.append(track)
    return tracks
