"""affcli demo"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

import typer

from affcli.cli.options import Verbosity
from affcli.cli.progress import progress
from affcli.errors import InputError, UsageError

_SETS = {"train": "Train_Set", "val": "Validation_Set", "test": "Test_Set"}
_FACE_ENCODER, _SOUND_ENCODER = "centerface-b448", "mfcc-mel"
_CAUTION = (
    "These clips are one photograph, bent and given a voice by rules. The scores show that every step works;\n"
    "they say nothing about how well real affect is recognised."
)


def demo(
    directory: Path = typer.Argument(Path("affcli-demo"), metavar="[DIR]", help="Where everything is put."),
    quick: bool = typer.Option(False, "--quick", help="Fewer and shorter clips: under a minute, lower scores."),
    on: Path | None = typer.Option(
        None, "--on", metavar="VIDEO", help="Also predict a video of your own with the model just trained, and plot it."
    ),
) -> None:
    """Make labelled clips, run the whole chain on them, and show the scores on held-out clips.

    Every step is an ordinary affcli command, printed as you would type it; nothing is downloaded. Run again in the
    same DIR, the steps keep what is up to date.
    """
    start = time.monotonic()
    if on is not None and not on.is_file():
        raise InputError(on, "is no file", expected="a video for --on", advice="check the path")
    print(f"Making labelled clips in {directory}/videos, {directory}/labels and {directory}/expressions")
    _make_clips(directory, quick)
    _chain(directory, quick)
    print(f"\n{_CAUTION}\n")
    for place, what in (
        ("videos/, labels/", "the clips and their valence and arousal, as Aff-Wild2 lays them out"),
        ("expressions/", "a class for each frame, by the quadrant of its valence and arousal"),
        ("out/", "faces, audio, features and labels: a table per clip, with its array"),
        ("windows.parquet", "the index of windows"),
        ("run/", "the checkpoint and metrics.jsonl"),
        ("preds/", "valence and arousal of every frame of the held-out clips"),
    ):
        print(f"  {directory}/{place:<18} {what}")
    print(f"\nLook into any of them: affcli info {shlex.quote(str(directory))}/preds/*.parquet")
    print(f"Done in {time.monotonic() - start:.0f} s.")
    if on is not None:
        _predict_own(directory, on)


def _make_clips(directory: Path, quick: bool) -> None:
    from affcli.files import explained
    from affcli.labels.affwild2 import write_labels
    from affcli.labels.categories import write_expressions
    from affcli.media.write import write_video
    from affcli.synthetic.clip import synthesise
    from affcli.synthetic.curves import quadrant_expression
    from affcli.synthetic.dataset import demo_clips

    clips = demo_clips(quick)
    wanted = {f"{clip.name}.mp4" for clip in clips}
    videos = directory / "videos"
    there = {path.name for path in videos.glob("*") if not path.name.startswith(".")}
    if strangers := sorted(there - wanted):
        raise UsageError(
            videos,
            f"holds {strangers[0]}, which is not part of {'the quick' if quick else 'this'} demo",
            advice="give the demo a directory of its own: affcli demo ANOTHER_DIR",
        )
    with explained(videos):
        videos.mkdir(parents=True, exist_ok=True)
    for clip in progress(clips, "clips", "clip", len(clips)):
        made = synthesise(clip.plan)
        video = videos / f"{clip.name}.mp4"
        with explained(video):
            write_video(
                video,
                made.frames(),
                made.pts,
                made.time_base,
                rate=clip.plan.rate,
                waveform=made.waveform,
                sample_rate=made.sample_rate,
            )
        labels = Path(_SETS[clip.split]) / f"{clip.name}.txt"
        write_labels(directory / "labels" / labels, made.valence, made.arousal)
        # Beside labels/ and not in it: a directory of labels has one file for each clip.
        write_expressions(directory / "expressions" / labels, quadrant_expression(made.valence, made.arousal))


def _chain(directory: Path, quick: bool) -> None:
    """Run the commands from videos and labels to scores."""
    videos, out, labels = directory / "videos", directory / "out", directory / "labels"
    windows, run, preds = directory / "windows.parquet", directory / "run", directory / "preds"
    _run("extract-faces", videos, out)
    _run("extract-audio", videos, out)
    _run("embed", out, out, "--encoder", _FACE_ENCODER)
    _run("embed", out, out, "--encoder", _SOUND_ENCODER)
    for folder in _SETS.values():
        _run("import-labels", labels / folder, out, "--expressions", directory / "expressions" / folder)
    lists = ["--val", labels / _SETS["val"], "--test", labels / _SETS["test"]]
    _run("window", out, "--labels", out, "-o", windows, "--length", 15, "--overlap", 5, *lists)
    fit = ["--loss", "ccc", "--optimizer", "adam", "--lr", 0.001]
    _run("train", windows, "-o", run, "--model", "gru-fusion", *fit, "--epochs", 15 if quick else 30)
    _run("predict", run, windows, "--split", "test", "-o", preds)
    _run("score", "--ccc", preds, labels / _SETS["test"], "--table")


def _predict_own(directory: Path, video: Path) -> None:
    own = directory / "own"
    _run("extract-faces", video, own)
    _run("extract-audio", video, own)
    _run("embed", own / f"{video.stem}.faces.parquet", own, "--encoder", _FACE_ENCODER)
    _run("embed", own / f"{video.stem}.audio.parquet", own, "--encoder", _SOUND_ENCODER)
    features = [own / f"{video.stem}.{encoder}.parquet" for encoder in (_FACE_ENCODER, _SOUND_ENCODER)]
    _run("predict", directory / "run", *features, "-o", own)
    _plot(own, video.stem)
    print(f"\n{_CAUTION}")


def _plot(own: Path, clip: str) -> None:
    from affcli import tables
    from affcli.cli.plot import panel
    from affcli.clips import table_path
    from affcli.schemas import AFFECT, FACES

    table = tables.read(table_path(own, clip, "affect"), AFFECT)
    faces = tables.read(table_path(own, clip, "faces"), FACES).column("valid")
    times = table.column("time_us")
    seconds = float(times[-1] - times[0]) / 1e6
    print()
    for name in ("valence", "arousal"):
        print(panel(name, table.column(name).tolist(), seconds))
    print(f"\n  {table.path}: {len(times)} frames, {int(faces.sum())} with a face")


def _run(*arguments: object) -> None:
    """Print a command as the user would type it, and run it."""
    words = [str(argument) for argument in arguments]
    print(f"\n$ affcli {shlex.join(words)}", flush=True)
    quiet = ["-q"] if Verbosity.quiet else []
    with subprocess.Popen([sys.executable, "-m", "affcli", *words, *quiet]) as step:
        try:
            status = step.wait()
        except BaseException:
            # Ctrl-C reaches the step too; SIGTERM does not.  Either way it has to clean up before the demo ends.
            step.terminate()
            raise
    if status:
        raise typer.Exit(status if status > 0 else 128 - status)
