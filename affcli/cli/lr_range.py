"""The learning-rate range test of affcli train: RUN/lr_range.csv, its curve, and the rates it hints at."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from affcli import configs
from affcli.cli.options import configure
from affcli.cli.progress import Line, say
from affcli.errors import UsageError

if TYPE_CHECKING:
    from affcli.cli.one_run import Job
    from affcli.training.lr_range import Tried

CURVE = "lr_range.csv"  # in RUN


def rates_of(typed: Mapping[str, Any]) -> configs.LrRange | None:
    """The rates of the test that a command line asks for; None where it asks for none.

    Raises UsageError where it says what the rates are to be, and not that there is to be a test.
    """
    said = [name for name in ("lr_from", "lr_to", "lr_steps") if name in typed]
    if typed.get("lr_range_test"):
        return configure(configs.LrRange, {name: typed[name] for name in said})
    if said:
        option = f"--{said[0].replace('_', '-')}"
        raise UsageError(
            option, "is of a test that is not asked for", expected="--lr-range-test", advice="add it, or leave this out"
        )
    return None


def test(job: Job, rates: configs.LrRange, *, several: bool) -> None:
    """Train the network of `job` over rising learning rates, and write, draw and tell what that shows.

    Nothing but RUN/lr_range.csv is written: what else stands in RUN stays.  Raises UsageError where several networks
    or devices are asked for, and as `prepared` and `training.lr_range` do.
    """
    from affcli.cli.beginnings import network_of
    from affcli.cli.one_run import prepared
    from affcli.cli.plot import rising
    from affcli.models.device import pick
    from affcli.training.lr_range import found_in, lr_range
    from affcli.training.optimisation import check

    training, device = job.choice.training, pick(job.device)
    if several or job.choice.devices > 1:
        raise UsageError(
            "--lr-range-test",
            "is of one network on one device",
            expected="neither --folds, --seeds, --grid nor --devices",
            advice="leave them out",
        )
    check(training, device)
    made = prepared(job)
    train, val = made.parts()
    made.task.check(train, val)
    network, scale = network_of(made, train)
    if training.stage == "fuse":
        network.freeze_encoders()
    tried: list[Tried] = []
    line = Line()
    for one in lr_range(network, train.standardised(scale), training, device, rates, task=made.task):
        tried.append(one)
        line.show(f"{job}: step {len(tried)} of {rates.lr_steps}: learning rate {one.lr:.2e}, loss {one.loss:.4f}")
    line.clear()
    _write(job, tried)
    print(rising([one.lr for one in tried], [one.smoothed for one in tried]))
    found, last = found_in(tried), tried[-1]
    if len(tried) < rates.lr_steps:
        print(f"ended after {len(tried)} of {rates.lr_steps} steps: above {last.lr:.2e} the loss runs away")
    steepest = "nowhere: it falls at no rate" if found.steepest is None else f"from {found.steepest:.2e}"
    print(f"falls fastest: {steepest}{', over a tenth of the steps' * (found.steepest is not None)}")
    print(f"lowest: at {found.lowest:.2e}{', the last rate' if found.lowest == last.lr else '; above, it rises'}")
    print(f"a tenth of that: {found.safe:.2e}")
    say(
        f"{job.out / CURVE}: rules of thumb, of the running mean of the loss in one short training: for --lr try the "
        "rate where it falls fastest, or a tenth of that where it is lowest"
    )


def _write(job: Job, tried: Sequence[Tried]) -> None:
    """Write RUN/lr_range.csv: a line for each step.  Raises OutputError where it cannot be written."""
    from affcli.files import replacing

    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["lr", "loss", "smoothed"])
    table.writerows([one.lr, one.loss, one.smoothed] for one in tried)
    with replacing(job.out / CURVE) as file:
        file.write(text.getvalue().encode())
