"""The clips to predict, from a windows table or from features."""

from __future__ import annotations

import logging
from collections.abc import Callable
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

    from affcli.training.description import Description
    from affcli.windows import FeatureSet

    Cuts: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int32]]  # starts and lengths, (k,) frames

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    """A clip to predict; its files are opened, or found wanting, when its turn comes."""

    name: str
    files: Callable[[], dict[str, FeatureFile]]
    windows: Callable[[int], Cuts]  # of n frames


def clips_of(sources: list[Path], trained: Description, split: str) -> tuple[Windows, list[Clip]]:
    """What to predict, and how it is cut: by a windows table as it says, features as in the training.

    Raises SchemaError where features are not made as those of the training were.
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
        return trained.windows, _clips_of_features(sources, trained)
    if len(sources) > 1:
        raise UsageError(
            sources[kinds.index(WINDOWS)],
            f"is a windows table beside {len(sources) - 1} other sources",
            expected="one windows table, or any number of feature directories and tables",
            advice="predict from one of them at a time",
        )
    return _clips_of_windows(sources[0], trained, split)


def _clips_of_windows(path: Path, trained: Description, split: str) -> tuple[Windows, list[Clip]]:
    from affcli.cli.windowed import read_windows

    index = read_windows(path)
    for encoder, wanted in trained.features.items():
        if encoder not in index.facts.features:
            raise SchemaError(
                path,
                f"has no {encoder} features",
                expected=f"the features of the training: {', '.join(trained.features)}",
                advice="cut windows with these features: affcli window",
            )
        _compare(path, encoder, index.facts.features[encoder], wanted)
    plan = Windows(index.facts.length, index.facts.overlap)
    if plan != trained.windows:
        log.warning("%s: cut otherwise than in the training (%s): %s", path, trained.windows, plan)
    encoders = list(trained.features)
    clips = [
        Clip(clip, partial(index.features, clip, encoders), partial(_as_cut, windows))
        for clip, windows in index.windows.items()
        if split in ("all", index.facts.clips[clip].split)
    ]
    if not clips:
        raise InputError(
            path, f"has no {split} clip", expected="clips to predict", advice="choose another --split, or leave it out"
        )
    return plan, clips


def _clips_of_features(sources: list[Path], trained: Description) -> list[Clip]:
    from affcli.cli.featuresets import feature_set, find_features
    from affcli.cli.mismatches import misfits
    from affcli.windows import cut

    found = find_features(sources, trained.features)
    for encoder, wanted in trained.features.items():
        files = found.features[encoder]
        _compare(next(iter(files.values())).path, encoder, feature_set(files), wanted)
    wrong = misfits(found, {}, "make the features again from the same video")

    def files_of(clip: str) -> dict[str, FeatureFile]:
        if clip in wrong:
            raise wrong[clip]
        return {encoder: found.features[encoder][clip] for encoder in trained.features}

    cuts = partial(cut, length=trained.windows.length, overlap=trained.windows.overlap)
    return [Clip(clip, partial(files_of, clip), cuts) for clip in found.clips]


def _as_cut(windows: Cuts, _: int) -> Cuts:
    return windows


def _compare(path: Path, encoder: str, found: FeatureSet, wanted: FeatureSet) -> None:
    """Raise SchemaError where features are not made as those of the training were."""
    from affcli.recipes import differences

    advice = "make the features with the settings of the training, or train on these"
    if found.width != wanted.width:
        raise SchemaError(
            path,
            f"its {encoder} features are {found.width} numbers wide",
            expected=f"{wanted.width} as in the training",
            advice=advice,
        )
    if changed := differences(found.recipe, wanted.recipe):
        raise SchemaError(
            path,
            f"its {encoder} features were made otherwise than those of the training ({some(changed)})",
            expected="the same recipe",
            advice=advice,
        )
