"""From crops, landmarks and waveforms to one vector per frame.

An encoder is a class that is made with its settings and a `Setup`, and then called:

    reads="crops"      with some valid crops (k, s, s, 3) uint8 RGB; returns (k, d) float32, each crop's vector whatever
                       the others are; may be called from several threads at once
    reads="film"       with a clip's TimedCrops;     yields (k, d) float32 that make n rows in all, in order of frames
    reads="landmarks"  with a clip's TimedLandmarks; yields the same
    reads="audio"      with a clip's TimedSound;     yields the same

Its attribute `weights` maps the name of each file of weights to its SHA-256, for the recipe.  Rows of frames that are
not valid become zeros whatever it says of them.  `affcli.features.views` has what is read; `examples/encoder` is a
package of somebody else with an encoder in it, which the entry point `affcli.encoders` makes known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from affcli import configs
from affcli.errors import UsageError
from affcli.registry import Entry, Registry

Reads = Literal["crops", "film", "landmarks", "audio"]


@dataclass(frozen=True)
class Setup:
    """What an encoder is made with beside its settings."""

    argument: str = ""  # the FILE, DIRECTORY or name that a user names, for an encoder whose entry says what that is
    device: str = "cpu"  # cpu, cuda or mps
    half: bool = False  # compute in half precision; only where the entry says that this is safe
    threads: int = 1  # at most, inside one call
    online: bool = False  # whether a library may fetch weights by itself


@dataclass(frozen=True)
class EncoderEntry(Entry):
    """An encoder: what it reads, which branch of a network its vectors are for, and the class of its settings."""

    reads: Reads = "crops"
    modality: Literal["face", "audio", "pose"] = "face"
    width: int | None = None  # numbers in a vector, with default settings; None where the argument decides
    config: type = configs.NoSettings
    argument: str = ""  # what must be named with it, as NAME:ARGUMENT, for people: "FILE.onnx"; "" for nothing
    half: bool = False  # whether half precision is safe
    packages: tuple[str, ...] = ()  # modules that it imports and affcli itself does not bring
    extra: str = ""  # the extra of affcli that brings them
    engine: Literal["numpy", "onnx", "torch"] = "numpy"  # what computes; numpy, on the CPU alone


ENCODERS = Registry(
    "encoder",
    {
        "centerface-b448": EncoderEntry(
            load="affcli.features.appearance:CenterfaceTrunk",
            doc="trunk of the face detector on the aligned crop, averaged over 4 x 4 cells",
            source="Xu et al. 2019, CenterFace",
            licence="MIT",
            weights="centerface",
            engine="onnx",
            width=1024,
            config=configs.CenterfaceTrunk,
        ),
        "hog": EncoderEntry(
            load="affcli.features.appearance:Hog",
            doc="histograms of oriented gradients of the aligned crop",
            source="Dalal and Triggs 2005",
            licence="BSD-3-Clause",
            width=1296,
            config=configs.Hog,
        ),
        "mfcc-mel": EncoderEntry(
            load="affcli.features.acoustic:MfccMel",
            doc="40 MFCC and 128 mel powers of two frame periods around the frame",
            source="GRU fusion for ABAW 2020",
            licence="Apache-2.0",
            reads="audio",
            modality="audio",
            width=168,
            config=configs.MfccMel,
        ),
        "logmel-stack": EncoderEntry(
            load="affcli.features.acoustic:LogmelStack",
            doc="five log-mel rows, three per frame period, on a clock that does not drift",
            source="Zhang et al. 2020, M3T (arXiv 2002.02957)",
            licence="Apache-2.0",
            reads="audio",
            modality="audio",
            width=200,
            config=configs.LogmelStack,
        ),
        "silero-vad": EncoderEntry(
            load="affcli.features.speech:SileroVad",
            doc="probability of speech at the frame and around it",
            source="Silero Team 2024, Silero VAD 6.2",
            licence="MIT",
            weights="silero-vad",
            reads="audio",
            modality="audio",
            width=2,
            config=configs.SileroVad,
        ),
    },
    group="affcli.encoders",
)


@dataclass(frozen=True)
class Choice:
    """An encoder as a user asks for it."""

    name: str  # in ENCODERS
    entry: EncoderEntry
    argument: str  # what stands after the colon; "" for nothing

    @property
    def recipe_name(self) -> str:
        """What a recipe says: the name, and of a path only its last part."""
        return f"{self.name}:{self._last}" if self.argument else self.name

    @property
    def set_name(self) -> str:
        """What its features are called where the user does not say: `onnx:nets/emo.onnx` makes `onnx-emo`."""
        if not self.argument or self.entry.width is not None:
            return self.name
        stem = self._last.rpartition(".")[0] or self._last
        return f"{self.name}-" + "".join(one if one.isalnum() or one in "._-" else "-" for one in stem)

    @property
    def _last(self) -> str:
        return self.argument.rstrip("/").rpartition("/")[2]


def find(spec: str) -> Choice:
    """The encoder that `NAME` or `NAME:ARGUMENT` means.

    Raises UsageError where there is no such name, where it wants an argument and has none, or the reverse; AssetError
    where another package's encoder cannot be loaded.
    """
    name, _, argument = spec.partition(":")
    entry = ENCODERS[name]
    if entry.argument and not argument:
        raise UsageError(
            spec,
            f"does not say which {entry.argument}",
            expected=f"{name}:{entry.argument}",
            advice=f"affcli encoders {name} says more",
        )
    if argument and not entry.argument:
        raise UsageError(spec, "says more than a name", expected=name, advice="leave out what follows the colon")
    return Choice(name, entry, argument)
