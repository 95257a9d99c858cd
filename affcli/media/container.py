"""Opening local media files and decoding one stream of them, damage included."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from affcli import clock
from affcli.errors import InputError


def open_container(path: Path) -> Any:
    """The PyAV container of a local media file.

    Raises InputError where it is missing, a directory, empty, or nothing that FFmpeg reads.
    """
    if not path.exists():
        raise InputError(path, "does not exist", advice="check the path")
    if not path.is_file():
        found = "is a directory" if path.is_dir() else "is no regular file"
        raise InputError(path, found, expected="a media file", advice="name a file")
    if path.stat().st_size == 0:
        raise InputError(path, "is empty", expected="a media file", advice="copy it again")
    try:
        # Only local files: a playlist in disguise must not reach the network.  The path is absolute because FFmpeg
        # takes what stands before a colon in a relative one for a protocol.
        return av.open(str(path.absolute()), options={"protocol_whitelist": "file"})
    except PermissionError as error:
        raise InputError(path, "must not be read", advice="mend its permissions") from error
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise InputError(
            path,
            "cannot be opened as video or audio (truncated, or no media file)",
            expected="a container that FFmpeg reads",
            advice="check that it plays, or copy it again",
        ) from error


def last_packet_us(path: Path) -> int:
    """Time at which the last packet of any stream of a media file is over, us; where it breaks off, as far as it goes.

    Nothing is decoded.  Raises InputError as `open_container` does.
    """
    end_us = 0
    with open_container(path) as container, contextlib.suppress(av.error.FFmpegError):
        for packet in container.demux():
            if packet.pts is not None:
                over = packet.pts + (packet.duration or 0)
                end_us = max(end_us, clock.to_microseconds(over, packet.time_base))
    return end_us


class Decoder:
    """Decodes one stream packet by packet, so that a damaged packet costs its own frames and no others.

    A plain decoding loop stops at the first damaged packet, and frame threads lose the end of a truncated file.
    `errors` counts the packets that could not be decoded; `broken` says that the file itself breaks off.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self._container = container
        self._stream = stream
        stream.codec_context.thread_count = 1
        self.errors = 0
        self.broken = False

    def __iter__(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:
                self.broken = True
                yield from self._decode(None)  # what the decoder still holds
                return
            if packet is None:
                return
            yield from self._decode(packet)

    def _decode(self, packet: Any) -> list[Any]:
        try:
            return list(self._stream.codec_context.decode(packet))
        except av.error.FFmpegError:
            self.errors += 1
            return []
