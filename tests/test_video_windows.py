"""Video for networks: crops of windows as a network reads them, how they are augmented, and which windows are drawn."""

from __future__ import annotations

import dataclasses
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
from affcli.models import pixels as pixels_module
from affcli.models.pixels import finished
from affcli.schemas import FACES
from affcli.training.crops import ClipCrops, Frames
from affcli.training.data import Batch, ClipData, Standardisation, WindowedClips, fit_standardisation
from affcli.training.sampling import Epochs, Sampler, mean_valence
from affcli.training.sight import Pixels, Sight
from affcli.training.starts import StartSampler, valid_windows
from affcli.training.viewing import Augmentation, Views, centred

Write = Callable[..., Path]
Crops = NDArray[np.uint8]
CPU = torch.device("cpu")
ALL = np.arange(3)


def noise(n: int, side: int = 20, seed: int = 0) -> Crops:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def data(
    name: str,
    n: int,
    valence: NDArray[np.float64] | None = None,
    crops: Frames | None = None,
    present: NDArray[np.bool_] | None = None,
    **more: object,
) -> ClipData:
    """A clip of n frames without features; every face is there unless `present` tells otherwise."""
    labels = np.zeros((n, 2)) if valence is None else np.stack([valence, np.zeros(n)], axis=-1)
    every = np.ones(n if crops is None else crops.shape[0], np.bool_)
    faces = None if crops is None else ClipCrops(name, crops, every if present is None else present)
    given = {"features": {}, "valid": {}, "crops": faces} | more
    return ClipData(name, labels=labels, labelled=~np.isnan(labels).any(axis=-1), **given)  # type: ignore[arg-type]


def windows(clips: list[ClipData], *cuts: tuple[int, int, int]) -> WindowedClips:
    """Windows as clip, start, length."""
    clip, start, length = np.array(cuts).T
    return WindowedClips(clips, clip, start, length)


def view(top: int, left: int, flipped: bool = False, centre: tuple[int, int] = (0, 0), cutout: int = 0) -> Views:
    return Views(np.array([top]), np.array([left]), np.array([flipped]), np.array([centre]), cutout)


def one_window(
    crops: Frames, valid: list[int] | None = None, start: int = 0, length: int = 0, size: int = 12, **sight: object
) -> WindowedClips:
    """One window of one clip, by default all of it, of which the middle `size` px are seen."""
    n = crops.shape[0]
    there = None if valid is None else np.array(valid, np.bool_)
    index = windows([data("a", n, crops=crops, present=there)], (0, start, length or n - start))
    return index.seeing(Sight(**{"side": crops.shape[1], "crop": size, "size": size, **sight}))  # type: ignore[arg-type]


def pixels_of(batch: Batch) -> Pixels:
    assert batch.pixels is not None
    return batch.pixels


def video(batch: Batch) -> NDArray[np.float32]:
    """What the network is given."""
    return np.asarray(finished(pixels_of(batch), batch.inside, CPU))


