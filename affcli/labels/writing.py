"""Labels written as other data sets have them: the other way from `affcli.labels.formats`, in files that it reads.

A function makes the text of one file; the formats with values at times of their own are in `writing_times`.  Values of
affect, -1 to 1, are brought to the scale of the format, and written as `number` does.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affcli.clips import file_name
from affcli.errors import InputError
from affcli.files import replacing
from affcli.labels import multitask
from affcli.labels.affect import DIMENSIONS, EXPRESSIONS, UNKNOWN, Affect
from affcli.labels.affwild2 import NOT_ANNOTATED
from affcli.labels.categories import ACTION_UNIT_HEADERS, expression_text
from affcli.labels.scales import UNIT, Scale, Scales

_UNIT, _NOT_ANNOTATED = UNIT[DIMENSIONS[0]], f"{NOT_ANNOTATED:g}"

# What a line of OMG-Emotion says, in its order; we know of no link, of no times in a longer video, and of no votes.
OMG_HEADER = ("link", "start", "end", "video", "utterance", *reversed(DIMENSIONS), "EmotionMaxVote")
_ALONE = "utterance_1"  # of a clip whose name is not VIDEO_UTTERANCE


def number(value: float, scale: Scale, missing: str = "") -> str:
    """A value of affect as it is written on `scale`; `missing` for NaN.

    As few decimals as are read back as the same value, of 13 to 15 after the first digit of the scale's width; where
    rounding leaves none that are, all, which are read back to within 1e-15.  Never an exponent, which not all know.
    """
    if math.isnan(value):
        return missing
    exact = scale.from_affect(value)
    if exact == value:
        return plain(exact)
    first = 13 - math.floor(math.log10(scale.high - scale.low))
    for decimals in range(first, first + 3):
        near = round(exact, decimals)
        if scale.low <= near <= scale.high and scale.to_affect(near) == value:
            return plain(near)
    return plain(exact)


def plain(value: float) -> str:
    """A finite number as short as it is read back exactly, without an exponent."""
    text = repr(value)
    return text if "e" not in text else format(Decimal(text), "f")


def classes_text(affect: Affect, count: int = len(EXPRESSIONS)) -> str:
    """The Aff-Wild2 file of expressions of one clip, of the first `count` classes.

    Raises InputError where a frame is of another class.
    """
    numbers = classes_of(affect, ("expression",))[:, 0]
    if (numbers >= count).any():
        raise InputError(
            f"{affect.source}, clip '{affect.clip}'",
            f"has frames of class {EXPRESSIONS[int(numbers.max())]}",
            expected=f"the classes {', '.join(EXPRESSIONS[:count])}",
            advice="--drop-other writes them as not annotated, --classes 8 keeps them",
        )
    return expression_text(numbers, count)


def action_unit_text(affect: Affect, units: Sequence[str] = ACTION_UNIT_HEADERS[1]) -> str:
    """The Aff-Wild2 file of action units of one clip; of a unit that the clip does not have, nothing is annotated."""
    rows = classes_of(affect, units).tolist()
    return "\n".join((",".join(units).upper(), *(",".join(map(str, row)) for row in rows))) + "\n"


def multitask_text(clips: Sequence[Affect]) -> str:
    """The one file of multi-task labels: a line for every frame of the clips that has any label, in their order.

    The expression, action units that `multitask.UNITS` names, and valence and arousal are each written by themselves;
    what lacks is -5, -5, -1 or -1.  Raises InputError where a clip's name cannot stand in a line.
    """
    parts = [f"{multitask.HEADER}\n"]
    for affect in clips:
        clip = cell_name(affect, ",")
        classes = classes_of(affect, ("expression", *multitask.UNITS))
        known = (classes != UNKNOWN).any(axis=1) | ~np.isnan(affect.valence) | ~np.isnan(affect.arousal)
        different, places = np.unique(classes[known], axis=0, return_inverse=True)
        ends = [",".join(map(str, numbers)) for numbers in different.tolist()]
        curves = (
            [number(value, _UNIT, _NOT_ANNOTATED) for value in values[known].tolist()]
            for values in (affect.valence, affect.arousal)
        )
        rows = zip(np.flatnonzero(known).tolist(), *curves, places.reshape(-1).tolist(), strict=True)
        parts.append(
            "".join(
                f"{clip}/{frame + 1:05d}.jpg,{valence},{arousal},{ends[place]}\n"
                for frame, valence, arousal, place in rows
            )
        )
    return "".join(parts)


def afew_va_text(affect: Affect, scales: Scales) -> str:
    """The JSON of one clip: every frame with both valence and arousal, counted from 0.

    Raises InputError where frame 1 is the first of them, since such a file says that it counts from 1; ValueError where
    there is none.
    """
    frames = np.flatnonzero(affect.valid).tolist()
    if not frames:
        raise ValueError(f"clip {affect.clip} has no labels")
    if frames[0] == 1:
        raise InputError(
            affect.source,
            f"clip '{affect.clip}' has labels of frame 1, but none of frame 0",
            expected="labels of frame 0, without which a reader of AFEW-VA takes the frames for counted from 1",
            advice="label frame 0, or choose another --format",
        )
    columns = [[number(value, scales[name]) for value in getattr(affect, name)[frames].tolist()] for name in DIMENSIONS]
    lines = [
        f'    "{frame:05d}": {{"valence": {valence}, "arousal": {arousal}}}'
        for frame, valence, arousal in zip(frames, *columns, strict=True)
    ]
    head = f'{{\n  "video_id": {json.dumps(affect.clip)},\n  "frames": {{'
    return "\n".join((head, ",\n".join(lines), "  }", "}")) + "\n"


def omg_text(clips: Sequence[Affect], scales: Scales) -> str:
    """The one file of utterances: a line for every clip, with the mean of each dimension over its annotated frames.

    A clip VIDEO_UTTERANCE is that utterance of that video; a name without `_` becomes the first utterance of a video of
    that name.  Raises InputError where a clip's name, or a part of it, cannot stand in a cell, or where two clips would
    be one utterance.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(OMG_HEADER)
    places: dict[tuple[str, str], str] = {}
    for affect in clips:
        video, utterance = omg_place(cell_name(affect))
        for part in (video, utterance):
            _check_cell(affect, part)
        if (other := places.setdefault((video, utterance), affect.clip)) != affect.clip:
            raise InputError(
                affect.source,
                f"clips '{other}' and '{affect.clip}' are both {utterance} of the video {video}",
                expected="names VIDEO_UTTERANCE",
                advice="rename one of them",
            )
        means = {name: number(mean(getattr(affect, name)), scales[name]) for name in DIMENSIONS}
        known = {"video": video, "utterance": f"{utterance}.mp4", **means}
        writer.writerow([known.get(name, "") for name in OMG_HEADER])
    return text.getvalue()


