"""Folds for cross-validation: clips that belong together, dealt out so that each fold has about as many frames.

Pure Python.  Fold i is held out while its run is trained on all the others, so that every clip is predicted by a
network that has seen neither it nor what it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from affcli import windows
from affcli.errors import UsageError, some


def groups(clips: Mapping[str, windows.Clip], by: Literal["video", "subject"]) -> dict[str, list[str]]:
    """Clips that may not be in two folds, by the name of their group; groups and clips in order of name.

    By "video", the two people of one stay together.  By "subject", so do all clips of a person: a group is a connected
    component of "same video or same subject" (`windows.by_subject`), so that no person and no video is in two folds.

    `clips` are those that take part, which the caller chooses: the train and val clips with labels, and no test clip.
    Raises UsageError where subjects are asked for and it is not known who is seen in a clip.
    """
    names = sorted(clips)
    if by == "video":
        return dict(sorted(windows.by_video(names).items()))
    if unknown := [name for name in names if clips[name].subject is None]:
        raise UsageError(
            "--group subject",
            f"the windows do not say who is seen in {some(unknown)}",
            expected="a subject for every clip",
            advice="cut them again: affcli window --subjects FILE.csv",
        )
    subjects = {name: clip.subject for name, clip in clips.items() if clip.subject is not None}
    return dict(sorted(windows.by_subject(names, subjects).items()))


def assign(groups: Mapping[str, list[str]], frames: Mapping[str, int], count: int, seed: int) -> list[list[str]]:
    """The clips of each of `count` folds, in order of name; every clip of `groups` is in exactly one.

    Groups are taken in the order of their hashes with the seed, those of more frames first as far as their number of
    binary digits differs; each goes to the fold that has the fewest frames so far, by `frames`, which says how many to
    count for each clip.  So every seed deals otherwise, and folds are nearly even: of 60 clips of a video data set the
    largest has about 1.01 times the mean, and never more than 2 - 1 / count times that of the most even deal (Graham
    1966, Bounds for Certain Multiprocessing Anomalies).  The result does not depend on the order of groups or clips,
    and no fold is empty.

    Raises UsageError where there are fewer than two folds, or fewer groups than folds.
    """
    if count < 2:
        raise UsageError(
            f"--folds {count}",
            "leaves nothing to train on",
            expected="2 or more",
            advice="ask for more, or leave the option out",
        )
    if len(groups) < count:
        raise UsageError(
            f"--folds {count}",
            f"has {len(groups)} group{'s' * (len(groups) != 1)} of clips to deal out, which stay together by video or "
            "subject",
            expected=f"{count} or more",
            advice="ask for fewer folds" if len(groups) > 1 else "add clips, or leave the option out",
        )
    sizes = {name: sum(frames[clip] for clip in clips) for name, clips in groups.items()}
    folds: list[list[str]] = [[] for _ in range(count)]
    held = [0] * count
    for name in sorted(windows.seeded_order(groups, seed), key=lambda name: -sizes[name].bit_length()):
        # By clips too: an empty fold comes before one whose clips have no frame.
        least = min(range(count), key=lambda fold: (held[fold], len(folds[fold])))
        folds[least] += groups[name]
        held[least] += sizes[name]
    return [sorted(fold) for fold in folds]
