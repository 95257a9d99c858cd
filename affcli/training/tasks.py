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
from affcli.classification import accuracy, macro_f1, presence_f1
from affcli.configs import Training
from affcli.errors import InputError, SchemaError
from affcli.models.device import memory_explained
from affcli.prediction import HIGH, LOW, outputs, to_tensors
from affcli.training import data, losses
from affcli.training.world import Total, World, own

BatchLoss = Callable[[Tensor, data.Batch], list[Tensor]]  # what a network says of a batch, and the batch, to m terms


class Task(Protocol):
    """What a network is trained for."""

    @property
    def decides(self) -> str:
        """The score by which epochs are compared; higher is better."""

    def check(self, train: data.WindowedClips, val: data.WindowedClips) -> None:
        """Raise InputError or SchemaError where labels are no use for it."""

    def counts(self, windows: data.WindowedClips, config: Training) -> NDArray[np.int64]:
        """What each of k windows counts by in each of the m terms of the loss, (k, m); in the first, by 1 or more."""

    def loss(self, config: Training, total: Total = own) -> BatchLoss:
        """What a batch loses, in m terms: scalars to be added, each a mean over what `counts` counts.

        `total` sums over the processes that share the batch.  Raises UsageError as `losses.parse`.
        """

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
                setting = name.replace("expression", "expressions")
                none = {"expressions": "expressions=0", "action_units": "action_units="}[setting]
                raise InputError(
                    "training clips",
                    f"have no labels of {name.replace('_', ' ')} in any frame, which this network is to learn",
                    expected="some frames with them",
                    advice=f"import them (affcli import-labels --{setting.replace('_', '-')}) and cut windows again, "
                    f"or learn none: --set {none}",
                )

    def _check_classes(self, clip: data.ClipData) -> None:
        if self.expressions and clip.expression is not None and (clip.expression >= self.expressions).any():
            frame = int(np.argmax(clip.expression >= self.expressions))
            needed = 7 if clip.expression.max() < 7 else 8
            raise SchemaError(
                f"expressions of clip {clip.name}",
                f"class {clip.expression[frame]} in frame {frame}",
                expected=f"0 to {self.expressions - 1}, as the network has {self.expressions} classes",
                advice=f"set the number of classes: --set expressions={needed}",
            )

    def counts(self, windows: data.WindowedClips, config: Training) -> NDArray[np.int64]:
        """Annotated frames; those with an expression, or where the mean is over all, all; annotated action units."""
        counts, none = [windows.annotated], np.zeros(len(windows), np.int64)
        if self.expressions:
            known = none if windows.expression is None else windows.sums(windows.expression >= 0)
            counts.append(windows.length if config.expression_over == "all" else known)
        if self.action_units:
            units = windows.action_units
            counts.append(none if units is None else windows.sums((units >= 0).sum(axis=1)))
        return np.stack(counts, axis=-1)

    def loss(self, config: Training, total: Total = own) -> BatchLoss:
        """The loss of valence and arousal, and the weighted cross-entropies of expressions and action units."""
        affect = losses.parse(config, total)

        def lost(said: Tensor, batch: data.Batch) -> list[Tensor]:
            labelled, truth = _on(said, batch.labelled), _on(said, batch.labels)
            terms = [affect(said[..., -2:], truth, labelled)]
            if self.expressions:
                inside = _on(said, batch.inside) if config.expression_over == "all" else None
                classes = _known(said, batch.expression, batch.inside.shape)
                logits = said[..., : self.expressions]
                cross = losses.expression_cross_entropy(logits, classes, classes >= 0, inside, total)
                terms.append(config.expression_weight * cross)
            if self.action_units:
                there = _known(said, batch.action_units, (*batch.inside.shape, self.action_units))
                logits = said[..., self.expressions : -2]
                terms.append(config.au_weight * losses.au_binary_cross_entropy(logits, there, there >= 0, total))
            return terms

        return lost

    def scores(
        self, model: nn.Module, val: data.WindowedClips, batch: int, device: torch.device, world: World
    ) -> dict[str, float]:
        """CCC of valence and arousal over the annotated frames of all clips, and their mean; with expressions accuracy
        and F1, with action units the mean of their F1, each over what is annotated, where anything is.
        """
        said = curves(model, val, batch, device, world)
        if not np.isfinite(said).all():
            return dict.fromkeys(("valence", "arousal", "mean"), np.nan)
        truth, affect = val.labels[val.labelled], np.clip(said[val.labelled, -2:], LOW, HIGH)
        valence, arousal = (metrics.ccc(truth[:, i], affect[:, i]) for i in (0, 1))
        found = {"valence": valence, "arousal": arousal, "mean": (valence + arousal) / 2}
        if self.expressions and val.expression is not None:
            found |= _of_expressions(val.expression, said[:, : self.expressions])
        if self.action_units and val.action_units is not None:
            found |= _of_action_units(val.action_units, said[:, self.expressions : -2])
        return found


@dataclass(frozen=True)
class Identity:
    """Whom each clip shows: `people` (clips,) of the training clips, `val_people` of the validation clips."""

    people: tuple[int, ...]
    val_people: tuple[int, ...]
    decides = "accuracy"

    def check(self, train: data.WindowedClips, val: data.WindowedClips) -> None:
        """Whether people are enough is known before windows are made of their clips."""

    def counts(self, windows: data.WindowedClips, config: Training) -> NDArray[np.int64]:  # noqa: ARG002
        """Every window alike."""
        return np.ones((len(windows), 1), np.int64)

    def loss(self, config: Training, total: Total = own) -> BatchLoss:  # noqa: ARG002 -- its losses are of affect
        """Cross-entropy of the person of each window."""
        people = np.array(self.people)

        def lost(said: Tensor, batch: data.Batch) -> list[Tensor]:
            person = _on(said, people[batch.clip])
            return [losses.class_cross_entropy(said, person, _on(said, np.asarray(batch.inside.any(axis=1))), total)]

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


def _of_expressions(truth: NDArray[np.int8], logits: NDArray[np.float64]) -> dict[str, float]:
    """The scores of logits (n, c) where classes (n,) are annotated; none where none is."""
    known = truth >= 0
    if not known.any():
        return {}
    true, said = truth[known], logits[known].argmax(axis=1)
    f1 = macro_f1(true, said, range(logits.shape[1]))
    return {"expression_accuracy": accuracy(true, said), "expression_f1": f1}


def _of_action_units(truth: NDArray[np.int8], logits: NDArray[np.float64]) -> dict[str, float]:
    """The mean F1 of the action units that are annotated in any frame, of (n, u) each; none where none is."""
    pairs = [(true[true >= 0], said[true >= 0] > 0) for true, said in zip(truth.T, logits.T, strict=True)]
    found = [presence_f1(true, said) for true, said in pairs if len(true)]
    return {"au_f1": float(np.mean(found))} if found else {}


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
