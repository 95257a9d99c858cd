"""Windows: where they are cut, what they hold, how clips are split, and what the table says of its sources."""

from __future__ import annotations

import json

import numpy as np
import pytest

from affcli.windows import Clip, Facts, FeatureSet, File, by_subject, counts, cut, index, seeded_order, split


@pytest.mark.parametrize(
    ("n", "starts", "length"),
    [
        (40, [0, 10, 20, 25], 15),  # the last regular window ends at 35: one more ends at 40
        (35, [0, 10, 20], 15),
        (16, [0, 1], 15),
        (15, [0], 15),
        (14, [0], 14),
        (1, [0], 1),
        (0, [], 15),
    ],
)
def test_cut_by_hand(n: int, starts: list[int], length: int) -> None:
    found, lengths = cut(n, 15, 5)
    assert found.tolist() == starts
    assert lengths.tolist() == [length] * len(starts)
    assert found.dtype == lengths.dtype == np.int32


@pytest.mark.parametrize(("length", "overlap"), [(15, 5), (15, 0), (15, 14), (1, 0), (32, 16)])
def test_every_frame_is_in_a_window_and_no_window_leaves_the_clip(length: int, overlap: int) -> None:
    for n in range(1, 100):
        starts, lengths = cut(n, length, overlap)
        inside = np.zeros(n, np.int64)
        for start, one in zip(starts, lengths, strict=True):
            assert start >= 0 and start + one <= n
            inside[start : start + one] += 1
        assert inside.all()
        assert len(set(starts.tolist())) == len(starts)


