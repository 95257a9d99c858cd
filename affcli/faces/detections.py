"""What a detector says of one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SAME_FACE = 0.3  # overlap from which on two boxes are one face; CenterFace's own setting


@dataclass(frozen=True)
class Detections:
    """k faces, best first; pixels of the picture that was searched."""

    boxes: NDArray[np.float32]  # (k, 4): left, top, right, bottom
    landmarks: NDArray[np.float32]  # (k, 5, 2): right eye, left eye, nose, right and left mouth corner; x, y
    scores: NDArray[np.float32]  # (k,): 0 to 1

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Detections:
        return Detections(self.boxes[rows], self.landmarks[rows], self.scores[rows])


class Detector(Protocol):
    """Finds faces in one upright RGB picture, (height, width, 3) uint8, at the size it is given in."""

    weights: dict[str, str]  # name to SHA-256, for the recipe

    def __call__(self, image: NDArray[np.uint8]) -> Detections: ...


def overlaps(one: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of boxes (a, 4) with boxes (b, 4): (a, b), 0 to 1."""
    low = np.maximum(one[:, None, :2], others[None, :, :2])
    high = np.minimum(one[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (one, others)]
    union = area[0][:, None] + area[1][None, :] - shared
    return np.asarray(shared / np.maximum(union, np.finfo(np.float32).tiny), dtype=np.float32)


def joined(one: Detections, other: Detections) -> Detections:
    """The faces of both, first the one's, then the other's."""
    return Detections(
        np.concatenate([one.boxes, other.boxes]),
        np.concatenate([one.landmarks, other.landmarks]),
        np.concatenate([one.scores, other.scores]),
    )


def suppress(found: Detections, most_overlap: float) -> Detections:
    """Keep the best of faces that overlap by more than `most_overlap` (non-maximum suppression), best first."""
    order = np.argsort(-found.scores, kind="stable")
    overlap = overlaps(found.boxes[order], found.boxes[order])
    kept: list[int] = []
    for candidate in range(len(order)):
        if not kept or overlap[candidate, kept].max() <= most_overlap:
            kept.append(candidate)
    return found[order[kept]]
