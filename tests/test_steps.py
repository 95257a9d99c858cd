"""From the steps of an audio network to frames: timing, chunks, what is not computed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import AssetError, UsageError
from affcli.features.contours import spans
from affcli.features.steps import Network, Pace, levelled, on_frames
from affcli.features.views import TimedSound

RATE = 16_000  # Hz
WAV2VEC2 = Pace(320, 400)
FULL_SCALE = 32768


def timed(
    waveform: NDArray[np.int16],
    time_us: NDArray[np.int64] | None = None,
    rate: str = "25",
    valid: NDArray[np.bool_] | None = None,
    start_us: int = 0,
) -> TimedSound:
    """A waveform under as many whole frames as it lasts, or under frames at the times given."""
    if time_us is None:
        time_us = clock.frame_times(int(len(waveform) / RATE * Fraction(rate)), Fraction(rate))
    valid = np.ones(len(time_us), np.bool_) if valid is None else valid
    return TimedSound(waveform, RATE, start_us, time_us, None, valid)


def noise(seconds: float) -> NDArray[np.int16]:
    return np.random.default_rng(0).integers(-9000, 9000, round(seconds * RATE)).astype(np.int16)


def means(pace: Pace, pad: int = 0) -> Network:
    """A network whose steps are the mean of what they hear, and the mean of its squares; silence added at both ends."""

    def network(stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        heard = np.pad(stretch.astype(np.float64), pad)
        fields = np.lib.stride_tricks.sliding_window_view(heard, pace.field + 2 * pad)[:: pace.hop]
        return np.stack([fields.mean(axis=1), (fields**2).mean(axis=1)], axis=1).astype(np.float32)

    return network


def heard(
    sound: TimedSound,
    pace: Pace = WAV2VEC2,
    network: Network | None = None,
    chunk: float = 20.0,
    context: float = 2.0,
    longest: float = 2.0,
) -> NDArray[np.float32]:
    """All vectors of a sound."""
    parts = on_frames(sound, network or means(pace), pace, 2, chunk=chunk, context=context, longest=longest)
    return np.concatenate(list(parts))


def test_the_pace_of_convolutions() -> None:
    """wav2vec 2.0: a step every 20 ms that hears 25 ms, so that the first lies at sample 199.5."""
    pace = Pace.of_convolutions([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2])
    assert pace == WAV2VEC2
    assert pace.centre == 199.5
    assert [pace.steps(samples) for samples in (0, 399, 400, 719, 720, 16_000)] == [0, 0, 1, 1, 2, 49]


def test_another_number_of_steps_is_refused() -> None:
    WAV2VEC2.check("network", 49, 16_000)
    with pytest.raises(AssetError, match="network: gives 50 steps for 16000 samples, expected 49"):
        WAV2VEC2.check("network", 50, 16_000)


@pytest.mark.parametrize("rate", ["25", "30", "30000/1001", "24000/1001", "15", "15/2", "60", "240"])
@pytest.mark.parametrize(
    ("pace", "pad"), [(WAV2VEC2, 0), (Pace(160, 400), 0), (Pace(1600, 1600), 0), (Pace(160, 0), 200)]
)
def test_a_ramp_tells_the_time_of_every_frame(rate: str, pace: Pace, pad: int) -> None:
    """Sample i is i: a frame is given the sample in the middle of its own period, steps being longer or shorter."""
    sound = timed(np.arange(32_000).astype(np.int16), rate=rate)
    network = means(pace) if not pad else means(Pace(pace.hop, pace.field), pad)
    found = heard(sound, pace, network, chunk=1.0, context=0.5)[:, 0] * FULL_SCALE
    edges = spans(sound)
    half = pace.hop * (1 + bool(pad)) + pace.field  # at the ends there is no step on one side
    inner = (edges[:, 0] > half) & (edges[:, 1] < 32_000 - half)
    assert inner.sum() > 5
    assert np.abs(found - edges.mean(axis=1))[inner].max() < 0.02


def test_a_ramp_tells_the_time_where_the_frame_rate_varies_and_the_sound_starts_late() -> None:
    times = 300_000 + np.cumsum(np.random.default_rng(0).integers(5_000, 90_000, 30))
    sound = timed(np.arange(32_000).astype(np.int16), times, start_us=250_000)
    found = heard(sound)[:, 0] * FULL_SCALE
    edges = spans(sound)
    inner = (edges[:, 0] > 720) & (edges[:, 1] < 32_000 - 720)
    assert inner.sum() > 20
    assert np.abs(found - edges.mean(axis=1))[inner].max() < 0.02


def test_a_frame_is_the_mean_of_the_lines_between_steps() -> None:
    """Against the mean of 1000 points on the lines."""
    sound = timed(noise(3), rate="30000/1001")
    steps = means(WAV2VEC2)(sound.between(0, 48_000))[:, 1].astype(np.float64)
    centres = 199.5 + 320 * np.arange(len(steps))
    points = [
        np.interp(start + (np.arange(1000) + 0.5) / 1000 * (stop - start), centres, steps)
        for start, stop in spans(sound)
    ]
    assert heard(sound)[:, 1] == pytest.approx(np.mean(points, axis=1), rel=1e-4)


def test_a_shift_moves_every_step() -> None:
    sound = timed(np.arange(32_000).astype(np.int16))
    early, late = (heard(sound, Pace(320, 400, shift), means(WAV2VEC2))[5:-5, 0] for shift in (0.0, 100.0))
    assert (early - late) * FULL_SCALE == pytest.approx(100, abs=0.02)


@pytest.mark.parametrize("pace", [WAV2VEC2, Pace(160, 400), Pace(7, 1)])
def test_chunks_are_the_whole_where_the_network_hears_no_further_than_its_context(pace: Pace) -> None:
    sound = timed(noise(7.3), valid=np.arange(182) % 9 != 0)
    whole = heard(sound, pace, chunk=100.0)
    assert np.abs(whole[sound.valid]).min() > 0
    for chunk, context in ((1.0, 0.0), (2.3, 0.1), (1.0, 2.0)):
        assert np.array_equal(whole, heard(sound, pace, chunk=chunk, context=context))


def test_the_context_keeps_silence_that_a_network_adds_away() -> None:
    """A network that adds 200 samples at both ends hears them at the ends of the clip alone."""
    pace, network = Pace(160, 0), means(Pace(160, 0), 200)
    sound = timed(noise(5))
    whole = heard(sound, pace, network, chunk=100.0)
    assert np.array_equal(whole, heard(sound, pace, network, chunk=1.0, context=0.1))
    assert not np.allclose(whole, heard(sound, pace, network, chunk=1.0, context=0.0), atol=1e-3)


def test_what_a_frame_is_given_does_not_depend_on_what_comes_much_later() -> None:
    def network(stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        return means(WAV2VEC2)(stretch) + stretch.mean()  # hears all of it at once

    long = noise(9)
    short = timed(long[: 5 * RATE])
    found = heard(timed(long), network=network, chunk=1.0, context=0.5)
    alone = heard(short, network=network, chunk=1.0, context=0.5)
    assert np.array_equal(found[: 25 * 3], alone[: 25 * 3])
    assert not np.array_equal(found[25 * 4 : 25 * 5], alone[25 * 4 :])


def test_the_network_hears_no_more_than_a_chunk_and_its_context_and_only_what_valid_frames_need() -> None:
    lengths = []

    def network(stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        lengths.append(len(stretch))
        return means(WAV2VEC2)(stretch)

    valid = np.zeros(500, np.bool_)
    valid[[0, 310, 311, 499]] = True
    found = heard(timed(noise(20), valid=valid), network=network, chunk=1.0, context=0.5)
    assert len(lengths) == 3  # of twenty chunks
    assert max(lengths) <= 2 * RATE + 400
    assert (found[~valid] == 0).all()
    assert np.abs(found[valid]).min() > 0


def test_every_chunk_is_computed_once() -> None:
    calls = []

    def network(stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        calls.append(len(stretch))
        return means(WAV2VEC2)(stretch)

    heard(timed(noise(10), rate="15/2"), network=network, chunk=1.0, context=0.0)
    assert len(calls) == 10


def test_a_constant_stays_one_up_to_both_ends() -> None:
    sound = timed(np.full(16_000, 8192, np.int16), rate="240")
    assert heard(sound)[:, 0] == pytest.approx(0.25, abs=1e-6)


def test_a_frame_that_stands_for_minutes_hears_the_middle_of_them() -> None:
    times = np.array([0, 40_000, 1_960_000])
    sound = timed(np.arange(32_000).astype(np.int16), times)
    ((_, middle, _), (_, around, _)) = (heard(sound, longest=longest)[:, 0] * FULL_SCALE for longest in (0.0, 0.5))
    assert (middle, around) == (pytest.approx(16_000, abs=0.1), pytest.approx(16_000, abs=0.1))
    loud = timed(np.where(np.abs(np.arange(32_000) - 16_000) < 4000, 16384, 0).astype(np.int16), times)
    assert heard(loud, longest=0.4)[1, 0] == pytest.approx(0.5, abs=1e-3)
    assert heard(loud, longest=1.0)[1, 0] == pytest.approx(0.25, abs=1e-3)


def test_a_sound_shorter_than_a_step_is_given_silence_after_it() -> None:
    found = heard(timed(np.full(200, 16384, np.int16), np.array([0])))
    assert found.tolist() == [[0.25, 0.125]]


def test_nothing_valid_is_zeros_and_computes_nothing() -> None:
    def network(_stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        raise AssertionError

    sound = timed(np.zeros(0, np.int16), clock.frame_times(3000, Fraction(25)), valid=np.zeros(3000, np.bool_))
    found = heard(sound, network=network)
    assert found.shape == (3000, 2)
    assert not found.any()


def test_levels_are_those_of_the_whole_clip_or_of_each_stretch() -> None:
    sound = timed(np.concatenate([noise(1) // 8, noise(1)]) + np.int16(500))
    given: dict[str, list[NDArray[np.float32]]] = {}
    for how in ("none", "clip", "chunk"):
        stretches = given.setdefault(how, [])

        def keep(stretch: NDArray[np.float32], stretches: list[NDArray[np.float32]] = stretches) -> NDArray[np.float32]:
            stretches.append(stretch)
            return means(WAV2VEC2)(stretch)

        heard(sound, network=levelled(keep, sound, how), chunk=1.0, context=0.0)
    plain = sound.between(0, 32_000).astype(np.float64)
    quiet = plain[: len(given["none"][0])]
    assert np.array_equal(given["none"][0], quiet.astype(np.float32))
    assert given["clip"][0] == pytest.approx((quiet - plain.mean()) / np.sqrt(plain.var() + 1e-7), abs=1e-5)
    assert given["chunk"][0] == pytest.approx((quiet - quiet.mean()) / np.sqrt(quiet.var() + 1e-7), abs=1e-4)
    assert given["clip"][0].std() < 0.3 < 0.99 < given["chunk"][0].std()
    assert all(one.dtype == np.float32 for stretches in given.values() for one in stretches)


def test_silence_stays_silence() -> None:
    sound = timed(np.zeros(16_000, np.int16))
    assert not heard(sound, network=levelled(means(WAV2VEC2), sound, "clip")).any()


@pytest.mark.parametrize("failure", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 9 GiB")])
def test_a_chunk_that_does_not_fit_into_the_memory_says_what_to_do(failure: Exception) -> None:
    def network(_stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        raise failure

    with pytest.raises(UsageError, match=r"--chunk 20: does not fit into the memory, .*try --chunk 5"):
        heard(timed(noise(1)), network=network)


def test_other_failures_of_a_network_are_not_hidden() -> None:
    def network(_stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        heard(timed(noise(1)), network=network)
