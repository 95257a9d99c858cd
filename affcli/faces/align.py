"""Five landmarks to a template: one similarity transform per frame, and the crop it makes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Template:
    """Where the five landmarks go in a square crop."""

    size: int  # px
    points: tuple[tuple[float, float], ...]  # x, y of right eye, left eye, nose, right and left mouth corner, px
    source: str


TEMPLATES = {
    "arcface-112": Template(
        112,
        ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)),
        "Deng et al. 2019, ArcFace (insightface)",
    ),
}


def similarity(landmarks: NDArray[np.float32], template: Template) -> NDArray[np.float64]:
    """The least-squares similarity transforms that bring landmarks (n, 5, 2) onto a template: (n, 2, 3).

    Points taken as complex numbers, rotation and scale are one factor a and the transform is z -> a z + b, for which
    least squares has a closed form.  It is Umeyama's (1991) solution without reflections.
    """
    points = landmarks[..., 0].astype(np.float64) + 1j * landmarks[..., 1]
    target = np.array([complex(x, y) for x, y in template.points])
    spread = points - points.mean(axis=1, keepdims=True)
    factor = (spread.conj() @ (target - target.mean())) / (np.abs(spread) ** 2).sum(axis=1)
    shift = target.mean() - factor * points.mean(axis=1)
    rows = [
        np.stack([factor.real, -factor.imag, shift.real], axis=-1),
        np.stack([factor.imag, factor.real, shift.imag], axis=-1),
    ]
    return np.stack(rows, axis=1)


def crop(image: NDArray[np.uint8], transform: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """The (size, size, 3) picture that `transform` (2, 3) takes out of an RGB picture; black outside of it.

    Where the face is much larger than the crop, it is first averaged down by a whole factor: bilinear sampling alone
    would skip pixels, and the skipped ones flicker from frame to frame.
    """
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    factor = int(1 / scale) if scale < 1 else 1
    if factor > 1:
        image, inner = _averaged(image, transform, size, factor)
        transform = transform @ inner
    flags = cv2.INTER_LINEAR
    return np.asarray(cv2.warpAffine(image, transform[:2], (size, size), flags=flags), dtype=np.uint8)


def _averaged(
    image: NDArray[np.uint8], transform: NDArray[np.float64], size: int, factor: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The region the crop needs, averaged down, and the (3, 3) map from its pixels to those of `image`."""
    corners = np.array([(0, 0), (size, 0), (0, size), (size, size)], dtype=np.float64)
    inside = (corners - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T
    height, width = image.shape[:2]
    low = np.clip(np.floor(inside.min(axis=0)).astype(int) - factor, 0, [width - 1, height - 1])
    high = np.clip(np.ceil(inside.max(axis=0)).astype(int) + factor, low + 1, [width, height])
    cells = -(-(high - low) // factor)
    region = image[low[1] : high[1], low[0] : high[0]]
    # The last cell of a side may hang over the edge: repeat the edge, so that every cell averages whole pixels.
    spare = cells * factor - (high - low)
    whole = cv2.copyMakeBorder(region, 0, int(spare[1]), 0, int(spare[0]), cv2.BORDER_REPLICATE)
    small = cv2.resize(whole, (int(cells[0]), int(cells[1])), interpolation=cv2.INTER_AREA)
    centre = (factor - 1) / 2  # a cell's centre, counted from the centre of its first pixel
    inner = np.array([[factor, 0, low[0] + centre], [0, factor, low[1] + centre], [0, 0, 1]], dtype=np.float64)
    return np.asarray(small, dtype=np.uint8), inner
