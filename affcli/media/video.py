"""Decoded frames with their own times.

A frame's time is its presentation timestamp on the container's clock; nothing is derived from a nominal frame rate.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import InputError
from affcli.media.container import Decoder, open_container

log = logging.getLogger(__name__)

# What the container promises and the decoder does not deliver, before the file counts as cut short.
SHORTFALL_SECONDS = 0.5

_HIGHEST_PIXEL_COUNT = 8192 * 8192


@dataclass(frozen=True)
class Frame:
    """One decoded frame."""

    index: int
    time_us: int
    corrupt: bool
    _decoded: Any = field(repr=False)

    def image(self) -> NDArray[np.uint8]:
        """The upright picture, (height, width, 3) uint8 RGB, through the stream's own colour matrix and range."""
        picture: NDArray[np.uint8] = self._decoded.to_ndarray(format="rgb24")
        turns = self._decoded.rotation // 90
        return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


@dataclass
class Video:
    """A video file that can be decoded from its beginning, as often as needed.

    After a pass, `decoded` counts its frames and `decode_errors` the packets that could not be decoded.
    """

    path: Path
    rate: Fraction | None  # the container's average rate: a hint, to be checked against the times
    duration_us: int | None  # of the video stream, as the container states it
    keep_partial: bool = False
    decoded: int | None = None
    decode_errors: int = 0

    @property
    def expected_frames(self) -> int | None:
        """How many frames to expect, for a progress bar; None where the container does not say enough."""
        if self.decoded is not None or self.rate is None or self.duration_us is None:
            return self.decoded
        return round(self.rate * self.duration_us / clock.MICROSECONDS)

    def frames(self) -> Iterator[Frame]:
        """Every decoded frame.

        Raises InputError where nothing can be decoded, where a frame's time is not after the one before, and where
        the stream ends well before its stated end (unless `keep_partial`), or elsewhere than in an earlier pass.
        """
        count, end_us, last_us = 0, 0, None
        with open_container(self.path) as container:
            decoder = Decoder(container, container.streams.video[0])
            first_us = None
            for decoded in decoder:
                if decoded.pts is None:
                    raise InputError(self.path, f"frame {count} has no timestamp", advice=_anew(self.path))
                time_us = clock.to_microseconds(decoded.pts, decoded.time_base)
                if last_us is not None and time_us <= last_us:
                    raise InputError(
                        self.path,
                        f"frame {count} is at {time_us / 1e6:.3f} s, after one at {last_us / 1e6:.3f} s",
                        expected="times that increase",
                        advice=_anew(self.path),
                    )
                first_us = time_us if first_us is None else first_us
                last_us = time_us
                shown = clock.to_microseconds(decoded.duration or 0, decoded.time_base)
                end_us = time_us - first_us + shown
                if count == self.decoded:
                    raise self._changed("more")
                yield Frame(count, time_us, bool(decoded.is_corrupt), decoded)
                count += 1
        if self.decoded is not None and count < self.decoded:
            raise self._changed("fewer")
        self.decoded = count
        self.decode_errors = decoder.errors
        self._account(count, end_us)

    def _changed(self, amount: str) -> InputError:
        return InputError(
            self.path, f"has {amount} frames than a moment ago", advice="leave the file alone and run again"
        )

    def _account(self, count: int, end_us: int) -> None:
        """Compare what was decoded with what the container stated."""
        if count == 0:
            raise InputError(self.path, "holds no frame that can be decoded", advice="check that it plays")
        lost_us = (self.duration_us or 0) - end_us
        if lost_us > max(SHORTFALL_SECONDS * clock.MICROSECONDS, 0.02 * (self.duration_us or 0)):
            ends = f"ends at {end_us / 1e6:.2f} s of {(self.duration_us or 0) / 1e6:.2f} s, after {count} frames"
            if not self.keep_partial:
                raise InputError(
                    self.path,
                    ends,
                    expected="a whole video",
                    advice="copy it again, or keep what is there with --keep-partial",
                )
            log.warning("%s: %s; the rest is missing", self.path, ends)
        if self.decode_errors:
            log.warning("%s: %d packets could not be decoded", self.path, self.decode_errors)


def open_video(path: Path, *, keep_partial: bool = False) -> Video:
    """Look into a video file.

    Raises InputError where it is missing, empty, no media file, holds no video stream, or pictures too large.
    """
    with open_container(path) as container:
        if not container.streams.video:
            kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
            raise InputError(
                path, f"holds {' and '.join(kinds)} only", expected="a video stream", advice="name a video file"
            )
        stream = container.streams.video[0]
        if stream.width * stream.height > _HIGHEST_PIXEL_COUNT:
            raise InputError(
                path,
                f"has pictures of {stream.width}x{stream.height}",
                expected=f"at most {_HIGHEST_PIXEL_COUNT} pixels",
                advice="scale it down first",
            )
        # Everything needed later is copied now: a closed container answers with garbage.
        rate = Fraction(stream.average_rate) if stream.average_rate else None
        duration = clock.to_microseconds(stream.duration, stream.time_base) if stream.duration else None
    return Video(path, rate, duration, keep_partial)


def _anew(path: Path) -> str:
    return f"write it anew: ffmpeg -i {path.name} -fps_mode vfr new.mp4"