def omg_place(clip: str) -> tuple[str, str]:
    """The video and the utterance (without ending) that `omg.read_omg` makes the clip's name of, where it can."""
    found = re.fullmatch(r"(.+)_(utterance_\d+)|(.+)_(.+)", clip, re.ASCII)  # the data set's own, or any other
    if not found:
        return clip, _ALONE
    return (found[1], found[2]) if found[1] else (found[3], found[4])


def mean(values: NDArray[np.float64]) -> float:
    """The mean of the values (n,) that are known, exactly theirs where all are equal; NaN where none is."""
    known = values[~np.isnan(values)]
    if not len(known) or known.min() == known.max():
        return float(known[0]) if len(known) else math.nan
    return math.fsum(known.tolist()) / len(known)


def cell_name(affect: Affect, forbidden: str = "") -> str:
    """The clip's name, which is to stand in a cell.

    Raises InputError where it cannot be a file's name either, holds one of the `forbidden` characters, or is not what
    readers make of such a cell, of which they take blanks and quotes away.
    """
    clip = file_name(affect.clip)
    _check_cell(affect, clip, forbidden)
    return clip


def _check_cell(affect: Affect, text: str, forbidden: str = "") -> None:
    """Raise InputError where `text`, the clip's name or a part of it, is not what readers make of a cell of it."""
    if set(text) & set(forbidden) or text != text.strip() or text[0] == text[-1] == "'":
        raise InputError(
            affect.source,
            f"clip {affect.clip!r} cannot stand in a line of this format",
            expected=f"a name without {' or '.join((*forbidden, 'blanks and quotes around it'))}",
            advice="rename it, or choose another --format",
        )


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all.  Raises OutputError where it cannot be written."""
    with replacing(path) as file:
        file.write(text.encode())


def classes_of(affect: Affect, columns: Sequence[str]) -> NDArray[np.int8]:
    """Expression and action units by the names of `columns`: int8 (n, len(columns)), -1 where nothing is known."""
    held = affect.classes()
    nothing = np.full(len(affect), UNKNOWN, np.int8)
    return np.stack([held.get(name, nothing) for name in columns], axis=1)


def known_classes(clips: Sequence[Affect]) -> Mapping[str, list[str]]:
    """Of `expression` and of each action unit that is annotated in any frame, the clips in which it is."""
    found: dict[str, list[str]] = {}
    for affect in clips:
        for name, values in affect.classes().items():
            if (values != UNKNOWN).any():
                found.setdefault(name, []).append(affect.clip)
    return found
