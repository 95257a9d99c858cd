"""Videos that are odd, damaged or none at all, each beside a good one that must not be harmed by it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import schemas, tables
from affcli.synthetic.clip import ClipPlan, synthesise

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Pictures = Sequence[NDArray[np.uint8]]

N = 20
FAST = {"preset": "ultrafast"}


def someone(n: int = N, side: int = 240) -> list[NDArray[np.uint8]]:
    """One person, always the same, in pictures of any size."""
    return list(synthesise(ClipPlan(seconds=n / 25, seed=1, subject=1, width=side, height=side, sound=False)).frames())


def encode(
    path: Path,
    pictures: Pictures,
    codec: str = "libx264",
    kind: str = "yuv420p",
    rate: int = 25,
    options: dict[str, str] | None = None,
) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or (FAST if codec == "libx264" else {}))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = kind
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def packets(path: Path) -> list[tuple[int, int]]:
    """Where each packet of a video is in its file, and its size, bytes."""
    with av.open(str(path)) as container:
        return [(int(packet.pos or 0), packet.size) for packet in container.demux(video=0) if packet.size]


def spoil(path: Path, which: Sequence[int], change: Callable[[int], int]) -> Path:
    content = bytearray(path.read_bytes())
    found = packets(path)
    for number in which:
        start, size = found[number]
        content[start + 5 : start + size] = bytes(map(change, content[start + 5 : start + size]))
    path.write_bytes(content)
    return path


def turn(path: Path, degrees: int) -> Path:
    """Say in the track header (tkhd) of an MP4 that its pictures are to be turned clockwise."""
    content = path.read_bytes()
    start = content.index(b"tkhd") + 4 + 40
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    fixed = (np.array([cosine, sine, 0, -sine, cosine, 0, 0, 0, 16384], np.int64) * 65536).astype(">i4")
    path.write_bytes(content[:start] + fixed.tobytes() + content[start + 36 :])
    return path


def join(path: Path, parts: Sequence[Pictures]) -> Path:
    """H.264 streams one after the other as one track."""
    raw = path.with_suffix(".h264")
    raw.write_bytes(b"".join(encode(path.with_suffix(f".{i}.h264"), part).read_bytes() for i, part in enumerate(parts)))
    with av.open(str(raw)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(p for p in source.demux(video=0) if p.size):
            packet.pts = packet.dts = number * 40
            packet.time_base, packet.stream = Fraction(1, 1000), stream
            target.mux(packet)
    for left in path.parent.glob("*.h264"):
        left.unlink()
    return path


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("good") / "good.mp4", someone())


@pytest.fixture(scope="module")
def unharmed(good: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the good clip gives by itself."""
    return contents(extracted(tmp_path_factory.mktemp("alone"), good))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def extracted(out: Path, *videos: Path) -> Path:
    subprocess.run([sys.executable, "-m", "affcli", "extract-faces", *videos, out], check=True, capture_output=True)
    return out


def faces_of(folder: Path, clip: str) -> tables.Table:
    return tables.read(folder / f"{clip}.faces.parquet", schemas.FACES)


