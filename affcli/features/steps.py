"""From the steps of an audio network to the frames of a video.

A network that reads a waveform answers in steps: one vector for every `hop` samples, about the `field` samples that
the step hears.  A step lies in time at the middle of its field.  A frame is given the mean, over its own period, of the
straight lines that join the steps: where steps are longer than frames this is (nearly) what lies on the line in the
middle of the frame, where they are shorter it is their mean, and at no frame rate does it jump from one number of steps
to another.

Long sound is given to the network in chunks that begin at whole multiples of `chunk` seconds, each with `context`
seconds before and after it whose steps are thrown away.  So memory is bounded, and what a frame is given depends on
nothing but the sound at most `chunk` + `context` seconds away from it (and at least `context`); of a network that hears
no further than `context`, it is what the network would say of the whole waveform.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from affcli.errors import AssetError, UsageError, is_out_of_memory
from affcli.features.contours import spans
from affcli.features.views import TimedSound

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # a stretch (samples,) to its steps (t, d)

_ROWS_AT_ONCE = 1024
_SAMPLES_AT_ONCE = 1 << 20
_LEAST_VARIANCE = 1e-7  # added to a variance before its root is taken; that of transformers' feature extractors


@dataclass(frozen=True)
class Pace:
    """How the steps of a network lie in a stretch of sound: step j is about `field` samples from j `hop` on.

    A network that adds silence at both ends of what it hears has a field that is shorter by that, 0 or less too.
    """

    hop: int  # samples, 1 or more
    field: int  # samples
    shift: float = 0.0  # samples by which steps are later than the middle of their field

    @classmethod
    def of_convolutions(cls, kernels: list[int], strides: list[int]) -> Pace:
        """The pace of convolutions without padding, one after the other."""
        hop, field = 1, 1
        for kernel, stride in zip(kernels, strides, strict=True):
            field += (kernel - 1) * hop
            hop *= stride
        return cls(hop, field)

    @property
    def centre(self) -> float:
        """Where the first step lies, samples from the start of the stretch."""
        return (self.field - 1) / 2 + self.shift

    def steps(self, samples: int) -> int:
        """How many steps a stretch has."""
        return max(0, (samples - self.field) // self.hop + 1)

    def check(self, network: str, steps: int, samples: int) -> None:
        """Raise AssetError where a network gave another number of steps."""
        if steps != self.steps(samples):
            raise AssetError(
                network,
                f"gives {steps} steps for {samples} samples",
                expected=f"{self.steps(samples)}, one every {self.hop} samples of {self.field}",
                advice="choose another layer or network",
            )


def levelled(network: Network, sound: TimedSound, how: str) -> Network:
    """The network with its input brought to mean 0 and variance 1 over the whole clip or over each stretch of it.

    `how` is none, clip or chunk.
    """
    if how == "none":
        return network
    moments = _moments(sound) if how == "clip" else None

    def level(stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        mean, variance = moments or (stretch.mean(dtype=np.float64), stretch.var(dtype=np.float64))
        return network(((stretch - mean) / np.sqrt(variance + _LEAST_VARIANCE)).astype(np.float32))

    return level


def on_frames(
    sound: TimedSound, network: Network, pace: Pace, width: int, *, chunk: float, context: float, longest: float
) -> Iterator[NDArray[np.float32]]:
    """The steps of a network as vectors of frames, some rows at a time: (k, width) float32, zeros where not valid.

    A frame that stands for more than `longest` seconds is given those around its middle.  Only the chunks that valid
    frames need are computed.  Raises UsageError where one does not fit into the memory.
    """
    rate = sound.sample_rate
    edges = spans(sound)
    middle, length = edges.mean(axis=1), np.clip(edges[:, 1] - edges[:, 0], 1, max(1, longest * rate))
    # In steps: step j is at j.
    start, stop = ((middle + sign * length / 2 - pace.centre) / pace.hop for sign in (-1, 1))
    total = max(1, pace.steps(len(sound.waveform)))
    first = np.clip(np.floor(start), 0, total - 1).astype(np.int64)
    last = np.clip(np.floor(stop) + 1, 0, total - 1).astype(np.int64)
    chunks = _Chunks(sound, _explained(network, chunk), pace, total, max(1, round(chunk * rate / pace.hop)), context)
    for rows in _groups(last // chunks.length):
        out = np.zeros((len(rows), width), np.float32)
        valid = sound.valid[rows]
        if valid.any():
            heard = rows[valid]
            low, high = int(first[heard].min()), int(last[heard].max())
            weights = _weights(start[heard], stop[heard], low, high)
            out[valid] = weights @ chunks.between(low, high + 1)
        yield out


def _explained(network: Network, chunk: float) -> Network:
    """The network, which says so where a chunk does not fit into the memory."""

    def run(stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            return network(stretch)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise UsageError(
                f"--chunk {chunk:g}",
                "does not fit into the memory",
                expected="less sound at a time",
                advice=f"try --chunk {max(1, chunk / 4):g}",
            ) from error

    return run


def _groups(chunk: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Frames, some at a time, whose last step is in the same chunk."""
    edges = np.flatnonzero(np.diff(chunk)) + 1
    for part in np.split(np.arange(len(chunk)), edges):
        for start in range(0, len(part), _ROWS_AT_ONCE):
            yield part[start : start + _ROWS_AT_ONCE]


