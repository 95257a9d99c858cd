"""The training loop: seeded, with early stopping on the concordance of whole validation clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from affcli import metrics
from affcli.configs import Training
from affcli.errors import InputError, UsageError
from affcli.models import MODELS, Input
from affcli.models.device import memory_explained
from affcli.prediction import predict
from affcli.training.data import WindowedClips
from affcli.training.optimisation import Optimisation
from affcli.training.sampling import Sampler


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
    """A network of the registry with seeded initial weights, on the CPU; torch's own random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = MODELS[name].resolve()(inputs, config)
    return model


def fit(
    model: nn.Module,
    train: WindowedClips,
    val: WindowedClips,
    config: Training,
    device: torch.device,
    on_batch: Callable[[int, int], None] | None = None,
) -> Iterator[Epoch]:
    """Train `model` in place, and yield after every epoch; at an improved one its weights are the best so far.

    `train` are windows with labels, `val` windows that cover whole clips.  Every epoch takes the windows in a new
    order.  Ends after `config.epochs`, or `config.patience` epochs after the best one.  With `config.ema`, what is
    validated, and what `model` holds whenever an epoch is yielded, is the running average of its weights.  `on_batch`
    is told how many windows of how many are done in the epoch.  Seeds torch's global random state; on the CPU, equal
    inputs and seed give equal weights to the last bit with the same torch and number of threads.

    Raises InputError where the labels of a part never change, UsageError where settings do not fit together, the loss
    stops being a number or a batch does not fit into memory.
    """
    _check_truth(train, "training")
    _check_truth(val, "validation")
    torch.manual_seed(config.seed)
    sampler = Sampler(train, config.balance, config.seed)
    model.to(device)
    optimisation = Optimisation(model, config, device, steps_per_epoch(len(sampler), config))
    best, best_epoch = -np.inf, 0
    for number in range(1, config.epochs + 1):
        loss = _train(model, train, sampler.epoch(), config, optimisation, on_batch)
        optimisation.swap_average()
        valence, arousal = validate(model, val, batch=config.batch, device=device)
        epoch = Epoch(number, loss, valence, arousal, (valence + arousal) / 2 > best, optimisation.lr)
        if not np.isfinite([loss, epoch.mean]).all():
            raise UsageError(
                f"--lr {config.lr:g}",
                f"made the loss infinite or NaN in epoch {number}",
                expected="a loss that stays a number",
                advice=f"try a smaller learning rate (the default is {Training().lr:g}) or --clip 1",
            )
        if epoch.improved:
            best, best_epoch = epoch.mean, number
        yield epoch
        if number - best_epoch >= config.patience:
            return
        if number < config.epochs:
            optimisation.end_of_epoch(epoch.mean)
            optimisation.swap_average()


def steps_per_epoch(windows: int, config: Training) -> int:
    """How often the weights change in an epoch of so many windows; the last batch may be smaller."""
    return -(-windows // config.batch)


def validate(model: nn.Module, val: WindowedClips, *, batch: int, device: torch.device) -> tuple[float, float]:
    """CCC of valence and of arousal over the annotated frames of all clips, each clip predicted as a whole."""
    affect = predict(model, val.batches(batch), val.frames, device)
    if not np.isfinite(affect).all():
        return np.nan, np.nan
    truth, prediction = val.labels[val.labelled], affect[val.labelled]
    return metrics.ccc(truth[:, 0], prediction[:, 0]), metrics.ccc(truth[:, 1], prediction[:, 1])


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


def _train(
    model: nn.Module,
    train: WindowedClips,
    order: NDArray[np.int64],
    config: Training,
    optimisation: Optimisation,
    on_batch: Callable[[int, int], None] | None,
) -> float:
    """One pass in the given order; the mean loss over labelled frames, or NaN as soon as it is no finite number."""
    model.train()
    total, frames, done = 0.0, 0, 0
    for at in range(0, len(order), config.batch):
        chosen = order[at : at + config.batch]
        parts = [train.gather(part) for part in np.array_split(chosen, min(config.accumulate, len(chosen)))]
        with memory_explained(config.batch):
            loss = optimisation.step(parts)
        if not np.isfinite(loss):
            return np.nan
        weight = sum(int(part.labelled.sum()) for part in parts)
        total += loss * weight
        frames += weight
        done += len(chosen)
        if on_batch:
            on_batch(done, len(order))
    return total / frames
