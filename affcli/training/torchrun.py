"""A command in several processes under torchrun, which replaces those that die."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch


class DiedError(Exception):
    """One of the processes ended otherwise than with status 0, and was begun anew as often as that was allowed."""


def run(command: Sequence[str], processes: int, restarts: int, folder: str) -> int:
    """Run a command in so many processes of this machine, and wait for them; 0, or 128 and the signal that ended them.

    Notes of torchrun's own go into the directory `folder`.  When one of the processes dies, all are begun anew,
    `restarts` times at most.  Raises DiedError where that was not enough.
    """
    # The agent's own store is else shared with the processes, and stale once they begin anew.
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed."):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what failed is said by the process that did
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="affcli",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=restarts,
        monitor_interval=0.5,
        start_method="spawn",
        local_addr="127.0.0.1",  # else the host's name, which not every laptop can resolve
        logs_specs=DefaultLogsSpecs(log_dir=folder),
    )
    try:
        elastic_launch(config, command[0])(*command[1:])
    except SignalException as ending:
        return 128 + int(ending.sigval)
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        how = signal.Signals(-code).name if code < 0 else f"status {code}"
        raise DiedError(how) from error
    return 0
