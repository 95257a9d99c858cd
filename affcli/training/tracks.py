"""Tracks of people's faces: which are held out, and the windows they are validated on.  Pure NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from affcli.training.data import WindowedClips
from affcli.windows import seeded_order


def held_out(tracks: Mapping[str, Sequence[str]], share: float, seed: int) -> dict[str, set[str]]:
    """The tracks of each person that are held out, from the names of all: round(share n) of n, at least 1 of them.

    They are the first in an order that depends on the seed, the person's and the track's name alone, so that more
    people change nothing.  One track of each person is always left.  Raises ValueError where a person has fewer than
    two tracks, or the share is none.
    """
    fewest = min(map(len, tracks.values()))
    if not 0 < share < 1 or fewest < 2:
        raise ValueError(f"a share of {share} of {fewest} tracks or more, expected 0 to 1 of at least 2")
    held = {}
    for person, names in tracks.items():
        ordered = seeded_order([f"{person}/{name}" for name in names], seed)
        count = min(max(1, round(share * len(names))), len(names) - 1)
        held[person] = {name.removeprefix(f"{person}/") for name in ordered[:count]}
    return held


def apart(windows: WindowedClips) -> WindowedClips:
    """Those of the windows that share no frame: of each clip the first, then the next that begins after its end.

    `windows` are in the order of clips and frames, as `valid_windows` gives them.
    """
    end, clip = 0, -1
    keep: NDArray[np.bool_] = np.zeros(len(windows), np.bool_)
    for place, (here, start, length) in enumerate(zip(windows.clip, windows.start, windows.length, strict=True)):
        if here != clip or start >= end:
            keep[place], clip, end = True, here, start + length
    return WindowedClips(
        windows.clips,
        windows.clip[keep],
        windows.start[keep],
        windows.length[keep],
        windows.standardisation,
        windows.sight,
    )
