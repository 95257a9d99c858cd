"""The loop in which encoders work."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import SchemaError, UsageError
from affcli.features import Setup, settings
from affcli.features.appearance import CenterfaceTrunk
from affcli.features.choice import find
from affcli.features.encode import default_batch, encode_clip, encode_crops
from affcli.features.views import TimedCrops


def view(n: int, valid: NDArray[np.bool_] | None = None, size: int = 8) -> TimedCrops:
    """Crops whose first value is their own number."""
    crops = np.random.default_rng(0).integers(0, 255, (n, size, size, 3), dtype=np.uint8)
    crops[:, 0, 0, 0] = np.arange(n)
    return TimedCrops(crops, clock.frame_times(n, Fraction(25)), np.ones(n, bool) if valid is None else valid)


class Seen:
    """An encoder that keeps what it was given, and gives back each crop's number and one."""

    def __init__(self, fits: int = 1000) -> None:
        self.batches: list[list[int]] = []
        self.fits = fits

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(crops) > self.fits:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.batches.append(crops[:, 0, 0, 0].tolist())
        return np.stack([crops[:, 0, 0, 0], np.ones(len(crops))], axis=1).astype(np.float32)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch", [1, 4, 100])
def test_every_frame_has_its_own_vector_whatever_batch_and_threads(batch: int, threads: int) -> None:
    valid = np.random.default_rng(1).random(53) < 0.6
    valid[[0, 52]] = False
    seen = Seen()
    out = np.concatenate(list(encode_crops(seen, view(53, valid), batch, threads)))
    assert out.tolist() == [[i * valid[i], float(valid[i])] for i in range(53)]
    assert sorted(number for one in seen.batches for number in one) == np.flatnonzero(valid).tolist()
    assert {len(one) for one in seen.batches} <= {batch, int(valid.sum()) % batch}


def test_a_batch_that_does_not_fit_is_halved_and_stays_so() -> None:
    seen = Seen(fits=5)
    out = np.concatenate(list(encode_crops(seen, view(40), 16)))
    assert out[:, 0].tolist() == list(range(40))
    assert {len(one) for one in seen.batches} == {4}


def test_one_crop_that_does_not_fit_is_said() -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        list(encode_crops(Seen(fits=0), view(3), 2))


def test_an_error_of_another_kind_is_not_taken_for_memory() -> None:
    def fails(_crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise RuntimeError("shapes do not agree")

    with pytest.raises(RuntimeError, match="shapes do not agree"):
        list(encode_crops(fails, view(3), 2))


def test_a_long_absence_is_written_in_pieces() -> None:
    valid = np.zeros(5000, bool)
    valid[[10, 4990]] = True
    sizes = [len(part) for part in encode_crops(Seen(), view(5000, valid), 4)]
    assert sum(sizes) == 5000
    assert max(sizes) <= 1024


def test_vectors_that_are_no_numbers_are_refused_with_their_frame() -> None:
    def spoiled(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.where(crops[:, 0, 0, :1] == 7, np.nan, 1).astype(np.float32)

    with pytest.raises(SchemaError, match="frame 7: is given a vector with NaN"):
        list(encode_crops(spoiled, view(12), 4))


def test_batches_and_threads_give_the_same_bytes() -> None:
    crops = view(21, size=112)
    encoder = CenterfaceTrunk(settings.CenterfaceTrunk(), Setup())
    one, other = (np.concatenate(list(encode_crops(encoder, crops, *how))) for how in ((1, 1), (8, 2)))
    assert one.tobytes() == other.tobytes()


def test_a_clip_encoder_gives_a_vector_for_each_frame() -> None:
    def few(film: TimedCrops) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(film.valid), 7):
            yield np.ones((min(7, len(film.valid) - start), 2), np.float32)

    valid = np.arange(20) % 3 > 0
    out = np.concatenate(list(encode_clip(few, view(20, valid))))
    assert out[:, 0].tolist() == valid.astype(float).tolist()


@pytest.mark.parametrize("count", [19, 21])
def test_a_clip_encoder_that_miscounts_is_refused(count: int) -> None:
    with pytest.raises(SchemaError, match="expected 20, one for each frame"):
        list(encode_clip(lambda _film: [np.ones((count, 2), np.float32)], view(20)))


def test_a_cpu_is_given_small_batches() -> None:
    assert default_batch("cpu") == 4
    assert default_batch("cuda") == 256


def test_what_stands_after_the_colon_is_wanted_or_refused() -> None:
    assert find("hog").set_name == "hog"
    with pytest.raises(UsageError, match="says more than a name"):
        find("hog:x")


def test_features_are_called_after_the_network_and_of_a_file_after_its_stem() -> None:
    names = {
        "onnx:nets/emo.v2.onnx": "onnx-emo.v2",
        "timm:resnet18.a1_in1k": "timm-resnet18.a1_in1k",
        "timm:resnet18@mine/best.safetensors": "timm-resnet18",
        "hf:nets/wav2vec2.0-base/": "hf-wav2vec2.0-base",
        "expnet:nets/expnet.onnx": "expnet",
    }
    assert {spec: find(spec).set_name for spec in names} == names


@pytest.mark.parametrize("shape", [(8, 2), (1, 2), (4,), (4, 2, 1)])
def test_a_crop_encoder_that_does_not_give_one_vector_for_each_crop_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SchemaError, match=r"the encoder: gave \(.*\) for 4 crops, expected \(4, width\)"):
        list(encode_crops(lambda _crops: np.ones(shape, np.float32), view(4), 4))


def test_vectors_of_another_width_than_before_are_refused() -> None:
    with pytest.raises(SchemaError, match=r"gave \(2, 2\) for 2 crops, expected \(2, 4\)"):
        list(encode_crops(lambda crops: np.ones((len(crops), len(crops)), np.float32), view(6), 4))
    with pytest.raises(SchemaError, match=r"gave \(6, 3\), expected \(rows, 2\)"):
        list(encode_clip(lambda _film: [np.ones((4, 2), np.float32), np.ones((6, 3), np.float32)], view(10)))


@pytest.mark.parametrize(("count", "said"), [(19, "gave 19 vectors,"), (21, "gave 21 vectors or more,")])
def test_how_many_vectors_there_were_is_said(count: int, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        list(encode_clip(lambda _film: [np.ones((count, 2), np.float32)], view(20)))
