"""Time of loading video for a training step: ours, and the loop over frames that one writes first.

    python tests/benchmarks/video_windows.py [--batch 64] [--length 32] [--side 128] [--clips 16] [--frames 600]
        [--rounds 9] [--jpeg] [--order bgr] [--cutout 40] [--network] [--threads 2] [--folder DIR]

A batch is `--batch` windows of `--length` frames from `--clips` files of crops as affcli writes them, each seen from a
place of its own, every other one flipped, as float32 (b, 3, t, 112, 112).  Ours gathers it with VideoWindows; the loop
reads frame after frame from the same mapped files (or decodes the same JPEG files), cuts, flips with OpenCV, scales,
stacks and turns the axes.  Both must give the same numbers.  `bytes` is ours as a GPU is brought it, to be flipped and
scaled there.  Shown are medians over the rounds of CPU time (user and system) and wall time per window, from the page
cache and, for ours, after the kernel was told to forget the files, with what was then read from disk.  The contestants
take turns.  `resident` is the growth of the process's memory while ours goes over all files.  JPEG files that
are smaller than what the kernel reads ahead are in the cache as soon as they are opened.

--network also takes the time of forward and backward of M3T's backbone (its convolutions with batch normalisation; no
recurrent layers, so that it is a little too fast) in bfloat16 with channels_last_3d on `--threads` threads, 4 windows
at a time, and says what share of it the loading of a batch is.
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
from torch import Tensor, nn

from affcli import recipes, tables
from affcli.faces.crops import JpegCrops, encode_jpeg, open_crops
from affcli.schemas import FACES
from affcli.training.crops import ClipCrops
from affcli.training.data import ClipData
from affcli.training.starts import StartSampler, valid_windows
from affcli.training.video import VideoWindows
from affcli.training.viewing import Augmentation, Views

SIZE = 112


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


def loop(clips: VideoWindows, chosen: NDArray[np.int64], views: Views, order: str) -> NDArray[np.float32]:
    """The batch as one writes it down first."""
    batch = []
    for row, window in enumerate(chosen.tolist()):
        crops = clips.crops[int(clips.windows.clip[window])].frames
        start, top, left = int(clips.windows.start[window]), int(views.top[row]), int(views.left[row])
        frames = []
        for frame in range(start, start + int(clips.windows.length[window])):
            picture = np.asarray(crops[frame])[top : top + SIZE, left : left + SIZE]
            if views.flipped[row]:
                picture = cv2.flip(picture, 1)
            if order == "bgr":
                picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
            scaled = (picture.astype(np.float32) - 127.5) / 127.5
            hole_top, hole_left, height, width = views.hole(row, SIZE)
            scaled[hole_top : hole_top + height, hole_left : hole_left + width] = 0
            frames.append(scaled.transpose(2, 0, 1))
        batch.append(np.stack(frames, axis=1))
    return np.stack(batch)


class Backbone(nn.Module):
    """M3T's backbone with both of its branches."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Sequential(
            *self.stage(3, 64, 2), nn.MaxPool3d((1, 2, 2)),
            *self.stage(64, 128), nn.MaxPool3d((1, 2, 2)),
            *self.stage(128, 256), nn.MaxPool3d((1, 2, 2)),
        )  # fmt: skip
        self.branches = nn.ModuleList(nn.Sequential(*self.stage(256, 512), *self.stage(512, 512)) for _ in range(2))

    @staticmethod
    def stage(before: int, after: int, stride: int = 1) -> list[nn.Module]:
        convolution = nn.Conv3d(before, after, 3, stride=(1, stride, stride), padding=(1, 0, 0))
        return [convolution, nn.BatchNorm3d(after), nn.ReLU()]

    def forward(self, video: Tensor) -> Tensor:
        shared = self.shared(video)
        return torch.cat([branch(shared) for branch in self.branches], dim=1)


