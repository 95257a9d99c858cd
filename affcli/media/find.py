"""From the paths a user gives to clips with names."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from affcli.errors import InputError

VIDEO_ENDINGS = (
    *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)


@dataclass(frozen=True)
class Source:
    """A clip and the file it comes from."""

    clip: str
    path: Path


def sources(paths: Iterable[Path]) -> list[Source]:
    """The videos that `paths` name: files as they are, directories searched to their depths, `-` a list on stdin.

    Raises InputError where a directory or the list holds no video, and where two files would become one clip.
    """
    named = [one for path in paths for one in (_listed() if str(path) == "-" else [path])]
    files = [file for path in named for file in (_videos_below(path) if _is_directory(path) else [path])]
    found: dict[str, Source] = {}
    for file in files:
        one = Source(file.stem, file)
        other = found.setdefault(one.clip, one)
        if other.path.resolve() != file.resolve():
            raise InputError(
                file,
                f"and {other.path} are both clip '{one.clip}'",
                expected="one video for each name",
                advice="rename one of them, or write them to different directories",
            )
    return list(found.values())


def _listed() -> list[Path]:
    lines = [line for line in sys.stdin.read().splitlines() if line.strip()]
    if not lines:
        raise InputError(
            "-", "lists no video", expected="a path on each line of stdin", advice="check what comes before the pipe"
        )
    return [Path(line) for line in lines]


def _is_directory(path: Path) -> bool:
    """Whether the system knows it as a directory.  Raises InputError for what can be no path at all."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False  # said when the clip's turn comes
    except (OSError, ValueError) as error:
        raise InputError(
            repr(str(path)[:80]), f"cannot be a path ({error})", advice="separate paths with line ends"
        ) from error


def _videos_below(directory: Path) -> list[Path]:
    videos = sorted(
        path
        for path in directory.rglob("*")
        if path.suffix.lower() in VIDEO_ENDINGS and not path.name.startswith(".") and not path.is_dir()
    )
    if not videos:
        raise InputError(
            directory,
            "holds no video",
            expected=f"files that end in {' '.join(VIDEO_ENDINGS)}",
            advice="check the directory, or name the files themselves",
        )
    return videos
