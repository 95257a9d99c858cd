"""The frame ledger: what is decoded, beside what the container states; and which labels are of which video."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from affcli.errors import InputError
from affcli.labels.files import label_stems
from affcli.media.audio import measure_sound, read_sound
from affcli.media.find import Source, match_labels
from affcli.media.probe import Ledger, probe
from affcli.media.video import open_video
from affcli.media.write import write_video


def pictures(n: int) -> list[NDArray[np.uint8]]:
    return [np.full((48, 64, 3), 20 + 4 * (i % 50), np.uint8) for i in range(n)]


def tone(seconds: float, sample_rate: int = 44_100) -> NDArray[np.float32]:
    return (0.3 * np.sin(np.arange(round(seconds * sample_rate)) * 0.06)).astype(np.float32)


def ledger(path: Path) -> Ledger:
    return probe(open_video(path, keep_partial=True))


def encoded(
    path: Path, n: int, rate: Fraction | int = 25, pix_fmt: str = "yuv420p", sizes: tuple[int, ...] = (64,)
) -> Path:
    """H.264 noise in any container, one stretch of equal length for each width."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = sizes[0], 48, pix_fmt
        for _ in range(n):
            picture = rng.integers(0, 255, (48, sizes[0], 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_a_constant_rate_and_its_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    rate = Fraction(30_000, 1001)
    write_video(path, pictures(60), range(60), 1 / rate, rate=rate, waveform=tone(2))
    found = ledger(path)
    assert (found.decoded, found.stated_frames, found.decode_errors, found.corrupt) == (60, 60, 0, 0)
    assert not found.partial
    assert (found.first_us, found.last_us) == (0, 1_968_633)
    assert found.duration_us == pytest.approx(2_002_000, abs=1)
    assert found.stated_duration_us == 2_002_000
    assert found.rate == found.stated_rate == rate
    assert (found.shortest_us, found.longest_us) == (33_366, 33_367)
    assert (1 / found.time_base).denominator == 1
    assert (found.width, found.height, found.rotation, found.size_changes) == (64, 48, 0, 0)
    assert (found.codec, found.pixel_format) == ("h264", "yuv420p")
    assert found.sound and (found.sound.sample_rate, found.sound.channels) == (44_100, 1)
    assert found.sound_kind == "present"
    assert found.sound_offset_us == pytest.approx(0, abs=1000)


def test_a_variable_rate_is_told_by_its_gaps(tmp_path: Path) -> None:
    pts = [0, 3000, 7000, 9000, 20_000]
    write_video(tmp_path / "a.mp4", pictures(5), pts, Fraction(1, 90_000), rate=Fraction(25))
    found = ledger(tmp_path / "a.mp4")
    assert found.rate is None
    assert (found.shortest_us, found.longest_us) == (22_222, 122_222)
    assert (found.first_us, found.last_us) == (0, 222_222)
    assert found.duration_us == 222_222 + 38_889  # the last frame stands as long as the median
    assert found.time_base == Fraction(1, 90_000)


@pytest.mark.parametrize("rate", [8, Fraction(24_000, 1001), 600])
def test_rates_from_8_to_600(tmp_path: Path, rate: Fraction | int) -> None:
    found = ledger(encoded(tmp_path / "a.mp4", 30, rate))
    assert found.rate == rate
    assert found.duration_us == pytest.approx(30 / rate * 1_000_000, abs=2)


def test_a_stated_average_that_is_off_hides_no_constant_rate(tmp_path: Path) -> None:
    """A last frame that stands longer than the others spoils the average, and no frame's time."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        packets = []
        for picture in pictures(50):
            packets += stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))
        packets += stream.encode(None)
        packets[-1].duration = 5
        container.mux(packets)
    found = ledger(path)
    assert found.stated_rate != 25
    assert found.rate == 25


def test_ten_bits_and_other_containers(tmp_path: Path) -> None:
    found = ledger(encoded(tmp_path / "a.mkv", 20, pix_fmt="yuv420p10le"))
    assert (found.pixel_format, found.decoded, found.stated_frames) == ("yuv420p10le", 20, None)
    assert found.stated_rate == 25 and found.rate == 25
    assert found.time_base == Fraction(1, 1000)


def test_a_lone_frame(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", pictures(1), [0], Fraction(1, 25), rate=Fraction(25))
    found = ledger(tmp_path / "a.mp4")
    assert (found.decoded, found.shortest_us, found.longest_us, found.duration_us) == (1, None, None, 40_000)


def with_pcm(path: Path, start: int, seconds: int = 1) -> Path:
    """Two seconds of video, and stereo sound whose beginning (in samples of 1/16000 s) and length are exact."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=16_000, layout="stereo")
        packets = [p for one in pictures(50) for p in video.encode(av.VideoFrame.from_ndarray(one, format="rgb24"))]
        container.mux([*packets, *video.encode(None)])
        for second in range(seconds):
            frame = av.AudioFrame.from_ndarray(np.full((1, 32_000), 1000, np.int16), "s16", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 16_000, start + 16_000 * second, Fraction(1, 16_000)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.mov", "a.mkv"])
@pytest.mark.parametrize("start", [0, 4000, 12_345])
def test_the_offset_and_the_end_of_late_sound(tmp_path: Path, name: str, start: int) -> None:
    found = ledger(with_pcm(tmp_path / name, start))
    assert found.sound and (found.sound.channels, found.sound.samples) == (2, 16_000)
    assert found.sound_offset_us == pytest.approx(start * 62.5, abs=1000)
    assert found.sound_overhang_us == pytest.approx(start * 62.5 - 1_000_000, abs=1000)


def test_late_sound_in_aac_begins_with_the_packet_that_primes_its_decoder(tmp_path: Path) -> None:
    """FFmpeg skips the 1024 priming samples of AAC in MP4 only where the sound begins at 0."""
    path = tmp_path / "a.mp4"
    for late in (Fraction(0), Fraction(1, 2)):
        clock = {"pts": range(25), "time_base": Fraction(1, 25), "rate": Fraction(25)}
        write_video(path, pictures(25), **clock, waveform=tone(1), sound_start=late)  # type: ignore[arg-type]
        primed = Fraction(1024, 44_100) if late else 0
        assert ledger(path).sound_offset_us == pytest.approx(1_000_000 * (late - primed), abs=1000)


def test_sound_before_late_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, pictures(25), range(25, 50), Fraction(1, 25), rate=Fraction(25), waveform=tone(1.5))
    found = ledger(path)
    assert found.first_us == 1_000_000
    assert found.sound_offset_us == pytest.approx(-1_000_000, abs=1000)
    assert found.sound_overhang_us == pytest.approx(-500_000, abs=25_000)  # AAC comes in frames of 23 ms


def test_no_sound_and_silent_sound(tmp_path: Path) -> None:
    clock = {"pts": range(10), "time_base": Fraction(1, 25), "rate": Fraction(25)}
    write_video(tmp_path / "none.mp4", pictures(10), **clock)  # type: ignore[arg-type]
    write_video(tmp_path / "silent.mp4", pictures(10), **clock, waveform=0 * tone(0.4))  # type: ignore[arg-type]
    none, silent = ledger(tmp_path / "none.mp4"), ledger(tmp_path / "silent.mp4")
    assert (none.sound_kind, none.sound_offset_us, none.sound_overhang_us) == ("none", None, None)
    assert silent.sound_kind == "silent"
    assert silent.sound and silent.sound.samples > 16_000


def test_the_extent_of_sound_is_that_of_the_waveform(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, pictures(5), range(5), Fraction(1, 25), rate=Fraction(25), waveform=tone(1), sound_start=1)  # type: ignore[arg-type]
    sound, extent = read_sound(path, 44_100, lambda _: None), measure_sound(path)
    assert sound and extent
    assert (extent.samples, extent.start_us) == (sound.samples, sound.start_us)
    assert extent.end_us == pytest.approx(extent.start_us + extent.samples / 0.0441, abs=1)


def test_sound_that_cannot_be_decoded_costs_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_video(path, pictures(25), range(25), Fraction(1, 25), rate=Fraction(25), waveform=tone(1))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"A_AAC", b"A_XXX"))
    found = ledger(path)
    assert (found.decoded, found.sound, found.sound_kind) == (25, None, "broken")
    assert "has a sound track of which nothing can be decoded" in str(found.sound_failure)


