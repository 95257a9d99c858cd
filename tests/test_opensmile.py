"""eGeMAPS: agreement with openSMILE's own package, and where its windows stand."""

from __future__ import annotations

import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import AssetError
from affcli.features import Setup, settings
from affcli.features import opensmile as ours
from affcli.features.views import TimedSound

opensmile = pytest.importorskip("opensmile")
EGEMAPS = opensmile.FeatureSet.eGeMAPSv02


def voice(seconds: float, sample_rate: int = 16_000) -> NDArray[np.int16]:
    """A buzz whose pitch, level and colour wander, in some noise, with a pause of digital silence every 2 s."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    rng = np.random.default_rng(0)
    pitch = 140 * 2 ** np.interp(time, np.arange(0, seconds + 1, 0.25), rng.uniform(-0.5, 0.5, int(4 * seconds) + 4))
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    tilt = 1.2 + np.sin(time)
    wave = sum(np.sin(k * phase) / k**tilt for k in range(1, 20)) * (1.2 + np.sin(7 * time))
    wave = wave + 0.02 * rng.standard_normal(len(time))
    return np.rint(np.where(time % 2 < 1.7, wave, 0) * 4000).astype(np.int16)


def timed(waveform: NDArray[np.int16], fps: int = 25, sample_rate: int = 16_000) -> TimedSound:
    n = len(waveform) * fps // sample_rate
    return TimedSound(waveform, sample_rate, 0, clock.frame_times(n, Fraction(fps)), Fraction(fps), np.ones(n, bool))


def heard(sound: TimedSound, **chosen: Any) -> NDArray[np.float32]:
    return np.concatenate(list(ours.Egemaps(settings.Egemaps(**chosen), Setup())(sound)))


def theirs(level: str, waveform: NDArray[np.int16]) -> tuple[NDArray[np.float32], list[str]]:
    """What the package makes of all of it: (rows, d), and the names."""
    smile = opensmile.Smile(EGEMAPS, opensmile.FeatureLevel[level])
    return smile(waveform.astype(np.float32) / 32_768, 16_000)[0].T, smile.feature_names


@pytest.fixture(scope="module")
def sound() -> TimedSound:
    return timed(voice(12))


@pytest.fixture(scope="module")
def functionals(sound: TimedSound) -> NDArray[np.float32]:
    return heard(sound)


def test_functionals_are_those_of_the_packages_own_descriptors(
    sound: TimedSound, functionals: NDArray[np.float32]
) -> None:
    """A frame's window is the 100 rows of descriptors around it: means and a percentile, worked out from these."""
    rows, names = theirs("LowLevelDescriptors", sound.waveform)
    columns = {name: number for number, name in enumerate(opensmile.Smile(EGEMAPS).feature_names)}
    assert functionals.shape == (300, 88)
    for frame in (30, 77, 150, 201, 270):
        # The middle of the frame, less 20 ms to the middle of a row's own sound, less half of 99 rows of 10 ms.
        first = 2 * round((frame * 4 + 2 - 2 - 49.5) / 2)
        window = dict(zip(names, rows[first : first + 100].T, strict=True))
        loudness, f0 = window["Loudness_sma3"], window["F0semitoneFrom27.5Hz_sma3nz"]
        found = functionals[frame]
        assert found[columns["loudness_sma3_amean"]] == pytest.approx(loudness.mean(), rel=1e-4)
        assert found[columns["mfcc2_sma3_amean"]] == pytest.approx(window["mfcc2_sma3"].mean(), rel=1e-4, abs=1e-4)
        assert found[columns["F0semitoneFrom27.5Hz_sma3nz_amean"]] == pytest.approx(f0[f0 > 0].mean(), rel=1e-4)
        assert found[columns["loudness_sma3_percentile50.0"]] == pytest.approx(np.median(loudness), rel=1e-3)


def test_functionals_are_nearly_those_of_the_window_cut_out(
    sound: TimedSound, functionals: NDArray[np.float32]
) -> None:
    """A window alone hears other edges: that is little against how frames differ."""
    spread = functionals.std(axis=0) + 1e-9
    apart = []
    for frame in range(20, 280, 13):
        first = 320 * round((frame * 4 + 2 - 2 - 49.5) / 2)
        alone, _ = theirs("Functionals", sound.waveform[first : first + 16_640])
        apart.append(np.abs(functionals[frame] - alone[0]) / spread)
    assert np.median(apart) < 0.05
    assert np.median(apart, axis=0).max() < 0.6


