"""Makes v<version>/: one tiny file of every kind of table at its present version; what is there stays as it is.

Run by hand when the version of a table goes up: python tests/golden/make_tables.py
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli import configs, recipes, tables, windows
from affcli.labels.affect import Affect
from affcli.schemas import AFFECT, AUDIO, FACES, FEATURES, LANDMARKS, TRACKS, WINDOWS, Schema

HERE = Path(__file__).parent
CLIP, N, RATE, SECOND = "clip_left", 4, "25", 16_000
TIMES = np.arange(N) * 40_000
VALID = np.array([True, True, True, False])

TRACKS_RECIPE = recipes.recipe("find-faces", configs.Tracks(), weights={"centerface": "ab" * 32})
FACE_RECIPE = recipes.recipe("extract-faces", configs.Faces(), parents=[TRACKS_RECIPE])
AUDIO_RECIPE = recipes.recipe("extract-audio", configs.Audio())
FEATURES_RECIPE = recipes.recipe("embed", {"encoder": "toy"}, parents=[FACE_RECIPE])
LABELS_RECIPE = recipes.recipe("import-labels", {"not_annotated": "empty, or below -1"})


def columns(**others: Any) -> dict[str, Any]:
    """The columns that every table by frame has, and others."""
    return {"clip": np.full(N, CLIP, dtype=object), "frame": np.arange(N), "time_us": TIMES, "valid": VALID, **others}


def write(
    name: str, schema: Schema, content: Mapping[str, Any], facts: Mapping[str, Any], made: Any, array: Any = None
) -> Path:
    path = HERE / f"v{schema.version}" / f"{name}.parquet"
    if not path.exists():
        inputs = [{"name": f"{CLIP}.mp4", "sha256": "cd" * 32}]
        tables.write(path, schema, content, recipe=made, inputs=inputs, facts=facts, array=array)
    return path


def faces() -> None:
    known = np.where(VALID, 1.0, np.nan)
    boxes = {name: known * value for name, value in (("x1", 10), ("y1", 20), ("x2", 60), ("y2", 90))}
    points = {f"{p}_{axis}": known * (i + 0.5) for i, p in enumerate(LANDMARKS) for axis in "xy"}
    rest = {
        "score": np.array([0.9, 0.8, np.nan, np.nan]),
        "confidence": np.array([0.9, 0.4, 0.8, np.nan]),
        "ambiguous": np.array([False, True, False, False]),
        "jpeg_end": np.full(N, np.nan),
        "track": np.array([0, 0, 0, None], dtype=object),
        "how": np.array(["detected", "detected", "interpolated", "absent"], dtype=object),
        "corrupt": np.array([False, False, True, False]),
    }
    facts = {"width": 320, "height": 240, "rate": RATE, "decode_errors": 1, "stated_frames": N, "partial": False}
    crops = np.arange(N * 8 * 8 * 3, dtype=np.uint8).reshape(N, 8, 8, 3)
    content = columns(**boxes, **points, **rest)
    write(f"{CLIP}.faces", FACES, content, {**facts, "faces": 3, "person": "left", "format": "npy"}, FACE_RECIPE, crops)


def tracks() -> None:
    seen = np.array([1.0, 1.0, 1.0, np.nan])  # two faces in the first frame, one in the next, none in the last
    boxes = {name: seen * value for name, value in (("x1", 10), ("y1", 20), ("x2", 60), ("y2", 90))}
    points = {f"{p}_{axis}": seen * (i + 0.5) for i, p in enumerate(LANDMARKS) for axis in "xy"}
    content = {
        "clip": np.full(4, "clip", dtype=object),
        "frame": np.array([0, 0, 1, 2]),
        "time_us": np.array([0, 0, 40_000, 80_000]),
        "track": np.array([0, 1, 0, None], dtype=object),
        "person": np.array([0, 1, 0, None], dtype=object),
        **boxes,
        **points,
        "score": np.array([0.9, 0.8, 0.7, np.nan]),
        "ambiguous": np.array([True, True, False, False]),
        "corrupt": np.array([False, False, True, False]),
    }
    facts = {"width": 320, "height": 240, "rate": RATE, "decode_errors": 1, "stated_frames": N, "partial": False}
    write("clip.tracks", TRACKS, content, {**facts, "frames": 3}, TRACKS_RECIPE)


def audio() -> None:
    wave = (1000 * np.sin(np.arange(N * SECOND // 25) / 7)).astype(np.int16)
    facts = {"sample_rate": SECOND, "start_us": 0, "rate": RATE, "sound": "present", "partial": False}
    content = columns(sample=np.arange(N) * (SECOND // 25), speech=np.array([0.25, 1.0, np.nan, np.nan], np.float32))
    write(f"{CLIP}.audio", AUDIO, content, facts, AUDIO_RECIPE, wave)


def features() -> Path:
    vectors: NDArray[np.float32] = np.arange(N * 3, dtype=np.float32).reshape(N, 3) / 2
    vectors[~VALID] = 0
    facts = {"encoder": "toy", "modality": "face", "width": 3}
    return write(f"{CLIP}.toy", FEATURES, columns(), facts, FEATURES_RECIPE, vectors)


def affect() -> Path:
    std = np.array([[0.25, 0], [0, 0.125], [np.nan, np.nan], [0.5, 1]])
    one = Affect(CLIP, np.array([0.5, -0.25, np.nan, 1]), np.array([0.125, -1, 0.5, 0]), std=std)
    return write(f"{CLIP}.affect", AFFECT, one.columns(), {"annotated": 3, "format": "aff-wild2"}, LABELS_RECIPE)


def index(vectors: Path, labels: Path) -> None:
    start = HERE / f"v{WINDOWS.version}"
    files = {path: windows.File(os.path.relpath(path, start), recipes.digest(path)) for path in (vectors, labels)}
    sets = {"toy": windows.FeatureSet(3, "face", FEATURES_RECIPE)}
    clips = {CLIP: windows.Clip(N, "train", {"toy": files[vectors]}, files[labels])}
    facts = windows.Facts(3, 1, sets, clips)
    content = windows.index(facts, {CLIP: [VALID]}, {CLIP: np.array([True, True, False, True])})
    made = recipes.recipe("window", {"length": 3, "overlap": 1}, parents=[FEATURES_RECIPE, LABELS_RECIPE])
    write("windows", WINDOWS, content, facts.to_json(), made)


def main() -> None:
    faces()
    tracks()
    audio()
    index(features(), affect())


if __name__ == "__main__":
    main()
