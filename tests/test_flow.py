"""Optical flow of crops whose displacement is known."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import UsageError
from affcli.features import ENCODERS, Setup, flow, settings
from affcli.features.encode import encode_clip
from affcli.features.flow import CELL, WHOLE, Flow, statistics
from affcli.features.views import TimedCrops

SIZE = 112  # px


@pytest.fixture(scope="module")
def photograph() -> NDArray[np.uint8]:
    """A face (200, 200, 3) with what is around it, from scikit-image."""
    from skimage.data import astronaut

    return np.ascontiguousarray(astronaut()[15:215, 125:325])


def moved(
    photograph: NDArray[np.uint8], right: float = 0, down: float = 0, larger: float = 1, clockwise: float = 0
) -> NDArray[np.uint8]:
    """The (SIZE, SIZE, 3) middle of a photograph whose content moved by widths of the crop, grew and turned (rad)."""
    inside, outside = (SIZE - 1) / 2, (len(photograph) - 1) / 2
    turn = larger * np.exp(1j * clockwise)
    matrix = np.array([[turn.real, -turn.imag, 0], [turn.imag, turn.real, 0]])
    matrix[:, 2] = inside - matrix[:, :2] @ [outside, outside] + np.array([right, down]) * SIZE
    return np.asarray(cv2.warpAffine(photograph, matrix, (SIZE, SIZE), flags=cv2.INTER_CUBIC), dtype=np.uint8)


def film(crops: list[NDArray[np.uint8]], time_us: NDArray[np.int64] | None = None, valid: object = None) -> TimedCrops:
    """Crops at 25 frames per second, all valid, unless said otherwise."""
    n = len(crops)
    times = clock.frame_times(n, Fraction(25)) if time_us is None else np.asarray(time_us, dtype=np.int64)
    return TimedCrops(np.stack(crops), times, np.ones(n, np.bool_) if valid is None else np.asarray(valid))


def measured(view: TimedCrops, **chosen: object) -> NDArray[np.float32]:
    """All vectors of a film."""
    return np.concatenate(list(encode_clip(Flow(settings.Flow(**chosen), Setup()), view)))


def cells(row: NDArray[np.float32], grid: int = 4) -> NDArray[np.float32]:
    return row[: -len(WHOLE)].reshape(grid, grid, len(CELL))


def whole(row: NDArray[np.float32]) -> dict[str, float]:
    return dict(zip(WHOLE, row[-len(WHOLE) :].tolist(), strict=True))


def test_the_width_is_what_the_entry_says(photograph: NDArray[np.uint8]) -> None:
    out = measured(film([moved(photograph)] * 3))
    assert out.shape == (3, ENCODERS["flow"].width)
    assert out.dtype == np.float32
    assert measured(film([moved(photograph)] * 2), grid=3).shape == (2, 9 * 4 + 6)


@pytest.mark.parametrize("preset", ["ultrafast", "fast", "medium"])
@pytest.mark.parametrize(("right", "down"), [(0.01, 0), (0, -0.01), (-0.008, 0.006)])
def test_a_shift_is_its_velocity_in_every_cell(
    photograph: NDArray[np.uint8], preset: str, right: float, down: float
) -> None:
    """Widths of the crop in 40 ms, so 25 times as many in a second, within 0.2 px per frame (0.25 in any cell)."""
    row = measured(film([moved(photograph), moved(photograph, right, down)]), preset=preset)[1]
    pixel = 25 / 96
    found = whole(row)
    assert found["dx"] == pytest.approx(25 * right, abs=0.2 * pixel)
    assert found["dy"] == pytest.approx(25 * down, abs=0.2 * pixel)
    assert found["speed"] == pytest.approx(25 * np.hypot(right, down), abs=0.2 * pixel)
    inner = cells(row)[1:3, 1:3]  # at the edges, what comes in was not there before
    assert np.abs(inner[..., 0] - 25 * right).max() < 0.25 * pixel
    assert np.abs(inner[..., 1] - 25 * down).max() < 0.25 * pixel


def test_growth_and_turn_are_found(photograph: NDArray[np.uint8]) -> None:
    """2 % larger, or 0.02 radians clockwise, in 40 ms; the edges, which come from outside, lose a little of it."""
    for sign in (1, -1):
        grown = measured(film([moved(photograph), moved(photograph, larger=1 + 0.02 * sign)]))[1]
        turned = measured(film([moved(photograph), moved(photograph, clockwise=0.02 * sign)]))[1]
        assert whole(grown)["expansion"] == pytest.approx(0.45 * sign, abs=0.05)
        assert whole(grown)["turn"] == pytest.approx(0, abs=0.03)
        assert whole(turned)["turn"] == pytest.approx(0.45 * sign, abs=0.05)
        assert whole(turned)["expansion"] == pytest.approx(0, abs=0.03)


def test_statistics_worked_by_hand() -> None:
    """Over 8 px, the upper half moves 2 px right, the lower half 4 px down."""
    field = np.zeros((8, 8, 2), np.float32)
    field[:4, :, 0], field[4:, :, 1] = 2, 4
    found = statistics(field, 2)
    assert cells(found, 2).reshape(4, 4) == pytest.approx(np.array([[0.25, 0, 0.25, 0]] * 2 + [[0, 0.5, 0.5, 0]] * 2))
    # The turn is the sum of -y u over that of x^2 + y^2; expansion that of y v: y is -1/4 and 1/4 on average.
    reach = 2 * np.mean(((np.arange(8) - 3.5) / 8) ** 2)
    expected = [0.125, 0.25, 0.375, 0.125, 0.5 * 0.25 / 2 / reach, 0.25 * 0.25 / 2 / reach]
    assert found[-6:] == pytest.approx(np.array(expected))


def test_statistics_of_a_side_that_the_grid_does_not_divide() -> None:
    field = np.random.default_rng(0).normal(0, 1, (50, 50, 2)).astype(np.float32)
    speed = np.hypot(field[..., 0], field[..., 1]) / 50
    found = cells(statistics(field, 4))
    edges = [0, 13, 25, 38, 50]  # a pixel belongs to the cell in which its own corner lies
    for row in range(4):
        for column in range(4):
            part = (slice(edges[row], edges[row + 1]), slice(edges[column], edges[column + 1]))
            means = [*(field[part].mean(axis=(0, 1)) / 50), speed[part].mean(), speed[part].std()]
            assert found[row, column] == pytest.approx(np.array(means), abs=1e-6)


def test_speed_is_per_second_of_the_time_between_the_frames(photograph: NDArray[np.uint8]) -> None:
    crops = [moved(photograph), moved(photograph, 0.02)]
    quick, slow = (measured(film(crops, [0, us]))[1] for us in (20_000, 200_000))
    assert quick == pytest.approx(10 * slow, rel=1e-5)


def test_the_first_frame_and_one_after_a_gap_are_zeros(photograph: NDArray[np.uint8]) -> None:
    crops = [moved(photograph, 0.01 * i) for i in range(4)]
    out = measured(film(crops, [0, 40_000, 400_000, 440_000]))
    assert [bool(row.any()) for row in out] == [False, True, False, True]
    assert measured(film(crops, [0, 40_000, 400_000, 440_000]), longest=0.5)[2].any()


def test_the_crop_before_is_that_of_the_last_frame_with_the_face(photograph: NDArray[np.uint8]) -> None:
    crops = [moved(photograph), np.zeros((SIZE, SIZE, 3), np.uint8), moved(photograph, 0.02)]
    out = measured(film(crops, valid=[True, False, True]))
    assert not out[1].any()
    assert whole(out[2])["dx"] == pytest.approx(0.02 / 0.08, abs=0.1 * 25 / 96)
    assert np.array_equal(out[2], measured(film([crops[0], crops[2]], [0, 80_000]))[1])


def test_blocks_do_not_show_and_equal_films_give_equal_bytes(
    photograph: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    view = film([moved(photograph, 0.01 * (i % 3), 0.01 * (i % 2)) for i in range(9)], valid=np.arange(9) != 4)
    out = measured(view)
    assert np.array_equal(out, measured(view))
    monkeypatch.setattr(flow, "_ROWS_AT_ONCE", 2)
    assert np.array_equal(out, measured(view))


def test_nothing_valid_is_all_zeros(photograph: NDArray[np.uint8]) -> None:
    out = measured(film([moved(photograph)] * 3, valid=[False] * 3))
    assert out.shape == (3, 70)
    assert not out.any()


@pytest.mark.parametrize(("chosen", "expected"), [({"size": 40, "grid": 41}, "at most 40")])
def test_settings_that_leave_nothing_to_measure_are_refused(chosen: dict[str, int], expected: str) -> None:
    with pytest.raises(UsageError, match=f"expected {expected}"):
        Flow(settings.Flow(**chosen), Setup())


def test_a_cut_is_no_movement(photograph: NDArray[np.uint8]) -> None:
    """A face that is lost and found in the next frame is on another track."""
    cut = dataclasses.replace(film([moved(photograph, 0.01 * i) for i in range(4)]), track=np.array([0, 0, 3, 3]))
    assert [bool(row.any()) for row in measured(cut)] == [False, True, False, True]
