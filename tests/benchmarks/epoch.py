"""How much of an epoch is not the network's: reading windows from disk, standardising, tensors, bookkeeping.

    python tests/benchmarks/epoch.py [--frames 1000000] [--clips 200] [--batches 0] [--threads 1] [--folder DIR]

Features of 168 numbers a frame, one .npy file per clip as affcli writes them (672 MB for a million frames), are cut in
windows of 15 frames with an overlap of 5 and go in batches of 64 through gru-audio, the fastest of the recurrent
networks, in the loop of `affcli train`.  That is done twice: after the page cache was told to forget the files, which
the kernel may or may not do (the bytes read from disk tell), and again with the files in the cache.  With --batches,
only so many batches are measured, of windows evenly spread over the epoch.

A batch is gathered by a thread while the one before it goes through the network; `taskset -c 0` before the command
shows what that costs without a second core.  The network's time is that of its forward pass, the loss, the backward
pass and the optimiser with the clearing of its gradients; all else is outside.  Run it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from affcli import configs, recipes, tables
from affcli.cli.featuresets import read_features
from affcli.cli.windowed import clip_data
from affcli.labels.affect import Affect
from affcli.schemas import FEATURES
from affcli.training.data import Batch, Standardisation, WindowedClips, fit_standardisation
from affcli.training.fit import Fit, new_model
from affcli.training.losses import Loss
from affcli.training.optimizers import KerasRmsprop
from affcli.training.viewing import Views
from affcli.windows import FeatureSet, cut

ENCODER, WIDTH = "mfcc-mel", 168
LENGTH, OVERLAP, BATCH = 15, 5, 64


class Clock:
    """Seconds by what they went into, until it is stopped."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.stopped = False
        self._begun: dict[str, float] = {}

    def begin(self, part: str) -> None:
        self._begun[part] = time.perf_counter()

    def end(self, part: str) -> None:
        if not self.stopped:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - self._begun[part]

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **keywords: Any) -> Any:
            self.begin(part)
            result = function(*arguments, **keywords)
            self.end(part)
            return result

        return run


class TimedWindows(WindowedClips):
    """Windows whose gathering is timed."""

    clock: Clock

    def gather(self, chosen: NDArray[np.int64], views: Views | None = None) -> Batch:
        return self.clock.timed("gather (beside the network)", super().gather)(chosen, views)


def write(folder: Path, frames: int, clips: int) -> list[Path]:
    """The features of so many clips, alike in length."""
    rng = np.random.default_rng(0)
    paths = []
    for number, n in enumerate(np.diff(np.linspace(0, frames, clips + 1).astype(int)).tolist()):
        path = folder / f"c{number:04}.{ENCODER}.parquet"
        columns = {
            "clip": np.full(n, f"c{number:04}", dtype=object),
            "frame": np.arange(n, dtype=np.int32),
            "time_us": np.arange(n, dtype=np.int64) * 40_000,
            "valid": np.ones(n, np.bool_),
        }
        recipe = recipes.recipe("embed", {"encoder": ENCODER})
        facts = {"encoder": ENCODER, "modality": "audio", "width": WIDTH}
        vectors = rng.standard_normal((n, WIDTH), np.float32) * 5 - 20
        tables.write(path, FEATURES, columns, recipe=recipe, inputs=[], facts=facts, array=vectors)
        paths.append(path)
    return paths


def opened(paths: list[Path], kind: type[WindowedClips] = WindowedClips) -> WindowedClips:
    """All windows, with labels, as `affcli train` opens them."""
    rng = np.random.default_rng(1)
    clips = []
    for path in paths:
        file = read_features(path)
        valence, arousal = rng.uniform(-1, 1, (2, len(file.valid)))
        labels = Affect(file.clip, valence, arousal)
        clips.append(clip_data(file.clip, {ENCODER: file}, labels))
    cuts = [cut(one.frames, LENGTH, OVERLAP) for one in clips]
    which = np.repeat(np.arange(len(clips)), [len(starts) for starts, _ in cuts])
    return kind(clips, which, np.concatenate([one for one, _ in cuts]), np.concatenate([one for _, one in cuts]))


