"""The waveform stands where the container says, whatever it was coded as, and every frame finds its sample in it."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soxr
from numpy.typing import NDArray
from sounds import CLICK_SECONDS, CLICKS, H264, MPEG4, TICKS, VP8, clicks, coded, shown, tones, write

from affcli import clock
from affcli.cli.frame_clock import decoded_clock
from affcli.errors import InputError
from affcli.features.acoustic import logmel_centres
from affcli.features.views import TimedSound
from affcli.media.audio import Sound, measure_sound, read_sound
from affcli.media.find import SoundFiles
from affcli.media.soundtrack import sound_only
from affcli.media.video import open_video

RATE = 16_000


def read(path: Path, sample_rate: int = RATE, **choice: Any) -> tuple[Sound, NDArray[np.int16]]:
    """The sound of a file and its whole waveform."""
    pieces: list[NDArray[np.int16]] = []
    sound = read_sound(path, sample_rate, pieces.append, **choice)
    assert sound is not None
    waveform = np.concatenate([np.zeros(0, np.int16), *pieces])
    assert len(waveform) == sound.samples
    return sound, waveform


def heard(path: Path) -> NDArray[np.float64]:
    """When the clicks of a file begin, s on the container's clock: from the middle of each one's energy."""
    sound, waveform = read(path)
    wave = waveform.astype(np.float64)
    loud = np.flatnonzero(np.abs(wave) > 0.3 * np.abs(wave).max())
    middles = []
    for group in np.split(loud, np.flatnonzero(np.diff(loud) > RATE // 10) + 1):
        around = np.arange(max(0, group[0] - 100), min(len(wave), group[-1] + 100))
        energy = wave[around] ** 2
        middles.append((energy @ around) / energy.sum())
    return np.array(middles) / RATE + sound.start_us / 1e6 - CLICK_SECONDS / 2


def first_picture(path: Path) -> float:
    """Time of the first frame, s."""
    return next(open_video(path).frames()).time_us / 1e6


@pytest.mark.parametrize("late", [Fraction(0), Fraction(1, 2)])
@pytest.mark.parametrize(
    ("name", "codec", "sample_rate", "pictures"),
    [
        ("aac.mp4", "aac", 44_100, H264),
        ("aac.mov", "aac", 48_000, H264),
        ("aac.mkv", "aac", 44_100, H264),
        ("aac.ts", "aac", 44_100, H264),
        ("aac.flv", "aac", 44_100, H264),
        ("mp3.mp4", "libmp3lame", 44_100, H264),
        ("mp3.mkv", "libmp3lame", 44_100, MPEG4),
        ("mp2.mpg", "mp2", 44_100, ("mpeg1video", {})),
        ("opus.webm", "libopus", 48_000, VP8),
        ("opus.mp4", "libopus", 48_000, H264),
        ("vorbis.webm", "vorbis", 44_100, VP8),
        ("flac.mkv", "flac", 48_000, H264),
        ("flac.mp4", "flac", 44_100, H264),
        ("pcm.mov", "pcm_s16le", 48_000, MPEG4),
        ("pcm96.mkv", "pcm_s24le", 96_000, H264),
        ("ac3.ts", "ac3", 48_000, H264),
    ],
)
def test_a_click_is_heard_at_its_time(
    tmp_path: Path, name: str, codec: str, sample_rate: int, pictures: Any, late: Fraction
) -> None:
    """Against the first picture: transport streams and their like begin at a time of their own."""
    layout = "stereo" if codec == "vorbis" else "mono"
    path = write(
        tmp_path / name, codec, sample_rate, clicks(sample_rate), layout=layout, start=late, pictures=shown(pictures)
    )
    assert heard(path) - first_picture(path) == pytest.approx(CLICKS + float(late), abs=1e-3)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
def test_sound_that_begins_before_the_pictures(tmp_path: Path, name: str) -> None:
    codec = "pcm_s16le" if name == "a.mov" else "aac"
    path = write(tmp_path / name, codec, 44_100, clicks(44_100), pictures=shown(H264, first=25))
    assert heard(path) - first_picture(path) == pytest.approx(CLICKS - 1, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        *(("a.m4a", "aac"), ("a.mp3", "libmp3lame"), ("a.opus", "libopus"), ("a.ogg", "vorbis")),
        *(("a.flac", "flac"), ("a.wav", "pcm_s16le"), ("b.m4a", "alac"), ("u8.wav", "pcm_u8"), ("f.wav", "pcm_f32le")),
    ],
)
def test_a_click_of_a_sound_file_is_at_its_time_after_the_first_sample(tmp_path: Path, name: str, codec: str) -> None:
    layout = "stereo" if codec == "vorbis" else "mono"
    kind = "ipod" if name.endswith("m4a") else None
    path = write(tmp_path / name, codec, 48_000, clicks(48_000), layout=layout, file_format=kind)
    sound, _ = read(path)
    assert heard(path) - sound.start_us / 1e6 == pytest.approx(CLICKS, abs=1e-3)


def test_bare_aac_does_not_say_what_its_encoder_put_before_the_first_sample(tmp_path: Path) -> None:
    """ADTS has no place for it; FFmpeg's encoder puts 1024 samples there, others more."""
    path = write(tmp_path / "a.aac", "aac", 44_100, clicks(44_100), file_format="adts")
    assert heard(path) == pytest.approx(CLICKS + 1024 / 44_100, abs=1e-3)


