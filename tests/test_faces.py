"""Detection, tracks, the main person, alignment."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut, coffee

from affcli.configs import Faces
from affcli.faces import DETECTORS
from affcli.faces.align import TEMPLATES, crop, similarity
from affcli.faces.detections import Detections, overlaps, suppress
from affcli.faces.extract import Survey, columns, follow
from affcli.faces.select import main_person
from affcli.faces.track import Track, link

ARCFACE = np.array(TEMPLATES["arcface-112"].points, np.float32)


def face(x: float, y: float, width: float, score: float = 0.9) -> Detections:
    """One face whose box and landmarks follow from its left top corner and its width."""
    box = np.array([[x, y, x + width, y + 1.3 * width]], np.float32)
    return Detections(box, (ARCFACE / 112 * width + [x, y])[None].astype(np.float32), np.array([score], np.float32))


def together(faces: Iterable[Detections]) -> Detections:
    parts = list(faces)
    if not parts:
        return Detections(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))
    return Detections(
        np.concatenate([p.boxes for p in parts]),
        np.concatenate([p.landmarks for p in parts]),
        np.concatenate([p.scores for p in parts]),
    )


def seen(frames: list[list[Detections]]) -> Survey:
    """A survey at 25 frames per second in a picture of 640x360."""
    n = len(frames)
    return Survey(np.arange(n) * 40_000, np.zeros(n, bool), [together(f) for f in frames], 640, 360)


def tracks_of(survey: Survey) -> list[Track]:
    return link(survey.found, survey.time_us, 0.3, 500_000)


def test_overlap_by_hand() -> None:
    one = np.array([[0, 0, 2, 2]], np.float32)
    others = np.array([[1, 1, 3, 3], [0, 0, 2, 2], [5, 5, 6, 6]], np.float32)
    assert overlaps(one, others).tolist() == [[pytest.approx(1 / 7), 1.0, 0.0]]


def test_suppression_keeps_the_best_of_overlapping_faces() -> None:
    found = suppress(together([face(0, 0, 50, 0.6), face(2, 2, 50, 0.9), face(200, 0, 50, 0.7)]), 0.3)
    assert found.scores.tolist() == pytest.approx([0.9, 0.7])


@pytest.mark.parametrize("name", list(DETECTORS))
def test_every_detector_finds_the_face_and_only_faces(name: str) -> None:
    detect = DETECTORS[name].resolve()(Faces())
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


def test_the_second_search_finds_what_the_first_is_too_small_for() -> None:
    wide = np.zeros((720, 1280, 3), np.uint8)
    wide[100:228, 900:1028] = astronaut()[::4, ::4]
    detect = DETECTORS["centerface"].resolve()
    without = Faces(det_size=160, det_retry=0, min_face=5)
    assert len(detect(without)(wide)) == 0
    assert len(detect(Faces(det_size=160, det_retry=1280, min_face=5))(wide)) == 1


def test_a_track_follows_and_ends_after_a_gap() -> None:
    frames = [[face(100 + 2 * i, 100, 60)] for i in range(10)] + [[]] * 20 + [[face(120, 100, 60)]] * 5
    tracks = tracks_of(seen(frames))
    assert [(t.frames[0], t.frames[-1]) for t in tracks] == [(0, 9), (30, 34)]


def test_two_faces_keep_their_tracks_side_by_side() -> None:
    frames = [[face(100 + i, 100, 60), face(400 - i, 100, 60)] for i in range(20)]
    frames = [faces[:: -1 if i % 2 else 1] for i, faces in enumerate(frames)]  # the order of detections means nothing
    tracks = tracks_of(seen(frames))
    assert len(tracks) == 2
    assert {round(float(t.boxes[-1][0])) for t in tracks} == {119, 381}


def test_the_main_person_is_long_large_and_central() -> None:
    frames = [[face(280, 100, 80), face(20, 40, 40)] for _ in range(30)]
    (person,) = main_person(tracks_of(seen(frames)), 640, 360, Faces())
    assert person.boxes[0][0] == 280


def test_the_person_comes_back_and_nobody_else_does() -> None:
    here, elsewhere = face(280, 100, 80), face(20, 40, 40)
    frames = [[here]] * 30 + [[]] * 30 + [[here]] * 20 + [[]] * 30 + [[elsewhere]] * 20
    person = main_person(tracks_of(seen(frames)), 640, 360, Faces())
    assert [(t.frames[0], t.frames[-1]) for t in person] == [(0, 29), (60, 79)]


def test_a_face_seen_beside_the_person_is_never_the_person() -> None:
    frames = [[face(280, 100, 80), face(380, 100, 80)]] * 30 + [[face(380, 100, 80)]] * 30
    person = main_person(tracks_of(seen(frames)), 640, 360, Faces(rejoin=10))
    assert [(t.frames[0], t.frames[-1]) for t in person] in ([(0, 29)], [(0, 59)])
    assert len({round(float(box[0])) for track in person for box in track.boxes}) == 1


def test_a_flash_of_a_face_is_a_mistake() -> None:
    assert main_person(tracks_of(seen([[], [face(280, 100, 80)], [], []])), 640, 360, Faces()) == []


def test_short_holes_are_filled_and_long_ones_stay_empty() -> None:
    frames = [[face(100 + i, 100, 60)] for i in range(40)]
    for missing in (5, 6, 20, 21, 22, 23, 24, 25, 26, 27):
        frames[missing] = []
    survey = seen(frames)
    person = follow(survey, Faces(smooth=0))
    assert np.flatnonzero(~person.valid).tolist() == list(range(20, 28))
    assert person.boxes[5, 0] == pytest.approx(105)
    table = columns("a", survey, person)
    assert table["how"][[4, 5, 6, 20]].tolist() == ["detected", "interpolated", "interpolated", "absent"]
    assert np.isnan(table["score"][5]) and np.isnan(table["track"][20])


def test_smoothing_steadies_landmarks_within_a_track() -> None:
    rng = np.random.default_rng(0)
    frames = [[face(100 + rng.normal(), 100 + rng.normal(), 60)] for _ in range(200)]
    rough = follow(seen(frames), Faces(smooth=0)).landmarks
    steady = follow(seen(frames), Faces()).landmarks
    jitter = [np.diff(points[:, 0], 2, axis=0).std() for points in (rough, steady)]
    assert jitter[1] < jitter[0] / 5
    assert np.abs(steady.mean(axis=0) - rough.mean(axis=0)).max() < 0.1


def test_a_video_without_faces_is_all_absent() -> None:
    person = follow(seen([[]] * 5), Faces())
    assert not person.valid.any()


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
    assert np.abs(crop(image, ours[0], 112).astype(int) - face_align.norm_crop(image, landmarks[0])).max() <= 1


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_a_large_face_is_averaged_not_skipped(factor: int) -> None:
    """A fine chessboard averages to grey; a smooth ramp comes out where it was."""
    side = 112 * factor
    board = (np.indices((side, side)).sum(axis=0) % 2 * 255).astype(np.uint8)
    shrink = np.array([[1 / factor, 0, (1 / factor - 1) / 2], [0, 1 / factor, (1 / factor - 1) / 2]])
    grey = crop(np.repeat(board[..., None], 3, axis=2), shrink, 112)
    if factor % 2 == 0:
        assert np.abs(grey[2:-2, 2:-2].astype(int) - 128).max() <= 1
    ramp = np.linspace(0, 250, side)[None, :].repeat(side, axis=0)
    small = crop(np.repeat(np.rint(ramp).astype(np.uint8)[..., None], 3, axis=2), shrink, 112)
    expected = ramp.reshape(side, 112, factor).mean(axis=2)[::factor]
    assert np.abs(small[2:-2, 2:-2, 0].astype(float) - expected[2:-2, 2:-2]).max() <= 1.5


def test_outside_the_picture_is_black() -> None:
    image: NDArray[np.uint8] = np.full((50, 50, 3), 200, np.uint8)
    out = crop(image, np.array([[1.0, 0, 0], [0, 1.0, 0]]), 112)
    assert (out[:50, :50] == 200).all()
    assert (out[60:] == 0).all()
