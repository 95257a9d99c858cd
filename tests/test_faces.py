"""Detection, alignment, smoothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from skimage.data import astronaut, coffee

from affcli.configs import Faces, Tracks
from affcli.errors import UsageError
from affcli.faces import DETECTORS, open_detector
from affcli.faces.align import TEMPLATES, crop, degenerate, similarity, template_of
from affcli.faces.detections import Detections, joined, overlaps, suppress
from affcli.faces.extract import Cutting
from affcli.faces.smooth import Smoothing, smoothing_of
from affcli.faces.track import Track

ARCFACE = np.array(TEMPLATES["arcface-112"].points, np.float32)


class Still:
    """A picture in memory that gives regions of itself as decoded ones do, unshrunk ones exactly."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image = image

    def region(
        self, left: int, top: int, width: int, height: int, out_width: int | None = None, out_height: int | None = None
    ) -> NDArray[np.uint8]:
        import cv2

        out = np.zeros((height, width, 3), np.uint8)
        rows = np.arange(top, top + height)
        columns = np.arange(left, left + width)
        there = np.ix_((rows >= 0) & (rows < self.image.shape[0]), (columns >= 0) & (columns < self.image.shape[1]))
        inside = self.image[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
        out[there] = inside
        size = (out_width or width, out_height or height)
        return out if size == (width, height) else cv2.resize(out, size, interpolation=cv2.INTER_AREA)


def face(x: float, y: float, width: float, score: float = 0.9) -> Detections:
    """One face whose box and landmarks follow from its left top corner and its width."""
    box = np.array([[x, y, x + width, y + 1.3 * width]], np.float32)
    return Detections(box, (ARCFACE / 112 * width + [x, y])[None].astype(np.float32), np.array([score], np.float32))


def test_overlap_by_hand() -> None:
    one = np.array([[0, 0, 2, 2]], np.float32)
    others = np.array([[1, 1, 3, 3], [0, 0, 2, 2], [5, 5, 6, 6]], np.float32)
    assert overlaps(one, others).tolist() == [[pytest.approx(1 / 7), 1.0, 0.0]]


def test_suppression_keeps_the_best_of_overlapping_faces() -> None:
    found = suppress(joined(joined(face(0, 0, 50, 0.6), face(2, 2, 50, 0.9)), face(200, 0, 50, 0.7)), 0.3)
    assert found.scores.tolist() == pytest.approx([0.9, 0.7])


@pytest.mark.parametrize("name", [name for name in DETECTORS if DETECTORS[name].family is None])
def test_a_detector_that_needs_no_download_finds_the_face_and_only_faces(name: str) -> None:
    detect = open_detector(name, Tracks())
    found = detect(astronaut())
    assert len(found) == 1
    left, top, right, bottom = found.boxes[0]
    assert 150 < left < right < 300 and 40 < top < bottom < 200
    right_eye, left_eye, nose, right_mouth, left_mouth = found.landmarks[0]
    assert np.abs(right_eye - [204, 101]).max() < 8  # where they are in the photograph, by eye
    assert np.abs(left_eye - [246, 104]).max() < 8
    assert right_mouth[0] < nose[0] < left_mouth[0]
    assert len(detect(coffee())) == 0
    assert len(detect(np.zeros((1, 1, 3), np.uint8))) == 0


def test_similarity_recovers_a_known_transform() -> None:
    angle, scale, shift = 0.3, 2.5, np.array([40, -10])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(turn)
    landmarks = ((ARCFACE - shift) @ inverse.T).astype(np.float32)
    (found,) = similarity(landmarks[None], TEMPLATES["arcface-112"])
    assert np.abs(found - np.column_stack([turn, shift])).max() < 1e-4


def test_alignment_equals_insightface() -> None:
    face_align = pytest.importorskip("insightface.utils.face_align")
    rng = np.random.default_rng(0)
    landmarks = (ARCFACE * 1.7 + rng.normal(0, 4, (20, 5, 2)) + [50, 30]).astype(np.float32)
    ours = similarity(landmarks, TEMPLATES["arcface-112"])
    theirs = np.stack([face_align.estimate_norm(one, 112) for one in landmarks])
    assert np.abs(ours - theirs).max() < 1e-3
    image = rng.integers(0, 255, (300, 300, 3), dtype=np.uint8)
    # A face that needs no shrinking: bilinear sampling of the same pixels, but from a region's own origin.
    small = (ARCFACE * 0.9 + [80, 90]).astype(np.float32)
    (transform,) = similarity(small[None], TEMPLATES["arcface-112"])
    assert np.abs(crop(Still(image), transform, 112).astype(int) - face_align.norm_crop(image, small)).max() <= 2


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_a_large_face_is_averaged_not_skipped(factor: int) -> None:
    """A fine chessboard averages to grey; a smooth ramp comes out where it was."""
    side = 112 * factor
    board = (np.indices((side, side)).sum(axis=0) % 2 * 255).astype(np.uint8)
    shrink = np.array([[1 / factor, 0, (1 / factor - 1) / 2], [0, 1 / factor, (1 / factor - 1) / 2]])
    grey = crop(Still(np.repeat(board[..., None], 3, axis=2)), shrink, 112)
    if factor % 2 == 0:
        assert np.abs(grey[2:-2, 2:-2].astype(int) - 128).max() <= 1
    ramp = np.linspace(0, 250, side)[None, :].repeat(side, axis=0)
    small = crop(Still(np.repeat(np.rint(ramp).astype(np.uint8)[..., None], 3, axis=2)), shrink, 112)
    expected = ramp.reshape(side, 112, factor).mean(axis=2)[::factor]
    assert np.abs(small[2:-2, 2:-2, 0].astype(float) - expected[2:-2, 2:-2]).max() <= 1.5


def test_outside_the_picture_is_black() -> None:
    image: NDArray[np.uint8] = np.full((50, 50, 3), 200, np.uint8)
    out = crop(Still(image), np.array([[1.0, 0, 0], [0, 1.0, 0]]), 112)
    assert (out[:50, :50] == 200).all()
    assert (out[60:] == 0).all()


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_fits_its_crop_and_grows_with_it(name: str) -> None:
    template = template_of(name)
    points = np.array(template.points)
    assert ((points > 0) & (points < template.size)).all()
    right_eye, left_eye, nose, right_mouth, left_mouth = points
    assert right_eye[0] < nose[0] < left_eye[0] and right_eye[1] < nose[1] < right_mouth[1]
    assert abs(right_mouth[1] - left_mouth[1]) < 1
    double = template_of(name, 2 * template.size)
    assert double.size == 2 * template.size
    assert np.array(double.points) == pytest.approx(2 * points)


def test_an_unknown_template_is_refused() -> None:
    with pytest.raises(UsageError, match="arcface: is no template, expected one of arcface-112, openface-112, m3t-128"):
        template_of("arcface")


def test_a_template_has_a_least_size() -> None:
    with pytest.raises(UsageError, match="--size 4: is too small, expected 16 px or more"):
        Cutting.of(Faces(size=4))


def test_landmarks_that_no_template_fits_are_degenerate() -> None:
    good = face(10, 10, 100)
    flat, profile, broken = (good.landmarks[0].copy() for _ in range(3))
    flat[3:] = flat[:2] + np.array([0, 5])  # the mouth at the eyes
    profile[1] = profile[0] + np.array([6, 0])  # one eye at the other
    broken[2] = np.nan
    landmarks = np.stack([good.landmarks[0], flat, profile, broken])
    assert degenerate(np.repeat(good.boxes, 4, axis=0), landmarks).tolist() == [False, True, True, True]


def followed(points: NDArray[np.float32], missing: tuple[int, ...] = (), hole_us: int = 200_000) -> Track:
    """A track at 25 frames per second."""
    track, times = Track(0, hole_us), range(0, 40_000 * len(points), 40_000)
    for frame, one in enumerate(points):
        if frame not in missing:
            track.add(frame, times, one, 0.9)
    return track


def walk(n: int, seed: int = 0, step: float = 1.0) -> NDArray[np.float32]:
    """A face that trembles: (n, 14)."""
    one = face(100, 100, 60)
    still = np.concatenate([one.boxes[0], one.landmarks[0].ravel()])
    return (still + np.random.default_rng(seed).normal(0, step, (n, 14))).astype(np.float32)


def test_smoothing_is_a_gaussian_that_goes_on_beyond_the_ends() -> None:
    points = walk(60)
    track = followed(points)
    expected = gaussian_filter1d(points[:, 4:].astype(np.float64), 1.5, axis=0, mode="nearest")
    found = np.stack([Smoothing(1.5).landmarks(track, frame).ravel() for frame in range(60)])  # type: ignore[union-attr]
    assert found == pytest.approx(expected, abs=1e-6)
    raw = np.stack([Smoothing(0).landmarks(track, frame).ravel() for frame in range(60)])  # type: ignore[union-attr]
    assert (raw == points[:, 4:]).all()


def test_smoothing_does_not_reach_over_a_hole() -> None:
    points = walk(40)
    points[20:] += 30
    track = followed(points, missing=tuple(range(12, 20)))
    smooth = Smoothing(1.5)
    assert smooth.landmarks(track, 15) is None and smooth.landmarks(track, -1) is None
    assert smooth.landmarks(track, 40) is None
    alone = followed(points[:12])
    for frame in range(12):
        assert (smooth.landmarks(track, frame) == smooth.landmarks(alone, frame)).all()
    assert np.abs(smooth.landmarks(track, 20).ravel() - points[20:26, 4:].mean(axis=0)).max() < 4  # type: ignore[union-attr]


def test_m3t_smooths_only_while_the_box_is_at_rest() -> None:
    points = walk(80, step=0.3)
    points[40:, 0::2] += 6 * np.arange(40, dtype=np.float32)[:, None]
    track, gated = followed(points), smoothing_of("m3t")
    assert (gated.landmarks(track, 20) == Smoothing(gated.sigma).landmarks(track, 20)).all()
    assert (gated.landmarks(track, 60).ravel() == points[60, 4:]).all()  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["m2t", "-1", "nan", "inf", "1e9", ""])
def test_an_unknown_smoothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no smoothing, expected frames from 0 to 1000, or m3t"):
        Cutting.of(Faces(smooth=text))
