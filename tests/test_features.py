"""Encoders: the contract that all keep, and agreement with librosa and scikit-image."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import clock, configs
from affcli.errors import SchemaError
from affcli.features import ENCODERS, Setup
from affcli.features.acoustic import LogmelStack, MfccMel, decibels, logmel_centres, mel_filters
from affcli.features.appearance import CenterfaceTrunk
from affcli.features.encode import encode_clip, encode_crops
from affcli.features.views import TimedCrops, TimedSound

RATES = ["25", "30", "30000/1001", "24000/1001", "15", "15/2", "60"]


def timed(waveform: NDArray[np.int16], rate: Fraction, start_us: int = 0, constant: bool = True) -> TimedSound:
    """A waveform under as many whole frames as it lasts."""
    n = int(len(waveform) / 16_000 * rate)
    return TimedSound(
        waveform, 16_000, start_us, clock.frame_times(n, rate), rate if constant else None, np.ones(n, bool)
    )


def noise(seconds: float) -> NDArray[np.int16]:
    n = round(seconds * 16_000)
    swell = np.abs(np.sin(np.arange(n) / 9000))
    return (np.random.default_rng(0).standard_normal(n) * 3000 * swell).astype(np.int16)


def encoded(name: str, valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The vectors that the encoder gives for as many frames as `valid`."""
    entry = ENCODERS[name]
    encoder: Any = entry.resolve()(entry.config(), Setup())
    times = clock.frame_times(len(valid), Fraction(25))
    if entry.reads == "crops":
        crops = np.random.default_rng(0).integers(0, 255, (len(valid), 112, 112, 3), dtype=np.uint8)
        return np.concatenate(list(encode_crops(encoder, TimedCrops(crops, times, valid), 4)))
    sound = TimedSound(noise(len(valid) / 25), 16_000, 0, times, Fraction(25), valid)
    return np.concatenate(list(encode_clip(encoder, sound)))


def heard(encoder: LogmelStack | MfccMel, sound: TimedSound) -> NDArray[np.float32]:
    """All vectors of a sound."""
    return np.concatenate(list(encoder(sound)))


@pytest.mark.parametrize(
    ("name", "width"), [("centerface-b448", 1024), ("hog", 1296), ("mfcc-mel", 168), ("logmel-stack", 200)]
)
def test_every_encoder_gives_a_vector_per_frame_and_zeros_where_invalid(name: str, width: int) -> None:
    valid = np.arange(70) % 7 != 3
    out = encoded(name, valid)
    assert out.shape == (70, width)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert (out[~valid] == 0).all()
    assert np.abs(out[valid]).sum(axis=1).min() > 0
    assert np.array_equal(out, encoded(name, valid))


def test_the_contract_covers_every_encoder() -> None:
    assert list(ENCODERS) == ["centerface-b448", "hog", "mfcc-mel", "logmel-stack"]


@pytest.mark.parametrize("name", list(ENCODERS))
def test_nothing_valid_is_all_zeros(name: str) -> None:
    out = encoded(name, np.zeros(3, bool))
    assert len(out) == 3
    assert not out.any()


@pytest.mark.parametrize(("n_fft", "n_mels"), [(512, 40), (2048, 128)])
def test_mel_filters_are_librosas(n_fft: int, n_mels: int) -> None:
    filters = pytest.importorskip("librosa.filters")
    assert np.abs(mel_filters(16_000, n_fft, n_mels) - filters.mel(sr=16_000, n_fft=n_fft, n_mels=n_mels)).max() < 1e-7


def test_logmel_stack_is_librosas_on_librosas_grid() -> None:
    """At 80/3 frames per second a third of a frame is 200 samples, and librosa's fixed hop is exact."""
    librosa = pytest.importorskip("librosa")
    sound = timed(noise(8), Fraction(80, 3))
    ours = heard(LogmelStack(configs.LogmelStack(), Setup()), sound)
    mel = librosa.feature.melspectrogram(
        y=sound.waveform.astype(np.float32) / 32768, sr=16_000, n_fft=512, win_length=400, hop_length=200, n_mels=40,
        center=True, pad_mode="constant", power=2,
    )  # fmt: skip
    rows = librosa.power_to_db(mel, ref=1.0, amin=1e-10, top_db=80).T
    whole = [i for i in range(len(ours)) if 3 * i + 5 <= len(rows)]
    theirs = np.stack([rows[3 * i : 3 * i + 5].ravel() for i in whole])
    assert len(whole) > 200
    assert np.abs(ours[whole] - theirs).max() < 1e-3


