"""A running average of a network's weights, which often predicts better than the last weights do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Average:
    """The exponential moving average of weights and of the statistics of batch normalisation.

    After step n (from 1) the average is d old + (1 - d) new, with d = min(decay, (1 + n) / (10 + n)): so the initial
    weights are soon forgotten (as TensorFlow's ExponentialMovingAverage with num_updates).  Whole numbers, such as
    counts of batches, are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._updates = 0
        self._average = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @property
    def state(self) -> dict[str, Any]:
        """The average and the number of its updates."""
        return {"updates": self._updates, "average": self._average}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._updates = state["updates"]
        for name, mean in self._average.items():
            mean.copy_(state["average"][name])

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights after a step."""
        self._updates += 1
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        for name, value in model.state_dict().items():
            mean = self._average[name]
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the weights of `model` and the average; done twice, each is where it was."""
        for name, value in model.state_dict().items():
            held: Tensor = value.clone()
            value.copy_(self._average[name])
            self._average[name].copy_(held)
