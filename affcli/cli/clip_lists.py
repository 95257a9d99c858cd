"""What users write down about clips: a list of those to hold out, and who is seen in each."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from affcli.errors import InputError, some

log = logging.getLogger(__name__)

_ALIKE = {"person": "subject"}  # names of one column


def listed(path: Path | None, known: list[str], mismatch: str) -> set[str] | None:
    """The clips that `path` names: one a line, or a file each; endings of video and label files are taken off.

    Raises InputError where it cannot be read, where it names none of the clips `known`, and, unless `mismatch` is
    "drop", where it names others.
    """
    if path is None:
        return None
    ending = _ending()
    try:
        if path.is_dir():
            lines = [file.name for file in path.iterdir() if ending.search(file.name)]
        else:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            path, f"cannot be read ({error})", expected="a list of clips, one a line", advice="check the path"
        ) from error
    names = {ending.sub("", line.strip()) for line in lines if not line.startswith(".")} - {""}
    unknown = sorted(names - set(known))
    if unknown and mismatch != "drop":
        raise InputError(
            path,
            f"names clips that have no features: {some(unknown)}",
            expected=f"names such as {known[0]}",
            advice="correct it, make their features, or pass --mismatch drop to go on without such clips",
        )
    if unknown:
        log.warning("%s: names clips that have no features, not used: %s", path, some(unknown))
    if not names & set(known):
        raise InputError(path, "names no clip", expected="one clip a line", advice="fill it, or leave the option out")
    return names


def listed_subjects(
    path: Path, known: list[str], used: list[str], what: str = "subject", lack: str = "features"
) -> dict[str, str]:
    """Who is seen in each of the clips `used`, which are among the clips `known`, as the CSV file `path` says.

    Messages call whoever is seen `what`, "subject" or "person"; the column may have either name.  Clips that are not
    `known` have no `lack`.

    A line names a clip or, where no clip has that name, a video: then it is of all its people.  Endings of video and
    label files are taken off.  That other names are not used is said.  Raises InputError where the file cannot be
    read, where two lines say different things of a clip, and where a clip that is used is in none.
    """
    from affcli.windows import by_video

    ending, named = _ending(), dict[str, tuple[str, int]]()
    for line, cell, subject in _rows(path, what):
        clip = ending.sub("", cell)
        other, before = named.setdefault(clip, (subject, line))
        if other != subject:
            raise InputError(
                f"{path}, line {line}",
                f"says that '{subject}' is seen in '{clip}', and line {before} that '{other}' is",
                expected=f"one {what} for each clip",
                advice="correct one of them; the people of one video have clips of their own",
            )
    videos, clips = by_video(known), set(known)
    found = {clip: subject for clip, (subject, _) in named.items() if clip in clips}
    for video, (subject, _) in named.items():
        for clip in videos.get(video, ()) if video not in clips else ():
            found.setdefault(clip, subject)
    if unknown := sorted(named.keys() - clips - videos.keys()):
        log.warning("%s: names clips that have no %s, not used: %s", path, lack, some(unknown))
    if unnamed := [clip for clip in used if clip not in found]:
        raise InputError(
            path,
            f"does not say who is seen in {some(unnamed)}",
            expected="a line for each clip",
            advice=f"add a line such as {unnamed[0]},{what.upper()}",
        )
    return {clip: found[clip] for clip in used}


def _ending() -> re.Pattern[str]:
    """What is taken off a name: the ending of a video or label file."""
    from affcli.labels.files import TABLE, TEXTS
    from affcli.media.find import VIDEO_ENDINGS

    return re.compile(f"({'|'.join(map(re.escape, (TABLE, *TEXTS, *VIDEO_ENDINGS)))})$", re.IGNORECASE)


def _rows(path: Path, what: str) -> Iterator[tuple[int, str, str]]:
    """Each line's number, clip and subject; empty lines are passed over.  Raises InputError at the first wrong one."""
    expected, columns = f"CSV with the columns clip,{what}, a line for each clip", {"clip": "clip", "subject": what}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            path, f"cannot be read ({error})", expected=expected, advice="check the path, and save it as UTF-8"
        ) from error
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        written = [cell.strip().lower() for cell in next(reader, [])]
        header = [_ALIKE.get(cell, cell) for cell in written]
        for name, called in columns.items():
            if header.count(name) != 1:
                raise InputError(
                    path,
                    f"has {header.count(name) or 'no'} column{'s' * (header.count(name) > 1)} '{called}' in line 1 "
                    f"('{','.join(written)[:80]}')",
                    expected=expected,
                    advice=f"put the line clip,{what} at the top, and commas between its cells",
                )
        for cells in reader:
            if not "".join(cells).strip():
                continue
            where = f"{path}, line {reader.line_num}"
            if len(cells) != len(header):
                found, wanted = f"has {len(cells)} cell{'s' * (len(cells) != 1)}", f"{len(header)} as in line 1"
                raise InputError(where, found, expected=wanted, advice="complete or correct the line")
            clip, subject = (cells[header.index(name)].strip() for name in columns)
            if not clip or not subject:
                found = f"names no {what if clip else 'clip'}"
                raise InputError(where, found, expected=f"a clip and its {what}", advice="fill in the cell")
            yield reader.line_num, clip, subject
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}", f"is no CSV ({error})", expected=expected, advice="check its quotes"
        ) from error
