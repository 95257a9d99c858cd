"""Windows back to frames: every frame gets the mean of what the windows around it say, and several networks one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from affcli.metrics import ccc
from affcli.models.device import memory_explained
from affcli.models.pixels import Pixels, finished

LOW, HIGH = -1.0, 1.0  # of valence and arousal


class Batch(Protocol):
    """b windows of t frames, as prediction needs them."""

    @property
    def features(self) -> Mapping[str, NDArray[np.float32]]:
        """By encoder, (b, t, d), standardised."""

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(b, t): false where a short window is padded at its end."""

    @property
    def pixels(self) -> Pixels | None:
        """The crops, of networks that see."""

    @property
    def first(self) -> NDArray[np.int64]:
        """(b,): the frame, of all frames to predict, that each window begins at."""


def predict(
    model: nn.Module, batches: Iterable[Batch], frames: int, device: torch.device, weights: str = "flat"
) -> NDArray[np.float64]:
    """Valence and arousal of `frames` frames, the mean over the windows each is in: (frames, 2), cut off at -1 and 1.

    Otherwise as `outputs`.
    """
    return np.clip(outputs(model, batches, frames, device, weights)[:, -2:], LOW, HIGH)


def outputs(
    model: nn.Module, batches: Iterable[Batch], frames: int, device: torch.device, weights: str = "flat"
) -> NDArray[np.float64]:
    """All that a network says of `frames` frames, the mean over the windows each is in: (frames, K).

    `weights` is that of `Overlap`.  Leaves `model` on `device`, ready to predict again.

    Raises ValueError where a frame is in no window, UsageError where a batch does not fit into memory.
    """
    total: Overlap | None = None
    model.to(device).eval()
    for batch in batches:
        with torch.inference_mode(), memory_explained(len(batch.inside)):
            said = model(*to_tensors(batch, device)).float().cpu().numpy()
        total = total or Overlap(frames, weights, said.shape[-1])
        total.add(said, batch.inside, batch.first)
    return (total or Overlap(frames, weights)).mean()


def to_tensors(batch: Batch, device: torch.device) -> tuple[Mapping[str, torch.Tensor], torch.Tensor]:
    """What a model is called with: features by encoder, the clips where it sees, and which frames are inside."""
    given = {name: torch.from_numpy(vectors).to(device) for name, vectors in batch.features.items()}
    if batch.pixels is not None:
        given["clip"] = finished(batch.pixels, batch.inside, device)
    return given, torch.from_numpy(batch.inside).to(device)


class Overlap:
    """The mean of overlapping windows over `frames` frames, of `width` numbers each.

    With `weights` "flat" every window says as much; with "triangular" it says the more of a frame, the further the
    frame is from the nearer end of the window: step i of t weighs min(i + 1, t - i).
    """

    def __init__(self, frames: int, weights: str = "flat", width: int = 2) -> None:
        self._sums = np.zeros((frames, width))
        self._weights = np.zeros(frames, np.int64)
        self._triangular = {"flat": False, "triangular": True}[weights]

    def add(self, affect: NDArray[np.float32], inside: NDArray[np.bool_], first: NDArray[np.int64]) -> None:
        """Add windows (b, t, width) that begin at frames `first` (b,); what is not `inside` (b, t) is left out."""
        steps = np.arange(affect.shape[1])
        weights = np.ones(inside.shape, np.int64)
        if self._triangular:
            weights = np.minimum(steps + 1, inside.sum(axis=1, keepdims=True) - steps)
        frames, weights = (first[:, None] + steps)[inside], weights[inside]
        np.add.at(self._sums, frames, affect[inside] * weights[:, None])
        np.add.at(self._weights, frames, weights)

    def mean(self) -> NDArray[np.float64]:
        """(frames, width).  Raises ValueError where a frame is in no window."""
        if not self._weights.all():
            raise ValueError(f"frame {int(np.argmin(self._weights))} is in no window")
        mean: NDArray[np.float64] = self._sums / self._weights[:, None]
        return mean


def shares(scores: Sequence[float]) -> NDArray[np.float64]:
    """What each of m networks counts, (m,), by its CCC on the validation clips: in proportion to it, and 1 in all.

    A CCC below 0 counts as 0; where none is above 0 there is nothing to tell them apart by, and all count alike.
    """
    good = np.clip(np.asarray(scores, np.float64), 0, None)
    if not good.any():
        return np.full(len(good), 1 / len(good))
    shared: NDArray[np.float64] = good / good.sum()
    return shared


def centred(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Curves of one dimension of one clip (m, n), moved, each as a whole, to one mean: (m, n).

    Curve i becomes `curve_i - mean_i + sum_j(a_j mean_j) / sum_j(a_j)`, where a_j is the mean CCC of curve j with each
    of the others.  So the AVEC 2016 data set makes one gold standard of several raters (its run_gold_standard.m), and
    Zhang et al. 2021 (arXiv 2107.01175) one prediction of the networks of several folds, whose code writes the formula
    out.  A mean CCC below 0, which neither foresees, counts as 0; where none is above 0, all count alike.
    """
    means = curves.mean(axis=1, keepdims=True)
    agreement = [
        np.mean([_agreement(one, other) for j, other in enumerate(curves) if j != i] or [0.0])
        for i, one in enumerate(curves)
    ]
    moved: NDArray[np.float64] = curves - means + shares([float(one) for one in agreement]) @ means
    return moved


def classes(logits: Sequence[NDArray[np.float64]]) -> NDArray[np.int8]:
    """The class of each of n frames by what one or several networks say, (n, c) logits each: (n,) int8.

    It is the one whose probability, the softmax of a network's logits, is highest on average over the networks.  One
    that knows fewer classes, the first ones of the others', gives none of its probability to the rest.
    """
    count = max(one.shape[1] for one in logits)
    total = np.zeros((len(logits[0]), count))
    for one in logits:
        powers = np.exp(one - one.max(axis=1, keepdims=True))
        total[:, : one.shape[1]] += powers / powers.sum(axis=1, keepdims=True)
    return np.asarray(total.argmax(axis=1), np.int8)


def present(logits: Sequence[NDArray[np.float64]]) -> NDArray[np.int8]:
    """Whether each of n frames shows something, by the logits (n,) of one or several networks: (n,) int8, 1 or 0.

    It does where the mean of the logits is above 0.
    """
    return np.asarray(np.mean(logits, axis=0) > 0, np.int8)


def _agreement(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """CCC of two curves; 0 where one of them is constant, so that it is not defined."""
    found = ccc(one, other)
    return 0.0 if np.isnan(found) else found


def combine(
    curves: NDArray[np.float64], counts: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean of m networks' curves (m, n, 2), and the standard deviation around it: (n, 2) each.

    `counts` (m, 2) is what each network counts in each dimension, 1 in all.  The deviation is that of the population,
    sqrt(sum_i(counts_i (curve_i - mean)^2)).
    """
    mean = (counts[:, None] * curves).sum(axis=0)
    variance = (counts[:, None] * (curves - mean) ** 2).sum(axis=0)
    return mean, np.sqrt(variance)
