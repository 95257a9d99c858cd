"""extract-audio as a user runs it: tracks, stand-ins, sound alone, speech, and where the clock comes from."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sounds import CLICK_SECONDS, CLICKS, H264, MPEG4, clicks, shown, tones, write

from affcli import clock, recipes, schemas, tables
from affcli.media.write import write_video
from affcli.synthetic.clip import ClipPlan, synthesise

Command = Callable[..., "subprocess.CompletedProcess[str]"]
RATE = 16_000


def audio(out: Path, clip: str) -> tables.Table:
    """The audio table of a clip, its array checked."""
    table = tables.read(out / f"{clip}.audio.parquet", schemas.AUDIO)
    tables.verify_array(table.path, table.header)
    return table


def contents(folder: Path, pattern: str = "*.audio.*") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob(pattern)}


def video(path: Path, waves: Any, sample_rate: int = RATE, **how: Any) -> Path:
    """Two seconds at 25 frames per second, with the given sound."""
    return write(path, "pcm_s16le", sample_rate, waves, **{"pictures": shown(MPEG4), **how})


def first_click(table: tables.Table) -> float:
    """When the first click is heard, s on the clock of the frames."""
    wave = np.abs(table.array()[: RATE // 2].astype(float))
    loud = np.flatnonzero(wave > 0.3 * wave.max())
    return float(loud[0] + loud[-1]) / 2 / RATE + table.header.facts["start_us"] / 1e6 - CLICK_SECONDS / 2


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A video whose first frame is at 0.4 s, with sound of its own."""
    folder = tmp_path / "videos"
    folder.mkdir()
    video(folder / "pair.mkv", tones(RATE, [440])[0] / 2, pictures=shown(MPEG4, first=10))
    return folder


def test_a_sound_file_stands_in_for_the_track(affcli: Command, pair: Path, tmp_path: Path) -> None:
    sounds, out = tmp_path / "sounds", tmp_path / "out"
    sounds.mkdir()
    write(sounds / "pair.flac", "flac", 48_000, clicks(48_000))
    done = affcli("extract-audio", pair, out, "--audio", sounds)
    assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 made\n")
    table = audio(out, "pair")
    assert table.header.inputs == [recipes.source(pair / "pair.mkv"), recipes.source(sounds / "pair.flac")]
    assert (table.column("time_us")[0], table.header.facts["start_us"], table.column("sample")[0]) == (400_000,) * 2 + (
        0,
    )
    assert first_click(table) == pytest.approx(0.4 + CLICKS[0], abs=1e-3)
    assert affcli("extract-audio", pair, out, "--audio", sounds).stderr == "affcli: 1 clip: 1 up to date\n"

    shifted = affcli("extract-audio", pair, out, "--audio", sounds, "--audio-offset", "-0.15")
    assert shifted.stderr == "affcli: 1 clip: 1 made\n"
    assert first_click(audio(out, "pair")) == pytest.approx(0.25 + CLICKS[0], abs=1e-3)
    assert audio(out, "pair").header.recipe["config"]["audio_offset"] == -0.15

    # Another sound under the same name is noticed.
    write(sounds / "pair.flac", "flac", 48_000, clicks(48_000) / 2)
    assert affcli("extract-audio", pair, out, "--audio", sounds).stderr == "affcli: 1 clip: 1 made\n"


def test_an_mp3_that_begins_late_on_its_own_clock_begins_with_the_video(
    affcli: Command, pair: Path, tmp_path: Path
) -> None:
    write(pair / "pair.mp3", "libmp3lame", 44_100, clicks(44_100))
    assert affcli("extract-audio", pair, tmp_path / "out", "--audio", pair).returncode == 0
    assert first_click(audio(tmp_path / "out", "pair")) == pytest.approx(0.4 + CLICKS[0], abs=1e-3)


