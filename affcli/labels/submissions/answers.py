"""What predictions answer to a submission: a value for every frame that it asks for, filled in where there is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError, SchemaError, UsageError, some
from affcli.labels.affect import DIMENSIONS, HIGH, LOW, UNKNOWN, Affect, distinct, origin, require_affect
from affcli.labels.filling import MISSING, filled
from affcli.labels.submissions.form import Form
from affcli.labels.submissions.sample import Sample, Wanted


@dataclass(frozen=True)
class Counts:
    """How many rows were filled in, and values clipped; how many of those rows are past the end, and of how many clips.

    The end is that of the predictions of a clip.
    """

    filled: int
    clipped: int
    past: int
    clips_past: int


@dataclass(frozen=True, eq=False)
class _Asked:
    """One clip: its form, the frames that are asked for, int (k,), and its predictions."""

    form: Form
    frames: NDArray[np.integer]
    affect: Affect


def answer_sample(
    sample: Sample, clips: Sequence[Affect], missing: str = "error"
) -> tuple[NDArray[np.float64], Counts]:
    """The values of the rows of a sample, float64 (n, columns); and what was done to them.

    `missing` says what a frame without a prediction gets: "error" refuses; "hold" the prediction before it (the first
    one, where none is before); "interpolate" the straight line between its neighbours, by frame number, and the nearest
    prediction at the ends (of classes the nearest prediction everywhere, of two the earlier); "zero" 0, which is the
    class Neutral and an action unit that is absent.  What is predicted of frames that no row asks for helps to fill;
    frames past the last one of a clip are filled in as others are.
    Valence and arousal are clipped to [-1, 1].

    Raises InputError where a clip, a kind of prediction or (with "error") a frame lacks, and where a class is none of
    the sample's; SchemaError where (with "error") a clip has fewer frames than the sample asks for; UsageError for an
    unknown `missing`.
    """
    rows = sample.rows_of_clips()
    by_name = _by_name(clips)
    asked_of = {clip: sample.frame[at] for clip, at in zip(sample.clips, rows, strict=True)}
    lengths = {clip: int(frames[-1]) + 1 for clip, frames in asked_of.items()}
    _require_clips(by_name, lengths, sample.source, missing)
    _require_affect(clips, [sample.form])
    asked = [_Asked(sample.form, frames, by_name[clip]) for clip, frames in asked_of.items()]
    answers, counts = _answer(asked, missing)
    values = np.empty((len(sample), len(sample.form.columns)))
    for at, answered in zip(rows, answers, strict=True):
        values[at] = answered
    return values, counts


def answer_clips(
    wanted: Sequence[Wanted], clips: Sequence[Affect], source: str, missing: str = "error"
) -> tuple[list[NDArray[np.float64]], Counts]:
    """The values of every frame of each clip that is wanted, float64 (frames, columns); otherwise as `answer_sample`.

    `source` names, in messages, what says how many frames there are.
    """
    by_name = _by_name(clips)
    _require_clips(by_name, {one.clip: one.frames or 0 for one in wanted}, source, missing)
    _require_affect(clips, [one.form for one in wanted])
    asked = []
    for one in wanted:
        affect = by_name[one.clip]
        asked.append(_Asked(one.form, np.arange(len(affect) if one.frames is None else one.frames), affect))
    return _answer(asked, missing)


def _by_name(clips: Sequence[Affect]) -> dict[str, Affect]:
    return {affect.clip: affect for affect in distinct(clips)}


def _require_clips(clips: dict[str, Affect], frames: dict[str, int], source: str, missing: str) -> None:
    """Raise where a clip is not predicted, or, with "error", has fewer frames than are asked for (0 is any number)."""
    read_from = origin(clips.values())
    lacking = [clip for clip in frames if clip not in clips]
    if lacking:
        counts = [f"{clip} (0 of {frames[clip]} frames)" if frames[clip] else clip for clip in lacking]
        raise InputError(
            read_from,
            f"lacks {len(lacking)} of {len(frames)} clips: {some(counts)}",
            expected=f"every clip of {source}",
            advice=f"predict them; clips are matched by name (predicted: {some(clips) or 'none'})",
        )
    short = [clip for clip, count in frames.items() if len(clips[clip]) < count]
    if short and missing == "error":
        others = f" (and {len(short) - 1} other clip{'s' * (len(short) > 2)} too few)" if len(short) > 1 else ""
        raise SchemaError(
            clips[short[0]].source or read_from,
            f"clip '{short[0]}' has {len(clips[short[0]])} frames{others}",
            expected=f"{frames[short[0]]}, as {source} asks for",
            advice="predict every decoded frame: affcli probe tells how many there are; or --missing hold, interpolate "
            "or zero fills in what is past the end",
        )


def _require_affect(clips: Sequence[Affect], forms: Sequence[Form]) -> None:
    """Raise where valence and arousal alone are asked for, and no clip has any."""
    if all(form.task == "va" for form in forms):
        require_affect(clips, origin(clips))


def _answer(asked: Sequence[_Asked], missing: str) -> tuple[list[NDArray[np.float64]], Counts]:
    if missing not in MISSING:
        raise UsageError(f"missing={missing}", "is unknown", expected=", ".join(MISSING), advice="choose one")
    past = [int(np.count_nonzero(one.frames >= len(one.affect))) for one in asked]
    asked = [_lengthened(one) for one in asked]
    every = [_curves(one.affect, one.form) for one in asked]
    lacking = [np.isnan(curves[one.frames]).any(axis=1) for one, curves in zip(asked, every, strict=True)]
    count = sum(int(at.sum()) for at in lacking)
    if count and missing == "error":
        at = next(i for i, lacks in enumerate(lacking) if lacks.any())
        one = asked[at]
        raise InputError(
            one.affect.source or "predictions",
            f"{count} of {sum(map(len, lacking))} frames that are asked for have no prediction "
            f"(first: clip '{one.affect.clip}', frame {one.frames[np.argmax(lacking[at])]})",
            expected="a value for every row",
            advice="--missing hold, interpolate or zero fills them",
        )
    clipped = 0
    for i, one in enumerate(asked):
        curves = _filled_clip(one, every[i], missing) if lacking[i].any() else every[i]
        rows = curves[one.frames]
        numbers = rows[:, : one.form.numbers]
        clipped += int(np.count_nonzero((numbers < LOW) | (numbers > HIGH)))
        np.clip(numbers, LOW, HIGH, out=numbers)
        every[i] = rows
    return every, Counts(count, clipped, sum(past), sum(map(bool, past)))


def _lengthened(one: _Asked) -> _Asked:
    """A clip that has every frame that is asked for, those past its end without a prediction."""
    length = int(one.frames.max(initial=-1)) + 1
    return one if length <= len(one.affect) else dataclasses.replace(one, affect=one.affect.resized(length))


def _filled_clip(one: _Asked, curves: NDArray[np.float64], missing: str) -> NDArray[np.float64]:
    found = []
    for name, column in zip(one.form.columns, curves.T, strict=True):
        try:
            found.append(filled(column, missing, classes=name not in DIMENSIONS))
        except ValueError as error:
            what = "" if one.form.task in ("va", "expr") else f" of {name}"
            raise InputError(
                one.affect.source or "predictions",
                f"clip '{one.affect.clip}' has no prediction{what} at all",
                expected=f"something to {missing}",
                advice="predict it, or use --missing zero",
            ) from error
    return np.stack(found, axis=1)


def _curves(affect: Affect, form: Form) -> NDArray[np.float64]:
    """The columns of a form, (frames, columns), NaN where not predicted."""
    classes = affect.classes()
    absent = [name for name in form.columns if name not in (*DIMENSIONS, *classes)]
    if absent:
        raise InputError(
            affect.source or "predictions",
            f"clip '{affect.clip}' has no {some(absent)}",
            expected=f"the column{'s' * (len(form.columns) > 1)} {some(form.columns)}",
            advice="predict with a network that has learnt them",
        )
    curves = np.empty((len(affect), len(form.columns)))
    for place, name in enumerate(form.columns):
        if name in DIMENSIONS:
            curves[:, place] = getattr(affect, name)
            continue
        values, highest = classes[name], form.highest_of(name)
        if (values > highest).any():
            frame = int(np.argmax(values > highest))
            of = f" of {name}" if len(form.columns) > 1 else ""
            raise InputError(
                affect.source or "predictions",
                f"clip '{affect.clip}' has class {values[frame]}{of} in frame {frame}",
                expected=f"0 to {highest}, the classes that the first line of the sample names",
                advice="predict with a network of these classes",
            )
        curves[:, place] = np.where(values == UNKNOWN, np.nan, values)
    return curves