def forget(paths: list[Path]) -> None:
    """Ask the kernel to drop the files from its cache."""
    os.sync()  # what is not yet on disk cannot be dropped
    for path in paths:
        with path.with_suffix(".npy").open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_from_disk() -> int:
    """Bytes that this process has had read from disk so far."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


def epoch(paths: list[Path], scale: Standardisation, batches: int) -> tuple[Clock, float, int, int]:
    """One pass over the windows: a clock, seconds in all, windows, and bytes read from disk."""
    windows = opened(paths, TimedWindows).standardised(scale)
    keep = np.arange(len(windows))
    if batches:
        keep = np.unique(np.linspace(0, len(windows) - 1, min(batches * BATCH, len(windows))).astype(np.int64))
    train = TimedWindows(windows.clips, windows.clip[keep], windows.start[keep], windows.length[keep], scale)
    val = opened(paths[:1]).standardised(scale)
    train.clock = clock = Clock()
    model = new_model("gru-audio", {ENCODER: FeatureSet(WIDTH, "audio", {})}, configs.GruFusion(), 0)
    model.register_forward_pre_hook(lambda *_: clock.begin("forward"))
    model.register_forward_hook(lambda *_: clock.end("forward"))
    ended = [0.0]

    def on_batch(done: int, total: int) -> None:
        if done == total:
            ended[0] = time.perf_counter()
            clock.stopped = True  # before the validation, which goes through the network, too

    settings = configs.Training(batch=BATCH, epochs=1)
    already, begun = read_from_disk(), time.perf_counter()
    with contextlib.ExitStack() as patches:
        for kind, name, part in (
            (Loss, "__call__", "loss"),
            (torch.Tensor, "backward", "backward"),
            (KerasRmsprop, "step", "optimiser"),
            (torch.optim.Optimizer, "zero_grad", "optimiser"),
        ):
            patches.enter_context(mock.patch.object(kind, name, clock.timed(part, getattr(kind, name))))
        for _ in Fit(model, train, val, settings, torch.device("cpu"), on_batch):
            pass
    return clock, ended[0] - begun, len(train), read_from_disk() - already


def report(name: str, clock: Clock, whole: float, windows: int, read: int) -> None:
    network = sum(clock.seconds[part] for part in ("forward", "loss", "backward", "optimiser"))
    steps = -(-windows // BATCH)
    print(f"{name}: {windows} windows in {whole:.1f} s, {whole / steps * 1e3:.1f} ms a step; {read / 1e6:.0f} MB read")
    rest = {"tensors, bookkeeping, waiting": whole - network}
    for part, seconds in {**clock.seconds, **rest}.items():
        print(f"  {part:30} {seconds / steps * 1e3:7.2f} ms a step {seconds / whole:7.1%}")
    print(f"  outside the network: {1 - network / whole:.1%}", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--frames", type=int, default=1_000_000)
    options.add_argument("--clips", type=int, default=200)
    options.add_argument("--batches", type=int, default=0, help="measure so many, evenly spread; 0 for the whole epoch")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--folder", type=Path, default=None, help="where the files are made (and taken away again)")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        paths = write(Path(folder), chosen.frames, chosen.clips)
        scale = fit_standardisation(opened(paths))
        epoch(paths[:1], scale, 20)  # what PyTorch does only once
        print(f"torch {torch.__version__}, {chosen.threads} threads, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
        every = len(opened(paths))
        share = f"{chosen.batches * BATCH / every:.0%} of the epoch" if chosen.batches else "the whole epoch"
        print(f"{chosen.frames} frames in {chosen.clips} clips, {every} windows; measured: {share}", flush=True)
        forget(paths)
        report("files not in the cache", *epoch(paths, scale, chosen.batches))
        report("files in the cache", *epoch(paths, scale, chosen.batches))


if __name__ == "__main__":
    main()
