"""The window index: which frames of which clips make one example, and what they were cut from.

Pure NumPy.  Arrays are never copied into windows here: a window is a clip, a first frame and a length.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from affcli.recipes import Recipe

Part = Literal["train", "val", "test"]


def cut(n: int, length: int, overlap: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Starts and lengths, each (k,) int32 frames, of the windows of a clip of `n` frames.

    Windows start every `length - overlap` frames; where the last of them does not reach the clip's end, one more
    ends there.  A clip shorter than `length` is one window of `n` frames.  Every frame is in some window.

    >>> cut(40, 15, 5)[0].tolist()
    [0, 10, 20, 25]
    """
    if not 0 <= overlap < length:
        raise ValueError(f"an overlap of {overlap} in windows of {length} frames, expected 0 to {length - 1}")
    if n < length:
        starts = [0] if n > 0 else []
    else:
        starts = list(range(0, n - length + 1, length - overlap))
        if starts[-1] + length < n:
            starts.append(n - length)
    return np.array(starts, dtype=np.int32), np.full(len(starts), min(n, length), dtype=np.int32)


def cut_apart(n: int, length: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Starts and lengths, each (k,) int32 frames, of windows one after the other, as `cut` gives those that overlap.

    The last one is as short as what is left of the clip: every frame is in one window, as M3T's paper predicts clips
    (arXiv 2002.02957).

    >>> [part.tolist() for part in cut_apart(40, 15)]
    [[0, 15, 30], [15, 15, 10]]
    """
    if length < 1:
        raise ValueError(f"windows of {length} frames, expected 1 or more")
    starts = np.arange(0, n, length, dtype=np.int32)
    return starts, np.minimum(n - starts, length).astype(np.int32)


def counts(frames: NDArray[np.bool_], starts: NDArray[np.int32], lengths: NDArray[np.int32]) -> NDArray[np.int32]:
    """How many of the true values of `frames` (n,) each of k windows holds: (k,) int32."""
    before = np.concatenate([[0], np.cumsum(frames)])
    inside: NDArray[np.int32] = (before[starts + lengths] - before[starts]).astype(np.int32)
    return inside


def by_video(clips: Iterable[str]) -> dict[str, list[str]]:
    """Clips by the video they are from, as their names say: the two people of one are `<video>_left` and `_right`."""
    videos: dict[str, list[str]] = {}
    for clip in clips:
        videos.setdefault(re.sub("_(left|right)$", "", clip), []).append(clip)
    return videos


def by_subject(clips: Iterable[str], subjects: Mapping[str, str]) -> dict[str, list[str]]:
    """Clips that hang together, because one person is seen in them or because they are from one video.

    `subjects` says who is seen in each clip.  Two people of one video bind all clips of both: these are the connected
    components of "same video or same subject", each under the first of its subjects by name.
    """
    clips = list(clips)
    bound: dict[str, set[str]] = {subjects[clip]: set() for clip in clips}
    for people in by_video(clips).values():
        for clip in people:
            bound[subjects[people[0]]].add(subjects[clip])
            bound[subjects[clip]].add(subjects[people[0]])
    first: dict[str, str] = {}
    for subject in sorted(bound):
        reached = [] if subject in first else [subject]
        while reached:
            one = reached.pop()
            first[one] = subject
            reached += bound[one] - first.keys()
    together: dict[str, list[str]] = {}
    for clip in clips:
        together.setdefault(first[subjects[clip]], []).append(clip)
    return together


def seeded_order(names: Iterable[str], seed: int) -> list[str]:
    """Names in an order that depends on nothing but the seed and each name itself: that of their hashes."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())


def split(
    clips: Iterable[str], val_share: float, seed: int, subjects: Mapping[str, str] | None = None
) -> dict[str, Part]:
    """Hold out a share of the clips for validation: clip to "train" or "val".

    Videos are held out from the front of their `seeded_order`, so the choice does not depend on the order of `clips`,
    and hardly on which others there are.  The two people of one video (`<video>_left`, `<video>_right`) stay
    together: they hear the same sound and answer each other.  Where `subjects` says who is seen in each clip, all that
    hangs together (`by_subject`) is held out together; what would overshoot the share by as much as is lacking is
    passed over, since one person may have many clips.  Of two or more videos or such groups at least one is held out
    where the share is not 0, and at least one is left for training.
    """
    if not 0 <= val_share < 1:
        raise ValueError(f"a validation share of {val_share}, expected 0 or more and less than 1")
    groups = by_video(clips) if subjects is None else by_subject(clips, subjects)
    total = sum(len(group) for group in groups.values())
    wanted = max(1, round(val_share * total)) if val_share > 0 else 0
    order = seeded_order(groups, seed)
    held: set[str] = set()
    for name in order[:-1]:
        lacking = wanted - len(held)
        if lacking > 0 and (subjects is None or len(groups[name]) < 2 * lacking):
            held.update(groups[name])
    if wanted and not held and len(order) > 1:
        held.update(groups[min(order, key=lambda name: len(groups[name]))])
    return {clip: "val" if clip in held else "train" for group in groups.values() for clip in group}


@dataclass(frozen=True)
class FeatureSet:
    """Vectors of one encoder, made the same way for every clip."""

    width: int
    modality: str  # face, audio or pose
    recipe: Recipe


@dataclass(frozen=True)
class File:
    """A table by its path, relative to the directory of the windows file, and its digest."""

    path: str  # POSIX
    sha256: str


@dataclass(frozen=True)
class Clip:
    """One clip of a windows table.

    Its windows lie within the first `frames` frames, where features and labels may have more, and labels fewer: what
    they lack is not annotated.  Tables made before these two counts were noted do not tell them.
    """

    frames: int
    split: Part
    features: dict[str, File]  # by encoder
    labels: File | None
    feature_rows: int | None = None
    label_rows: int | None = None
    subject: str | None = None  # who is seen in it, where that is known


@dataclass(frozen=True)
class Facts:
    """What a windows table says of the data it was cut from."""

    length: int  # frames
    overlap: int  # frames
    features: dict[str, FeatureSet]  # by encoder
    clips: dict[str, Clip]  # by name

    def to_json(self) -> dict[str, Any]:
        """As plain values, for the header of the table."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Facts:
        """The facts of a header.  Raises KeyError, TypeError or AttributeError where they are something else."""
        return cls(
            int(content["length"]),
            int(content["overlap"]),
            feature_sets(content["features"]),
            {
                name: Clip(
                    int(clip["frames"]),
                    clip["split"],
                    {encoder: File(**file) for encoder, file in clip["features"].items()},
                    File(**clip["labels"]) if clip["labels"] else None,
                    clip.get("feature_rows"),
                    clip.get("label_rows"),
                    clip.get("subject"),
                )
                for name, clip in content["clips"].items()
            },
        )


def feature_sets(content: Mapping[str, Any]) -> dict[str, FeatureSet]:
    """Feature sets by encoder, from plain values."""
    return {
        name: FeatureSet(int(one["width"]), str(one["modality"]), dict(one["recipe"])) for name, one in content.items()
    }


def index(
    facts: Facts,
    described: Mapping[str, Sequence[NDArray[np.bool_]]],
    labelled: Mapping[str, NDArray[np.bool_]],
) -> dict[str, NDArray[Any]]:
    """The columns of the windows table: every window of every clip of `facts`, in their order.

    `described` holds, for each clip, which of its (n,) frames each feature set describes; `labelled` which have
    labels, and lacks clips without any.
    """
    columns: dict[str, list[NDArray[Any]]] = {}
    for name, clip in facts.clips.items():
        starts, lengths = cut(clip.frames, facts.length, facts.overlap)
        with_data = np.logical_and.reduce(described[name])
        with_labels = labelled.get(name, np.zeros(clip.frames, dtype=np.bool_))
        rows = {
            "clip": np.full(len(starts), name, dtype=object),
            "start": starts,
            "length": lengths,
            "split": np.full(len(starts), clip.split, dtype=object),
            "with_data": counts(with_data, starts, lengths),
            "with_labels": counts(with_labels, starts, lengths),
        }
        for column, values in rows.items():
            columns.setdefault(column, []).append(values)
    return {column: np.concatenate(values) for column, values in columns.items()}
