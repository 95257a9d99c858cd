"""What networks are trained for: affect, with expressions and action units beside it, or telling people apart.

A task says what a batch loses, how a network is scored on the validation clips, and which of the scores decides which
epoch is the best.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affcli import configs, metrics
from affcli.classification import accuracy, macro_f1
from affcli.configs import Training
from affcli.errors import InputError, SchemaError
from affcli.models.device import memory_explained
from affcli.prediction import HIGH, LOW, outputs, to_tensors
from affcli.training import data, losses
from affcli.training.world import Total, World, own

BatchLoss = Callable[[Tensor, data.Batch], Tensor]  # what a network says of a batch, and the batch, to a scalar


class Task(Protocol):
    """What a network is trained for."""

    @property
    def decides(self) -> str:
        """The score by which epochs are compared; higher is better."""

    def check(self, train: data.WindowedClips, val: data.WindowedClips) -> None:
        """Raise InputError or SchemaError where labels are no use for it."""

    def counts(self, windows: data.WindowedClips) -> NDArray[np.int64]:
        """What each of k windows counts by, (k,): its frames with labels, or 1."""

    def loss(self, config: Training, total: Total = own) -> BatchLoss:
        """What a batch loses; `total` sums over the processes that share it.  Raises UsageError as `losses.parse`."""

    def scores(
        self, model: nn.Module, val: data.WindowedClips, batch: int, device: torch.device, world: World
    ) -> dict[str, float]:
        """The scores on the validation clips, NaN where the network gives NaN.  Leaves `model` on `device`."""


@dataclass(frozen=True)
class Affect:
    """Valence and arousal, behind the logits of so many expressions and of the named action units."""

    expressions: int = 0
    action_units: int = 0
    decides = "mean"

    def check(self, train: data.WindowedClips, val: data.WindowedClips) -> None:
        """Raises InputError where labels of a part never change, or no train clip has what is to be learnt beside."""
        for windows, part in ((train, "training"), (val, "validation")):
            _check_changes(windows, part)
            for clip in windows.clips:
                self._check_classes(clip)
        wanted = {"expression": self.expressions, "action_units": self.action_units}
        for name, count in wanted.items():
            known = [getattr(clip, name) for clip in train.clips]
            if count and not any(one is not None and (one >= 0).any() for one in known):
                option = f"--{name.replace('expression', 'expressions').replace('_', '-')}"
                raise InputError(
                    "training clips",
                    f"have no labels of {name.replace('_', ' ')} in any frame, which this network is to learn",
                    expected="some frames with them",
                    advice=f"import them, affcli import-labels {option}, and cut the windows again; or set none",
                )

    def _check_classes(self, clip: data.ClipData) -> None:
        if self.expressions and clip.expression is not None and (clip.expression >= self.expressions).any():
            frame = int(np.argmax(clip.expression >= self.expressions))
            raise SchemaError(
                f"expressions of clip {clip.name}",
                f"class {clip.expression[frame]} in frame {frame}",
                expected=f"0 to {self.expressions - 1}, as the network has {self.expressions} classes",
                advice="set the number of classes: --set expressions=8",
            )

    def counts(self, windows: data.WindowedClips) -> NDArray[np.int64]:
        """Annotated frames."""
        return windows.annotated

    def loss(self, config: Training, total: Total = own) -> BatchLoss:
        """The loss of valence and arousal, and the weighted cross-entropies of expressions and action units."""
        affect = losses.parse(config, total)

        def lost(said: Tensor, batch: data.Batch) -> Tensor:
            labelled, truth = _on(said, batch.labelled), _on(said, batch.labels)
            sum_ = affect(said[..., -2:], truth, labelled)
            if self.expressions:
                inside = _on(said, batch.inside) if config.expression_over == "all" else None
                classes = _known(said, batch.expression, batch.inside.shape)
                logits = said[..., : self.expressions]
                cross = losses.expression_cross_entropy(logits, classes, classes >= 0, inside, total)
                sum_ = sum_ + config.expression_weight * cross
            if self.action_units:
                there = _known(said, batch.action_units, (*batch.inside.shape, self.action_units))
                logits = said[..., self.expressions : -2]
                sum_ = sum_ + config.au_weight * losses.au_binary_cross_entropy(logits, there, there >= 0, total)
            return sum_

        return lost

    def scores(
        self, model: nn.Module, val: data.WindowedClips, batch: int, device: torch.device, world: World
    ) -> dict[str, float]:
        """CCC of valence and arousal over the annotated frames of all clips, their mean; of classes accuracy and F1."""
        said = curves(model, val, batch, device, world)
        if not np.isfinite(said).all():
            return dict.fromkeys(("valence", "arousal", "mean"), np.nan)
        truth, affect = val.labels[val.labelled], np.clip(said[val.labelled, -2:], LOW, HIGH)
        valence, arousal = (metrics.ccc(truth[:, i], affect[:, i]) for i in (0, 1))
        found = {"valence": valence, "arousal": arousal, "mean": (valence + arousal) / 2}
        if self.expressions:
            true = np.concatenate(
                [np.full(one.frames, -1) if one.expression is None else one.expression for one in val.clips]
            )
            classes = said[true >= 0, : self.expressions].argmax(axis=1)
            if len(classes):
                found |= {
                    "expression_accuracy": accuracy(true[true >= 0], classes),
                    "expression_f1": macro_f1(true[true >= 0], classes),
                }
        if self.action_units:
            true = np.concatenate(
                [
                    np.full((one.frames, self.action_units), -1) if one.action_units is None else one.action_units
                    for one in val.clips
                ]
            )
            there = said[:, self.expressions : -2] > 0
            known = [column for column in range(self.action_units) if (true[:, column] >= 0).any()]
            if known:
                found["au_f1"] = float(np.mean([_presence_f1(true[:, one], there[:, one]) for one in known]))
        return found


@dataclass(frozen=True)
class Identity:
    """Whom each clip shows: `people` (clips,) of the training clips, `val_people` of the validation clips."""

    people: tuple[int, ...]
    val_people: tuple[int, ...]
    decides = "accuracy"

    def check(self, train: data.WindowedClips, val: data.WindowedClips) -> None:
        """Whether people are enough is known before windows are made of their clips."""

    def counts(self, windows: data.WindowedClips) -> NDArray[np.int64]:
        """Every window alike."""
        return np.ones(len(windows), np.int64)

    def loss(self, config: Training, total: Total = own) -> BatchLoss:  # noqa: ARG002 -- its losses are of affect
        """Cross-entropy of the person of each window."""
        people = np.array(self.people)

        def lost(said: Tensor, batch: data.Batch) -> Tensor:
            person = _on(said, people[batch.clip])
            return losses.class_cross_entropy(said, person, _on(said, np.asarray(batch.inside.any(axis=1))), total)

        return lost

    def scores(
        self, model: nn.Module, val: data.WindowedClips, batch: int, device: torch.device, world: World
    ) -> dict[str, float]:
        """Share of the validation windows whose person is named: accuracy."""
        model.to(device).eval()
        right = torch.zeros(2, dtype=torch.float64)
        mine = np.arange(len(val))[world.rank :: world.size]
        for one in val.batches(batch, mine):
            with torch.inference_mode(), memory_explained(len(one.inside)):
                said = model(*to_tensors(one, device)).float().cpu().numpy()
            if not np.isfinite(said).all():
                right += torch.tensor([np.nan, 0])
                continue
            right += torch.tensor([(said.argmax(axis=1) == np.array(self.val_people)[one.clip]).sum(), len(said)])
        total = torch.stack(world.gathered(right)).sum(0)
        return {"accuracy": float(total[0] / total[1])}


AFFECT = Affect()


def task_of(config: object) -> Affect:
    """What a network of affect with the settings `config` is trained for."""
    if isinstance(config, configs.M3t):
        return Affect(config.expressions, len(config.action_units))
    return AFFECT


def curves(
    model: nn.Module, val: data.WindowedClips, batch: int, device: torch.device, world: World
) -> NDArray[np.float64]:
    """What a network says of every frame of all clips, laid end to end: (n, K), the mean over its windows.

    Of several processes each predicts some of the clips, and none twice.  Leaves `model` on `device`.
    """
    if world.size == 1:
        return outputs(model, val.batches(batch), val.frames, device)
    mine = np.arange(len(val.clips))[world.rank :: world.size]
    here = val.of_clips(mine) if len(mine) else None
    said = outputs(model, here.batches(batch), here.frames, device) if here else np.zeros((0, 2))
    width = int(max(one.item() for one in world.gathered(torch.tensor(said.shape[1]))))
    every = np.zeros((val.frames, width))
    if len(mine):
        every[np.concatenate([np.arange(val.offsets[one], val.offsets[one + 1]) for one in mine])] = said
    return np.asarray(np.sum([part.numpy() for part in world.gathered(torch.from_numpy(every))], axis=0))


def _presence_f1(truth: NDArray[np.int8], there: NDArray[np.bool_]) -> float:
    """F1 of frames that show an action unit, over those where it is annotated; 1 where none shows it or is said to."""
    known = truth >= 0
    shown, said = truth[known] > 0, there[known]
    total = int(shown.sum() + said.sum())
    return 2 * int((shown & said).sum()) / total if total else 1.0


def _on(said: Tensor, values: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(values).to(said.device)


def _known(said: Tensor, values: NDArray[np.int64] | None, shape: tuple[int, ...]) -> Tensor:
    """Labels where there are any; -1 everywhere where a batch has none."""
    return _on(said, values) if values is not None else torch.full(shape, -1, device=said.device)


def _check_changes(windows: data.WindowedClips, part: str) -> None:
    truth = windows.labels[windows.labelled]
    for values, name in zip(truth.T, ("valence", "arousal"), strict=True):
        if len(values) == 0 or values.min() == values.max():
            raise InputError(
                f"{part} clips",
                f"have the same {name} in every annotated frame" if len(values) else "have no annotated frame",
                expected="labels that change (CCC is not defined without)",
                advice="hold out other clips: affcli window --val or another --seed",
            )
