"""Pieces of a decoded frame as upright RGB, converted only as far as they are needed.

Almost every video stores one plane of luma and two of chroma at half the size.  A shrunken picture, or the region of a
face, is cut out of these planes without touching the rest; what is stored otherwise goes through FFmpeg as a whole.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

cv2.setNumThreads(1)  # the cores are for other steps and other videos
Image = NDArray[np.uint8]  # (height, width, 3) RGB
_Rectangle = tuple[int, int, int, int]  # left, top, width, height

_HALF_CHROMA = frozenset({"yuv420p", "yuvj420p"})  # 8 bits, planar, 4:2:0
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_RGB, _UNSTATED = 0, 2  # AVCOL_SPC
# Weights of red and blue in luma by AVCOL_SPC; 2 is not stated, which FFmpeg too takes for BT.601.
_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),  # BT.709
    2: (0.299, 0.114),
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601, 625 lines
    6: (0.299, 0.114),  # BT.601, 525 lines
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
}


def bytes_per_pixel(pixel_format: str) -> int:
    """What a decoded picture takes while it is looked at: its planes, or planes of any kind and their RGB."""
    return 2 if pixel_format in _HALF_CHROMA else 8


class Picture:
    """One decoded frame.  Coordinates are pixels of the upright picture, whichever way it is stored."""

    def __init__(self, decoded: Any) -> None:
        self.turns = int(decoded.rotation) // 90 % 4  # quarter turns, counter-clockwise, that make it upright
        self._stored = (int(decoded.width), int(decoded.height))
        self._decoded = decoded
        self._rgb: Image | None = None

    @property
    def width(self) -> int:
        """px, upright."""
        return self._stored[self.turns % 2]

    @property
    def height(self) -> int:
        """px, upright."""
        return self._stored[1 - self.turns % 2]

    def whole(self) -> Image:
        """The whole picture."""
        return self.region(0, 0, self.width, self.height)

    def scaled(self, width: int, height: int) -> Image:
        """The whole picture at another size, averaged where it shrinks."""
        return self.region(0, 0, self.width, self.height, width, height)

    def region(
        self, left: int, top: int, width: int, height: int, out_width: int | None = None, out_height: int | None = None
    ) -> Image:
        """A rectangle, which may reach out of the picture (black there), at its own or another size."""
        size = (out_width or width, out_height or height)
        if self.turns % 2:
            size = size[::-1]
        stored = self._rectangle(left, top, width, height)
        planes, colour = self._planes()
        image = _converted(planes, stored, size, colour) if colour else _resized(_cut(planes[0], stored, 0), size)
        return np.ascontiguousarray(np.rot90(image, self.turns)) if self.turns else image

    def glance(self) -> NDArray[np.uint8]:
        """A few thousand samples of the stored picture's brightness, (rows, columns), to compare frames by."""
        planes, _ = self._planes()
        bright = planes[0] if planes[0].ndim == 2 else planes[0][..., 1]  # green is most of it
        step = max(1, max(self._stored) // 64)
        top, left = (min(step, side) // 2 for side in bright.shape)
        return bright[top::step, left::step]

    def _rectangle(self, left: int, top: int, width: int, height: int) -> _Rectangle:
        """Where an upright rectangle is in the stored picture: left, top, width, height."""
        stored_width, stored_height = self._stored
        if self.turns == 1:
            return stored_width - (top + height), left, height, width
        if self.turns == 2:
            return stored_width - (left + width), stored_height - (top + height), width, height
        if self.turns == 3:
            return top, stored_height - (left + width), height, width
        return left, top, width, height

    def _planes(self) -> tuple[list[NDArray[np.uint8]], _Colour | None]:
        """Views of luma and chroma and their meaning; or the RGB picture and None."""
        decoded = self._decoded
        name, space = decoded.format.name, int(decoded.colorspace)
        if space != _RGB and space not in _LUMA_WEIGHTS:  # FFmpeg refuses to convert from any other
            decoded.colorspace = space = _UNSTATED
        if name not in _HALF_CHROMA or space not in _LUMA_WEIGHTS:
            if self._rgb is None:
                self._rgb = decoded.to_ndarray(format="rgb24")
            return [self._rgb], None
        views = [
            np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
            for plane in decoded.planes
        ]
        return views, _colour(space, int(decoded.color_range) == _FULL_RANGE or name == "yuvj420p")


@dataclass(frozen=True)
class _Colour:
    """What luma and chroma values mean."""

    matrix: NDArray[np.float32]  # (3, 4): luma, both chroma and 1 to red, green and blue, all 0 to 255
    black: int  # luma of black


@functools.cache
def _colour(space: int, full_range: bool) -> _Colour:
    """ITU-R BT.601 and its relatives, by their luma weights."""
    red, blue = _LUMA_WEIGHTS[space]
    green = 1 - red - blue
    luma, chroma, black = (1.0, 1.0, 0) if full_range else (255 / 219, 255 / 224, 16)
    linear = np.array(
        [
            [luma, 0, 2 * (1 - red) * chroma],
            [luma, -2 * (1 - blue) * blue / green * chroma, -2 * (1 - red) * red / green * chroma],
            [luma, 2 * (1 - blue) * chroma, 0],
        ]
    )
    return _Colour(np.column_stack([linear, -linear @ [black, 128, 128]]).astype(np.float32), black)


def _converted(planes: list[NDArray[np.uint8]], place: _Rectangle, size: tuple[int, int], colour: _Colour) -> Image:
    left, top, width, height = place
    exact = size == (width, height)
    if exact:  # chroma belongs to pairs of pixels: begin at an even one, and drop afterwards what that adds
        left, top = left - left % 2, top - top % 2
        size = (place[0] + width - left, place[1] + height - top)
        width, height = size
    half = (left // 2, top // 2, (left + width + 1) // 2 - left // 2, (top + height + 1) // 2 - top // 2)
    luma = _resized(_cut(planes[0], (left, top, width, height), colour.black), size)
    chroma = [_cut(plane, half, 128) for plane in planes[1:]]
    if exact:
        chroma = [np.repeat(np.repeat(c, 2, axis=0), 2, axis=1)[:height, :width] for c in chroma]
    else:
        chroma = [_resized(c, size) for c in chroma]
    image = cv2.transform(cv2.merge([luma, *chroma]), colour.matrix)
    return np.asarray(image[place[1] - top if exact else 0 :, place[0] - left if exact else 0 :], np.uint8)


def _cut(plane: NDArray[np.uint8], place: _Rectangle, outside: int) -> NDArray[np.uint8]:
    """A rectangle of a plane, filled with `outside` where it reaches out of it."""
    left, top, width, height = place
    inner = plane[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    if inner.shape[:2] == (height, width):
        return inner
    out = np.full((height, width, *plane.shape[2:]), outside, np.uint8)
    if inner.size:
        down, right = max(-top, 0), max(-left, 0)
        out[down : down + inner.shape[0], right : right + inner.shape[1]] = inner
    return out


def _resized(plane: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A plane at (width, height): averaged by a whole factor, which is fast and skips no pixel, then interpolated."""
    rows, columns = plane.shape[:2]
    factor = min(columns // size[0], rows // size[1])
    if factor >= 2:
        whole = columns % factor == 0 and rows % factor == 0
        between = (columns // factor, rows // factor) if whole else size
        plane = np.asarray(cv2.resize(plane, between, interpolation=cv2.INTER_AREA), np.uint8)
    if plane.shape[1::-1] != size:
        plane = np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return plane
