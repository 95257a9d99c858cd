"""Pieces of decoded frames are those of the picture that FFmpeg itself makes of them."""

from __future__ import annotations

from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from affcli.media.planes import Picture

SPACES = {"bt709": 1, "unspecified": 2, "bt601": 5, "bt2020": 9}  # AVCOL_SPC
RANGES = {"limited": 1, "full": 2}  # AVCOL_RANGE


def blocks(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Squares of 8 pixels in random colours."""
    cells = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return np.ascontiguousarray(cells.repeat(8, axis=0).repeat(8, axis=1)[:height, :width])


def frame(image: NDArray[np.uint8], kind: str = "yuv420p", space: int = 2, span: int = 1) -> av.VideoFrame:
    made = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=kind)
    made.colorspace, made.color_range = space, span
    return made


def theirs(decoded: av.VideoFrame) -> NDArray[np.int64]:
    return decoded.to_ndarray(format="rgb24").astype(np.int64)


class Turned:
    """A decoded frame whose container says that it is to be turned."""

    def __init__(self, decoded: av.VideoFrame, rotation: int) -> None:
        self._decoded = decoded
        self.rotation = rotation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoded, name)


@pytest.mark.parametrize("kind", ["yuv420p", "yuvj420p"])
@pytest.mark.parametrize("span", RANGES)
@pytest.mark.parametrize("space", SPACES)
def test_colours_are_those_of_ffmpeg(space: str, span: str, kind: str) -> None:
    """FFmpeg cuts off what it computes with few bits: up to three levels, about one on average."""
    decoded = frame(blocks(96, 64), kind, SPACES[space], RANGES[span])
    found, expected = Picture(decoded).whole(), theirs(decoded)
    assert found.dtype == np.uint8 and found.shape == (64, 96, 3)
    assert np.abs(found - expected).max() <= 3
    assert np.abs(found - expected).mean() < 2


def test_the_matrix_and_the_range_of_the_stream_matter() -> None:
    """The same bytes under another matrix or range are other colours: the comparison above sees more than rounding."""
    pictures = {
        (space, span): Picture(frame(blocks(96, 64), "yuv420p", SPACES[space], RANGES[span])).whole().astype(int)
        for space in SPACES
        for span in RANGES
    }
    usual = pictures["unspecified", "limited"]
    assert (usual == pictures["bt601", "limited"]).all()
    for key in (("bt709", "limited"), ("bt2020", "limited"), ("unspecified", "full")):
        assert np.abs(pictures[key] - usual).mean() > 3


def test_primary_colours_by_the_standard() -> None:
    """Luma and chroma of full red in BT.601 and BT.709, limited range, as the standards' tables give them."""
    for space, (luma, blue, red) in {5: (81, 90, 240), 1: (63, 102, 240)}.items():
        decoded = av.VideoFrame(16, 16, "yuv420p")
        for plane, level in zip(decoded.planes, (luma, blue, red), strict=True):
            plane.update(np.full(plane.buffer_size, level, np.uint8).tobytes())
        decoded.colorspace, decoded.color_range = space, 1
        assert np.abs(Picture(decoded).whole().astype(int) - [255, 0, 0]).max() <= 2


@pytest.mark.parametrize(("width", "height"), [(63, 47), (64, 47), (33, 21), (70, 50), (3, 1), (1, 3), (1, 1)])
def test_odd_sides_and_padded_lines(width: int, height: int) -> None:
    """One colour: at odd sizes FFmpeg interpolates colour, which moves edges but no plain colour."""
    colour = np.array([180, 90, 40], np.uint8)
    decoded = frame(np.broadcast_to(colour, (height, width, 3)).copy())
    assert decoded.planes[0].line_size > width or width == 64
    found = Picture(decoded).whole()
    assert found.shape == (height, width, 3)
    assert np.abs(found.astype(int) - colour).max() <= 3
    assert np.abs(found - theirs(decoded)).max() <= 4


def test_padding_is_not_shown() -> None:
    image = blocks(70, 50)
    decoded = frame(image)
    for plane in decoded.planes:
        lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size).copy()
        lines[:, plane.width :] = 255
        plane.update(lines.tobytes())
    assert (Picture(decoded).whole() == Picture(frame(image)).whole()).all()


@pytest.mark.parametrize("kind", ["yuv422p", "yuv444p", "yuv420p10le", "gray", "rgb24", "nv12", "gbrp", "yuva420p"])
def test_what_is_stored_otherwise_is_converted_by_ffmpeg(kind: str) -> None:
    decoded = frame(blocks(70, 50), kind)
    expected = theirs(decoded)
    picture = Picture(decoded)
    assert (picture.whole() == expected).all()
    assert (picture.region(11, 7, 40, 31) == expected[7:38, 11:51]).all()
    assert picture.glance().size


@pytest.mark.parametrize("kind", ["yuv420p", "yuv420p10le", "yuv444p"])
@pytest.mark.parametrize("space", [3, 8, 10, 14, 17])
def test_a_matrix_that_ffmpeg_cannot_convert_is_taken_as_not_stated(kind: str, space: int) -> None:
    picture = Picture(frame(blocks(64, 48), kind, space))
    expected = Picture(frame(blocks(64, 48), kind, 2)).whole()
    assert (picture.whole() == expected).all()
    assert (picture.region(5, 5, 20, 20) == expected[5:25, 5:25]).all()


