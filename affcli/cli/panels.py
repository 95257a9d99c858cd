"""The options of a command in groups, so that its help can be looked through."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping


def in_panels(panels: Mapping[str, tuple[str, ...]]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Show the named options of a command below a heading; the others stay below "Options", which comes first."""
    heading = {name: title for title, names in panels.items() for name in names}

    def grouped(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        place = {name: number for number, name in enumerate(heading)}
        changed = []
        for one in signature.parameters.values():
            default = copy.copy(one.default)  # other commands may have it too
            if one.name in heading:
                default.rich_help_panel = heading[one.name]
            changed.append(one.replace(default=default, kind=inspect.Parameter.KEYWORD_ONLY))
        changed.sort(key=lambda one: place.get(one.name, -1))
        function.__signature__ = signature.replace(parameters=changed)  # type: ignore[attr-defined]
        return function

    return grouped


TRAIN: Mapping[str, tuple[str, ...]] = {
    "Networks that see (affcli models list tells which), and what a training begins with": (
        *("crops", "flip", "flip_features", "cutout", "jitter"),
        *("stages", "stage", "init", "init_visual", "init_audio", "init_backbone", "people"),
    ),
    "Length, batches and windows": (
        *("epochs", "patience", "batch", "accumulate", "per_clip", "missing_share", "balance", "seed"),
    ),
    "Loss": ("loss", "ccc_over", "ccc_moments", "expression_weight", "expression_over", "au_weight"),
    "Optimiser and learning rate": (
        *("optimizer", "lr", "momentum", "weight_decay", "clip", "ema"),
        *("schedule", "warmup", "lr_min", "cycle_up", "plateau_factor", "plateau_patience"),
        *("milestones", "milestone_factor"),
    ),
    "Learning-rate range test": ("lr_range_test", "lr_from", "lr_to", "lr_steps"),
    "Several networks": ("folds", "group", "fold_seed", "seeds", "grid", "workers"),
    "Devices and precision": ("device", "devices", "precision", "compile"),
}  # of affcli train
SCORE: Mapping[str, tuple[str, ...]] = {
    "Metrics of valence and arousal (where none is named, all)": ("ccc", "pcc", "rmse", "mse", "mae", "sagr"),
    "What the files hold, and which frames count": (
        *("task", "classes", "formula", "ranges", "clip", "missing", "align", "mask"),
    ),
    "Where a score comes from": ("per_clip", "by", "windows", "faces", "lag", "times", "decompose"),
    "How sure it is": ("ci", "resamples", "seed", "bca", "test"),
    "What is written, and the exit status": ("json_", "table", "latex", "markdown", "min_ccc"),
}  # of affcli score
