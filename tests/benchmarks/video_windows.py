"""Time of loading video for a training step: ours, and the loop over frames that one writes first.

    python tests/benchmarks/video_windows.py [--batch 64] [--length 32] [--side 128] [--crop 112] [--clips 16]
        [--frames 600] [--rounds 9] [--jpeg] [--order bgr] [--cutout 40] [--jitter 0.1] [--network] [--threads 2]
        [--folder DIR]

A batch is `--batch` windows of `--length` frames from `--clips` files of crops as affcli writes them, each seen from a
place of its own, every other one flipped, as float32 (b, 3, t, 112, 112).  Ours gathers bytes with WindowedClips
(`gather`) and makes the network's input of them (`finished`, here on the CPU); the loop reads frame after frame from
the same mapped files (or decodes the same JPEG files), cuts, flips with OpenCV, scales, stacks and turns the axes.
Both must give the same numbers.  `--side 256 --crop 224` are the sizes of M3T's code: 2 x 2 pixels become their mean.
Shown are medians over the rounds of CPU time (user and system) and wall time per window, from the page cache and, for
`gather`, after the kernel was told to forget the files, with what was then read from disk.  The contestants take turns.
`resident` is the growth of the process's memory while ours goes over all files.  JPEG files that are smaller than what
the kernel reads ahead are in the cache as soon as they are opened.

--network also takes the time of forward and backward of M3T's backbone (no recurrent layers, so that it is a little too
fast) in bfloat16 on `--threads` threads, 4 windows at a time, and says what share of it the loading of a batch is.  It
ends with status 1 where that is a tenth or more.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affcli import recipes, tables
from affcli.faces.crops import encode_jpeg, open_crops
from affcli.models.pixels import finished
from affcli.models.recurrent import Inside
from affcli.models.v2p import V2p
from affcli.schemas import FACES
from affcli.training.crops import ClipCrops
from affcli.training.data import Batch, ClipData, WindowedClips
from affcli.training.sight import Sight
from affcli.training.starts import StartSampler, valid_windows
from affcli.training.viewing import Augmentation, Views

SIZE = 112
CPU = torch.device("cpu")


def write_clip(folder: Path, name: str, frames: int, side: int, jpeg: bool, random: np.random.Generator) -> Path:
    """A faces table of a clip whose pictures are smooth and change: noise would make JPEG files too large."""
    path = folder / f"{name}.faces.parquet"
    coarse = random.integers(0, 256, (frames, 12, 12, 3), dtype=np.uint8)
    crops = np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_CUBIC) for one in coarse])
    columns = {column.name: np.full(frames, np.nan) for column in FACES.columns if column.null} | {
        "clip": np.full(frames, name, dtype=object),
        "frame": np.arange(frames, dtype=np.int32),
        "time_us": np.arange(frames, dtype=np.int64) * 40_000,
        "valid": np.ones(frames, np.bool_),
        "how": np.full(frames, "detected", dtype=object),
        "ambiguous": np.zeros(frames, np.bool_),
        "corrupt": np.zeros(frames, np.bool_),
    }
    array = crops
    if jpeg:
        files = [encode_jpeg(crop) for crop in crops]
        array, columns["jpeg_end"] = np.concatenate(files), np.cumsum([len(file) for file in files])
    facts = dict.fromkeys(fact for fact, _ in FACES.facts) | {"format": "jpeg" if jpeg else "npy"}
    recipe = recipes.recipe("extract-faces", {"template": "m3t-128", "size": side})
    tables.write(path, FACES, columns, recipe=recipe, inputs=[], facts=facts, array=array)
    return path


def loop(clips: WindowedClips, chosen: NDArray[np.int64], views: Views) -> NDArray[np.float32]:
    """The batch as one writes it down first."""
    sight, holes = clips.sight, views.holes(SIZE, clips.sight.step).tolist()
    batch = []
    for row, window in enumerate(chosen.tolist()):
        crops = clips.clips[int(clips.clip[window])].crops.frames
        start, top, left = int(clips.start[window]), int(views.top[row]), int(views.left[row])
        frames = []
        for frame in range(start, start + int(clips.length[window])):
            picture = np.asarray(crops[frame])[top : top + sight.crop, left : left + sight.crop]
            if views.flipped[row]:
                picture = cv2.flip(picture, 1)
            if sight.order == "bgr":
                picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
            picture = picture.astype(np.float32)
            if sight.step == 2:
                picture = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
            frames.append(picture)
        pictures = np.stack(frames)
        if views.light is not None:
            (brightness, contrast), mean = views.light[row], pictures.mean(dtype=np.float64)
            pictures = np.clip(brightness * (mean + contrast * (pictures - mean)), 0, 255).astype(np.float32)
        pictures = (pictures - np.float32(127.5)) / np.float32(127.5)
        hole_top, hole_left, height, width = holes[row]
        pictures[:, hole_top : hole_top + height, hole_left : hole_left + width] = 0
        batch.append(pictures.transpose(3, 0, 1, 2))
    return np.stack(batch)


def video(batch: Batch) -> Tensor:
    """The network's input."""
    return finished(batch.pixels, batch.inside, CPU)


