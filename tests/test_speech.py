"""The voice detector: agreement with its own package, and what it hears."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import clock, weights
from affcli.errors import AssetError, SchemaError
from affcli.features import Setup, settings, speech
from affcli.features.speech import SileroVad, Speech
from affcli.features.views import TimedSound
from affcli.synthetic.curves import AffectCurves
from affcli.synthetic.voice import SAMPLE_RATE, plan_speech, speak


def timed(waveform: NDArray[np.int16], fps: int = 25, start_us: int = 0) -> TimedSound:
    """A waveform under as many whole frames as it lasts."""
    n = len(waveform) * fps // 16_000
    return TimedSound(waveform, 16_000, start_us, clock.frame_times(n, Fraction(fps)), Fraction(fps), np.ones(n, bool))


@pytest.fixture(scope="module")
def voice() -> NDArray[np.int16]:
    """Three seconds of noise as quiet as a room, then six of a voice."""
    rng = np.random.default_rng(0)
    affect = AffectCurves(np.zeros(400), np.zeros(400))
    spoken = speak(6.0, plan_speech(6.0, affect, rng), affect, 130.0, rng)
    at_16k = np.interp(np.arange(6 * 16_000) / 16_000, np.arange(len(spoken)) / SAMPLE_RATE, spoken)
    room = rng.standard_normal(3 * 16_000) * 1e-3
    return np.rint(np.concatenate([room, at_16k]) * 32_767).astype(np.int16)


def test_probabilities_are_those_of_silero_vads_own_package(voice: NDArray[np.int16]) -> None:
    sequence = pytest.importorskip("silero_vad.sequence_vad")
    path = weights.find("silero-vad")
    waveform = np.resize(voice, 20 * 16_000 + 123)  # two stretches, and a block that is not full
    theirs = sequence.SileroVADSequence(str(path)).audio_forward(waveform.astype(np.float32) / 32_768)
    ours = Speech().contour(timed(waveform)).values
    assert ours.shape == theirs.shape == (626,)
    assert np.abs(ours - theirs).max() < 1e-6


def test_a_voice_is_heard_and_a_room_is_not(voice: NDArray[np.int16]) -> None:
    found = Speech().at(timed(voice))
    assert found[:70].max() < 0.2
    assert np.mean(found[80:] > 0.5) > 0.6


def test_what_was_heard_before_is_remembered_from_stretch_to_stretch(
    voice: NDArray[np.int16], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Speech().contour(timed(voice)).values
    monkeypatch.setattr(speech, "_BLOCKS_AT_ONCE", 7)
    assert np.abs(Speech().contour(timed(voice)).values - whole).max() < 1e-6


def test_the_encoder_gives_the_probability_at_the_frame_and_its_mean(voice: NDArray[np.int16]) -> None:
    """Frames of 32 ms that begin with the blocks: the first number is the block's own, the second a mean of five."""
    times = np.arange(100) * 32_000
    sound = TimedSound(voice, 16_000, 0, times, None, np.ones(100, bool))
    blocks = Speech().contour(sound).values
    (out,) = SileroVad(settings.SileroVad(window=0.16), Setup())(sound)
    assert out.dtype == np.float32
    assert np.array_equal(out[:, 0], blocks[:100])
    around = np.convolve(blocks, np.full(5, 0.2), "same")[:100]
    assert np.abs(out[2:, 1] - around[2:]).max() < 1e-6
    assert out[0, 1] == pytest.approx(blocks[:3].mean(), abs=1e-6)  # as far as there is sound


def test_a_late_sound_track_is_heard_later(voice: NDArray[np.int16]) -> None:
    early, late = Speech().at(timed(voice)), Speech().at(timed(voice, start_us=400_000))
    assert np.array_equal(late[10:], early[:-10])
    assert not late[:10].any()


def test_no_sound_is_no_speech() -> None:
    sound = TimedSound(np.zeros(0, np.int16), 16_000, 0, np.arange(3) * 40_000, None, np.zeros(3, bool))
    assert Speech().at(sound).tolist() == [0, 0, 0]
    (out,) = SileroVad(settings.SileroVad(), Setup())(sound)
    assert out.tolist() == [[0, 0]] * 3


def test_another_sample_rate_is_refused(voice: NDArray[np.int16]) -> None:
    sound = TimedSound(voice, 8000, 0, np.zeros(1, np.int64), None, np.ones(1, bool))
    with pytest.raises(SchemaError, match=r"has 8000 samples per second, expected 16000"):
        Speech().at(sound)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(AssetError, match=r"'silero_vad'.*pip install --force-reinstall silero_vad"):
        Speech()


def test_the_recipe_names_the_network() -> None:
    assert Speech().weights == {"silero-vad": weights.WEIGHTS["silero-vad"].sha256}
    path = weights.find("silero-vad")
    assert isinstance(path, Path)
    assert path.stat().st_size == weights.WEIGHTS["silero-vad"].size