def network_seconds(video: Tensor) -> float:
    """Wall time of forward and backward for a window of the batch."""
    model = Backbone().to(memory_format=torch.channels_last_3d)
    video = video[:4]
    taken = []
    for _ in range(4):  # the first one warms up
        begun = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(video).float().square().mean()
        loss.backward()
        taken.append((time.perf_counter() - begun) / len(video))
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


def opened(paths: list[Path], length: int, order: str) -> VideoWindows:
    """The windows of all files, opened anew: pages that are still mapped would stay in the cache."""
    crops = []
    for path in paths:
        table = tables.read(path, FACES)
        crops.append(ClipCrops(path.name.split(".")[0], open_crops(table), table.column("valid").astype(np.bool_)))
    clips = [
        ClipData(one.name, {}, {}, np.zeros((len(one.valid), 2)), np.ones(len(one.valid), np.bool_)) for one in crops
    ]
    return VideoWindows(valid_windows(clips, length, [one.valid for one in crops]), crops, size=SIZE, order=order)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("batch", 64), ("length", 32), ("side", 128), ("clips", 16), ("frames", 600), ("rounds", 9)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--cutout", type=int, default=0)
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
    clips = opened(paths, given.length, given.order)
    sampler = StartSampler(clips.windows, per_clip=-(-given.batch // given.clips))
    augmentation = Augmentation(given.side, SIZE, cutout=given.cutout)
    chosen, views = sampler.epoch()[: given.batch], augmentation.draw(given.batch)
    video = clips.gather(chosen, views).video
    assert np.array_equal(video, loop(clips, chosen, views, given.order))
    kind = "JPEG" if isinstance(clips.crops[0].frames, JpegCrops) else "pixels"
    print(f"{given.batch} windows of {given.length} frames, {given.side} px, {kind}, numpy {np.__version__}")
    times: dict[str, list[tuple[float, float]]] = {"ours": [], "bytes": [], "loop": [], "ours, cold": []}
    read = []
    for _ in range(given.rounds):
        chosen, views = sampler.epoch()[: given.batch], augmentation.draw(given.batch)
        del clips
        forget(paths)
        clips = opened(paths, given.length, given.order)
        before = status("io", "read_bytes")
        times["ours, cold"].append(timed(lambda: clips.gather(chosen, views)))  # noqa: B023, called at once
        read.append((status("io", "read_bytes") - before) / 2**20)
        for path in paths:
            path.with_suffix(".npy").read_bytes()
        times["ours"].append(timed(lambda: clips.gather(chosen, views)))  # noqa: B023
        times["bytes"].append(timed(lambda: clips.gather_pixels(chosen, views)))  # noqa: B023
        times["loop"].append(timed(lambda: loop(clips, chosen, views, given.order)))  # noqa: B023
    for name, pairs in times.items():
        cpu, wall = (statistics.median(column) * 1e3 / given.batch for column in zip(*pairs, strict=True))
        more = f"; {statistics.median(read):.0f} MiB read for the batch" if name == "ours, cold" else ""
        print(f"{name:10s} {cpu:7.2f} ms CPU, {wall:7.2f} ms wall per window{more}")
    ratios = [other[0] / ours[0] for ours, other in zip(times["ours"], times["loop"], strict=True)]
    print(f"ours takes 1/{statistics.median(ratios):.1f} of the loop's CPU time (median over rounds)")
    del clips
    clips = opened(paths, given.length, given.order)
    before = status("status", "VmRSS")
    for at in range(0, len(clips), given.length * 8):
        clips.gather(np.arange(at, min(at + given.length * 8, len(clips)), given.length))
    print(f"resident: {(status('status', 'VmRSS') - before) / 1024:+.0f} MiB over all files")
    if given.network:
        batch = statistics.median(wall for _, wall in times["ours"])
        seconds = network_seconds(torch.from_numpy(video)) * given.batch
        print(f"network: {seconds * 1e3 / given.batch:.0f} ms per window; loading is {batch / seconds:.2%} of it")


if __name__ == "__main__":
    main()
