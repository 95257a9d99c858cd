"""Windows tables as training and prediction open them: the index, and the features and labels it points to."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affcli.cli.featuresets import FeatureFile, read_features
from affcli.errors import InputError, SchemaError, UsageError, some

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.cli.crop_files import CropFile, CropFiles, FlippedFiles
    from affcli.labels.affect import Affect
    from affcli.recipes import Recipe
    from affcli.training.data import ClipData, WindowedClips
    from affcli.windows import Facts, FeatureSet, File, Part

log = logging.getLogger(__name__)

_REMEDY = "cut the windows again: affcli window"


@dataclass(frozen=True, eq=False)
class Index:
    """A checked windows table."""

    path: Path
    facts: Facts
    recipe: Recipe
    windows: dict[str, tuple[NDArray[np.int32], NDArray[np.int32]]]  # by clip: starts and lengths, (k,) frames

    def features(self, clip: str, encoders: list[str]) -> dict[str, FeatureFile]:
        """The feature files of one clip, by encoder: the frames that its windows lie in.

        Raises InputError where one is missing, SchemaError where it is not the one that was cut into windows.
        """
        known = self.facts.clips[clip]
        return {name: read_features(self._place(known.features[name])).first(known.frames) for name in encoders}

    def labels(self, clip: str) -> Affect:
        """The labels of one clip, for the frames that its windows lie in.  Raises as `features` does."""
        known = self.facts.clips[clip]
        if known.labels is None:
            raise SchemaError(self.path, f"has no labels of clip '{clip}'", advice="cut windows with --labels")
        return _read_labels(self._place(known.labels))[clip].resized(known.frames)

    def crops(self, clip: str, crops: CropFiles) -> CropFile:
        """The crops of one clip: the frames that its windows lie in.  Raises as `CropFiles.of` does."""
        known = self.facts.clips[clip]
        return crops.of(clip, known.frames, known.feature_rows)

    def _place(self, file: File) -> Path:
        """Where a file that the index names is; it must still be what it was."""
        path = self.path.parent / file.path
        if not path.exists():
            raise InputError(
                path, f"does not exist, but {self.path} was cut from it", advice=f"put it back, or {_REMEDY}"
            )
        if _digest(path) != file.sha256:
            raise SchemaError(
                path, f"has changed since {self.path} was cut from it", expected="the same file", advice=_REMEDY
            )
        return path


@functools.cache
def _digest(path: Path) -> str:
    from affcli.recipes import digest

    return digest(path)


@functools.cache
def _read_labels(path: Path) -> dict[str, Affect]:
    from affcli.labels.read import read_table

    return {one.clip: one for one in read_table(path)}


def read_windows(path: Path) -> Index:
    """The windows table at `path`, the files it names not yet looked at.

    Raises InputError and SchemaError as `tables.read` does, and SchemaError where it does not fit what it says of
    its clips, lacks one, or does not cover them.
    """
    import numpy as np

    from affcli import tables
    from affcli.clips import clip_runs
    from affcli.schemas import WINDOWS
    from affcli.windows import Facts

    table = tables.read(path, WINDOWS)
    try:
        facts = Facts.from_json(table.header.facts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SchemaError(
            path, "does not say what it was cut from", expected="a whole header", advice=_REMEDY
        ) from error
    rows: dict[str, list[slice]] = {}
    for clip, first, last in clip_runs(table.column("clip")):
        rows.setdefault(clip, []).append(slice(first, last))
    columns = {name: table.column(name) for name in ("start", "length", "split")}
    found = {}
    for clip, parts in rows.items():
        starts, lengths, splits = (np.concatenate([values[part] for part in parts]) for values in columns.values())
        if clip not in facts.clips or (splits != facts.clips[clip].split).any():
            raise SchemaError(path, f"knows clip '{clip}' in its rows otherwise than in its header", advice=_REMEDY)
        if not _covers(starts, lengths, facts.clips[clip].frames):
            raise SchemaError(
                path,
                f"its windows of clip '{clip}' do not cover the {facts.clips[clip].frames} frames",
                expected="every frame in a window, and no other",
                advice=_REMEDY,
            )
        found[clip] = (starts, lengths)
    if absent := [clip for clip in facts.clips if clip not in found]:
        raise SchemaError(
            path, f"has no window of {some(absent)}", expected="windows of every clip in its header", advice=_REMEDY
        )
    return Index(path, facts, table.header.recipe, found)


def _covers(starts: NDArray[Any], lengths: NDArray[Any], frames: int) -> bool:
    """Whether windows lie within a clip and leave no frame out."""
    import numpy as np

    stops = starts.astype(np.int64) + lengths
    if starts.min() < 0 or lengths.min() < 1 or stops.max() > frames:
        return False
    change = np.zeros(frames + 1, np.int64)
    np.add.at(change, starts, 1)
    np.add.at(change, stops, -1)
    return bool((np.cumsum(change)[:-1] > 0).all())


@dataclass(frozen=True, eq=False)
class Beside:
    """What clips are given beside the features and the labels of valence and arousal that their windows name."""

    crops: CropFiles | None = None
    flipped: FlippedFiles | None = None  # features of the flipped crops
    action_units: tuple[str, ...] = ()  # in the order of the network's outputs

    @property
    def recipes(self) -> list[Recipe]:
        """How the crops were made; features of flipped ones are as those of the others but for that."""
        return [self.crops.recipe] if self.crops else []

    def sources(self, clips: list[str]) -> list[dict[str, str]]:
        """The tables of crops of some clips, and of features of flipped ones, by name and digest."""
        found = [self.crops.of(clip).source() for clip in clips] if self.crops else []
        return found + [one for clip in clips for one in (self.flipped.sources(clip) if self.flipped else [])]


def clip_data(
    name: str,
    files: dict[str, FeatureFile],
    labels: Affect | None,
    beside: Beside | None = None,
    rows: int | None = None,
) -> ClipData:
    """One clip as training and prediction take it; without labels, no frame is annotated.

    `rows` is how many frames the tables of its windows' features have, where that is known.

    Raises InputError and SchemaError where its crops or the features of flipped ones are missing or do not fit.
    """
    import numpy as np

    from affcli.training.crops import ClipCrops
    from affcli.training.data import ClipData

    beside = beside or Beside()
    first = next(iter(files.values()), None)
    known = len(first.valid) if first else len(labels) if labels else None
    crops = beside.crops.of(name, known, rows) if beside.crops else None
    if first and crops:
        crops.check(first)
    frames = known if known is not None else len(crops.valid) if crops else 0
    times = first or crops
    return ClipData(
        name,
        {encoder: file.array() for encoder, file in files.items()},
        {encoder: file.valid for encoder, file in files.items()},
        np.stack([labels.valence, labels.arousal], axis=-1) if labels else np.zeros((frames, 2)),
        labels.valid if labels else np.zeros(frames, np.bool_),
        crops=ClipCrops(name, crops.frames, crops.valid) if crops else None,
        flipped=beside.flipped.of(name, frames) if beside.flipped else {},
        expression=labels.expression if labels else None,
        action_units=_action_units(labels, beside.action_units) if labels and beside.action_units else None,
        time_us=times.time_us if times else None,
    )


def _action_units(labels: Affect, names: tuple[str, ...]) -> NDArray[np.int8]:
    """The presence of the named action units, (n, u): 0 or 1, -1 where not annotated."""
    import numpy as np

    unknown = np.full(len(labels), -1, np.int8)
    return np.stack([labels.action_units.get(name, unknown) for name in names], axis=-1)


def chosen_sets(index: Index, encoders: tuple[str, ...]) -> dict[str, FeatureSet]:
    """The feature sets of the windows, or those of them that --encoder names.

    Raises UsageError where there is no such feature set.
    """
    for name in encoders:
        if name not in index.facts.features:
            raise UsageError(
                f"--encoder {name}",
                f"is no feature set of {index.path}",
                expected=f"one of {', '.join(index.facts.features)}",
                advice="check the name, or cut windows with these features too",
            )
    return {name: one for name, one in index.facts.features.items() if not encoders or name in encoders}


def windows_of(
    index: Index, encoders: list[str], part: Part, held_out: tuple[str, ...] | None, beside: Beside | None = None
) -> WindowedClips:
    """The windows of the train or the val clips; of train clips, those with labels.

    With `held_out`, these train and val clips are val, and the others are train.  Raises InputError where there are
    none.
    """
    import numpy as np

    from affcli.training.data import WindowedClips

    if not any(one.labels for one in index.facts.clips.values()):
        raise InputError(
            index.path, "has no labels", expected="labelled windows", advice="cut them again: affcli window --labels"
        )
    chosen = [clip for clip in index.windows if part_of(index, clip, held_out) == part]
    if not chosen:
        advice = {
            "train": "hold out fewer: affcli window --val-share, --val, --test",
            "val": "hold out at least one of two or more clips: affcli window --val-share 0.2, or --val FILE",
        }[part]
        raise InputError(index.path, f"has no {part} clip", expected="train and val clips", advice=advice)
    clips = [
        clip_data(
            clip,
            index.features(clip, encoders),
            index.labels(clip),
            beside,
            index.facts.clips[clip].feature_rows,
        )
        for clip in chosen
    ]
    annotated = [one for one in clips if one.labelled.any()]
    if not annotated:
        raise InputError(
            index.path,
            f"no frame of its {len(clips)} {part} clips is annotated",
            expected="some frames with valence and arousal",
            advice="check the labels, or split the clips otherwise",
        )
    if len(annotated) < len(clips):
        without = [one.name for one in clips if not one.labelled.any()]
        log.warning("%s: no frame of %s is annotated: left out of the %s clips", index.path, some(without), part)
    cuts = [index.windows[one.name] for one in annotated]
    windows = WindowedClips(
        annotated,
        np.repeat(np.arange(len(cuts)), [len(starts) for starts, _ in cuts]),
        np.concatenate([starts for starts, _ in cuts]),
        np.concatenate([lengths for _, lengths in cuts]),
    )
    if part == "train" and windows.length.max() < index.facts.length:
        longest = int(windows.length.max())
        log.warning(
            "%s: no train clip is as long as a window of %d frames (the longest has %d): each is one window",
            index.path, index.facts.length, longest,
        )  # fmt: skip
    return windows if part == "val" else windows.with_labels()


def part_of(index: Index, clip: str, held_out: tuple[str, ...] | None) -> Part:
    """The part of a clip: as the windows have it, or as a fold has it."""
    part = index.facts.clips[clip].split
    if held_out is None or part == "test":
        return part
    return "val" if clip in held_out else "train"