def network_seconds(clip: Tensor) -> float:
    """Wall time of forward and backward for a window of the batch."""
    model = V2p().to(memory_format=torch.channels_last_3d).train()
    clip = clip[:4]
    inside = Inside(torch.ones(len(clip), clip.shape[2], dtype=torch.bool))
    taken = []
    for _ in range(4):  # the first one warms up
        begun = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            loss = torch.cat(model(clip, inside), dim=-1).float().square().mean()
        loss.backward()
        taken.append((time.perf_counter() - begun) / len(clip))
    return statistics.median(taken[1:])


def forget(paths: list[Path]) -> None:
    gc.collect()  # what is still mapped is not forgotten
    os.sync()
    for path in paths:
        file = os.open(path.with_suffix(".npy"), os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def status(file: str, name: str) -> int:
    lines = Path(f"/proc/self/{file}").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall time, s."""
    cpu, wall = time.process_time(), time.perf_counter()
    function()
    return time.process_time() - cpu, time.perf_counter() - wall


def opened(paths: list[Path], length: int, sight: Sight) -> WindowedClips:
    """The windows of all files, opened anew: pages that are still mapped would stay in the cache."""
    clips = []
    for path in paths:
        table, name = tables.read(path, FACES), path.name.split(".")[0]
        valid = table.column("valid").astype(np.bool_)
        labels, every = np.zeros((len(valid), 2)), np.ones(len(valid), np.bool_)
        clips.append(ClipData(name, {}, {}, labels, every, ClipCrops(name, open_crops(table), valid)))
    return valid_windows(clips, length).seeing(sight)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    numbers = {"batch": 64, "length": 32, "side": 128, "crop": SIZE, "clips": 16, "frames": 600, "rounds": 9}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--cutout", type=int, default=0)
    parser.add_argument("--jitter", type=float, default=0.0)
    parser.add_argument("--order", choices=("rgb", "bgr"), default="rgb")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--jpeg", action="store_true")
    parser.add_argument("--network", action="store_true")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        random = np.random.default_rng(0)
        paths = [
            write_clip(Path(folder), f"clip{i}", given.frames, given.side, given.jpeg, random)
            for i in range(given.clips)
        ]
        measure(given, paths)


def measure(given: argparse.Namespace, paths: list[Path]) -> None:
    sight = Sight(given.side, given.crop, SIZE, order=given.order)
    clips = opened(paths, given.length, sight)
    sampler = StartSampler(clips, per_clip=-(-given.batch // given.clips))
    augmentation = Augmentation(given.side, given.crop, cutout=given.cutout, jitter=given.jitter)
    chosen, views = sampler.epoch()[: given.batch], augmentation.draw(given.batch)
    batch = clips.gather(chosen, views)
    difference = np.abs(np.asarray(video(batch)) - loop(clips, chosen, views)).max()
    assert difference <= (1e-6 if given.jitter else 0), difference
    kind = "JPEG" if given.jpeg else "pixels"
    print(
        f"{given.batch} windows of {given.length} frames, {given.crop} of {given.side} px, {kind}, "
        f"numpy {np.__version__}, torch {torch.__version__}, {given.threads} threads"
    )
    print(f"{batch.pixels.values.nbytes / 2**20:.0f} MiB are gathered for {SIZE} x {SIZE} px")
    times: dict[str, list[tuple[float, float]]] = {"gather, cold": [], "gather": [], "finished": [], "loop": []}
    read = []
    for _ in range(given.rounds):
        chosen, views = sampler.epoch()[: given.batch], augmentation.draw(given.batch)
        del clips
        forget(paths)
        clips = opened(paths, given.length, sight)
        before = status("io", "read_bytes")
        times["gather, cold"].append(timed(lambda: clips.gather(chosen, views)))  # noqa: B023, called at once
        read.append((status("io", "read_bytes") - before) / 2**20)
        for path in paths:
            path.with_suffix(".npy").read_bytes()
        times["gather"].append(timed(lambda: clips.gather(chosen, views)))  # noqa: B023
        batch = clips.gather(chosen, views)
        times["finished"].append(timed(lambda: video(batch)))  # noqa: B023
        times["loop"].append(timed(lambda: loop(clips, chosen, views)))  # noqa: B023
    for name, pairs in times.items():
        cpu, wall = (statistics.median(column) * 1e3 / given.batch for column in zip(*pairs, strict=True))
        more = f"; {statistics.median(read):.0f} MiB read for the batch" if name == "gather, cold" else ""
        print(f"{name:12s} {cpu:7.2f} ms CPU, {wall:7.2f} ms wall per window{more}")
    ours = [one[0] + other[0] for one, other in zip(times["gather"], times["finished"], strict=True)]
    ratios = [other[0] / one for one, other in zip(ours, times["loop"], strict=True)]
    print(f"gather and finished take 1/{statistics.median(ratios):.1f} of the loop's CPU time (median over rounds)")
    del clips
    clips = opened(paths, given.length, sight)
    before = status("status", "VmRSS")
    for at in range(0, len(clips), given.length * 8):
        clips.gather(np.arange(at, min(at + given.length * 8, len(clips)), given.length))
    print(f"resident: {(status('status', 'VmRSS') - before) / 1024:+.0f} MiB over all files")
    if given.network:
        cpu = statistics.median(ours)
        seconds = network_seconds(video(batch)) * given.batch
        print(f"network: {seconds * 1e3 / given.batch:.0f} ms wall per window; loading is {cpu / seconds:.2%} of it")
        if cpu >= seconds / 10:
            raise SystemExit("loading takes a tenth of the network's time or more")


if __name__ == "__main__":
    main()
