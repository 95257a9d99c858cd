"""Where a network runs, and what to say when it does not fit there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from affcli.errors import UsageError, is_out_of_memory


def pick(name: str) -> torch.device:
    """The device `name`; "auto" is cuda, else mps, else cpu.  Raises UsageError where it is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    usable = [one for one, usable in there.items() if usable]
    if name == "auto":
        name = usable[0]
    if name not in usable:
        raise UsageError(
            f"--device {name}",
            "is not available to the installed torch",
            expected=f"one of auto, {', '.join(usable)}",
            advice="choose one of them, or install the build of torch for it",
        )
    return torch.device(name)


def memory_explained(batch: int, accumulate: int | None = None) -> contextlib.AbstractContextManager[None]:
    """Turn running out of memory into UsageError; `accumulate` is the present number of a batch's parts, if it has any.

    Where a batch may pass in parts, that is the first advice: it leaves the training what it is.
    """
    parts = f"--accumulate {4 * accumulate}, or " if accumulate and 4 * accumulate <= batch else ""
    return _explained(f"--batch {batch}", "fewer windows at a time", f"try {parts}--batch {max(1, batch // 4)}")


def size_explained(model: str) -> contextlib.AbstractContextManager[None]:
    """Turn running out of memory while the network `model` is built into UsageError."""
    return _explained(f"--model {model}", "fewer units", "correct --set")


@contextlib.contextmanager
def _explained(subject: str, expected: str, advice: str) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise UsageError(subject, "does not fit into the memory", expected=expected, advice=advice) from error


def check_count(name: str, count: int) -> None:
    """Raise UsageError where there are not `count` devices `name` for as many processes; CPUs are shared."""
    if name == "mps":
        raise UsageError(
            "--device mps", "is one device", expected="cuda or cpu", advice="leave --devices out, or use --device cpu"
        )
    found = torch.cuda.device_count()
    if name != "cpu" and 0 < found < count:
        raise UsageError(
            f"--devices {count}",
            f"finds {found} CUDA device{'s' * (found != 1)}",
            expected="a device for each process",
            advice=f"use --devices {found}, or --device cpu",
        )


def use_cores(count: int) -> None:
    """Compute with so many cores in this process."""
    torch.set_num_threads(count)
