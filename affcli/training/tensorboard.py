"""Learning curves for TensorBoard, in RUN/tensorboard, for whoever wants them there too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affcli.errors import AssetError
from affcli.training.fit import Epoch


def board(run: Path, done: int) -> Any:
    """Where the epochs after the first `done` are written.  Raises AssetError where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise AssetError(
            "tensorboard",
            "is not installed",
            expected="the package that writes its files",
            advice="type: pip install 'affcli[tensorboard]', or leave --tensorboard out: metrics.jsonl has the numbers",
        ) from error
    # What a broken-off training wrote beyond its last checkpoint is written again.
    return SummaryWriter(str(run / "tensorboard"), purge_step=done + 1)


def add(board: Any, epoch: Epoch) -> None:
    """Write the numbers of one epoch."""
    for name, value in epoch.to_json().items():
        if name != "epoch":
            validated = name.startswith("val_")
            named = f"val/{name.removeprefix('val_')}" if validated else f"train/{name.removeprefix('train_')}"
            board.add_scalar(named, value, epoch.number)
    board.flush()
