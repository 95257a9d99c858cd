"""The learning-rate range test: a short training over a rising rate, which shows where the loss falls and rises again.

Smith 2017, Cyclical Learning Rates for Training Neural Networks (arXiv 1506.01186), section 3.3; the exponential rise,
the running mean and the end at 4 times the best loss are those of Gugger's and Howard's fastai library.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from affcli.configs import LrRange, Training
from affcli.errors import UsageError
from affcli.models.device import memory_explained
from affcli.training.data import WindowedClips
from affcli.training.feed import Feed, Step
from affcli.training.optimisation import Optimisation
from affcli.training.tasks import AFFECT, Task

KEPT = 0.9  # share of the old in the running mean of the loss
TOO_HIGH = 4.0  # times the best running mean: there is nothing more to see
STRETCHES = 10  # parts of the test over which a fall is measured
SAFE = 10.0  # the rate of the lowest loss over the one that is commonly taken


@dataclass(frozen=True)
class Tried:
    """One step."""

    lr: float
    loss: float  # of the batch, before the weights change
    smoothed: float  # running mean of the loss


@dataclass(frozen=True)
class Found:
    """What rates the test hints at."""

    steepest: float | None  # where the running mean begins to fall fastest; None where it falls nowhere
    lowest: float  # where it is lowest: above, the loss rises

    @property
    def safe(self) -> float:
        """A tenth of the rate of the lowest loss."""
        return self.lowest / SAFE


def rising(config: LrRange) -> Callable[[int], float]:
    """The learning rate of each step s of S: from (to / from)^(s / (S - 1)).

    Raises UsageError where it would not rise.
    """
    first, last, steps = config.lr_from, config.lr_to, config.lr_steps
    if not first < last:
        raise UsageError(
            f"--lr-from {first:g}", f"is not below --lr-to {last:g}", expected="a lower rate", advice="correct one"
        )
    return lambda step: first * (last / first) ** (step / (steps - 1))


def lr_range(
    model: nn.Module,
    train: WindowedClips,
    config: Training,
    device: torch.device,
    rates: LrRange,
    *,
    task: Task = AFFECT,
) -> Iterator[Tried]:
    """Train `model` in place at the rates of `rates`, and yield every step.

    The windows, their order, how they are seen, dropout and the optimiser are those that a training with `config`
    begins with; its own rate and schedule and the running average of weights are left out.  Ends early where the
    running mean of the loss is above 4 times its lowest, or the loss is no number: that step is not told.  The mean is
    m / (1 - .9^s) after s steps, with m = .9 m + .1 loss.  Seeds torch's global random state; on the CPU equal inputs
    give equal bits.

    Raises UsageError where the rates do not rise, settings do not fit together, a batch does not fit into memory, or
    the first loss is no number.
    """
    torch.manual_seed(config.seed)
    config = dataclasses.replace(config, ema=0.0)
    feed = Feed(train, config, task.counts(train, config))
    optimisation = Optimisation(model.to(device), config, device, 1, task=task, rate=rising(rates))
    mean, best = 0.0, math.inf
    model.train()
    with contextlib.closing(_endless(feed)) as steps:
        for number, (parts, counts, _) in zip(range(1, rates.lr_steps + 1), steps, strict=False):
            with memory_explained(config.batch, config.accumulate):
                loss = float(optimisation.step(parts, counts))
            if not math.isfinite(loss):
                if number == 1:
                    raise _no_number(rates.lr_from)
                return
            mean = KEPT * mean + (1 - KEPT) * loss
            smoothed = mean / (1 - KEPT**number)
            yield Tried(optimisation.lr, loss, smoothed)
            best = min(best, smoothed)
            if smoothed > TOO_HIGH * best:
                return


def found_in(tried: Sequence[Tried]) -> Found:
    """The rates that the steps of a test hint at.

    Both are of the running mean.  The steepest fall is that over a tenth of the steps (at least one) which is largest,
    told by the rate at which it begins, since the mean comes after the loss; the first tenth, in which it is a mean of
    few steps, is left out.  Of equal ones the first counts.  Raises ValueError where there is no step.
    """
    if not tried:
        raise ValueError("no step to look at")
    smoothed = np.array([one.smoothed for one in tried])
    part = max(1, len(tried) // STRETCHES)
    falls = smoothed[part:-part] - smoothed[2 * part :]
    steepest = tried[part + int(falls.argmax())].lr if len(falls) and falls.max() > 0 else None
    return Found(steepest, tried[int(smoothed.argmin())].lr)


def _endless(feed: Feed) -> Generator[Step, None, None]:
    """The batches of one epoch after the other."""
    while True:
        yield from feed.batches(feed.order())


def _no_number(lr: float) -> UsageError:
    return UsageError(
        f"--lr-from {lr:g}",
        "makes the first loss infinite or NaN",
        expected="a loss that is a number before anything is learnt",
        advice="check the features (affcli info), or the weights that --init names",
    )
