"""The training loop: seeded, with early stopping on the concordance of whole validation clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from affcli import metrics
from affcli.configs import Training
from affcli.errors import InputError, UsageError
from affcli.models import MODELS, Input
from affcli.models.device import memory_explained
from affcli.prediction import predict, to_tensors
from affcli.training.data import WindowedClips
from affcli.training.losses import LOSSES

RMSPROP_DECAY = 0.9  # Keras's rho
EPSILON = 1e-7  # Keras's, for both optimisers


@dataclass(frozen=True)
class Epoch:
    """One pass over the training windows, and the validation after it."""

    number: int  # from 1
    train_loss: float  # mean over the labelled frames
    valence: float  # CCC over the annotated frames of all validation clips
    arousal: float
    improved: bool  # the best mean CCC so far

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
    order.  Ends after `config.epochs`, or `config.patience` epochs after the best one.  `on_batch` is told how many
    windows of how many are done in the epoch.  Seeds torch's global random state; on the CPU, equal inputs and seed
    give equal weights to the last bit with the same torch and number of threads.

    Raises InputError where the validation labels never change, UsageError where the loss stops being a number or a
    batch does not fit into memory.
    """
    _check_truth(val)
    torch.manual_seed(config.seed)
    shuffle = np.random.default_rng(config.seed)
    model.to(device)
    optimizer = _optimizer(model, config)
    best, best_epoch = -np.inf, 0
    for number in range(1, config.epochs + 1):
        loss = _train(model, train, shuffle.permutation(len(train)), config, optimizer, device, on_batch)
        valence, arousal = validate(model, val, batch=config.batch, device=device)
        epoch = Epoch(number, loss, valence, arousal, improved=(valence + arousal) / 2 > best)
        if not np.isfinite([loss, epoch.mean]).all():
            raise UsageError(
                f"--lr {config.lr:g}",
                f"made the loss infinite or NaN in epoch {number}",
                expected="a loss that stays a number",
                advice=f"try a smaller learning rate (the default is {Training().lr:g})",
            )
        if epoch.improved:
            best, best_epoch = epoch.mean, number
        yield epoch
        if number - best_epoch >= config.patience:
            return


def validate(model: nn.Module, val: WindowedClips, *, batch: int, device: torch.device) -> tuple[float, float]:
    """CCC of valence and of arousal over the annotated frames of all clips, each clip predicted as a whole."""
    affect = predict(model, val.batches(batch), val.frames, device)
    if not np.isfinite(affect).all():
        return np.nan, np.nan
    truth, prediction = val.labels[val.labelled], affect[val.labelled]
    return metrics.ccc(truth[:, 0], prediction[:, 0]), metrics.ccc(truth[:, 1], prediction[:, 1])


def _check_truth(val: WindowedClips) -> None:
    truth = val.labels[val.labelled]
    for values, name in zip(truth.T, ("valence", "arousal"), strict=True):
        if len(values) == 0 or values.min() == values.max():
            raise InputError(
                "validation clips",
                f"have the same {name} in every annotated frame" if len(values) else "have no annotated frame",
                expected="labels that change (CCC is not defined without)",
                advice="hold out other clips: affcli window --val or another --seed",
            )


def _optimizer(model: nn.Module, config: Training) -> torch.optim.Optimizer:
    if config.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), config.lr, eps=EPSILON)
    return torch.optim.RMSprop(model.parameters(), config.lr, alpha=RMSPROP_DECAY, eps=EPSILON)


def _train(
    model: nn.Module,
    train: WindowedClips,
    order: np.ndarray[tuple[int], np.dtype[np.int64]],
    config: Training,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
    on_batch: Callable[[int, int], None] | None,
) -> float:
    """One pass in the given order; the mean loss over labelled frames."""
    model.train()
    total, frames, done = 0.0, 0, 0
    for batch in train.batches(config.batch, order):
        with memory_explained(config.batch):
            labelled = torch.from_numpy(batch.labelled).to(device)
            truth = torch.from_numpy(batch.labels).to(device)
            loss = LOSSES[config.loss](model(*to_tensors(batch, device))[labelled], truth[labelled])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        weight = int(batch.labelled.sum())
        total += float(loss.detach()) * weight
        frames += weight
        done += len(batch.inside)
        if on_batch:
            on_batch(done, len(order))
    return total / frames
