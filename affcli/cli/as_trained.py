"""Whether what is to be predicted is what the trained networks take, made as in their training."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from affcli.errors import SchemaError, UsageError, some
from affcli.models import sees

if TYPE_CHECKING:
    from affcli.cli.crop_files import CropFiles
    from affcli.recipes import Recipe
    from affcli.training.checkpoint import Checkpoint
    from affcli.training.description import CropSet
    from affcli.windows import FeatureSet

log = logging.getLogger(__name__)


def crops_of(source: Path | None, runs: Sequence[Checkpoint]) -> CropFiles | None:
    """The crops that runs see.  Raises UsageError where crops are needed and not given, or the other way round."""
    from affcli.cli.crop_files import find_crops

    seeing = [run for run in runs if sees(run.description.network)]
    if seeing and source is None:
        raise UsageError(
            seeing[0].path,
            f"is a {seeing[0].description.model}, which sees crops, and there is no --crops",
            expected="--crops DIR, the faces that affcli extract-faces made",
            advice="add it",
        )
    if source is not None and not seeing:
        raise UsageError(
            f"--crops {source}",
            f"is of no use to {some(run.description.model for run in runs)}, which sees nothing",
            expected="a run of a network that sees, such as m3t-visual",
            advice="leave it out",
        )
    return None if source is None else find_crops(source)


def check_sources(sources: Sequence[Path], runs: Sequence[Checkpoint]) -> None:
    """Raise UsageError where features are needed and not given, or the other way round."""
    reading = [run for run in runs if run.description.features]
    if reading and not sources:
        raise UsageError(
            reading[0].path,
            f"reads {some(reading[0].description.features)} features, and there are none",
            expected="a windows table, or directories and tables of features, after RUN",
            advice="name them",
        )
    if sources and not reading:
        raise UsageError(
            sources[0],
            f"is of no use to {some(run.description.model for run in runs)}, which reads no features",
            expected="--crops alone, or a windows table for its clips",
            advice="leave it out",
        )


def compare(path: Path, encoder: str, found: FeatureSet, wanted: FeatureSet, force_recipe: bool) -> list[Recipe]:
    """The recipe of features that are not made as those of the training were; none where they are.

    Raises SchemaError where they are as wide and `force_recipe` does not allow it, and where they are not as wide.
    """
    advice = "make the features with the settings of the training, or train on these"
    if found.width != wanted.width:
        raise SchemaError(
            path,
            f"its {encoder} features are {found.width} numbers wide",
            expected=f"{wanted.width} as in the training",
            advice=advice,
        )
    return _changed(path, f"{encoder} features", found.recipe, wanted.recipe, force_recipe, advice)


def compare_crops(crops: CropFiles, runs: Sequence[Checkpoint], force_recipe: bool) -> list[Recipe]:
    """The recipe of crops that are not made as those of the training of a run were; none where they are.

    Raises SchemaError where they are as large and `force_recipe` does not allow it, and where they are not as large.
    """
    path = crops.paths[next(iter(crops.headers))]
    wanted: dict[str, CropSet] = {}
    for run in runs:
        if (one := run.description.crops) and one not in wanted.values():
            wanted[str(run.path)] = one
    foreign: list[Recipe] = []
    for trained, one in wanted.items():
        made = one.recipe.get("config", {})
        options = "".join(f" --{name} {made[name]}" for name in ("template", "size") if made.get(name))
        advice = f"make the crops as in the training: affcli extract-faces{options}; or train on these"
        if crops.side != one.side:
            size = f"{crops.side} x {crops.side} px"
            expected = f"{one.side} x {one.side} px as in the training of {trained}"
            raise SchemaError(path, f"its crops are {size}", expected=expected, advice=advice)
        foreign += _changed(path, "crops", crops.recipe, one.recipe, force_recipe, advice)
    return foreign


def _changed(path: Path, what: str, found: Recipe, wanted: Recipe, force_recipe: bool, advice: str) -> list[Recipe]:
    """`found` where it is not `wanted`; then SchemaError, or with `force_recipe` a warning."""
    from affcli.recipes import differences

    changed = differences(found, wanted)
    if not changed:
        return []
    message = f"its {what} were made otherwise than those of the training ({some(changed)})"
    if not force_recipe:
        raise SchemaError(
            path,
            message,
            expected="the same recipe",
            advice=f"{advice} (--force-recipe goes on all the same)",
        )
    log.warning("%s: %s; used all the same, as --force-recipe asks for", path, message)
    return [found]
