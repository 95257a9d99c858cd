"""Clips whose features and labels do not fit together, and what is done about them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from affcli.errors import AffcliError, InputError, SchemaError, some

if TYPE_CHECKING:
    from affcli.cli.featuresets import FeatureFile, Found
    from affcli.labels.affect import Affect

log = logging.getLogger(__name__)


def misfits(found: Found, labels: dict[str, Affect], advice: str, tolerance: int = 0) -> dict[str, AffcliError]:
    """The clips that cannot be cut into windows, each with what is wrong: a broken or missing part, differing frames.

    Up to `tolerance` label rows more or fewer than frames are not wrong.  `advice` is for what does not fit together.
    """
    wrong = {}
    for clip in found.clips:
        if error := found.broken.get(clip) or _misfit(clip, found.features, labels.get(clip), advice, tolerance):
            wrong[clip] = error
    return wrong


def _misfit(
    clip: str, features: dict[str, dict[str, FeatureFile]], labels: Affect | None, advice: str, tolerance: int
) -> AffcliError | None:
    have = [files[clip] for files in features.values() if clip in files]
    first, n = have[0], len(have[0].valid)
    lacking = [f"{name} features" for name, files in features.items() if clip not in files]
    if lacking:
        found = f"its clip '{clip}' has no {' and no '.join(lacking)}"
        return InputError(first.path, found, expected="every part of every clip", advice=advice)
    for one in have[1:]:
        if len(one.valid) != n:
            expected = f"{n} as in {first.path}"
            return SchemaError(one.path, f"{len(one.valid)} frames of clip '{clip}'", expected=expected, advice=advice)
    if labels is not None and abs(len(labels) - n) > tolerance:
        more = f", or up to {tolerance} more or fewer (--tolerance {tolerance})" if tolerance else ""
        return SchemaError(
            labels.source,
            f"{len(labels)} frames of clip '{clip}'",
            expected=f"{n} as in {first.path}{more}",
            advice="check that they are of the same video, allow for it with --mismatch crop or pad and --tolerance, "
            "or pass --mismatch drop to go on without such clips",
        )
    for one in have[1:]:
        if not (one.time_us == first.time_us).all():
            found = f"frame times of clip '{clip}' differ from {first.path}"
            return SchemaError(one.path, found, expected="features of the same video file", advice=advice)
    return None


def usable(found: Found, labels: dict[str, Affect], mismatch: str, tolerance: int) -> dict[str, int]:
    """The clips that can be cut, by name, and how many frames of each; what is done about the others is said.

    `mismatch` is "error", "drop", or one of `scoring.ALIGN`: then clips with up to `tolerance` label rows more or fewer
    than frames are used.  Raises the first thing that is wrong, and InputError where every clip is dropped.
    """
    from affcli.scoring import ALIGN

    go_on = "pass --mismatch drop to go on without such clips"
    wrong = misfits(found, labels, f"make what is wrong again, or {go_on}", tolerance if mismatch in ALIGN else 0)
    if wrong and mismatch != "drop":
        first = next(iter(wrong.values()))
        also = f" (and {len(wrong) - 1} more such: {some(list(wrong)[1:])})" if len(wrong) > 1 else ""
        advice = first.advice if "--mismatch" in first.advice else f"{first.advice}, or {go_on}"
        raise type(first)(first.subject, first.found + also, expected=first.expected, advice=advice)
    for clip, error in wrong.items():
        wanted = f", expected {error.expected}" if error.expected else ""
        log.warning("clip %s dropped: %s: %s%s", clip, error.subject, error.found, wanted)
    frames = {clip: len(next(iter(found.features.values()))[clip].valid) for clip in found.clips if clip not in wrong}
    if not frames:
        raise InputError(
            "--mismatch drop",
            f"dropped all {len(found.clips)} clips",
            expected="one clip whose features and labels fit",
            advice="check that features and labels are of the same videos",
        )
    if idle := sorted(set(labels) - set(found.clips)):
        log.warning("labels without features, not used: %s", some(idle))
    return {clip: _aligned(clip, n, labels.get(clip), mismatch) for clip, n in frames.items()}


def _aligned(clip: str, n: int, labels: Affect | None, align: str) -> int:
    """How many of the `n` frames of a clip to use, and a warning where the labels have more or fewer rows."""
    rows = n if labels is None else len(labels)
    if rows == n:
        return n
    over = abs(rows - n)
    last = f"the last {over} " if over > 1 else "the last "
    if rows > n:
        done = f"{last}label row{'s' * (over > 1)} left out"
    else:
        done = f"{last}frame{'s' * (over > 1)} {'left out' if align == 'crop' else 'taken as not annotated'}"
    log.warning("clip %s: %d label rows for %d frames: %s", clip, rows, n, done)
    return min(n, rows) if align == "crop" else n
