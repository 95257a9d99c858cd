"""The clips to predict, from a windows table, from features, or from crops."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from affcli.cli.as_trained import check_sources, compare, compare_crops, crops_of
from affcli.configs import Windows
from affcli.errors import InputError, SchemaError, UsageError, some

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.cli.crop_files import CropFile, CropFiles
    from affcli.cli.featuresets import FeatureFile
    from affcli.recipes import Recipe
    from affcli.training.checkpoint import Checkpoint
    from affcli.training.data import ClipData

    Cuts: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int32]]  # starts and lengths, (k,) frames

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Files:
    """What the networks are given of one clip, of which at least one is there: n frames of each."""

    features: dict[str, FeatureFile]  # by encoder, of all runs
    crops: CropFile | None = None

    @property
    def time_us(self) -> NDArray[np.int64]:
        """When its frames are shown, (n,)."""
        first = next(iter(self.features.values()), self.crops)
        assert first is not None
        return first.time_us

    def sources(self) -> list[dict[str, str]]:
        """The tables, as inputs of what is made from them."""
        found = [file.source() for file in self.features.values()]
        return [*found, self.crops.source()] if self.crops else found

    def data(self, clip: str) -> ClipData:
        """The clip as prediction takes it, no frame of it annotated.  Raises where an array does not fit its table."""
        import numpy as np

        from affcli.training.crops import ClipCrops
        from affcli.training.data import ClipData

        n = len(self.time_us)
        return ClipData(
            clip,
            {encoder: file.array() for encoder, file in self.features.items()},
            {encoder: file.valid for encoder, file in self.features.items()},
            np.zeros((n, 2)),
            np.zeros(n, np.bool_),
            crops=ClipCrops(clip, self.crops.frames, self.crops.valid) if self.crops else None,
            time_us=self.time_us,
        )


@dataclass(frozen=True)
class Clip:
    """A clip to predict; its files are opened, or found wanting, when its turn comes."""

    name: str
    files: Callable[[], Files]
    windows: tuple[Callable[[int], Cuts], ...]  # of n frames, by run


@dataclass(frozen=True)
class Work:
    """What there is to predict."""

    plans: list[Windows]  # by run, as clips were cut; with another --overlap, only the length counts
    clips: list[Clip]
    foreign: list[Recipe]  # of features and crops that are used although they are not made as those of the training


def work_of(
    sources: Sequence[Path],
    runs: Sequence[Checkpoint],
    *,
    crops: Path | None = None,
    split: str = "all",
    overlap: str = "as-trained",
    force_recipe: bool = False,
) -> Work:
    """What to predict, and how it is cut: by a windows table as it says, else as in the training of each run.

    Another `overlap` than "as-trained" (see `configs.Prediction`) changes that but for the length of the windows.
    Raises UsageError where the runs need something else than is given, SchemaError where features or crops are not made
    as those of the training were; with `force_recipe` that is a warning where they have the same width or size.
    """
    from affcli import tables
    from affcli.schemas import WINDOWS

    seen = crops_of(crops, runs)
    foreign = compare_crops(seen, runs, force_recipe) if seen else []
    kinds = [None if path.is_dir() else tables.read_header(path).schema for path in sources]
    if WINDOWS not in kinds:
        if split != "all":
            raise UsageError(
                f"--split {split}",
                "needs a windows table: features and crops are not split",
                expected="WINDOWS",
                advice="name the windows table, or leave --split out",
            )
        check_sources(sources, runs)
        work = _work_of_features(sources, runs, seen, overlap, force_recipe)
    elif len(sources) > 1:
        raise UsageError(
            sources[kinds.index(WINDOWS)],
            f"is a windows table beside {len(sources) - 1} other sources",
            expected="one windows table, or any number of feature directories and tables",
            advice="predict from one of them at a time",
        )
    else:
        work = _work_of_windows(sources[0], runs, seen, split, overlap, force_recipe)
    return Work(work.plans, work.clips, _distinct([*work.foreign, *foreign]))


def _encoders(runs: Sequence[Checkpoint]) -> list[str]:
    """The encoders that the runs need, each once."""
    return list(dict.fromkeys(encoder for run in runs for encoder in run.description.features))


def _work_of_windows(
    path: Path, runs: Sequence[Checkpoint], crops: CropFiles | None, split: str, overlap: str, force_recipe: bool
) -> Work:
    from affcli.cli.windowed import read_windows

    index = read_windows(path)
    facts, trained = index.facts, [run.description for run in runs]
    plan = Windows(facts.length, facts.overlap)
    foreign: list[Recipe] = []
    for one in trained:
        for encoder, wanted in one.features.items():
            if encoder not in facts.features:
                raise SchemaError(
                    path,
                    f"has no {encoder} features",
                    expected=f"the features of the training: {', '.join(one.features)}",
                    advice="cut windows with these features: affcli window",
                )
            foreign += compare(path, encoder, facts.features[encoder], wanted, force_recipe)
        if plan.length != one.windows.length or (overlap == "as-trained" and plan != one.windows):
            log.warning(
                "%s: windows of %d frames that overlap by %d, otherwise than in the training (%d, %d); used as cut",
                path, plan.length, plan.overlap, one.windows.length, one.windows.overlap,
            )  # fmt: skip

    def files_of(clip: str) -> Files:
        return _files(index.features(clip, _encoders(runs)), index.crops(clip, crops) if crops else None)

    names = [clip for clip in index.windows if split in ("all", facts.clips[clip].split)]
    if not names:
        raise InputError(
            path, f"has no {split} clip", expected="clips to predict", advice="choose another --split, or leave it out"
        )
    anew = None if overlap == "as-trained" else _cutter(plan, overlap)
    clips = [
        Clip(clip, partial(files_of, clip), (anew or partial(_as_cut, index.windows[clip]),) * len(runs))
        for clip in _wanted(names, crops)
    ]
    return Work([plan] * len(runs), clips, foreign)


def _work_of_features(
    sources: Sequence[Path], runs: Sequence[Checkpoint], crops: CropFiles | None, overlap: str, force_recipe: bool
) -> Work:
    """The clips of features, or those of crops where no run reads features."""
    from affcli.cli.featuresets import Found, feature_set, find_features
    from affcli.cli.mismatches import misfits

    encoders = _encoders(runs)
    found = find_features(sources, encoders) if encoders else Found({}, {})
    foreign: list[Recipe] = []
    for run in runs:
        for encoder, wanted in run.description.features.items():
            files = found.features[encoder]
            path = next(iter(files.values())).path
            foreign += compare(path, encoder, feature_set(files), wanted, force_recipe)
    wrong = misfits(found, {}, "make the features again from the same video")

    def files_of(clip: str) -> Files:
        if clip in wrong:
            raise wrong[clip]
        features = {encoder: found.features[encoder][clip] for encoder in encoders}
        return _files(features, crops.of(clip) if crops else None)

    plans = [run.description.windows for run in runs]
    cuts = tuple(_cutter(plan, overlap) for plan in plans)
    names = _wanted(found.clips if encoders else crops.clips if crops else [], crops)
    return Work(plans, [Clip(clip, partial(files_of, clip), cuts) for clip in names], foreign)


def _wanted(clips: list[str], crops: CropFiles | None) -> list[str]:
    """Those of `clips` to predict: where --crops names the table of one clip, that one alone.

    Raises InputError where it is none of them.
    """
    if crops is None or crops.source.is_dir():
        return clips
    (clip,) = crops.clips
    if clip not in clips:
        raise InputError(
            crops.source,
            f"is of clip '{clip}', which is none of those to predict ({some(clips)})",
            expected="the faces of one of them, or a directory",
            advice="check the path",
        )
    return [clip]


def _files(features: dict[str, FeatureFile], crops: CropFile | None) -> Files:
    """The features and the crops of a clip.  Raises SchemaError where they are not of the same frames."""
    if features and crops is not None:
        crops.check(next(iter(features.values())))
    return Files(features, crops)


def _cutter(plan: Windows, overlap: str) -> Callable[[int], Cuts]:
    """What cuts n frames into windows as `configs.Prediction.overlap` says."""
    from affcli.windows import cut, cut_apart

    if overlap == "none":
        return partial(cut_apart, length=plan.length)
    half = plan.length - max(1, plan.length // 2)
    return partial(cut, length=plan.length, overlap=half if overlap == "half" else plan.overlap)


def _as_cut(windows: Cuts, _: int) -> Cuts:
    return windows


def _distinct(made: list[Recipe]) -> list[Recipe]:
    return [one for i, one in enumerate(made) if one not in made[:i]]