@pytest.mark.parametrize(("degrees", "found_degrees"), [(90, 270), (180, 180), (270, 90)])
def test_rotation(tmp_path: Path, degrees: int, found_degrees: int) -> None:
    """The matrix in the track header turns clockwise; the ledger tells the way counter-clockwise."""
    path = tmp_path / "a.mp4"
    write_video(path, pictures(3), range(3), Fraction(1, 25), rate=Fraction(25))
    content = path.read_bytes()
    start = content.index(b"tkhd") + 4 + 40
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    fixed = (np.array([cosine, sine, 0, -sine, cosine, 0, 0, 0, 16384], np.int64) * 65536).astype(">i4")
    path.write_bytes(content[:start] + fixed.tobytes() + content[start + 36 :])
    found = ledger(path)
    assert found.rotation == found_degrees
    assert (found.width, found.height) == ((64, 48) if degrees == 180 else (48, 64))


def test_a_container_that_counts_wrong(tmp_path: Path) -> None:
    """An AVI's header says how many frames there are: 36 bytes into the stream header (strh)."""
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture in pictures(50):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    content = bytearray(path.read_bytes())
    at = content.index(b"strh") + 8 + 32
    assert struct.unpack_from("<I", content, at) == (50,)
    struct.pack_into("<I", content, at, 53)
    path.write_bytes(content)
    found = ledger(path)
    assert (found.decoded, found.stated_frames, found.partial) == (50, 53, False)


