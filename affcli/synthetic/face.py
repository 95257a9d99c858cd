"""One photographed face whose shape and expression are numbers.

The photograph is `astronaut.png`, which scikit-image installs with itself: Eileen Collins, by NASA, in the
public domain. Each movement (a smile, a raised brow, a wider jaw ...) moves a few landmarks by a few
pixels; a thin-plate spline spreads that to a smooth displacement of every pixel. A picture is then the
photograph looked up through a weighted sum of those displacements. The sum is used as a backward map
without inverting it, which is accurate enough while movements stay small.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from affcli.errors import AssetError
from affcli.synthetic.landmarks import EXPRESSIONS, MIDLINE, OUTLINE, PAIRS, SHAPES, Point

CROP_LEFT, CROP_TOP, CROP_RIGHT, CROP_BOTTOM = 112, 0, 332, 236  # the part of the photograph that is used
ENLARGEMENT = 1.25  # portrait pixels per photograph pixel: room for sub-pixel movement
FIELD_STEP = 4  # splines are evaluated at every 4th portrait pixel: they are smooth, the rest is interpolated
FIELD_GRAIN = 1024  # displacements are rounded to 1/1024 pixel, which hides the last bits of a linear solver
WEIGHT_FLOOR = 1e-2  # a smaller weight moves nothing by more than a tenth of a pixel


@dataclass(frozen=True, eq=False)
class Face:
    """The photograph, ready to be bent. A portrait has h = 295 and w = 275 pixels.

    `pixels` (h, w, 4) uint8: RGB and opacity. `fields`: for each movement the displacement (h, w, 2)
    float32 in pixels (dx, dy) at weight 1. `grid` (h, w, 2) float32: every pixel's own position.
    `mouth_box`: the rows and columns around the mouth; `mouth_depth` float32 in [0, 1]: how deep inside the
    mouth each pixel there lies. `centre` (x, y): the middle between eyes and mouth. `eye_distance`: pixels
    between the eyes. The arrays are shared and read-only.
    """

    pixels: NDArray[np.uint8]
    fields: Mapping[str, NDArray[np.float32]]
    grid: NDArray[np.float32]
    mouth_box: tuple[slice, slice]
    mouth_depth: NDArray[np.float32]
    centre: Point
    eye_distance: float

    def portrait(self, shape: Mapping[str, float], tone: NDArray[np.uint8]) -> Portrait:
        """Give the face a permanent `shape` (weights by the names of SHAPES) and a colour.

        `tone` (1, 256, 3) uint8 maps each level of red, green and blue to another.
        """
        coloured = self.pixels.copy()
        coloured[..., :3] = cv2.LUT(np.ascontiguousarray(self.pixels[..., :3]), tone)
        return Portrait(self, coloured, _bend(self.grid, self.fields, shape))


@dataclass(frozen=True, eq=False)
class Portrait:
    """A face of a person: `pixels` as in `Face`, but coloured; `lookup` (h, w, 2) float32: a backward map."""

    face: Face
    pixels: NDArray[np.uint8]
    lookup: NDArray[np.float32]

    def render(self, expression: Mapping[str, float]) -> NDArray[np.uint8]:
        """Picture (h, w, 4) uint8, RGB and opacity; `expression`: weights by the names of EXPRESSIONS."""
        pixels = self.pixels
        opening = min(1.0, expression.get("jaw_drop", 0.0))
        if opening > WEIGHT_FLOOR:
            # The photograph shows closed teeth, from which an open mouth is stretched: shade them.
            pixels = _darken(pixels, self.face.mouth_box, 0.75 * opening * self.face.mouth_depth)
        lookup = _bend(self.lookup, self.face.fields, expression)
        picture = cv2.remap(  # type: ignore[call-overload]  # the stub lacks the None of a two-channel map
            pixels, lookup, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(picture, dtype=np.uint8)


@lru_cache(maxsize=1)
def load_face() -> Face:
    """The face, built once for each process. Raises AssetError when the photograph is missing."""
    crop = read_photograph()[CROP_TOP:CROP_BOTTOM, CROP_LEFT:CROP_RIGHT]
    height, width = (round(side * ENLARGEMENT) for side in crop.shape[:2])
    colour = cv2.resize(crop, (width, height), interpolation=cv2.INTER_CUBIC)
    pixels = np.dstack([colour, _opacity(height, width)]).astype(np.uint8)
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))

    marks = {name: _to_portrait(point) for name, point in _all_landmarks().items()}
    right_eye = (marks["right_eye_outer"] + marks["right_eye_inner"]) / 2
    left_eye = (marks["left_eye_outer"] + marks["left_eye_inner"]) / 2
    mouth = (marks["right_mouth_corner"] + marks["left_mouth_corner"]) / 2
    centre = (right_eye + left_eye + 2 * mouth) / 4

    mouth_box, mouth_depth = _mouth_shade((marks["upper_lip_inner"] + marks["lower_lip_inner"]) / 2)
    face = Face(
        pixels=pixels,
        fields=_displacement_fields(marks, height, width),
        grid=np.dstack([columns, rows]),
        mouth_box=mouth_box,
        mouth_depth=mouth_depth,
        centre=(float(centre[0]), float(centre[1])),
        eye_distance=float(np.linalg.norm(left_eye - right_eye)),
    )
    arrays: list[NDArray[Any]] = [face.pixels, face.grid, face.mouth_depth, *face.fields.values()]
    for array in arrays:
        array.flags.writeable = False
    return face


def read_photograph() -> NDArray[np.uint8]:
    """The photograph (512, 512, 3) uint8 RGB, from the installed scikit-image; nothing is ever downloaded.

    Raises AssetError when scikit-image is missing, or is installed without a readable picture.
    """
    try:
        encoded = (importlib.resources.files("skimage") / "data" / "astronaut.png").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise AssetError(
            "astronaut.png",
            "not found in the package scikit-image",
            expected="the photograph that synthetic clips are made from",
            advice="pip install --force-reinstall scikit-image",
        ) from error
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if picture is None or picture.shape != (512, 512, 3):
        raise AssetError(
            "astronaut.png",
            f"a picture of shape {picture.shape}" if picture is not None else "not a readable picture",
            expected="a colour picture of 512 x 512 pixels",
            advice="pip install --force-reinstall scikit-image",
        )
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _all_landmarks() -> dict[str, Point]:
    """Every landmark in pixels of the photograph, the paired ones as right_<name> and left_<name>."""
    marks = dict(MIDLINE)
    for name, (right, left) in PAIRS.items():
        marks[f"right_{name}"] = right
        marks[f"left_{name}"] = left
    return marks


def _all_steps(movement: Mapping[str, Point]) -> dict[str, Point]:
    """A movement's displacement of each landmark it moves, named as in `_all_landmarks`."""
    steps: dict[str, Point] = {}
    for name, (across, down) in movement.items():
        if name in MIDLINE:
            steps[name] = (across, down)
        else:
            steps[f"right_{name}"] = (across, down)
            steps[f"left_{name}"] = (-across, down)
    return steps


