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
from affcli.errors import InputError, some
from affcli.media.container import Decoder, last_packet_us, open_container
from affcli.media.planes import Picture, bytes_per_pixel

log = logging.getLogger(__name__)

# How much of the stated duration may be missing before the file counts as cut short.  Where only the whole file's
# duration is stated, it may be that of longer sound.
_MISSING_OF_STREAM_US = 500_000
_MISSING_OF_FILE_US = 2_000_000

_MOST_PIXELS = 8192 * 8192


@dataclass(frozen=True)
class Frame:
    """One decoded frame."""

    index: int
    time_us: int
    corrupt: bool
    picture: Picture = field(repr=False)

    @property
    def width(self) -> int:
        """px, upright."""
        return self.picture.width

    @property
    def height(self) -> int:
        """px, upright."""
        return self.picture.height

    @property
    def rotation(self) -> int:
        """Degrees by which the stored picture is turned, counter-clockwise, to be upright: 0, 90, 180 or 270."""
        return 90 * self.picture.turns

    def image(self) -> NDArray[np.uint8]:
        """The whole upright picture, (height, width, 3) uint8 RGB."""
        return self.picture.whole()


@dataclass
class Video:
    """A video file that can be decoded from its beginning, as often as needed.

    After the first pass, `decoded` counts its frames, `decode_errors` the packets that could not be decoded, and
    `partial` says that its end is missing.
    """

    path: Path
    rate: Fraction | None  # the container's average rate: a hint, to be checked against the times
    base_rate: Fraction | None  # the lowest rate at which all times can stand, as the container's reader guesses it
    time_base: Fraction  # what the container counts time in, s
    duration_us: int | None  # as the container states it
    stated_frames: int  # as the container states it; 0 where it does not
    tolerance_us: int  # of the duration
    picture_bytes: int  # of a decoded picture, as the container states its size
    file_end_us: int | None = None  # when the whole file ends, where only that is stated
    keep_partial: bool = False
    decoded: int | None = None
    decode_errors: int = 0
    partial: bool = False

    @property
    def expected_frames(self) -> int | None:
        """How many frames to expect, for a progress bar; None where the container does not say enough."""
        if self.decoded is not None or self.rate is None or self.duration_us is None:
            return self.decoded
        return round(self.rate * self.duration_us / clock.MICROSECONDS)

    def constant_rate(self, time_us: NDArray[np.int64]) -> Fraction | None:
        """The frame rate where the (n,) times agree with it, to the rounding of the container's time base.

        An edit or a late end spoils the average rate that a container states, for frames that are quite regular.
        """
        tolerance_us = clock.to_microseconds(1, self.time_base / 2) + 1
        rates = (clock.constant_rate(time_us, rate, tolerance_us) for rate in (self.rate, self.base_rate))
        return next((rate for rate in rates if rate is not None), None)

    def frames(self, *, only_times: bool = False) -> Iterator[Frame]:
        """Every decoded frame; with `only_times` sooner, its picture not fit to be seen.

        Raises InputError where nothing can be decoded, where a frame's time is not after the one before, and where
        the stream ends well before its stated end (unless `keep_partial`), or elsewhere than in an earlier pass.
        """
        count, damaged, end_us, first_us, last_us = 0, 0, 0, None, None
        size, changes = None, list[str]()
        with open_container(self.path) as container:
            stream = container.streams.video[0]
            decoder = Decoder(container, stream)
            if only_times:
                # The last step of decoding a picture, on which neither its being there, its time nor its damage hangs.
                stream.codec_context.options = {"skip_loop_filter": "all"}
            for decoded, ticks in _timed(decoder, container.format.name, stream):
                time_us = self._time(count, ticks, decoded.time_base or self.time_base, last_us)
                if count == self.decoded:
                    raise self._changed("more")
                if decoded.width * decoded.height > _MOST_PIXELS:
                    raise _too_large(self.path, decoded.width, decoded.height)
                first_us = time_us if first_us is None else first_us
                last_us = time_us
                end_us = time_us - first_us + clock.to_microseconds(decoded.duration or 0, self.time_base)
                damaged += decoded.is_corrupt
                picture = Picture(decoded)
                if size not in (None, (picture.width, picture.height)):
                    changes.append(f"from {size[0]}x{size[1]} to {picture.width}x{picture.height} at frame {count}")
                size = (picture.width, picture.height)
                yield Frame(count, time_us, bool(decoded.is_corrupt), picture)
                count += 1
        if self.decoded is None:
            self._account(count, damaged, end_us, decoder)
            if changes:
                log.warning("%s: its pictures change %s", self.path, some(changes))
        elif count < self.decoded:
            raise self._changed("fewer")

    def _time(self, number: int, ticks: int | None, time_base: Fraction, last_us: int | None) -> int:
        if ticks is None:
            raise InputError(self.path, f"frame {number} has no timestamp", advice=_anew(self.path))
        time_us = clock.to_microseconds(ticks, time_base)
        if last_us is not None and time_us <= last_us:
            raise InputError(
                self.path,
                f"frame {number} is at {time_us / 1e6:.3f} s, after one at {last_us / 1e6:.3f} s",
                expected="times that increase",
                advice=_anew(self.path),
            )
        return time_us

    def _longer_sound(self) -> bool:
        """Whether the file's stated duration is that of something else in it, which goes on to that end."""
        return self.file_end_us is not None and last_packet_us(self.path) >= self.file_end_us - self.tolerance_us

    def _changed(self, amount: str) -> InputError:
        return InputError(
            self.path, f"has {amount} frames than a moment ago", advice="leave the file alone and run again"
        )

    def _account(self, count: int, damaged: int, end_us: int, decoder: Decoder) -> None:
        """Compare what was decoded with what the container stated, and say every difference."""
        if count == 0:
            raise InputError(self.path, "holds no frame that can be decoded", advice="check that it plays")
        stated_us = self.duration_us or 0
        lost_us = stated_us - end_us
        self.decoded, self.decode_errors = count, decoder.errors
        self.partial = decoder.broken or (lost_us > self.tolerance_us and not self._longer_sound())
        of = f" of {stated_us / 1e6:.2f} s" if stated_us else ""
        ends = f"ends at {end_us / 1e6:.2f} s{of}, after {count} frames"
        if self.partial and not self.keep_partial:
            raise InputError(
                self.path,
                ends,
                expected="a whole video",
                advice="copy it again, or keep what is there with --keep-partial",
            )
        if self.partial:
            log.warning("%s: %s; the rest is missing", self.path, ends)
        elif lost_us > 2 * end_us // count:
            log.warning("%s: %s", self.path, ends)
        if self.stated_frames not in (0, count):
            level = logging.WARNING if decoder.errors else logging.INFO
            log.log(level, "%s: the container states %d frames, %d were decoded", self.path, self.stated_frames, count)
        if decoder.errors or damaged:
            log.warning(
                "%s: %d packets could not be decoded, %d frames are damaged", self.path, decoder.errors, damaged
            )


