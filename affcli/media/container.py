"""Opening local media files and decoding one stream of them, damage included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from affcli.errors import InputError


def open_container(path: Path) -> Any:
    """The PyAV container of a local media file.

    Raises InputError where it is missing, a directory, empty, or nothing that FFmpeg reads.
    """
    if not path.exists():
        raise InputError(path, "does not exist", advice="check the path")
    if path.is_dir():
        raise InputError(path, "is a directory", expected="a media file", advice="name a file in it")
    if path.stat().st_size == 0:
        raise InputError(path, "is empty", expected="a media file", advice="copy it again")
    try:
        # Only local files: a playlist in disguise must not reach the network.
        return av.open(str(path), options={"protocol_whitelist": "file"})
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise InputError(
            path,
            "cannot be opened as video or audio (truncated, or no media file)",
            expected="a container that FFmpeg reads",
            advice="check that it plays, or copy it again",
        ) from error


class Decoder:
    """Decodes one stream packet by packet, so that a damaged packet costs its own frames and no others.

    A plain decoding loop stops at the first damaged packet, and frame threads lose the end of a truncated file.
    `errors` counts the packets that could not be decoded.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self._container = container
        self._stream = stream
        stream.codec_context.thread_count = 1
        self.errors = 0

    def __iter__(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:
                self.errors += 1  # the file itself breaks off here: nothing can follow
                return
            if packet is None:
                return
            try:
                decoded = packet.decode()
            except av.error.FFmpegError:
                self.errors += 1
                continue
            yield from decoded
