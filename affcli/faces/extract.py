"""From the frames of a video to the aligned crops of its people.

Tracks grow while the video is decoded, and whose face the clip shows is only known at its end.  So the crops of every
track are cut as soon as its landmarks are final, a few frames behind the decoder, and put aside; at the end those of
the chosen people are kept.  Where frames are so large that a few of them do not fit into memory, and where the tracks
are known from an earlier run, the crops are cut in a pass of their own.  Both ways give the same bytes.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli.arrays import Spool
from affcli.configs import Faces, Tracks
from affcli.faces.align import Template, align, template_of
from affcli.faces.select import Person
from affcli.faces.smooth import Smoothing, smoothing_of
from affcli.faces.track import Track
from affcli.faces.watch import Watch
from affcli.media.video import Frame
from affcli.schemas import LANDMARKS

BOX = ("x1", "y1", "x2", "y2")
POINT_NAMES = (*BOX, *(f"{name}_{axis}" for name in LANDMARKS for axis in "xy"))

_MOST_HELD = 128 * 2**20  # bytes of frames that wait for their landmarks


@dataclass(frozen=True)
class Seen:
    """What is known of a video once all of it was looked at: n decoded frames and every face in them."""

    time_us: NDArray[np.int64]  # (n,)
    corrupt: NDArray[np.bool_]  # (n,)
    tracks: list[Track]
    person: list[int]  # for each track
    width: int  # px, upright picture of the first frame
    height: int


@dataclass(frozen=True)
class Cutting:
    """How crops are cut."""

    smoothing: Smoothing
    template: Template
    ambiguous: str = "keep"

    @classmethod
    def of(cls, config: Faces) -> Cutting:
        """Raises UsageError for an unknown template or smoothing."""
        return cls(smoothing_of(config.smooth), template_of(config.template, config.size), config.ambiguous)

    def cut(self, frame: Frame, track: Track) -> NDArray[np.uint8] | None:
        """The crop (s, s, 3) of a track's face; None where the track has none in this frame."""
        landmarks = self.landmarks(track, frame.index)
        return None if landmarks is None else align(frame.picture, landmarks, self.template)

    def landmarks(self, track: Track, frame: int) -> NDArray[np.float64] | None:
        """The landmarks (5, 2) of a track's face in a frame; None where the crop is to show none."""
        row = frame - track.first
        if self.ambiguous == "drop" and 0 <= row < len(track.ambiguous) and track.ambiguous[row]:
            return None
        return self.smoothing.landmarks(track, frame)

    @property
    def empty(self) -> NDArray[np.uint8]:
        """What stands for an absent face."""
        return np.zeros((self.template.size, self.template.size, 3), np.uint8)


def held_frames_fit(cutting: Cutting, config: Tracks, rate: float, picture_bytes: int) -> bool:
    """Whether the frames that wait for their landmarks fit into memory, at `rate` per second."""
    waiting = cutting.smoothing.reach + 2 * max(config.every, config.idle_every) + rate * config.interpolate_gap
    return waiting * picture_bytes <= _MOST_HELD


def settled(frames: Iterable[Frame], watch: Watch, reach: int) -> Iterator[Frame]:
    """Let `watch` look at the frames, and pass on each when landmarks up to `reach` frames after it are final."""
    held: deque[Frame] = deque()
    for frame in frames:
        watch.look(frame)
        held.append(frame)
        limit = watch.settled(reach)
        while held and held[0].index < limit:
            yield held.popleft()
    watch.finish()
    yield from held


def put_aside(frames: Iterable[Frame], watch: Watch, cutting: Cutting, spool: Spool) -> dict[int, array[int]]:
    """Cut the crops of every track out of settled frames; for each track, the places of its frames' crops or -1."""
    places: dict[int, array[int]] = {}
    begun, living = 0, list[Track]()
    for frame in frames:
        while begun < len(watch.tracks):
            living.append(watch.tracks[begun])
            begun += 1
        living = [track for track in living if not (track.ended and track.last < frame.index)]
        for track in living:
            if frame.index >= track.first:
                crop = cutting.cut(frame, track)
                places.setdefault(track.number, array("q")).append(-1 if crop is None else spool.append(crop))
    return places


def collected(
    n: int, places: dict[int, array[int]], spool: Spool, empty: NDArray[np.uint8], person: Person | None
) -> Iterator[NDArray[np.uint8]]:
    """The crops of one person over n frames from what was put aside."""
    where = np.full(n, -1, np.int64)
    for track in person.tracks if person else ():
        where[track.first : track.last + 1] = places[track.number][: track.last + 1 - track.first]
    for place in where.tolist():
        yield empty if place < 0 else spool[place]


def crops(frames: Iterable[Frame], person: Person | None, cutting: Cutting) -> Iterator[NDArray[np.uint8]]:
    """The crops of one person, (s, s, 3) uint8 RGB, one per frame, where the tracks are known already."""
    waiting = deque(person.tracks if person else ())
    for frame in frames:
        while waiting and waiting[0].last < frame.index:
            waiting.popleft()
        here = waiting and waiting[0].first <= frame.index
        crop = cutting.cut(frame, waiting[0]) if here else None
        yield cutting.empty if crop is None else crop


