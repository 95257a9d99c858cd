"""What training minimises, over the labelled frames of a batch.

b windows of t frames; m labelled frames of them, laid end to end.  Losses are computed in float32 whatever the
precision of the network.  `parse` gives the losses of valence and arousal by their words; the others are for networks
that predict expressions, action units or people.  Where several processes share a batch, `total` sums over them
(see `affcli.training.world`): each process, which may have no labelled frame itself, gets the loss of the whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from affcli.configs import Training
from affcli.errors import UsageError
from affcli.training.world import Total, own

EPSILON = 1e-8  # keeps the concordance of two constants, 0 / 0, at 0
TERMS = ("mse", "l1", "ccc")


def mse(prediction: Tensor, truth: Tensor, total: Total = own) -> Tensor:
    """Mean squared error over m frames and both dimensions: (m, 2) each to a scalar."""
    return _means((prediction - truth).square(), total)[0].mean()


def l1(prediction: Tensor, truth: Tensor, total: Total = own) -> Tensor:
    """Mean absolute error over m frames and both dimensions: (m, 2) each to a scalar."""
    return _means((prediction - truth).abs(), total)[0].mean()


def ccc(prediction: Tensor, truth: Tensor, moments: str = "population", total: Total = own) -> Tensor:
    """1 - concordance, averaged over valence and arousal: (m, 2) each to a scalar, 0 to 2.  Lin 1989.

    The concordance is of all m frames together, with `population` moments (all / m).  `mixed` moments, covariance / m
    over variance / (m - 1), are those of M3T's published code: a perfect prediction has concordance (m - 1) / m.
    A constant truth or prediction has concordance 0.
    """
    means, m = _means(torch.cat([prediction, truth], dim=1), total)
    p, t = prediction - means[:2], truth - means[2:]
    second, _ = _means(torch.cat([p * t, p.square() + t.square()], dim=1), total)
    covariance, variance = second[:2], second[2:]
    if moments == "mixed":
        variance = variance * (m / (m - 1).clamp(min=1))
    spread = variance + (means[:2] - means[2:]).square()
    return 1 - (2 * covariance / (spread + EPSILON)).mean()


def _means(rows: Tensor, total: Total) -> tuple[Tensor, Tensor]:
    """Means (k,) of rows (m, k) over the frames of all processes, and how many frames these are, a scalar."""
    sums = total(torch.cat([rows.sum(0), rows.new_full((1,), len(rows))]))
    return sums[:-1] / sums[-1], sums[-1].detach()


def ccc_of_windows(
    prediction: Tensor, truth: Tensor, labelled: Tensor, moments: str = "population", total: Total = own
) -> Tensor:
    """1 - concordance of each window alone, averaged over windows and both dimensions, to a scalar, 0 to 2.

    `prediction` and `truth` are (b, t, 2), `labelled` (b, t) bool.  The concordance is that of `ccc`, over the m
    labelled frames of a window.  A window with fewer than two of them has none and is left out; one whose truth never
    changes has concordance 0, whatever is predicted.  Without any window the loss is 1, and nothing is learnt from it.
    """
    mask = labelled.unsqueeze(-1)
    count = mask.sum(1)  # (b, 1)
    frames = count.clamp(min=1)
    here, there = prediction.masked_fill(~mask, 0), truth.masked_fill(~mask, 0)
    mean, true_mean = here.sum(1) / frames, there.sum(1) / frames
    p = (here - mean.unsqueeze(1)).masked_fill(~mask, 0)
    t = (there - true_mean.unsqueeze(1)).masked_fill(~mask, 0)
    covariance = (p * t).sum(1) / frames
    variance = (p.square().sum(1) + t.square().sum(1)) / ((count - 1).clamp(min=1) if moments == "mixed" else frames)
    concordance = 2 * covariance / (variance + (mean - true_mean).square() + EPSILON)  # (b, 2)
    counts = (count >= 2).expand_as(concordance)
    sums = total(torch.stack([concordance.masked_fill(~counts, 0).sum(), counts.sum().float()]))
    return 1 - sums[0] / sums[1].clamp(min=1)


def expression_cross_entropy(
    logits: Tensor, classes: Tensor, annotated: Tensor, inside: Tensor | None = None, total: Total = own
) -> Tensor:
    """Cross-entropy of expressions, to a scalar: the mean over annotated frames, 0 where there is none.

    `logits` are (b, t, c), `classes` (b, t) int64 from 0, `annotated` (b, t) bool; what stands where nothing is
    annotated is not looked at.  With `inside` (b, t) bool, the sum over annotated frames is divided by the frames
    inside, as M3T's published code does; its paper has the mean over annotated frames.
    """
    lost = functional.cross_entropy(logits[annotated].float(), classes[annotated], reduction="sum")
    return _mean(lost, (annotated if inside is None else inside).sum(), total)


def au_binary_cross_entropy(logits: Tensor, presence: Tensor, annotated: Tensor, total: Total = own) -> Tensor:
    """Binary cross-entropy of u action units, to a scalar: the mean over what is annotated, 0 where nothing is.

    `logits` and `presence` (0 or 1) are (b, t, u), `annotated` (b, t, u) bool: an action unit may be annotated in a
    frame in which another is not.
    """
    wanted = presence[annotated].float()
    lost = functional.binary_cross_entropy_with_logits(logits[annotated].float(), wanted, reduction="sum")
    return _mean(lost, annotated.sum(), total)


def class_cross_entropy(logits: Tensor, classes: Tensor, counts: Tensor, total: Total = own) -> Tensor:
    """Cross-entropy of whole windows, to a scalar: the mean over those that count.

    `logits` are (b, c), `classes` (b,) int64 from 0, `counts` (b,) bool.
    """
    lost = functional.cross_entropy(logits[counts].float(), classes[counts], reduction="sum")
    return _mean(lost, counts.sum(), total)


def _mean(lost: Tensor, count: Tensor, total: Total) -> Tensor:
    """A sum over a count, both of all processes; 0 where nothing counts."""
    sums = total(torch.stack([lost, count.to(lost.dtype)]))
    return sums[0] / sums[1].detach().clamp(min=1)


@dataclass(frozen=True)
class Loss:
    """A weighted sum of terms; called with prediction and truth (b, t, 2) and labelled (b, t) bool, gives a scalar."""

    terms: tuple[tuple[float, str], ...]  # weight, word
    ccc_over: str = "batch"
    ccc_moments: str = "population"
    total: Total = own

    def __call__(self, prediction: Tensor, truth: Tensor, labelled: Tensor) -> Tensor:
        prediction = prediction.float()
        losses = [weight * self._term(word, prediction, truth, labelled) for weight, word in self.terms]
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    def _term(self, word: str, prediction: Tensor, truth: Tensor, labelled: Tensor) -> Tensor:
        if word == "ccc" and self.ccc_over == "window":
            return ccc_of_windows(prediction, truth, labelled, self.ccc_moments, self.total)
        frames, wanted = prediction[labelled], truth[labelled]
        if word == "ccc":
            return ccc(frames, wanted, self.ccc_moments, self.total)
        term: Callable[[Tensor, Tensor, Total], Tensor] = {"mse": mse, "l1": l1}[word]
        return term(frames, wanted, self.total)


def parse(config: Training, total: Total = own) -> Loss:
    """The loss that the settings name: terms joined by +, each a word of TERMS, or WEIGHT*WORD.

    >>> parse(Training(loss="0.5*mse + ccc")).terms
    ((0.5, 'mse'), (1.0, 'ccc'))

    Raises UsageError where it is none, or where a word comes twice or a weight is not above 0.
    """
    terms: list[tuple[float, str]] = []
    for term in config.loss.split("+"):
        weight, times, word = term.rpartition("*")
        word = word.strip()
        value = _number(weight) if times else 1.0
        if word not in TERMS:
            raise _wrong(config.loss, f"has the term '{term.strip()}'")
        if not 0 < value < math.inf:
            raise _wrong(config.loss, f"has the weight '{weight.strip()}'")
        if word in (known for _, known in terms):
            raise _wrong(config.loss, f"has {word} twice")
        terms.append((value, word))
    return Loss(tuple(terms), config.ccc_over, config.ccc_moments, total)


def _number(text: str) -> float:
    """The number that a text means, or NaN."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _wrong(loss: str, found: str) -> UsageError:
    return UsageError(
        f"--loss {loss}",
        found,
        expected=f"{', '.join(TERMS)}, or a sum of them with weights above 0 such as 0.5*mse+ccc",
        advice="correct it",
    )
