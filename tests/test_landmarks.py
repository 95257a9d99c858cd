"""Geometry of five landmarks: head pose recovered from known heads, and movement per second of real time."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import SchemaError
from affcli.faces.align import TEMPLATES
from affcli.features import ENCODERS, Setup, landmarks, settings
from affcli.features.encode import encode_clip
from affcli.features.landmarks import COLUMNS, Landmarks
from affcli.features.views import TimedLandmarks

PICTURE = (640, 360)
RATES = [name for name in COLUMNS if name.endswith("_rate")] + ["turning", "moving"]


def rotation(roll: float, yaw: float, pitch: float) -> NDArray[np.float64]:
    """Pitched first (positive up), then turned (to the picture's right), then rolled (clockwise), x right, y down."""
    (cr, sr), (cy, sy), (cp, sp) = ((np.cos(angle), np.sin(angle)) for angle in (roll, yaw, pitch))
    rolled = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    turned = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    pitched = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    return np.asarray(rolled @ turned @ pitched)


def seen(
    angles: NDArray[np.float64], middle: tuple[float, float] = (320, 180), scale: float = 10.0, metres: float = np.inf
) -> NDArray[np.float32]:
    """Landmarks (n, 5, 2) in px of heads with these roll, yaw, pitch (n, 3), `scale` px to the cm, `metres` away."""
    heads = np.stack([landmarks._HEAD @ rotation(*one).T for one in angles])
    flat = heads[..., :2] / (1 + heads[..., 2:] / (100 * metres))
    return (flat * scale + middle).astype(np.float32)


def view(
    points: NDArray[np.float32],
    time_us: NDArray[np.int64] | None = None,
    valid: NDArray[np.bool_] | None = None,
    picture: tuple[int, int] | None = PICTURE,
) -> TimedLandmarks:
    """Points with the box that holds them, at 25 frames per second."""
    n = len(points)
    valid = np.ones(n, np.bool_) if valid is None else valid
    points = np.where(valid[:, None, None], points, np.nan).astype(np.float32)
    boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    return TimedLandmarks(
        points, boxes, picture, clock.frame_times(n, Fraction(25)) if time_us is None else time_us, valid
    )


def measured(given: TimedLandmarks, **chosen: float) -> dict[str, NDArray[np.float32]]:
    """What `COLUMNS` names, each (n,)."""
    rows = np.concatenate(list(encode_clip(Landmarks(settings.Landmarks(**chosen), Setup()), given)))
    assert rows.shape == (len(given.valid), len(COLUMNS))
    assert rows.dtype == np.float32
    return dict(zip(COLUMNS, rows.T, strict=True))


def pose(found: dict[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    return np.rad2deg(np.stack([found[name] for name in ("roll", "yaw", "pitch")], axis=1).astype(np.float64))


def random_angles(n: int = 500, degrees: float = 30) -> NDArray[np.float64]:
    return np.deg2rad(np.random.default_rng(0).uniform(-degrees, degrees, (n, 3)))


def test_names_are_unique_and_as_many_as_the_entry_says() -> None:
    assert len(set(COLUMNS)) == len(COLUMNS) == ENCODERS["landmarks"].width


@pytest.mark.parametrize(("metres", "typical", "worst"), [(np.inf, 1e-4, 1e-3), (1.0, 1.7, 6.0), (0.6, 2.9, 9.0)])
def test_known_heads_are_found_again(metres: float, typical: float, worst: float) -> None:
    """Exactly where all of the head is equally far away; within some degrees where the camera is near."""
    angles = random_angles()
    error = np.abs(pose(measured(view(seen(angles, metres=metres)))) - np.rad2deg(angles))
    assert np.median(error, axis=0).max() < typical
    assert error.max() < worst


@pytest.mark.parametrize(
    ("angles", "sign"),
    [((0.3, 0, 0), "the left eye is lower"), ((0, 0.3, 0), "the nose is further right"), ((0, 0, 0.3), "nose up")],
)
def test_signs_are_those_that_are_documented(angles: tuple[float, float, float], sign: str) -> None:
    at_rest, moved = seen(np.array([(0, 0, 0), angles]))
    change = moved - at_rest
    seen_so = {
        "the left eye is lower": change[1, 1] > 0 > change[0, 1],
        "the nose is further right": change[2, 0] > change[[0, 1, 3, 4], 0].max(),
        "nose up": change[2, 1] < change[[0, 1, 3, 4], 1].min(),
    }
    assert seen_so[sign]
    assert pose(measured(view(moved[None])))[0] == pytest.approx(np.rad2deg(angles), abs=1e-3)


def test_a_mirrored_face_rolls_and_turns_the_other_way() -> None:
    points = seen(random_angles()) + np.random.default_rng(1).normal(0, 2, (500, 5, 2)).astype(np.float32)
    mirrored = points[:, [1, 0, 2, 4, 3]]
    mirrored[..., 0] = PICTURE[0] - mirrored[..., 0]
    one, other = measured(view(points)), measured(view(mirrored))
    odd = {
        "roll",
        "yaw",
        "x",
        "box_x",
        "mouth_tilt",
        "nose_aside",
        "nose_x",
        "roll_rate",
        "yaw_rate",
        "x_rate",
        "nose_x_rate",
    }
    sided = ("right_eye", "left_eye", "right_mouth", "left_mouth")
    for name in COLUMNS:
        if name.startswith(sided):
            side, rest = name.split("_", 1)
            twin = other[f"{'left' if side == 'right' else 'right'}_{rest}"]
            expected = -twin if "_x" in rest else twin
        else:
            expected = -other[name] if name in odd else other[name]
        assert one[name] == pytest.approx(expected, rel=1e-3, abs=2e-4), name


def test_shape_does_not_depend_on_where_how_large_and_how_far_rolled_the_face_is() -> None:
    shape = [name for name in COLUMNS if name not in RATES][7:]
    shape = [name for name in shape if not name.startswith("box")]
    one = measured(view(seen(np.array([(0.0, 0.2, 0.1)]))))
    other = measured(view(seen(np.array([(0.5, 0.2, 0.1)]), middle=(100, 300), scale=3.0)))
    for name in shape:
        assert one[name] == pytest.approx(other[name], abs=1e-5), name


def test_values_worked_by_hand() -> None:
    """A head seen from the front, 10 px to the cm: its eyes are 63.0 px apart and its mouth is 49.1 px wide."""
    found = measured(view(seen(np.zeros((1, 3)), middle=(320, 180))))
    eye = 63.02291
    expected = {
        "size": eye / 360,
        "x": 0,
        "y": np.mean([-26.24618, -26.24618, 11.26865, 43.42621, 43.42621]) / 360,
        "box_width": 1,
        "box_height": (43.42621 + 26.24618) / eye,
        "right_eye_x": -0.5,
        "left_eye_x": 0.5,
        "eyes_width": 1,
        "mouth_width": 49.12412 / eye,
        "eyes_to_mouth": (43.42621 + 26.24618) / eye,
        "nose_to_eyes": (11.26865 + 26.24618) / eye,
        "nose_to_mouth": (43.42621 - 11.26865) / eye,
        "mouth_tilt": 0,
        "nose_aside": 0,
        "misfit": 0,
    }
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, abs=1e-5), name


def test_the_templates_of_aligned_crops_look_ahead() -> None:
    """A foreign model of a face from the front, ArcFace's mean of five points, has no roll or yaw, little pitch."""
    points = np.array([TEMPLATES["arcface-112"].points], np.float32)
    roll, yaw, pitch = pose(measured(view(points)))[0]
    assert abs(roll) < 1
    assert abs(yaw) < 1
    assert abs(pitch) < 8


def test_where_the_pictures_size_is_not_known_size_and_place_are_zero() -> None:
    known, unknown = (measured(view(seen(random_angles(5)), picture=one)) for one in (PICTURE, None))
    for name in COLUMNS:
        if name in ("size", "x", "y"):
            assert not unknown[name].any()
        else:
            assert np.array_equal(known[name], unknown[name]), name


def test_rates_are_per_second_where_the_frame_rate_varies() -> None:
    """A head that turns, rises and grows steadily: every frame has the same rates, however far apart frames are."""
    times = np.cumsum(np.random.default_rng(0).integers(5_000, 90_000, 60))
    seconds = (times - times[0]) / 1e6
    angles = np.stack([0.1 * seconds, -0.2 + 0.3 * seconds, 0.2 * seconds], axis=1)
    points = seen(angles, middle=(0, 0))
    path = np.stack([0 * seconds, -0.5 * 63.02291 * seconds], axis=1)  # half an eye distance a second, upwards
    points += (path[:, None] - points.mean(axis=1, keepdims=True)).astype(np.float32)
    found = measured(view(points, times))
    for name, rate in {"roll": 0.1, "yaw": 0.3, "pitch": 0.2, "x": 0, "y": -0.5, "size": 0}.items():
        assert found[f"{name}_rate"] == pytest.approx(rate, abs=2e-3), name
    assert found["turning"] == pytest.approx(np.sqrt(0.01 + 0.09 + 0.04), abs=2e-3)
    assert found["moving"] == pytest.approx(0.5, abs=2e-3)


def test_a_face_that_comes_nearer_grows_by_a_share_of_its_size() -> None:
    times = clock.frame_times(20, Fraction(25))
    points = np.concatenate([seen(np.zeros((1, 3)), scale=10 * np.exp(0.4 * t / 1e6)) for t in times])
    assert measured(view(points, times))["size_rate"] == pytest.approx(0.4, abs=1e-3)


def test_rates_take_the_frame_before_and_the_frame_after() -> None:
    """Yaw 0, 1, 4 degrees at 0, 40, 80 ms: 25, 50 and 75 degrees per second."""
    points = seen(np.deg2rad([(0, 0, 0), (0, 1, 0), (0, 4, 0)]))
    assert np.rad2deg(measured(view(points))["yaw_rate"]) == pytest.approx([25, 50, 75], abs=0.02)


def test_rates_never_cross_a_frame_without_the_face_or_a_gap() -> None:
    """Ten frames: the face is gone in frame 3, and half a second passes between frames 6 and 7."""
    angles = np.deg2rad([(0, yaw, 0) for yaw in (0, 1, 2, 0, 20, 21, 22, -10, -9, 40)])
    valid = np.arange(10) != 3
    times = clock.frame_times(10, Fraction(25))
    times[7:] += 500_000
    rate = np.rad2deg(measured(view(seen(angles), times, valid))["yaw_rate"])
    assert rate == pytest.approx([25, 25, 25, 0, 25, 25, 25, 25, (40 + 10) / 0.08, 49 / 0.04], abs=0.5)


def test_a_frame_without_neighbours_does_not_move() -> None:
    found = measured(view(seen(random_angles(3)), np.array([0, 1_000_000, 2_000_000])))
    assert not any(found[name].any() for name in RATES)
    assert measured(view(seen(random_angles(3)), np.array([0, 1_000_000, 2_000_000])), longest=1.0)["turning"].all()


def test_roll_goes_the_short_way_round() -> None:
    points = seen(np.deg2rad([(179, 0, 0), (-179, 0, 0)]))
    assert np.rad2deg(measured(view(points))["roll_rate"]) == pytest.approx([50, 50], abs=0.05)


@pytest.mark.parametrize(
    "points",
    [
        np.full((5, 2), 7.0),
        np.linspace((0, 0), (100, 50), 5),
        np.array([(0, 0), (0.1, 0), (0.05, 0.1), (0, 0.2), (0.1, 0.2)]),
    ],
    ids=["one point", "one line", "a tenth of a pixel"],
)
def test_points_that_are_no_face_are_zeros_and_stop_rates(points: NDArray[np.float64]) -> None:
    good = seen(np.deg2rad([(0, 0, 0), (0, 1, 0), (0, 2, 0), (0, 3, 0), (0, 4, 0)]))
    good[2] = points
    found = measured(view(good))
    assert not any(column[2].any() for column in found.values())
    assert np.rad2deg(found["yaw_rate"]) == pytest.approx([25, 25, 0, 25, 25], abs=0.02)


def test_a_face_in_profile_stays_finite() -> None:
    angles = np.deg2rad([(0, yaw, pitch) for yaw in range(-90, 91, 5) for pitch in (-60, 0, 60)])
    found = measured(view(seen(angles)))
    assert np.abs(pose(found)[:, 1] - np.rad2deg(angles[:, 1])).max() < 0.1
    assert found["eyes_width"].max() < 1.01


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    given = view(seen(random_angles(50)), valid=np.arange(50) % 11 != 4)
    whole = measured(given)
    monkeypatch.setattr(landmarks, "_ROWS_AT_ONCE", 7)
    pieces = measured(given)
    for name in COLUMNS:
        assert np.allclose(whole[name], pieces[name], rtol=1e-6, atol=1e-6), name


def test_boxes_that_are_not_known_are_zeros() -> None:
    given = view(seen(random_angles(4)))
    given.boxes[:] = np.nan
    found = measured(given)
    assert not any(found[name].any() for name in ("box_width", "box_height", "box_x", "box_y"))
    assert found["yaw"].all()


def test_a_face_without_landmarks_is_refused() -> None:
    given = view(seen(random_angles(4)))
    given.points[2] = np.nan
    with pytest.raises(SchemaError, match="no landmarks in 1 of 4 frames with a face, expected five landmarks in each"):
        measured(given)


def test_rates_never_cross_a_cut() -> None:
    """A face that is lost and found in the next frame is on another track."""
    points = seen(np.deg2rad([(0, yaw, 0) for yaw in (0, 1, 2, 30, 31)]))
    cut = dataclasses.replace(view(points), track=np.array([0, 0, 0, 1, 1]))
    assert np.rad2deg(measured(cut)["yaw_rate"]) == pytest.approx([25] * 5, abs=0.5)
