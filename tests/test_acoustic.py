"""Log-mel stacks and MFCC: agreement with librosa, and windows that stand where they should."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import SchemaError
from affcli.features import Setup, acoustic, settings
from affcli.features.acoustic import LogmelStack, MfccMel, logmel_centres, official_centres
from affcli.features.contours import Contour, spans
from affcli.features.mel import MelBank, decibels, mel_filters
from affcli.features.views import TimedSound

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


def heard(encoder: LogmelStack | MfccMel, sound: TimedSound) -> NDArray[np.float32]:
    """All vectors of a sound."""
    return np.concatenate(list(encoder(sound)))


@pytest.mark.parametrize(("n_fft", "n_mels"), [(512, 40), (2048, 128)])
def test_mel_filters_are_librosas(n_fft: int, n_mels: int) -> None:
    filters = pytest.importorskip("librosa.filters")
    assert np.abs(mel_filters(16_000, n_fft, n_mels) - filters.mel(sr=16_000, n_fft=n_fft, n_mels=n_mels)).max() < 1e-7


def test_logmel_stack_is_librosas_on_librosas_grid() -> None:
    """At 80/3 frames per second a third of a frame is 200 samples, and librosa's fixed hop is exact."""
    librosa = pytest.importorskip("librosa")
    sound = timed(noise(8), Fraction(80, 3))
    ours = heard(LogmelStack(settings.LogmelStack(), Setup()), sound)
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
    ours = heard(MfccMel(settings.MfccMel(), Setup()), sound)
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


def test_rows_stand_at_their_times_for_hours_at_a_rate_of_many_digits() -> None:
    rate = Fraction("24.123456789")
    times = clock.frame_times(int(5400 * rate), rate)
    sound = TimedSound(np.zeros(1, np.int16), 16_000, 0, times, rate, np.ones(len(times), bool))
    centres = logmel_centres(sound, 3, 5)
    assert centres.dtype == np.int64
    assert np.abs(centres[:, 0] - times * 0.016).max() <= 0.51


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


@pytest.mark.parametrize("rate", [*RATES, "varying"])
def test_clicks_tell_where_rows_stand_for_ten_minutes(rate: str) -> None:
    """A click 60 samples after a row's centre is as loud in it as the window is high there: to the sample."""
    if rate == "varying":
        times = np.cumsum(np.random.default_rng(1).integers(15_000, 80_000, 12_500))
        exact = None
    else:
        exact = Fraction(rate)
        times = clock.frame_times(int(600 * exact), exact)
    ideal = (times[:, None] + clock.periods(times)[:, None] * np.arange(5) / 3) * 0.016
    chosen = np.linspace(5, len(times) - 3, 60).astype(int)
    waveform = np.zeros(601 * 16_000, np.int16)
    waveform[np.rint(ideal[chosen, 0] + 60).astype(int)] = 30_000
    sound = TimedSound(waveform, 16_000, 0, times, exact, np.ones(len(times), bool))
    rows = heard(LogmelStack(settings.LogmelStack(), Setup()), sound).reshape(len(times), 5, 40)[chosen, 0, 39]
    height = np.sqrt(10 ** (rows.astype(float) / 10) / mel_filters(16_000, 512, 40)[39].sum()) / (30_000 / 32_768)
    distance = 200 / np.pi * np.arccos(2 * height - 1)
    assert np.abs(np.rint(ideal[chosen, 0] + 60) - distance - ideal[chosen, 0]).max() <= 1


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
    rows = heard(LogmelStack(settings.LogmelStack(), Setup()), sound).reshape(len(times), 5, 40)
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
    assert np.isfinite(heard(MfccMel(settings.MfccMel(), Setup()), sound)).all()


def test_the_quiet_is_cut_off_80_db_below_the_loudest() -> None:
    quiet = np.zeros(32_000, np.int16)
    quiet[:1600] = noise(0.1) * 5
    rows = heard(LogmelStack(settings.LogmelStack(), Setup()), timed(quiet, Fraction(25)))
    assert rows.min() == pytest.approx(rows.max() - 80, abs=1e-4)