def scaled(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    """As the network is given it: (t, h, w, 3) to (1, 3, t, h, w)."""
    return ((pixels.astype(np.float32) - np.float32(127.5)) / np.float32(127.5)).transpose(3, 0, 1, 2)[None]


FIRST = np.zeros(1, np.int64)


def test_evaluation_takes_the_middle_and_scales_it() -> None:
    pixels = noise(6)
    batch = one_window(pixels, start=1, length=4).gather(FIRST)
    assert video(batch).shape == (1, 3, 4, 12, 12) and video(batch).dtype == np.float32
    assert np.array_equal(video(batch), scaled(pixels[1:5, 4:16, 4:16]))
    assert pixels_of(batch).visible.all() and not pixels_of(batch).flipped.any()
    assert np.array_equal(batch.inside, np.ones((1, 4), bool))
    extremes = np.zeros((1, 12, 12, 3), np.uint8)
    extremes[0, 0, 0] = 255
    found = video(one_window(extremes).gather(FIRST))
    assert found.min() == -1 and found.max() == 1 and found[0, 0, 0, 0, 0] == 1


def test_odd_rests_leave_out_one_more_pixel_at_the_end() -> None:
    pixels = noise(1, 13)
    assert np.array_equal(video(one_window(pixels, size=10).gather(FIRST)), scaled(pixels[:, 1:11, 1:11]))
    assert centred(2, 13, 10).top.tolist() == [1, 1]


def test_the_batch_lies_in_memory_as_torch_computes_it() -> None:
    batch = one_window(noise(5)).gather(FIRST)
    tensor = finished(pixels_of(batch), batch.inside, CPU)
    assert tensor.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("flipped", [False, True])
def test_a_view_is_cut_flipped_and_ordered(order: str, flipped: bool) -> None:
    pixels = noise(5)
    wanted = pixels[:, 3:15, 7:19]
    wanted = wanted[:, :, ::-1] if flipped else wanted
    wanted = wanted[..., ::-1] if order == "bgr" else wanted
    found = video(one_window(pixels, order=order).gather(FIRST, view(3, 7, flipped)))
    assert np.array_equal(found, scaled(wanted))


@pytest.mark.parametrize(
    ("centre", "rows", "columns"),
    [((6, 5), slice(4, 8), slice(3, 7)), ((0, 11), slice(0, 2), slice(9, 12)), ((11, 0), slice(9, 12), slice(0, 2))],
)
def test_a_hole_is_at_one_place_of_every_frame(centre: tuple[int, int], rows: slice, columns: slice) -> None:
    pixels = noise(5)
    found = video(one_window(pixels).gather(FIRST, view(0, 0, centre=centre, cutout=4)))
    wanted = scaled(pixels[:, :12, :12])
    wanted[:, :, :, rows, columns] = 0
    assert np.array_equal(found, wanted)


def test_frames_without_a_face_are_zeros_or_the_face_before() -> None:
    pixels = noise(8)
    valid = [0, 0, 1, 0, 0, 1, 1, 0]
    zeros = one_window(pixels, valid).gather(FIRST)
    whole = scaled(pixels[:, 4:16, 4:16])
    for frame, here in enumerate(valid):
        assert np.array_equal(video(zeros)[:, :, frame], whole[:, :, frame] * here)
    assert pixels_of(zeros).visible.tolist() == [[bool(one) for one in valid]]
    before = one_window(pixels, valid, missing="previous").gather(FIRST)
    assert (video(before)[:, :, :2] == -1).all()
    assert np.array_equal(video(before)[:, :, 2:], whole[:, :, [2, 2, 2, 5, 6, 6]])
    assert pixels_of(before).visible.tolist() == [[False, False] + [True] * 6]


def test_the_face_before_may_be_before_the_window() -> None:
    pixels = noise(8)
    valid = [0, 1, 0, 0, 0, 1, 1, 1]
    found = video(one_window(pixels, valid, start=3, length=3, missing="previous").gather(FIRST, view(0, 0, True)))
    assert np.array_equal(found, scaled(pixels[[1, 1, 5], :12, :12][:, :, ::-1]))


def test_a_window_without_any_face_is_filled() -> None:
    assert not video(one_window(noise(4), [0] * 4).gather(FIRST)).any()
    assert (video(one_window(noise(4), [0] * 4, missing="previous").gather(FIRST)) == -1).all()


def test_short_windows_end_in_zeros_and_each_window_has_its_own_view() -> None:
    one, other = noise(5), noise(9, seed=1)
    index = windows([data("a", 5, crops=one), data("b", 9, crops=other)], (0, 0, 5), (1, 2, 3), (1, 6, 2))
    views = Views(np.array([0, 8]), np.array([1, 2]), np.array([True, False]), np.zeros((2, 2), np.int64), 3)
    batch = index.seeing(Sight(20, 12, 12, missing="previous")).gather(np.array([1, 0]), views)
    found, pixels = video(batch), pixels_of(batch)
    first = scaled(other[2:5, :12, 1:13][:, :, ::-1])
    second = scaled(one[:, 8:20, 2:14])
    for wanted in (first, second):
        wanted[..., :2, :2] = 0  # 3 pixels around 0, 0
    assert np.array_equal(found[:1, :, :3], first) and not found[0, :, 3:].any()
    assert np.array_equal(found[1:], second)
    assert pixels.visible.tolist() == batch.inside.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert pixels.flipped.tolist() == [True, False] and batch.clip.tolist() == [1, 0]


def test_evaluation_in_batches_and_the_blank_one() -> None:
    pixels = noise(6)
    index = windows([data("a", 6, crops=pixels)], (0, 0, 3), (0, 2, 3), (0, 3, 3)).seeing(Sight(20, 12, 12))
    assert len(index) == 3
    found = np.concatenate([video(batch) for batch in index.batches(2)])
    assert np.array_equal(found, video(index.gather(ALL)))
    assert np.array_equal(video(next(index.batches(1, np.array([2])))), found[2:])
    blank = index.blank()
    assert video(blank).shape == (1, 3, 3, 12, 12) and not video(blank).any()
    assert not pixels_of(blank).visible.any() and not blank.inside.any() and not blank.labelled.any()
    assert pixels_of(blank).values.dtype == np.uint8 and not pixels_of(blank).flipped.any()
    filled = index.seeing(Sight(20, 12, 12, missing="previous")).blank()
    assert not video(filled).any()  # what is past the end is zeros in any case


def test_windows_keep_their_sight_and_change_it() -> None:
    pixels = noise(9)
    clips = [data(name, 9, crops=pixels) for name in "ab"]
    plain = windows(clips, (0, 0, 4), (1, 3, 4))
    assert plain.sight is None and plain.gather(FIRST).pixels is None and plain.blank().pixels is None
    sight = Sight(20, 12, 12)
    index = plain.seeing(sight)
    others = [index.with_labels(), index.of_clips(np.array([1])), index.standardised(Standardisation({}, {}))]
    assert all(one.sight == sight for one in (index, *others))
    assert np.array_equal(video(others[1].gather(FIRST)), video(index.gather(np.array([1]))))
    assert index.seeing(None).gather(FIRST).pixels is None


def test_networks_that_only_see_need_no_features() -> None:
    valence = np.r_[np.full(4, np.nan), np.zeros(4)]
    index = windows([data("a", 8, valence, noise(8))], (0, 0, 3), (0, 4, 3)).seeing(Sight(20, 12, 12))
    assert index.clips[0].frames == 8
    scale = fit_standardisation(index)
    assert scale.mean == scale.std == {}
    labelled = index.standardised(scale).with_labels()
    assert labelled.start.tolist() == [4]
    batch = labelled.gather(FIRST)
    assert batch.features == {} and batch.labelled.all() and pixels_of(batch).visible.all()
    assert labelled.blank().features == {}


def test_files_of_pixels_and_of_jpeg_give_what_their_crops_hold(
    real_crops: Crops, write_faces: Write, tmp_path: Path
) -> None:
    valid = np.ones(12, np.bool_)
    valid[[4, 11]] = False
    for form in (False, True):
        path = write_faces(tmp_path, f"clip{form}", real_crops, valid, jpeg=form)
        crops = open_crops(tables.read(path, FACES))
        index = windows([data("a", 12, crops=crops, present=valid)], (0, 2, 10))
        for missing, shown in (("zeros", [2, 3, 4, 5, 6]), ("previous", [2, 3, 3, 5, 6])):
            clips = index.seeing(Sight(crops.shape[1], 96, 96, missing=missing))
            found = video(clips.gather(FIRST, view(5, 16, True)))
            wanted = scaled(crops[shown][:, 5:101, 16:112][:, :, ::-1])
            wanted[:, :, [place for place, row in enumerate(shown) if not valid[row]]] = 0
            assert np.array_equal(found[:, :, :5], wanted), (form, missing)
            assert np.array_equal(found, video(clips.gather(FIRST, view(5, 16, True))))  # also once it was let go of


def test_crops_of_a_file_that_may_be_written_keep_what_was_written(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(6, 64))
    private = np.load(tmp_path / "a.npy", mmap_mode="c")
    private[2] = 7
    clips = one_window(private, size=64)
    for _ in range(2):
        assert np.array_equal(video(clips.gather(FIRST)), scaled(np.asarray(private)))
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
    clips = one_window(mapped, size=64)
    assert mapped.sum() > 0 and resident() > 4_000
    found = video(clips.gather(FIRST))
    assert resident() < 200 and np.array_equal(found, scaled(noise(400, 64)))


@pytest.mark.parametrize("part", [slice(None), slice(3, None), slice(None, None, 2), slice(None, None, -1)])
def test_parts_of_a_mapped_file_are_read_where_they_are(tmp_path: Path, part: slice) -> None:
    pixels = noise(300, 64)
    np.save(tmp_path / "a.npy", pixels)
    found = open_array(tmp_path / "a.parquet", {"shape": [300, 64, 64, 3], "dtype": "uint8"})[part]
    assert np.array_equal(video(one_window(found, start=2, length=50, size=64).gather(FIRST)), scaled(found[2:52]))
    valid = np.ones(len(found), np.bool_)
    valid[1:-2] = False  # the face before is far before
    clips = one_window(found, valid.tolist(), start=len(found) - 5, size=64, missing="previous")
    last = pixels[part]
    assert np.array_equal(video(clips.gather(FIRST)), scaled(last[[0, 0, 0, -2, -1]]))


def test_features_of_flipped_crops_are_taken_where_a_window_is_flipped() -> None:
    vectors = np.arange(8, dtype=np.float32)[:, None]
    valid = np.array([1, 1, 1, 1, 1, 1, 0, 1], np.bool_)
    both = {"features": {"hog": vectors, "sound": vectors}, "valid": {"hog": valid, "sound": np.ones(8, np.bool_)}}
    clips = [data("a", 8, flipped={"hog": vectors + 100}, **both), data("b", 8, **both)]
    cuts = (0, 0, 4), (0, 2, 4), (0, 5, 3), (1, 0, 4)
    scale = Standardisation(
        {"hog": np.float32([1]), "sound": np.float32([0])}, {"hog": np.float32([2]), "sound": np.float32([1])}
    )
    index = windows(clips, *cuts).standardised(scale)
    turned = np.array([False, True, True, True])
    views = Views(np.zeros(4, int), np.zeros(4, int), turned, np.zeros((4, 2), int))
    batch = index.gather(np.array([1, 0, 2, 3]), views)
    assert batch.features["hog"][..., 0].tolist() == [
        [0.5, 1, 1.5, 2],
        [49.5, 50, 50.5, 51],
        [52, 0, 53, 0],  # frame 6 is not described, and the window ends
        [-0.5, 0, 0.5, 1],  # not known for this clip
    ]
    assert batch.features["sound"][1:, 0, 0].tolist() == [0, 5, 0]
    assert index.gather(np.array([0])).features["hog"].max() == 1


def test_features_of_flipped_crops_must_fit_and_be_numbers() -> None:
    vectors = np.zeros((8, 2), np.float32)
    known = {"features": {"hog": vectors}, "valid": {"hog": np.ones(8, np.bool_)}}
    with pytest.raises(
        SchemaError, match=r"hog features of flipped crops of clip a: are of shape \(7, 2\), .*\(8, 2\)"
    ):
        windows([data("a", 8, flipped={"hog": vectors[1:]}, **known)], (0, 0, 4))
    with pytest.raises(ValueError, match="lbp features of flipped crops of clip a"):
        windows([data("a", 8, flipped={"lbp": vectors}, **known)], (0, 0, 4))
    broken = vectors.copy()
    broken[3] = np.nan
    index = windows([data("a", 8, flipped={"hog": broken}, **known)], (0, 1, 4))
    assert not index.gather(FIRST).features["hog"].any()
    with pytest.raises(InputError, match="hog features of flipped crops of clip a: hold NaN or infinity in frame 3"):
        index.gather(FIRST, view(0, 0, True))


@pytest.mark.parametrize(
    ("crops", "settings", "message"),
    [
        (noise(6, 18), {}, r"crops of clip b: are 18 x 18 px, expected 20 x 20 px; .*--size 20"),
        (noise(6, 20), {"side": 18}, r"crops of clip a: are 20 x 20 px, expected 18 x 18 px; .*--size 18"),
        (noise(6, 20), {"crop": 24}, r"crops of clip a: are 20 x 20 px, expected at least 24 x 24 px; .*--size 24"),
        (noise(6, 20)[:, :19], {}, r"crops of clip b: are uint8 \(6, 19, 20, 3\), expected uint8 \(frames, s, s, 3\)"),
        (noise(6, 20).astype(np.float32), {}, r"crops of clip b: are float32 \(6, 20, 20, 3\)"),
        (None, {}, r"clip b: has no crops of a face, expected crops of every clip"),
    ],
)
def test_crops_that_do_not_fit_are_refused_by_name(crops: Crops | None, settings: dict[str, int], message: str) -> None:
    index = windows([data("a", 6, crops=noise(6)), data("b", 6, crops=crops)], (0, 0, 4))
    with pytest.raises(SchemaError, match=message):
        index.seeing(Sight(**{"side": 20, "crop": 12, "size": 12, **settings}))


def test_rows_crops_and_labels_must_be_equally_many() -> None:
    message = r"crops of clip a: are of 7 frames \(7 rows\), expected 6, as many as its labels"
    with pytest.raises(SchemaError, match=message):
        windows([data("a", 6, crops=noise(7))], (0, 0, 4))
    with pytest.raises(SchemaError, match=message):
        valid_windows([data("a", 6, crops=noise(7))], 4)
    with pytest.raises(SchemaError, match=r"crops of clip a: are of 6 frames \(5 rows\), expected 6"):
        windows([data("a", 6, crops=noise(6), present=np.ones(5, np.bool_))], (0, 0, 4))


@pytest.mark.parametrize("settings", [{"order": "grb"}, {"missing": "next"}, {"crop": 18}, {"size": 0, "crop": 0}])
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Sight(**{"side": 20, "crop": 12, "size": 12, **settings})  # type: ignore[arg-type]


def test_crops_and_views_must_belong_to_the_windows() -> None:
    crops = ClipCrops("b", noise(6), np.ones(6, np.bool_))
    with pytest.raises(ValueError, match="crops of clip b where those of a belong"):
        windows([dataclasses.replace(data("a", 6), crops=crops)], (0, 0, 4))
    with pytest.raises(ValueError, match="2 views of 1 windows"):
        one_window(noise(6)).gather(FIRST, centred(2, 20, 12))


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
    assert share.top.tolist() == other.top[[4, 2]].tolist() and np.array_equal(share.holes(30), other.holes(30)[[4, 2]])
    assert Augmentation(30, 30).draw(9).top.tolist() == [0] * 9
    for wrong in ({"side": 29}, {"flip": 1.5}, {"cutout": -1}):
        with pytest.raises(ValueError, match="crops of 30"):
            Augmentation(**{"side": 30, "crop": 30, **wrong})  # type: ignore[arg-type]


def test_valid_windows_have_a_face_and_labels_in_every_frame() -> None:
    valence = np.array([0, 0, 0, np.nan, 0, 0, 0, 0, 0, 0])
    present = np.array([1, 1, 1, 1, 1, 1, 1, 1, 0, 1], np.bool_)
    clips = [data("a", 10, valence, noise(10), present), data("b", 3, crops=noise(3))]
    found = valid_windows(clips, 3)
    assert found.clip.tolist() == [0, 0, 0, 1] and found.start.tolist() == [0, 4, 5, 0]
    assert found.length.tolist() == [3, 3, 3, 3]
    heard = [dataclasses.replace(clips[0], crops=None), clips[1]]
    assert valid_windows(heard, 3).start.tolist() == [0, 4, 5, 6, 7, 0]  # sound needs no face
    # of 4 frames a quarter is one: what lacks a label or a face
    assert valid_windows(clips[:1], 4, missing=0.25).start.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert valid_windows(clips[:1], 4, missing=0.24).start.tolist() == [4]


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
    seen = [data("short", 3, crops=noise(3)), data("blind", 9, crops=noise(9), present=np.zeros(9, np.bool_))]
    with pytest.raises(
        InputError, match=r"clips short, blind: have no window .*4 frames in a row with labels and a face;"
    ):
        valid_windows(seen, 4)


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


@pytest.mark.parametrize("kind", [Sampler, StartSampler])
def test_samplers_are_used_alike(kind: Callable[..., Epochs]) -> None:
    found = valid_windows([data("a", 50, np.linspace(-1, 1, 50)), data("b", 9)], 4)
    first, other = (kind(found, balance="valence", seed=seed) for seed in (5, 6))
    state = first.state
    epoch = first.epoch()
    assert len(epoch) == len(first) == len(other)
    other.state = state
    assert np.array_equal(other.epoch(), epoch)


def test_drawn_windows_are_gathered_alike_each_time(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(40, 32))
    clip = data("a", 40, crops=np.load(tmp_path / "a.npy", mmap_mode="r"))
    found = valid_windows([clip], 8).seeing(Sight(32, 28, 28))
    batches = []
    for _ in range(2):
        sampler = StartSampler(found, per_clip=6, seed=2)
        views = Augmentation(32, 28, cutout=7, jitter=0.1, seed=2)
        batches.append(found.gather(sampler.epoch(), views.draw(6)))
    assert video(batches[0]).tobytes() == video(batches[1]).tobytes()
    assert np.array_equal(batches[0].first, batches[1].first)


def literal(index: WindowedClips, chosen: NDArray[np.int64], views: Views, jitter: bool) -> NDArray[np.float32]:
    """The network's input as one writes it down first, frame by frame."""
    sight = index.sight
    assert sight is not None
    k = sight.crop // sight.size
    batch = np.zeros((len(chosen), int(index.length[chosen].max()), sight.size, sight.size, 3), np.float32)
    for row, window in enumerate(chosen.tolist()):
        faces = index.clips[int(index.clip[window])].crops
        assert faces is not None
        start = int(index.start[window])
        means = []
        for step in range(int(index.length[window])):
            frame = start + step
            while sight.missing == "previous" and frame >= 0 and not faces.valid[frame]:
                frame -= 1
            if frame < 0 or not faces.valid[frame]:
                batch[row, step] = np.nan
                continue
            top, left = int(views.top[row]), int(views.left[row])
            picture = faces.frames[frame : frame + 1][0, top : top + sight.crop, left : left + sight.crop]
            picture = picture.reshape(sight.size, k, sight.size, k, 3).astype(np.float64).mean(axis=(1, 3))
            batch[row, step] = picture[:, ::-1] if views.flipped[row] else picture
            means.append(batch[row, step].mean(dtype=np.float64))
        if jitter:
            assert views.light is not None
            brightness, contrast = views.light[row]
            mean = np.mean(means) if means else 0
            batch[row] = np.clip(brightness * (mean + contrast * (batch[row].astype(np.float64) - mean)), 0, 255)
        batch[row] = (batch[row] - np.float32(127.5)) / np.float32(127.5)
        batch[row][np.isnan(batch[row])] = -1 if sight.missing == "previous" else 0
        first = views.centre[row] - views.cutout // 2
        rows, columns = (slice(max(at, 0) // k, max(at + views.cutout, 0) // k) for at in first.tolist())
        batch[row, :, rows, columns] = 0
        batch[row, int(index.length[window]) :] = 0
    return (batch[..., ::-1] if sight.order == "bgr" else batch).transpose(0, 4, 1, 2, 3)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("missing", ["zeros", "previous"])
@pytest.mark.parametrize("crop", [14, 28])
@pytest.mark.parametrize(("cutout", "jitter"), [(0, 0.0), (8, 0.0), (8, 0.9)])
def test_what_a_network_is_given_is_what_one_writes_down_first(
    order: str, missing: str, crop: int, cutout: int, jitter: float
) -> None:
    valid = np.random.default_rng(1).random((2, 40)) < 0.8
    valid[0, :2] = valid[0, 31:] = False
    clips = [data(name, 40, crops=noise(40, 32, i), present=valid[i]) for i, name in enumerate("ab")]
    sight = Sight(32, crop, 14, order, missing)
    index = windows(clips, (0, 0, 9), (1, 30, 6), (0, 31, 9), (1, 4, 1)).seeing(sight)
    views = Augmentation(32, crop, cutout=cutout, jitter=jitter, seed=4).draw(4)
    assert views.flipped.any() and not views.flipped.all()
    chosen = np.array([3, 0, 1, 2])
    batch = index.gather(chosen, views)
    found, wanted = video(batch), literal(index, chosen, views, jitter > 0)
    assert found.shape == wanted.shape == (4, 3, 9, 14, 14)
    if jitter:
        assert np.abs(found - wanted).max() < 1e-6
        assert found.max() == 1 and (found == -1).any()  # some of it is cut off
    else:
        assert np.array_equal(found, wanted)  # to the bit
    assert np.array_equal(video(index.gather(chosen)), literal(index, chosen, centred(4, 32, crop), False))
    kind, summed = (np.uint8, 1) if crop == 14 else (np.int16, 4)
    assert pixels_of(batch).values.dtype == kind == pixels_of(index.blank()).values.dtype
    assert pixels_of(batch).summed == summed and not video(index.blank()).any()


def a_batch_of_everything() -> Batch:
    valid = np.random.default_rng(2).random(40) < 0.8
    valid[:2] = False
    index = windows([data("a", 40, crops=noise(40, 32), present=valid)], (0, 0, 9), (0, 30, 6), (0, 4, 9), (0, 9, 8))
    views = Augmentation(32, 28, cutout=9, jitter=0.3, seed=4).draw(4)
    assert views.flipped.any() and not views.flipped.all()
    return index.seeing(Sight(32, 28, 14, order="bgr", missing="previous")).gather(np.arange(4), views)


def test_a_gpu_is_asked_for_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = a_batch_of_everything()
    wanted = video(batch)
    monkeypatch.setattr(pixels_module, "_window_by_window", lambda pixels: pixels_module._at_once(pixels, CPU))
    assert np.array_equal(video(batch), wanted)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_to_the_bit() -> None:
    batch = a_batch_of_everything()
    found = finished(pixels_of(batch), batch.inside, torch.device("cuda"))
    assert found.is_contiguous(memory_format=torch.channels_last_3d)
    assert np.array_equal(found.cpu().numpy(), video(batch))


def test_processes_that_take_their_shares_see_what_one_sees() -> None:
    clips = [data(name, 40, crops=noise(40, 32, i)) for i, name in enumerate("ab")]
    found = valid_windows(clips, 8).seeing(Sight(32, 28, 28))
    chosen = StartSampler(found, per_clip=5).epoch()
    one, *several = (Augmentation(32, 28, cutout=9, jitter=0.2, seed=1) for _ in range(4))
    whole = video(found.gather(chosen, one.draw(10)))
    parts = []
    for rank, process in enumerate(several):
        share = np.array_split(np.arange(10), 3)[rank]
        parts.append(video(found.gather(chosen[share], process.draw(10).of(share))))
    assert np.array_equal(np.concatenate(parts), whole)


def test_light_is_uniform_and_changes_nothing_else() -> None:
    plain, lit = (Augmentation(40, 30, cutout=9, jitter=jitter, seed=1) for jitter in (0.0, 0.1))
    for _ in range(3):
        one, other = plain.draw(5000), lit.draw(5000)
        for field in ("top", "left", "flipped", "centre"):
            assert np.array_equal(getattr(one, field), getattr(other, field))
        assert one.light is None and other.light is not None and other.light.shape == (5000, 2)
        assert 0.9 <= other.light.min() < 0.901 and 1.099 < other.light.max() < 1.1
        assert np.abs(other.light.mean(axis=0) - 1).max() < 5 * 0.2 / np.sqrt(12 * 5000)
        assert abs(np.corrcoef(other.light.T)[0, 1]) < 5 / np.sqrt(5000)
    again = Augmentation(40, 30, jitter=0.1)
    again.state = lit.state
    assert np.array_equal(again.draw(7).light, lit.draw(7).light)
    with pytest.raises(ValueError, match="jitter 1"):
        Augmentation(40, 30, jitter=1)


def test_expressions_and_action_units_are_gathered_where_some_clip_has_them() -> None:
    classes = np.array([0, 6, -1, 3, 2], np.int8)
    units = np.array([[0, 1], [-1, 0], [1, 1], [0, 0], [1, -1]], np.int8)
    known, other = data("a", 5, expression=classes, action_units=units), data("b", 4)
    cuts = (0, 1, 3), (1, 0, 4), (0, 3, 2)
    batch = windows([known, other], *cuts).gather(ALL)
    assert batch.expression is not None and batch.action_units is not None
    assert batch.expression.dtype == batch.action_units.dtype == np.int64
    assert batch.expression.tolist() == [[6, -1, 3, -1], [-1] * 4, [3, 2, -1, -1]]
    assert batch.action_units[..., 1].tolist() == [[0, 1, 0, -1], [-1] * 4, [0, -1, -1, -1]]
    assert batch.clip.tolist() == [0, 1, 0]
    blank = windows([known, other], *cuts).blank()
    assert blank.expression is not None and blank.expression.tolist() == [[-1] * 3]
    assert blank.action_units is not None and blank.action_units.tolist() == [[[-1, -1]] * 3]
    without = windows([other], (0, 0, 4))
    assert without.gather(FIRST).expression is without.gather(FIRST).action_units is without.blank().expression is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"expression": np.zeros(3, np.int8)}, r"expression labels of clip b: are of shape \(3,\), expected \(4,\)"),
        (
            {"expression": np.int8([0, 1, -2, 0])},
            r"expression labels of clip b: -2 in frame 2, expected classes from 0",
        ),
        ({"action_units": np.zeros((4, 3), np.int8)}, r"action units of clip b: are of shape \(4, 3\), .*\(4, 2\)"),
        ({"action_units": np.int8([[0, 1]] * 3 + [[1, 2]])}, r"action units of clip b: 2 in frame 3, expected 0 or 1"),
    ],
)
def test_classes_that_cannot_be_are_refused_by_name(more: dict[str, object], message: str) -> None:
    clips = [
        data("a", 5, expression=np.zeros(5, np.int8), action_units=np.zeros((5, 2), np.int8)),
        data("b", 4, **more),
    ]
    with pytest.raises(SchemaError, match=message):
        windows(clips, (0, 0, 4))