def face_columns(clip: str, seen: Seen, person: Person | None, cutting: Cutting) -> dict[str, Any]:
    """The rows of the faces table; no JPEG ends."""
    n = len(seen.time_us)
    points = np.full((n, len(POINT_NAMES)), np.nan, np.float32)
    scores, confidence = np.full(n, np.nan, np.float32), np.full(n, np.nan, np.float32)
    numbers, ambiguous = np.full(n, -1, np.int32), np.zeros(n, np.bool_)
    for track in person.tracks if person else ():
        here = slice(track.first, track.last + 1)
        for frame in range(here.start, here.stop):
            landmarks = cutting.landmarks(track, frame)
            if landmarks is not None:
                row, numbers[frame] = frame - track.first, track.number
                points[frame] = [*track.rows[row, :4], *landmarks.ravel()]
                scores[frame] = track.scores[row]
        confidence[here] = _confidence(track)
        ambiguous[here] = track.ambiguous & (numbers[here] >= 0)
    valid = numbers >= 0
    how = np.where(valid & ~np.isnan(scores), "detected", np.where(valid, "interpolated", "absent"))
    return {
        **_key(clip, np.arange(n), seen),
        "valid": valid,
        **{name: points[:, i] for i, name in enumerate(POINT_NAMES)},
        "score": scores,
        "confidence": np.where(valid, confidence * np.where(ambiguous, 0.5, 1), np.nan).astype(np.float32),
        "track": np.where(valid, numbers, np.nan),
        "how": how.astype(object),
        "ambiguous": ambiguous,
        "jpeg_end": np.full(n, np.nan),
    }


def _confidence(track: Track) -> NDArray[np.float32]:
    """The score of each of a track's frames; between two detections the lower of theirs."""
    known = np.flatnonzero(~np.isnan(track.scores))
    rows = np.arange(len(track.scores))
    after = np.searchsorted(known, rows)
    before = np.where(known[after] == rows, after, after - 1)
    return np.asarray(np.minimum(track.scores[known[before]], track.scores[known[after]]))


def track_columns(clip: str, seen: Seen) -> dict[str, Any]:
    """The rows of the tracks table: every detection, and a row of its own for every frame without any."""
    n = len(seen.time_us)
    parts: list[tuple[NDArray[Any], ...]] = []
    for track, person in zip(seen.tracks, seen.person, strict=True):
        found = np.flatnonzero(~np.isnan(track.scores))
        alike = [np.full(len(found), value, np.float64) for value in (track.number, person)]
        parts.append((found + track.first, *alike, track.rows[found], track.scores[found], track.ambiguous[found]))
    bare = np.setdiff1d(np.arange(n), np.concatenate([part[0] for part in parts]) if parts else [])
    nothing = np.full((len(bare), len(POINT_NAMES)), np.nan, np.float32)
    none = np.full(len(bare), np.nan)
    parts.append((bare, none, none, nothing, none.astype(np.float32), np.zeros(len(bare), np.bool_)))
    frame, number, person_of, points, scores, ambiguous = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    order = np.lexsort((number, frame))
    return {
        **_key(clip, frame[order], seen),
        "track": number[order],
        "person": person_of[order],
        **{name: points[order, i] for i, name in enumerate(POINT_NAMES)},
        "score": scores[order],
        "ambiguous": ambiguous[order],
    }


def _key(clip: str, frame: NDArray[Any], seen: Seen) -> dict[str, Any]:
    return {
        "clip": np.full(len(frame), clip, dtype=object),
        "frame": frame.astype(np.int32),
        "time_us": seen.time_us[frame],
        "corrupt": seen.corrupt[frame],
    }


def replay(columns: dict[str, NDArray[Any]], width: int, height: int, hole: int) -> Seen:
    """What was seen, from the columns of a tracks table; holes of at most `hole` us are filled anew."""
    frame = columns["frame"]
    first = np.flatnonzero(np.diff(frame, prepend=-1))
    times = array("q", columns["time_us"][first].tolist())
    tracks: dict[int, Track] = {}
    person: dict[int, int] = {}
    points = np.stack([columns[name] for name in POINT_NAMES], axis=1).astype(np.float32)
    for row in np.flatnonzero(~np.isnan(columns["track"])):
        number = int(columns["track"][row])
        track = tracks.setdefault(number, Track(number, hole))
        track.add(int(frame[row]), times, points[row], float(columns["score"][row]))
        if columns["ambiguous"][row]:
            track.mark(int(frame[row]))
        person[number] = int(columns["person"][row])
    numbers = sorted(tracks)
    for track in tracks.values():
        track.ended = True
    corrupt = columns["corrupt"][first].astype(np.bool_)
    return Seen(np.array(times), corrupt, [tracks[i] for i in numbers], [person[i] for i in numbers], width, height)


def seen_by(watch: Watch, person: Sequence[int]) -> Seen:
    """What was seen, once every frame was looked at; `person` numbers the people of the tracks."""
    time_us, corrupt = np.array(watch.times, np.int64), np.array(watch.corrupt, np.bool_)
    return Seen(time_us, corrupt, watch.tracks, list(person), watch.width, watch.height)
