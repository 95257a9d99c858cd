"""Windows back to frames: every frame gets the mean of what the windows around it say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from affcli.models.device import memory_explained


class Batch(Protocol):
    """b windows of t frames, as prediction needs them."""

    @property
    def features(self) -> Mapping[str, NDArray[np.float32]]:
        """By encoder, (b, t, d), standardised."""

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(b, t): false where a short window is padded at its end."""

    @property
    def first(self) -> NDArray[np.int64]:
        """(b,): the frame, of all frames to predict, that each window begins at."""


def predict(model: nn.Module, batches: Iterable[Batch], frames: int, device: torch.device) -> NDArray[np.float64]:
    """Valence and arousal of `frames` frames, the flat mean over the windows each is in: (frames, 2), in [-1, 1].

    Leaves `model` on `device`, ready to predict again.

    Raises ValueError where a frame is in no window, UsageError where a batch does not fit into memory.
    """
    total = Overlap(frames)
    model.to(device).eval()
    for batch in batches:
        with torch.inference_mode(), memory_explained(len(batch.inside)):
            affect = model(*to_tensors(batch, device)).cpu().numpy()
        total.add(affect, batch.inside, batch.first)
    return total.mean()


def to_tensors(batch: Batch, device: torch.device) -> tuple[Mapping[str, torch.Tensor], torch.Tensor]:
    """What a model is called with: features by encoder, and which frames are inside."""
    features = {name: torch.from_numpy(vectors).to(device) for name, vectors in batch.features.items()}
    return features, torch.from_numpy(batch.inside).to(device)


class Overlap:
    """The flat mean of overlapping windows over `frames` frames."""

    def __init__(self, frames: int) -> None:
        self._sums = np.zeros((frames, 2))
        self._counts = np.zeros(frames, np.int64)

    def add(self, affect: NDArray[np.float32], inside: NDArray[np.bool_], first: NDArray[np.int64]) -> None:
        """Add windows (b, t, 2) that begin at frames `first` (b,); what is not `inside` (b, t) is left out."""
        frames = (first[:, None] + np.arange(affect.shape[1]))[inside]
        np.add.at(self._sums, frames, affect[inside])
        np.add.at(self._counts, frames, 1)

    def mean(self) -> NDArray[np.float64]:
        """(frames, 2).  Raises ValueError where a frame is in no window."""
        if not self._counts.all():
            raise ValueError(f"frame {int(np.argmin(self._counts))} is in no window")
        mean: NDArray[np.float64] = self._sums / self._counts[:, None]
        return mean
