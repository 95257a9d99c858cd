"""affcli extract-audio"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from affcli import configs
from affcli.cli.extraction import KEEP_PARTIAL, LABELS, WORKERS, Job, check_out, check_subject, jobs_of, work_through
from affcli.cli.options import FORCE, OUT, VIDEOS, configure, setting
from affcli.cli.runs import Run
from affcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from affcli.cli.audio_of import SoundJob

SPEECH_RATE = 16_000  # Hz, what the voice detector was made for
_FACES = ".faces.parquet"
SUBJECT = typer.Option(
    "main",
    "--subject",
    metavar="WHO",
    help="Which clips to make, as extract-faces names them: main, left, right, the number of a track, or all, for "
    "everybody whose faces OUT holds. They all hear the same sound.",
)
AUDIO = typer.Option(
    None,
    "--audio",
    metavar="DIR",
    help="Directory of sound files (wav, flac, mp3, m4a, ogg, opus, aac, ...) that stand in for the videos' own sound: "
    "CLIP.wav for a clip, or else NAME.wav for video NAME. Its first sample is heard with the video's first frame.",
)


def extract_audio(
    videos: list[Path] = VIDEOS,
    out: Path = OUT,
    subject: str = SUBJECT,
    sample_rate: int = setting(configs.Audio, "sample_rate", min=1000, max=192_000),
    track: str = setting(configs.Audio, "track", metavar="N|LANGUAGE"),
    channel: str = setting(configs.Audio, "channel", metavar="mean|N"),
    audio: Path | None = AUDIO,
    audio_offset: float = setting(configs.Audio, "audio_offset", metavar="SECONDS", min=-86_400, max=86_400),
    rate: str = setting(configs.Audio, "rate", metavar="FPS", show_default=False),
    vad: bool = setting(configs.Audio, "vad"),
    labels: Path | None = LABELS,
    workers: int = WORKERS,
    keep_partial: bool = KEEP_PARTIAL,
    force: bool = FORCE,
) -> None:
    """Take the sound of a video as a mono waveform on the video's own clock.

    Writes OUT/<clip>.audio.parquet, which gives the waveform sample at each decoded frame's time, and
    OUT/<clip>.audio.npy, the waveform: (samples,) int16. Sound that starts late, ends early, is all zeros, or is not
    there at all is a fact in the table (valid = false), not a failure.

    Where OUT holds the faces or tracks of the same video already, the times of its frames are taken from there, and no
    picture is decoded. Of several sound tracks --track chooses one; all its channels are averaged with equal weights,
    unless --channel takes one of them, as where each person has a microphone.

    With --rate, files of sound alone are clips too, also those in directories: frame i stands at i / FPS seconds after
    their first sample, and there are as many frames as begin before the sound ends.
    """
    from affcli.cli.audio_of import Order, work

    check_out(out)
    config = _checked(configure(configs.Audio, locals()), audio)
    check_subject(subject, labels)
    run = Run(0)
    jobs = _with_sound(jobs_of(videos, labels, subject, run, sound=bool(rate)), audio, out)
    order = Order(out, config, keep_partial, force, len(jobs) > 1)
    work_through("extract-audio", jobs, functools.partial(work, order), workers, run)


def _checked(config: configs.Audio, audio: Path | None) -> configs.Audio:
    """The settings, the rate as a recipe says it.  Raises UsageError where they make no sense."""
    import dataclasses

    from affcli.cli.times import exact_rate

    if config.channel != "mean" and not re.fullmatch(r"[1-9]\d{0,2}", config.channel, re.ASCII):
        raise UsageError(
            f"--channel {config.channel}",
            "is no channel",
            expected="mean, or 1 for the first channel, 2 for the second and so on",
            advice="correct it",
        )
    if not re.fullmatch(r"\d{1,3}|[A-Za-z][\w-]*", config.track, re.ASCII):
        raise UsageError(
            f"--track {config.track}",
            "is no sound track",
            expected="0 for the first one, 1 for the second and so on, or a language such as eng",
            advice="correct it",
        )
    if config.audio_offset and audio is None:
        raise UsageError(
            "--audio-offset", "without --audio", expected="a directory of sound files", advice="leave it out"
        )
    if config.rate and audio is not None:
        raise UsageError(
            "--rate",
            "stands beside --audio",
            expected="one of them: --rate is for sound without a video, --audio for sound beside one",
            advice="leave one out",
        )
    if config.vad and config.sample_rate != SPEECH_RATE:
        raise UsageError(
            f"--sample-rate {config.sample_rate}",
            "beside --vad",
            expected=f"{SPEECH_RATE} Hz, which is what the voice detector hears",
            advice="leave one of them out",
        )
    return dataclasses.replace(config, rate=str(exact_rate(config.rate))) if config.rate else config


def _with_sound(jobs: list[Job], audio: Path | None, out: Path) -> list[SoundJob]:
    """The jobs, one for the clips of a video that hear the same sound.  Raises InputError as `SoundFiles` does."""
    from affcli.cli.audio_of import SoundJob
    from affcli.media.find import SoundFiles

    files, found = SoundFiles(audio) if audio is not None else None, []
    for job in jobs:
        heard: dict[Path | None, list[str]] = {}
        people = [one.name for one in job.clips] or _everybody(job.stem, out)
        for clip in people:
            try:
                heard.setdefault(files.of(clip, job.stem) if files else None, []).append(clip)
            except InputError as error:  # that clip's failure, when its turn comes
                found.append(SoundJob(job.path, job.stem, (clip,), missing=error))
        found += [SoundJob(job.path, job.stem, tuple(clips), file) for file, clips in heard.items()]
        if not people:
            nobody = InputError(
                out,
                f"holds no faces of {job.stem}_tN",
                expected="those that extract-faces --subject all makes",
                advice="make them first: only pictures tell who is there",
            )
            found.append(SoundJob(job.path, job.stem, (job.stem,), missing=nobody))
    return found


def _everybody(video: str, out: Path) -> list[str]:
    """The clips of everybody in a video whose faces are in `out`."""
    names = (path.name.removesuffix(_FACES) for path in out.glob(f"*{_FACES}"))
    return sorted(name for name in names if re.fullmatch(rf"{re.escape(video)}_t\d+", name))
