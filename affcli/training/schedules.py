"""The learning rate of every step of a training."""

from __future__ import annotations

import math
from typing import Any

from affcli.configs import Training
from affcli.errors import UsageError

RISE = 0.3  # share of onecycle's steps that go up; with the two below, PyTorch's defaults for Smith and Topin 2018
START = 25  # the peak over the rate that onecycle begins at
END = 1e4  # what it begins at over what it ends at
_WARM_BY_THEMSELVES = ("onecycle", "cyclic")


class Schedule:
    """The learning rate by step, s = 0, 1, ...; an epoch is `steps_per_epoch` steps.

    Schedules run in steps, plateau in epochs.  Before constant, cosine, plateau and milestones, the `warmup` steps w
    rise from peak / w to the peak; s counts from their end, and S is the number of steps that are left.

    * constant: the peak, `lr`.
    * cosine: from the peak to `lr_min`, lr_min + (peak - lr_min) (1 + cos(pi s / S)) / 2 (Loshchilov and Hutter 2017,
      without restarts).
    * onecycle: half cosines from peak / START up to the peak and down to peak / (START END).
    * cyclic: a triangle from `lr_min` up to the peak in `cycle_up` epochs, and down in as many (Smith 2017).
    * plateau: times `plateau_factor`, never below `lr_min`, after more than `plateau_patience` epochs that were no
      better than the best.
    * milestones: times `milestone_factor` after each of the epochs that `milestones` names.

    Raises UsageError where the settings do not fit together.
    """

    def __init__(self, config: Training, steps_per_epoch: int) -> None:
        _check(config)
        self._config = config
        self._per_epoch = steps_per_epoch
        self._warmup = round(config.warmup * steps_per_epoch)
        self._left = max(1, config.epochs * steps_per_epoch - self._warmup)
        self._peak = config.lr  # plateau lowers it
        self._best: float | None = None  # score so far
        self._waited = 0

    @property
    def state(self) -> dict[str, Any]:
        """What plateau has found so far, as plain values."""
        return {"peak": self._peak, "best": self._best, "waited": self._waited}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._peak, self._best, self._waited = state["peak"], state["best"], state["waited"]

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        if step < self._warmup:
            return self._peak * (step + 1) / self._warmup
        step -= self._warmup
        config = self._config
        if config.schedule == "cosine":
            return _between(self._peak, config.lr_min, step / self._left)
        if config.schedule == "milestones":
            passed = sum(step + self._warmup >= epoch * self._per_epoch for epoch in milestones(config))
            return self._peak * config.milestone_factor**passed
        if config.schedule == "onecycle":
            return self._one_cycle(step)
        if config.schedule == "cyclic":
            rise = config.cycle_up * self._per_epoch
            place = step / rise % 2
            return config.lr_min + (self._peak - config.lr_min) * min(place, 2 - place)
        return self._peak

    def end_of_epoch(self, steps: int, score: float) -> None:
        """Tell the validation score of an epoch, higher is better, after `steps` steps in all."""
        if self._config.schedule != "plateau" or steps <= self._warmup:
            return
        if self._best is None or score > self._best:
            self._best, self._waited = score, 0
            return
        self._waited += 1
        if self._waited > self._config.plateau_patience:
            self._peak = max(self._config.lr_min, self._peak * self._config.plateau_factor)
            self._waited = 0

    def _one_cycle(self, step: int) -> float:
        top = max(RISE * self._left - 1, 0)  # the step of the peak, which need not be whole
        last = self._left - 1
        if step < top:
            return _between(self._peak / START, self._peak, step / top)
        return _between(self._peak, self._peak / START / END, (step - top) / max(last - top, 1))


def _between(start: float, end: float, share: float) -> float:
    """A half cosine from `start` at share 0 to `end` at share 1."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def milestones(config: Training) -> list[int]:
    """The epochs that `--milestones` names.  Raises UsageError where it is no list of whole numbers from 1."""
    words = [word.strip() for word in config.milestones.split(",")] if config.milestones.strip() else []
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise UsageError(
            f"--milestones {config.milestones}",
            "is no list of epochs",
            expected="whole numbers from 1 with commas between them, such as 3,6",
            advice="correct it",
        )
    return [int(word) for word in words]


def _check(config: Training) -> None:
    if bool(milestones(config)) != (config.schedule == "milestones"):
        raise UsageError(
            f"--schedule {config.schedule}",
            f"goes with {'no --milestones' if config.milestones else '--milestones'}",
            expected="--schedule milestones with --milestones 3,6, or neither",
            advice="add the one, or leave the other out",
        )
    if config.warmup and config.schedule in _WARM_BY_THEMSELVES:
        raise UsageError(
            f"--warmup {config.warmup:g}",
            f"does not go with --schedule {config.schedule}, which begins low by itself",
            expected="0",
            advice="leave it out, or choose constant, cosine or plateau",
        )
    if config.warmup >= config.epochs:
        raise UsageError(
            f"--warmup {config.warmup:g}",
            f"is as long as the whole training of {config.epochs} epochs",
            expected="fewer epochs",
            advice="shorten it, or raise --epochs",
        )
    if config.schedule in ("cosine", "cyclic", "plateau") and config.lr_min > config.lr:
        raise UsageError(
            f"--lr-min {config.lr_min:g}",
            f"is above --lr {config.lr:g}",
            expected="a rate that is not",
            advice="lower it, or raise --lr",
        )
