"""What a training is fed with: which windows each epoch takes, how each is seen, and a process's share of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli.configs import Training
from affcli.training.data import Batch, WindowedClips
from affcli.training.sampling import Sampler
from affcli.training.seeded import seed_of
from affcli.training.starts import StartSampler
from affcli.training.viewing import Augmentation, Views
from affcli.training.world import ALONE, World

_VIEWS = 2**31  # beside the ranks of processes: the random numbers of views are their own

# Parts of a batch, what each counts by in each term of the loss over all processes (parts, m), its windows.
Step = tuple[list[Batch], NDArray[np.int64], int]


class Feed:
    """The batches of a training on `train`, from the seed of `config`.

    `counts` (k, m) is what each of the k windows counts by in each of the m terms of the loss.  Of several processes in
    `world`, all draw the same windows and views, and each gathers its share.  Raises UsageError where the windows
    cannot be balanced as `config` asks.
    """

    def __init__(self, train: WindowedClips, config: Training, counts: NDArray[np.int64], world: World = ALONE) -> None:
        self._train, self._config, self._counts, self._world = train, config, counts, world
        self._sampler = sampler_of(train, config)
        self._augmentation = augmentation_of(train, config)

    def __len__(self) -> int:
        """Windows of an epoch."""
        return len(self._sampler)

    @property
    def state(self) -> dict[str, Any]:
        """Where the random choice stands, as plain values."""
        return {
            "sampler": self._sampler.state,
            "augmentation": self._augmentation.state if self._augmentation else None,
        }

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._sampler.state = state["sampler"]
        if self._augmentation:
            self._augmentation.state = state["augmentation"]

    def order(self) -> NDArray[np.int64]:
        """The windows of the next epoch, (len,), in the order of training."""
        return self._sampler.epoch()

    def batches(self, order: NDArray[np.int64]) -> Iterator[Step]:
        """The batches in the given order: their parts, what each counts by over all processes, the windows.

        A thread gathers a batch while the one before it is trained on: reading and copying leave Python free.
        """

        def gathered(chosen: NDArray[np.int64]) -> Step:
            views = self._augmentation.draw(len(chosen)) if self._augmentation else None
            places = np.array_split(np.arange(len(chosen)), min(self._config.accumulate, len(chosen)))
            counts = np.stack([self._counts[chosen[part]].sum(axis=0) for part in places])
            parts = [self._mine(chosen[part], views.of(part) if views else None) for part in places]
            return parts, counts, len(chosen)

        size = self._config.batch
        with ThreadPoolExecutor(1) as thread:
            ahead = thread.submit(gathered, order[:size])
            for at in range(size, len(order), size):
                batch, ahead = ahead.result(), thread.submit(gathered, order[at : at + size])
                yield batch
            yield ahead.result()

    def _mine(self, part: NDArray[np.int64], views: Views | None) -> Batch:
        """This process's share of a part of a batch; `views` are how the whole part is seen, the same in each."""
        share = np.array_split(np.arange(len(part)), self._world.size)[self._world.rank]
        if not len(share):
            return self._train.blank()
        return self._train.gather(part[share], views.of(share) if views else None)


def sampler_of(train: WindowedClips, config: Training) -> Sampler | StartSampler:
    """What chooses the windows of each epoch.  Raises UsageError where they cannot be balanced as `config` asks."""
    if config.per_clip:
        return StartSampler(train, per_clip=config.per_clip, balance=config.balance, seed=config.seed)
    return Sampler(train, config.balance, config.seed)


def augmentation_of(train: WindowedClips, config: Training) -> Augmentation | None:
    """What chooses how each window is seen; None where nothing is."""
    if train.sight is None:
        return None
    side, crop = train.sight.side, train.sight.crop
    seed = seed_of(config.seed, _VIEWS)
    return Augmentation(side, crop, flip=config.flip, cutout=config.cutout, jitter=config.jitter, seed=seed)