def test_an_edit_list_that_cuts_the_beginning(tmp_path: Path) -> None:
    """The sound track's edit list (elst: duration and first time, 32 bits each) is made to begin 100 ms later."""
    path = write(
        tmp_path / "a.mp4", "aac", 44_100, clicks(44_100), pictures=shown(H264), options={"movie_timescale": "44100"}
    )
    content = bytearray(path.read_bytes())
    at = content.rindex(b"elst") + 12
    duration, begin = np.frombuffer(content, ">i4", 2, at)
    assert begin == 1024  # what AAC puts before the first sample
    content[at : at + 8] = np.array([duration - 4410, begin + 4410], ">i4").tobytes()
    path.write_bytes(content)
    assert heard(path) == pytest.approx(CLICKS - 0.1, abs=1e-3)


def test_the_waveform_is_that_of_one_go_however_it_is_cut(tmp_path: Path) -> None:
    """Samples of 16 bits go through unchanged, so that the resampled ones can be foretold to the last bit."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 200_000).astype(np.float32)
    whole = np.rint(noise * np.float32(32767)).astype(np.float32) / 32768
    expected = np.rint(soxr.resample(whole, 44_100, RATE, quality="HQ") * 32768).astype(np.int16)
    for piece in (333, 1024, 150_000):
        _, waveform = read(write(tmp_path / f"{piece}.wav", "pcm_s16le", 44_100, noise, piece=piece))
        assert np.array_equal(waveform, expected)


def test_a_hole_in_the_sound_is_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for start in (0, 32_000):
            container.mux(coded(stream, np.full(16_000, 1000 / 32767), "mono", start, 16_000, flush=False))
    sound, waveform = read(path)
    assert len(waveform) == 48_000
    assert (waveform[:15_000] == 1000).all()
    assert (waveform[16_100:31_900] == 0).all()
    assert (waveform[33_000:] == 1000).all()
    assert sound.exists(np.array([-1, 0, 15_999, 16_000, 31_999, 32_000, 47_999, 48_000])).tolist() == [
        *(False, True, True, False, False, True, True, False)
    ]


def test_sound_that_overlaps_itself_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for start, level in ((0, 1000), (12_000, 2000)):
            container.mux(coded(stream, np.full(16_000, level / 32767), "mono", start, 16_000, flush=False))
    sound, waveform = read(path)
    assert (len(waveform), sound.holes, sound.cut) == (28_000, (), 4000)
    assert (waveform[:16_000] == 1000).all() and (waveform[16_000:] == 2000).all()


def stamped(path: Path, times: NDArray[np.float64], piece: int = 320) -> Path:
    """Noise in pieces of 20 ms, each of which has the time (s) that it is given, to the millisecond."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, piece * len(times))
        for number, time in enumerate(times):
            part = noise[number * piece : (number + 1) * piece]
            container.mux(coded(stream, part, "mono", round(time * RATE), piece, flush=False))
    return path


@pytest.mark.parametrize("milliseconds", [3, 5, 9])
def test_times_that_jitter_make_no_hole(tmp_path: Path, milliseconds: int) -> None:
    """As those of recorders that stamp sound when it comes in."""
    steady = np.arange(1000) * 0.02
    jitter = np.random.default_rng(0).uniform(-1, 1, 1000) * milliseconds / 1000
    jitter[0] = 0
    _, expected = read(stamped(tmp_path / "steady.mkv", steady))
    sound, waveform = read(stamped(tmp_path / "jitter.mkv", steady + jitter))
    assert (sound.holes, sound.cut) == ((), 0)
    assert np.array_equal(waveform, expected)