def _weights(start: NDArray[np.float64], stop: NDArray[np.float64], low: int, high: int) -> sparse.csr_array:
    """How much each step from `low` to `high` counts in the mean over each stretch (k,): (k, high + 1 - low).

    The straight lines between steps are a sum of triangles, one around each step from the step before to the step
    after; what lies before the first step or after the last one is theirs.
    """
    floor = np.floor(start)
    step = floor[:, None] + np.arange(int((np.floor(stop) - floor).max()) + 2)
    share = (_triangle(stop[:, None] - step) - _triangle(start[:, None] - step)) / (stop - start)[:, None]
    columns = np.clip(step, low, high).astype(np.int64) - low
    rows = np.broadcast_to(np.arange(len(start))[:, None], step.shape)
    return sparse.csr_array((share.ravel(), (rows.ravel(), columns.ravel())), shape=(len(start), high + 1 - low))


def _triangle(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area up to `place` of a triangle of width 2, height 1 and middle 0."""
    inside = np.clip(place, -1, 1)
    return np.asarray(np.where(inside < 0, (inside + 1) ** 2 / 2, 1 - (1 - inside) ** 2 / 2))


class _Chunks:
    """The steps of a clip, computed where they are asked for and kept as long as what is asked for moves on."""

    def __init__(
        self, sound: TimedSound, network: Network, pace: Pace, total: int, length: int, context: float
    ) -> None:
        self.length = length  # steps in a chunk
        self._sound = sound
        self._network = network
        self._pace = pace
        self._total = total
        self._context = -int(-context * sound.sample_rate // pace.hop)
        self._kept: dict[int, NDArray[np.float32]] = {}

    def between(self, first: int, after: int) -> NDArray[np.float32]:
        """Steps from `first` to the one before `after`: (after - first, d)."""
        wanted = range(first // self.length, (after - 1) // self.length + 1)
        self._kept = {number: self._kept[number] if number in self._kept else self._steps(number) for number in wanted}
        start = wanted[0] * self.length
        return np.concatenate(list(self._kept.values()))[first - start : after - start]

    def _steps(self, number: int) -> NDArray[np.float32]:
        hop, field = self._pace.hop, self._pace.field
        first = number * self.length
        after = min(first + self.length, self._total)
        start, stop = max(0, first - self._context), min(after + self._context, self._total)
        end = (stop - 1) * hop + max(field, 1)
        if stop == self._total:
            end = max(end, len(self._sound.waveform))
        return self._network(self._sound.between(start * hop, end))[first - start : after - start]


def _moments(sound: TimedSound) -> tuple[float, float]:
    """Mean and variance of the whole waveform at full scale 1."""
    count = max(1, len(sound.waveform))
    total = squares = 0.0
    for start in range(0, len(sound.waveform), _SAMPLES_AT_ONCE):
        part = sound.between(start, min(start + _SAMPLES_AT_ONCE, count)).astype(np.float64)
        total += float(part.sum())
        squares += float(part @ part)
    mean = total / count
    return mean, max(0.0, squares / count - mean**2)
