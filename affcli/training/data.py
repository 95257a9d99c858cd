"""Batches of windows, gathered from the memory-mapped features and crops of many clips, and their standardisation.

Pure NumPy.  What belongs to a frame and is small (labels, masks) is laid end to end over all clips and gathered in
one go; vectors and crops stay in their files, and a batch reads just the frames of its windows.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError, SchemaError
from affcli.training.annotations import joined_action_units, joined_expression, joined_labels
from affcli.training.crops import ClipCrops, check_frames
from affcli.training.moments import moments
from affcli.training.sight import Pixels, Sight, Viewer, seen_crops
from affcli.training.viewing import Views

_Vectors = list[NDArray[np.float32]]  # of each clip
_ROWS_AT_ONCE = 4096  # frames of a clip that are in memory while moments are summed


@dataclass(frozen=True, eq=False)
class ClipData:
    """One clip of n frames."""

    name: str
    features: Mapping[str, NDArray[np.float32]]  # by encoder, (n, d), memory-mapped or not; none: networks that see
    valid: Mapping[str, NDArray[np.bool_]]  # by encoder, (n,): the vector describes something
    labels: NDArray[np.float64]  # (n, 2): valence, arousal
    labelled: NDArray[np.bool_]  # (n,): annotated
    crops: ClipCrops | None = None
    flipped: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)  # features of flipped crops, where known
    expression: NDArray[np.int8] | None = None  # (n,): class from 0, -1 where not annotated; None: known of no frame
    action_units: NDArray[np.int8] | None = None  # (n, u): 0 or 1, -1 where not annotated; None likewise
    time_us: NDArray[np.int64] | None = None  # (n,)

    @property
    def frames(self) -> int:
        return len(self.labelled)


@dataclass(frozen=True, eq=False)
class Standardisation:
    """Per column of each feature set: what is taken away, and what the rest is divided by; (d,) float32 each."""

    mean: dict[str, NDArray[np.float32]]
    std: dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Batch:
    """b windows of t frames; short ones are padded at their end."""

    features: dict[str, NDArray[np.float32]]  # (b, t, d), standardised; zeros where a frame is not described
    inside: NDArray[np.bool_]  # (b, t): not padding
    first: NDArray[np.int64]  # (b,): where each window begins in the clips laid end to end
    labels: NDArray[np.float32]  # (b, t, 2); zeros where not labelled
    labelled: NDArray[np.bool_]  # (b, t): inside and annotated
    pixels: Pixels | None = None  # of windows that are seen
    expression: NDArray[np.int64] | None = None  # (b, t), -1 where not annotated or padded; None: no clip has any
    action_units: NDArray[np.int64] | None = None  # (b, t, u), likewise
    clip: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))  # (b,): its position in the clips


class WindowedClips:
    """k windows of clips, ready to be gathered.

    `clip` (k,) is the position in `clips`, `start` and `length` (k,) are frames.  With `sight`, batches hold pixels.

    Raises SchemaError where labels are not finite or out of range, action units differ in number, crops or features of
    flipped crops are of other frames; and, with `sight`, where a clip has no crops, or has them in another size.
    """

    def __init__(
        self,
        clips: Sequence[ClipData],
        clip: NDArray[np.int64],
        start: NDArray[np.integer[Any]],
        length: NDArray[np.integer[Any]],
        standardisation: Standardisation | None = None,
        sight: Sight | None = None,
    ) -> None:
        self.clips = clips
        self.clip = clip
        self.start = start.astype(np.int64)
        self.length = length.astype(np.int64)
        self.standardisation = standardisation
        self.sight = sight
        self.offsets = np.concatenate([[0], np.cumsum([one.frames for one in clips])])  # where each clip's frames begin
        self.labels, self.labelled = joined_labels(clips)
        self.expression, self.action_units = joined_expression(clips), joined_action_units(clips)
        for one in clips:
            _check_fit(one)
        self._viewer = None
        if sight is not None:
            self._viewer = Viewer([seen_crops(one.name, one.crops, sight) for one in clips], sight)

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def frames(self) -> int:
        """Frames of all clips, end to end."""
        return int(self.offsets[-1])

    @property
    def first(self) -> NDArray[np.int64]:
        """First frame of each window in the clips laid end to end: (k,)."""
        first: NDArray[np.int64] = self.offsets[self.clip] + self.start
        return first

    @functools.cached_property
    def annotated(self) -> NDArray[np.int64]:
        """How many frames of each window are annotated: (k,)."""
        return self.sums(self.labelled)

    def sums(self, values: NDArray[Any]) -> NDArray[Any]:
        """The sum of `values`, one of each frame of all clips (n,), over the frames of each window: (k,)."""
        before = np.concatenate([[0], np.cumsum(values)])
        return np.asarray(before[self.first + self.length] - before[self.first])

    def with_labels(self) -> WindowedClips:
        """The windows that hold at least one annotated frame."""
        keep = self.annotated > 0
        clip, start, length = self.clip[keep], self.start[keep], self.length[keep]
        return WindowedClips(self.clips, clip, start, length, self.standardisation, self.sight)

    def of_clips(self, chosen: NDArray[np.int64]) -> WindowedClips:
        """The windows of some of the clips, and no other clip; `chosen` are positions in `clips`, in order."""
        keep = np.isin(self.clip, chosen)
        clip = np.searchsorted(chosen, self.clip[keep])
        clips = [self.clips[one] for one in chosen]
        return WindowedClips(clips, clip, self.start[keep], self.length[keep], self.standardisation, self.sight)

    def standardised(self, standardisation: Standardisation) -> WindowedClips:
        """The same windows, standardised when they are gathered."""
        return WindowedClips(self.clips, self.clip, self.start, self.length, standardisation, self.sight)

    def seeing(self, sight: Sight | None) -> WindowedClips:
        """The same windows, with that sight or with none.  Raises as the class does."""
        return WindowedClips(self.clips, self.clip, self.start, self.length, self.standardisation, sight)

    def batches(self, size: int, order: NDArray[np.int64] | None = None) -> Iterator[Batch]:
        """The windows as in evaluation, `size` at a time, as they come or in a given order."""
        order = np.arange(len(self)) if order is None else order
        for at in range(0, len(order), size):
            yield self.gather(order[at : at + size])

    def gather(self, chosen: NDArray[np.int64], views: Views | None = None) -> Batch:
        """The windows `chosen` (b,), as long as the longest of them, each seen as `views` say, or from the middle.

        A window that is flipped has the features of flipped crops, those that its clip knows.  Without `sight`, that
        is all that is taken from `views`.

        Raises InputError where a vector that is used holds NaN or infinity, SchemaError where a JPEG is damaged.
        """
        if views is not None and len(views) != len(chosen):
            raise ValueError(f"{len(views)} views of {len(chosen)} windows")
        clip, start, length = self.clip[chosen], self.start[chosen], self.length[chosen]
        steps = np.arange(int(length.max()))
        inside = steps < length[:, None]
        first = self.offsets[clip] + start  # `self.first` is of all k windows
        frames = first[:, None] + np.minimum(steps, length[:, None] - 1)
        labelled = self.labelled[frames] & inside
        flipped = np.zeros(len(chosen), np.bool_) if views is None else views.flipped
        return Batch(
            {name: self._vectors(name, chosen, inside, flipped) for name in self.clips[0].features},
            inside,
            first,
            np.where(labelled[..., None], self.labels[frames], np.float32(0)),
            labelled,
            None if self._viewer is None else self._viewer.read(clip, start, length, views),
            None if self.expression is None else np.where(inside, self.expression[frames], np.int64(-1)),
            None if self.action_units is None else np.where(inside[..., None], self.action_units[frames], np.int64(-1)),
            clip,
        )

    def blank(self) -> Batch:
        """A batch of one window with nothing inside: what a process takes part with when there are too few windows."""
        t = int(self.length[0])
        units = None if self.action_units is None else np.full((1, t, self.action_units.shape[1]), -1, np.int64)
        return Batch(
            {name: np.zeros((1, t, one.shape[1]), np.float32) for name, one in self.clips[0].features.items()},
            np.zeros((1, t), np.bool_),
            self.offsets[self.clip[:1]] + self.start[:1],
            np.zeros((1, t, 2), np.float32),
            np.zeros((1, t), np.bool_),
            None if self._viewer is None else self._viewer.blank(t),
            None if self.expression is None else np.full((1, t), -1, np.int64),
            units,
            self.clip[:1],
        )

    def _vectors(
        self, name: str, chosen: NDArray[np.int64], inside: NDArray[np.bool_], flipped: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        files, valid = self._plain[name]
        vectors = np.zeros((*inside.shape, files[0][0].shape[1]), np.float32)
        described = np.zeros(inside.shape, np.bool_)
        columns = self.clip[chosen], self.start[chosen], self.length[chosen], flipped
        for row, (clip, start, length, turned) in enumerate(zip(*(one.tolist() for one in columns), strict=True)):
            vectors[row, :length] = files[turned][clip][start : start + length]
            described[row, :length] = valid[clip][start : start + length]
        undescribed = ~described if not described.all() else None
        if undescribed is not None:
            vectors[undescribed] = 0
        if not np.isfinite(vectors).all():
            row, step, _ = np.argwhere(~np.isfinite(vectors))[0]
            one = self.clips[self.clip[chosen[row]]]
            of_flipped = bool(flipped[row]) and name in one.flipped
            raise _not_finite(one.name, name, int(self.start[chosen[row]] + step), of_flipped)
        if self.standardisation is not None:
            vectors -= self.standardisation.mean[name]
            vectors /= self.standardisation.std[name]
            if undescribed is not None:
                vectors[undescribed] = 0
        return vectors

    @functools.cached_property
    def _plain(self) -> dict[str, tuple[tuple[_Vectors, _Vectors], list[NDArray[np.bool_]]]]:
        """By encoder, of each clip: vectors, those of flipped crops where known, masks.

        As plain arrays: slicing a memmap takes ten times as long.
        """
        plain = {}
        for name in self.clips[0].features:
            own = [np.asarray(one.features[name]) for one in self.clips]
            flipped = [np.asarray(one.flipped.get(name, one.features[name])) for one in self.clips]
            plain[name] = (own, flipped), [one.valid[name] for one in self.clips]
        return plain


def fit_standardisation(windows: WindowedClips) -> Standardisation:
    """Mean and standard deviation of every column, over the described frames of the windows.

    Each frame counts once, however many windows it is in.  Summed in float64; a column that never changes is divided
    by 1.  Raises InputError where a feature set describes no frame, or where a vector holds NaN or infinity.
    """
    covered = np.zeros(windows.frames + 1, np.int64)
    np.add.at(covered, windows.first, 1)
    np.add.at(covered, windows.first + windows.length, -1)
    used = np.cumsum(covered)[:-1] > 0
    fitted = Standardisation({}, {})
    for name in windows.clips[0].features:
        fitted.mean[name], fitted.std[name] = moments(name, _described(windows, name, used))
    return fitted


def _described(windows: WindowedClips, name: str, used: NDArray[np.bool_]) -> Iterator[NDArray[np.float64]]:
    """The vectors of one feature set that are used and valid, (m, d) at a time."""
    for one, offset in zip(windows.clips, windows.offsets[:-1], strict=True):
        wanted = used[offset : offset + one.frames] & one.valid[name]
        for start in range(0, one.frames, _ROWS_AT_ONCE):
            here = wanted[start : start + _ROWS_AT_ONCE]
            if not here.any():
                continue
            vectors = one.features[name][start : start + _ROWS_AT_ONCE][here]
            if not np.isfinite(vectors).all():
                row = int(np.argwhere(~np.isfinite(vectors))[0, 0])
                raise _not_finite(one.name, name, start + int(np.flatnonzero(here)[row]))
            yield vectors.astype(np.float64)


def _check_fit(clip: ClipData) -> None:
    """Raise SchemaError where crops or features of flipped crops do not fit a clip's other data."""
    if clip.crops is not None:
        if clip.crops.name != clip.name:
            raise ValueError(f"crops of clip {clip.crops.name} where those of {clip.name} belong")
        check_frames(clip.crops, clip.frames)
    for name, vectors in clip.flipped.items():
        if name not in clip.features:
            raise ValueError(f"{name} features of flipped crops of clip {clip.name}, which has no others of that name")
        if vectors.shape != clip.features[name].shape:
            raise SchemaError(
                f"{name} features of flipped crops of clip {clip.name}",
                f"are of shape {vectors.shape}",
                expected=f"{clip.features[name].shape}, as those of its other crops",
                advice="embed the flipped crops of the same clips again",
            )


def _not_finite(clip: str, encoder: str, frame: int, flipped: bool = False) -> InputError:
    return InputError(
        f"{encoder} features of {'flipped crops of ' * flipped}clip {clip}",
        f"hold NaN or infinity in frame {frame}",
        expected="finite numbers in every valid frame",
        advice="make them again: affcli embed --force",
    )
