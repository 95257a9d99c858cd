"""One look at one picture: all of it, or the region around one face."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from affcli.configs import Tracks
from affcli.faces.align import degenerate
from affcli.faces.detections import SAME_FACE, Detections, Detector, joined, overlaps, suppress
from affcli.faces.track import as_points
from affcli.media.planes import Picture

Pick = tuple[NDArray[np.float32], float]  # a face (14,) and its score

_SIDES, _PLACES = 1.1, 0.1  # steps of a region: factor of its side, share of its side
_SHIFTED, _SCALED = 0.12, 0.15  # of the anchor's longer side: beyond these a region is put around the face anew


class Searcher:
    """Gives the detector pictures at the scales of the settings; its answers are in pixels of the whole picture."""

    def __init__(self, detector: Detector, config: Tracks) -> None:
        self.config = config
        self._detector = detector

    def into(self, picture: Picture, anchor: NDArray[np.float32], expected: NDArray[np.float32]) -> Pick | None:
        """The face (14,) nearest the expected box in the region around `anchor`, and its score."""
        size = self.config.roi_size
        left, top, side = _window(anchor, self.config.roi_scale, size)
        found = self._detector(picture.region(left, top, side, side, size, size))
        found = self._usable(found, (side / size, side / size), left, top)
        if not len(found):
            return None
        overlap = overlaps(expected[None], found.boxes)[0]
        best = int(np.argmax(overlap))
        if overlap[best] < self.config.track_iou:
            return None
        return as_points(found)[best], float(found.scores[best])

    def whole(self, picture: Picture, *, nobody: bool, new_scene: bool) -> Detections:
        """Every face of a whole picture, with a second and finer search in a new scene, or where there is nobody."""
        found = self._searched_at(picture, self.config.det_size)
        longer = max(picture.width, picture.height)
        if (new_scene or (nobody and not len(found))) and longer > self.config.det_size < self.config.det_retry:
            found = suppress(joined(found, self._searched_at(picture, self.config.det_retry)), SAME_FACE)
        return found

    def _searched_at(self, picture: Picture, longer_side: int) -> Detections:
        factor = min(1.0, longer_side / max(picture.width, picture.height))
        size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
        found = self._detector(picture.scaled(*size))
        return self._usable(found, (picture.width / size[0], picture.height / size[1]), 0, 0)

    def _usable(self, found: Detections, scale: tuple[float, float], left: int, top: int) -> Detections:
        """Detections in pixels of the whole picture, without what is too small and what can be no face."""
        by, shift = np.array(scale, np.float32), np.array([left, top], np.float32)
        moved = Detections(found.boxes * np.tile(by, 2) + np.tile(shift, 2), found.landmarks * by + shift, found.scores)
        wide = moved.boxes[:, 2] - moved.boxes[:, 0] >= self.config.min_face
        return moved[wide & ~degenerate(moved.boxes, moved.landmarks)]


def _window(anchor: NDArray[np.float32], scale: float, size: int) -> tuple[int, int, int]:
    """The region around a box: left, top and side, px.

    Sides and places are those of a grid: a face that comes back is seen as before.  To another window the network
    answers with landmarks that lie elsewhere by some per cent of the eye distance.
    """
    side = scale * float(max(anchor[2] - anchor[0], anchor[3] - anchor[1]))
    whole = max(8, round(_SIDES ** round(math.log(max(side, 1)) / math.log(_SIDES))))
    step = 2 * max(1, whole // size)
    whole -= whole % step  # luma and chroma are averaged by whole factors, which is fast
    grid = max(2, 2 * round(_PLACES * whole / 2))
    left, top = (grid * round((float(middle) - whole / 2) / grid) for middle in centre(anchor))
    return left, top, whole


def centre(box: NDArray[np.float32]) -> NDArray[np.float32]:
    """The middle of a box (4,), px."""
    return np.asarray((box[:2] + box[2:]) / 2, np.float32)


def overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes (4,), 0 to 1."""
    return float(overlaps(one[None], other[None])[0, 0])


def beside(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether a crop of the face in one box would show some of the face in another."""
    room = 0.25 * (one[2:] - one[:2])
    return bool((one[:2] - room < other[2:]).all() and (other[:2] < one[2:] + room).all())


def has_left(anchor: NDArray[np.float32], box: NDArray[np.float32]) -> bool:
    """Whether a face has left the middle of its region, or grown or shrunk in it."""
    sides = anchor[2:] - anchor[:2]
    longer = float(sides.max())
    shift = np.abs(centre(box) - centre(anchor)).max() / longer
    scale = abs(float((box[2:] - box[:2]).max()) / longer - 1)
    return bool(shift > _SHIFTED or scale > _SCALED)


def is_close(lost: NDArray[np.float32], box: NDArray[np.float32]) -> bool:
    """Whether a face that jumped out of its region can be this one: within its own width, about as large."""
    width, other = float(lost[2] - lost[0]), float(box[2] - box[0])
    distance = float(np.hypot(*(centre(lost) - centre(box))))
    return distance <= width and max(width, other) <= 1.5 * min(width, other)