@pytest.mark.parametrize("rate", ["25", "30000/1001", "15/2"])
def test_mfcc_mel_is_librosas_segment_by_segment(rate: str) -> None:
    librosa = pytest.importorskip("librosa")
    sound = timed(noise(3), Fraction(rate))
    ours = heard(MfccMel(configs.MfccMel(), Setup()), sound)
    period_us = clock.periods(sound.time_us)
    middle = clock.sample_index(sound.time_us + period_us // 2, 0, 16_000)
    for i in (0, 1, len(ours) // 2, len(ours) - 1):
        length = int(np.rint(2 * period_us[i] * 16_000 / 1e6))
        segment = sound.samples(middle[i : i + 1] - length // 2, length)[0]
        with pytest.warns(UserWarning, match="n_fft=2048 is too large") if length < 2048 else contextlib.nullcontext():
            mel = librosa.feature.melspectrogram(y=segment, sr=16_000, n_fft=2048, hop_length=512, pad_mode="constant")
            mfcc = librosa.feature.mfcc(y=segment, sr=16_000, n_mfcc=40)
        theirs = np.concatenate([mfcc.mean(axis=1), mel.mean(axis=1)])
        assert np.abs(ours[i] - theirs).max() < 1e-3


@pytest.mark.parametrize("rate", RATES)
def test_rows_stand_at_their_exact_times_for_ten_minutes(rate: str) -> None:
    """Row k of frame i is at (3 i + k) / (3 rate) seconds; a hop of int(16000 / (3 rate)) samples is not."""
    exact = Fraction(rate)
    n = int(600 * exact)
    sound = TimedSound(np.zeros(1, np.int16), 16_000, 0, clock.frame_times(n, exact), exact, np.ones(n, bool))
    number = 3 * np.arange(n)[:, None] + np.arange(5)
    ideal = number * (16_000 * exact.denominator / (3 * exact.numerator))
    assert np.abs(logmel_centres(sound, 3, 5) - ideal).max() <= 0.5 + 1e-6
    varying = TimedSound(sound.waveform, 16_000, 0, sound.time_us, None, sound.valid)
    assert np.abs(logmel_centres(varying, 3, 5) - ideal).max() <= 0.6


def test_neighbouring_frames_share_their_rows() -> None:
    centres = logmel_centres(timed(noise(10), Fraction(30000, 1001)), 3, 5)
    assert (centres[:-1, 3:] == centres[1:, :2]).all()


def test_a_late_sound_track_shifts_every_row() -> None:
    early = logmel_centres(timed(noise(2), Fraction(25)), 3, 5)
    late = logmel_centres(timed(noise(2), Fraction(25), start_us=500_000), 3, 5)
    assert (early - late == 8000).all()


def test_rows_follow_each_frames_own_period_where_the_rate_varies() -> None:
    """Frames at 0, 40 and 100 ms: a third of 40 ms is 213.3 samples, of 60 ms 320; the last stands for the median."""
    times = np.array([0, 40_000, 100_000])
    sound = TimedSound(np.zeros(1, np.int16), 16_000, 0, times, None, np.ones(3, bool))
    assert logmel_centres(sound, 3, 5).tolist() == [
        [0, 213, 427, 640, 853],
        [640, 960, 1280, 1600, 1920],
        [1600, 1867, 2133, 2400, 2667],
    ]


@pytest.mark.parametrize("varying", [False, True])
def test_a_chirp_tells_the_time_of_every_row(varying: bool) -> None:
    """A tone that rises by 120 Hz per second: a row that stands where it should hears the tone of its time."""
    seconds = 20
    time = np.arange(seconds * 16_000) / 16_000
    chirp = (8000 * np.sin(2 * np.pi * (500 * time + 60 * time**2))).astype(np.int16)
    times = clock.frame_times(400, Fraction(24_000, 1001))
    if varying:
        times = np.cumsum(np.random.default_rng(0).integers(15_000, 80_000, 380))
    sound = TimedSound(chirp, 16_000, 0, times, None if varying else Fraction(24_000, 1001), np.ones(len(times), bool))
    rows = heard(LogmelStack(configs.LogmelStack(), Setup()), sound).reshape(len(times), 5, 40)
    at = (times[:, None] + clock.periods(times)[:, None] * np.arange(5) / 3) / 1e6
    at_samples = TimedSound(chirp, 16_000, 0, np.rint(at.ravel() * 1e6).astype(np.int64), None, np.ones(at.size, bool))
    spectrum = (
        np.abs(
            np.fft.rfft(
                at_samples.samples(np.rint(at.ravel() * 16_000).astype(np.int64) - 256, 512)
                * np.pad(np.hanning(401)[:-1], 56)
            )
        )
        ** 2
    )
    expected = decibels((spectrum @ mel_filters(16_000, 512, 40).T).astype(np.float32)).reshape(rows.shape)
    loud = expected > expected.max() - 40  # where the tone is: what lies below is rounding noise
    assert np.abs(rows - expected)[loud].max() < 1.0


def test_a_frame_that_stands_for_minutes_is_heard_for_seconds() -> None:
    times = np.array([0, 40_000, 300_000_000])
    sound = TimedSound(noise(4), 16_000, 0, times, None, np.ones(3, bool))
    assert np.isfinite(heard(MfccMel(configs.MfccMel(), Setup()), sound)).all()


def test_the_quiet_is_cut_off_80_db_below_the_loudest() -> None:
    quiet = np.zeros(32_000, np.int16)
    quiet[:1600] = noise(0.1) * 5
    rows = heard(LogmelStack(configs.LogmelStack(), Setup()), timed(quiet, Fraction(25)))
    assert rows.min() == pytest.approx(rows.max() - 80, abs=1e-4)


def test_decibels_have_a_floor() -> None:
    assert decibels(np.array([1, 0.01, 0], np.float32)).tolist() == pytest.approx([0, -20, -100])


def test_crops_of_an_odd_size_are_refused() -> None:
    with pytest.raises(SchemaError, match="are 100 px wide, expected a multiple of 16 px"):
        CenterfaceTrunk(configs.CenterfaceTrunk(), Setup())(np.zeros((1, 100, 100, 3), np.uint8))


def test_a_batch_is_its_crops_one_by_one() -> None:
    crops = np.random.default_rng(1).integers(0, 255, (3, 112, 112, 3), dtype=np.uint8)
    encoder = CenterfaceTrunk(configs.CenterfaceTrunk(), Setup())
    alone = np.concatenate([encoder(crops[i : i + 1]) for i in range(3)])
    assert np.abs(encoder(crops) - alone).max() < 1e-3 * np.abs(alone).max()