@pytest.fixture(scope="module")
def odd(
    good: Path, unharmed: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One run over the good clip and many that are odd, but whole."""
    videos, out = tmp_path_factory.mktemp("odd"), tmp_path_factory.mktemp("out")
    encode(videos / "ten-bit.mp4", someone(), kind="yuv420p10le")
    encode(videos / "fast.mp4", someone(), rate=600)
    encode(videos / "full-chroma.mkv", someone(), "ffv1", "yuv444p")
    encode(videos / "pixel.mkv", [np.full((1, 1, 3), 200, np.uint8)] * 5, "ffv1")
    encode(videos / "line.mkv", [np.full((1, 300, 3), 200, np.uint8)] * 5, "ffv1")
    encode(videos / "odd-sides.mkv", [picture[:235, :237] for picture in someone()], "ffv1")
    for degrees in (90, 180, 270):
        turned = [np.ascontiguousarray(np.rot90(picture, degrees // 90)) for picture in someone()]
        turn(encode(videos / f"turned-{degrees}.mp4", turned), degrees)
    join(videos / "grows.mkv", [someone(side=256), someone(side=512)])
    for matrix in ("YCgCo", "bt2020c"):
        encode(videos / f"{matrix}.mp4", someone(), options={**FAST, "x264-params": f"colormatrix={matrix}"})
    command = [sys.executable, "-m", "affcli", "extract-faces", *map(str, (videos, good, out))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert {name: content for name, content in contents(out).items() if name in unharmed} == unharmed
    return out, done


def test_odd_videos_are_worked_on_like_others(odd: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = odd
    assert done.returncode == 0, done.stderr
    said = sorted(line.rpartition("/")[2] for line in done.stderr.splitlines())
    assert said == [
        "affcli: 13 clips: 13 made",
        "grows.mkv: its pictures change from 256x256 to 512x512 at frame 20",
        "line.mkv: no face in any of 5 frames",
        "pixel.mkv: no face in any of 5 frames",
    ]


@pytest.mark.parametrize(
    "clip", ["ten-bit", "full-chroma", "odd-sides", "turned-90", "turned-180", "turned-270", "YCgCo", "bt2020c", "fast"]
)
def test_a_face_is_the_same_however_its_video_is_stored(
    odd: tuple[Path, subprocess.CompletedProcess[str]], clip: str
) -> None:
    table, usual = faces_of(odd[0], clip), faces_of(odd[0], "good")
    assert table.data.num_rows == N and table.column("valid").all()
    width = np.median(usual.column("x2") - usual.column("x1"))
    for name in ("x1", "y2", "nose_x", "nose_y", "left_eye_y"):
        assert np.abs(table.column(name) - usual.column(name)).max() < 0.06 * width
    assert np.abs(table.array().astype(int) - usual.array()).mean() < 6
    period_us = 1_000_000 / 600 if clip == "fast" else 40_000
    assert table.column("time_us") == pytest.approx(np.arange(N) * period_us, abs=1)


def test_pictures_that_grow_keep_their_true_shapes_and_end_the_track(
    odd: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    table, usual = faces_of(odd[0], "grows"), faces_of(odd[0], "good")
    assert table.data.num_rows == 2 * N and table.column("valid").all()
    wide = table.column("x2") - table.column("x1")
    assert wide[N:] / wide[:N] == pytest.approx(np.full(N, 2), abs=0.2)
    for name in ("nose_x", "nose_y"):
        in_small, in_large = table.column(name)[:N] * 240 / 256, table.column(name)[N:] * 240 / 512
        assert np.abs(in_small - usual.column(name)).max() < 4
        assert np.abs(in_large - usual.column(name)).max() < 4
    tracks = table.column("track")
    assert set(tracks[:N]).isdisjoint(tracks[N:])
    assert (table.header.facts["width"], table.header.facts["height"]) == (256, 256)


CANNOT = "holds no frame that can be decoded; check that it plays"
STOPS = (
    "ends at 2.00 s of 8.00 s, after 50 frames, expected a whole video; "
    "copy it again, or keep what is there with --keep-partial"
)


def cut_short(path: Path) -> Path:
    """Eight seconds are stated, two are there."""
    encode(path, [np.full((48, 64, 3), 60 + i % 90, np.uint8) for i in range(200)], "ffv1")
    path.write_bytes(path.read_bytes()[: packets(path)[50][0]])
    return path


def without_size(path: Path) -> Path:
    """Matroska's PixelWidth and PixelHeight of 64 and 48 are made 0."""
    encode(path, [np.full((48, 64, 3), 90 + i, np.uint8) for i in range(5)], "ffv1")
    content = path.read_bytes()
    for number, side in ((b"\xb0", b"\x40"), (b"\xba", b"\x30")):
        assert content.count(number + b"\x81" + side) == 1
        content = content.replace(number + b"\x81" + side, number + b"\x81\x00")
    path.write_bytes(content)
    return path


def of_unknown_coding(path: Path) -> Path:
    content = encode(path, someone(2)).read_bytes()
    path.write_bytes(content.replace(b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/AVC"))
    return path


def test_bad_videos_are_reported_each_in_a_line_and_the_good_one_is_made(
    affcli: Command, good: Path, unharmed: dict[str, bytes], tmp_path: Path
) -> None:
    bad = {
        "cut.mkv": (cut_short(tmp_path / "cut.mkv"), STOPS),
        "zero.mkv": (without_size(tmp_path / "zero.mkv"), CANNOT),
        "blank.mp4": (spoil(encode(tmp_path / "blank.mp4", someone(3)), range(3), lambda _: 0), CANNOT),
        "unknown.mkv": (
            of_unknown_coding(tmp_path / "unknown.mkv"),
            "holds video in a coding that FFmpeg does not know, expected video that can be decoded; "
            "write it anew, in H.264 for instance, with the program that made it",
        ),
    }
    videos = [path for path, _ in bad.values()]
    out = tmp_path / "out"
    done = affcli("extract-faces", *videos, good, out)
    assert (done.returncode, done.stdout) == (3, "")
    *lines, last = done.stderr.splitlines()
    assert sorted(lines) == sorted(f"affcli: {path}: {message}" for path, message in bad.values())
    assert last.startswith("affcli: 5 clips: 1 made, 4 failed (")
    assert contents(out) == unharmed

    done = affcli("extract-faces", tmp_path / "cut.mkv", good, out, "--keep-partial")
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert f"affcli: {tmp_path}/cut.mkv: ends at 2.00 s of 8.00 s, after 50 frames; the rest is missing" in lines
    assert lines[-1] == "affcli: 2 clips: 1 made, 1 up to date"
    assert faces_of(out, "cut").data.num_rows == 50


def test_damage_in_the_middle_costs_its_own_frames_and_is_said(
    affcli: Command, good: Path, unharmed: dict[str, bytes], tmp_path: Path
) -> None:
    """Every frame stands by itself here, so that a packet is a frame."""
    video = encode(tmp_path / "damaged.mp4", someone(), options={**FAST, "g": "1"})
    spoil(video, (7, 8, 13), lambda byte: byte ^ 0x5A)
    done = affcli("extract-faces", video, good, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "out").items() >= unharmed.items()
    table = faces_of(tmp_path / "out", "damaged")
    errors = table.header.facts["decode_errors"]
    damaged = int(table.column("corrupt").sum())
    assert errors + damaged >= 3 and table.data.num_rows == N - errors
    said = done.stderr.splitlines()
    assert f"affcli: {video}: {errors} packets could not be decoded, {damaged} frames are damaged" in said
    assert (f"affcli: {video}: the container states {N} frames, {N - errors} were decoded" in said) == (errors > 0)
    lost = sorted({40_000 * frame for frame in range(N)} - set(table.column("time_us").tolist()))
    assert set(lost) <= {40_000 * frame for frame in (7, 8, 13)} and len(lost) == errors


def test_huge_pictures_fit_into_memory(tmp_path: Path) -> None:
    """48 million pixels a frame: 144 MB as RGB."""
    picture: NDArray[np.uint8] = np.full((6000, 8000, 3), 90, np.uint8)
    picture[1000:5000, 2000:6000] = cv2.resize(someone(1)[0], (4000, 4000))
    encode(tmp_path / "huge.mkv", [picture] * 3, "mjpeg", "yuvj420p")
    program = (
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'affcli', 'extract-faces', 'huge.mkv', 'out'], check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert int(done.stdout) * 1024 < 1.2e9
    assert done.stderr == "affcli: 1 clip: 1 made\n"
    table = faces_of(tmp_path / "out", "huge")
    assert table.column("valid").all()
    assert table.array()[0].mean() > 20
    box = [table.column(name)[0] for name in ("x1", "y1", "x2", "y2")]
    assert 2000 < box[0] < box[2] < 6000 and 1000 < box[1] < box[3] < 5000


@pytest.mark.parametrize("name", ["-dash", "a;b", "es\x1b[31mc", "line\nend", "$(true)"])
def test_a_name_that_is_no_safe_file_name(
    affcli: Command, good: Path, unharmed: dict[str, bytes], tmp_path: Path, name: str
) -> None:
    (tmp_path / f"{name}.mp4").symlink_to(good)
    for command in ("extract-faces", "extract-audio")[: 1 + (name == "a;b")]:
        done = affcli(command, tmp_path / f"{name}.mp4", tmp_path / "out" / command)
        assert done.returncode == 3
        (line,) = done.stderr.splitlines()
        assert line.startswith(
            f"affcli: clip {name!r}: cannot be a name of files, expected letters, digits, blanks and "
        )
        assert line.isprintable()
        assert not (tmp_path / "out").exists()
    if name == "a;b":
        done = affcli("extract-faces", tmp_path / "a;b.mp4", good, tmp_path / "out")
        assert done.stderr.splitlines()[1:] == ["affcli: 2 clips: 1 made, 1 failed (clip 'a;b')"]
        assert contents(tmp_path / "out") == unharmed


def test_a_name_that_begins_with_a_dash_is_no_option(affcli: Command, good: Path, tmp_path: Path) -> None:
    (tmp_path / "-x.mp4").symlink_to(good)
    done = affcli("extract-faces", "--", "-x.mp4", "out", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "clip '-x': cannot be a name of files" in done.stderr


def test_weights_with_a_wrong_digest(
    affcli: Command, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "scrfd-500m.buffalo-sc"
    monkeypatch.setenv("AFFCLI_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "cache" / "weights" / name / "det_500m.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not these")
    done = affcli("extract-faces", good, tmp_path / "out", "--detector", name)
    assert done.returncode == 5
    found = hashlib.sha256(b"not these").hexdigest()[:12]
    wanted = f"SHA-256 {found}..., expected 5e4447f50245...; run: affcli models pull {name}"
    assert done.stderr == f"affcli: {path}: {wanted}\n"
    assert not (tmp_path / "out").exists()


def test_a_clip_of_a_csv_that_leads_elsewhere(affcli: Command, tmp_path: Path) -> None:
    labels, out = tmp_path / "labels", tmp_path / "a" / "out"
    labels.mkdir()
    (labels / "clips.csv").write_text("clip,frame,valence,arousal\n../../up,0,0,0\n/tmp/root,0,0,0\nfine,0,0.5,0\n")
    done = affcli("import-labels", labels, out)
    assert done.returncode == 3
    first, second, last = done.stderr.splitlines()
    for line, clip in ((first, "../../up"), (second, "/tmp/root")):
        assert line.startswith(
            f"affcli: {labels}/clips.csv, clip '{clip}': cannot be a name of files, expected letters"
        )
        assert line.endswith("; rename it")
    assert last.startswith("affcli: 3 clips: 1 made, 2 failed (")
    assert [path.name for path in out.iterdir()] == ["fine.affect.parquet"]
    assert sorted(tmp_path.iterdir()) == [tmp_path / "a", labels]
    assert list((tmp_path / "a").iterdir()) == [out]
