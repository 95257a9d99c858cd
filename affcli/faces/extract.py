"""One person's aligned face for every decoded frame of a video.

Two passes: the first looks at every frame and knows, at its end, whose face the clip shows; the second cuts the
crops.  Memory does not grow with pictures, only with the numbers that describe the faces.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from affcli import clock
from affcli.configs import Faces
from affcli.faces.align import TEMPLATES, crop, similarity
from affcli.faces.detections import Detections, Detector
from affcli.faces.select import main_person
from affcli.faces.track import Track, link
from affcli.media.video import Frame
from affcli.schemas import LANDMARKS


@dataclass(frozen=True)
class Survey:
    """What the first pass saw: n decoded frames and every face in them."""

    time_us: NDArray[np.int64]  # (n,)
    corrupt: NDArray[np.bool_]  # (n,)
    found: list[Detections]
    width: int  # px, upright picture of the first frame
    height: int


@dataclass(frozen=True)
class Person:
    """One person over n frames; NaN and -1 where absent."""

    boxes: NDArray[np.float32]  # (n, 4), px
    landmarks: NDArray[np.float32]  # (n, 5, 2), px
    scores: NDArray[np.float32]  # (n,), NaN where interpolated
    track: NDArray[np.int32]  # (n,)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(n,): the face is in this frame."""
        return self.track >= 0


def survey(frames: Iterable[Frame], detector: Detector) -> Survey:
    """Look for faces in every frame."""
    times, corrupt, found = [], [], []
    width = height = 0
    for frame in frames:
        image = frame.image()
        if frame.index == 0:
            height, width = image.shape[:2]
        times.append(frame.time_us)
        corrupt.append(frame.corrupt)
        found.append(detector(image))
    return Survey(np.array(times, dtype=np.int64), np.array(corrupt, dtype=np.bool_), found, width, height)


def follow(seen: Survey, config: Faces) -> Person:
    """The main person of a survey: tracked, short holes filled, landmarks smoothed."""
    n = len(seen.time_us)
    person = Person(
        np.full((n, 4), np.nan, np.float32),
        np.full((n, 5, 2), np.nan, np.float32),
        np.full(n, np.nan, np.float32),
        np.full(n, -1, np.int32),
    )
    gap_us = round(config.track_gap * clock.MICROSECONDS)
    hole_us = round(config.interpolate_gap * clock.MICROSECONDS)
    tracks = link(seen.found, seen.time_us, config.track_iou, gap_us)
    for number, track in enumerate(main_person(tracks, seen.width, seen.height, config)):
        _lay(person, track, number, seen.time_us, hole_us)
    if config.smooth > 0:
        for start, stop in _runs(person.track):
            person.landmarks[start:stop] = gaussian_filter1d(
                person.landmarks[start:stop], config.smooth, axis=0, mode="nearest"
            )
    return person


def _lay(person: Person, track: Track, number: int, time_us: NDArray[np.int64], hole_us: int) -> None:
    """Enter one track; holes of at most `hole_us` are filled linearly in time, longer ones stay empty."""
    frames = np.array(track.frames)
    boxes, landmarks = np.stack(track.boxes), np.stack(track.landmarks)
    seen_us = time_us[frames]
    rows = np.arange(frames[0], frames[-1] + 1)
    after = np.searchsorted(frames, rows)
    before = np.where(frames[after] == rows, after, after - 1)
    rows_kept = rows[seen_us[after] - seen_us[before] <= hole_us]
    for whole, known in ((person.boxes, boxes), (person.landmarks, landmarks)):
        flat = known.reshape(len(frames), -1)
        filled = np.stack([np.interp(time_us[rows_kept], seen_us, one) for one in flat.T], axis=-1)
        whole[rows_kept] = filled.reshape(-1, *known.shape[1:])
    person.scores[frames] = track.scores
    person.track[rows_kept] = number


def _runs(track: NDArray[np.int32]) -> Iterator[tuple[int, int]]:
    """Unbroken runs of one track: first row, row after the last."""
    edges = np.flatnonzero(np.diff(track)) + 1
    for start, stop in itertools.pairwise([0, *edges.tolist(), len(track)]):
        if track[start] >= 0:
            yield start, stop


def columns(clip: str, seen: Survey, person: Person) -> dict[str, Any]:
    """The rows of the faces table."""
    n = len(seen.time_us)
    detected = person.valid & ~np.isnan(person.scores)
    how = np.where(detected, "detected", np.where(person.valid, "interpolated", "absent"))
    points = {
        f"{name}_{axis}": person.landmarks[:, i, j] for i, name in enumerate(LANDMARKS) for j, axis in enumerate("xy")
    }
    return {
        "clip": np.full(n, clip, dtype=object),
        "frame": np.arange(n, dtype=np.int32),
        "time_us": seen.time_us,
        "valid": person.valid,
        **{name: person.boxes[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))},
        **points,
        "score": person.scores,
        "confidence": person.scores,
        "ambiguous": np.zeros(n, np.bool_),
        "jpeg_end": np.full(n, np.nan),
        "track": np.where(person.valid, person.track, np.nan),
        "how": how.astype(object),
        "corrupt": seen.corrupt,
    }


def crops(frames: Iterable[Frame], person: Person, config: Faces) -> Iterator[NDArray[np.uint8]]:
    """The aligned crops, (s, s, 3) uint8 RGB, one per frame; zeros where the person is absent."""
    template = TEMPLATES[config.template]
    transforms = np.full((len(person.valid), 2, 3), np.nan)
    transforms[person.valid] = similarity(person.landmarks[person.valid], template)
    empty = np.zeros((template.size, template.size, 3), np.uint8)
    for frame in frames:
        here = person.valid[frame.index]
        yield crop(frame.image(), transforms[frame.index], template.size) if here else empty
