"""affcli extract-faces"""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from affcli import configs
from affcli.cli.options import FORCE, OUT, VIDEOS, configure, setting
from affcli.cli.progress import progress
from affcli.cli.runs import Run

if TYPE_CHECKING:
    from affcli.faces.detections import Detector
    from affcli.media.find import Source
    from affcli.tables import Writer

log = logging.getLogger(__name__)

_CROPS_AT_ONCE = 64


def extract_faces(
    videos: list[Path] = VIDEOS,
    out: Path = OUT,
    detector: str = setting(configs.Faces, "detector"),
    det_size: int = setting(configs.Faces, "det_size", min=32),
    det_retry: int = setting(configs.Faces, "det_retry", min=0),
    det_threshold: float = setting(configs.Faces, "det_threshold", min=0, max=1),
    min_face: int = setting(configs.Faces, "min_face", min=1),
    track_iou: float = setting(configs.Faces, "track_iou", min=0, max=1),
    track_gap: float = setting(configs.Faces, "track_gap", min=0),
    min_track: int = setting(configs.Faces, "min_track", min=1),
    rejoin: float = setting(configs.Faces, "rejoin", min=0),
    interpolate_gap: float = setting(configs.Faces, "interpolate_gap", min=0),
    smooth: float = setting(configs.Faces, "smooth", min=0),
    keep_partial: bool = typer.Option(False, "--keep-partial", help="Keep the frames before a video breaks off."),
    force: bool = FORCE,
) -> None:
    """Find the main person's face in every frame of a video: a table and aligned crops.

    Writes OUT/<clip>.faces.parquet, one row per decoded frame with its time, box and landmarks, and
    OUT/<clip>.faces.npy, the crops: (frames, 112, 112, 3) uint8 RGB. A frame without the face is a row with
    valid = false and a black crop; a video without any face is a result, with a warning.
    """
    from affcli import recipes, tables
    from affcli.clips import table_path
    from affcli.faces import DETECTORS
    from affcli.media.find import sources
    from affcli.schemas import FACES

    config = configure(configs.Faces, locals())
    find_faces: Detector = DETECTORS[detector].resolve()(config)
    recipe = recipes.recipe("extract-faces", config, weights=find_faces.weights)
    found = sources(videos)
    run = Run(len(found))
    for source in progress(found, "extract-faces", "clip", len(found)):
        with run.clip():
            path = table_path(out, source.clip, "faces")
            inputs = [recipes.source(source.path)]
            if not force and tables.keep(path, FACES, recipe, inputs):
                run.keep()
                continue
            with tables.Writer(path, FACES, recipe=recipe, inputs=inputs) as writer:
                _extract(source, find_faces, config, keep_partial, writer)
    run.close()


def _extract(source: Source, find_faces: Detector, config: configs.Faces, keep_partial: bool, writer: Writer) -> None:
    import numpy as np

    from affcli import clock
    from affcli.faces import extract
    from affcli.media.video import open_video

    video = open_video(source.path, keep_partial=keep_partial)
    seen = extract.survey(progress(video.frames(), source.clip, "frame", video.expected_frames), find_faces)
    person = extract.follow(seen, config)
    cut = extract.crops(video.frames(), person, config)
    while batch := list(itertools.islice(cut, _CROPS_AT_ONCE)):
        writer.append(np.stack(batch))
    rate = clock.constant_rate(seen.time_us, video.rate)
    faces = int(person.valid.sum())
    writer.finish(
        extract.columns(source.clip, seen, person),
        {
            "width": seen.width,
            "height": seen.height,
            "rate": str(rate) if rate else None,
            "decode_errors": video.decode_errors,
            "faces": faces,
        },
    )
    if not faces:
        log.warning("%s: no face in any of %d frames", source.path, len(seen.time_us))
