"""What extract-faces, extract-audio and embed share: the clips of every file, resumable, over several processes."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import typer

from affcli.cli.progress import Frames
from affcli.cli.runs import Run
from affcli.cli.workers import Report, Work, alone, machine, side_by_side
from affcli.errors import AffcliError, InputError, UsageError, some

log = logging.getLogger(__name__)

KEEP_PARTIAL = typer.Option(False, "--keep-partial", help="Keep the frames before a video breaks off.")
LABELS = typer.Option(
    None,
    "--labels",
    help="Directory of label files: make exactly the clips that they name, NAME_left and NAME_right of video NAME "
    "included. Where a directory of videos is named, each label file must have its video there.",
)
WORKERS = typer.Option(
    0, "--workers", min=0, max=256, help="Videos that are worked on at a time; 0 for as many as there are cores."
)


@dataclass(frozen=True)
class Clip:
    """One clip of a video: its name, and whose face it shows."""

    name: str
    person: str  # as `affcli.faces.select.choose` takes it


@dataclass(frozen=True)
class Job:
    """One video and the clips that are wanted of it; none where only the video can tell."""

    path: Path
    stem: str
    clips: tuple[Clip, ...]

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class Tally:
    """Clips of one video that were made, and those that stood there already."""

    made: int
    kept: int


def check_out(out: Path) -> None:
    """Raise UsageError where the last argument is a file: it was left out, and a video stands in its place."""
    if out.is_file():
        raise UsageError(
            f"OUT {out}",
            "is a file",
            expected="a directory, after the videos",
            advice="name the directory for the results last",
        )


def check_subject(subject: str, labels: Path | None) -> None:
    """Raise UsageError where --subject stands beside --labels."""
    if labels is not None and subject != "main":
        raise UsageError(
            f"--subject {subject}", "beside --labels", expected="one of them", advice="label files say whose clip it is"
        )


def jobs_of(videos: list[Path], labels: Path | None, subject: str, run: Run, *, sound: bool = False) -> list[Job]:
    """The videos and the clips that are wanted of each; labels of videos that are not there are failures of the run.

    With `sound`, files of sound alone are taken for videos too.
    """
    from affcli.media.find import match_labels, sources

    found = sources(videos, sound=sound)
    if labels is None:
        jobs = [Job(one.path, one.clip, clips_of(one.clip, subject)) for one in found]
        run.clips = len(jobs)
        return jobs
    from affcli.labels.files import label_stems

    stems = label_stems(labels)
    matches = match_labels(found, stems)
    # Who names single files does not ask for the others.
    lost = matches.without_video if any(path.is_dir() for path in videos) else []
    if lost:
        run.fail(
            InputError(
                labels,
                f"has labels of {some(lost)}, whose videos are not there",
                expected="a video for each label file",
                advice="name the videos' directory too, or take these label files out",
            )
        )
    if matches.without_labels:
        log.warning("%s: no labels of %s: not made", labels, some(one.clip for one in matches.without_labels))
    jobs = []
    for one in found:
        if clips := tuple(Clip(label.clip, label.person) for label in matches.of(one)):
            jobs.append(Job(one.path, one.clip, clips))
    run.clips = len(matches.labelled) + bool(lost)
    return jobs


def clips_of(stem: str, subject: str) -> tuple[Clip, ...]:
    """The clip of one subject of a video; none for `all`.  Raises UsageError where it is no subject."""
    if subject == "all":
        return ()
    if subject == "main":
        return (Clip(stem, "main"),)
    if subject in ("left", "right"):
        return (Clip(f"{stem}_{subject}", subject),)
    if not (subject.isascii() and subject.isdigit() and len(subject) < 9):
        raise UsageError(
            f"--subject {subject}",
            "is nobody",
            expected="main, left, right, all, or the number of a track",
            advice="affcli info VIDEO.tracks.parquet lists the tracks of a video",
        )
    return (Clip(f"{stem}_t{int(subject)}", str(int(subject))),)


class FromFile(Protocol):
    """A job that is done from one file."""

    @property
    def path(self) -> Path:
        """The file."""


J = TypeVar("J", bound=FromFile)


def work_through(
    step: str,
    jobs: list[J],
    work: Callable[[bool, J, Report], Tally],
    workers: int,
    run: Run,
    expected: Callable[[], int] | None = None,
) -> None:
    """Let `work` do the jobs, over several processes where there are several; it is told whether it has all cores.

    `expected` counts the frames of all jobs, where these are no videos.
    """
    count = min(workers or machine(), len(jobs))
    shown = Frames(step, len(jobs), expected or functools.partial(_expected_frames, [job.path for job in jobs]))
    if count > 1:
        # The longest first, so that no process is left with one when the others are through.
        jobs = sorted(jobs, key=lambda job: -job.path.stat().st_size if job.path.is_file() else 0)
    shared: Work[J, Tally] = functools.partial(work, count > 1)
    ended = side_by_side(shared, jobs, count, shown.forward) if count > 1 else alone(shared, jobs, shown.forward)
    with contextlib.closing(ended), contextlib.closing(shown):
        for done in ended:
            shown.clip()
            if done.failure:
                run.fail(done.failure)
            elif done.result:
                run.made += done.result.made
                run.kept += done.result.kept
    run.clips = max(run.clips, run.made + run.kept + len(run.failures))
    run.close()


def _expected_frames(videos: list[Path]) -> int:
    """Frames of all videos, as their containers state them."""
    from affcli.media.video import open_video

    total = 0
    for video in videos:
        try:
            total += open_video(video).expected_frames or 0
        except AffcliError:
            continue  # said when the video's turn comes
    return total
