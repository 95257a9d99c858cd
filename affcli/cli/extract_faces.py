"""affcli extract-faces"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import typer

from affcli import configs
from affcli.cli.extraction import KEEP_PARTIAL, LABELS, WORKERS, check_out, check_subject, jobs_of, work_through
from affcli.cli.options import FORCE, OUT, VIDEOS, configure, setting
from affcli.cli.runs import Run

SUBJECT = typer.Option(
    "main",
    "--subject",
    metavar="WHO",
    help="Whose face: main, left, right, all, or the number of a track, for the person whose track it is; affcli info "
    "lists the tracks.",
)
FROM_TRACKS = typer.Option(
    False, "--from-tracks", help="Take the faces from the tracks that are in OUT already, however they were found."
)


def extract_faces(
    videos: list[Path] = VIDEOS,
    out: Path = OUT,
    subject: str = SUBJECT,
    labels: Path | None = LABELS,
    detector: str = setting(configs.Tracks, "detector"),
    det_size: int = setting(configs.Tracks, "det_size", min=32, max=8192),
    det_retry: int = setting(configs.Tracks, "det_retry", min=0, max=8192),
    det_threshold: float = setting(configs.Tracks, "det_threshold", min=0, max=1),
    min_face: int = setting(configs.Tracks, "min_face", min=1),
    every: int = setting(configs.Tracks, "every", min=1, max=60),
    roi: Literal["on", "off"] = setting(configs.Tracks, "roi"),
    max_faces: int = setting(configs.Tracks, "max_faces", min=1, max=1000),
    track_iou: float = setting(configs.Tracks, "track_iou", min=0, max=1),
    track_gap: float = setting(configs.Tracks, "track_gap", min=0),
    min_track: int = setting(configs.Tracks, "min_track", min=1),
    rejoin: float = setting(configs.Tracks, "rejoin", min=0),
    interpolate_gap: float = setting(configs.Tracks, "interpolate_gap", min=0),
    smooth: str = setting(configs.Faces, "smooth"),
    template: str = setting(configs.Faces, "template"),
    size: int = setting(configs.Faces, "size", min=0, max=1024),
    ambiguous: Literal["keep", "drop"] = setting(configs.Faces, "ambiguous"),
    format: Literal["npy", "jpeg"] = setting(configs.Faces, "format"),
    from_tracks: bool = FROM_TRACKS,
    workers: int = WORKERS,
    keep_partial: bool = KEEP_PARTIAL,
    force: bool = FORCE,
) -> None:
    """Find one person's face in every frame of a video: a table and aligned crops.

    Writes OUT/<clip>.faces.parquet, one row per decoded frame with its time, box and landmarks, and
    OUT/<clip>.faces.npy, the crops: by default (frames, 112, 112, 3) uint8 RGB. A frame without the face is a row with
    valid = false and a black crop; a video without any face is a result, with a warning. OUT/<video>.tracks.parquet
    keeps every face that was found, so that another person is cut out later without looking for faces again.

    The clip of the main person (long, large and central) has the video's name; --subject left and right make
    <video>_left and <video>_right, all makes <video>_tN for everybody, N being the number of the person's first track,
    and a track's number makes that of its person. With --labels, the names of label files say which clips to make; a
    plain name beside a _right (or _left) one is the other person. Frames in which two faces overlap are marked
    ambiguous: they may show another person.
    """
    from affcli import recipes
    from affcli.cli.faces_of import Order, detector_of, work
    from affcli.faces import detector_name
    from affcli.faces.extract import Cutting

    check_out(out)
    tracks = configure(configs.Tracks, locals())
    faces = configure(configs.Faces, locals())
    Cutting.of(faces)
    check_subject(subject, labels)
    run = Run(0)
    jobs = jobs_of(videos, labels, subject, run)
    weights = {} if from_tracks else detector_of(tracks).weights
    named = {**recipes.plain(tracks), "detector": detector_name(tracks.detector)}
    order = Order(
        out, tracks, faces, recipes.recipe("find-faces", named, weights=weights), keep_partial, force, from_tracks
    )
    work_through("extract-faces", jobs, functools.partial(work, order), workers, run)
