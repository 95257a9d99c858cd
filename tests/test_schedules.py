"""The learning rate of every step, against PyTorch's own schedules and values worked by hand."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from affcli.configs import Training
from affcli.errors import UsageError
from affcli.training.schedules import Schedule

PER_EPOCH = 5


def rates(config: Training, per_epoch: int = PER_EPOCH) -> list[float]:
    schedule = Schedule(config, per_epoch)
    return [schedule.rate(step) for step in range(config.epochs * per_epoch)]


def optimizer(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr)


def torch_rates(schedule: torch.optim.lr_scheduler.LRScheduler, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(schedule.optimizer.param_groups[0]["lr"])
        schedule.optimizer.step()
        schedule.step()
    return found


def test_constant_is_constant() -> None:
    assert rates(Training(lr=0.25, epochs=2)) == [0.25] * 10


def test_warmup_rises_to_the_peak_and_the_schedule_follows() -> None:
    found = rates(Training(lr=0.5, epochs=2, warmup=0.8))
    assert found == [0.125, 0.25, 0.375, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    found = rates(Training(lr=0.5, epochs=2, warmup=1, schedule="cosine", lr_min=0.1))
    assert found[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    after = rates(Training(lr=0.5, epochs=1, schedule="cosine", lr_min=0.1))
    assert found[5:] == after


def test_cosine_is_that_of_torch() -> None:
    found = rates(Training(lr=0.1, epochs=4, schedule="cosine", lr_min=0.001))
    wanted = torch_rates(torch.optim.lr_scheduler.CosineAnnealingLR(optimizer(0.1), 20, 0.001), 20)
    assert found == pytest.approx(wanted)
    assert found[0] == 0.1 and found[10] == pytest.approx(0.0505)


@pytest.mark.parametrize("epochs", [2, 4, 7])
def test_onecycle_is_that_of_torch(epochs: int) -> None:
    found = rates(Training(lr=0.1, epochs=epochs, schedule="onecycle"))
    wanted = torch.optim.lr_scheduler.OneCycleLR(optimizer(1.0), 0.1, total_steps=epochs * 5, cycle_momentum=False)
    assert found[0] == pytest.approx(0.1 / 25) and found[-1] == pytest.approx(0.1 / 25 / 1e4)
    assert found == pytest.approx([wanted.optimizer.param_groups[0]["lr"], *torch_rates(wanted, epochs * 5)[1:]])


def test_onecycle_of_a_single_step_is_the_peak() -> None:
    assert rates(Training(lr=0.1, epochs=1, schedule="onecycle"), 1) == [0.1]


def test_cyclic_is_that_of_torch() -> None:
    config = Training(lr=0.1, epochs=20, schedule="cyclic", lr_min=1e-7, cycle_up=3)
    wanted = torch.optim.lr_scheduler.CyclicLR(optimizer(1.0), 1e-7, 0.1, step_size_up=15, cycle_momentum=False)
    found = rates(config)
    assert found == pytest.approx(torch_rates(wanted, 100))
    assert found[0] == found[30] == 1e-7 and found[15] == found[45] == pytest.approx(0.1)


def test_plateau_is_that_of_torch() -> None:
    config = Training(lr=0.1, epochs=20, schedule="plateau", plateau_factor=0.5, plateau_patience=2, lr_min=0.02)
    scores = [0.1, 0.2, 0.2, 0.1, 0.15, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4, 0.3, 0.3, 0.3, 0.3]
    mine, other = Schedule(config, PER_EPOCH), optimizer(0.1)
    wanted = torch.optim.lr_scheduler.ReduceLROnPlateau(other, "max", 0.5, 2, threshold=0, min_lr=0.02)
    found = []
    for epoch, score in enumerate(scores, 1):
        mine.end_of_epoch(epoch * PER_EPOCH, score)
        wanted.step(score)
        found.append(mine.rate(epoch * PER_EPOCH))
        assert found[-1] == other.param_groups[0]["lr"]
    assert sorted(set(found)) == [0.02, 0.025, 0.05, 0.1]


def test_plateau_does_not_count_the_warmup() -> None:
    schedule = Schedule(Training(lr=0.1, schedule="plateau", warmup=2, plateau_patience=0), PER_EPOCH)
    for epoch in (1, 2):
        schedule.end_of_epoch(epoch * PER_EPOCH, 0.5)
    schedule.end_of_epoch(3 * PER_EPOCH, 0.4)
    assert schedule.rate(3 * PER_EPOCH) == 0.1
    schedule.end_of_epoch(4 * PER_EPOCH, 0.4)
    assert schedule.rate(4 * PER_EPOCH) == 0.05


def test_milestones_are_those_of_torch() -> None:
    config = Training(lr=0.1, epochs=8, schedule="milestones", milestones="2, 5", milestone_factor=0.5)
    wanted = torch.optim.lr_scheduler.MultiStepLR(optimizer(0.1), [10, 25], 0.5)
    assert rates(config) == pytest.approx(torch_rates(wanted, 40))
    late = rates(dataclasses.replace(config, warmup=1))  # epochs are those of the training, warm-up and all
    assert late[9] == 0.1 and late[10] == 0.05 and late[0] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Training(schedule="milestones"), "--schedule milestones: goes with --milestones"),
        (Training(milestones="3"), "--schedule constant: goes with no --milestones"),
        (Training(schedule="milestones", milestones="3,0"), "--milestones 3,0: is no list of epochs"),
        (Training(schedule="milestones", milestones="1.5"), r"--milestones 1\.5: is no list of epochs"),
        (Training(schedule="cyclic", warmup=1), "--warmup 1: does not go with --schedule cyclic"),
        (Training(schedule="onecycle", warmup=0.5), r"--warmup 0\.5: does not go with --schedule onecycle"),
        (Training(warmup=3, epochs=3), "--warmup 3: is as long as the whole training of 3 epochs"),
        (Training(schedule="cosine", lr=1e-5, lr_min=1e-4), r"--lr-min 0\.0001: is above --lr 1e-05"),
    ],
)
def test_settings_that_do_not_fit_together(config: Training, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Schedule(config, PER_EPOCH)


def test_a_lowest_rate_above_the_rate_does_no_harm_where_it_is_not_used() -> None:
    assert rates(Training(lr=1e-9, epochs=1)) == [1e-9] * 5
