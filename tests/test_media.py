"""Frames keep the container's own times; see test_audio.py for sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import InputError
from affcli.media.find import sources
from affcli.media.video import open_video
from affcli.media.write import write_video


def pictures(n: int, height: int = 48, width: int = 64) -> list[NDArray[np.uint8]]:
    """Pictures whose brightness tells their number."""
    return [np.full((height, width, 3), 20 + 4 * (i % 50), np.uint8) for i in range(n)]


def test_frames_have_their_own_times(tmp_path: Path) -> None:
    pts = np.array([0, 3000, 7000, 9000, 20_000])
    write_video(tmp_path / "a.mp4", pictures(5), pts, Fraction(1, 90_000), rate=Fraction(25))
    video = open_video(tmp_path / "a.mp4")
    frames = list(video.frames())
    assert [frame.time_us for frame in frames] == [0, 33_333, 77_778, 100_000, 222_222]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert video.decoded == 5
    assert clock.constant_rate(np.array([f.time_us for f in frames]), video.rate) is None


def test_a_picture_is_upright_rgb(tmp_path: Path) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[:, :, 0] = 200
    write_video(tmp_path / "a.mp4", [red], [0], Fraction(1, 25), rate=Fraction(25))
    picture = next(open_video(tmp_path / "a.mp4").frames()).image()
    assert picture.shape == (48, 64, 3)
    assert abs(int(picture[..., 0].mean()) - 200) < 6
    assert picture[..., 1:].max() < 12


def test_a_video_can_be_read_twice(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", pictures(7), range(7), Fraction(1, 25), rate=Fraction(25))
    video = open_video(tmp_path / "a.mp4")
    assert [f.time_us for f in video.frames()] == [f.time_us for f in video.frames()]


def test_a_video_that_changes_between_passes_is_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", pictures(7), range(7), Fraction(1, 25), rate=Fraction(25))
    video = open_video(tmp_path / "a.mp4")
    assert len(list(video.frames())) == 7
    write_video(tmp_path / "a.mp4", pictures(5), range(5), Fraction(1, 25), rate=Fraction(25))
    with pytest.raises(InputError, match="has fewer frames than a moment ago"):
        list(video.frames())


def test_a_video_that_breaks_off_is_refused_or_kept_in_part(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (75, 48, 64, 3), dtype=np.uint8)
    write_video(tmp_path / "whole.mp4", list(noise), range(75), Fraction(1, 25), rate=Fraction(25))
    fast = tmp_path / "fast.mp4"
    with (
        av.open(str(tmp_path / "whole.mp4")) as source,
        av.open(str(fast), "w", options={"movflags": "faststart"}) as target,
    ):
        copy = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    content = fast.read_bytes()
    fast.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"fast\.mp4: ends at 1\.\d+ s of 3\.00 s.*--keep-partial"):
        list(open_video(fast).frames())
    kept = list(open_video(fast, keep_partial=True).frames())
    assert 30 <= len(kept) <= 40


def encoded(path: Path, codec: str, n: int = 50, options: dict[str, str] | None = None) -> Path:
    """Noise at 25 frames per second, in any container and codec."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for _ in range(n):
            picture = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["cut.mkv", "cut.webm"])
def test_a_cut_file_whose_stream_states_no_duration(tmp_path: Path, name: str) -> None:
    codec = "libvpx" if name.endswith("webm") else "libx264"
    path = encoded(tmp_path / name, codec, 250, {"deadline": "realtime"} if codec == "libvpx" else {})
    assert len(list(open_video(path).frames())) == 250
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"ends at \d\.\d+ s of \d+\.\d+ s.*--keep-partial"):
        list(open_video(path).frames())
    video = open_video(path, keep_partial=True)
    assert 50 < len(list(video.frames())) < 200
    assert video.partial


