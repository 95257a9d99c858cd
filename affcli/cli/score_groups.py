"""The groups of clips that a windows table tells `affcli score`: splits, and people."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from affcli.errors import AffcliError, InputError, SchemaError, some

log = logging.getLogger(__name__)


def groups_of(path: Path, column: str) -> dict[str, str]:
    """The split of each clip, or the subject where it is known, as the windows table at `path` tells them.

    Raises as `tables.read_header` does, and SchemaError where it tells nothing of its clips.
    """
    from affcli.headers import read_kind
    from affcli.schemas import WINDOWS

    try:
        header = read_kind(path, WINDOWS)
    except AffcliError as error:
        if not path.is_file():
            raise
        raise SchemaError(
            path, error.found, expected="a windows table", advice="name the table that affcli window wrote"
        ) from error
    clips = header.facts.get("clips")
    if not isinstance(clips, dict) or not all(isinstance(clip, dict) for clip in clips.values()):
        raise SchemaError(path, "does not tell its clips", expected="a windows table", advice="make it again")
    return {name: clip[column] for name, clip in clips.items() if isinstance(clip.get(column), str)}


def required_groups(path: Path, column: str, labelled: Sequence[str]) -> dict[str, str]:
    """`groups_of`, with one for every one of the annotated clips.  Raises InputError where one has none."""
    found = groups_of(path, column)
    lacking = [clip for clip in labelled if clip not in found]
    if lacking:
        advice = "cut the windows with --subjects" if column == "subject" else "name the table that holds these clips"
        raise InputError(
            path,
            f"tells no {column} of {len(lacking)} annotated clip{'s' * (len(lacking) != 1)}: {some(lacking)}",
            expected=f"the {column} of every clip of the ground truth",
            advice=f"{advice}, or leave out --by",
        )
    return found


def subjects(windows: Path, by: str | None, labelled: Sequence[str]) -> dict[str, str] | None:
    """Who is seen in each annotated clip, where the windows tell it of all of them; else says that they do not.

    Windows that tell of nobody are nothing to speak of where they are there for `by`.  Raises InputError where the
    windows have none of these clips.
    """
    if not groups_of(windows, "split").keys() & {*labelled}:
        raise InputError(
            windows,
            f"has none of the annotated clips: {some(labelled)}",
            expected="windows of these clips",
            advice="name the table that was cut of them",
        )
    found = groups_of(windows, "subject")
    lacking = [clip for clip in labelled if clip not in found]
    if lacking and (found or by is None):
        log.warning(
            "%s tells no subject of %d of %d clips, so that clips are drawn, not people: cut it with --subjects",
            *(windows, len(lacking), len(labelled)),
        )
    return None if lacking else found