def test_a_size_that_changes(tmp_path: Path) -> None:
    parts = [encoded(tmp_path / f"{width}.h264", 10, sizes=(width,)).read_bytes() for width in (64, 96)]
    (tmp_path / "both.h264").write_bytes(b"".join(parts))
    path = tmp_path / "both.mkv"
    with av.open(str(tmp_path / "both.h264")) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(p for p in source.demux(video=0) if p.size):
            packet.pts = packet.dts = number * 40
            packet.time_base, packet.stream = Fraction(1, 1000), stream
            target.mux(packet)
    found = ledger(path)
    assert (found.decoded, found.size_changes, found.width, found.height) == (20, 1, 64, 48)


@pytest.mark.parametrize("name", ["cut.mkv", "cut.webm"])
def test_a_file_cut_short_is_told_as_far_as_it_goes(tmp_path: Path, name: str) -> None:
    path = encoded(tmp_path / "whole.mkv", 250)
    (tmp_path / name).write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = ledger(tmp_path / name)
    assert found.partial
    assert 50 < found.decoded < 200
    assert found.stated_duration_us == 10_000_000
    assert found.duration_us == pytest.approx(found.decoded * 40_000)
    assert found.rate == 25


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        ledger(tmp_path / "a.mp4")


def test_frames_may_be_watched(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", pictures(7), range(7), Fraction(1, 25), rate=Fraction(25))
    video = open_video(tmp_path / "a.mp4")
    seen = []
    found = probe(video, (seen.append(frame.index) or frame for frame in video.frames()))  # type: ignore[func-returns-value]
    assert seen == list(range(found.decoded))


def test_real_clips(shared_media: Path) -> None:
    noface = ledger(shared_media / "no_face.mp4")
    assert (noface.decoded, noface.stated_frames, noface.rate) == (95, 98, 24)
    varying = ledger(shared_media / "face_noface.mov")
    assert (varying.decoded, varying.rate, varying.codec) == (169, None, "hevc")
    assert varying.sound_offset_us == 2_430_023 and (varying.sound_overhang_us or 0) < 0
    assert ledger(shared_media / "WolfgangLanger_Pexels.mp4").sound_kind == "silent"


def videos(*clips: str) -> list[Source]:
    return [Source(clip, Path(f"{clip}.mp4")) for clip in clips]


def test_label_files_find_their_videos_and_persons() -> None:
    found = videos("b", "a", "video10_1", "c_left", "c", "d")
    stems = ["a", "a_right", "b_left", "b_right", "video10_1_left", "c_left", "c_right", "z", "z_left", "d_leftish"]
    matches = match_labels(found, stems)
    assert [(one.clip, one.source.clip, one.person) for one in matches.labelled] == [
        ("b_left", "b", "left"),
        ("b_right", "b", "right"),
        ("a", "a", "not-right"),  # beside the right person alone: the other one
        ("a_right", "a", "right"),
        ("video10_1_left", "video10_1", "left"),
        ("c_left", "c_left", "main"),  # a video of this name is there
        ("c_right", "c", "right"),
    ]
    assert matches.without_video == ["d_leftish", "z", "z_left"]
    assert [source.clip for source in matches.without_labels] == ["d"]
    assert [one.clip for one in matches.of(found[1])] == ["a", "a_right"]


def test_label_files_are_found_in_the_depths(tmp_path: Path) -> None:
    for name in (
        *("Train_Set/a.txt", "Validation_Set/b_left.TXT", "c.csv", "d.affect.parquet", "d.faces.parquet", "e.mp4"),
        *(".hidden.txt", ".git/f.txt", "__MACOSX/._a.txt"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert {stem: file.name for stem, file in label_stems(tmp_path).items()} == {
        "a": "a.txt",
        "b_left": "b_left.TXT",
        "c": "c.csv",
        "d": "d.affect.parquet",
    }
    assert label_stems(tmp_path / "c.csv") == {"c": tmp_path / "c.csv"}
    (tmp_path / "Train_Set" / "b_left.txt").touch()
    with pytest.raises(InputError, match=r"b_left.TXT: and .*b_left.txt are both labels of 'b_left'"):
        label_stems(tmp_path)


def test_no_label_files_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no label file, nor do its directories"):
        label_stems(tmp_path)
    with pytest.raises(InputError, match="nosuch: does not exist"):
        label_stems(tmp_path / "nosuch")
