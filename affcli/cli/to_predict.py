"""The clips to predict, from a windows table or from features."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from affcli.cli.featuresets import FeatureFile
from affcli.configs import Windows
from affcli.errors import InputError, SchemaError, UsageError, some

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.recipes import Recipe
    from affcli.training.description import Description
    from affcli.windows import FeatureSet

    Cuts: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int32]]  # starts and lengths, (k,) frames

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    """A clip to predict; its files are opened, or found wanting, when its turn comes."""

    name: str
    files: Callable[[], dict[str, FeatureFile]]  # by encoder, of all runs
    windows: tuple[Callable[[int], Cuts], ...]  # of n frames, by run


@dataclass(frozen=True)
class Work:
    """What there is to predict."""

    plans: list[Windows]  # by run
    clips: list[Clip]
    foreign: list[Recipe]  # of features that are used although they are not made as those of the training were


def work_of(sources: list[Path], trained: Sequence[Description], split: str, force_recipe: bool) -> Work:
    """What to predict, and how it is cut: by a windows table as it says, features as in the training of each run.

    Raises SchemaError where features are not made as those of the training were; with `force_recipe` that is a
    warning where they have the same width.
    """
    from affcli import tables
    from affcli.schemas import WINDOWS

    kinds = [None if path.is_dir() else tables.read_header(path).schema for path in sources]
    if WINDOWS not in kinds:
        if split != "all":
            raise UsageError(
                f"--split {split}",
                "needs a windows table: features are not split",
                expected="WINDOWS in place of FEATURES",
                advice="name the windows table, or leave --split out",
            )
        return _work_of_features(sources, trained, force_recipe)
    if len(sources) > 1:
        raise UsageError(
            sources[kinds.index(WINDOWS)],
            f"is a windows table beside {len(sources) - 1} other sources",
            expected="one windows table, or any number of feature directories and tables",
            advice="predict from one of them at a time",
        )
    return _work_of_windows(sources[0], trained, split, force_recipe)


def _encoders(trained: Sequence[Description]) -> list[str]:
    """The encoders that the runs need, each once."""
    return list(dict.fromkeys(encoder for one in trained for encoder in one.features))


def _work_of_windows(path: Path, trained: Sequence[Description], split: str, force_recipe: bool) -> Work:
    from affcli.cli.windowed import read_windows

    index = read_windows(path)
    plan = Windows(index.facts.length, index.facts.overlap)
    foreign: list[Recipe] = []
    for one in trained:
        for encoder, wanted in one.features.items():
            if encoder not in index.facts.features:
                raise SchemaError(
                    path,
                    f"has no {encoder} features",
                    expected=f"the features of the training: {', '.join(one.features)}",
                    advice="cut windows with these features: affcli window",
                )
            foreign += _compare(path, encoder, index.facts.features[encoder], wanted, force_recipe)
        if plan != one.windows:
            log.warning("%s: cut otherwise than in the training (%s): %s", path, one.windows, plan)
    clips = [
        Clip(clip, partial(index.features, clip, _encoders(trained)), (partial(_as_cut, windows),) * len(trained))
        for clip, windows in index.windows.items()
        if split in ("all", index.facts.clips[clip].split)
    ]
    if not clips:
        raise InputError(
            path, f"has no {split} clip", expected="clips to predict", advice="choose another --split, or leave it out"
        )
    return Work([plan] * len(trained), clips, _distinct(foreign))


def _work_of_features(sources: list[Path], trained: Sequence[Description], force_recipe: bool) -> Work:
    from affcli.cli.featuresets import feature_set, find_features
    from affcli.cli.mismatches import misfits
    from affcli.windows import cut

    encoders = _encoders(trained)
    found = find_features(sources, encoders)
    foreign: list[Recipe] = []
    for one in trained:
        for encoder, wanted in one.features.items():
            files = found.features[encoder]
            path = next(iter(files.values())).path
            foreign += _compare(path, encoder, feature_set(files), wanted, force_recipe)
    wrong = misfits(found, {}, "make the features again from the same video")

    def files_of(clip: str) -> dict[str, FeatureFile]:
        if clip in wrong:
            raise wrong[clip]
        return {encoder: found.features[encoder][clip] for encoder in encoders}

    plans = [one.windows for one in trained]
    cuts = tuple(partial(cut, length=plan.length, overlap=plan.overlap) for plan in plans)
    return Work(plans, [Clip(clip, partial(files_of, clip), cuts) for clip in found.clips], _distinct(foreign))


def _as_cut(windows: Cuts, _: int) -> Cuts:
    return windows


def _distinct(made: list[Recipe]) -> list[Recipe]:
    return [one for i, one in enumerate(made) if one not in made[:i]]


def _compare(path: Path, encoder: str, found: FeatureSet, wanted: FeatureSet, force_recipe: bool) -> list[Recipe]:
    """The recipe of features that are not made as those of the training were; none where they are.

    Raises SchemaError where they are as wide and `force_recipe` does not allow it, and where they are not as wide.
    """
    from affcli.recipes import differences

    advice = "make the features with the settings of the training, or train on these"
    if found.width != wanted.width:
        raise SchemaError(
            path,
            f"its {encoder} features are {found.width} numbers wide",
            expected=f"{wanted.width} as in the training",
            advice=advice,
        )
    changed = differences(found.recipe, wanted.recipe)
    if not changed:
        return []
    message = f"its {encoder} features were made otherwise than those of the training ({some(changed)})"
    if not force_recipe:
        raise SchemaError(
            path,
            message,
            expected="the same recipe",
            advice=f"{advice} (--force-recipe goes on all the same)",
        )
    log.warning("%s: %s; used all the same, as --force-recipe asks for", path, message)
    return [found.recipe]
