"""The training loop: seeded, with early stopping on the concordance of whole validation clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affcli.configs import Training
from affcli.errors import UsageError
from affcli.models import MODELS
from affcli.models.device import memory_explained, size_explained
from affcli.models.roles import Input
from affcli.training.data import WindowedClips
from affcli.training.feed import Feed
from affcli.training.optimisation import Optimisation
from affcli.training.seeded import seed_of
from affcli.training.tasks import AFFECT, Task
from affcli.training.world import ALONE, World

CCC = ("valence", "arousal", "mean")  # the scores that are concordances
_WAITING = 50  # steps after which a loss is looked at: on a GPU, every look waits for the steps before


class DivergedError(UsageError):
    """The loss is no number any more; of several processes, every one finds that at the same step."""


@dataclass(frozen=True)
class Epoch:
    """One pass over the training windows, and the validation after it."""

    number: int  # from 1
    train_loss: float  # mean over what counts: the labelled frames
    scores: dict[str, float]  # of the validation clips: for affect the CCC of valence and arousal, and their mean
    improved: bool  # the best score so far
    lr: float  # learning rate of the last step

    def to_json(self) -> dict[str, float]:
        """The line of metrics.jsonl."""
        scores = {f"val_ccc_{name}" if name in CCC else f"val_{name}": score for name, score in self.scores.items()}
        return {"epoch": self.number, "train_loss": self.train_loss, **scores, "lr": self.lr}


def new_model(name: str, inputs: Mapping[str, Input], config: object, seed: int) -> nn.Module:
    """A network of the registry with seeded initial weights, on the CPU; torch's own random state is left as it was.

    Raises UsageError where it does not fit into the memory.
    """
    with torch.random.fork_rng(devices=[]), size_explained(name):
        torch.manual_seed(seed)
        model: nn.Module = MODELS[name].resolve()(inputs, config)
    return model


class Fit:
    """Trains `model` in place; going over it yields every epoch, and at an improved one `model` is the best so far.

    `train` are windows with labels, `val` windows that cover whole clips, `task` is what it is trained for.  Every
    epoch takes the windows in a new order.  Ends after `config.epochs`, or `config.patience` epochs after the best one.
    With `config.ema`, what is validated, and what `model` holds whenever an epoch is yielded, is the running average of
    its weights.  `on_batch` is told how many windows of how many are done in the epoch.  Seeds torch's global random
    state; on the CPU, equal inputs and seed give equal weights to the last bit with the same torch and number of
    threads.

    Whenever an epoch is yielded, `state()` is all that, with the weights of `model`, the epochs to come depend on: a
    training that is given it goes on to the same bits.

    Of several processes in `world`, all of which are given the same, each takes its share of every batch and validates
    some of the clips; every one of them finds the same epochs.

    Raises InputError where the labels of a part never change, UsageError where settings do not fit together, the loss
    stops being a number or a batch does not fit into memory.
    """

    def __init__(
        self,
        model: nn.Module,
        train: WindowedClips,
        val: WindowedClips,
        config: Training,
        device: torch.device,
        on_batch: Callable[[int, int], None] | None = None,
        *,
        task: Task = AFFECT,
        state: Mapping[str, Any] | None = None,
        world: World = ALONE,
    ) -> None:
        task.check(train, val)
        torch.manual_seed(seed_of(config.seed, world.rank))
        self._model, self._val, self._config, self._world = model.to(device), val, config, world
        self._device, self._task = device, task
        self._on_batch = on_batch
        self._feed = Feed(train, config, task.counts(train, config), world)
        steps = steps_per_epoch(len(self._feed), config)
        self._optimisation = Optimisation(model, config, device, steps, world, task)
        self._number, self._best, self._best_epoch = 0, -1.0, 0  # epochs that are done; a CCC is never below -1
        self._score = 0.0  # of the last epoch
        if state is not None:
            self._restore(state)

    def __iter__(self) -> Iterator[Epoch]:
        config, optimisation = self._config, self._optimisation
        while not self.ended:
            if self._number:
                optimisation.end_of_epoch(self._score)
                optimisation.swap_average()
            number = self._number + 1
            loss = self._pass(self._feed.order())
            optimisation.swap_average()
            scores = self._task.scores(self._model, self._val, config.at_once, self._device, self._world)
            score = scores[self._task.decides]
            epoch = Epoch(number, loss, scores, self._improves(score), optimisation.lr)
            if not np.isfinite([loss, score]).all():
                raise DivergedError(
                    f"--lr {config.lr:g}",
                    f"made the loss infinite or NaN in epoch {number}",
                    expected="a loss that stays a number",
                    advice=f"try a smaller learning rate (the default is {Training().lr:g}) or --clip 1",
                )
            if epoch.improved:
                self._best, self._best_epoch = score, number
            self._number, self._score = number, score
            yield epoch

    @property
    def ended(self) -> bool:
        """Whether no epoch is left."""
        epochs, waited = self._config.epochs, self._number - self._best_epoch
        return self._number >= epochs or (self._number > 0 and waited >= self._config.patience)

    def _improves(self, score: float) -> bool:
        return not self._best_epoch or score > self._best

    def state(self) -> dict[str, Any]:
        """Where the training stands after the epoch that was yielded last, as `training.state` packs it.

        Of several processes, all must ask for it.
        """
        random = {"cpu": self._world.gathered(torch.get_rng_state())}
        if self._device.type == "cuda":
            random["cuda"] = self._world.gathered(torch.cuda.get_rng_state(self._device))
        return {
            "epochs": self._number,
            "score": self._score,
            "best": self._best,
            "best_epoch": self._best_epoch,
            **self._feed.state,
            "optimisation": self._optimisation.state,
            "random": random,
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._number, self._score = state["epochs"], state["score"]
        self._best, self._best_epoch = state["best"], state["best_epoch"]
        self._feed.state = dict(state)
        self._optimisation.state = state["optimisation"]
        torch.set_rng_state(state["random"]["cpu"][self._world.rank])
        if self._device.type == "cuda" and "cuda" in state["random"]:
            torch.cuda.set_rng_state(state["random"]["cuda"][self._world.rank], self._device)

    def _pass(self, order: NDArray[np.int64]) -> float:
        """One pass in the given order; the mean loss over labelled frames, or NaN soon after it is no finite number."""
        self._model.train()
        total, frames = 0.0, 0
        waiting: list[tuple[Tensor, int]] = []  # losses that a GPU is not yet asked for: it would have to be waited for
        done = 0
        for parts, counts, windows in self._feed.batches(order):
            with memory_explained(self._config.batch, self._config.accumulate):
                loss = self._optimisation.step(parts, counts)
            waiting.append((loss, int(counts[:, 0].sum())))
            done += windows
            if len(waiting) == _WAITING or done == len(order):
                losses, weights = zip(*waiting, strict=True)
                total += float(np.dot(torch.stack(losses).tolist(), weights))
                frames += sum(weights)
                waiting.clear()
            if not np.isfinite(total):
                return np.nan
            if self._on_batch:
                self._on_batch(done, len(order))
        return total / frames


def steps_per_epoch(windows: int, config: Training) -> int:
    """How often the weights change in an epoch of so many windows; the last batch may be smaller."""
    return -(-windows // config.batch)