def test_decibels_have_a_floor() -> None:
    assert decibels(np.array([1, 0.01, 0], np.float32)).tolist() == pytest.approx([0, -20, -100])


@pytest.mark.parametrize(("fps", "hop"), [("25", 213), ("30", 177), ("30000/1001", 177), ("80/3", 200)])
def test_the_official_clock_is_librosas_with_that_hop(fps: str, hop: int) -> None:
    """Whenever the sound begins: the release counts hops from the first sample."""
    librosa = pytest.importorskip("librosa")
    sound = timed(noise(6), Fraction(fps), start_us=500_000)
    ours = heard(LogmelStack(settings.LogmelStack(clock="official"), Setup()), sound)
    mel = librosa.feature.melspectrogram(
        y=sound.waveform.astype(np.float32) / 32768, sr=16_000, n_fft=512, win_length=400, hop_length=hop, n_mels=40,
        center=True, pad_mode="constant", power=2,
    )  # fmt: skip
    rows = librosa.power_to_db(mel, ref=1.0, amin=1e-10, top_db=80).T
    theirs = np.stack([rows[3 * i : 3 * i + 5].ravel() for i in range(len(ours)) if 3 * i + 5 <= len(rows)])
    assert len(theirs) > 140
    assert np.abs(ours[: len(theirs)] - theirs).max() < 1e-3


def test_the_official_clock_takes_the_mean_rate_where_it_varies() -> None:
    times = np.array([0, 20_000, 100_000, 120_000])  # 3 frames in 120 ms: 25 frames per second
    sound = TimedSound(np.zeros(1, np.int16), 16_000, 0, times, None, np.ones(4, bool))
    assert official_centres(sound, 3, 2).tolist() == [[213 * 3 * i, 213 * (3 * i + 1)] for i in range(4)]
    lone = TimedSound(sound.waveform, 16_000, 0, times[:1], None, np.ones(1, bool))
    assert official_centres(lone, 3, 2).tolist() == [[0, 213]]


def test_the_official_clock_is_early_by_more_than_a_second_after_five_minutes() -> None:
    n = 9000
    sound = TimedSound(
        np.zeros(1, np.int16), 16_000, 0, clock.frame_times(n, Fraction(30)), Fraction(30), np.ones(n, bool)
    )
    early = logmel_centres(sound, 3, 5)[-1, 0] - official_centres(sound, 3, 5)[-1, 0]
    assert early / 16 == pytest.approx(1312, abs=1)  # ms: 27,000 hops of 177 samples, not 177.78


