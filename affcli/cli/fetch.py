"""Bringing weights into the cache: the only place of this program that speaks to the network.

What is brought is known by its size and SHA-256, whatever it is called and wherever it comes from; nothing else gets
into the cache.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from affcli.cli.progress import Line
from affcli.errors import AssetError
from affcli.files import aside, explained, open_aside, replacing
from affcli.weights import WEIGHTS, cached_path

_LARGEST = 1 << 30  # bytes of a download: several times the largest zip that holds weights of ours
_PIECE = 1 << 20
_TIMEOUT = 60.0  # seconds without an answer
LICENCE_FILE = "licence.json"


def bring(name: str, source: str, accepted: dict[str, str]) -> Path:
    """Put the weights `name` into the cache, from a file or an https address: the bare file, or a zip that holds it.

    `accepted` says how their licence was accepted; it is kept beside them.
    Raises AssetError where they cannot be had or are not the right ones, OutputError where the cache cannot be written.
    """
    target = cached_path(name)
    if is_address(source):
        room = target.parent.parent  # a zip may not fit where temporary files are
        with explained(room):
            room.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=room) as file:
                for piece in _download(name, source):
                    file.write(piece)
                content = _right_content(name, source, file)
    else:
        content = _from_file(name, source)
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_aside(target) as written:
            try:
                written.write(content)
                written.flush()
                with replacing(target.with_name(LICENCE_FILE)) as record:
                    record.write((json.dumps(accepted, indent=2, ensure_ascii=False) + "\n").encode())
                aside(target).replace(target)
            finally:
                aside(target).unlink(missing_ok=True)
    return target


def is_address(source: str) -> bool:
    """Whether a source is an address rather than a path."""
    return "://" in source


def _from_file(name: str, source: str) -> bytes:
    try:
        with Path(source).open("rb") as file:
            return _right_content(name, source, file)
    except OSError as error:
        raise AssetError(
            source,
            f"cannot be read ({error.strerror})",
            expected=f"{WEIGHTS[name].file}, or a zip that holds it",
            advice="check the path",
        ) from error


def _right_content(name: str, source: str, file: IO[bytes]) -> bytes:
    """The weights `name` out of a bare file or a zip.  Raises AssetError where it holds no such bytes."""
    wanted = WEIGHTS[name]
    found = []
    for content in _candidates(source, file, wanted.size):
        digest = hashlib.sha256(content).hexdigest()
        if len(content) == wanted.size and digest == wanted.sha256:
            return content
        found.append(f"{len(content)} bytes with SHA-256 {digest[:12]}...")
    raise AssetError(
        source,
        f"holds {found[0] if found else f'no file of {wanted.size} bytes'}",
        expected=f"{wanted.file}: {wanted.size} bytes with SHA-256 {wanted.sha256[:12]}...",
        advice=f"get it from {wanted.url}",
    )


def _candidates(source: str, file: IO[bytes], size: int) -> Iterator[bytes]:
    """The bare file, or one by one what in a zip has the right size; never more than that is unpacked."""
    if not zipfile.is_zipfile(file):
        file.seek(0)
        head = file.read(size + 1)
        if len(head) > size:
            raise AssetError(
                source,
                f"is no zip, or not a whole one, and larger than {size} bytes",
                expected="the bare file, or a zip that holds it",
                advice="fetch it again",
            )
        yield head
        return
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if entry.file_size == size:
                    with archive.open(entry) as member:
                        yield member.read(size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise AssetError(
            source, f"is a damaged zip ({error})", expected="a whole one", advice="fetch it again"
        ) from error


def _download(name: str, address: str) -> Iterator[bytes]:
    """What is at an https address, and only there, piece by piece.  Raises AssetError where it cannot be had."""

    def refuse(reason: object) -> AssetError:
        return AssetError(
            address,
            f"cannot be fetched ({reason})",
            expected=f"{WEIGHTS[name].file}, or a zip that holds it",
            advice=f"try again, or fetch it by other means and run: affcli models pull {name} --from FILE",
        )

    line = Line()
    received = 0
    try:
        with _opener().open(address, timeout=_TIMEOUT) as answer:
            length = answer.headers.get("Content-Length", "")
            stated = int(length) if length.isdigit() else None
            while piece := answer.read(_PIECE):
                received += len(piece)
                if max(received, stated or 0) > _LARGEST:
                    raise refuse(f"it is larger than {_LARGEST} bytes")
                of = f" of {stated / 1e6:.1f}" if stated else ""
                line.show(f"{name}: {received / 1e6:.1f}{of} MB")
                yield piece
    except urllib.error.HTTPError as error:
        raise refuse(f"{error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise refuse(getattr(error.reason, "strerror", None) or error.reason) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise refuse(str(error) or type(error).__name__) from error
    finally:
        line.clear()
    if stated is not None and received != stated:
        raise refuse(f"it ended after {received} of {stated} bytes")


def _opener() -> urllib.request.OpenerDirector:
    """Speaks https, through the proxy of the environment; a redirection to anything else fails."""
    opener = urllib.request.OpenerDirector()
    proxies = {scheme: proxy for scheme, proxy in urllib.request.getproxies().items() if scheme == "https"}
    for handler in (
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
