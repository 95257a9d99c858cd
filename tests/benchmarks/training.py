"""Time of one training step of gru-fusion: ours, plain PyTorch modules in a loop written by hand, and Keras.

    python tests/benchmarks/training.py [--rounds 15] [--steps 4] [--threads 1] [--batch 64] [--padded] [--predict]
        [--cpu] [--keras-python /path/to/a/python/with/keras/and/torch]

A step is forward, mean squared error, backward and RMSprop, on 64 windows of 15 frames with 168 + 2048 + 714 features;
with --predict it is forward alone.  The contestants take turns, `--rounds` times `--steps` steps each, ours and the
plain one in this process, Keras in its own on its PyTorch backend; shown are medians over the rounds, and of the ratios
within a round.  --padded ends half of the windows early, which the others cannot and do not do.  --cpu is the CPU time
of all threads instead of the wall's, for a machine that is busy otherwise; waiting threads count, so with one thread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from affcli.configs import GruFusion as Config
from affcli.models.gru_fusion import GruFusion
from affcli.training.optimizers import KerasRmsprop

LENGTH = 15
WIDTHS = {"audio": 168, "face": 2048, "pose": 714}
UNITS = {"audio": (128, 64), "face": (256, 256, 64), "pose": (128, 64)}

KERAS = """
import sys, time
import keras, numpy as np, torch
from keras import layers
torch.set_num_threads({threads})
def settle(x):
    return layers.Dropout(0.25)(layers.PReLU(shared_axes=[1])(layers.BatchNormalization()(x)))
inputs, ends = [], []
for name, width in {widths}.items():
    x = keras.Input(({length}, width))
    inputs.append(x)
    for units in {units}[name]:
        layer = layers.Dense(units) if name == "pose" else layers.GRU(units, return_sequences=True)
        x = settle(layer(x))
    ends.append(x)
x = layers.PReLU(shared_axes=[1])(layers.Dense(64)(layers.Concatenate()(ends)))
model = keras.Model(inputs, layers.Dense(2, activation="tanh")(x))
model.compile(keras.optimizers.RMSprop(1e-4), "mse")
random = np.random.default_rng(0)
x = [random.normal(size=({batch}, {length}, width)).astype("float32") for width in {widths}.values()]
y = random.uniform(-1, 1, ({batch}, {length}, 2)).astype("float32")
print("Keras", keras.__version__, keras.backend.backend(), "torch", torch.__version__, flush=True)
for line in sys.stdin:
    begun = time.{clock}()
    for _ in range(int(line)):
        {step}
    print(time.{clock}() - begun, flush=True)
"""


@dataclass(frozen=True)
class Set:
    width: int
    modality: str


class Block(nn.Module):
    """A layer, batch normalisation, PReLU and dropout, as one writes them down."""

    def __init__(self, width: int, units: int, recurrent: bool) -> None:
        super().__init__()
        self.layer = nn.GRU(width, units, batch_first=True) if recurrent else nn.Linear(width, units)
        self.norm = nn.BatchNorm1d(units, eps=1e-3, momentum=0.01)
        self.slope = nn.PReLU(units, init=0.0)
        self.drop = nn.Dropout(0.25)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        x = x[0] if isinstance(x, tuple) else x
        return self.drop(self.slope(self.norm(x.transpose(1, 2)))).transpose(1, 2)


class Plain(nn.Module):
    """The paper's network of PyTorch's own modules."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleDict()
        for name, width in WIDTHS.items():
            widths = (width, *UNITS[name])
            blocks = [Block(a, b, name != "pose") for a, b in zip(widths, UNITS[name], strict=False)]
            self.branches[name] = nn.Sequential(*blocks)
        self.hidden, self.slope, self.affect = nn.Linear(192, 64), nn.PReLU(64, init=0.0), nn.Linear(64, 2)

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        hidden = self.hidden(torch.cat([branch(features[name]) for name, branch in self.branches.items()], dim=-1))
        hidden = self.slope(hidden.transpose(1, 2)).transpose(1, 2)
        return torch.tanh(self.affect(hidden))


