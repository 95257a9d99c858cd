"""Folds: what may not be torn apart, and how clips are dealt out."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from affcli.errors import UsageError
from affcli.training.folds import assign, groups
from affcli.windows import Clip


def clip(subject: str | None = None) -> Clip:
    return Clip(10, "train", {}, None, subject=subject)


def test_by_video_the_two_people_of_one_stay_together() -> None:
    clips = {name: clip() for name in ("v_right", "w", "v_left", "u_left")}
    assert groups(clips, "video") == {"u": ["u_left"], "v": ["v_left", "v_right"], "w": ["w"]}
    assert list(groups(clips, "video")) == ["u", "v", "w"]


def test_by_subject_all_clips_of_a_person_and_of_their_videos_stay_together() -> None:
    clips = {"z": clip("Ann"), "v_left": clip("Ann"), "v_right": clip("Bob"), "y": clip("Bob"), "x": clip("Cid")}
    assert groups(clips, "subject") == {"Ann": ["v_left", "v_right", "y", "z"], "Cid": ["x"]}
    # By video alone, Ann would be in two groups.
    assert groups(clips, "video") == {"v": ["v_left", "v_right"], "x": ["x"], "y": ["y"], "z": ["z"]}


def test_subjects_that_are_not_known() -> None:
    with pytest.raises(UsageError) as caught:
        groups({"a": clip("Ann"), "c": clip(), "b": clip()}, "subject")
    assert str(caught.value) == (
        "--group subject: the windows do not say who is seen in b, c, expected a subject for every clip; cut them "
        "again: affcli window --subjects FILE.csv"
    )


def test_folds_by_hand() -> None:
    # The longest first, each to the smallest fold so far: 16 | 8, 4, 2, 1.
    frames = {"p": 16, "q": 8, "r": 4, "s": 2, "t": 1}
    assert assign({name: [name] for name in frames}, frames, 2, 0) == [["p"], ["q", "r", "s", "t"]]
    # A group counts with the frames of all its clips.
    folds = assign({"g": ["a", "b"], "h": ["c"], "i": ["d"]}, {"a": 3, "b": 3, "c": 5, "d": 2}, 2, 0)
    assert sorted(folds) == [["a", "b"], ["c", "d"]]


def test_every_clip_is_in_one_fold_whatever_their_order() -> None:
    draw = random.Random(0)
    frames = {f"c{i:03d}": draw.choice([100, 200, 300]) for i in range(90)}
    dealt = {f"g{i}": [f"c{j:03d}" for j in range(i, 90, 30)] for i in range(30)}
    folds = assign(dealt, frames, 7, 3)
    assert sorted(one for fold in folds for one in fold) == sorted(frames)
    assert all(fold == sorted(fold) for fold in folds)
    assert all(sum(set(group) <= set(fold) for fold in folds) == 1 for group in dealt.values())
    names = list(dealt)
    draw.shuffle(names)
    assert assign({name: dealt[name][::-1] for name in names}, frames, 7, 3) == folds
    assert assign(dealt, frames, 7, 4) != folds


def test_folds_are_as_even_as_graham_says() -> None:
    random = np.random.default_rng(0)
    worst = 0.0
    for count in (2, 3):
        ways = np.array(list(itertools.product(range(count), repeat=8)))
        for sizes in random.integers(1, 100, (50, 8)):
            frames = {f"c{i}": int(size) for i, size in enumerate(sizes)}
            folds = assign({name: [name] for name in frames}, frames, count, 0)
            largest = max(sum(frames[one] for one in fold) for fold in folds)
            best = np.max([(ways == fold) @ sizes for fold in range(count)], axis=0).min()
            assert best <= largest <= (2 - 1 / count) * best
            worst = max(worst, largest / best)
    assert worst > 1  # the bound was put to the test


def test_clips_of_equal_length_are_dealt_by_the_seed() -> None:
    frames = {f"c{i}": 5 for i in range(10)}
    alone = {name: [name] for name in frames}
    found = [assign(alone, frames, 5, seed) for seed in range(5)]
    assert all([len(fold) for fold in folds] == [2] * 5 for folds in found)
    assert len({str(folds) for folds in found}) == 5


def test_clips_of_any_length_are_dealt_by_the_seed_and_evenly() -> None:
    lengths = np.random.default_rng(0).lognormal(8, 0.7, 60).astype(int)
    frames = {f"c{i}": int(length) for i, length in enumerate(lengths)}
    found = [assign({name: [name] for name in frames}, frames, 5, seed) for seed in range(20)]
    assert len({str(folds) for folds in found}) == 20
    for folds in found:
        assert max(sum(frames[one] for one in fold) for fold in folds) < 1.05 * lengths.sum() / 5


def test_a_large_group_has_a_fold_of_its_own() -> None:
    frames = {"star": 1000, "a": 10, "b": 10, "c": 10}
    folds = assign({name: [name] for name in frames}, frames, 2, 0)
    assert sorted(map(len, folds)) == [1, 3] and ["star"] in folds


def test_no_fold_is_empty_even_of_clips_without_frames() -> None:
    frames = dict.fromkeys("abcdef", 0)
    assert [len(fold) for fold in assign({name: [name] for name in frames}, frames, 3, 0)] == [2, 2, 2]
    assert [len(fold) for fold in assign({name: [name] for name in frames}, frames, 6, 0)] == [1] * 6


def test_fewer_groups_than_folds() -> None:
    frames = dict.fromkeys("abc", 5)
    with pytest.raises(UsageError) as caught:
        assign({"x": ["a", "b"], "y": ["c"]}, frames, 3, 0)
    assert str(caught.value) == (
        "--folds 3: has 2 groups of clips to deal out, which stay together by video or subject, expected 3 or more; "
        "ask for fewer folds"
    )
    with pytest.raises(UsageError, match=r"has 1 group of clips .*; add clips, or leave the option out"):
        assign({"x": ["a", "b", "c"]}, frames, 2, 0)


@pytest.mark.parametrize("count", [1, 0, -2])
def test_fewer_than_two_folds(count: int) -> None:
    with pytest.raises(UsageError, match=rf"--folds {count}: leaves nothing to train on, expected 2 or more"):
        assign({"a": ["a"], "b": ["b"]}, {"a": 1, "b": 1}, count, 0)
