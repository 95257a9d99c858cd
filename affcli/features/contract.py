"""What an encoder is, for whoever writes one.

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

from affcli.features.settings import NoSettings
from affcli.registry import Entry

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
    config: type = NoSettings
    argument: str = ""  # what must be named with it, as NAME:ARGUMENT, for people: "FILE.onnx"; "" for nothing
    half: bool = False  # whether half precision is safe
    packages: tuple[str, ...] = ()  # modules that it imports and affcli itself does not bring
    extra: str = ""  # the extra of affcli that brings them; "" where pip knows them by the names of the modules
    engine: Literal["numpy", "onnx", "torch"] = "numpy"  # what computes; numpy, on the CPU alone
    notes: str = ""  # what else one must know: where a network comes from, how it is converted
