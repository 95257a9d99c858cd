"""How fast sound becomes features, and in how much memory, against librosa as everybody writes it.

    python tests/benchmarks/audio.py [CLIP] [--seconds 300] [--rounds 5]
    python tests/benchmarks/audio.py --hours 3

A clip of so many seconds is made: the first pictures of CLIP (or of a synthetic clip) at 640x360 again and again, under
a synthetic voice, H.264 and AAC.  First everything in one process, the contestants in turn, `--rounds` times, medians
shown; then as whole processes, as they are typed.  librosa reads a video through the command ffmpeg; that of the
package imageio-ffmpeg is put in the PATH.  CPU seconds include those of child processes; memory is the peak of the main
one, mapped files included.  Run it on an otherwise idle machine, with OMP_NUM_THREADS=1.

With --hours it makes sound of that length instead, and prints the peak memory of extract-audio and embed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import imageio_ffmpeg
import librosa
import numpy as np
from numpy.typing import NDArray

from affcli import clock, configs, recipes, tables
from affcli.features import ENCODERS, Setup
from affcli.features.views import TimedSound
from affcli.media.audio import read_sound
from affcli.media.container import Decoder, open_container
from affcli.media.video import open_video
from affcli.media.write import write_video
from affcli.schemas import TRACKS
from affcli.synthetic.clip import ClipPlan, synthesise

FPS, RATE, SOUND_RATE = 25, 16_000, 44_100
SHORT = 250  # different pictures
HOP = int(RATE / (3 * FPS))

SCRIPT = f"""
import sys, numpy as np, librosa
y, _ = librosa.load(sys.argv[1], sr={RATE})
mel = librosa.feature.melspectrogram(y=y, sr={RATE}, n_fft=512, win_length=400, hop_length={HOP}, n_mels=40)
rows = librosa.power_to_db(mel, top_db=80).T
frames = np.lib.stride_tricks.sliding_window_view(rows, 5, axis=0)[::3].swapaxes(1, 2)
np.save(sys.argv[2], frames.reshape(len(frames), -1))
"""


def voice() -> NDArray[np.float32]:
    """Twelve seconds of speech-like sound on two channels, (2, samples) at 44.1 kHz."""
    clip = synthesise(ClipPlan(seconds=12, seed=1))
    assert clip.waveform is not None and clip.sample_rate == SOUND_RATE
    noise = np.random.default_rng(0).normal(0, 0.003, (2, len(clip.waveform)))
    return (0.8 * clip.waveform + noise).astype(np.float32)


def sound_packets(stream: Any, seconds: float) -> Iterator[Any]:
    """The voice again and again, encoded."""
    waves, position = voice(), 0
    size = stream.codec_context.frame_size or 4096
    kind = stream.codec_context.format.name
    while position < seconds * SOUND_RATE:
        part = np.take(waves, np.arange(position, position + size), axis=1, mode="wrap")
        if kind == "s16":
            part = np.rint(part[:1] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), kind, stream.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, position, Fraction(1, SOUND_RATE)
        position += size
        yield from stream.encode(frame)
    yield from stream.encode(None)


def picture_packets(short: Path, stream: Any, seconds: float) -> Iterator[Any]:
    """The packets of a short video again and again."""
    with av.open(str(short)) as source:
        video = source.streams.video[0]
        length, base = video.duration, video.time_base
        content = [
            (bytes(packet), packet.pts, packet.dts, packet.duration, packet.is_keyframe)
            for packet in source.demux(video)
            if packet.dts is not None
        ]
    for turn in range(max(1, round(seconds / float(length * base)))):
        for data, pts, dts, duration, key in content:
            packet = av.Packet(data)
            packet.pts, packet.dts, packet.duration = pts + turn * length, dts + turn * length, duration
            packet.time_base, packet.is_keyframe, packet.stream = base, key, stream
            yield packet


def make_video(source: Path | None, folder: Path, seconds: float) -> Path:
    short, path = folder / "short.mp4", folder / "clip.mp4"
    if source:
        pictures: Any = (frame.image() for frame in open_video(source).frames())
    else:
        pictures = iter(synthesise(ClipPlan(seconds=SHORT / FPS, sound=False)).frames())
    sized = [cv2.resize(picture, (640, 360)) for picture in itertools.islice(pictures, SHORT)]
    write_video(short, sized, range(len(sized)), Fraction(1, FPS), rate=Fraction(FPS))
    with av.open(str(path), "w") as target, av.open(str(short)) as template:
        video = target.add_stream_from_template(template.streams.video[0])
        sound = target.add_stream("aac", rate=SOUND_RATE, layout="stereo", bit_rate=128_000)
        target.start_encoding()
        queues = [picture_packets(short, video, seconds), sound_packets(sound, seconds)]
        waiting = [next(queue) for queue in queues]
        while waiting:  # in the order of their times
            first = min(range(len(waiting)), key=lambda k: waiting[k].dts * waiting[k].time_base)
            target.mux(waiting[first])
            if (packet := next(queues[first], None)) is None:
                del waiting[first], queues[first]
            else:
                waiting[first] = packet
    return path


@dataclass(frozen=True)
class Spent:
    """What something took."""

    cpu: float  # s, with child processes
    wall: float  # s
    peak: float = 0.0  # MB


def timed(run: Callable[[], object]) -> Spent:
    before, wall = cpu_seconds(), time.perf_counter()
    run()
    return Spent(cpu_seconds() - before, time.perf_counter() - wall)


def cpu_seconds() -> float:
    """Of this process and of its children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def processes(*commands: list[str]) -> Spent:
    """Commands one after the other."""
    peak = 0.0

    def run() -> None:
        nonlocal peak
        for command in commands:
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            while process.poll() is None:
                peak = max(peak, memory(process.pid))
                time.sleep(0.01)
            if process.returncode:
                raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")

    spent = timed(run)
    return Spent(spent.cpu, spent.wall, peak)


