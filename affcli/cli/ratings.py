"""Several annotators' ratings of the same clips, brought together."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from affcli.cli.own_tables import PREDICTED
from affcli.cli.progress import Line
from affcli.errors import InputError, SchemaError, UsageError, some

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.labels.affect import Affect


def read_ratings(sources: list[Path], clip: str | None) -> dict[str, dict[str, Affect]]:
    """Each annotator's clips by name; annotators in order of name, so that the order of arguments means nothing.

    Raises UsageError where there is one annotator alone, two have one name, or it is not said which clip a file rates;
    InputError and SchemaError as `read_affect` does.
    """
    from affcli.labels.affect import distinct
    from affcli.labels.files import TABLE
    from affcli.labels.read import read_affect

    found: dict[str, dict[str, Affect]] = {}
    unnamed = False
    for path in sources:
        whole = path.resolve() if path.name in ("", "..") else path  # not always: a link's name is what was typed
        name = whole.name if path.is_dir() else whole.name.removesuffix(TABLE).removesuffix(whole.suffix)
        if name in found:
            raise UsageError(
                path,
                f"is a second annotator '{name}'",
                expected="a name of its own for each",
                advice="rename the directory or file",
            )
        affects = read_affect(path)
        for one in affects:
            if (one.recipe or {}).get("step") in PREDICTED:
                raise SchemaError(
                    one.source,
                    "holds predictions",
                    expected="what an annotator said",
                    advice="to average predictions of several networks, use affcli predict --with",
                )
        if not affects[0].named:
            unnamed = True
            if clip is None:
                raise UsageError(
                    path,
                    "does not say which clip was rated",
                    expected="--clip NAME, or a column clip, or a directory of files named after clips",
                    advice="add --clip NAME",
                )
            affects = [dataclasses.replace(affects[0], clip=clip)]
        found[name] = {one.clip: one for one in distinct(affects)}
    if clip is not None and not unnamed:
        raise UsageError(f"--clip {clip}", "has no use: every file names its clips", advice="leave it out")
    if len(found) < 2:
        raise UsageError(sources[0], "is one annotator alone", expected="two or more", advice="name the others too")
    return dict(sorted(found.items()))


@dataclass(frozen=True, eq=False)
class RatedClip:
    """One clip, and who rated it how."""

    name: str
    values: NDArray[np.float64]  # (m, n, 2), NaN where not rated
    time_us: NDArray[np.int64] | None  # (n,)
    timed_by_rate: bool
    sources: dict[str, str]  # the file of each annotator who rated it


def rated_clips(ratings: dict[str, dict[str, Affect]], rate: str | None, *, needs_times: bool) -> list[RatedClip]:
    """Every clip that anybody rated, by name.

    Raises SchemaError where annotators rated another number of frames, or at other times; UsageError where times are
    needed and lack, or a rate is given that no clip needs.
    """
    import numpy as np

    from affcli.cli.times import exact_rate

    exact = exact_rate(rate) if rate else None
    names = sorted({name for clips in ratings.values() for name in clips})
    by_clip = {name: {who: clips[name] for who, clips in ratings.items() if name in clips} for name in names}
    clips = [_clip(name, rated, [*ratings], exact) for name, rated in by_clip.items()]
    if untimed := [one.name for one in clips if one.time_us is None and needs_times]:
        raise UsageError(
            "--delay",
            f"needs the times of frames, which are not told of {some(untimed)}",
            expected="--rate FPS, or affect tables with times",
            advice="add --rate",
        )
    if rate and not any(one.timed_by_rate for one in clips):
        raise UsageError(f"--rate {rate}", "has no use: every clip has its times", advice="leave it out")
    if all(np.isnan(one.values).all() for one in clips):
        raise InputError("RATINGS", "have no annotated frame", expected="valence and arousal", advice="check the files")
    return clips


def _clip(name: str, rated: dict[str, Affect], annotators: list[str], rate: Fraction | None) -> RatedClip:
    import numpy as np

    from affcli.clock import frame_times

    first = next(iter(rated.values()))
    times = [one for one in rated.values() if one.time_us is not None]
    for one in rated.values():
        if len(one) != len(first):
            raise SchemaError(
                one.source,
                f"clip '{name}' has {len(one)} frame{'s' * (len(one) != 1)}",
                expected=f"{len(first)} as in {first.source}",
                advice="bring all ratings to the frames of the video",
            )
    for one in times:
        if not np.array_equal(one.time_us, times[0].time_us):  # type: ignore[arg-type]
            raise SchemaError(
                one.source,
                f"clip '{name}' has frames at other times",
                expected=f"those of {times[0].source}",
                advice="bring all ratings to the frames of the video",
            )
    values = np.full((len(annotators), len(first), 2), np.nan)
    for k, who in enumerate(annotators):
        if who in rated:
            values[k] = np.stack([rated[who].valence, rated[who].arousal], axis=-1)
    known = times[0].time_us if times else frame_times(len(first), rate) if rate else None
    return RatedClip(name, values, known, not times and rate is not None, {who: a.source for who, a in rated.items()})


def found_delays(clips: list[RatedClip], annotators: list[str]) -> list[float]:
    """How much later than the earliest each annotator reacts, in seconds; shows whose turn it is meanwhile."""
    from affcli import gold

    line, times = Line(), [one.time_us for one in clips if one.time_us is not None]
    found = gold.delays(
        [one.values for one in clips], times, lambda turn, k: line.show(f"delays: turn {turn}, {annotators[k]}")
    )
    line.clear()
    return found