@pytest.mark.parametrize("milliseconds", [-12, -4, 4, 8, 15])
def test_a_small_shift_that_lasts_is_made_good_soon(tmp_path: Path, milliseconds: int) -> None:
    times = np.arange(200) * 0.02
    times[100:] += milliseconds / 1000
    sound, waveform = read(stamped(tmp_path / "a.mkv", times))
    assert len(waveform) == 64_000 + 16 * milliseconds
    if milliseconds > 0:
        assert sound.holes == ((33_280, 33_280 + 16 * milliseconds),)  # with the fifth piece that is late
    else:
        assert sound.cut == -16 * milliseconds


def test_a_lost_packet_is_a_hole_at_once(tmp_path: Path) -> None:
    times = np.arange(200) * 0.02
    times[100:] += 0.02
    assert read(stamped(tmp_path / "a.mkv", times))[0].holes == ((32_000, 32_320),)


def test_a_clock_that_drifts_is_followed(tmp_path: Path) -> None:
    """A recorder whose samples come a thousandth too slowly: 60 ms in a minute."""
    times = np.arange(3000) * 0.02 * 1.001
    sound, waveform = read(stamped(tmp_path / "a.mkv", times))
    assert len(waveform) / RATE == pytest.approx(60.06, abs=0.004)
    lengths = [after - first for first, after in sound.holes]
    assert max(lengths) <= 0.004 * RATE  # it is never further behind than that
    assert sum(lengths) == pytest.approx(0.06 * RATE, abs=0.004 * RATE)