@pytest.mark.filterwarnings("ignore:n_fft=2048 is too large")
@pytest.mark.parametrize("fps", ["25", "30000/1001", "15/2", "3"])
def test_paper_segments_are_librosas_segment_by_segment(fps: str) -> None:
    """N segments, half overlapping, over all of the sound; here the frames end a second before it does."""
    librosa = pytest.importorskip("librosa")
    sound = timed(noise(3), Fraction(fps))
    sound = TimedSound(noise(4), 16_000, 0, sound.time_us, sound.rate, sound.valid)
    ours = heard(MfccMel(settings.MfccMel(segments="paper"), Setup()), sound)
    n = len(ours)
    waveform = sound.waveform.astype(np.float32) / 32768
    for i in sorted({0, 1, n // 3, n // 2, n - 2, n - 1}):
        first, after = (int(Fraction(k * len(waveform), n + 1) + Fraction(1, 2)) for k in (i, i + 2))
        segment = waveform[first:after]
        mel = librosa.feature.melspectrogram(y=segment, sr=16_000, n_fft=2048, hop_length=512, pad_mode="constant")
        mfcc = librosa.feature.mfcc(y=segment, sr=16_000, n_mfcc=40)
        assert np.abs(ours[i] - np.concatenate([mfcc.mean(axis=1), mel.mean(axis=1)])).max() < 1e-3
    assert after == len(waveform)


def test_of_a_long_paper_segment_the_middle_is_heard() -> None:
    """Two frames over 30 s of sound would be segments of 20 s."""
    sound = TimedSound(noise(30), 16_000, 0, np.array([0, 15_000_000]), None, np.ones(2, bool))
    first, length = acoustic.paper_segments(sound, settings.MfccMel())
    assert (first.tolist(), length.tolist()) == ([144_000, 304_000], [32_000, 32_000])


def test_segments_of_many_lengths_are_those_of_each_alone() -> None:
    """Frames at random times: neighbours in a batch differ in length, and what is past the shorter is not heard."""
    times = np.cumsum(np.random.default_rng(3).integers(20_000, 90_000, 60))
    sound = TimedSound(noise(4), 16_000, 0, times, None, np.ones(60, bool))
    encoder = MfccMel(settings.MfccMel(), Setup())
    ours = heard(encoder, sound)
    first, length = acoustic.frame_segments(sound, encoder.config)
    assert len(np.unique(length)) > 40
    mels = MelBank(16_000, 2048, 128)
    alone = [
        encoder.segments(sound.samples(first[i : i + 1], int(length[i])), length[i : i + 1], mels) for i in range(60)
    ]
    assert np.abs(ours - np.concatenate(alone)).max() < 1e-3


@pytest.mark.parametrize(
    "encoder", [LogmelStack(settings.LogmelStack(), Setup()), MfccMel(settings.MfccMel(), Setup())]
)
@pytest.mark.parametrize("constant", [True, False])
def test_vectors_do_not_depend_on_how_many_are_made_at_once(
    encoder: LogmelStack | MfccMel, constant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = timed(noise(10), Fraction(30), constant=constant)
    whole = heard(encoder, sound)
    monkeypatch.setattr(acoustic, "_FRAMES_AT_ONCE", 17)
    monkeypatch.setattr(acoustic, "_BYTES_KEPT", 30_000)  # of the rows of 300 frames: most are made twice
    batches = list(encoder(sound))
    assert [len(batch) for batch in batches] == [17] * 17 + [11]
    assert np.abs(np.concatenate(batches) - whole).max() < 1e-4


def test_frames_far_apart_are_not_read_together() -> None:
    """An hour between two frames is not held in memory."""
    hour = 3600 * 16_000
    assert list(acoustic.together(np.array([0, 533, hour, hour + 533]))) == [slice(0, 2), slice(2, 4)]
    assert list(acoustic.together(np.zeros(0, np.int64))) == []


class Counted(TimedSound):
    """A sound that knows the longest stretch that was ever read of it."""

    longest = 0

    def between(self, first: int, after: int) -> NDArray[np.float32]:
        Counted.longest = max(Counted.longest, after - first)
        return super().between(first, after)


@pytest.mark.parametrize(
    "encoder", [LogmelStack(settings.LogmelStack(), Setup()), MfccMel(settings.MfccMel(), Setup())]
)
def test_a_frame_that_stands_for_an_hour_is_no_hour_in_memory(encoder: LogmelStack | MfccMel) -> None:
    times = np.array([0, 40_000, 3_600_000_000, 3_600_040_000])
    sound = Counted(np.zeros(3600 * 16_000, np.int16), 16_000, 0, times, None, np.ones(4, bool))
    assert len(heard(encoder, sound)) == 4
    assert 512 <= Counted.longest < 70 * 16_000


def test_no_frames_make_no_vectors() -> None:
    sound = TimedSound(noise(1), 16_000, 0, np.zeros(0, np.int64), None, np.zeros(0, bool))
    assert list(MfccMel(settings.MfccMel(), Setup())(sound)) == []
    assert list(LogmelStack(settings.LogmelStack(), Setup())(sound)) == []


def test_a_waveform_is_read_between_any_two_samples() -> None:
    sound = timed(np.array([16_384, -32_768, 8192], np.int16), Fraction(25))
    assert sound.between(-2, 5).tolist() == [0, 0, 0.5, -1, 0.25, 0, 0]
    assert sound.between(5, 7).tolist() == [0, 0]
    assert sound.samples(np.array([2, -1]), 3).tolist() == [[0.25, 0, 0], [0, 0.5, -1]]


@pytest.fixture
def mapped(tmp_path: Path) -> Iterator[NDArray[np.int16]]:
    """Twenty megabytes of sound in a file."""
    np.save(tmp_path / "sound.npy", np.arange(10_000_000, dtype=np.int16))
    yield np.lib.format.open_memmap(tmp_path / "sound.npy", mode="r")


def resident(name: str) -> int:
    """Bytes of a mapped file that are in this process's memory, as Linux counts them."""
    lines = iter(Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines())
    return sum(
        1024 * int(next(line for line in lines if line.startswith("Rss:")).split()[1])
        for mapping in lines
        if mapping.endswith(name)
    )


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's account of memory")
def test_what_was_read_of_a_file_does_not_stay_in_memory(mapped: NDArray[np.int16]) -> None:
    sound = TimedSound(mapped, 16_000, 0, np.zeros(1, np.int64), None, np.ones(1, bool))
    assert int(mapped[::1000].max()) > 0
    assert resident("sound.npy") > 10_000_000
    assert sound.between(5_000_000, 5_000_002).tolist() == (mapped[5_000_000:5_000_002] / 32_768).tolist()
    sound.between(0, 10_000_000)
    assert resident("sound.npy") < 1_000_000


def test_what_is_written_into_a_private_mapping_stays(tmp_path: Path) -> None:
    np.save(tmp_path / "sound.npy", np.zeros(1000, np.int16))
    private = np.lib.format.open_memmap(tmp_path / "sound.npy", mode="c")
    private[10] = 16_384
    sound = TimedSound(private, 16_000, 0, np.zeros(1, np.int64), None, np.ones(1, bool))
    sound.between(0, 1000)
    assert sound.between(10, 11).tolist() == [0.5]


def test_a_network_says_which_sample_rate_it_wants() -> None:
    sound = TimedSound(noise(1), 8000, 0, np.zeros(1, np.int64), None, np.ones(1, bool))
    with pytest.raises(SchemaError, match=r"has 8000 samples per second, expected 16000; .*--sample-rate 16000"):
        sound.require_rate(16_000)


def test_spans_are_a_frames_own_period_or_seconds_around_its_middle() -> None:
    sound = TimedSound(noise(1), 16_000, 500_000, np.array([600_000, 640_000, 700_000]), None, np.ones(3, bool))
    assert spans(sound).tolist() == [[1600, 2240], [2240, 3200], [3200, 4000]]  # the last stands for the median, 50 ms
    assert spans(sound, 0.1).tolist() == [[1120, 2720], [1920, 3520], [2800, 4400]]


def test_means_of_a_contour_are_those_of_its_samples() -> None:
    """Of every stretch that there is, against the samples one by one; the last value is cut off by the end."""
    values = np.random.default_rng(0).standard_normal((5, 2)).astype(np.float32)
    samples = np.repeat(values, 4, axis=0)[:18]
    contour = Contour(values, 4, 18)
    edges = np.array([(i, j) for i in range(18) for j in range(i + 1, 19)], np.float64)
    expected = [samples[int(i) : int(j)].mean(axis=0, dtype=np.float64) for i, j in edges]
    assert np.abs(contour.means(edges) - expected).max() < 1e-12
    assert np.abs(contour.means(np.array([[-7.0, 4.0], [16.0, 90.0]])) - values[[0, 4]]).max() < 1e-12
    assert contour.means(np.array([[18.0, 20.0], [-3.0, 0.0]])).tolist() == [[0, 0], [0, 0]]
    assert contour.at(np.array([-1, 0, 7, 17, 18])).tolist() == [[0, 0], *values[[0, 1, 4]].tolist(), [0, 0]]


def test_a_contour_of_nothing_is_zero_everywhere() -> None:
    contour = Contour(np.zeros(0, np.float32), 4, 0)
    assert contour.at(np.array([0, 5])).tolist() == [0, 0]
    assert contour.means(np.array([[0.0, 5.0]])).tolist() == [0]