@pytest.mark.parametrize(
    ("codec", "options"),
    [("libx264", {"bf": "2", "b-adapt": "0"}), ("libx264", {"bf": "3"}), ("mpeg4", {}), ("mjpeg", {})],
)
def test_avi_has_its_frames_in_order_from_its_start(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    path = encoded(tmp_path / "a.avi", codec, 50, options)
    video = open_video(path)
    times = np.array([frame.time_us for frame in video.frames()])
    assert times.tolist() == clock.frame_times(50, Fraction(25)).tolist()
    assert video.constant_rate(times) == 25


def test_a_container_that_counts_milliseconds_still_has_a_constant_rate(tmp_path: Path) -> None:
    rate = Fraction(30_000, 1001)
    write_video(tmp_path / "a.mkv", pictures(100), range(100), 1 / rate, rate=rate)
    video = open_video(tmp_path / "a.mkv")
    assert video.constant_rate(np.array([frame.time_us for frame in video.frames()])) == rate


def test_a_directory_may_have_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run:1").mkdir()
    write_video(Path("run:1") / "a.mp4", pictures(3), range(3), Fraction(1, 25), rate=Fraction(25))
    assert len(list(open_video(Path("run:1") / "a.mp4").frames())) == 3


@pytest.mark.parametrize(("degrees", "turns"), [(90, 3), (180, 2), (270, 1)])
def test_a_turned_picture_is_set_upright(tmp_path: Path, degrees: int, turns: int) -> None:
    """A phone's rotation is a matrix in the track header (tkhd) of an MP4: 16.16 fixed point, clockwise."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 220  # a bright corner, left above
    path = tmp_path / "a.mp4"
    write_video(path, [picture] * 3, range(3), Fraction(1, 25), rate=Fraction(25))
    content = path.read_bytes()
    start = content.index(b"tkhd") + 4 + 40
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = np.array([cosine, sine, 0, -sine, cosine, 0, 0, 0, 16384], dtype=np.int64)
    fixed = (matrix * 65536).astype(">i4")
    path.write_bytes(content[:start] + fixed.tobytes() + content[start + 36 :])
    upright = next(open_video(path).frames()).image()
    expected = np.rot90(picture, turns)  # clockwise
    assert upright.shape == expected.shape
    assert np.abs(upright.astype(int) - expected).mean() < 8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"valence,arousal\n0.1,0.2\n", "cannot be opened as video or audio"),
    ],
)
def test_what_is_no_video_says_so(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_video(path)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="holds audio only, expected a video stream"):
        open_video(tmp_path / "a.mp4")


def test_sources_are_files_directories_and_their_depths(tmp_path: Path) -> None:
    for name in ("b/two.AVI", "one.mp4", "b/notes.txt", ".hidden.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [source.clip for source in sources([tmp_path])] == ["two", "one"]
    assert [source.clip for source in sources([tmp_path / "one.mp4", tmp_path])] == ["one", "two"]


def test_sound_files_are_clips_where_they_are_asked_for(tmp_path: Path) -> None:
    for name in ("one.mp4", "two.WAV", "three.flac", "notes.txt"):
        (tmp_path / name).touch()
    assert [source.clip for source in sources([tmp_path])] == ["one"]
    assert [source.clip for source in sources([tmp_path], sound=True)] == ["one", "three", "two"]
    (tmp_path / "one.mp4").unlink()
    with pytest.raises(InputError, match="holds no video, expected files that end in"):
        sources([tmp_path])


def test_two_clips_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a/clip.mp4", "b/clip.avi"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="are both clip 'clip'"):
        sources([tmp_path / "a", tmp_path / "b"])


def test_a_directory_without_videos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(InputError, match="holds no video, expected files that end in"):
        sources([tmp_path])


@pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "a\0b.mp4"])
def test_what_can_be_no_path_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot be a path"):
        sources([Path(name)])


def test_times_that_go_back_are_refused_with_the_frame(tmp_path: Path) -> None:
    one = tmp_path / "one.ts"
    with av.open(str(one), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture in pictures(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + one.read_bytes())
    with pytest.raises(
        InputError, match=r"frame 20 is at 0\.000 s, after one at 0\.760 s, expected times that increase"
    ):
        list(open_video(both).frames())
