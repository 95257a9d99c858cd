"""Video for networks: crops of windows as a network reads them, how they are augmented, and which windows are drawn."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from affcli import tables
from affcli.arrays import open_array
from affcli.errors import InputError, SchemaError, UsageError
from affcli.faces.crops import open_crops
from affcli.schemas import FACES
from affcli.training.crops import ClipCrops
from affcli.training.data import ClipData, WindowedClips
from affcli.training.pixels import finished
from affcli.training.sampling import mean_valence
from affcli.training.starts import StartSampler, valid_windows
from affcli.training.video import VideoWindows
from affcli.training.viewing import Augmentation, Views, centred

Write = Callable[..., Path]
Pixels = NDArray[np.uint8]
ALL = np.arange(3)


def noise(n: int, side: int = 20, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def data(name: str, n: int, valence: NDArray[np.float64] | None = None, features: bool = False) -> ClipData:
    labels = np.zeros((n, 2)) if valence is None else np.stack([valence, np.zeros(n)], axis=-1)
    vectors = {"hog": np.arange(n, dtype=np.float32)[:, None]} if features else {}
    valid = {name: np.ones(n, np.bool_) for name in vectors}
    return ClipData(name, vectors, valid, labels, ~np.isnan(labels).any(axis=-1))


def windows(clips: list[ClipData], *cuts: tuple[int, int, int]) -> WindowedClips:
    """Windows as clip, start, length."""
    clip, start, length = np.array(cuts).T
    return WindowedClips(clips, clip, start, length)


def view(top: int, left: int, flipped: bool = False, centre: tuple[int, int] = (0, 0), cutout: int = 0) -> Views:
    return Views(np.array([top]), np.array([left]), np.array([flipped]), np.array([centre]), cutout)


def video_windows(pixels: Pixels, valid: list[int] | None = None, start: int = 0, length: int = 0, **more: object):
    n = len(pixels)
    present = np.ones(n, np.bool_) if valid is None else np.array(valid, np.bool_)
    index = windows([data("a", n)], (0, start, length or n - start))
    return VideoWindows(index, [ClipCrops("a", pixels, present)], **{"size": 12, **more})  # type: ignore[arg-type]


def scaled(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    """As the network is given it: (t, h, w, 3) to (1, 3, t, h, w)."""
    return ((pixels.astype(np.float32) - np.float32(127.5)) / np.float32(127.5)).transpose(3, 0, 1, 2)[None]


FIRST = np.zeros(1, np.int64)


def test_evaluation_takes_the_middle_and_scales_it() -> None:
    pixels = noise(6)
    batch = video_windows(pixels, start=1, length=4).gather(FIRST)
    assert batch.video.shape == (1, 3, 4, 12, 12) and batch.video.dtype == np.float32
    assert np.array_equal(batch.video, scaled(pixels[1:5, 4:16, 4:16]))
    assert batch.visible.all() and not batch.flipped.any()
    assert np.array_equal(batch.windows.inside, np.ones((1, 4), bool))
    extremes = np.zeros((1, 12, 12, 3), np.uint8)
    extremes[0, 0, 0] = 255
    found = video_windows(extremes).gather(FIRST).video
    assert found.min() == -1 and found.max() == 1 and found[0, 0, 0, 0, 0] == 1


def test_odd_rests_leave_out_one_more_pixel_at_the_end() -> None:
    pixels = noise(1, 13)
    assert np.array_equal(video_windows(pixels, size=10).gather(FIRST).video, scaled(pixels[:, 1:11, 1:11]))
    assert centred(2, 13, 10).top.tolist() == [1, 1]


def test_the_batch_lies_in_memory_as_torch_computes_it() -> None:
    tensor = torch.from_numpy(video_windows(noise(5)).gather(FIRST).video)
    assert tensor.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("seen", [12, 9])
def test_a_view_is_cut_flipped_and_ordered(order: str, flipped: bool, seen: int) -> None:
    pixels = noise(5)
    wanted = pixels[:, 3:15, 7:19]
    wanted = wanted[:, :, ::-1] if flipped else wanted
    wanted = wanted[..., ::-1] if order == "bgr" else wanted
    found = video_windows(pixels, order=order, seen=seen).gather(FIRST, view(3, 7, flipped)).video
    assert np.array_equal(found, scaled(wanted[:, :seen, :seen]))


@pytest.mark.parametrize(
    ("centre", "rows", "columns"),
    [((6, 5), slice(4, 8), slice(3, 7)), ((0, 11), slice(0, 2), slice(9, 12)), ((11, 0), slice(9, 12), slice(0, 2))],
)
def test_a_hole_is_at_one_place_of_every_frame(centre: tuple[int, int], rows: slice, columns: slice) -> None:
    pixels = noise(5)
    found = video_windows(pixels).gather(FIRST, view(0, 0, centre=centre, cutout=4)).video
    wanted = scaled(pixels[:, :12, :12])
    wanted[:, :, :, rows, columns] = 0
    assert np.array_equal(found, wanted)
    cut = video_windows(pixels, seen=10).gather(FIRST, view(0, 0, centre=centre, cutout=4)).video
    assert np.array_equal(cut, wanted[..., :10, :10])  # holes are where they would be in all of it


def test_frames_without_a_face_are_zeros_or_the_face_before() -> None:
    pixels = noise(8)
    valid = [0, 0, 1, 0, 0, 1, 1, 0]
    zeros = video_windows(pixels, valid).gather(FIRST)
    whole = scaled(pixels[:, 4:16, 4:16])
    for frame, here in enumerate(valid):
        assert np.array_equal(zeros.video[:, :, frame], whole[:, :, frame] * here)
    assert zeros.visible.tolist() == [[bool(one) for one in valid]]
    before = video_windows(pixels, valid, missing="previous").gather(FIRST)
    assert (before.video[:, :, :2] == -1).all()
    assert np.array_equal(before.video[:, :, 2:], whole[:, :, [2, 2, 2, 5, 6, 6]])
    assert before.visible.tolist() == [[False, False] + [True] * 6]


def test_the_face_before_may_be_before_the_window() -> None:
    pixels = noise(8)
    valid = [0, 1, 0, 0, 0, 1, 1, 1]
    found = video_windows(pixels, valid, start=3, length=3, missing="previous").gather(FIRST, view(0, 0, True)).video
    assert np.array_equal(found, scaled(pixels[[1, 1, 5], :12, :12][:, :, ::-1]))


def test_a_window_without_any_face_is_filled() -> None:
    assert not video_windows(noise(4), [0] * 4).gather(FIRST).video.any()
    assert (video_windows(noise(4), [0] * 4, missing="previous").gather(FIRST).video == -1).all()


def test_short_windows_end_in_zeros_and_each_window_has_its_own_view() -> None:
    one, other = noise(5), noise(9, seed=1)
    index = windows([data("a", 5), data("b", 9)], (0, 0, 5), (1, 2, 3), (1, 6, 2))
    clips = [ClipCrops(name, pixels, np.ones(len(pixels), np.bool_)) for name, pixels in (("a", one), ("b", other))]
    views = Views(np.array([0, 8]), np.array([1, 2]), np.array([True, False]), np.zeros((2, 2), np.int64), 3)
    batch = VideoWindows(index, clips, size=12, missing="previous").gather(np.array([1, 0]), views)
    first = scaled(other[2:5, :12, 1:13][:, :, ::-1])
    second = scaled(one[:, 8:20, 2:14])
    for wanted in (first, second):
        wanted[..., :2, :2] = 0  # 3 pixels around 0, 0
    assert np.array_equal(batch.video[:1, :, :3], first) and not batch.video[0, :, 3:].any()
    assert np.array_equal(batch.video[1:], second)
    assert batch.visible.tolist() == batch.windows.inside.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert batch.flipped.tolist() == [True, False]


def test_evaluation_in_batches_and_the_blank_one() -> None:
    pixels = noise(6)
    index = windows([data("a", 6)], (0, 0, 3), (0, 2, 3), (0, 3, 3))
    clips = VideoWindows(index, [ClipCrops("a", pixels, np.ones(6, np.bool_))], size=12)
    assert len(clips) == 3
    found = np.concatenate([batch.video for batch in clips.batches(2)])
    assert np.array_equal(found, clips.gather(ALL).video)
    assert np.array_equal(next(clips.batches(1, np.array([2]))).video, found[2:])
    blank = clips.blank()
    assert blank.video.shape == (1, 3, 3, 12, 12) and not blank.video.any()
    assert not blank.visible.any() and not blank.windows.inside.any() and not blank.flipped.any()
    assert np.array_equal(finished(clips.blank_pixels(), torch.device("cpu")).numpy(), blank.video)


def test_files_of_pixels_and_of_jpeg_give_what_their_crops_hold(
    real_crops: Pixels, write_faces: Write, tmp_path: Path
) -> None:
    valid = np.ones(12, np.bool_)
    valid[[4, 11]] = False
    for form in (False, True):
        path = write_faces(tmp_path, f"clip{form}", real_crops, valid, jpeg=form)
        crops = open_crops(tables.read(path, FACES))
        index = windows([data("a", 12)], (0, 2, 10))
        for missing, shown in (("zeros", [2, 3, 4, 5, 6]), ("previous", [2, 3, 3, 5, 6])):
            clips = VideoWindows(index, [ClipCrops("a", crops, valid)], size=96, missing=missing)
            found = clips.gather(FIRST, view(5, 16, True)).video
            wanted = scaled(crops[shown][:, 5:101, 16:112][:, :, ::-1])
            wanted[:, :, [place for place, row in enumerate(shown) if not valid[row]]] = 0
            assert np.array_equal(found[:, :, :5], wanted), (form, missing)
            assert np.array_equal(found, clips.gather(FIRST, view(5, 16, True)).video)  # also once it was let go of


def test_crops_of_a_file_that_may_be_written_keep_what_was_written(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(6, 64))
    private = np.load(tmp_path / "a.npy", mmap_mode="c")
    private[2] = 7
    clips = video_windows(private, size=64)
    for _ in range(2):
        assert np.array_equal(clips.gather(FIRST).video, scaled(np.asarray(private)))
    assert (private[2] == 7).all()


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="asks Linux what is mapped")
def test_crops_that_were_read_do_not_stay_in_memory(tmp_path: Path) -> None:
    def resident() -> int:
        """kB of the file that are in the memory of this process."""
        lines = Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines()
        at = next(i for i, line in enumerate(lines) if line.endswith(f"{tmp_path}/a.npy"))
        return next(int(line.split()[1]) for line in lines[at:] if line.startswith("Rss:"))

    np.save(tmp_path / "a.npy", noise(400, 64))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    clips = video_windows(mapped, size=64)
    assert mapped.sum() > 0 and resident() > 4_000
    found = clips.gather(FIRST).video
    assert resident() < 200 and np.array_equal(found, scaled(noise(400, 64)))
    clips.gather_pixels(FIRST)
    assert resident() < 200


@pytest.mark.parametrize("part", [slice(None), slice(3, None), slice(None, None, 2), slice(None, None, -1)])
def test_parts_of_a_mapped_file_are_read_where_they_are(tmp_path: Path, part: slice) -> None:
    pixels = noise(300, 64)
    np.save(tmp_path / "a.npy", pixels)
    found = open_array(tmp_path / "a.parquet", {"shape": [300, 64, 64, 3], "dtype": "uint8"})[part]
    assert np.array_equal(video_windows(found, start=2, length=50, size=64).gather(FIRST).video, scaled(found[2:52]))
    valid = np.ones(len(found), np.bool_)
    valid[1:-2] = False  # the face before is far before
    clips = video_windows(found, valid.tolist(), start=len(found) - 5, size=64, missing="previous")
    last = pixels[part]
    assert np.array_equal(clips.gather(FIRST).video, scaled(last[[0, 0, 0, -2, -1]]))


def test_features_of_flipped_crops_are_taken_where_a_window_is_flipped() -> None:
    clip = data("a", 8, features=True)
    flipped = ClipData("a", {"hog": clip.features["hog"] + 100}, clip.valid, clip.labels, clip.labelled)
    cuts = (0, 0, 4), (0, 2, 4), (0, 5, 3)
    clips = VideoWindows(
        windows([clip], *cuts),
        [ClipCrops("a", noise(8), np.ones(8, np.bool_))],
        size=12,
        flipped=windows([flipped], *cuts),
    )
    views = Views(np.zeros(3, int), np.zeros(3, int), np.array([False, True, True]), np.zeros((3, 2), int))
    vectors = clips.gather(np.array([1, 0, 2]), views).windows.features["hog"][..., 0]
    assert vectors.tolist() == [[2, 3, 4, 5], [100, 101, 102, 103], [105, 106, 107, 0]]
    assert clips.gather(ALL).windows.features["hog"].max() == 7


def test_features_of_flipped_crops_of_other_clips_are_refused() -> None:
    crops = [ClipCrops("a", noise(8), np.ones(8, np.bool_))]
    index = windows([data("a", 8, features=True)], (0, 0, 4))
    with pytest.raises(SchemaError, match=r"flipped crops of clip a: .*other frames"):
        VideoWindows(index, crops, size=12, flipped=windows([data("a", 7, features=True)], (0, 0, 4)))
    with pytest.raises(ValueError, match="not those of the windows"):
        VideoWindows(index, crops, size=12, flipped=windows([data("a", 8, features=True)], (0, 1, 4)))


@pytest.mark.parametrize(
    ("crops", "settings", "message"),
    [
        (noise(6, 18), {}, r"crops of clip b: are 18 x 18 px, expected 20 x 20 px; .*--size 20"),
        (noise(6, 20), {"side": 18}, r"crops of clip a: are 20 x 20 px, expected 18 x 18 px; .*--size 18"),
        (noise(6, 20), {"size": 24}, r"crops of clip a: are 20 x 20 px, expected at least 24 x 24 px; .*--size 24"),
        (noise(7, 20), {}, r"crops of clip b: are of 7 frames \(7 rows\), expected 6, as many as its labels"),
        (noise(6, 20)[:, :19], {}, r"crops of clip b: are uint8 \(6, 19, 20, 3\), expected uint8 \(frames, s, s, 3\)"),
        (noise(6, 20).astype(np.float32), {}, r"crops of clip b: are float32 \(6, 20, 20, 3\)"),
    ],
)
def test_crops_that_do_not_fit_are_refused_by_name(crops: Pixels, settings: dict[str, int], message: str) -> None:
    index = windows([data("a", 6), data("b", 6)], (0, 0, 4))
    every = [ClipCrops(name, one, np.ones(len(one), np.bool_)) for name, one in (("a", noise(6)), ("b", crops))]
    with pytest.raises(SchemaError, match=message):
        VideoWindows(index, every, **{"size": 12, **settings})


@pytest.mark.parametrize("settings", [{"order": "grb"}, {"missing": "next"}, {"seen": 13}, {"seen": 0}])
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        video_windows(noise(4), **settings)


def test_rows_and_crops_must_be_equally_many() -> None:
    crops = ClipCrops("a", noise(6), np.ones(5, np.bool_))
    with pytest.raises(SchemaError, match=r"crops of clip a: are of 6 frames \(5 rows\), expected 6"):
        VideoWindows(windows([data("a", 6)], (0, 0, 4)), [crops], size=12)


def test_crops_and_views_must_belong_to_the_windows() -> None:
    index = windows([data("a", 6)], (0, 0, 4))
    with pytest.raises(ValueError, match="crops of clip b where those of a belong"):
        VideoWindows(index, [ClipCrops("b", noise(6), np.ones(6, np.bool_))], size=12)
    with pytest.raises(ValueError, match="2 views of 1 windows"):
        video_windows(noise(6)).gather(FIRST, centred(2, 20, 12))


def test_views_are_uniform_and_go_on_from_a_state() -> None:
    drawn = Augmentation(128, 112, cutout=30, seed=3)
    first = drawn.draw(100)
    state = drawn.state
    views = drawn.draw(20_000)
    assert len(views) == 20_000 and views.cutout == 30
    for corner in (views.top, views.left):
        assert set(corner.tolist()) == set(range(17))
        # 20,000 draws of 17 places: 1176 each, standard deviation 33
        assert np.abs(np.bincount(corner) - 20_000 / 17).max() < 5 * 33.3
    assert abs(views.flipped.mean() - 0.5) < 5 * 0.5 / np.sqrt(20_000)
    assert views.centre.min() == 0 and views.centre.max() == 111
    again = Augmentation(128, 112, cutout=30, seed=3)
    assert np.array_equal(again.draw(100).top, first.top)
    resumed = Augmentation(128, 112, cutout=30, seed=9)
    resumed.state = state
    later = resumed.draw(20_000)
    for field in ("top", "left", "flipped", "centre"):
        assert np.array_equal(getattr(later, field), getattr(views, field))


def test_settings_do_not_change_where_crops_are_and_a_share_is_a_part() -> None:
    plain, other = Augmentation(40, 30, seed=1).draw(50), Augmentation(40, 30, flip=0, cutout=9, seed=1).draw(50)
    assert np.array_equal(plain.top, other.top) and np.array_equal(plain.left, other.left)
    assert plain.flipped.any() and not other.flipped.any()
    assert Augmentation(40, 30, flip=1).draw(50).flipped.all()
    share = other.of(np.array([4, 2]))
    assert share.top.tolist() == other.top[[4, 2]].tolist() and share.hole(1, 30) == other.hole(2, 30)
    assert Augmentation(30, 30).draw(9).top.tolist() == [0] * 9
    for wrong in ({"side": 29}, {"flip": 1.5}, {"cutout": -1}):
        with pytest.raises(ValueError, match="crops of 30"):
            Augmentation(**{"side": 30, "size": 30, **wrong})  # type: ignore[arg-type]


def test_valid_windows_have_a_face_and_labels_in_every_frame() -> None:
    valence = np.array([0, 0, 0, np.nan, 0, 0, 0, 0, 0, 0])
    present = np.array([1, 1, 1, 1, 1, 1, 1, 1, 0, 1], np.bool_)
    clips = [data("a", 10, valence), data("b", 3)]
    faces = [present, np.ones(3, np.bool_)]
    found = valid_windows(clips, 3, faces)
    assert found.clip.tolist() == [0, 0, 0, 1] and found.start.tolist() == [0, 4, 5, 0]
    assert found.length.tolist() == [3, 3, 3, 3]
    assert valid_windows(clips, 3).start.tolist() == [0, 4, 5, 6, 7, 0]  # sound needs no face
    # of 4 frames a quarter is one: what lacks a label or a face
    assert valid_windows(clips[:1], 4, faces[:1], missing=0.25).start.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert valid_windows(clips[:1], 4, faces[:1], missing=0.24).start.tolist() == [4]


def test_a_share_that_is_no_exact_number_counts_as_meant() -> None:
    valence = np.zeros(100)
    valence[:29] = np.nan
    assert len(valid_windows([data("a", 100, valence)], 100, missing=0.29)) == 1


def test_clips_without_a_window_are_named(caplog: pytest.LogCaptureFixture) -> None:
    clips = [data("long", 9), data("short", 3), data("bare", 9, np.full(9, np.nan))]
    with caplog.at_level(logging.WARNING):
        found = valid_windows(clips, 4, missing=0.25)
    assert set(found.clip.tolist()) == {0}
    assert "short, bare" in caplog.text and "4 frames in a row, 1 of them excepted, with labels" in caplog.text
    with pytest.raises(
        InputError, match=r"clips short, bare: have no window .*4 frames in a row with labels and a face;"
    ):
        valid_windows(clips[1:], 4, [np.ones(3, np.bool_), np.ones(9, np.bool_)])


def test_an_epoch_has_as_many_windows_of_each_clip_uniform_over_its_starts() -> None:
    found = valid_windows([data("a", 8), data("none", 2), data("b", 3), data("c", 103)], 3)
    assert np.bincount(found.clip).tolist() == [6, 0, 1, 101]
    sampler = StartSampler(found, per_clip=200, seed=1)
    assert len(sampler) == 600
    epochs = [sampler.epoch() for _ in range(50)]
    for epoch in epochs:
        assert np.bincount(found.clip[epoch]).tolist() == [200, 0, 200, 200]
    assert not np.array_equal(epochs[0], epochs[1])
    assert len(set(found.clip[epochs[0][:100]].tolist())) == 3  # clips are mixed
    often = np.bincount(np.concatenate(epochs), minlength=len(found))
    assert np.abs(often[:6] - 10_000 / 6).max() < 5 * 37.3  # standard deviation of one of six in 10,000
    assert np.abs(often[7:] - 10_000 / 101).max() < 5 * 9.9


@pytest.mark.parametrize("balance", ["none", "valence"])
def test_epochs_go_on_from_a_state(balance: str) -> None:
    found = valid_windows([data("a", 50, np.linspace(-1, 1, 50)), data("b", 9)], 4)
    sampler = StartSampler(found, per_clip=20, balance=balance, seed=5)
    first = sampler.epoch()
    state = sampler.state
    second = sampler.epoch()
    other = StartSampler(found, per_clip=20, balance=balance, seed=5)
    assert np.array_equal(other.epoch(), first) and not np.array_equal(first, second)
    resumed = StartSampler(found, per_clip=20, balance=balance)
    resumed.state = state
    assert np.array_equal(resumed.epoch(), second)


def test_balanced_epochs_are_half_of_negative_valence() -> None:
    negative = np.r_[np.full(4, -0.5), np.full(20, 0.5)]
    found = valid_windows(
        [data("a", 24, negative), data("b", 103, np.full(103, 0.1)), data("c", 4, np.full(4, -1.0))], 3
    )
    is_negative = mean_valence(found) < 0
    sampler = StartSampler(found, per_clip=101, balance="valence", seed=0)
    assert len(sampler) == 303
    epochs = [sampler.epoch() for _ in range(40)]
    assert all(is_negative[epoch].sum() == 151 and len(epoch) == 303 for epoch in epochs)
    often = np.bincount(np.concatenate(epochs), minlength=len(found))
    # Three of the 22 windows of clip a are negative, and both of clip c: 1/22 each against 1/2 each.
    share = np.where(found.clip == 0, 1 / 22, 1 / 2)[is_negative]
    wanted = 40 * 151 * share / share.sum()
    assert is_negative.sum() == 5
    assert (np.abs(often[is_negative] - wanted) < 5 * np.sqrt(wanted)).all()


@pytest.mark.parametrize(("sign", "which"), [(-1, "every"), (1, "no")])
def test_balance_needs_windows_of_both_kinds(sign: int, which: str) -> None:
    found = valid_windows([data("a", 9, np.full(9, 0.5 * sign))], 4)
    with pytest.raises(UsageError, match=f"{which} training window has a mean valence below 0"):
        StartSampler(found, balance="valence")


def test_drawn_windows_are_gathered_alike_each_time(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(40, 32))
    found = valid_windows([data("a", 40)], 8)
    crops = [ClipCrops("a", np.load(tmp_path / "a.npy", mmap_mode="r"), np.ones(40, np.bool_))]
    batches = []
    for _ in range(2):
        sampler, views = StartSampler(found, per_clip=6, seed=2), Augmentation(32, 28, cutout=7, seed=2)
        batches.append(VideoWindows(found, crops, size=28).gather(sampler.epoch(), views.draw(6)))
    assert batches[0].video.tobytes() == batches[1].video.tobytes()
    assert np.array_equal(batches[0].flipped, batches[1].flipped)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("missing", ["zeros", "previous"])
@pytest.mark.parametrize(("seen", "cutout"), [(28, 0), (25, 9)])
def test_pixels_that_are_finished_later_are_the_same_to_the_bit(
    order: str, missing: str, seen: int, cutout: int
) -> None:
    valid = np.random.default_rng(1).random((2, 40)) < 0.8
    index = windows([data("a", 40), data("b", 40)], (0, 0, 9), (1, 30, 6), (0, 31, 9), (1, 4, 1))
    crops = [ClipCrops(name, noise(40, 32, i), valid[i]) for i, name in enumerate("ab")]
    clips = VideoWindows(index, crops, size=28, seen=seen, order=order, missing=missing)
    views = Augmentation(32, 28, cutout=cutout, seed=4).draw(4)
    assert views.flipped.any() and not views.flipped.all()
    chosen = np.array([3, 0, 1, 2])
    for seen_as in (views, None):
        whole, pixels = clips.gather(chosen, seen_as), clips.gather_pixels(chosen, seen_as)
        tensor = finished(pixels, torch.device("cpu"))
        assert tensor.is_contiguous(memory_format=torch.channels_last_3d)
        assert np.array_equal(tensor.numpy(), whole.video)
        assert np.array_equal(pixels.visible, whole.visible) and np.array_equal(pixels.flipped, whole.flipped)
    assert not whole.visible[:, :6].all()
