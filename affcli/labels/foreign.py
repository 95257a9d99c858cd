"""Labels as the files of other data sets have them, and how each kind is laid on the frames of its clip.

Three kinds: values of numbered frames, ratings at times of their own, and one value for a whole clip.  All values are
already on the scale of affect, -1 to 1, with NaN where nobody annotated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError
from affcli.labels.affect import DIMENSIONS, UNKNOWN, Affect
from affcli.labels.resample import Method, resample


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """Labels of k numbered frames, in any order, each frame once.

    `frame` is int64 (k,), from 0; `valence` and `arousal` are float64 (k,); `expression` and each of `action_units`
    int8 (k,) as in `Affect`.
    """

    clip: str
    path: Path
    frame: NDArray[np.int64]
    valence: NDArray[np.float64]
    arousal: NDArray[np.float64]
    expression: NDArray[np.int8] | None = None
    action_units: Mapping[str, NDArray[np.int8]] = field(default_factory=dict)

    @property
    def paths(self) -> dict[str, Path]:
        """The file that it was read from, by what it holds."""
        return {"": self.path}

    def affect(self, time_us: NDArray[np.int64] | None = None) -> Affect:
        """Every frame of the clip: those at `time_us` (n,), or else all up to the last one that has labels.

        A frame without labels is not annotated.  Raises InputError where a label is of a frame past the last one.
        """
        count = int(self.frame.max()) + 1
        if time_us is not None:
            if count > len(time_us):
                raise InputError(
                    self.path,
                    f"labels frame {count - 1} of clip '{self.clip}'",
                    expected=f"frames 0 to {len(time_us) - 1}, as its video has",
                    advice="check that both are of one video, and that frames are counted from 0",
                )
            count = len(time_us)
        classes = {} if self.expression is None else {"expression": self.expression}
        laid = {name: self._laid(values, count) for name, values in (classes | dict(self.action_units)).items()}
        valence, arousal = np.full(count, np.nan), np.full(count, np.nan)
        valence[self.frame], arousal[self.frame] = self.valence, self.arousal
        return Affect(
            self.clip,
            valence,
            arousal,
            time_us,
            source=str(self.path),
            expression=laid.pop("expression", None),
            action_units=laid,
        )

    def _laid(self, values: NDArray[np.int8], count: int) -> NDArray[np.int8]:
        made = np.full(count, UNKNOWN, np.int8)
        made[self.frame] = values
        return made


@dataclass(frozen=True, eq=False)
class Track:
    """The k ratings of one dimension: `at` int64 (k,), increasing; `values` float64 (k,).

    `at` is in microseconds from the first frame, or the number of the frame where the file counts frames.
    """

    path: Path
    at: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TimedLabels:
    """Ratings of one clip at times of their own: a track for each dimension that was rated, each with its own times."""

    clip: str
    tracks: Mapping[str, Track]

    @property
    def path(self) -> Path:
        """The first of its files, by which messages know it."""
        return next(iter(self.paths.values()))

    @property
    def paths(self) -> dict[str, Path]:
        """The files that it was read from, by the dimension that each holds; "" for a file of all."""
        named = {name: self.tracks[name].path for name in DIMENSIONS if name in self.tracks}
        return named if len(set(named.values())) > 1 else {"": next(iter(named.values()))}

    @property
    def last(self) -> int:
        """Where the last of all ratings is, as in `Track.at`."""
        return max(int(track.at[-1]) for track in self.tracks.values())

    def affect(self, time_us: NDArray[np.int64], method: Method, delay_us: int) -> Affect:
        """The ratings at the frames of the clip, whose times are int64 (n,).

        The clock of the ratings begins with the first frame, wherever the container's clock is at that time, because
        raters see the first frame when their player's clock is at 0.
        """
        made = dict.fromkeys(DIMENSIONS, np.full(len(time_us), np.nan))
        for name, track in self.tracks.items():
            made[name] = resample(track.at, track.values, time_us - time_us[0], method, delay_us)
        return Affect(self.clip, made["valence"], made["arousal"], time_us, source=str(self.path))

    def by_frame(self) -> FrameLabels:
        """The same where `at` is the number of a frame."""
        frame = np.unique(np.concatenate([track.at for track in self.tracks.values()]))
        made = {name: np.full(len(frame), np.nan) for name in DIMENSIONS}
        for name, track in self.tracks.items():
            made[name][np.searchsorted(frame, track.at)] = track.values
        return FrameLabels(self.clip, self.path, frame, made["valence"], made["arousal"])


@dataclass(frozen=True)
class ClipLabel:
    """One value of each dimension for a whole clip."""

    clip: str
    path: Path
    valence: float
    arousal: float

    @property
    def paths(self) -> dict[str, Path]:
        """The file that it was read from, by what it holds."""
        return {"": self.path}

    def affect(self, time_us: NDArray[np.int64]) -> Affect:
        """The value in every one of the frames at `time_us` (n,)."""
        count = len(time_us)
        valence, arousal = np.full(count, self.valence), np.full(count, self.arousal)
        return Affect(self.clip, valence, arousal, time_us, source=str(self.path))


Labels = FrameLabels | TimedLabels | ClipLabel