def _to_portrait(point: Point) -> NDArray[np.float64]:
    """From pixels of the photograph to pixels of the portrait: (2,) float64."""
    return (np.array(point) - (CROP_LEFT, CROP_TOP)) * ENLARGEMENT


def _displacement_fields(
    marks: Mapping[str, NDArray[np.float64]], height: int, width: int
) -> dict[str, NDArray[np.float32]]:
    """Each movement's displacement of every portrait pixel, (h, w, 2) float32; the borders stay in place."""
    names = list(marks)
    movements = {**EXPRESSIONS, **SHAPES}
    border = [(u * width, v * height) for u in np.linspace(0, 1, 7) for v in np.linspace(0, 1, 7)
              if u in (0, 1) or v in (0, 1)]  # fmt: skip
    known = np.vstack([*marks.values(), border])
    steps = np.zeros((len(known), len(movements), 2))
    for column, movement in enumerate(movements.values()):
        for name, step in _all_steps(movement).items():
            steps[names.index(name), column] = np.array(step) * ENLARGEMENT

    # cv2.resize holds that a pixel has an area: the first coarse value belongs to the middle of the first 4
    # x 4 pixels.
    down, across = (np.arange(-(-side // FIELD_STEP)) * FIELD_STEP + (FIELD_STEP - 1) / 2 for side in (height, width))
    places = np.stack(np.meshgrid(across, down), axis=-1)
    spline = RBFInterpolator(known, steps.reshape(len(known), -1), kernel="thin_plate_spline")
    coarse = np.round(spline(places.reshape(-1, 2)) * FIELD_GRAIN) / FIELD_GRAIN
    coarse = coarse.reshape(*places.shape[:2], len(movements), 2).astype(np.float32)

    fields = {}
    for column, name in enumerate(movements):
        full = cv2.resize(coarse[:, :, column], None, fx=FIELD_STEP, fy=FIELD_STEP)
        fields[name] = np.ascontiguousarray(full[:height, :width], dtype=np.float32)
    return fields


def _opacity(height: int, width: int) -> NDArray[np.uint8]:
    """How opaque each portrait pixel is, (h, w) uint8: the outline, soft at the edge and at the bottom."""
    outline = np.array([_to_portrait(point) for point in OUTLINE]).round().astype(np.int32)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [outline], (255,))
    softness = 2.2 * ENLARGEMENT
    soft = cv2.GaussianBlur(inside.astype(np.float32) / 255, (0, 0), softness)
    # Most of the soft edge lies inside the outline: outside shines the photograph's own bright background.
    edge = np.clip((soft - 0.45) / 0.5, 0, 1)
    fade = np.clip((height - 1 - np.arange(height)) / (12 * ENLARGEMENT), 0, 1)
    return np.asarray(np.round(255 * edge * fade[:, np.newaxis]), dtype=np.uint8)


def _mouth_shade(middle: NDArray[np.float64]) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
    """Rows and columns around the mouth, and how deep inside the mouth each pixel there lies, 0 to 1."""
    radius_x, radius_y = 17 * ENLARGEMENT, 4.2 * ENLARGEMENT
    middle_x, middle_y = middle[0], middle[1] + ENLARGEMENT
    columns = np.arange(int(middle_x - 1.75 * radius_x), int(middle_x + 1.75 * radius_x))
    rows = np.arange(int(middle_y - 1.75 * radius_y), int(middle_y + 1.75 * radius_y))
    distance = ((columns - middle_x) / radius_x) ** 2 + ((rows[:, np.newaxis] - middle_y) / radius_y) ** 2
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    return box, np.exp(-(distance**2)).astype(np.float32)


def _darken(pixels: NDArray[np.uint8], box: tuple[slice, slice], amount: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A copy of (h, w, 4) `pixels`, darker inside `box` by `amount` (0 keeps, 1 blackens)."""
    darker = np.array(pixels, dtype=np.uint8)
    colours = darker[box][..., :3]
    colours[...] = colours * (1 - amount[..., np.newaxis])
    return darker


def _bend(
    lookup: NDArray[np.float32], fields: Mapping[str, NDArray[np.float32]], weights: Mapping[str, float]
) -> NDArray[np.float32]:
    """A copy of a backward map (h, w, 2) that moves the picture along the weighted `fields`."""
    bent = lookup.copy()
    for name, weight in weights.items():
        if abs(weight) > WEIGHT_FLOOR:
            cv2.scaleAdd(fields[name], -weight, bent, bent)
    return bent
