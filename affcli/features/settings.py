"""The settings of every encoder, made as those of `affcli.configs` are."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from affcli.configs import setting

WORDS: dict[type, str] = {int: "a whole number", float: "a number", str: "a word"}  # kinds of settings, for people


def expected_of(field: dataclasses.Field[Any], kind: type, value: Any) -> str:
    """What a setting should be, for people; "" where `value`, which is of its kind, may be taken."""
    choices, least, most = (field.metadata.get(name) for name in ("choices", "least", "most"))
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    if choices and value not in choices:
        return " or ".join(choices)
    if least is not None and value < least:
        return f"{WORDS[kind]} of at least {least}"
    return f"{WORDS[kind]} of at most {most}" if most is not None and value > most else ""


@dataclass(frozen=True)
class NoSettings:
    """Of an encoder that has none."""


@dataclass(frozen=True)
class MfccMel:
    """40 MFCC and 128 mel powers around each frame (GRU fusion): 168 numbers."""

    n_mfcc: int = setting(40, "cepstral coefficients", source="GRU fusion", least=1)
    n_mels: int = setting(128, "mel bands", source="GRU fusion", least=1, most=4096)
    n_fft: int = setting(2048, "transform length", unit="samples", source="librosa's default", least=2, most=1 << 20)
    hop: int = setting(
        512, "step between transforms inside a segment", unit="samples", source="librosa's default", least=1
    )
    periods: float = setting(
        2.0, "length of a segment in frame periods", source="GRU fusion: overlap one half", least=0.01
    )
    longest: float = setting(2.0, "longest segment, where a frame stands for long", unit="s", least=0.01)
    segments: str = setting(
        "frame",
        "frame: around the middle of each frame's own time; paper: as many segments as frames, each overlapping the "
        "next by one half, over the whole waveform",
        source="GRU fusion",
        choices=("frame", "paper"),
    )


@dataclass(frozen=True)
class LogmelStack:
    """Five log-mel rows around each frame, three per frame period (M3T): 200 numbers."""

    n_mels: int = setting(40, "mel bands", source="M3T", least=1, most=4096)
    n_fft: int = setting(512, "transform length", unit="samples", source="M3T", least=2, most=1 << 20)
    window: int = setting(400, "Hann window inside the transform", unit="samples", source="M3T: 25 ms", least=1)
    per_frame: int = setting(3, "rows per frame period", source="M3T", least=1, most=1000)
    stack: int = setting(5, "rows in one feature", source="M3T", least=1, most=1000)
    top_db: float = setting(
        80.0, "dynamic range kept below the loudest row of the clip", unit="dB", source="M3T", least=0
    )
    clock: str = setting(
        "exact",
        "exact: rows at each frame's own time; official: a hop of int(16000 / (3 fps)) samples from the first sample, "
        "as M3T's release, 1.3 s early after five minutes at 30 fps",
        choices=("exact", "official"),
    )


@dataclass(frozen=True)
class Prosody:
    """Pitch, level and voicing at each frame, and how they move around it: 12 numbers."""

    window: float = setting(0.0, "time around the frame that is the frame; 0 for its own period", unit="s", least=0)
    context: float = setting(3.0, "time around the frame for means, deviations, rate and shares", unit="s", least=0.1)
    fmin: float = setting(55.0, "lowest pitch, 46.875 or more", unit="Hz", source="eGeMAPS", least=46.875)
    fmax: float = setting(1000.0, "highest pitch, up to 2093.75", unit="Hz", source="eGeMAPS", least=50)
    voiced: float = setting(
        0.5, "least confidence of a pitch that is a voice, 0 to 1", source="SwiftF0", least=0, most=1
    )
    silence: float = setting(
        25.0, "a pause is this far below the loud of the clip", unit="dB", source="de Jong and Wempe 2009", least=0
    )
    dip: float = setting(
        2.0, "least fall of the level between two syllables", unit="dB", source="de Jong and Wempe 2009", least=0
    )
    pause: float = setting(0.3, "shortest silence that is a pause", unit="s", source="de Jong and Wempe 2009", least=0)


@dataclass(frozen=True)
class Egemaps:
    """openSMILE's eGeMAPSv02 around each frame: 88 functionals, or 25 low-level descriptors."""

    level: str = setting(
        "functionals",
        "functionals: 88 numbers of a window; lld: the mean of 25 low-level descriptors",
        choices=("functionals", "lld"),
    )
    window: float = setting(1.0, "length of the window of functionals", unit="s", least=0.1)
    step: float = setting(0.02, "from one window to the next; a frame has the nearest", unit="s", least=0.01)
    average: float = setting(
        0.0, "lld: time around the frame over which they are means; 0 for its own period", unit="s", least=0
    )


@dataclass(frozen=True)
class SileroVad:
    """Probability of speech at each frame and around it (Silero VAD): 2 numbers."""

    window: float = setting(1.0, "time around the frame over which the second number is a mean", unit="s", least=0.04)


@dataclass(frozen=True)
class Hog:
    """Histograms of oriented gradients of the crop (Dalal and Triggs 2005): 1296 numbers at 112 px."""

    orientations: int = setting(9, "directions", source="Dalal and Triggs", least=1)
    cell: int = setting(16, "side of a cell", unit="px", least=1)
    block: int = setting(2, "cells along the side of a normalised block", source="Dalal and Triggs", least=1)


@dataclass(frozen=True)
class CenterfaceTrunk:
    """The detector's own trunk, averaged over a grid of the crop: 1024 numbers."""

    node: str = setting("448", "name of the network's inner output")
    grid: int = setting(4, "cells along each side of the averaging grid", least=1)


