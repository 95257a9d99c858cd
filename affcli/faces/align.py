"""Five landmarks to a template: one similarity transform per frame, and the crop it makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from affcli.errors import UsageError

_LEAST_SIZE = 16  # px
_LEAST_EYE_DISTANCE = 0.1  # of the face box's width
_LEAST_EYE_TO_MOUTH = 0.1  # of the face box's height


@dataclass(frozen=True)
class Template:
    """Where the five landmarks go in a square crop."""

    size: int  # px
    points: tuple[tuple[float, float], ...]  # x, y of right eye, left eye, nose, right and left mouth corner, px
    source: str

    def scaled(self, size: int) -> Template:
        """The same template for a crop of another size."""
        factor = size / self.size
        return Template(size, tuple((x * factor, y * factor) for x, y in self.points), self.source)


_ARCFACE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))

TEMPLATES = {
    "arcface-112": Template(112, _ARCFACE, "Deng et al. 2019, ArcFace (insightface)"),
    # OpenFace puts its mean shape, 0.7 px per unit, with the origin in the middle of the crop; its eyes are the means
    # of six points each (36-41, 42-47), nose and mouth corners its points 30, 48 and 54.
    "openface-112": Template(
        112,
        ((32.9456, 29.1991), (78.9518, 28.8647), (56.8587, 50.1098), (35.7586, 76.0289), (76.1561, 75.6559)),
        "Baltrusaitis et al. 2018, OpenFace 2.0 (mean shape of its point distribution model)",
    ),
    # ArcFace's points with a margin of 8 px on each side: the room in which M3T takes crops of 112 at random.
    "m3t-128": Template(
        128, tuple((x + 8, y + 8) for x, y in _ARCFACE), "Zhang et al. 2020, M3T; ArcFace's points in 128 px"
    ),
}


def template_of(name: str, size: int = 0) -> Template:
    """A template by name, at `size` px or, with 0, at its own.  Raises UsageError where either is impossible."""
    if 0 < size < _LEAST_SIZE:
        raise UsageError(f"--size {size}", "is too small", expected=f"{_LEAST_SIZE} px or more", advice="correct it")
    if name not in TEMPLATES:
        raise UsageError(name, "is no template", expected=f"one of {', '.join(TEMPLATES)}", advice="choose one of them")
    return TEMPLATES[name].scaled(size) if size else TEMPLATES[name]


def degenerate(boxes: NDArray[np.float32], landmarks: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(k,): landmarks (k, 5, 2) that no template fits: not finite, or eyes or mouth fallen together, as in profile."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
    eyes = np.linalg.norm(landmarks[:, 0] - landmarks[:, 1], axis=1) / sides[:, 0]
    height = np.linalg.norm(landmarks[:, :2].mean(axis=1) - landmarks[:, 3:].mean(axis=1), axis=1) / sides[:, 1]
    good = np.isfinite(landmarks).all(axis=(1, 2)) & np.isfinite(boxes).all(axis=1)
    return np.asarray(~(good & (eyes >= _LEAST_EYE_DISTANCE) & (height >= _LEAST_EYE_TO_MOUTH)))


def similarity(landmarks: NDArray[np.floating], template: Template) -> NDArray[np.float64]:
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


class Regions(Protocol):
    """A picture that gives RGB rectangles of itself, shrunk on demand: `affcli.media.planes.Picture`."""

    def region(
        self, left: int, top: int, width: int, height: int, out_width: int | None = None, out_height: int | None = None
    ) -> NDArray[np.uint8]: ...


def align(picture: Regions, landmarks: NDArray[np.floating], template: Template) -> NDArray[np.uint8]:
    """The (size, size, 3) RGB crop of the face with these landmarks (5, 2); black outside of the picture."""
    return crop(picture, similarity(landmarks[None], template)[0], template.size)


def crop(picture: Regions, transform: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """The (size, size, 3) RGB crop that `transform` (2, 3) takes out of a picture; black outside of it.

    Where the face is much larger than the crop, it is first averaged down by a whole factor: bilinear sampling alone
    would skip pixels, and the skipped ones flicker from frame to frame.
    """
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    factor = max(1, int(1 / scale))
    corners = np.array([(0, 0), (size, 0), (0, size), (size, size)], dtype=np.float64)
    inside = (corners - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T
    low = np.floor(inside.min(axis=0)).astype(int) - factor
    low -= low % 2  # where chroma begins
    cells = -(-(np.ceil(inside.max(axis=0)).astype(int) + factor - low) // factor)
    left, top, columns, rows = (int(value) for value in (*low, *cells))
    region = picture.region(left, top, columns * factor, rows * factor, columns, rows)
    # From the region's pixels to the picture's: a cell's centre is counted from the centre of its first pixel.
    centre = (factor - 1) / 2
    inner = np.array([[factor, 0, left + centre], [0, factor, top + centre], [0, 0, 1]], dtype=np.float64)
    return np.asarray(cv2.warpAffine(region, transform @ inner, (size, size), flags=cv2.INTER_LINEAR), dtype=np.uint8)
