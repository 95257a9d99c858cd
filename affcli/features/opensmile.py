"""The Geneva minimalistic acoustic parameters, extended (eGeMAPSv02; Eyben et al. 2016), by openSMILE itself.

openSMILE describes the sound every 10 ms (25 low-level descriptors) and sums up the descriptors of a stretch of it (88
functionals).  Its Python package does so for one stretch at a time: 17 ms of work for a second of sound, and that for
every frame of a video.  Here its own functionals slide over descriptors that are made once, which is forty times less
work; and at its edges a window hears the sound that is there, where a window that is cut out hears its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import AssetError
from affcli.features import Setup, settings
from affcli.features.contours import Contour, middles, spans
from affcli.features.views import TimedSound

_HOP = 0.01  # seconds from one row of descriptors to the next
# A row is made of the 20 ms and of the 60 ms that begin with it: it stands between the middles of the two.
_MIDDLE = 0.02
_REACH = 0.06
_SETTLED = 200  # rows (2 s) after which it makes no difference where openSMILE began to listen, or will end
_ROWS_AT_ONCE = 12_000  # two minutes
_LONGEST_US = 2 * clock.MICROSECONDS  # that a frame's own period is heard for, where a frame stands for long


class Egemaps:
    """Functionals of the sound around each frame, (n, 88) float32, or its descriptors, (n, 25) float32.

    A frame has the functionals of the window whose middle is nearest to its own; where the sound begins or ends within
    half a window, the first or last whole window.  Descriptors that are 0 in unvoiced sound are means of the others
    alone.  Raises AssetError where the package opensmile is missing.
    """

    def __init__(self, config: settings.Egemaps, _setup: Setup) -> None:
        self.config = config
        self.weights: dict[str, str] = {}
        self._opensmile = _package()

    def __call__(self, sound: TimedSound) -> Iterator[NDArray[np.float32]]:
        grid = _Grid(sound.sample_rate, len(sound.waveform))
        if self.config.level == "lld":
            yield from self._descriptors(sound, grid)
        else:
            yield from self._functionals(sound, grid)

    def _functionals(self, sound: TimedSound, grid: _Grid) -> Iterator[NDArray[np.float32]]:
        step = max(1, round(self.config.step / _HOP))
        window = min(max(1, round(self.config.window / _HOP)), grid.rows)
        settled = -(-_SETTLED // step)
        smile = self._smile(
            "Functionals",
            frameModeFunctionalsConf=str(files("affcli.features") / "opensmile_windows.conf"),
            frameSize=window * grid.hop / sound.sample_rate,
            frameStep=step * grid.hop / sound.sample_rate,
        )
        first = middles(sound) / grid.hop - _MIDDLE / _HOP - (window - 1) / 2  # row of descriptors, of a window's first
        nearest = np.clip(np.rint(first / step), 0, max(0, (grid.rows - window) // step)).astype(np.int64)
        for frames, start, stop in _stretches(nearest, _ROWS_AT_ONCE // step):
            left = max(0, start - settled)
            heard = grid.samples(sound, left * step, (stop - 1) * step + window + _SETTLED)
            vectors = _run(smile, heard, sound.sample_rate, window)
            yield vectors[np.minimum(nearest[frames] - left, len(vectors) - 1)]

    def _descriptors(self, sound: TimedSound, grid: _Grid) -> Iterator[NDArray[np.float32]]:
        smile = self._smile("LowLevelDescriptors")
        voiced = np.array(["sma3nz" in name for name in smile.feature_names])
        middle = middles(sound)
        edges = spans(sound, self.config.average) - (_MIDDLE / _HOP - 0.5) * grid.hop
        if not self.config.average:
            limit = _LONGEST_US * sound.sample_rate / clock.MICROSECONDS / 2
            edges = np.clip(edges, middle[:, None] - limit, middle[:, None] + limit)
        nearest = np.clip(middle // grid.hop, 0, max(0, grid.rows - 1))
        for frames, start, stop in _stretches(nearest, _ROWS_AT_ONCE):
            # Where only sound before the first row or after the last is heard, that row counts.
            least, most = np.array([0, 1]), np.array([max(grid.rows - 1, 0), max(grid.rows, 1)])
            rows = np.clip(edges[frames] / grid.hop, least, most)
            begin, end = min(start, int(rows.min())), max(stop, int(np.ceil(rows.max())))
            left = max(0, begin - _SETTLED)
            vectors = _run(smile, grid.samples(sound, left, end + _SETTLED), sound.sample_rate, 1)
            there = np.where(voiced, vectors != 0, True)
            contour = Contour(np.concatenate([vectors, there], axis=1, dtype=np.float32), 1, len(vectors))
            sums, weight = np.split(contour.means(rows - left), 2, axis=1)
            yield np.divide(sums, weight, out=np.zeros_like(sums), where=weight > 1e-9).astype(np.float32)

    def _smile(self, level: str, **options: str | float) -> Any:
        return self._opensmile.Smile(
            self._opensmile.FeatureSet.eGeMAPSv02, self._opensmile.FeatureLevel[level], options=options
        )


@dataclass(frozen=True)
class _Grid:
    """Where the rows of descriptors lie in a waveform: row r begins at sample r hop."""

    sample_rate: int
    length: int  # samples

    @property
    def hop(self) -> int:
        return int(_HOP * self.sample_rate + 0.5)

    @property
    def rows(self) -> int:
        """How many rows openSMILE makes of all of it: one past its longest frames, from what it smooths at the end."""
        rest = self.length - int(_REACH * self.sample_rate + 0.5)
        return rest // self.hop + 2 if rest >= 0 else 0

    def samples(self, sound: TimedSound, start: int, stop: int) -> NDArray[np.float32]:
        """What rows `start` to `stop` - 1 are made of, as far as there is sound."""
        after = stop * self.hop + int(_REACH * self.sample_rate)
        return sound.between(min(start * self.hop, self.length), min(after, self.length))


def _stretches(nearest: NDArray[np.int64], at_once: int) -> Iterator[tuple[slice, int, int]]:
    """Neighbouring frames, and the rows from first to after the last that they are nearest to, (n,) in rising order."""
    start = 0
    while start < len(nearest):
        stop = max(start + 1, int(np.searchsorted(nearest, nearest[start] + at_once)))
        yield slice(start, stop), int(nearest[start]), int(nearest[stop - 1]) + 1
        start = stop


def _run(smile: Any, heard: NDArray[np.float32], sample_rate: int, least: int) -> NDArray[np.float32]:
    """What openSMILE makes of some sound: (m, d) float32, one row of zeros where it is too short for `least` rows."""
    if least == 0 or _Grid(sample_rate, len(heard)).rows < least:
        return np.zeros((1, smile.num_features), np.float32)
    return np.asarray(smile(heard, sample_rate)[0].T, dtype=np.float32)


def _package() -> Any:
    """The package opensmile, which only this encoder needs.  Raises AssetError where it cannot be imported."""
    try:
        import opensmile
    except (ImportError, OSError) as error:  # OSError: its library is for another kind of system
        raise AssetError(
            "the package opensmile",
            f"cannot be imported ({error})",
            expected="it, for the encoder egemaps",
            advice="read its licence, which is for research only, then: pip install 'affcli[opensmile]'",
        ) from error
    return opensmile