def test_sound_whose_times_begin_anew_is_left_out_and_counted(tmp_path: Path) -> None:
    """Two recordings in one file, as radio stations send them."""
    path = write(tmp_path / "a.ogg", "vorbis", 48_000, clicks(48_000), layout="stereo")
    once, waveform = read(path)
    path.write_bytes(2 * path.read_bytes())
    sound, both = read(path)
    assert once.cut == 0
    assert sound.samples + sound.cut == pytest.approx(2 * once.samples, abs=RATE // 20)
    assert np.array_equal(both[: RATE // 2], waveform[: RATE // 2])


def test_a_sample_rate_that_changes_is_refused(tmp_path: Path) -> None:
    parts = [
        write(tmp_path / f"{rate}.aac", "aac", rate, np.zeros(rate), file_format="adts").read_bytes()
        for rate in (44_100, 22_050)
    ]
    both = tmp_path / "both.aac"
    both.write_bytes(b"".join(parts))
    with pytest.raises(InputError, match="its sound changes from 44100 to 22050 Hz"):
        read(both)


@pytest.mark.parametrize(
    ("sample_rate", "layout", "codec"),
    [(48_000, "stereo", "pcm_s16le"), (96_000, "5.1", "pcm_s24le"), (48_000, "5.1", "flac"), (RATE, "stereo", "flac")],
)
def test_channels_are_averaged_with_equal_weights_or_one_is_taken(
    tmp_path: Path, sample_rate: int, layout: str, codec: str
) -> None:
    hertz = [440, 660, 880, 110, 1320, 1760][: av.AudioLayout(layout).nb_channels]
    path = write(tmp_path / "a.mkv", codec, sample_rate, tones(sample_rate, hertz), layout=layout)
    each = tones(RATE, hertz) * 32768
    inner = slice(200, -200)
    sound, mean = read(path)
    assert (len(mean), sound.start_us) == (RATE, 0)
    assert np.abs(mean - each.mean(axis=0))[inner].max() < 5
    for number, expected in enumerate(each, start=1):
        _, one = read(path, channel=number)
        assert np.abs(one - expected)[inner].max() < 5
    with pytest.raises(
        InputError, match=f"its sound has {len(hertz)} channels, expected a channel 9; choose a channel"
    ):
        read(path, channel=9)


def test_a_layout_that_changes_is_averaged_as_it_comes(tmp_path: Path) -> None:
    """Broadcasts go from stereo to 5.1 in mid-stream."""
    parts = [
        write(tmp_path / f"{n}.ac3", "ac3", 48_000, tones(48_000, [440]), layout=layout).read_bytes()
        for n, layout in enumerate(("mono", "stereo"))
    ]
    path = tmp_path / "both.ac3"
    path.write_bytes(b"".join(parts))
    sound, waveform = read(path)
    assert sound.samples == pytest.approx(2 * RATE, abs=RATE // 8)
    level = [np.sqrt(np.mean(part.astype(float) ** 2)) for part in np.split(waveform[2000:30_000], 4)]
    assert level == pytest.approx([0.25 * 32768 / np.sqrt(2)] * 4, rel=0.04)


def test_a_track_is_chosen_by_its_number_or_language(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", "flac", RATE, tones(RATE, [440]), languages=("eng", "deu"))
    loudest = {name: int(read(path, track=name)[1].max()) for name in ("0", "1", "eng", "DEU")}
    assert loudest["0"] == loudest["eng"] == pytest.approx(8192, abs=2)
    assert loudest["1"] == loudest["DEU"] == pytest.approx(4096, abs=2)
    with pytest.raises(
        InputError,
        match=r"has no sound track fra, expected one of its own: 0 \(eng, flac, 1 channel, 16000 Hz\), 1 \(deu, flac, ",
    ):
        read(path, track="fra")
    with pytest.raises(InputError, match="has no sound track 2"):
        read(path, track="2")


def test_samples_that_are_no_numbers_are_counted_and_spread_nowhere(tmp_path: Path) -> None:
    wave = tones(48_000, [440])[0].astype(np.float32)
    wave[[100, 10_000, 20_000, 30_000]] = np.nan, np.inf, -np.inf, 3e38
    sound, waveform = read(write(tmp_path / "a.wav", "pcm_f32le", 48_000, wave))
    assert sound.wild == 4
    assert (
        np.abs(waveform - tones(RATE, [440])[0] * 32768)[10_500:19_500][::100].max() < 400
    )  # full scale rings a while
    assert np.abs(waveform.astype(int)).max() < 32767
    assert read(write(tmp_path / "b.wav", "pcm_f32le", 48_000, tones(48_000, [440])[0]))[0].wild == 0


def test_samples_at_full_scale_are_counted(tmp_path: Path) -> None:
    loud = 4 * tones(RATE, [100])[0]  # touches full scale
    sound, waveform = read(write(tmp_path / "a.wav", "pcm_f32le", RATE, 2 * loud))
    expected = int((np.abs(2 * loud) >= 1 - 1 / 32768).sum())
    assert sound.clipped == pytest.approx(expected, abs=20) and expected > 10_000
    assert (waveform.min(), waveform.max()) == (-32768, 32767)
    assert read(write(tmp_path / "b.wav", "pcm_f32le", RATE, loud / 2))[0].clipped == 0


@pytest.mark.parametrize(
    ("name", "codec", "pictures"),
    [("a.wav", "pcm_s16le", None), ("a.flac", "flac", None), ("a.mkv", "flac", MPEG4), ("a.mkv", "aac", H264)],
)
def test_sound_of_no_length_is_a_fact(tmp_path: Path, name: str, codec: str, pictures: Any) -> None:
    path = write(tmp_path / name, codec, RATE, np.zeros(0), pictures=shown(pictures) if pictures else None)
    sound, waveform = read(path)
    assert (sound.samples, len(waveform), sound.silent) == (0, 0, True)
    assert not sound.exists(np.array([0, 1])).any()
    assert measure_sound(path) is None


def test_no_sound_track_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    assert read_sound(path, RATE, lambda _: pytest.fail("there is nothing to take"), track="7") is None
    assert not sound_only(path)


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    """Music files carry a picture as a video stream of one frame."""
    assert sound_only(write(tmp_path / "a.wav", "pcm_s16le", RATE, np.zeros(RATE)))
    path = write(tmp_path / "a.mp4", "aac", RATE, np.zeros(RATE), pictures=shown(("mjpeg", {}), n=1))
    assert not sound_only(path)
    with av.open(str(path)) as source, av.open(str(tmp_path / "b.m4a"), "w", format="mp4") as target:
        copies = {one.index: target.add_stream_from_template(one) for one in source.streams}
        copies[source.streams.video[0].index].disposition = av.stream.Disposition.attached_pic
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                target.mux(packet)
    assert sound_only(tmp_path / "b.m4a")


def test_the_file_that_stands_in_for_a_sound_track(tmp_path: Path) -> None:
    for name in ("deep/one.WAV", "pair.mp3", "pair_left.flac", "one.txt", ".two.wav", "x.wav", "x.opus"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files = SoundFiles(tmp_path)
    assert files.of("one", "one") == tmp_path / "deep" / "one.WAV"
    assert files.of("pair_left", "pair") == tmp_path / "pair_left.flac"
    assert files.of("pair_right", "pair") == tmp_path / "pair.mp3"
    with pytest.raises(
        InputError, match=r"two_left\.wav: does not exist, expected a file named two_left or two that ends in one of "
    ):
        files.of("two_left", "two")
    with pytest.raises(InputError, match=r"x\.opus: and .*x\.wav are both sound of 'x', expected one"):
        files.of("x", "x")
    with pytest.raises(InputError, match="is no directory"):
        SoundFiles(tmp_path / "pair.mp3")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no sound, expected files that end in"):
        SoundFiles(tmp_path / "empty")


@pytest.mark.parametrize(
    ("samples", "rate", "frames"),
    [(16_000, "30", 30), (16_001, "30", 31), (0, "30", 0), (1, "7.5", 1), (9_600_000, "30000/1001", 17_983)],
)
def test_as_many_frames_as_begin_before_the_sound_ends(samples: int, rate: str, frames: int) -> None:
    assert clock.frames_within(samples, RATE, Fraction(rate)) == frames


# A tone that rises by 10 Hz per second from 1 to 7 kHz: its frequency tells the time, for ten minutes.
SECONDS, LOWEST, RISE = 600, 1000.0, 10.0
HALF = 256  # samples between the two looks at the phase


def chirp(time: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tone at the given times, s."""
    return 0.5 * np.sin(2 * np.pi * (LOWEST * time + RISE / 2 * time**2))


def told(waveform: NDArray[np.int16], centres: NDArray[np.int64]) -> NDArray[np.float64]:
    """The times, s, that the tone tells at samples well inside the waveform, (k,) to (k,).

    The phase advances from 128 samples before a centre to 128 after it by the frequency at the centre, exactly so where
    the frequency rises steadily; how many whole turns that is, the strongest line of a spectrum tells.
    """
    window = np.blackman(2 * HALF + 1)[:-1]
    stretches = waveform[centres[:, None] + np.arange(-HALF - HALF // 2, HALF + HALF // 2)].astype(np.float64)
    spectrum = np.fft.rfft(stretches[:, HALF // 2 : HALF // 2 + 2 * HALF] * window)
    coarse = np.abs(spectrum).argmax(axis=1) * RATE / (2 * HALF)
    tone = np.exp(-2j * np.pi * coarse[:, None] / RATE * np.arange(2 * HALF))
    before, after = ((stretches[:, k : k + 2 * HALF] * window * tone).sum(axis=1) for k in (0, HALF))
    turns = np.angle(after * before.conj()) / (2 * np.pi)
    turns += np.rint(coarse * HALF / RATE - turns)
    return np.asarray((turns * RATE / HALF - LOWEST) / RISE)


@pytest.fixture(scope="module")
def rising() -> NDArray[np.int16]:
    return np.rint(chirp(np.arange(SECONDS * RATE) / RATE) * 32767).astype(np.int16)


def check_rows(sound: TimedSound) -> None:
    """Every row of every 7th frame, and of the last ones, stands within a sample of its time."""
    n = len(sound.time_us)
    chosen = np.union1d(np.arange(0, n, 7), np.arange(max(0, n - 20), n))
    centres = logmel_centres(sound, 3, 5)[chosen]
    wanted = (sound.time_us[chosen, None] + clock.periods(sound.time_us)[chosen, None] * np.arange(5) / 3) / 1e6
    inside = (centres >= 2 * HALF) & (centres < len(sound.waveform) - 2 * HALF)
    assert inside.mean() > 0.99
    assert np.abs(told(sound.waveform, centres[inside]) - wanted[inside]).max() <= 1 / RATE


def test_the_tone_tells_the_time(rising: NDArray[np.int16]) -> None:
    """To a fifth of a sample, and an offset of more than one shows."""
    centres = np.arange(1000, len(rising) - 1000, 9_973)
    assert np.abs(told(rising, centres) - centres / RATE).max() < 0.2 / RATE
    assert np.abs(told(rising, centres) - (centres - 1.25) / RATE).min() > 1 / RATE


@pytest.mark.parametrize("rate", ["30", "30000/1001", "25", "24000/1001", "15", "15/2", "60"])
def test_rows_stand_within_a_sample_of_their_time_for_ten_minutes(rising: NDArray[np.int16], rate: str) -> None:
    exact = Fraction(rate)
    times = clock.frame_times(int(SECONDS * exact), exact)
    check_rows(TimedSound(rising, RATE, 0, times, exact, np.ones(len(times), bool)))


def test_rows_stand_within_a_sample_of_their_time_where_the_rate_varies(rising: NDArray[np.int16]) -> None:
    times = np.cumsum(np.random.default_rng(0).integers(8_000, 80_000, 13_600))
    assert 590e6 < times[-1] < 600e6
    check_rows(TimedSound(rising, RATE, 0, times, None, np.ones(len(times), bool)))


@pytest.mark.parametrize(
    ("name", "rate", "start"),
    [
        ("constant.mov", "30000/1001", Fraction(0)),
        ("late.mov", "25", Fraction(3, 7)),
        ("milliseconds.mkv", "24000/1001", Fraction(0)),
        ("varying.mov", None, Fraction(1, 3)),
    ],
)
def test_from_file_to_rows_within_a_sample(tmp_path: Path, name: str, rate: str | None, start: Fraction) -> None:
    """Two minutes of video with the tone at 48 kHz: decoded, resampled, and looked at where the rows are."""
    seconds, sample_rate = 120, 48_000
    time = np.arange(seconds * sample_rate) / sample_rate
    if rate:
        base, ticks = 1 / Fraction(rate), list(range(int(seconds * Fraction(rate))))
    else:
        base = TICKS
        ticks = np.cumsum(np.random.default_rng(1).integers(900, 6000, 3000)).tolist()
        ticks = [tick for tick in ticks if tick < seconds * 90_000]
    # The tone is played `start` late, but tells the time of the container's clock.
    path = write(
        tmp_path / name, "pcm_s16le", sample_rate, chirp(time + float(start)), start=start,
        pictures=(*H264, ticks, base), options={"movie_timescale": "48000"} if name.endswith("mov") else None,
        piece=12_000,
    )  # fmt: skip
    seen = decoded_clock(path, False, lambda _: None)
    assert (len(seen.time_us), seen.rate) == (len(ticks), Fraction(rate) if rate else None)
    sound, waveform = read(path)
    times = seen.time_us
    if rate:  # a container that counts milliseconds rounds its times; the frames' own rate is exact
        times = times[0] + clock.frame_times(len(times), Fraction(rate))
    check_rows(TimedSound(waveform, RATE, sound.start_us, times, seen.rate, np.ones(len(times), bool)))


def ledger(path: Path, only_times: bool) -> Any:
    """What decoding tells of a video: times and damage of its frames, errors, or what is wrong with it."""
    try:
        video = open_video(path, keep_partial=True)
        frames = [(frame.time_us, frame.corrupt, frame.width) for frame in video.frames(only_times=only_times)]
    except InputError as error:
        return str(error)
    return frames, video.decode_errors, video.partial


def damaged(content: bytes, seed: int) -> bytes:
    """A file with some of its bytes wrong."""
    rng = np.random.default_rng(seed)
    broken = bytearray(content)
    for at in rng.integers(len(content) // 10, len(content) - 64, 4):
        broken[at : at + 16] = rng.bytes(16)
    return bytes(broken)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "3"}),
        ("a.ts", "libx264", {"bf": "2"}),
        ("b.mp4", "libx265", {"x265-params": "log-level=none:pools=1:frame-threads=1"}),
        ("a.avi", "mpeg4", {}),
        ("a.mpg", "mpeg2video", {}),
        ("a.webm", "libvpx", {"deadline": "realtime"}),
        ("b.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
        ("a.mov", "mjpeg", {}),
    ],
)
def test_times_alone_are_those_of_whole_pictures(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        smooth = np.kron(rng.integers(0, 200, (8, 12, 3)), np.ones((8, 8, 1))).astype(np.int64)
        for shift in range(30):
            picture = np.roll(smooth, shift, axis=1) + rng.integers(0, 40, smooth.shape)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    assert len(ledger(path, True)[0]) == 30
    assert ledger(path, True) == ledger(path, False)
    content = path.read_bytes()
    for seed in range(6):
        path.write_bytes(damaged(content, seed))
        assert ledger(path, True) == ledger(path, False)
    path.write_bytes(content)
    if codec == "libx264":  # whose pictures are smoothed at the end, which is what is left out
        pairs = zip(open_video(path).frames(), open_video(path).frames(only_times=True), strict=True)
        assert any((one.image() != other.image()).any() for one, other in itertools.islice(pairs, 10))