def test_each_person_has_a_microphone(affcli: Command, pair: Path, tmp_path: Path) -> None:
    sounds, labels, out = (tmp_path / name for name in ("sounds", "labels", "out"))
    for folder in (sounds, labels):
        folder.mkdir()
    for side in ("left", "right"):
        (labels / f"pair_{side}.txt").touch()
    left, right = tones(RATE, [440, 660])
    write(sounds / "pair_left.wav", "pcm_s16le", RATE, left)
    write(sounds / "pair_right.wav", "pcm_s16le", RATE, right)
    done = affcli("extract-audio", pair, out, "--audio", sounds, "--labels", labels)
    assert done.returncode == 0
    for side, wave in (("left", left), ("right", right)):
        assert np.abs(audio(out, f"pair_{side}").array() - wave * 32767).max() < 1

    # Who has none hears the one that both share; where there is none of these either, that clip alone fails.
    (sounds / "pair_right.wav").rename(sounds / "pair.wav")
    done = affcli("extract-audio", pair, out, "--audio", sounds, "--labels", labels)
    assert done.stderr.splitlines()[-1] == "affcli: 2 clips: 1 made, 1 up to date"
    (sounds / "pair.wav").unlink()
    done = affcli("extract-audio", pair, out, "--audio", sounds, "--labels", labels)
    assert done.returncode == 3
    missing = f"{sounds}/pair_right.wav"
    assert done.stderr.splitlines() == [
        f"affcli: {missing}: does not exist, expected a file named pair_right or pair that ends in one of .aac "
        ".ac3 .aif .aiff .flac .m4a .mka .mp3 .oga .ogg .opus .wav .weba .wma; add it, or run without --audio for "
        "this video",
        f"affcli: 2 clips: 1 up to date, 1 failed ({missing})",
    ]


def test_sound_without_pictures(affcli: Command, tmp_path: Path) -> None:
    sounds, out = tmp_path / "sounds", tmp_path / "out"
    sounds.mkdir()
    write(sounds / "one.wav", "pcm_s16le", RATE, tones(RATE, [440])[0])
    write(sounds / "two.mp3", "libmp3lame", 44_100, clicks(44_100))
    done = affcli("extract-audio", sounds, out, "--rate", "30000/1001")
    assert (done.returncode, done.stderr) == (0, "affcli: 2 clips: 2 made\n")
    one, two = audio(out, "one"), audio(out, "two")
    assert one.column("time_us").tolist() == clock.frame_times(30, Fraction(30_000, 1001)).tolist()
    assert (one.header.facts["rate"], one.header.recipe["config"]["rate"]) == ("30000/1001",) * 2
    assert one.column("valid").all()
    assert two.header.facts["start_us"] == 0
    assert first_click(two) == pytest.approx(CLICKS[0], abs=1e-3)
    assert affcli("embed", out, out, "--encoder", "logmel-stack").returncode == 0
    assert tables.read(out / "one.logmel-stack.parquet", schemas.FEATURES).array().shape == (30, 200)
    assert affcli("extract-audio", sounds, out, "--rate", "30000/1001").stderr == "affcli: 2 clips: 2 up to date\n"


def test_sound_without_pictures_wants_a_rate(affcli: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "one.wav", "pcm_s16le", RATE, tones(RATE, [440])[0])
    done = affcli("extract-audio", path, tmp_path / "out")
    assert (done.returncode, done.stderr) == (
        3,
        f"affcli: {path}: holds sound without pictures, expected a video; say how many frames per second its rows "
        "stand for: --rate 30\n",
    )
    assert not list((tmp_path / "out").glob("*"))
    done = affcli("extract-audio", tmp_path, tmp_path / "out")
    assert (done.returncode, "holds no video, expected files that end in" in done.stderr) == (3, True)
    empty = write(tmp_path / "empty.wav", "pcm_s16le", RATE, np.zeros(0))
    done = affcli("extract-audio", empty, tmp_path / "out", "--rate", "25")
    assert (done.returncode, "holds neither pictures nor a sample of sound" in done.stderr) == (3, True)
    assert not list((tmp_path / "out").glob("*"))


def test_a_rate_changes_nothing_of_a_video(affcli: Command, tmp_path: Path) -> None:
    path = video(tmp_path / "a.mkv", clicks(RATE))
    assert affcli("extract-audio", path, tmp_path / "out", "--rate", "30").returncode == 0
    assert audio(tmp_path / "out", "a").header.facts["rate"] == "25"
    assert affcli("extract-audio", path, tmp_path / "out").stderr == "affcli: 1 clip: 1 up to date\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rate", "29.97"), "--rate 29.97: is a rounded 30000/1001, expected an exact rate; write 30000/1001"),
        (("--rate", "fast"), "--rate fast: is no frame rate"),
        (("--rate", "30", "--audio", "."), "--rate: stands beside --audio, expected one of them"),
        (("--audio-offset", "1"), "--audio-offset: without --audio"),
        (("--channel", "left"), "--channel left: is no channel, expected mean, or 1 for the first channel"),
        (("--channel", "0"), "--channel 0: is no channel"),
        (("--track", "-1"), "--track -1: is no sound track, expected 0 for the first one"),
        (("--vad", "--sample-rate", "8000"), "--sample-rate 8000: beside --vad, expected 16000 Hz"),
    ],
)
def test_options_that_make_no_sense(affcli: Command, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    done = affcli("extract-audio", tmp_path / "a.mp4", tmp_path / "out", *options)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"affcli: {message}")
    assert not (tmp_path / "out").exists()


