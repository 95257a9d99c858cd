"""affcli extract-faces"""

from __future__ import annotations

import functools
import itertools
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from affcli import configs
from affcli.cli.extraction import KEEP_PARTIAL, extract_clips
from affcli.cli.options import FORCE, OUT, VIDEOS, configure, setting
from affcli.cli.progress import progress

if TYPE_CHECKING:
    from affcli.faces.detections import Detector
    from affcli.media.video import Video
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
    keep_partial: bool = KEEP_PARTIAL,
    force: bool = FORCE,
) -> None:
    """Find the main person's face in every frame of a video: a table and aligned crops.

    Writes OUT/<clip>.faces.parquet, one row per decoded frame with its time, box and landmarks, and
    OUT/<clip>.faces.npy, the crops: (frames, 112, 112, 3) uint8 RGB. A frame without the face is a row with
    valid = false and a black crop; a video without any face is a result, with a warning.
    """
    from affcli import recipes
    from affcli.faces import DETECTORS
    from affcli.schemas import FACES

    config = configure(configs.Faces, locals())
    find_faces: Detector = DETECTORS[detector].resolve()(config)
    recipe = recipes.recipe("extract-faces", config, weights=find_faces.weights)
    extract = functools.partial(_extract, find_faces, config)
    extract_clips(videos, out, FACES, recipe, extract, keep_partial=keep_partial, force=force)


def _extract(find_faces: Detector, config: configs.Faces, clip: str, video: Video, writer: Writer) -> None:
    import numpy as np

    from affcli.faces import extract

    seen = extract.survey(progress(video.frames(), clip, "frame", video.expected_frames), find_faces)
    person = extract.follow(seen, config)
    cut = extract.crops(video.frames(), person, config)
    while batch := list(itertools.islice(cut, _CROPS_AT_ONCE)):
        writer.append(np.stack(batch))
    rate = video.constant_rate(seen.time_us)
    faces = int(person.valid.sum())
    writer.finish(
        extract.columns(clip, seen, person),
        {
            "width": seen.width,
            "height": seen.height,
            "rate": str(rate) if rate else None,
            "decode_errors": video.decode_errors,
            "stated_frames": video.stated_frames,
            "partial": video.partial,
            "faces": faces,
            "person": "main",
            "format": "npy",
        },
    )
    if not faces:
        log.warning("%s: no face in any of %d frames", video.path, len(seen.time_us))