def memory(process: int) -> float:
    """The peak memory of a process so far, MB."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(lines.get("VmHWM", "0 kB").split()[0]) * 1024 / 1e6


def decode(path: Path) -> None:
    with open_container(path) as container:
        for _ in Decoder(container, container.streams.audio[0]):
            pass


def ours(path: Path, encoder: Any, frames: int) -> list[NDArray[np.float32]]:
    pieces: list[NDArray[np.int16]] = []
    sound = read_sound(path, RATE, pieces.append)
    assert sound is not None
    times = clock.frame_times(frames, Fraction(FPS))
    valid = sound.exists(clock.sample_index(times, sound.start_us, RATE))
    return list(encoder(TimedSound(np.concatenate(pieces), RATE, sound.start_us, times, Fraction(FPS), valid)))


def librosa_200(path: Path) -> NDArray[np.float32]:
    y, _ = librosa.load(path, sr=RATE)
    mel = librosa.feature.melspectrogram(y=y, sr=RATE, n_fft=512, win_length=400, hop_length=HOP, n_mels=40)
    rows = librosa.power_to_db(mel, top_db=80).T
    return np.lib.stride_tricks.sliding_window_view(rows, 5, axis=0)[::3].swapaxes(1, 2).reshape(-1, 200)


def librosa_168(path: Path) -> NDArray[np.float32]:
    """Over the whole sound in steps of a frame: one window where a segment has three, and a grid that drifts."""
    y, _ = librosa.load(path, sr=RATE)
    return np.concatenate(
        [
            librosa.feature.mfcc(y=y, sr=RATE, n_mfcc=40, hop_length=RATE // FPS),
            librosa.feature.melspectrogram(y=y, sr=RATE, hop_length=RATE // FPS),
        ]
    ).T


def librosa_168_by_segment(path: Path) -> NDArray[np.float32]:
    """The same sums as ours: two frame periods at a time."""
    y, _ = librosa.load(path, sr=RATE)
    period = RATE // FPS
    rows = []
    for start in range(-period // 2, len(y) - period, period):
        segment = y[max(start, 0) : start + 2 * period]
        both = [
            librosa.feature.mfcc(y=segment, sr=RATE, n_mfcc=40),
            librosa.feature.melspectrogram(y=segment, sr=RATE),
        ]
        rows.append(np.concatenate([one.mean(axis=1) for one in both]))
    return np.stack(rows)


def medians(contestants: dict[str, Callable[[], Spent]], rounds: int) -> dict[str, Spent]:
    """Each contestant once in each round."""
    taken: dict[str, list[Spent]] = {name: [] for name in contestants}
    for name, run in itertools.chain(*([*contestants.items()] for _ in range(rounds))):
        taken[name].append(run())
    return {
        name: Spent(*(statistics.median(getattr(one, part) for one in each) for part in ("cpu", "wall", "peak")))
        for name, each in taken.items()
    }


def table(title: str, spent: dict[str, Spent], against: dict[str, str]) -> None:
    """Print what each contestant took, and how often that goes into what the one it is held against took."""
    print(f"\n{title} (load {os.getloadavg()[0]:.1f})")
    print(f"  {'':46} {'CPU s':>7} {'wall s':>7} {'peak MB':>8} {'CPU ratio':>10} {'memory':>7}")
    for name, one in spent.items():
        other = spent.get(against.get(name, ""))
        ratio = f"{other.cpu / one.cpu:10.2f}" if other else " " * 10
        share = f"{one.peak / other.peak:7.2f}" if other and one.peak else ""
        print(f"  {name:46} {one.cpu:7.3f} {one.wall:7.3f} {one.peak or '':8.4} {ratio} {share}".rstrip())


def write_tracks(path: Path, out: Path, frames: int) -> None:
    """What extract-faces leaves of a video without a face: enough to tell the times of its frames."""
    empty = {column.name: np.full(frames, np.nan) for column in TRACKS.columns if column.null}
    columns = empty | {
        "clip": [path.stem] * frames,
        "frame": np.arange(frames),
        "time_us": clock.frame_times(frames, Fraction(FPS)),
        "ambiguous": np.zeros(frames, bool),
        "corrupt": np.zeros(frames, bool),
    }
    facts = dict.fromkeys(name for name, _ in TRACKS.facts) | {"rate": str(FPS), "partial": False, "frames": frames}
    recipe = recipes.recipe("find-faces", configs.Tracks())
    tables.write(
        out / f"{path.stem}.tracks.parquet", TRACKS, columns, recipe=recipe, inputs=[recipes.source(path)], facts=facts
    )


def compare(source: Path | None, folder: Path, seconds: float, rounds: int) -> None:
    path = make_video(source, folder, seconds)
    with av.open(str(path)) as container:
        frames = container.streams.video[0].frames
    print(f"{seconds:.0f} s, {frames} frames of 640x360, AAC at 44.1 kHz on two channels")
    stack, mfcc = (ENCODERS[name].resolve()(ENCODERS[name].config(), Setup()) for name in ("logmel-stack", "mfcc-mel"))
    inside: dict[str, Callable[[], object]] = {
        "decoding alone": lambda: decode(path),
        "affcli, 200-d": lambda: ours(path, stack, frames),
        "librosa, 200-d": lambda: librosa_200(path),
        "affcli, 168-d": lambda: ours(path, mfcc, frames),
        "librosa, 168-d on a fixed grid": lambda: librosa_168(path),
        "librosa, 168-d segment by segment": lambda: librosa_168_by_segment(path),
    }
    for run in list(inside.values())[:-1]:  # compiled and cached code is no part of it
        run()
    slow = inside.popitem()
    spent = medians({name: lambda run=run: timed(run) for name, run in inside.items()}, rounds)
    spent[slow[0]] = timed(slow[1])  # once: it takes a while
    against = {"affcli, 200-d": "librosa, 200-d", "affcli, 168-d": "librosa, 168-d on a fixed grid"}
    table("in one process, without imports", spent, against)
    print(f"  (segment by segment: {spent[slow[0]].cpu / spent['affcli, 168-d'].cpu:.0f} times)")

    known, alone, script = folder / "known", folder / "alone", folder / "with_librosa.py"
    script.write_text(SCRIPT)
    write_tracks(path, known, frames)

    def chain(out: Path) -> Callable[[], Spent]:
        extract = [sys.executable, "-m", "affcli", "extract-audio", str(path), str(out), "--force", "-q"]
        embed = [sys.executable, "-m", "affcli", "embed", str(out), str(out), "--encoder", "logmel-stack", "-q"]
        return lambda: processes(extract, [*embed, "--force"])

    whole = {
        "extract-audio + embed, frame times known": chain(known),
        "extract-audio + embed, all pictures decoded": chain(alone),
        "librosa script": lambda: processes([sys.executable, str(script), str(path), str(folder / "librosa.npy")]),
    }
    for run in whole.values():
        run()
    against = dict.fromkeys(list(whole)[:2], "librosa script")
    table("whole processes", medians(whole, rounds), against)


def long_track(folder: Path, hours: float) -> None:
    path, out = folder / "long.flac", folder / "out"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=SOUND_RATE, layout="mono")
        stream.codec_context.format = "s16"
        for packet in sound_packets(stream, 3600 * hours):
            container.mux(packet)
    print(f"{hours:g} hours of sound, 30 frames per second (load {os.getloadavg()[0]:.1f})")
    commands = {
        "extract-audio": ["extract-audio", str(path), str(out), "--rate", "30"],
        "embed logmel-stack": ["embed", str(out), str(out), "--encoder", "logmel-stack"],
        "embed mfcc-mel": ["embed", str(out), str(out), "--encoder", "mfcc-mel"],
    }
    for name, command in commands.items():
        spent = processes([sys.executable, "-m", "affcli", *command, "-q"])
        print(f"  {name:20} {spent.cpu:6.1f} CPU s {spent.wall:6.1f} s, peak {spent.peak:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hours", type=float)
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")  # librosa's, of the way in which it reads a video
    print(
        f"Python {sys.version.split()[0]}, av {av.__version__}, librosa {librosa.__version__}, {os.cpu_count()} cores"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bin").mkdir()
        (folder / "bin" / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
        os.environ["PATH"] = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        if wanted.hours:
            long_track(folder, wanted.hours)
        else:
            compare(wanted.clip, folder, wanted.seconds, wanted.rounds)


if __name__ == "__main__":
    main()
