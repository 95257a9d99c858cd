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
    names = {"val_ccc_valence": "val/ccc_valence", "val_ccc_arousal": "val/ccc_arousal", "val_ccc_mean": "val/ccc_mean"}
    for name, value in epoch.to_json().items():
        if name != "epoch":
            board.add_scalar(names.get(name, f"train/{name.removeprefix('train_')}"), value, epoch.number)
    board.flush()
