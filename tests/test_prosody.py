"""Prosody: known pitches, glides, levels, syllables and pauses."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import clock, weights
from affcli.errors import SchemaError, UsageError
from affcli.features import Setup, prosody, settings
from affcli.features.prosody import COLUMNS, Prosody
from affcli.features.views import TimedSound

SECONDS = 8
TIME = np.arange(SECONDS * 16_000) / 16_000
INSIDE = slice(60, -60)  # frames of 30 per second whose context of 3 s has sound on both sides, nearly


def timed(waveform: NDArray[np.int16], fps: int = 30) -> TimedSound:
    n = len(waveform) * fps // 16_000
    return TimedSound(waveform, 16_000, 0, clock.frame_times(n, Fraction(fps)), Fraction(fps), np.ones(n, bool))


def voice(hz: NDArray[np.float64], height: NDArray[np.float64] | float = 1.0) -> NDArray[np.int16]:
    """A buzz of ten harmonics whose pitch is given for every sample, at a quarter of full scale."""
    phase = 2 * np.pi * np.cumsum(hz) / 16_000
    wave = sum(np.sin(k * phase) / k for k in range(1, 11)) * height
    return np.rint(wave / 2 * 8192).astype(np.int16)


def columns(waveform: NDArray[np.int16], **chosen: Any) -> dict[str, NDArray[np.float32]]:
    out = np.concatenate(list(Prosody(settings.Prosody(**chosen), Setup())(timed(waveform))))
    assert out.shape == (len(waveform) * 30 // 16_000, len(COLUMNS))
    assert out.dtype == np.float32
    return dict(zip(COLUMNS, out.T, strict=True))


def test_pitch_is_that_of_swift_f0s_own_package() -> None:
    package = pytest.importorskip("swift_f0")
    noise = np.random.default_rng(0).standard_normal(40 * 16_000 + 77) * 300
    wave = (np.resize(voice(150 * 2 ** np.sin(TIME)), len(noise)) + noise).astype(np.int16)
    wave[160_000:176_000] = 0  # digital silence
    ours = Prosody(settings.Prosody(), Setup()).contours(timed(wave))
    theirs = package.SwiftF0(threads=1).detect(wave, 16_000, 55, 1000)
    assert len(ours[0]) == len(theirs.pitch_hz) == len(wave) // 256
    assert np.abs(ours[0] / theirs.pitch_hz - 1).max() < 1e-4
    assert np.abs(ours[1] - theirs.confidence).max() < 1e-5
    loud = theirs.loudness_db > -90
    assert np.abs(10 * np.log10(ours[2][loud]) - theirs.loudness_db[loud]).max() < 1e-3


@pytest.mark.parametrize("hz", [80.0, 110.0, 220.0, 440.0])
def test_a_steady_voice_has_its_pitch_and_no_slope(hz: float) -> None:
    found = columns(voice(np.full(len(TIME), hz)))
    semitones = 12 * np.log2(hz / 27.5)
    assert np.abs(found["f0"][INSIDE] - semitones).max() < 0.1
    assert np.abs(found["f0_mean"][INSIDE] - semitones).max() < 0.1
    assert np.abs(found["f0_slope"][INSIDE]).max() < 0.5
    assert found["f0_deviation"][INSIDE].max() < 0.05
    assert found["voicing"][INSIDE].min() > 0.9
    assert (found["voiced_share"][INSIDE] == 1).all()
    assert not found["pause_share"][INSIDE].any()


@pytest.mark.parametrize("slope", [3.0, -3.0])
def test_a_glide_has_its_slope_in_semitones_per_second(slope: float) -> None:
    found = columns(voice(200 * 2 ** (slope * (TIME - SECONDS / 2) / 12)))
    middles = (np.arange(len(found["f0"])) + 0.5) / 30
    exact = 12 * np.log2(200 / 27.5) + slope * (middles - SECONDS / 2)
    assert np.abs(found["f0"] - exact)[INSIDE].max() < 0.15
    assert np.median(found["f0_slope"][INSIDE]) == pytest.approx(slope, abs=0.1)
    # A uniform spread over 3 s of it.
    assert found["f0_deviation"][INSIDE].mean() == pytest.approx(3 * abs(slope) / np.sqrt(12), rel=0.05)


@pytest.mark.parametrize("rate", [2, 3, 5, 7])
def test_syllables_are_counted(rate: int) -> None:
    found = columns(voice(np.full(len(TIME), 120.0), 0.05 + 0.95 * np.sin(np.pi * rate * TIME) ** 2))
    assert found["syllable_rate"][INSIDE].mean() == pytest.approx(rate, rel=0.02)
    assert np.abs(found["syllable_rate"][INSIDE] - rate).max() <= 1 / 3 + 1e-3  # one more or less in 3 s


def test_what_has_no_pitch_is_no_syllable() -> None:
    noise = np.random.default_rng(0).standard_normal(len(TIME)) * np.sin(np.pi * 4 * TIME) ** 2
    found = columns((noise * 3000).astype(np.int16))
    assert found["syllable_rate"].max() < 0.5
    assert found["voiced_share"].max() < 0.1


def test_long_silences_are_pauses_and_short_ones_are_not() -> None:
    """A second of voice, 0.5 s of silence: a third of the time; with 0.2 s of silence no pause at all."""
    long = columns(voice(np.full(len(TIME), 120.0), np.where(TIME % 1.5 < 1, 1.0, 0.0)))
    assert np.abs(long["pause_share"][INSIDE] - 1 / 3).max() < 0.03
    assert np.abs(long["voiced_share"][INSIDE] - 2 / 3).max() < 0.05
    short = columns(voice(np.full(len(TIME), 120.0), np.where(TIME % 1.2 < 1, 1.0, 0.0)))
    assert not short["pause_share"].any()
    assert columns(voice(np.full(len(TIME), 120.0), np.where(TIME % 1.2 < 1, 1.0, 0.0)), pause=0.15)[
        "pause_share"
    ].any()


def test_level_is_in_decibels_of_full_scale_and_rises_as_it_should() -> None:
    """A sine at a tenth of full scale is at -23.01 dB; one that grows by 5 dB per second has that slope."""
    sine = np.sin(2 * np.pi * 200 * TIME)
    steady = columns(np.rint(3276.8 * sine).astype(np.int16))
    assert np.abs(steady["level"][INSIDE] + 23.01).max() < 0.05
    assert np.abs(steady["level_mean"][INSIDE] + 23.01).max() < 0.05
    assert steady["level_deviation"][INSIDE].max() < 0.06  # 32 ms are no whole number of periods
    growing = columns(np.rint(20_000 * 10 ** ((TIME - SECONDS) / 4) * sine).astype(np.int16))
    assert np.abs(growing["level_slope"][120:-10] - 5).max() < 0.5
    assert np.median(growing["level_slope"][120:-10]) == pytest.approx(5, abs=0.02)


def test_digital_silence_is_the_floor_and_has_no_pitch() -> None:
    found = columns(np.zeros(3 * 16_000, np.int16))
    for name, values in found.items():
        assert np.abs(values - (-90 if name in ("level", "level_mean") else 0)).max() < 1e-3, name


def test_the_frame_may_be_longer_than_its_period() -> None:
    """Over 1 s around the frame, a glide's pitch is the same and its frames differ less from their neighbours'."""
    wave = voice(200 * 2 ** (np.sin(2 * np.pi * 2 * TIME) / 12))
    assert columns(wave, window=1.0)["f0"][INSIDE].std() < 0.2 * columns(wave)["f0"][INSIDE].std()


def test_vectors_do_not_depend_on_how_much_is_heard_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(1).standard_normal(len(TIME)) * 100
    wave = (voice(150 * 2 ** np.sin(TIME)) + noise).astype(np.int16)
    whole = columns(wave)
    monkeypatch.setattr(prosody, "_HOPS_AT_ONCE", 100)
    monkeypatch.setattr(prosody, "_ROWS_AT_ONCE", 50)
    parts = columns(wave)
    for name in COLUMNS:
        assert np.abs(parts[name] - whole[name]).max() < 1e-2, name


@pytest.mark.parametrize("samples", [0, 1, 255, 256, 700])
def test_hardly_any_sound_is_enough(samples: int) -> None:
    wave = (np.random.default_rng(2).standard_normal(samples) * 3000).astype(np.int16)
    sound = TimedSound(wave, 16_000, 0, np.arange(5) * 40_000, Fraction(25), np.ones(5, bool))
    out = np.concatenate(list(Prosody(settings.Prosody(), Setup())(sound)))
    assert out.shape == (5, 12)
    assert np.isfinite(out).all()
    assert bool(out.any()) == (samples >= 256)


@pytest.mark.parametrize("fps", [1, 15, 60])
@pytest.mark.parametrize("rest", [0, 1, 127, 129, 255])
def test_a_frame_with_the_last_part_of_a_hop_is_as_loud_as_the_hop_before(fps: int, rest: int) -> None:
    """A level of 0 dB would be the loudest there is."""
    samples = 80 * 256 + rest
    wave = np.rint(np.random.default_rng(3).standard_normal(samples) * 300).astype(np.int16)
    times = np.append(np.arange(0, samples * 1000 // 16 - 1_000_000 // fps, 1_000_000 // fps), samples * 62.5 - 60)
    sound = TimedSound(wave, 16_000, 0, times.astype(np.int64), None, np.ones(len(times), bool))
    out = np.concatenate(list(Prosody(settings.Prosody(context=0.1), Setup())(sound)))
    found = dict(zip(COLUMNS, out.T, strict=True))
    for name in ("level", "level_mean"):
        assert np.abs(found[name] + 40.8).max() < 3, name


def test_another_sample_rate_is_refused() -> None:
    sound = TimedSound(np.zeros(9, np.int16), 44_100, 0, np.zeros(1, np.int64), None, np.ones(1, bool))
    with pytest.raises(SchemaError, match=r"has 44100 samples per second, expected 16000"):
        list(Prosody(settings.Prosody(), Setup())(sound))


@pytest.mark.parametrize(("fmin", "fmax"), [(20.0, 500.0), (300.0, 300.0), (60.0, 4000.0)])
def test_a_range_without_pitch_is_refused(fmin: float, fmax: float) -> None:
    with pytest.raises(UsageError, match=r"--fmin and --fmax: are .* Hz, expected 46\.875 or more"):
        Prosody(settings.Prosody(fmin=fmin, fmax=fmax), Setup())


def test_the_recipe_names_the_network() -> None:
    assert Prosody(settings.Prosody(), Setup()).weights == {"swift-f0": weights.WEIGHTS["swift-f0"].sha256}
