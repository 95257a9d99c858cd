"""Vectors from the waveform by a network in an ONNX file of one's own.

The network takes a waveform, (1, samples) float32 at full scale 1, and gives steps, (1, t, d) or (1, d, t); it may also
give one vector, (1, d), for all that it hears: then it hears `field` samples at a time, every `hop` samples.  A setting
comes from an option; else from `FILE.onnx.json` beside the network; else from trying the network out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from affcli import weights
from affcli.errors import AssetError, SchemaError, some
from affcli.faces.runtime import open_session, reason, run
from affcli.features import Setup, settings
from affcli.features.graphs import read_model
from affcli.features.sidecars import SUFFIX, Said, said_of
from affcli.features.steps import Pace, levelled, on_frames
from affcli.features.views import TimedSound
from affcli.weights import Loaded

_SAMPLE_RATE = 16_000  # Hz, where nobody says
_LONGEST_TRIAL = 16  # seconds; one step more takes 2 s at most, since there are more in 2 s than in 1
_TAKES = "one waveform, (1, samples) float32, of any length"
_USUAL = {"chunk": 20.0, "context": 2.0, "longest": 2.0, "shift": 0.0}  # seconds, where nobody says
_GIVES = "steps, (1, t, d) or (1, d, t), or one vector, (1, d)"
_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")


class AudioNetwork:
    """A network brought as audio-onnx:FILE.onnx, at each frame's own time (see `affcli.features.steps`).

    How far apart its steps are, and around which sample each lies, is measured by giving it silence of growing length:
    the number of steps tells both, as long as what the network adds to its input is as long at one end as at the other
    (`shift` is for one that adds it at one end).
    """

    def __init__(self, config: settings.AudioNetwork, setup: Setup) -> None:
        """Raises AssetError where the file, or the JSON file beside it, cannot be used, and UsageError where an option
        does not fit the network."""
        file = weights.load_file(setup.argument)
        said = said_of(config, file.path, weights.load_beside(file, SUFFIX))
        self.weights = {file.name: file.sha256}
        rate = said.get("sample_rate", _SAMPLE_RATE)
        self._network = _Network(file, said, setup, rate)
        pace = self._network.pace
        self._seconds: dict[str, float] = {name: said.get(name, usual) for name, usual in _USUAL.items()}
        self._pace = dataclasses.replace(pace, shift=self._seconds["shift"] * rate)
        self.config = dataclasses.replace(
            config,
            **self._seconds,
            sample_rate=rate,
            normalise=said.get("normalise", "none"),
            output=self._network.output,
            hop=pace.hop,
            field=pace.field,
            width=self._network.width,
        )

    def __call__(self, sound: TimedSound) -> Iterator[NDArray[np.float32]]:
        """Raises SchemaError where the waveform does not have the network's sample rate, or where the network gives
        vectors of another width than when it was tried out."""
        sound.require_rate(self.config.sample_rate)
        yield from on_frames(
            sound,
            levelled(self._network, sound, self.config.normalise),
            self._pace,
            self.config.width,
            chunk=self._seconds["chunk"],
            # A network that is given one field at a time hears nothing of what is around it.
            context=0 if self._network.one_vector else self._seconds["context"],
            longest=self._seconds["longest"],
        )


class _Network:
    """A session, tried out: a stretch (samples,) float32 to its steps (t, d) float32."""

    def __init__(self, file: Loaded, said: Said, setup: Setup, rate: int) -> None:
        self._file = file
        self._said = said
        self._rate = rate
        content = read_model(file).SerializeToString()
        try:
            self._session = open_session(content, setup.device, setup.threads)
        except AssetError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise self._refusal(f"cannot be run ({reason(error)})", "a network that ONNX Runtime knows") from error
        self._input, self._axes = self._waveform()
        self.output = self._chosen()
        # A length at which few networks are short of something, and another by which it differs from all others.
        short, long = (self._answer(np.zeros(length, np.float32)) for length in (rate, 2 * rate))
        self.one_vector = short.ndim == 2 and short.shape[0] == 1
        self._steps_first = self._find_steps(short.shape, long.shape)
        self.width = self._vectors(short).shape[1]
        if self.width != said.get("width", self.width):
            raise said.refusal("width", f"is not what {file.name} gives", f"{self.width}")
        self.pace = self._said_pace() if self.one_vector else self._measured(rate, len(self._vectors(short)))

    def __call__(self, stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.one_vector:
            fields = np.lib.stride_tricks.sliding_window_view(stretch, self.pace.field)[:: self.pace.hop]
            return np.concatenate([self._kept(self._answer(field)) for field in fields])
        steps = self._kept(self._answer(stretch))
        self.pace.check(self._file.path, len(steps), len(stretch))
        return steps

    def _kept(self, answer: NDArray[np.float32]) -> NDArray[np.float32]:
        steps = self._vectors(answer)
        if steps.shape[1] != self.width:
            raise SchemaError(
                self._file.path,
                f"gives vectors of {steps.shape[1]} and of {self.width} numbers",
                expected="as many for every stretch of sound",
                advice="choose another output with --output",
            )
        return steps

    def _vectors(self, answer: NDArray[np.float32]) -> NDArray[np.float32]:
        """An answer as (t, d)."""
        if self.one_vector:
            return answer
        steps = answer.reshape(answer.shape[-2:])
        return steps if self._steps_first else np.ascontiguousarray(steps.T)

    def _answer(self, stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        waveform = np.ascontiguousarray(stretch, np.float32).reshape((1,) * (self._axes - 1) + (-1,))
        try:
            (answer,) = run(self._session, [self.output], {self._input: waveform})
        except MemoryError:
            raise
        except Exception as error:  # as above
            raise self._refusal(f"fails on {len(stretch)} samples ({reason(error)})", _TAKES) from error
        if not isinstance(answer, np.ndarray) or answer.ndim not in (2, 3) or (answer.ndim == 3 and len(answer) != 1):
            shape = answer.shape if isinstance(answer, np.ndarray) else type(answer).__name__
            raise self._refusal(f"gives {shape} as '{self.output}'", _GIVES)
        return answer.astype(np.float32)

    def _waveform(self) -> tuple[str, int]:
        """Name of the input, and how many axes it has."""
        inputs = self._session.get_inputs()
        listed = ", ".join(f"{value.name} {value.type} {value.shape}" for value in inputs) or "nothing"
        if len(inputs) != 1:
            raise self._refusal(f"takes {len(inputs)} inputs ({listed})", _TAKES)
        shape = inputs[0].shape
        if inputs[0].type != "tensor(float)" or not 1 <= len(shape) <= 3:
            raise self._refusal(f"takes {listed}", _TAKES)
        if any(isinstance(side, int) and side != 1 for side in shape[:-1]):
            raise self._refusal(f"takes {listed}", _TAKES)
        if isinstance(shape[-1], int):
            raise self._refusal(
                f"takes {shape[-1]} samples, no more and no fewer",
                _TAKES,
                "export it again with a dynamic axis for the samples",
            )
        return inputs[0].name, len(shape)

    def _chosen(self) -> str:
        """Name of the output that is the steps."""
        outputs = {value.name: value for value in self._session.get_outputs()}
        listed = ", ".join(f"{value.name} {value.type} {value.shape}" for value in outputs.values())
        wanted: str = self._said.get("output", "")
        if wanted and wanted not in outputs:
            raise self._said.refusal("output", f"is no output of {self._file.name}", f"one of {some(outputs)}")
        floats = [name for name, value in outputs.items() if value.type in _FLOATS]
        if not wanted and len(floats) != 1:
            raise self._refusal(
                f"has {len(floats)} outputs of floating-point numbers ({listed})",
                "to be told which one is the steps" if floats else _GIVES,
                "add --output NAME" if floats else "choose another file",
            )
        return wanted or floats[0]

    def _find_steps(self, short: tuple[int, ...], long: tuple[int, ...]) -> bool:
        """Whether the axis that grows with the waveform comes before that of the vector.

        Raises AssetError where none grows, or both do.
        """
        grows = [a != b for a, b in zip(short[-2:], long[-2:], strict=True)]
        if self.one_vector and not any(grows):
            return True
        if len(short) != len(long) or sum(grows) != 1:
            raise self._refusal(
                f"gives {short} for a second and {long} for two",
                f"{_GIVES}, with d the same for any length",
                "choose another output with --output",
            )
        self.one_vector = False
        return grows[0]

    def _said_pace(self) -> Pace:
        hop, field = (self._said.get(name, 0) for name in ("hop", "field"))
        if hop < 1 or field < 1:
            raise self._refusal(
                "gives one vector for all that it hears",
                "to be told how many samples that should be, and how often",
                'add --field N --hop N, or {"field": N, "hop": N} in a file of its name and .json',
            )
        return Pace(hop, field)

    def _measured(self, samples: int, steps: int) -> Pace:
        """The pace, from the lengths at which there is one step more, and another."""
        said = {name: self._said.get(name, 0) for name in ("hop", "field")}
        hop, field = said["hop"], said["field"]
        if not (hop and field):
            one = self._shortest(samples, steps + 1, samples)
            two = self._shortest(one, steps + 2, one - samples + 1)
            hop = hop or two - one
            field = field or one - steps * hop
        pace = Pace(hop, field)
        for length in (samples, 3 * samples + hop // 2):
            found = len(self._vectors(self._answer(np.zeros(length, np.float32))))
            if found == pace.steps(length):
                continue
            shown = f"{found} steps for {length} samples"
            for name, value in said.items():
                if value:
                    raise self._said.refusal(name, f"does not fit {self._file.name}, which gives {shown}", "its own")
            raise self._refusal(f"gives {shown}", f"{pace.steps(length)}, as its pace at shorter ones makes")
        return pace

    def _shortest(self, samples: int, steps: int, stride: int) -> int:
        """The fewest samples, more than `samples`, that make so many steps; looked for `stride` samples at a time."""

        def enough(length: int) -> bool:
            return len(self._vectors(self._answer(np.zeros(length, np.float32)))) >= steps

        low, high = samples, samples + stride
        while not enough(high):
            if high > _LONGEST_TRIAL * self._rate:
                raise self._refusal(
                    f"gives {steps - 1} steps for {high / self._rate:.0f} s of sound, and no more than for less", _TAKES
                )
            low, high = high, high + stride
            stride *= 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        return high

    def _refusal(self, found: str, expected: str, advice: str = "choose another file") -> AssetError:
        return AssetError(self._file.path, found, expected=expected, advice=advice)
