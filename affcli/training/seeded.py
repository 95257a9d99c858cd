"""Random choices from a seed, which can be gone on with where they were broken off."""

from __future__ import annotations

from typing import Any

import numpy as np


class Seeded:
    """What draws from a NumPy generator of its own."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    @property
    def state(self) -> dict[str, Any]:
        """Where the random choice stands, as plain values."""
        return dict(self._random.bit_generator.state)

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._random.bit_generator.state = state


def seed_of(seed: int, rank: int) -> int:
    """The seed of what process `rank` draws by itself: the first has that of a process alone, the others one each."""
    return seed if rank == 0 else int(np.random.SeedSequence([seed, rank]).generate_state(1, np.uint64)[0])