REGIONS = [
    *((10, 6, 24, 18), (11, 7, 25, 19), (0, 0, 70, 50), (69, 49, 1, 1)),
    *((-9, 5, 30, 20), (-9, -7, 90, 70), (50, 5, 40, 20), (12, -11, 20, 30), (13, 41, 20, 30), (-3, 47, 8, 9)),
]


def cut(image: NDArray[np.uint8], left: int, top: int, width: int, height: int) -> NDArray[np.uint8]:
    """A rectangle of an array, black where it reaches out."""
    reach = 100
    return np.pad(image, ((reach, reach), (reach, reach), (0, 0)))[
        top + reach : top + reach + height, left + reach : left + reach + width
    ]


@pytest.mark.parametrize("span", RANGES)
@pytest.mark.parametrize("place", REGIONS)
def test_a_region_is_that_part_of_the_whole_and_black_outside(place: tuple[int, int, int, int], span: str) -> None:
    picture = Picture(frame(blocks(70, 50), span=RANGES[span]))
    found = picture.region(*place)
    assert (found == cut(picture.whole(), *place)).all()


@pytest.mark.parametrize("span", RANGES)
@pytest.mark.parametrize("kind", ["yuv420p", "rgb24"])
@pytest.mark.parametrize(
    "place", [(-40, 0, 30, 30), (80, 0, 30, 30), (0, -40, 30, 30), (0, 60, 30, 30), (-300, 900, 7, 9)]
)
def test_wholly_outside_is_black(place: tuple[int, int, int, int], kind: str, span: str) -> None:
    picture = Picture(frame(blocks(70, 50), kind, span=RANGES[span]))
    assert picture.region(*place).shape == (place[3], place[2], 3)
    assert not picture.region(*place).any()
    assert not picture.region(*place, 16, 12).any()


@pytest.mark.parametrize(("width", "height"), [(35, 25), (14, 10), (140, 100), (33, 17)])
def test_scaled_is_averaged_or_interpolated(width: int, height: int) -> None:
    """Plane by plane or colour by colour is the same but for rounding, and for what lies outside 0 to 255."""
    ramp = np.stack(
        np.broadcast_arrays(np.linspace(40, 200, 70)[None], np.linspace(60, 180, 50)[:, None], 120), axis=-1
    ).astype(np.uint8)
    picture = Picture(frame(ramp))
    method = cv2.INTER_AREA if width < 70 else cv2.INTER_LINEAR
    expected = cv2.resize(picture.whole(), (width, height), interpolation=method)
    found = picture.scaled(width, height)
    assert found.shape == (height, width, 3)
    assert np.abs(found.astype(int) - expected).max() <= 4
    assert np.abs(found.astype(int) - expected).mean() < 1.5


def test_shrinking_skips_no_pixel() -> None:
    """A board of single black and white pixels is grey at half the size."""
    board = (np.indices((48, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = Picture(frame(np.repeat(board[..., None], 3, axis=2))).scaled(32, 24)
    assert np.abs(small.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("kind", ["yuv420p", "rgb24", "yuv420p10le"])
@pytest.mark.parametrize(("rotation", "turns"), [(0, 0), (90, 1), (180, 2), (270, 3), (-90, 3), (-180, 2)])
def test_every_piece_of_a_turned_picture_is_upright(rotation: int, turns: int, kind: str) -> None:
    decoded = frame(blocks(70, 50), kind)
    plain, turned = Picture(decoded), Picture(Turned(decoded, rotation))
    upright = np.rot90(plain.whole(), turns)
    assert (turned.turns, turned.height, turned.width) == (turns, *upright.shape[:2])
    assert (turned.whole() == upright).all()
    for place in ((5, 8, 21, 30), (0, 0, 17, 17), (-6, 20, 25, 13), (30, -8, 60, 90)):
        assert (turned.region(*place) == cut(upright, *place)).all()
    if turns % 2:
        assert (turned.scaled(25, 35) == np.rot90(plain.scaled(35, 25), turns)).all()
        assert (turned.region(4, 6, 40, 20, 20, 10) == np.rot90(stored_region(plain, turned), turns)).all()
    else:
        assert (turned.scaled(35, 25) == np.rot90(plain.scaled(35, 25), turns)).all()


def stored_region(plain: Picture, turned: Picture) -> NDArray[np.uint8]:
    """The part of the picture as stored that is (4, 6, 40, 20) when upright, at half the size."""
    if turned.turns == 1:  # upright x is stored y; upright y is counted from the stored right
        return plain.region(70 - 6 - 20, 4, 20, 40, 10, 20)
    return plain.region(6, 50 - 4 - 40, 20, 40, 10, 20)


@pytest.mark.parametrize(("width", "height"), [(640, 360), (1280, 720), (96, 64), (1, 1), (400, 2), (2, 400), (300, 1)])
def test_a_glance_is_a_few_samples_of_brightness(width: int, height: int) -> None:
    decoded = frame(blocks(width, height), "gray").reformat(format="yuvj420p")
    glance = Picture(decoded).glance()
    assert 1 <= glance.size <= 96 * 96 and glance.ndim == 2
    plane = decoded.planes[0]
    luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height, :width]
    step = max(1, max(width, height) // 64)
    rows, columns = min(step, height) // 2, min(step, width) // 2
    assert (glance == luma[rows::step, columns::step]).all()