@pytest.mark.parametrize(("length", "overlap"), [(15, 15), (15, -1), (0, 0)])
def test_an_overlap_that_does_not_fit_is_refused(length: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap"):
        cut(40, length, overlap)


def test_counts_by_hand() -> None:
    frames = np.array([1, 0, 1, 1, 0], np.bool_)
    starts, lengths = np.array([0, 2, 4], np.int32), np.array([3, 3, 1], np.int32)
    assert counts(frames, starts, lengths).tolist() == [2, 2, 0]


CLIPS = [f"c{i:02d}" for i in range(20)]


def test_split_holds_out_the_share_and_does_not_depend_on_the_order() -> None:
    parts = split(CLIPS, 0.2, 0)
    assert sorted(parts) == CLIPS
    assert sum(part == "val" for part in parts.values()) == 4
    assert split(reversed(CLIPS), 0.2, 0) == parts
    assert split(CLIPS, 0.2, 1) != parts


def test_split_hardly_changes_when_a_clip_is_added() -> None:
    before, after = split(CLIPS, 0.2, 0), split([*CLIPS, "new"], 0.2, 0)
    assert sum(before[clip] != after[clip] for clip in CLIPS) <= 1


@pytest.mark.parametrize(
    ("clips", "share", "held"),
    [(["a", "b"], 0.01, 1), (["a", "b"], 0.99, 1), (["a"], 0.5, 0), ([], 0.5, 0), (["a", "b", "c"], 0, 0)],
)
def test_split_of_few_clips(clips: list[str], share: float, held: int) -> None:
    assert list(split(clips, share, 0).values()).count("val") == held


def test_the_two_people_of_a_video_stay_together() -> None:
    clips = [f"v{i}_{side}" for i in range(10) for side in ("left", "right")] + ["v3", "video10_1_left"]
    for seed in range(20):
        parts = split(clips, 0.2, seed)
        assert all(parts[f"v{i}_left"] == parts[f"v{i}_right"] for i in range(10))
        assert parts["v3"] == parts["v3_left"]


# Ann is in a and b_left; Bob, b_left's partner, is in c too; d is of nobody else, and e and f are both of Eve.
SUBJECTS = {"a": "Ann", "b_left": "Ann", "b_right": "Bob", "c": "Bob", "d": "Dan", "e": "Eve", "f": "Eve"}


def test_what_hangs_together_by_a_video_or_a_subject_is_one_group() -> None:
    assert by_subject("adef", SUBJECTS) == {"Ann": ["a"], "Dan": ["d"], "Eve": ["e", "f"]}
    everyone = {"Ann": ["a", "b_left", "b_right", "c"], "Dan": ["d"], "Eve": ["e", "f"]}
    assert by_subject(SUBJECTS, SUBJECTS) == everyone
    backwards = by_subject(reversed(SUBJECTS), SUBJECTS)
    assert {subject: sorted(clips) for subject, clips in backwards.items()} == everyone
    assert by_subject([], SUBJECTS) == {}


def test_a_chain_of_videos_binds_all_its_people() -> None:
    subjects = {f"v{i}_{side}": f"p{i + (side == 'right')}" for i in range(50) for side in ("left", "right")}
    assert by_subject(subjects, subjects) == {"p0": list(subjects)}
    # A subject that has the name of another's video is not bound to it.
    assert by_subject(["v", "w"], {"v": "w", "w": "x"}) == {"w": ["v"], "x": ["w"]}


def test_the_seeded_order_is_that_of_hashes() -> None:
    assert seeded_order("abc", 0) == seeded_order("cba", 0) == ["a", "c", "b"]  # 9df3..., be08..., e021...
    assert {"".join(seeded_order("abc", seed)) for seed in range(50)} == {"abc", "acb", "bac", "bca", "cab", "cba"}


def test_a_split_by_subject_divides_no_subject_and_no_video() -> None:
    held_out = set()
    for seed in range(30):
        parts = split(SUBJECTS, 0.3, seed, SUBJECTS)
        assert parts == split(reversed(SUBJECTS), 0.3, seed, SUBJECTS)
        assert all(len({parts[clip] for clip in group}) == 1 for group in by_subject(SUBJECTS, SUBJECTS).values())
        held_out.add("".join(clip[0] for clip in sorted(SUBJECTS) if parts[clip] == "val"))
    # Of 7 clips 2 are wanted: Eve's, or Dan's one alone; all that hangs together with Ann is twice too many.
    assert held_out == {"d", "ef"}


def test_a_split_by_subject_overshoots_by_no_more_than_it_lacks() -> None:
    subjects = {f"c{i:02d}": "star" if i < 60 else f"s{i}" for i in range(100)}
    for seed in range(20):
        parts = split(subjects, 0.2, seed, subjects)
        assert list(parts.values()).count("val") == 20 and parts["c00"] == "train"
    halves = {f"c{i}": "ab"[i % 2] for i in range(10)}
    assert list(split(halves, 0.1, 0, halves).values()).count("val") == 5  # either is too much, and one is needed


def test_one_group_is_trained_on() -> None:
    assert set(split("ab", 0.5, 0, {"a": "x", "b": "x"}).values()) == {"train"}
    assert set(split("ab", 0, 0, {"a": "x", "b": "y"}).values()) == {"train"}
    assert sorted(split("ab", 0.01, 0, {"a": "x", "b": "y"}).values()) == ["train", "val"]


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        split(CLIPS, share, 0)


FACTS = Facts(
    3,
    1,
    {"hog": FeatureSet(8, "face", {"step": "embed"}), "mel": FeatureSet(4, "audio", {"step": "embed"})},
    {
        "a": Clip(
            5, "train", {"hog": File("f/a.hog.parquet", "1"), "mel": File("f/a.mel.parquet", "2")}, File("l", "3")
        ),
        "b": Clip(
            2, "val", {"hog": File("f/b.hog.parquet", "4"), "mel": File("f/b.mel.parquet", "5")}, None, subject="Bob"
        ),
    },
)


def test_facts_survive_json() -> None:
    assert Facts.from_json(json.loads(json.dumps(FACTS.to_json()))) == FACTS


def test_facts_of_a_table_that_knows_no_subjects() -> None:
    content = FACTS.to_json()
    for clip in content["clips"].values():
        del clip["subject"]
    assert [clip.subject for clip in Facts.from_json(content).clips.values()] == [None, None]


@pytest.mark.parametrize("content", [{}, {**FACTS.to_json(), "clips": {"a": {}}}, {**FACTS.to_json(), "features": 3}])
def test_other_facts_are_refused(content: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, AttributeError)):
        Facts.from_json(content)


def test_index_by_hand() -> None:
    hog = {"a": np.array([1, 1, 1, 0, 1], np.bool_), "b": np.array([1, 1], np.bool_)}
    mel = {"a": np.array([0, 1, 1, 1, 1], np.bool_), "b": np.array([1, 0], np.bool_)}
    described = {clip: [hog[clip], mel[clip]] for clip in ("a", "b")}
    columns = index(FACTS, described, {"a": np.array([1, 0, 0, 0, 1], np.bool_)})
    assert {name: values.tolist() for name, values in columns.items()} == {
        "clip": ["a", "a", "b"],
        "start": [0, 2, 0],
        "length": [3, 3, 2],
        "split": ["train", "train", "val"],
        "with_data": [2, 2, 1],
        "with_labels": [1, 1, 0],
    }
