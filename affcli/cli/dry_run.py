"""How large a training will be, said before it is begun: `affcli train --dry-run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from affcli.cli.one_run import Job


def say_size(job: Job, begins: bool = True) -> None:
    """Print how large a training is; without `begins`, one that may begin with runs that are not there yet."""
    from affcli.cli.one_run import prepared
    from affcli.models.device import pick
    from affcli.training.estimate import estimate
    from affcli.training.fit import new_model
    from affcli.training.optimisation import check

    config = job.choice.training
    check(config, pick(job.device), job.choice.devices)
    made = prepared(job, begins)
    train, _ = made.parts()
    net: Any = new_model(job.choice.model, made.sets, job.choice.network, config.seed)
    if config.stage == "fuse":
        net.freeze_encoders()
    size = estimate(net, train, config)
    longest = int(train.length.max())
    for name, vectors in train.clips[0].features.items():
        print(f"{name}: {size.part} x {longest} x {vectors.shape[1]} (windows, frames, numbers)")
    if train.sight:
        print(f"clip: {size.part} x 3 x {longest} x 112 x 112 (windows, colours, frames, pixels)")
    print(f"output: {' x '.join(map(str, size.output))}")
    print(f"parameters: {size.parameters}")
    print(f"windows per epoch: {size.windows}, of {len(train.clips)} clips")
    print(f"steps per epoch: {size.steps}, {size.steps * config.epochs} at most")
    print(
        f"memory: about {(size.state_bytes + size.batch_bytes) / 1e6:.1f} MB, "
        f"{size.state_bytes / 1e6:.1f} for the network and its optimiser and {size.batch_bytes / 1e6:.1f} for a pass"
    )