def test_a_track_and_a_channel(affcli: Command, tmp_path: Path) -> None:
    waves = tones(RATE, [440, 660])
    path = video(tmp_path / "a.mkv", waves, layout="stereo", languages=("eng", "deu"))
    out = tmp_path / "out"
    assert affcli("extract-audio", path, out, "--track", "deu", "--channel", "2").returncode == 0
    table = audio(out, "a")
    assert np.abs(table.array() - waves[1] / 2 * 32767).max() < 1
    assert table.header.recipe["config"] == {
        "sample_rate": RATE, "track": "deu", "channel": "2", "audio_offset": 0.0, "rate": "", "vad": False,
    }  # fmt: skip
    done = affcli("extract-audio", path, out, "--track", "2")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert (
        "a.mkv: has no sound track 2, expected one of its own: 0 (eng, pcm_s16le, 2 channels, 16000 Hz), 1 (deu, "
        in done.stderr
    )
    done = affcli("extract-audio", path, out, "--channel", "3")
    assert done.returncode == 3
    assert "a.mkv: its sound has 2 channels, expected a channel 3; choose a channel from 1 to 2, or mean" in done.stderr
    assert audio(out, "a").header.recipe == table.header.recipe  # what stood there still stands


@pytest.mark.parametrize(
    ("wave", "how", "sound", "valid", "line"),
    [
        (np.zeros(2 * RATE), {}, "silent", 0, "the sound track is silent: every sample is zero"),
        (np.zeros(0), {}, "none", 0, "the sound track is empty: it has no sample"),
        (clicks(RATE, 121.5), {}, "present", 50, "the sound goes on for 119.5 s after the last frame"),
        (clicks(RATE)[: RATE // 2], {}, "present", 13, "the sound ends 1.5 s before the end of the last frame"),
        (clicks(RATE), {"start": Fraction(3, 2)}, "present", 12, "the sound begins 1.5 s after the first frame"),
    ],
)
def test_sound_that_is_not_there_is_a_fact(
    affcli: Command, tmp_path: Path, wave: Any, how: dict[str, Any], sound: str, valid: int, line: str
) -> None:
    path = video(tmp_path / "a.mkv", wave, **how)
    done = affcli("extract-audio", path, tmp_path / "out")
    assert done.returncode == 0
    assert f"affcli: {path}: {line}" in done.stderr.splitlines()
    table = audio(tmp_path / "out", "a")
    assert (table.header.facts["sound"], table.data.num_rows, int(table.column("valid").sum())) == (sound, 50, valid)


def test_damaged_samples_are_counted(affcli: Command, tmp_path: Path) -> None:
    wave = clicks(RATE)
    wave[[5000, 6000]] = np.nan, np.inf
    loud = write(tmp_path / "b.mkv", "pcm_f32le", RATE, 3 * wave, pictures=shown(MPEG4))
    quiet = write(tmp_path / "c.mkv", "pcm_f32le", RATE, clicks(RATE) * 1.3, pictures=shown(MPEG4))
    done = affcli("extract-audio", loud, quiet, tmp_path / "out", "--workers", 1)
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert lines[0] == f"affcli: {loud}: 2 samples are no numbers or infinite: taken as 0 or full scale"
    assert lines[1].startswith(f"affcli: {loud}: ") and lines[1].endswith(" are at full scale: clipped")
    assert len(lines) == 3
    said = affcli("extract-audio", quiet, tmp_path / "out", "--force", "-v").stderr
    assert "c.mkv: " in said and " are at full scale: clipped" in said


def test_sound_that_is_left_out_is_said(affcli: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ogg", "vorbis", 48_000, clicks(48_000), layout="stereo")
    path.write_bytes(2 * path.read_bytes())
    done = affcli("extract-audio", path, tmp_path / "out", "--rate", "25")
    assert done.returncode == 0
    assert done.stderr.startswith(f"affcli: {path}: 2.0")
    assert done.stderr.splitlines()[0].endswith(" s of the sound are left out: there was sound at their times already")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with a face and a voice."""
    plan = ClipPlan(seconds=1.6, seed=1, rate=Fraction(30_000, 1001))
    clip = synthesise(plan)
    path = tmp_path_factory.mktemp("spoken") / "talk.mp4"
    write_video(
        path, clip.frames(), clip.pts, clip.time_base, rate=plan.rate, waveform=clip.waveform,
        sample_rate=clip.sample_rate,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def with_faces(spoken: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What extract-faces makes of that clip."""
    from affcli.cli import faces_of
    from affcli.cli.extraction import Clip, Job
    from affcli.configs import Faces, Tracks

    out = tmp_path_factory.mktemp("faces")
    order = faces_of.Order(out, Tracks(), Faces(), recipes.recipe("find-faces", Tracks()), False, True, False)
    faces_of.work(order, True, Job(spoken, "talk", (Clip("talk", "main"),)), lambda _: None)
    return out


def test_the_clock_of_the_faces_is_that_of_the_video(
    affcli: Command, spoken: Path, with_faces: Path, tmp_path: Path
) -> None:
    assert affcli("extract-audio", spoken, tmp_path / "alone").returncode == 0
    expected = contents(tmp_path / "alone")
    for kept in ("talk.tracks.parquet", "talk.faces.*"):
        out = tmp_path / kept[:8]
        out.mkdir()
        for path in with_faces.glob(kept):
            shutil.copy(path, out)
        done = affcli("extract-audio", spoken, out, "-v")
        assert f"{kept.partition('.*')[0].removesuffix('.parquet')}.parquet: has the times of the frames" in done.stderr
        assert contents(out) == expected


def test_tables_of_another_video_tell_no_time(affcli: Command, spoken: Path, with_faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(with_faces, out)
    other = write(tmp_path / "talk.mp4", "aac", 44_100, clicks(44_100), pictures=shown(H264))
    done = affcli("extract-audio", other, out, "-v")
    assert (done.returncode, "has the times" in done.stderr) == (0, False)
    assert audio(out, "talk").data.num_rows == 50
    # Damaged ones neither.
    for path in out.glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-20])
    done = affcli("extract-audio", spoken, out, "-v")
    assert done.returncode == 0
    assert "talk.tracks.parquet: not used for the times of frames: " in done.stderr
    assert audio(out, "talk").data.num_rows == 48


def test_speech_at_each_frame(affcli: Command, spoken: Path, tmp_path: Path) -> None:
    done = affcli("extract-audio", spoken, tmp_path / "with", "--vad")
    assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 made\n")
    table = audio(tmp_path / "with", "talk")
    speech = table.column("speech")
    assert speech.dtype == np.float32 and not np.isnan(speech).any()
    assert ((speech >= 0) & (speech <= 1)).all() and np.ptp(speech) > 0
    assert list(table.header.recipe["weights"]) == ["silero-vad"]
    assert affcli("extract-audio", spoken, tmp_path / "without").returncode == 0
    plain = audio(tmp_path / "without", "talk")
    assert np.isnan(plain.column("speech")).all()
    assert (plain.array() == table.array()).all()
    assert sorted(path.name for path in (tmp_path / "with").iterdir()) == ["talk.audio.npy", "talk.audio.parquet"]


def test_speech_of_a_silent_clip_is_0(affcli: Command, tmp_path: Path) -> None:
    path = video(tmp_path / "a.mkv", np.zeros(0))
    assert affcli("extract-audio", path, tmp_path / "out", "--vad").returncode == 0
    assert (audio(tmp_path / "out", "a").column("speech") == 0).all()


def test_clips_are_those_of_the_persons_whose_faces_were_taken(
    affcli: Command, tmp_path: Path, write_faces: Callable[..., Path], real_crops: NDArray[np.uint8]
) -> None:
    """`--subject` names clips as extract-faces does; only the pictures tell who `all` are."""
    talk = video(tmp_path / "talk.mkv", tones(RATE, [440])[0] / 2)
    alone = affcli("extract-audio", talk, tmp_path / "out", "--subject", "all")
    assert alone.returncode == 3
    assert "holds no faces of talk_tN, expected those that extract-faces --subject all makes" in alone.stderr
    for clip in ("talk_t0", "talk_t12", "talker_t1"):
        write_faces(tmp_path / "out", clip, real_crops, np.ones(12, bool))
    assert affcli("extract-audio", talk, tmp_path / "out", "--subject", "all").stderr == "affcli: 2 clips: 2 made\n"
    assert affcli("extract-audio", talk, tmp_path / "out", "--subject", "left").stderr == "affcli: 1 clip: 1 made\n"
    made = sorted(path.name for path in (tmp_path / "out").glob("*.audio.parquet"))
    assert made == ["talk_left.audio.parquet", "talk_t0.audio.parquet", "talk_t12.audio.parquet"]
