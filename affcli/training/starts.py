"""Windows that begin anywhere: all places where one may begin, and as many of them for every clip in an epoch."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError, some
from affcli.training.crops import check_frames
from affcli.training.data import ClipData, WindowedClips
from affcli.training.sampling import by_valence
from affcli.training.seeded import Seeded
from affcli.windows import counts

log = logging.getLogger(__name__)


def valid_windows(clips: Sequence[ClipData], length: int, missing: float = 0.0) -> WindowedClips:
    """Every window of `length` frames that is whole, in the order of clips and frames: k of them, one for each start.

    A frame counts where it is annotated and, in a clip with crops, where a face is in it; sound alone needs no face.
    Of a window, at most the share `missing` of the frames may not count: none in the paper of M3T, a quarter with the
    `resample` option of its code.  Clips without such a window are named in a warning and are in none.

    Raises InputError where no clip has one, or as `WindowedClips` does.
    """
    most = _most(length, missing)
    found = [starts_in(_counting(one), length, missing) for one in clips]
    without = [one.name for one, starts in zip(clips, found, strict=True) if not len(starts)]
    wanted = f"{length} frames in a row" if not most else f"{length} frames in a row, {most} of them excepted,"
    rule = f"{wanted} with labels" + (" and a face" if any(one.crops for one in clips) else "")
    if len(without) == len(clips):
        raise InputError(
            f"clips {some(without)}",
            "have no window to train on",
            expected=rule,
            advice="take shorter windows, allow missing frames (--missing-share), or check faces and labels",
        )
    if without:
        log.warning("no window of %s: these have nowhere %s; they are not trained on", some(without), rule)
    number = np.array([len(starts) for starts in found])
    start = np.concatenate(found)
    return WindowedClips(clips, np.repeat(np.arange(len(clips)), number), start, np.full(len(start), length))


def starts_in(frames: NDArray[np.bool_], length: int, missing: float = 0.0) -> NDArray[np.int32]:
    """Where windows may begin of whose `length` frames at most the share `missing` is false in `frames` (n,): (k,)."""
    starts = np.arange(max(len(frames) - length + 1, 0), dtype=np.int32)
    enough = length - _most(length, missing)
    found: NDArray[np.int32] = starts[counts(frames, starts, np.full_like(starts, length)) >= enough]
    return found


def _most(length: int, missing: float) -> int:
    """How many frames of a window may not count."""
    if length < 1 or not 0 <= missing < 1:
        raise ValueError(f"windows of {length} frames of which {missing} may be missing")
    return math.floor(missing * length + 1e-9)  # 0.29 of 100 frames are 29, not 28.999999999999996


def _counting(clip: ClipData) -> NDArray[np.bool_]:
    """Which frames of a clip count: (n,)."""
    if clip.crops is None:
        return clip.labelled
    check_frames(clip.crops, clip.frames)
    return clip.labelled & clip.crops.valid


class StartSampler(Seeded):
    """The windows of every epoch, from a seed: `per_clip` of each clip, each time uniform over its windows (M3T: 200).

    With balance "valence", half of an epoch's windows, rounded down, are of negative mean valence and the others are
    not: the same draw, told the sign first, so that an epoch is no longer than without (the `resample` option of M3T's
    code repeats such windows).  A clip then has as many as its share in the windows of that sign.

    Raises UsageError where no window, or every one, is of negative valence.
    """

    def __init__(self, windows: WindowedClips, *, per_clip: int = 200, balance: str = "none", seed: int = 0) -> None:
        super().__init__(seed)
        number = np.bincount(windows.clip)
        self._total = per_clip * int((number > 0).sum())
        self._groups: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
        self._order = np.argsort(windows.clip, kind="stable")
        self._number = number[number > 0]
        self._first = np.cumsum(self._number) - self._number
        self._per_clip = per_clip
        if balance == "valence":
            for group in by_valence(windows):
                # A window of a clip with many is drawn as much more seldom.
                self._groups.append((group, np.cumsum(1 / number[windows.clip[group]])))

    def __len__(self) -> int:
        """Windows of an epoch."""
        return self._total

    def epoch(self) -> NDArray[np.int64]:
        """The windows of the next epoch, (len,), in the order of training; some may be there more than once."""
        if not self._groups:
            shape = (len(self._number), self._per_clip)
            drawn = self._random.integers(0, self._number[:, None], shape) + self._first[:, None]
            return self._random.permutation(self._order[drawn.ravel()])
        halves = (self._total // 2, self._total - self._total // 2)
        chosen = [self._drawn(*group, half) for group, half in zip(self._groups, halves, strict=True)]
        return self._random.permutation(np.concatenate(chosen))

    def _drawn(self, group: NDArray[np.int64], weight: NDArray[np.float64], count: int) -> NDArray[np.int64]:
        """`count` of the windows `group`, by the running sum of their weights."""
        place = np.searchsorted(weight, self._random.random(count) * weight[-1], side="right")
        drawn: NDArray[np.int64] = group[np.minimum(place, len(group) - 1)]
        return drawn
