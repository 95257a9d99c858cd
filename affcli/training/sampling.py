"""Which windows an epoch takes, and in which order."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from affcli.errors import UsageError
from affcli.training.data import WindowedClips
from affcli.training.seeded import Seeded


class Epochs(Protocol):
    """What chooses the windows of every epoch, and can be gone on with where it was broken off."""

    def __len__(self) -> int:
        """Windows of an epoch."""

    def epoch(self) -> NDArray[np.int64]:
        """The windows of the next epoch, (len,), in the order of training."""

    @property
    def state(self) -> dict[str, Any]:
        """Where the random choice stands, as plain values."""

    @state.setter
    def state(self, state: dict[str, Any]) -> None: ...


class Sampler(Seeded):
    """The order of the windows of every epoch, from a seed.

    Without balance, every window once.  With balance "valence", windows whose mean valence over labelled frames is
    below 0 as often as the others: the more numerous once each, the others repeated as often as goes into their
    number, and some, drawn anew every epoch, once more (after the `resample` option of M3T's code, which repeats
    windows of negative valence).

    Raises UsageError where no window, or every one, is of negative valence.
    """

    def __init__(self, windows: WindowedClips, balance: str, seed: int) -> None:
        super().__init__(seed)
        self._groups = [np.arange(len(windows))]
        if balance == "valence":
            self._groups = list(by_valence(windows))
        self._each = max(map(len, self._groups))

    def __len__(self) -> int:
        """Windows of an epoch."""
        return self._each * len(self._groups)

    def epoch(self) -> NDArray[np.int64]:
        """The windows of the next epoch, (len,), in the order of training."""
        if len(self._groups) == 1:
            return self._random.permutation(self._each)
        chosen = [np.resize(self._random.permutation(group), self._each) for group in self._groups]
        return self._random.permutation(np.concatenate(chosen))


def by_valence(windows: WindowedClips) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The windows of negative mean valence, and the others.  Raises UsageError where there are none of one kind."""
    negative = mean_valence(windows) < 0
    if negative.all() or not negative.any():
        raise UsageError(
            "--balance valence",
            f"{'every' if negative.all() else 'no'} training window has a mean valence below 0",
            expected="windows of both kinds",
            advice="use --balance none",
        )
    return np.flatnonzero(negative), np.flatnonzero(~negative)


def mean_valence(windows: WindowedClips) -> NDArray[np.float64]:
    """The mean valence over the labelled frames of each window: (k,), NaN where a window has none."""
    count = windows.annotated
    total = windows.sums(np.where(windows.labelled, windows.labels[:, 0], 0).astype(np.float64))
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(len(windows), np.nan), where=count > 0)
    return mean
