"""The schedule that looks for faces, on pictures whose faces are coloured squares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from affcli.configs import Faces, Tracks
from affcli.faces.align import TEMPLATES
from affcli.faces.detections import Detections
from affcli.faces.extract import (
    Cutting,
    Seen,
    collected,
    crops,
    face_columns,
    put_aside,
    replay,
    seen_by,
    settled,
    track_columns,
)
from affcli.faces.persons import persons
from affcli.faces.select import choose, people
from affcli.faces.track import Track
from affcli.faces.watch import Watch
from affcli.media.planes import Picture
from affcli.media.video import Frame

WIDTH, HEIGHT = 640, 360
COLOURS = np.array([[250, 40, 40], [40, 250, 40], [40, 40, 250], [230, 230, 30]])
MARKS = np.array(TEMPLATES["arcface-112"].points, np.float32) / 112
Place = tuple[float, float, float]  # left, top, side of a face
Scene = Callable[[int], dict[int, Place]]  # the faces of a frame: colour to place


class Squares:
    """Finds coloured squares, and counts how it was asked."""

    def __init__(self) -> None:
        self.weights: dict[str, str] = {}
        self.wholes = self.regions = 0

    def __call__(self, image: NDArray[np.uint8]) -> Detections:
        self.regions += image.shape[0] == image.shape[1]
        self.wholes += image.shape[0] != image.shape[1]
        boxes = []
        for colour in COLOURS:
            rows, columns = np.nonzero(np.abs(image.astype(int) - colour).max(axis=2) < 60)
            if len(rows) > 30:
                boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        found = np.array(boxes, np.float32).reshape(-1, 4)
        sides = (found[:, 2:] - found[:, :2])[:, None]
        return Detections(found, found[:, None, :2] + MARKS * sides, np.full(len(found), 0.9, np.float32))


def frames(scene: Scene, n: int, rate: Fraction = Fraction(25), flash: tuple[int, ...] = ()) -> Iterator[Frame]:
    for index in range(n):
        image = np.full((HEIGHT, WIDTH, 3), 200 if index in flash else 90, np.uint8)
        for colour, (left, top, side) in scene(index).items():
            x, y, s = (round(value) for value in (left, top, side))
            image[max(y, 0) : max(y + s, 0), max(x, 0) : max(x + s, 0)] = COLOURS[colour]
        yield Frame(
            index, round(index / rate * 1_000_000), False, Picture(av.VideoFrame.from_ndarray(image, format="rgb24"))
        )


def watched(scene: Scene, n: int, config: Tracks | None = None, **keywords: object) -> tuple[Watch, Squares]:
    detector = Squares()
    watch = Watch(detector, config or Tracks())
    for frame in frames(scene, n, **keywords):  # type: ignore[arg-type]
        watch.look(frame)
    watch.finish()
    return watch, detector


def spans(watch: Watch) -> list[tuple[int, int]]:
    return [(track.first, track.last) for track in watch.tracks]


def still(_: int) -> dict[int, Place]:
    return {0: (280, 120, 90)}


def test_a_still_face_is_looked_at_every_second_frame_in_its_region() -> None:
    watch, asked = watched(still, 100)
    assert spans(watch) == [(0, 99)]
    assert watch.tracks[0].rows[:, :4] == pytest.approx(np.tile([280, 120, 370, 210], (100, 1)), abs=1.5)
    assert 45 <= asked.regions <= 60  # every second frame, and a few at the beginning and the end
    assert asked.wholes <= 2 * 5  # once a second, the first time at two scales


@pytest.mark.parametrize("every", [1, 3, 5])
def test_every_says_how_often(every: int) -> None:
    watch, asked = watched(still, 90, Tracks(every=every))
    assert spans(watch) == [(0, 89)]
    assert asked.regions == pytest.approx(90 / every, abs=8)


@pytest.mark.parametrize(("rate", "every"), [(1, 2), (3, 2), (5, 2), (8, 3), (9, 2), (30, 7), (30, 16)])
def test_what_lies_between_two_looks_can_be_filled_in(rate: int, every: int) -> None:
    """At any frame rate a still face is one track with a row in every frame."""
    watch, _ = watched(still, 60, Tracks(every=every), rate=Fraction(rate))
    assert spans(watch) == [(0, 59)]
    assert not np.isnan(watch.tracks[0].rows).any()
    watch, _ = watched(still, 60, Tracks(every=every, roi="off"), rate=Fraction(rate))
    assert len(watch.tracks) == 1 and not np.isnan(watch.tracks[0].rows).any()


@pytest.mark.parametrize("back", range(23, 31))
def test_a_lost_face_that_comes_back_a_little_aside_goes_on(back: int) -> None:
    watch, _ = watched(lambda i: still(i) if i < 20 else {0: (355, 120, 90)} if i >= back else {}, 60)
    assert spans(watch) == [(0, 59)]


def test_a_moving_face_is_looked_at_more_often_and_kept() -> None:
    watch, asked = watched(lambda i: {0: (40 + 8 * i, 120, 90)}, 60)
    assert spans(watch) == [(0, 59)]
    assert asked.regions >= 58
    lefts = watch.tracks[0].rows[:, 0]
    assert lefts == pytest.approx(40 + 8 * np.arange(60), abs=2)


def test_the_plain_loop_searches_every_frame() -> None:
    watch, asked = watched(still, 40, Tracks(every=1, roi="off"))
    assert spans(watch) == [(0, 39)]
    assert (asked.wholes, asked.regions) == (40, 0)


@pytest.mark.parametrize(("first", "last"), [(0, 33), (7, 50), (13, 60), (21, 62)])
def test_a_track_begins_and_ends_where_the_face_does(first: int, last: int) -> None:
    watch, _ = watched(lambda i: still(i) if first <= i <= last else {}, 80)
    assert spans(watch) == [(first, last)]


def test_where_nobody_is_only_few_frames_are_searched() -> None:
    watch, asked = watched(lambda _: {}, 100)
    assert watch.tracks == []
    assert asked.wholes == 2 * 20  # every fifth frame, at both scales


def test_a_small_face_is_found_by_the_second_search_only() -> None:
    def scene(_: int) -> dict[int, Place]:
        return {0: (300, 150, 9)}

    config = {"det_size": 160, "min_face": 4}
    assert spans(watched(scene, 30, Tracks(**config))[0]) == [(0, 29)]  # type: ignore[arg-type]
    assert watched(scene, 30, Tracks(**config, det_retry=0))[0].tracks == []  # type: ignore[arg-type]


def test_faces_below_the_least_width_are_left_out() -> None:
    assert watched(lambda _: {0: (300, 150, 40)}, 20, Tracks(min_face=50))[0].tracks == []


def test_a_jump_out_of_the_region_is_caught_by_a_search() -> None:
    watch, _ = watched(lambda i: {0: (200 if i < 30 else 285, 120, 90)}, 60)
    assert spans(watch) == [(0, 59)]


def test_a_cut_ends_all_tracks() -> None:
    watch, _ = watched(still, 60, flash=tuple(range(31, 60)))
    assert spans(watch) == [(0, 30), (31, 59)]


def test_pictures_of_another_size_are_a_cut() -> None:
    """A face at the same pixels of a picture of twice the size is at another place."""
    watch = Watch(Squares(), Tracks())
    for index in range(40):
        double = 1 + (index >= 25)
        image = np.full((180 * double, 320 * double, 3), 90, np.uint8)
        image[40:110, 100:170] = COLOURS[0]
        watch.look(Frame(index, 40_000 * index, False, Picture(av.VideoFrame.from_ndarray(image, format="rgb24"))))
    watch.finish()
    assert spans(watch) == [(0, 24), (25, 39)]
    assert (watch.width, watch.height) == (320, 180)


def test_who_was_hidden_does_not_take_over_the_face_that_hides_them() -> None:
    """Two faces go past each other, the green one in front: for a while it is alone where the red one was last."""

    def scene(index: int) -> dict[int, Place]:
        shift = float(np.clip((index - 40) / 20, 0, 1)) * 300
        hidden = abs(300 - 2 * shift) < 70
        return {**({} if hidden else {0: (100 + shift, 120, 90)}), 1: (400 - shift, 120, 90)}

    watch, _ = watched(scene, 90)
    person = persons(watch.tracks, watch.appearance, watch.times, Tracks())
    found = people(watch.tracks, person, watch.width, watch.height, 3)
    assert len(found) == 2
    seen, cutting = seen_by(watch, person), Cutting.of(Faces())
    red = face_columns("a", seen, choose(found, "left", WIDTH), cutting)
    green = face_columns("a", seen, choose(found, "right", WIDTH), cutting)
    assert green["valid"].all()
    assert np.abs(green["x1"] - [scene(i)[1][0] for i in range(90)]).max() < 8
    shown = np.array([0 in scene(i) for i in range(90)])
    assert (red["valid"] <= shown).all() and (red["valid"] == shown).sum() >= 84
    assert red["valid"][np.r_[0:40, 60:90]].all()


def test_a_face_that_is_away_for_long_comes_back_as_a_new_track() -> None:
    watch, _ = watched(lambda i: {} if 20 <= i < 60 else still(i), 100)
    assert spans(watch) == [(0, 19), (60, 99)]
    watch, _ = watched(lambda i: {} if 20 <= i < 28 else still(i), 60)
    assert spans(watch) == [(0, 59)]
    (track,) = watch.tracks
    assert np.flatnonzero(np.isnan(track.rows[:, 0])).tolist() == list(range(20, 28))


def test_a_newcomer_is_found_within_a_second_and_the_crowd_is_bounded() -> None:
    def scene(index: int) -> dict[int, Place]:
        return {0: (40, 100, 80), **({1: (300, 100, 90)} if index >= 40 else {})}

    watch, _ = watched(scene, 100)
    assert spans(watch)[0] == (0, 99)
    assert spans(watch)[1][1] == 99 and 40 <= spans(watch)[1][0] <= 65
    watch, _ = watched(lambda _: {0: (20, 100, 60), 1: (200, 100, 90), 2: (400, 100, 75)}, 30, Tracks(max_faces=2))
    assert sorted(round(float(track.box[0])) for track in watch.tracks) == pytest.approx([200, 400], abs=2)


def crossing(index: int) -> dict[int, Place]:
    """Two faces that change places once, the green one in front, at frame 70 of 100."""
    shift = float(np.clip((index - 60) / 20, 0, 1)) * 300
    return {0: (100 + shift, 100, 90), 1: (400 - shift, 106, 90)}


def test_two_people_who_cross_keep_their_faces() -> None:
    watch, _ = watched(crossing, 100)
    person = persons(watch.tracks, watch.appearance, watch.times, Tracks())
    found = people(watch.tracks, person, watch.width, watch.height, 3)
    assert len(found) == 2
    seen = seen_by(watch, person)
    cutting = Cutting.of(Faces())
    left, right = choose(found, "left", WIDTH), choose(found, "right", WIDTH)
    assert choose(found, "not-right", WIDTH) is left and left is not right
    for who, colour in ((left, 0), (right, 1)):
        columns = face_columns("a", seen, who, cutting)
        outside = np.r_[0:60, 82:100]
        true = np.array([crossing(i)[colour][0] for i in range(100)])
        assert columns["valid"][outside].all()
        assert np.abs(columns["x1"][outside] - true[outside]).max() < 4
        assert not columns["ambiguous"][:55].any() and not columns["ambiguous"][86:].any()
        assert columns["ambiguous"].any()
        assert columns["confidence"][columns["ambiguous"]] == pytest.approx(0.45)


def test_one_person_in_two_pieces_is_one_and_another_at_the_same_place_is_not() -> None:
    watch, _ = watched(lambda i: {} if 20 <= i < 60 else still(i), 100)
    assert persons(watch.tracks, watch.appearance, watch.times, Tracks()) == [0, 0]
    watch, _ = watched(lambda i: {} if 20 <= i < 60 else {0 if i < 40 else 1: (280, 120, 90)}, 100)
    assert persons(watch.tracks, watch.appearance, watch.times, Tracks()) == [0, 1]


class Alike:
    """Likeness as told, in place of pictures."""

    def __init__(self, likeness: float) -> None:
        self.likeness = likeness

    def similarities(self, tracks: list[int]) -> NDArray[np.float64]:
        return np.full((len(tracks), len(tracks)), self.likeness)


def piece(number: int, first: int, last: int, left: float) -> Track:
    track, points = Track(number, 200_000), np.concatenate([[left, 100, left + 60, 180], np.full(10, left)])
    for frame in range(first, last + 1):
        track.add(frame, range(0, 10_000_000, 40_000), points.astype(np.float32), 0.9)
    return track


@pytest.mark.parametrize(
    ("likeness", "left", "company", "one"),
    [
        (0.86, 120, False, True),  # near, nobody else there
        (0.84, 120, False, False),
        (0.93, 120, True, True),  # near, among others
        (0.90, 120, True, False),
        (0.98, 500, True, True),  # far
        (0.95, 500, False, False),
        (0.86, 245, False, False),  # half a second later: 1.5 widths and half as much again, 137 px
        (0.86, 230, False, True),
    ],
)
def test_pieces_are_joined_by_looks_and_place(likeness: float, left: float, company: bool, one: bool) -> None:
    tracks = [piece(0, 0, 30, 100), piece(1, 43, 80, left)] + [piece(2, 0, 90, 400)] * company
    times = range(0, 10_000_000, 40_000)
    found = persons(tracks, Alike(likeness), times, Tracks())  # type: ignore[arg-type]
    assert found[:2] == ([0, 0] if one else [0, 1])


class Memory:
    """A spool in memory."""

    def __init__(self) -> None:
        self.items: list[NDArray[np.uint8]] = []

    def append(self, item: NDArray[np.uint8]) -> int:
        self.items.append(item)
        return len(self.items) - 1

    def __getitem__(self, place: int) -> NDArray[np.uint8]:
        return self.items[place]


def gappy(index: int) -> dict[int, Place]:
    """A face that is away for a short and for a long time, and a second one that comes late."""
    away = index in (12, 13, 14) or 40 <= index < 60
    late = {1: (420.0, 100.0, 70.0)} if index > 55 else {}
    return late if away else {0: (200 + 3 * index % 50, 100, 80), **late}


def test_crops_cut_on_the_way_are_those_cut_in_a_pass_of_their_own() -> None:
    n, cutting, watch, spool = 90, Cutting.of(Faces()), Watch(Squares(), Tracks()), Memory()
    places = put_aside(settled(frames(gappy, n), watch, cutting.smoothing.reach), watch, cutting, spool)
    seen = seen_by(watch, persons(watch.tracks, watch.appearance, watch.times, Tracks()))
    again = replayed(seen)
    for one in people(seen.tracks, seen.person, WIDTH, HEIGHT, 3):
        other = choose(people(again.tracks, again.person, WIDTH, HEIGHT, 3), str(one.number), WIDTH)
        first = face_columns("a", seen, one, cutting)
        second = face_columns("a", again, other, cutting)
        assert all(np.array_equal(first[k], second[k], equal_nan=first[k].dtype != object) for k in first)
        cut = np.stack(list(collected(n, places, spool, cutting.empty, one)))
        later = np.stack(list(crops(frames(gappy, n), other, cutting)))
        assert (cut == later).all()
        assert (cut.any(axis=(1, 2, 3)) == first["valid"]).all()
    assert not choose(people(seen.tracks, seen.person, WIDTH, HEIGHT, 3), "77", WIDTH)


def replayed(seen: Seen) -> Seen:
    """What was seen, through the columns of a tracks table and back."""
    columns = {name: np.asarray(values) for name, values in track_columns("a", seen).items()}
    assert len(np.unique(columns["frame"])) == len(seen.time_us)
    return replay(columns, seen.width, seen.height, 200_000)


def test_short_holes_are_filled_and_long_ones_stay_empty() -> None:
    watch, _ = watched(gappy, 90)
    seen = seen_by(watch, persons(watch.tracks, watch.appearance, watch.times, Tracks()))
    found = people(seen.tracks, seen.person, WIDTH, HEIGHT, 3)
    columns = face_columns("a", seen, found[0], Cutting.of(Faces()))
    assert np.flatnonzero(~columns["valid"]).tolist() == list(range(40, 60))
    assert set(columns["how"][[12, 13, 14]]) == {"interpolated"}
    assert np.isnan(columns["score"][13]) and columns["confidence"][13] == pytest.approx(0.9)
    assert columns["how"][45] == "absent" and np.isnan(columns["track"][45]) and np.isnan(columns["confidence"][45])


def test_the_main_person_is_long_large_and_central() -> None:
    watch, _ = watched(lambda _: {0: (280, 120, 90), 1: (20, 40, 50)}, 30)
    found = people(watch.tracks, [0, 1], WIDTH, HEIGHT, 3)
    main = choose(found, "main", WIDTH)
    assert main is not None and main.tracks[0].box[0] == pytest.approx(280, abs=2)
    assert choose([], "main", WIDTH) is None and choose([], "left", WIDTH) is None


def test_who_is_alone_is_on_the_side_where_they_are() -> None:
    watch, _ = watched(lambda _: {0: (60, 120, 90)}, 20)
    found = people(watch.tracks, [0], WIDTH, HEIGHT, 3)
    assert choose(found, "left", WIDTH) is found[0] and choose(found, "right", WIDTH) is None
    assert choose(found, "not-right", WIDTH) is found[0]


def test_people_who_are_never_seen_together_are_told_by_where_they_are() -> None:
    watch, _ = watched(lambda i: {0: (60, 120, 90)} if i < 30 else {1: (460, 120, 90)}, 80, flash=tuple(range(30, 80)))
    found = people(watch.tracks, persons(watch.tracks, watch.appearance, watch.times, Tracks()), WIDTH, HEIGHT, 3)
    left, right = choose(found, "left", WIDTH), choose(found, "right", WIDTH)
    assert left is not None and left.tracks[0].first == 0
    assert right is not None and right.tracks[0].first == 30


def test_a_track_of_too_few_detections_is_a_mistake() -> None:
    watch, _ = watched(lambda i: {0: (280, 120, 90)} if i == 1 else {}, 20, Tracks(every=1, roi="off"))
    assert len(watch.tracks) == 1
    assert people(watch.tracks, [0], WIDTH, HEIGHT, 3) == []


def test_a_video_without_faces_has_a_row_for_every_frame() -> None:
    watch, _ = watched(lambda _: {}, 7)
    seen = seen_by(watch, [])
    columns = face_columns("a", seen, None, Cutting.of(Faces()))
    assert not columns["valid"].any() and len(columns["frame"]) == 7
    again = replayed(seen)
    assert again.tracks == [] and (again.time_us == seen.time_us).all()