def _timed(decoder: Decoder, container: str, stream: Any) -> Iterator[tuple[Any, int | None]]:
    """Decoded frames with their times in ticks of the stream.

    AVI knows no presentation times, and what FFmpeg guesses for reordered frames is out of order.  The times at which
    frames leave the decoder are in order: they are counted from the first frame's, and go on by whole frames for those
    that are left in the decoder at the end.
    """
    if container != "avi":
        yield from ((decoded, decoded.pts) for decoded in decoder)
        return
    period = max(1, round(1 / (stream.average_rate * stream.time_base))) if stream.average_rate else 1
    start = stream.start_time or 0
    first = last = None
    for decoded in decoder:
        ticks = decoded.dts if decoded.dts is not None else (0 if last is None else last + period)
        first = ticks if first is None else first
        last = ticks
        yield decoded, ticks - first + start


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
        if stream.codec_context is None:
            raise InputError(
                path,
                "holds video in a coding that FFmpeg does not know",
                expected="video that can be decoded",
                advice="write it anew, in H.264 for instance, with the program that made it",
            )
        if stream.width * stream.height > _MOST_PIXELS:
            raise _too_large(path, stream.width, stream.height)
        # Everything needed later is copied now: a closed container answers with garbage.
        duration, tolerance, file_end = None, 0, None
        if stream.duration:
            duration, tolerance = clock.to_microseconds(stream.duration, stream.time_base), _MISSING_OF_STREAM_US
        elif container.duration:
            start_us = clock.to_microseconds(stream.start_time or 0, stream.time_base) - (container.start_time or 0)
            duration, tolerance = container.duration - start_us, _MISSING_OF_FILE_US
            file_end = (container.start_time or 0) + container.duration
        return Video(
            path,
            Fraction(stream.average_rate) if stream.average_rate else None,
            Fraction(stream.base_rate) if stream.base_rate else None,
            Fraction(stream.time_base),
            duration,
            stream.frames,
            tolerance,
            stream.width * stream.height * bytes_per_pixel(str(stream.codec_context.pix_fmt or "")),
            file_end,
            keep_partial,
        )


def _too_large(path: Path, width: int, height: int) -> InputError:
    return InputError(
        path,
        f"has pictures of {width}x{height}",
        expected=f"at most {_MOST_PIXELS} pixels",
        advice="scale it down first",
    )


def _anew(path: Path) -> str:
    return f"the file may be damaged: copy it again, or write it anew with ffmpeg -i {path.name} -fps_mode vfr new.mp4"
