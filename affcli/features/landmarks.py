"""Geometry of five landmarks: where the head points, where the face is, its proportions, and how all of it moves.

This is not the FacePose of the GRU-fusion paper, which is what OpenFace measures (68 landmarks, gaze, action units); it
is what stands in its place where nobody ran OpenFace.

Directions.  x is to the right in the picture, y is down.  `roll` is positive where the face is turned clockwise in the
picture, `yaw` where the nose points to the right in the picture (to the person's own left), `pitch` where it points up;
a head is pitched first, then turned, then rolled.  All are radians, 0 for a face that looks along the line from the
camera to it.  A mirrored picture changes the sign of roll and yaw alone.

Lengths.  An eye distance is that of the fitted model: the distance at which the eyes would be seen from the front, so
that it does not shrink where the head turns away.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli.clock import MICROSECONDS
from affcli.errors import SchemaError
from affcli.features import Setup, settings
from affcli.features.views import TimedLandmarks
from affcli.schemas import LANDMARKS

# Right eye, left eye (each the middle of its two corners), tip of the nose, right and left mouth corner, in cm, x to
# the right in the picture, y down, z away from the camera: vertices 33 and 133, 263 and 362, 1, 61, 291 of MediaPipe's
# canonical face model (mediapipe/modules/face_geometry/data/canonical_face_model.obj, Apache-2.0), y and z turned over.
_HEAD = np.array(
    [
        (-3.1511455, -2.624618, -3.465663),
        (3.1511455, -2.624618, -3.465663),
        (0, 1.126865, -7.475604),
        (-2.456206, 4.342621, -4.283884),
        (2.456206, 4.342621, -4.283884),
    ]
)
_SHAPE = tuple(f"{point}_{axis}" for point in LANDMARKS for axis in "xy")
_RATED = ("roll", "yaw", "pitch", "size", "x", "y", *_SHAPE, "mouth_width", "eyes_to_mouth")

COLUMNS = (
    *("roll", "yaw", "pitch"),  # radians
    "misfit",  # root mean square distance of the points from those of the fitted head, eye distances
    "size",  # eye distance, in shorter sides of the picture; 0 where its size is not known
    *("x", "y"),  # mean point from the middle of the picture, in its widths and heights; 0 where they are not known
    *("box_width", "box_height"),  # of the face box, eye distances; 0 where there is none
    *("box_x", "box_y"),  # middle of the face box from the mean point, eye distances; 0 where there is none
    *_SHAPE,  # the points from their mean, roll taken out, eye distances
    "eyes_width",  # between the eyes as they are seen, eye distances: less than 1 where the head is turned
    "mouth_width",  # between the corners of the mouth, eye distances
    "eyes_to_mouth",  # from the middle of the eyes to the middle of the mouth, eye distances
    "nose_to_eyes",  # from the tip of the nose to the middle of the eyes, eye distances
    "nose_to_mouth",  # from the tip of the nose to the middle of the mouth, eye distances
    "mouth_tilt",  # clockwise turn of the line of the mouth against that of the eyes, radians
    "nose_aside",  # from -1 to 1: how much nearer the nose is to the left eye (1) than to the right one (-1)
    # How fast each of these grows, per second: radians, eye distances, and for `size_rate` the share of the size.
    *(f"{name}_rate" for name in _RATED),
    "turning",  # speed of roll, yaw and pitch together, radians per second
    "moving",  # speed of x and y together, eye distances per second
)

_LEAST_EYE_DISTANCE = 1.0  # px; below it, points have fallen together
_LEAST_BREADTH = 0.1  # how wide the points must spread across the line that they are nearest to, against along it
_ROWS_AT_ONCE = 4096


class Landmarks:
    """The numbers that `COLUMNS` names, for every frame: (n, 48) float32.

    The pose is that of a rigid head in weak perspective, fitted by least squares and made orthogonal (DeMenthon and
    Davis 1995, one step); a face that is not the model's shape, and a camera that is near, put some degrees on it that
    stay the same from frame to frame.  Points that have fallen together or lie on one line give zeros.  Rates are taken
    over the neighbours of a frame, between their own times, as far as these have the face and are at most `longest`
    apart from it; 0 where there is none.
    """

    def __init__(self, config: settings.Landmarks, _setup: Setup) -> None:
        self.config = config
        self.weights: dict[str, str] = {}

    def __call__(self, view: TimedLandmarks) -> Iterator[NDArray[np.float32]]:
        """Raises SchemaError where a frame has the face but no landmarks, as with crops that were imported."""
        lost = view.valid & ~np.isfinite(view.points).all(axis=(1, 2))
        if lost.any():
            raise SchemaError(
                "the faces",
                f"have no landmarks in {lost.sum()} of {view.valid.sum()} frames with a face",
                expected="five landmarks in each",
                advice="make them with affcli extract-faces; imported crops have none",
            )
        for start in range(0, len(view.valid), _ROWS_AT_ONCE):
            # One frame more on each side, since rates look at the neighbours.
            first, stop = max(0, start - 1), min(start + _ROWS_AT_ONCE + 1, len(view.valid))
            rows = self._rows(view, slice(first, stop))
            yield rows[start - first : start - first + _ROWS_AT_ONCE]

    def _rows(self, view: TimedLandmarks, part: slice) -> NDArray[np.float32]:
        """Rows of some frames: (k, 48); their first and last are right only at the ends of the clip."""
        points = np.where(view.valid[part, None, None], view.points[part], 0).astype(np.float64)
        rotation, eye, misfit, whole = head(points)
        there = view.valid[part] & whole
        unit = np.where(there, eye, 1)
        centre = points.mean(axis=1)
        turned = _turned(points - centre[:, None], -euler(rotation)[:, 0]) / unit[:, None, None]
        place = np.zeros((len(points), 3))
        if view.picture:
            place[:, 0] = eye / min(view.picture)
            place[:, 1:] = centre / np.array(view.picture) - 0.5
        fixed = np.concatenate(
            [
                euler(rotation),
                (misfit / unit)[:, None],
                place,
                _box(view.boxes[part].astype(np.float64), centre, unit),
                turned.reshape(-1, 10),
                _proportions(turned),
            ],
            axis=1,
        )
        track = np.zeros(len(points)) if view.track is None else view.track[part]
        rates = self._rates(fixed, centre, unit, view.time_us[part], there, track)
        moving = np.stack([np.linalg.norm(rates[:, :3], axis=1), np.linalg.norm(rates[:, 4:6], axis=1)], axis=1)
        rows = np.concatenate([fixed, rates, moving], axis=1)
        return np.where(there[:, None], rows, 0).astype(np.float32)

    def _rates(
        self,
        fixed: NDArray[np.float64],
        centre: NDArray[np.float64],
        eye: NDArray[np.float64],
        time_us: NDArray[np.int64],
        there: NDArray[np.bool_],
        track: NDArray[np.number[Any]],
    ) -> NDArray[np.float64]:
        """Per second, (k, 18): what changes from the frame before to the frame after, over the time between them."""
        seconds = np.diff(time_us) / MICROSECONDS
        linked = there[1:] & there[:-1] & (seconds > 0) & (seconds <= self.config.longest) & (np.diff(track) == 0)
        between = (eye[1:] + eye[:-1]) / 2
        steps = np.concatenate(
            [
                np.angle(np.exp(1j * np.diff(fixed[:, :3], axis=0))),  # the short way round
                np.diff(np.log(eye))[:, None],
                np.diff(centre, axis=0) / between[:, None],
                np.diff(fixed[:, [COLUMNS.index(name) for name in _RATED[6:]]], axis=0),
            ],
            axis=1,
        )
        change, time = (
            _around(np.where(linked.reshape(-1, *[1] * (step.ndim - 1)), step, 0)) for step in (steps, seconds)
        )
        return np.asarray(change / np.where(time > 0, time, 1)[:, None])


def head(
    points: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """The head that is nearest to landmarks (k, 5, 2) in weak perspective, where all of it is equally far away.

    Returns the first two rows of its rotation (k, 2, 3), which turns the model into the picture; its eye distance and
    the root mean square distance of the points from it, (k,), both in the unit of the points; and (k,) whether the
    points can be those of a head at all: False where they have fallen together or lie on one line.
    """
    model = _HEAD - _HEAD.mean(axis=0)
    spread = points - points.mean(axis=1, keepdims=True)
    # The affine camera that fits best, and the scaled rotation that is nearest to it.
    affine = np.linalg.pinv(model) @ spread  # (k, 3, 2)
    left, singular, right = np.linalg.svd(affine.transpose(0, 2, 1), full_matrices=False)
    rotation, scale = left @ right, singular.mean(axis=1)
    fitted = scale[:, None, None] * (model @ rotation.transpose(0, 2, 1))
    misfit = np.sqrt(((spread - fitted) ** 2).sum(axis=2).mean(axis=1))
    eye = scale * np.linalg.norm(_HEAD[1] - _HEAD[0])
    whole = (eye >= _LEAST_EYE_DISTANCE) & (singular[:, 1] >= _LEAST_BREADTH * singular[:, 0])
    return rotation, eye, misfit, whole


def euler(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Roll, yaw and pitch (k, 3) in radians of the first two rows (k, 2, 3) of rotations."""
    third = np.cross(rotation[:, 0], rotation[:, 1])
    roll = np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])
    yaw = np.arcsin(np.clip(third[:, 0], -1, 1))
    pitch = np.arctan2(-third[:, 1], third[:, 2])
    return np.stack([roll, yaw, pitch], axis=1)


