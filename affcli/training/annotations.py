"""What the frames of clips are annotated with, laid end to end over all clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from affcli.errors import SchemaError

if TYPE_CHECKING:
    from affcli.training.data import ClipData


def joined_labels(clips: Sequence[ClipData]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Valence and arousal (n, 2) and annotated frames (n,) of all clips.

    Raises SchemaError where labels of annotated frames are not finite or not in [-1, 1].
    """
    for one in clips:
        bad = one.labelled & ~(np.abs(one.labels) <= 1).all(axis=-1)
        if bad.any():
            frame = int(np.argmax(bad))
            valence, arousal = one.labels[frame]
            raise SchemaError(
                f"labels of clip {one.name}",
                f"valence {valence:g} and arousal {arousal:g} in frame {frame}",
                expected="numbers from -1 to 1 in every frame that is marked valid",
                advice="import the labels again: affcli import-labels",
            )
    return (
        np.concatenate([one.labels for one in clips]).astype(np.float32),
        np.concatenate([one.labelled for one in clips]),
    )


def joined_expression(clips: Sequence[ClipData]) -> NDArray[np.int8] | None:
    """The class of expression of all frames (n,), -1 where not annotated; None where it is known of no clip.

    Raises SchemaError where a clip has classes of more or fewer frames, or below -1.
    """
    if all(one.expression is None for one in clips):
        return None
    parts = []
    for one in clips:
        part = np.full(one.frames, -1, np.int8) if one.expression is None else one.expression
        subject = f"expression labels of clip {one.name}"
        _check_shape(subject, part, (one.frames,))
        _check_values(subject, part, part < -1, "classes from 0, or -1 where not annotated")
        parts.append(part)
    return np.concatenate(parts)


def joined_action_units(clips: Sequence[ClipData]) -> NDArray[np.int8] | None:
    """The action units of all frames (n, u), 0 or 1, -1 where not annotated; None where they are known of no clip.

    Raises SchemaError where a clip has those of more or fewer frames, more or fewer units than the first clip that has
    any, or other values.
    """
    known = [one.action_units for one in clips if one.action_units is not None]
    if not known:
        return None
    units = known[0].shape[1]
    parts = []
    for one in clips:
        part = np.full((one.frames, units), -1, np.int8) if one.action_units is None else one.action_units
        subject = f"action units of clip {one.name}"
        _check_shape(subject, part, (one.frames, units))
        _check_values(subject, part, (part < -1) | (part > 1), "0 or 1, or -1 where not annotated")
        parts.append(part)
    return np.concatenate(parts)


def _check_shape(subject: str, part: NDArray[np.int8], shape: tuple[int, ...]) -> None:
    if part.shape != shape:
        raise SchemaError(
            subject,
            f"are of shape {part.shape}",
            expected=f"{shape}: a row for each frame, as many columns in every clip",
            advice="import the labels of all clips again from the same files: affcli import-labels",
        )


def _check_values(subject: str, part: NDArray[np.int8], wrong: NDArray[np.bool_], expected: str) -> None:
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0].tolist())
        raise SchemaError(
            subject,
            f"{part[place]} in frame {place[0]}",
            expected=expected,
            advice="import the labels again: affcli import-labels",
        )
