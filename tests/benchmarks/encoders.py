"""CPU time per crop of the face encoders that need nothing brought, and CenterFace's trunk against the whole network.

    python tests/benchmarks/encoders.py [--crops 96] [--rounds 5]

Run it on an otherwise idle machine, with OMP_NUM_THREADS=1.  All figures come from one process, the contestants in
turn, `--rounds` times; medians are shown.  Everything runs on one thread.  Crops are cut from scikit-image's photograph
of an astronaut, a little further with every frame.  An encoder that reads a whole clip is given all crops at once; one
that reads crops, 1, 4 and 32 at a time.  The whole CenterFace takes multiples of 32 px only, so 128 for a crop of 112;
it is measured as it is published (every weight an input of the graph) and as affcli opens it.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import onnxruntime
from faces import naive_session  # the benchmark beside this one
from numpy.typing import NDArray
from skimage.data import astronaut

from affcli import weights
from affcli.faces.centerface import network
from affcli.features import ENCODERS, EncoderEntry, Setup
from affcli.features.encode import encode_clip
from affcli.features.views import TimedCrops, TimedLandmarks

SIDE = 112  # px, where the encoder does not decide
BATCHES = (1, 4, 32)
OUTPUTS = ["537", "538", "539", "540"]  # of the whole CenterFace
WHOLE = ("whole CenterFace, published", "whole CenterFace")


def crops_of(count: int, side: int) -> NDArray[np.uint8]:
    """(count, side, side, 3): a face that moves."""
    image = astronaut()
    cut = [image[40 + i % 12 : 152 + i % 12, 160 + 2 * (i % 12) : 272 + 2 * (i % 12)] for i in range(count)]
    return np.stack([cv2.resize(crop, (side, side), interpolation=cv2.INTER_LINEAR) for crop in cut])


def view_of(entry: EncoderEntry, crops: NDArray[np.uint8]) -> TimedCrops | TimedLandmarks:
    """The crops, or landmarks that move like them, at 25 frames per second."""
    count = len(crops)
    times, valid = np.arange(count) * 40_000, np.ones(count, bool)
    if entry.reads == "film":
        return TimedCrops(crops, times, valid)
    random = np.random.default_rng(0)
    face = np.array([[38, 52], [74, 52], [56, 72], [42, 92], [71, 92]], np.float32)
    points = face + random.normal(0, 1, (count, 5, 2)).astype(np.float32)
    boxes = np.tile(np.array([20, 10, 92, 110], np.float32), (count, 1))
    return TimedLandmarks(points, boxes, (640, 360), times, valid)


def is_ready(entry: EncoderEntry) -> bool:
    """Whether an encoder of faces needs nothing brought or installed."""
    return (
        entry.reads != "audio"
        and not entry.argument
        and (entry.weights is None or weights.find(entry.weights) is not None)
        and all(importlib.util.find_spec(package) for package in entry.packages)
    )


def whole_network(session: onnxruntime.InferenceSession) -> Callable[[NDArray[np.uint8]], object]:
    """CenterFace with all its outputs."""
    return lambda batch: session.run(OUTPUTS, {"input.1": batch.transpose(0, 3, 1, 2).astype(np.float32)})


def contestants(count: int) -> dict[str, tuple[Callable[[], object], int]]:
    """What is measured: name, a run, and the crops in it."""
    found: dict[str, tuple[Callable[[], object], int]] = {}

    def in_batches(name: str, encoder: Callable[[Any], object], crops: NDArray[np.uint8]) -> None:
        for batch in BATCHES:
            parts = [crops[i : i + batch] for i in range(0, count - batch + 1, batch)]
            found[f"{name}, {crops.shape[1]} px, by {batch}"] = (
                lambda parts=parts: [encoder(part) for part in parts],
                batch * len(parts),
            )

    for name in ENCODERS:
        entry = ENCODERS[name]
        if not is_ready(entry):
            continue
        encoder: Any = entry.resolve()(entry.config(), Setup())
        sides = (96, SIDE, 128) if name == "centerface-b448" else (SIDE,)
        for side in sides:
            crops = crops_of(count, side)
            if entry.reads == "crops":
                in_batches(name, encoder, crops)
            else:
                view = view_of(entry, crops)
                found[f"{name}, whole clip"] = (
                    lambda encoder=encoder, view=view: list(encode_clip(encoder, view)),
                    count,
                )
    crops = crops_of(count, 128)
    in_batches(WHOLE[0], whole_network(naive_session(patched=False)), crops)
    in_batches(WHOLE[1], whole_network(network()), crops)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"Python {sys.version.split()[0]}, onnxruntime {onnxruntime.__version__}, {os.cpu_count()} cores")
    runs = contestants(wanted.crops)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for run, _ in runs.values():
        run()  # what is loaded or made once
    for name, (run, count) in itertools.chain(*([*runs.items()] for _ in range(wanted.rounds))):
        start = time.process_time()
        run()
        taken[name].append(1000 * (time.process_time() - start) / count)
    print(f"CPU ms per crop, median of {wanted.rounds} (load {os.getloadavg()[0]:.1f})")
    cost = {name: statistics.median(each) for name, each in taken.items()}
    for name, each in cost.items():
        print(f"  {name:36} {each:7.3f}")
    for side, batch in itertools.product((SIDE, 128), BATCHES):
        trunk = cost[f"centerface-b448, {side} px, by {batch}"]
        published, here = (cost[f"{name}, 128 px, by {batch}"] / trunk for name in WHOLE)
        print(f"  trunk, {side} px, by {batch}: {published:.1f} times as fast as published, {here:.1f} as opened here")


if __name__ == "__main__":
    main()