def _turned(points: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (k, p, 2) turned clockwise in the picture by (k,) radians."""
    turned = (points[..., 0] + 1j * points[..., 1]) * np.exp(1j * angle)[:, None]
    return np.stack([turned.real, turned.imag], axis=-1)


def _box(boxes: NDArray[np.float64], centre: NDArray[np.float64], eye: NDArray[np.float64]) -> NDArray[np.float64]:
    """Width, height and middle of boxes (k, 4) from the mean point (k, 2), in eye distances: (k, 4)."""
    found = np.concatenate([boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2 - centre], axis=1)
    return np.asarray(np.where(np.isfinite(boxes).all(axis=1, keepdims=True), found / eye[:, None], 0))


def _proportions(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The seven proportions, from `eyes_width` to `nose_aside`, of points (k, 5, 2) in eye distances: (k, 7)."""
    eyes, nose, mouth = points[:, :2], points[:, 2], points[:, 3:]
    middle = eyes.mean(axis=1), mouth.mean(axis=1)
    across = [pair[:, 1] - pair[:, 0] for pair in (eyes, mouth)]
    slope = [line[:, 0] + 1j * line[:, 1] for line in across]
    right, left = (np.linalg.norm(nose - eyes[:, side], axis=1) for side in (0, 1))
    lengths = [np.linalg.norm(line, axis=1) for line in (*across, middle[1] - middle[0], nose - middle[0])]
    return np.stack(
        [
            *lengths,
            np.linalg.norm(nose - middle[1], axis=1),
            np.angle(slope[1] * slope[0].conj()),
            (right - left) / np.maximum(right + left, np.finfo(float).tiny),
        ],
        axis=1,
    )


def _around(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The step to each frame and the step from it together: (k - 1, ...) to (k, ...)."""
    none = np.zeros((1, *steps.shape[1:]))
    return np.asarray(np.concatenate([none, steps]) + np.concatenate([steps, none]))
