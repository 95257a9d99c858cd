"""The first look at a video: every face in every frame, for a tenth of the cost of searching every frame.

A picture is searched as a whole on a schedule and where a face is lost.  In between, each face is looked for in its
own region only: a square around it that stays where it is until the face leaves its middle, since a region that moves
along makes the landmarks jitter.  A region is looked into at every `every`-th frame, and at every frame
while the face moves; landmarks of whole pictures and of regions are never mixed in a track, since the scale at which
the network sees a face shifts them by several per cent of the eye distance.

Where a face appears or is lost, the frames since the last look or search are looked into as well, so that a track
begins and ends where the face does; but a newcomer beside a known face may be found `search_every` late.  With `roi`
off there are searches of whole pictures only, and nothing is looked into again.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from affcli import clock
from affcli.configs import Tracks
from affcli.faces.appearance import Appearance
from affcli.faces.detections import SAME_FACE, Detector, overlaps
from affcli.faces.search import Pick, Searcher, beside, centre, has_left, is_close, overlap
from affcli.faces.tangles import TOUCHING, Followed, disentangled, mark_overlaps
from affcli.faces.track import Track, affinity, as_points
from affcli.media.planes import Picture
from affcli.media.video import Frame

_STILL = 0.06  # share of the face's width that it may move between two looks
_SOON_BACK_US = 2 * clock.MICROSECONDS  # so long after a face was lost it is searched for as where nobody is
_CUT = 28.0  # mean difference of brightness, of 255, between the pictures on both sides of a cut


class Watch:
    """Looks at decoded frames, one after the other, and keeps the tracks of all faces.

    `tracks` are those of the whole video as they were found; `times` (us) and `corrupt` describe its
    frames.
    """

    def __init__(self, detector: Detector, config: Tracks) -> None:
        self.config = config
        self.tracks: list[Track] = []
        self.times: array[int] = array("q")
        self.corrupt: list[bool] = []
        self.appearance = Appearance()
        self.width = self.height = 0  # px, first picture
        self._searcher = Searcher(detector, config)
        self._followed: list[Followed] = []
        self._recent: deque[Frame] = deque(maxlen=max(config.idle_every, config.every))
        self._searched: int | None = None  # frame of the last search
        self._missed_us: int | None = None  # when a track ended last
        self._glance: NDArray[np.int16] | None = None
        self._size = (0, 0)  # px, the picture before
        self._step = config.every  # most frames to the next look, at the present frame rate
        self._gap_us = round(config.track_gap * clock.MICROSECONDS)
        self._hole_us = round(config.interpolate_gap * clock.MICROSECONDS)
        self._search_us = round(config.search_every * clock.MICROSECONDS)

    def look(self, frame: Frame) -> None:
        """Take in the next frame."""
        if not self.times:
            self.width, self.height = frame.width, frame.height
        self.times.append(frame.time_us)
        self.corrupt.append(frame.corrupt)
        if self._is_cut(frame.picture):
            self._end_scene()
            self._recent.clear()
            self._searched = None
        gone = (one for one in self._followed if frame.time_us - self.times[one.track.last] > self._gap_us)
        self._end([one for one in gone if one.missed])
        self._step = self._steps(frame)
        if self.config.roi == "on":
            self._follow(frame)
        elif self._searched is None or frame.index - self._searched >= self._step:
            self._match(frame)
        mark_overlaps(self._followed, frame.index)
        self._recent.append(frame)

    def _steps(self, frame: Frame) -> int:
        """Most frames to the next look: what lies between two looks must be short enough to be filled in."""
        period = frame.time_us - self.times[-2] if len(self.times) > 1 else 0
        return min(self.config.every, max(1, self._hole_us // period)) if period else self.config.every

    def finish(self) -> None:
        """The video is over."""
        self._end_scene()

    def _end_scene(self) -> None:
        """End all tracks, each in the last frame that its face is in."""
        for one in self._followed if self.config.roi == "on" else ():
            if not one.missed and self._recent:
                self._find_end(one, self._recent[-1].index + 1)
        self._end(self._followed)

    def settled(self, reach: int) -> int:
        """The first frame of which the rows, or those of one of the `reach` frames after it, may still change."""
        now = len(self.times) - 1
        limit = now + 1 - (self._recent.maxlen or 0)  # a face found next may have been there as long
        for one in self._followed:
            if not one.missed or self.times[now] - self.times[one.track.last] <= self._hole_us:
                limit = min(limit, one.track.last - reach + 1)
        return limit

    def _is_cut(self, picture: Picture) -> bool:
        """Whether the picture shows something else than the one before it."""
        before, self._glance = self._glance, picture.glance().astype(np.int16)
        size, self._size = self._size, (picture.width, picture.height)
        if before is None:
            return False
        if size != self._size or before.shape != self._glance.shape:
            return True
        return float(np.abs(before - self._glance).mean()) > _CUT

    def _end(self, ending: Sequence[Followed]) -> None:
        for one in ending:
            one.track.ended = True
            self._missed_us = self.times[-1]
        self._followed = [one for one in self._followed if not one.track.ended]

    def _follow(self, frame: Frame) -> None:
        """Look into the regions that are due, and search where that is due or a face was lost."""
        due = [one for one in self._followed if one.due <= frame.index]
        picks = disentangled(frame, due, [self._pick(frame, one) for one in due], self.appearance)
        lost = []
        for one, pick in zip(due, picks, strict=True):
            if pick is None:
                lost.append(one)
            else:
                self._continue(one, frame, *pick)
        newly = [one for one in lost if not one.missed]
        for one in newly:
            self._find_end(one, frame.index)
        for one in lost:
            one.due = frame.index + (1 if one in newly else self._step)
            one.missed = True
        if newly or self._search_is_due(frame):
            self._search_for_more(frame)

    def _search_is_due(self, frame: Frame) -> bool:
        if self._searched is None:
            return True
        missed = self._missed_us is not None and frame.time_us - self._missed_us <= _SOON_BACK_US
        if not missed and not all(one.missed for one in self._followed):
            return frame.time_us - self.times[self._searched] >= self._search_us
        return frame.index - self._searched >= self.config.idle_every

    def _find_end(self, one: Followed, before: int) -> None:
        """Go on frame by frame from the last look to the frame in which the face was lost."""
        others = [other.track.box for other in self._followed if other is not one]
        for frame in self._recent:
            if one.track.last < frame.index < before:
                pick = self._pick(frame, one)
                if pick is None or any(overlap(pick[0][:4], box) >= SAME_FACE for box in others):
                    return
                one.track.add(frame.index, self.times, *pick)

    def _search_for_more(self, frame: Frame) -> None:
        """Search the whole picture, find lost faces again and take up new ones."""
        lost = [one for one in self._followed if one.missed]
        here = [one for one in self._followed if not one.missed]
        found = self._searcher.whole(frame.picture, nobody=not here, new_scene=self._searched is None)
        self._searched = frame.index
        widest_first = np.argsort(found.boxes[:, 0] - found.boxes[:, 2], kind="stable")
        for box in found.boxes[widest_first]:
            taken = [one.track.box for one in here]
            if taken and overlaps(box[None], np.stack(taken)).max() >= SAME_FACE:
                continue
            one = next((one for one in lost if is_close(one.track.box, box)), None)
            if one is None and len(self._followed) >= self.config.max_faces:
                continue
            pick = self._searcher.into(frame.picture, box, box)
            # What whole picture and region agree on, but a face at hand claims, is that face.
            if pick is None or (taken and overlaps(pick[0][None, :4], np.stack(taken)).max() >= SAME_FACE):
                continue
            if one is None:
                one = Followed(self._new_track(), box, frame.index)
                self._begin(one, frame, pick)
            else:
                lost.remove(one)
                one.anchor = box
                self._continue(one, frame, *pick)
            here.append(one)

    def _new_track(self) -> Track:
        return Track(len(self.tracks), self._hole_us)

    def _begin(self, one: Followed, frame: Frame, pick: Pick) -> None:
        """Take up a new face, from the first of the recent frames that it is in."""
        one.anchor = pick[0][:4]
        back = [(frame, pick)]
        for earlier in reversed(self._recent):
            before = self._searcher.into(earlier.picture, one.anchor, back[-1][1][0][:4])
            taken = [t.rows[earlier.index - t.first, :4] for t in self.tracks if t.first <= earlier.index <= t.last]
            if before is None or any(overlap(before[0][:4], box) >= SAME_FACE for box in taken if not np.isnan(box[0])):
                break
            back.append((earlier, before))
        for at, (points, score) in reversed(back):
            one.track.add(at.index, self.times, points, score)
            self._see(one, at, points)
        one.due = frame.index + 1
        self.tracks.append(one.track)
        self._followed.append(one)

    def _continue(self, one: Followed, frame: Frame, points: NDArray[np.float32], score: float) -> None:
        """Add a detection, and decide when and where to look next."""
        box, last = points[:4], one.track.box
        alone = not any(overlap(box, other.track.box) >= TOUCHING for other in self._followed if other is not one)
        one.missed = False
        if one.tangled and alone:
            # Which of the tangled faces this is, only its appearance can tell: it goes on as a track of its own.
            one.track.ended = True
            one.track, one.tangled = self._new_track(), False
            one.track.add(frame.index, self.times, points, score)
            self.tracks.append(one.track)
            one.due = frame.index + 1
        else:
            moved = centre(box) - centre(last)
            pace = float(np.hypot(*moved)) / max(1.0, float(last[2] - last[0])) / (frame.index - one.track.last)
            steps = int(_STILL / pace) if pace * self._step > _STILL else self._step
            one.due = frame.index + (max(1, steps) if alone else 1)
            one.track.add(frame.index, self.times, points, score)
        self._see(one, frame, points)
        if has_left(one.anchor, box):
            one.anchor = box

    def _see(self, one: Followed, frame: Frame, points: NDArray[np.float32]) -> None:
        """Take note of what a face looks like, where no other is beside it."""
        if not any(beside(points[:4], other.track.box) for other in self._followed if other is not one):
            self.appearance.see(one.track.number, frame, points)

    def _pick(self, frame: Frame, one: Followed) -> Pick | None:
        return self._searcher.into(frame.picture, one.anchor, one.track.box)

    def _match(self, frame: Frame) -> None:
        """The plain loop: search the whole picture, and continue tracks by what was found."""
        found = self._searcher.whole(frame.picture, nobody=True, new_scene=False)
        self._searched = frame.index
        for one in self._followed:
            one.missed = True
        points = as_points(found)
        free = set(range(len(found)))
        if self._followed and free:
            fit = affinity([one.track for one in self._followed], points, self.config.track_iou)
            for one, which in zip(
                *linear_sum_assignment(np.where(np.isinf(fit), -1e3, fit), maximize=True), strict=True
            ):
                if np.isfinite(fit[one, which]):
                    self._continue(self._followed[one], frame, points[which], float(found.scores[which]))
                    free.discard(int(which))
        for which in sorted(free):
            if len(self._followed) < self.config.max_faces:
                one_new = Followed(self._new_track(), points[which, :4], frame.index)
                one_new.track.add(frame.index, self.times, points[which], float(found.scores[which]))
                self._see(one_new, frame, points[which])
                self.tracks.append(one_new.track)
                self._followed.append(one_new)