def test_vectors_do_not_depend_on_how_much_is_heard_at_once(
    sound: TimedSound, functionals: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptors = heard(sound, level="lld")
    monkeypatch.setattr(ours, "_ROWS_AT_ONCE", 250)
    assert np.array_equal(heard(sound), functionals)
    assert np.abs(heard(sound, level="lld") - descriptors).max() < 1e-3


def test_descriptors_are_means_over_the_frames_own_period(sound: TimedSound) -> None:
    """A frame of 40 ms has four rows, each counted from 15 to 25 ms after it begins; zeros of pitch do not count."""
    rows, names = theirs("LowLevelDescriptors", sound.waveform)
    out = heard(sound, level="lld")
    assert out.shape == (300, 25)
    weight = np.array([0.5, 1, 1, 1, 0.5])
    some = 0
    for frame in range(2, 290, 7):
        near = rows[4 * frame - 2 : 4 * frame + 3]
        for column, name in enumerate(names):
            counted = weight * (near[:, column] != 0) if "nz" in name else weight
            expected = (near[:, column] * counted).sum() / counted.sum() if counted.any() else 0.0
            assert out[frame, column] == pytest.approx(expected, rel=1e-4, abs=1e-3)
            some += 0 < counted.sum() < 4
    assert some > 5


def test_at_both_ends_the_nearest_row_counts(sound: TimedSound) -> None:
    """Of 10 ms of sound at either end there is no row of descriptors: they stand in the middle of 20 and of 60 ms."""
    out = heard(timed(sound.waveform[:16_000], fps=100), level="lld")
    assert out.shape == (100, 25)
    assert np.array_equal(out[0], out[1])
    assert np.array_equal(out[-1], out[-2])
    assert out[:, 0].min() > 0


def test_descriptors_may_be_means_over_longer(sound: TimedSound) -> None:
    loudness = heard(sound, level="lld")[:, 0]
    over = heard(sound, level="lld", average=0.2)[:, 0]
    five = np.convolve(loudness, np.full(5, 0.2), "same")
    assert np.abs(over - five)[5:-5].max() < 1e-3


def test_the_step_is_the_distance_of_windows(sound: TimedSound) -> None:
    """At a frame for every row, a step of 0.4 s leaves one window in forty, and the same windows."""
    often = timed(sound.waveform, fps=100)
    fine, coarse = heard(often, step=0.01), heard(often, step=0.4)
    assert len(np.unique(fine, axis=0)) == 1097
    assert len(np.unique(coarse, axis=0)) == 28
    assert {row.tobytes() for row in coarse} < {row.tobytes() for row in fine}


def test_at_both_ends_the_nearest_whole_window_counts(functionals: NDArray[np.float32]) -> None:
    assert np.array_equal(functionals[0], functionals[10])
    assert not np.array_equal(functionals[10], functionals[20])
    assert np.array_equal(functionals[-1], functionals[-8])


@pytest.mark.parametrize("level", ["functionals", "lld"])
@pytest.mark.parametrize(("samples", "enough"), [(0, False), (959, False), (1600, True), (12_345, True)])
def test_hardly_any_sound_is_enough(level: str, samples: int, enough: bool) -> None:
    wave = voice(2)[:samples]
    sound = TimedSound(wave, 16_000, 0, np.arange(5) * 40_000, Fraction(25), np.ones(5, bool))
    out = heard(sound, level=level)
    assert out.shape == (5, 88 if level == "functionals" else 25)
    assert np.isfinite(out).all()
    assert bool(out.any()) == enough


@pytest.mark.parametrize("sample_rate", [8000, 11_025, 22_050, 48_000])
def test_any_sample_rate_is_heard(sample_rate: int) -> None:
    """The pitch of the same voice, within a fifth of a semitone."""
    f0 = heard(timed(voice(3, sample_rate), sample_rate=sample_rate))[:, 0]
    assert np.abs(f0 - heard(timed(voice(3)))[:, 0]).max() < 0.2


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(AssetError, match=r"research only, then: pip install 'affcli\[opensmile\]'"):
        ours.Egemaps(settings.Egemaps(), Setup())
