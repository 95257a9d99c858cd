"""Media files with known sound, as tests need them: written with FFmpeg's own encoders."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

CLICKS = np.array([0.25, 1.0, 1.75])  # s
CLICK_SECONDS = 0.004
TICKS = Fraction(1, 90_000)  # s, of pictures without a rate
Pictures = tuple[str, dict[str, str], list[int], Fraction]  # codec, its options, times in units of a time base

H264 = ("libx264", {"bf": "2", "preset": "veryfast"})
MPEG4 = ("mpeg4", {})
VP8 = ("libvpx", {"deadline": "realtime"})


def clicks(sample_rate: int, seconds: float = 2.0) -> NDArray[np.float32]:
    """Silence with three bursts of 4 ms."""
    wave = np.zeros(round(seconds * sample_rate), np.float32)
    burst = np.arange(round(CLICK_SECONDS * sample_rate)) / sample_rate
    for start in np.rint(CLICKS * sample_rate).astype(int):
        wave[start : start + len(burst)] = 0.9 * np.sin(2000 * np.pi * burst) * np.hanning(len(burst))
    return wave


def write(
    path: Path,
    codec: str,
    sample_rate: int,
    waves: Any,
    *,
    layout: str = "mono",
    start: Fraction = Fraction(0),
    pictures: Pictures | None = None,
    languages: tuple[str, ...] = ("",),
    options: dict[str, str] | None = None,
    piece: int = 1024,
    file_format: str | None = None,
) -> Path:
    """A file with sound, (samples,) for all channels or (channels, samples), and with pictures where they are wanted.

    With several languages the sound is written as often, each time half as loud.
    """
    with av.open(str(path), "w", format=file_format, options=options or {}) as container:
        packets: list[Any] = []
        if pictures:
            rate = 25 if pictures[3] == TICKS else 1 / pictures[3]
            video = container.add_stream(pictures[0], rate=rate, options=dict(pictures[1]))
            video.width, video.height = 64, 48
            video.pix_fmt = "yuvj420p" if pictures[0] == "mjpeg" else "yuv420p"
            video.codec_context.time_base = pictures[3]
            for number, tick in enumerate(pictures[2]):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + number % 200, np.uint8), format="rgb24")
                frame.pts, frame.time_base = tick, pictures[3]
                packets += video.encode(frame)
            packets += video.encode(None)
        for number, language in enumerate(languages):
            sound = container.add_stream(codec, rate=sample_rate, layout=layout, options={"strict": "experimental"})
            if language:
                sound.metadata["language"] = language
            packets += coded(
                sound, np.asarray(waves, np.float32) / 2**number, layout, round(start * sample_rate), piece
            )
        packets.sort(key=lambda one: (one.dts if one.dts is not None else one.pts) * one.time_base)
        container.start_encoding()
        container.mux(packets)
    return path


def coded(stream: Any, waves: Any, layout: str, first: int, piece: int, flush: bool = True) -> Iterator[Any]:
    """The packets of a waveform whose first sample has the time `first` in samples."""
    channels = av.AudioLayout(layout).nb_channels
    waves = np.broadcast_to(waves, (channels, waves.shape[-1]))
    kind = stream.codec_context.format.name
    scale = {"s16": 32767, "s32": 2**31 - 256, "flt": 1, "u8": 127}[kind.removesuffix("p")]
    dtype = {"s16": np.int16, "s32": np.int32, "flt": np.float32, "u8": np.uint8}[kind.removesuffix("p")]
    size = stream.codec_context.frame_size or piece
    for begin in range(0, waves.shape[1], size):
        part = waves[:, begin : begin + size] * scale + (128 if kind.startswith("u8") else 0)
        part = (part if kind.startswith("flt") else np.rint(part.astype(np.float64))).astype(dtype)
        if not kind.endswith("p"):
            part = part.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), kind, layout)
        frame.sample_rate, frame.pts, frame.time_base = stream.rate, first + begin, Fraction(1, stream.rate)
        yield from stream.encode(frame)
    if flush:
        yield from stream.encode(None)


def shown(coding: tuple[str, dict[str, str]], first: int = 0, n: int = 50) -> Pictures:
    """Pictures at 25 frames per second, the first one at `first` frames."""
    return (*coding, list(range(first, first + n)), Fraction(1, 25))


def tones(sample_rate: int, hertz: list[int]) -> NDArray[np.float64]:
    """A second of a tone for each channel, at a quarter of full scale."""
    time = np.arange(sample_rate) / sample_rate
    return np.stack([0.25 * np.sin(2 * np.pi * one * time) for one in hertz])
