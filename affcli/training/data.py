"""Batches of windows, gathered from the memory-mapped features of many clips, and their standardisation.

Pure NumPy.  What belongs to a frame and is small (labels, masks) is laid end to end over all clips and gathered in
one go; the vectors stay in their files, and a batch reads just the frames of its windows.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError, SchemaError, some

log = logging.getLogger(__name__)

_ROWS_AT_ONCE = 4096  # frames of a clip that are in memory while moments are summed


@dataclass(frozen=True, eq=False)
class ClipData:
    """One clip of n frames."""

    name: str
    features: Mapping[str, NDArray[np.float32]]  # by encoder, (n, d), memory-mapped or not
    valid: Mapping[str, NDArray[np.bool_]]  # by encoder, (n,): the vector describes something
    labels: NDArray[np.float64]  # (n, 2): valence, arousal
    labelled: NDArray[np.bool_]  # (n,): annotated

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


class WindowedClips:
    """k windows of clips, ready to be gathered.

    `clip` (k,) is the position in `clips`, `start` and `length` (k,) are frames.  Raises InputError or SchemaError
    where labels are not finite or not in [-1, 1].
    """

    def __init__(
        self,
        clips: Sequence[ClipData],
        clip: NDArray[np.int64],
        start: NDArray[np.integer[Any]],
        length: NDArray[np.integer[Any]],
        standardisation: Standardisation | None = None,
    ) -> None:
        self.clips = clips
        self.clip = clip
        self.start = start.astype(np.int64)
        self.length = length.astype(np.int64)
        self.standardisation = standardisation
        self.offsets = np.concatenate([[0], np.cumsum([one.frames for one in clips])])  # where each clip's frames begin
        self.labels, self.labelled = _joined_labels(clips)

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
        before = np.concatenate([[0], np.cumsum(self.labelled)])
        return np.asarray(before[self.first + self.length] - before[self.first])

    def with_labels(self) -> WindowedClips:
        """The windows that hold at least one annotated frame."""
        keep = self.annotated > 0
        return WindowedClips(self.clips, self.clip[keep], self.start[keep], self.length[keep], self.standardisation)

    def of_clips(self, chosen: NDArray[np.int64]) -> WindowedClips:
        """The windows of some of the clips, and no other clip; `chosen` are positions in `clips`, in order."""
        keep = np.isin(self.clip, chosen)
        clip = np.searchsorted(chosen, self.clip[keep])
        clips = [self.clips[one] for one in chosen]
        return WindowedClips(clips, clip, self.start[keep], self.length[keep], self.standardisation)

    def standardised(self, standardisation: Standardisation) -> WindowedClips:
        """The same windows, standardised when they are gathered."""
        return WindowedClips(self.clips, self.clip, self.start, self.length, standardisation)

    def batches(self, size: int, order: NDArray[np.int64] | None = None) -> Iterator[Batch]:
        """The windows, `size` at a time, as they come or in a given order."""
        order = np.arange(len(self)) if order is None else order
        for at in range(0, len(order), size):
            yield self.gather(order[at : at + size])

    def gather(self, chosen: NDArray[np.int64]) -> Batch:
        """The windows `chosen` (b,), as long as the longest of them.

        Raises InputError where a vector that is used holds NaN or infinity.
        """
        steps = np.arange(int(self.length[chosen].max()))
        inside = steps < self.length[chosen, None]
        first = self.offsets[self.clip[chosen]] + self.start[chosen]  # `self.first` is of all k windows
        frames = first[:, None] + np.minimum(steps, self.length[chosen, None] - 1)
        labelled = self.labelled[frames] & inside
        return Batch(
            {name: self._vectors(name, chosen, steps, inside) for name in self.clips[0].features},
            inside,
            first,
            np.where(labelled[..., None], self.labels[frames], np.float32(0)),
            labelled,
        )

    def blank(self) -> Batch:
        """A batch of one window with nothing inside: what a process takes part with when there are too few windows."""
        one = self.gather(np.zeros(1, np.int64))
        return Batch(
            {name: np.zeros_like(vectors) for name, vectors in one.features.items()},
            np.zeros_like(one.inside),
            one.first,
            np.zeros_like(one.labels),
            np.zeros_like(one.labelled),
        )

    def _vectors(
        self, name: str, chosen: NDArray[np.int64], steps: NDArray[np.int64], inside: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        files, valid = self._plain[name]
        vectors = np.zeros((len(chosen), len(steps), files[0].shape[1]), np.float32)
        described = np.zeros(inside.shape, np.bool_)
        places = zip(self.clip[chosen].tolist(), self.start[chosen].tolist(), self.length[chosen].tolist(), strict=True)
        for row, (clip, start, length) in enumerate(places):
            vectors[row, :length] = files[clip][start : start + length]
            described[row, :length] = valid[clip][start : start + length]
        undescribed = ~described if not described.all() else None
        if undescribed is not None:
            vectors[undescribed] = 0
        if not np.isfinite(vectors).all():
            row, step, _ = np.argwhere(~np.isfinite(vectors))[0]
            window = chosen[row]
            raise _not_finite(self.clips[self.clip[window]].name, name, int(self.start[window] + step))
        if self.standardisation is not None:
            vectors -= self.standardisation.mean[name]
            vectors /= self.standardisation.std[name]
            if undescribed is not None:
                vectors[undescribed] = 0
        return vectors

    @functools.cached_property
    def _plain(self) -> dict[str, tuple[list[NDArray[np.float32]], list[NDArray[np.bool_]]]]:
        """By encoder, vectors and masks of each clip as plain arrays: slicing a memmap takes ten times as long."""
        return {
            name: ([np.asarray(one.features[name]) for one in self.clips], [one.valid[name] for one in self.clips])
            for name in self.clips[0].features
        }


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
        fitted.mean[name], fitted.std[name] = _moments(name, _described(windows, name, used))
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


def _moments(name: str, chunks: Iterator[NDArray[np.float64]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation (d,) over all rows, chunk joined to chunk (Chan, Golub and LeVeque 1979)."""
    count = 0
    mean = squares = low = high = np.zeros(0)
    for rows in chunks:
        new, here = len(rows), rows.mean(axis=0)
        spread = ((rows - here) ** 2).sum(axis=0)
        if count == 0:
            mean, squares, low, high = here, spread, rows.min(axis=0), rows.max(axis=0)
        else:
            apart = here - mean
            mean = mean + apart * (new / (count + new))
            squares = squares + spread + apart**2 * (count * new / (count + new))
            low, high = np.minimum(low, rows.min(axis=0)), np.maximum(high, rows.max(axis=0))
        count += new
    if count == 0:
        raise InputError(
            f"{name} features",
            "describe no frame of the training windows",
            expected="some valid frames",
            advice="leave these features out by naming the others with --encoder",
        )
    std = np.sqrt(squares / count).astype(np.float32)
    constant = (low == high) | (std == 0)  # equal values leave a rounding error in the sum of squares
    if constant.any():
        columns = some([str(one) for one in np.flatnonzero(constant)])
        log.warning(
            "%s features: %d of %d columns never change in the training windows, and tell nothing: %s",
            name, constant.sum(), len(constant), columns,
        )  # fmt: skip
    std[constant] = 1
    return mean.astype(np.float32), std


def _joined_labels(clips: Sequence[ClipData]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Labels (n, 2) and annotated frames (n,) of all clips, end to end."""
    for one in clips:
        bad = one.labelled & ~(np.abs(one.labels) <= 1).all(axis=-1)
        if bad.any():
            frame = int(np.argmax(bad))
            valence, arousal = one.labels[frame]
            raise SchemaError(
                f"labels of clip {one.name}",
                f"valence {valence:g} and arousal {arousal:g} in frame {frame}",
                expected="numbers from -1 to 1 in every frame that is marked valid",
                advice="import the labels again: affcli import-labels",
            )
    return (
        np.concatenate([one.labels for one in clips]).astype(np.float32),
        np.concatenate([one.labelled for one in clips]),
    )


def _not_finite(clip: str, encoder: str, frame: int) -> InputError:
    return InputError(
        f"{encoder} features of clip {clip}",
        f"hold NaN or infinity in frame {frame}",
        expected="finite numbers in every valid frame",
        advice="make them again: affcli embed --force",
    )
