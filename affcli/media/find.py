"""From the paths a user gives to clips with names."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from affcli.errors import InputError

VIDEO_ENDINGS = (
    *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)
SOUND_ENDINGS = (
    *(".aac", ".ac3", ".aif", ".aiff", ".flac", ".m4a", ".mka", ".mp3"),
    *(".oga", ".ogg", ".opus", ".wav", ".weba", ".wma"),
)


@dataclass(frozen=True)
class Source:
    """A clip and the file it comes from."""

    clip: str
    path: Path


def sources(paths: Iterable[Path], *, sound: bool = False) -> list[Source]:
    """The videos that `paths` name: files as they are, directories searched to their depths, `-` a list on stdin.

    With `sound`, files of sound alone are found in directories too.  Raises InputError where a directory or the list
    holds no video, and where two files would become one clip.
    """
    endings = (*VIDEO_ENDINGS, *SOUND_ENDINGS) if sound else VIDEO_ENDINGS
    named = [one for path in paths for one in (_listed() if str(path) == "-" else [path])]
    files = [file for path in named for file in (_files_below(path, endings) if _is_directory(path) else [path])]
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


Person = Literal["main", "left", "right", "not-left", "not-right"]


@dataclass(frozen=True)
class Labelled:
    """One label file's clip: its video, and who in it the labels are of."""

    clip: str  # stem of the label file
    source: Source
    person: Person


@dataclass(frozen=True)
class Matches:
    """Which label files are of which videos, and what is left over of both."""

    labelled: list[Labelled]  # by video, in the order of the videos, then by name
    without_video: list[str]  # stems of label files, by name
    without_labels: list[Source]  # in the order of the videos

    def of(self, source: Source) -> list[Labelled]:
        """The label files of one video."""
        return [one for one in self.labelled if one.source == source]


def match_labels(found: Iterable[Source], stems: Iterable[str]) -> Matches:
    """Match videos with label files, given by their stems: `X`, `X_left` and `X_right` are all of video `X`.

    Only a trailing `_left` or `_right` is a person, and none where a video has the whole name: `X_left.mp4` is the
    video of `X_left`.  A plain `X` is of the main person, or, beside one of the two alone, of whoever is not that one.
    """
    videos = {source.clip: source for source in found}
    people: dict[str, list[Labelled]] = {clip: [] for clip in videos}
    lost = []
    for stem in sorted(set(stems)):
        clip, person = _person(stem) if stem not in videos else (stem, "main")
        if clip in videos:
            people[clip].append(Labelled(stem, videos[clip], person))
        else:
            lost.append(stem)
    for each in people.values():
        if len(sides := {one.person for one in each} - {"main"}) == 1:
            other: Person = "not-left" if sides == {"left"} else "not-right"
            each[:] = [replace(one, person=other) if one.person == "main" else one for one in each]
    labelled = [one for each in people.values() for one in each]
    return Matches(labelled, lost, [videos[clip] for clip, each in people.items() if not each])


class SoundFiles:
    """The sound files of a directory, which stand in for the sound tracks of videos of the same names.

    Raises InputError where it is no directory or holds no sound file.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        if not _is_directory(directory):
            found = "is no directory" if directory.exists() else "does not exist"
            raise InputError(directory, found, expected="a directory of sound files", advice="check --audio")
        self._named: dict[str, list[Path]] = {}
        for file in _files_below(directory, SOUND_ENDINGS):
            self._named.setdefault(file.stem, []).append(file)

    def of(self, clip: str, video: str) -> Path:
        """The file of a clip, or else of its whole video: each person may have had a microphone of their own.

        Raises InputError where there is none, and where there are several of one name.
        """
        names = list(dict.fromkeys([clip, video]))
        for name in names:
            if len(files := self._named.get(name, [])) > 1:
                raise InputError(
                    files[0],
                    f"and {files[1]} are both sound of '{name}'",
                    expected="one",
                    advice="take one of them out",
                )
            if files:
                return files[0]
        raise InputError(
            self._directory / f"{clip}.wav",
            "does not exist",
            expected=f"a file named {' or '.join(names)} that ends in one of {' '.join(SOUND_ENDINGS)}",
            advice="add it, or run without --audio for this video",
        )


def _person(stem: str) -> tuple[str, Person]:
    """A label file's video and person, as its name says."""
    sides: tuple[Person, Person] = ("left", "right")
    for side in sides:
        if stem.endswith(f"_{side}"):
            return stem.removesuffix(f"_{side}"), side
    return stem, "main"


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


def _files_below(directory: Path, endings: tuple[str, ...]) -> list[Path]:
    found = sorted(
        path
        for path in directory.rglob("*")
        if path.suffix.lower() in endings and not path.name.startswith(".") and not path.is_dir()
    )
    if not found:
        kinds = [
            name for name, some in (("video", VIDEO_ENDINGS), ("sound", SOUND_ENDINGS)) if set(some) & set(endings)
        ]
        raise InputError(
            directory,
            f"holds no {' and no '.join(kinds)}",
            expected=f"files that end in {' '.join(endings)}",
            advice="check the directory, or name the files themselves",
        )
    return found
