"""The training loop: seeded, with early stopping on the concordance of whole validation clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affcli import metrics
from affcli.configs import Training
from affcli.errors import InputError, UsageError
from affcli.models import MODELS, Input
from affcli.models.device import memory_explained, size_explained
from affcli.prediction import predict
from affcli.training.data import Batch, WindowedClips
from affcli.training.optimisation import Optimisation
from affcli.training.sampling import Sampler
from affcli.training.world import ALONE, World

_WAITING = 50  # steps after which a loss is looked at: on a GPU, every look waits for the steps before


class DivergedError(UsageError):
    """The loss is no number any more; of several processes, every one finds that at the same step."""


@dataclass(frozen=True)
class Epoch:
    """One pass over the training windows, and the validation after it."""

    number: int  # from 1
    train_loss: float  # mean over the labelled frames
    valence: float  # CCC over the annotated frames of all validation clips
    arousal: float
    improved: bool  # the best mean CCC so far
    lr: float  # learning rate of the last step

    @property
    def mean(self) -> float:
        return (self.valence + self.arousal) / 2

    def to_json(self) -> dict[str, float]:
        """The line of metrics.jsonl."""
        return {
            "epoch": self.number,
            "train_loss": self.train_loss,
            "val_ccc_valence": self.valence,
            "val_ccc_arousal": self.arousal,
            "val_ccc_mean": self.mean,
            "lr": self.lr,
        }


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

    `train` are windows with labels, `val` windows that cover whole clips.  Every epoch takes the windows in a new
    order.  Ends after `config.epochs`, or `config.patience` epochs after the best one.  With `config.ema`, what is
    validated, and what `model` holds whenever an epoch is yielded, is the running average of its weights.  `on_batch`
    is told how many windows of how many are done in the epoch.  Seeds torch's global random state; on the CPU, equal
    inputs and seed give equal weights to the last bit with the same torch and number of threads.

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
        state: Mapping[str, Any] | None = None,
        world: World = ALONE,
    ) -> None:
        _check_truth(train, "training")
        _check_truth(val, "validation")
        torch.manual_seed(_seed(config.seed, world.rank))
        self._model, self._train, self._val, self._config, self._world = model.to(device), train, val, config, world
        self._device = device
        self._on_batch = on_batch
        self._sampler = Sampler(train, config.balance, config.seed)
        steps = steps_per_epoch(len(self._sampler), config)
        self._optimisation = Optimisation(model, config, device, steps, world)
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
            loss = self._pass(self._sampler.epoch())
            optimisation.swap_average()
            valence, arousal = validate(self._model, self._val, config.batch, self._device, self._world)
            epoch = Epoch(number, loss, valence, arousal, self._improves((valence + arousal) / 2), optimisation.lr)
            if not np.isfinite([loss, epoch.mean]).all():
                raise DivergedError(
                    f"--lr {config.lr:g}",
                    f"made the loss infinite or NaN in epoch {number}",
                    expected="a loss that stays a number",
                    advice=f"try a smaller learning rate (the default is {Training().lr:g}) or --clip 1",
                )
            if epoch.improved:
                self._best, self._best_epoch = epoch.mean, number
            self._number, self._score = number, epoch.mean
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
            "sampler": self._sampler.state,
            "optimisation": self._optimisation.state,
            "random": random,
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._number, self._score = state["epochs"], state["score"]
        self._best, self._best_epoch = state["best"], state["best_epoch"]
        self._sampler.state = state["sampler"]
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
        for parts, counts, windows in self._batches(order):
            with memory_explained(self._config.batch, self._config.accumulate):
                loss = self._optimisation.step(parts, counts)
            waiting.append((loss, sum(counts)))
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

    def _batches(self, order: NDArray[np.int64]) -> Iterator[tuple[list[Batch], list[int], int]]:
        """The batches in the given order: their parts, the labelled frames of each over all processes, the windows.

        A thread gathers a batch while the one before it is trained on: reading and copying leave Python free.
        """

        def gathered(chosen: NDArray[np.int64]) -> tuple[list[Batch], list[int], int]:
            parts = np.array_split(chosen, min(self._config.accumulate, len(chosen)))
            counts = [int(self._train.annotated[part].sum()) for part in parts]
            return [self._mine(part) for part in parts], counts, len(chosen)

        size = self._config.batch
        with ThreadPoolExecutor(1) as thread:
            ahead = thread.submit(gathered, order[:size])
            for at in range(size, len(order), size):
                batch, ahead = ahead.result(), thread.submit(gathered, order[at : at + size])
                yield batch
            yield ahead.result()

    def _mine(self, part: NDArray[np.int64]) -> Batch:
        """This process's share of a part of a batch."""
        share = np.array_split(part, self._world.size)[self._world.rank]
        return self._train.gather(share) if len(share) else self._train.blank()


def _seed(seed: int, rank: int) -> int:
    """The seed of a process's dropout: the first has that of a process alone, the others each one of their own."""
    return seed if rank == 0 else int(np.random.SeedSequence([seed, rank]).generate_state(1, np.uint64)[0])


def steps_per_epoch(windows: int, config: Training) -> int:
    """How often the weights change in an epoch of so many windows; the last batch may be smaller."""
    return -(-windows // config.batch)


def validate(
    model: nn.Module, val: WindowedClips, batch: int, device: torch.device, world: World = ALONE
) -> tuple[float, float]:
    """CCC of valence and of arousal over the annotated frames of all clips, NaN where the network gives NaN."""
    affect = curves(model, val, batch, device, world)
    if not np.isfinite(affect).all():
        return np.nan, np.nan
    truth, prediction = val.labels[val.labelled], affect[val.labelled]
    return metrics.ccc(truth[:, 0], prediction[:, 0]), metrics.ccc(truth[:, 1], prediction[:, 1])


def curves(
    model: nn.Module, val: WindowedClips, batch: int, device: torch.device, world: World = ALONE
) -> NDArray[np.float64]:
    """Valence and arousal of all clips, laid end to end: (n, 2).

    Of several processes each predicts some of the clips, and none twice.  Leaves `model` on `device`.
    """
    if world.size == 1:
        return predict(model, val.batches(batch), val.frames, device)
    affect = np.zeros((val.frames, 2))
    mine = np.arange(len(val.clips))[world.rank :: world.size]
    if len(mine):
        here = val.of_clips(mine)
        rows = np.concatenate([np.arange(val.offsets[one], val.offsets[one + 1]) for one in mine])
        affect[rows] = predict(model, here.batches(batch), here.frames, device)
    together: NDArray[np.float64] = np.sum([part.numpy() for part in world.gathered(torch.from_numpy(affect))], axis=0)
    return together


def _check_truth(windows: WindowedClips, part: str) -> None:
    truth = windows.labels[windows.labelled]
    for values, name in zip(truth.T, ("valence", "arousal"), strict=True):
        if len(values) == 0 or values.min() == values.max():
            raise InputError(
                f"{part} clips",
                f"have the same {name} in every annotated frame" if len(values) else "have no annotated frame",
                expected="labels that change (CCC is not defined without)",
                advice="hold out other clips: affcli window --val or another --seed",
            )