def training(
    model: nn.Module, optimizer: torch.optim.Optimizer, clock: Callable[[], float], *inputs: object
) -> Callable[[int], float]:
    """Takes so many steps, and says how many seconds they took."""
    features = inputs[0]
    assert isinstance(features, dict)
    truth = torch.rand(len(features["audio"]), LENGTH, 2) * 2 - 1
    inside = inputs[1] if len(inputs) > 1 else torch.ones(truth.shape[:2], dtype=torch.bool)
    whole = bool(inside.all())

    def run(steps: int) -> float:
        begun = clock()
        for _ in range(steps):
            affect = model(*inputs)
            loss = (affect - truth if whole else (affect - truth)[inside]).square().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            float(loss.detach())
        return clock() - begun

    return run


def prediction(model: nn.Module, clock: Callable[[], float], *inputs: object) -> Callable[[int], float]:
    """The same without gradients."""

    def run(steps: int) -> float:
        begun = clock()
        with torch.inference_mode():
            for _ in range(steps):
                model(*inputs)
        return clock() - begun

    return run


def keras(python: str, threads: int, batch: int, clock: str, predict: bool) -> Callable[[int], float]:
    """The same of Keras, in a process of its own."""
    step = "model.predict_on_batch(x)" if predict else "model.train_on_batch(x, y)"
    program = KERAS.format(
        threads=threads, widths=WIDTHS, units=UNITS, length=LENGTH, batch=batch, clock=clock, step=step
    )
    child = subprocess.Popen(
        [python, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": str(threads)},
    )
    assert child.stdin and child.stdout
    print(child.stdout.readline().strip())

    def run(steps: int) -> float:
        print(steps, file=child.stdin, flush=True)
        return float(child.stdout.readline())

    return run


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--steps", type=int, default=4)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--padded", action="store_true")
    options.add_argument("--predict", action="store_true")
    options.add_argument("--cpu", action="store_true")
    options.add_argument("--keras-python", default="")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    features = {name: torch.randn(chosen.batch, LENGTH, width) for name, width in WIDTHS.items()}
    inside = torch.ones(chosen.batch, LENGTH, dtype=torch.bool)
    if chosen.padded:
        inside[::2, LENGTH // 2 :] = False
    ours = GruFusion({name: Set(width, name) for name, width in WIDTHS.items()}, Config()).train()
    plain = Plain().train()
    name = "process_time" if chosen.cpu else "perf_counter"
    clock: Callable[[], float] = getattr(time, name)
    if chosen.predict:
        contestants = {
            "ours": prediction(ours.eval(), clock, features, inside),
            "plain": prediction(plain.eval(), clock, features),
        }
    else:
        rmsprop = torch.optim.RMSprop(plain.parameters(), 1e-4, alpha=0.9, eps=1e-7)
        contestants = {
            "ours": training(ours, KerasRmsprop(ours.parameters(), 1e-4), clock, features, inside),
            "plain": training(plain, rmsprop, clock, features),
        }
    if chosen.keras_python:
        contestants["keras"] = keras(chosen.keras_python, chosen.threads, chosen.batch, name, chosen.predict)
    for run in contestants.values():
        run(3)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(chosen.rounds):
        names = list(contestants)
        for name in names if turn % 2 else reversed(names):
            times[name].append(contestants[name](chosen.steps) / chosen.steps * 1e3)
    print(f"torch {torch.__version__}, {chosen.threads} threads, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    for name, taken in times.items():
        ratio = statistics.median(a / b for a, b in zip(times["ours"], taken, strict=True))
        print(f"{name:6} {statistics.median(taken):7.1f} ms a step   ours / {name}: {ratio:.2f}")


if __name__ == "__main__":
    main()