@dataclass(frozen=True)
class ImageNetwork:
    """A network of one's own that turns pictures into vectors.

    What is not said (0, "" or nothing) comes from the JSON file beside the network, from the network itself, or is as
    stated here.
    """

    size: int = setting(
        0, "side of the input; must be said only where the network takes any", unit="px", least=1, most=4096
    )
    mean: tuple[float, ...] = setting((), "mean of the input: one number, or one for each of its colours in its order")
    std: tuple[float, ...] = setting(
        (), "its standard deviation, likewise; where none of mean, std and scale is said, pixels become -1 to 1"
    )
    scale: float = setting(0.0, "what white is before mean and std: 255, as where nothing is said, or 1")
    order: str = setting(
        "", "colours of the input; rgb where nothing is said, grey where it has one", choices=("rgb", "bgr", "grey")
    )
    layout: str = setting("", "axes of the input, where its shape leaves them open", choices=("nchw", "nhwc"))
    output: str = setting(
        "", "output, inner tensor or node that is the vector; maps of (channels, h, w) are averaged over h and w"
    )
    keep: int = setting(0, "how many of the output's first numbers are kept; all where nothing is said", least=1)
    width: int = setting(0, "how many numbers a vector must have; any where nothing is said", least=1)
    enlarge: str = setting(
        "", "how a crop that is too small is enlarged, linear where nothing is said", choices=("linear", "cubic")
    )
    norm: str = setting(
        "", "l2 divides each vector by its length; none, as where nothing is said, does not", choices=("none", "l2")
    )


@dataclass(frozen=True)
class Arcface:
    """What a face-recognition network of InsightFace knows of a face: 512 numbers."""

    norm: str = setting(
        "none", "l2 divides each vector by its length, as for comparing faces; none does not", choices=("none", "l2")
    )


@dataclass(frozen=True)
class Backbone:
    """A network of timm or torchvision without its last layer.  What is not said comes from the network's own data."""

    size: int = setting(0, "side of the input", unit="px", least=1, most=4096)
    mean: tuple[float, ...] = setting((), "mean of the input, of white 1: one number, or one each for red, green, blue")
    std: tuple[float, ...] = setting((), "its standard deviation, likewise")
    enlarge: str = setting("", "how a crop that is too small is enlarged", choices=("linear", "cubic"))
    norm: str = setting("none", "l2 divides each vector by its length, none does not", choices=("none", "l2"))


@dataclass(frozen=True)
class Landmarks:
    """Head pose, place, proportions and movement from five landmarks: 48 numbers."""

    longest: float = setting(
        0.25, "longest time from a frame to the next over which a rate is taken", unit="s", least=0
    )


@dataclass(frozen=True)
class Flow:
    """Optical flow from one crop to the next, over a grid (Kroeger et al. 2016): 70 numbers."""

    preset: str = setting(
        "medium",
        "how finely the flow is searched: ultrafast, fast or medium, in 0.13, 0.19 or 0.58 ms a crop",
        source="OpenCV's presets",
        choices=("ultrafast", "fast", "medium"),
    )
    size: int = setting(96, "side of the grey crops that are compared, 32 or more", unit="px", least=32, most=4096)
    grid: int = setting(4, "cells along each side of the grid", least=1)
    longest: float = setting(0.25, "longest time from a crop to the next over which flow is taken", unit="s", least=0)


@dataclass(frozen=True)
class HuggingFace:
    """One layer of a self-supervised network of speech."""

    layer: str = setting(
        "-1", "layer of the network: -1 is the last, 0 what goes into the first, mean is the mean of all with that"
    )
    normalise: str = setting(
        "",
        "where the waveform's mean and variance are made 0 and 1: none, over the whole clip, or over each chunk; where "
        "nothing is said, clip if the network's preprocessor asks for it, else none",
        choices=("none", "clip", "chunk"),
    )
    chunk: float = setting(20.0, "sound that the network answers for at a time", unit="s", least=1)
    context: float = setting(2.0, "sound before and after a chunk that it hears with it", unit="s", least=0)
    longest: float = setting(2.0, "longest stretch that is averaged, where a frame stands for long", unit="s", least=0)


@dataclass(frozen=True)
class AudioNetwork:
    """A network of one's own that turns a waveform into steps.

    What is not said (0, "" or None) comes from the JSON file beside the network, from trying it out, or is as stated
    here.
    """

    sample_rate: int = setting(0, "samples per second of the input; 16000 where nothing is said", unit="Hz", least=1)
    normalise: str = setting(
        "",
        "where the waveform's mean and variance are made 0 and 1: over the whole clip, over each chunk, or, as where "
        "nothing is said, none",
        choices=("none", "clip", "chunk"),
    )
    output: str = setting("", "output that is the steps, where there are several")
    hop: int = setting(0, "samples from one step to the next; measured where nothing is said", unit="samples", least=1)
    field: int = setting(
        0,
        "samples that one step hears, less those added at both ends; measured where nothing is said",
        unit="samples",
    )
    shift: float | None = setting(
        None, "how much later than the middle of what it hears a step is; 0 where nothing is said", unit="s"
    )
    width: int = setting(0, "how many numbers a step has, to be checked; nothing is where nothing is said", least=1)
    chunk: float | None = setting(
        None, "sound that the network answers for at a time; 20 where nothing is said", unit="s", least=1
    )
    context: float | None = setting(
        None, "sound before and after a chunk that it hears with it; 2 where nothing is said", unit="s", least=0
    )
    longest: float | None = setting(
        None,
        "longest stretch that is averaged, where a frame stands for long; 2 where nothing is said",
        unit="s",
        least=0,
    )
