"""Aff-Wild2 label files (the ABAW challenges): one text file per subject, one `valence,arousal` line per frame.

Line k after the header is frame k - 1.  A frame without annotation is written `-5,-5`.  The files of the other tasks
look alike, and are told apart by their headers:

* expressions: a header of class names, one integer a line;
* action units: a header `AU1,AU2,...`, zeros and ones;
* multi-task: a header `image,valence,arousal,expression,aus` over longer lines, frames not contiguous;
* submissions since ABAW5: a header `image_location,valence,arousal`, one file for all subjects.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError
from affcli.files import replacing
from affcli.labels.affect import DIMENSIONS, EXPRESSIONS, LOW, Affect

HEADER = ("valence", "arousal")
NOT_ANNOTATED = -5.0  # as the files write it; anything below the scale means the same

log = logging.getLogger(__name__)


def refuse_other_tasks(subject: str, header: Sequence[str]) -> None:
    """Raise InputError where `header` (lower case) is that of an Aff-Wild2 file without per-frame affect."""
    if set(header) & {"image", "image_location"} and "frame" not in header:
        raise InputError(
            subject,
            "names its frames by pictures, as multi-task labels and challenge submissions do",
            expected="a column frame, or one line per frame of one clip",
            advice="affcli import-labels makes affect tables of multi-task labels"
            if "expression" in header
            else "write clip,frame,valence,arousal (the picture's number - 1 is the frame)",
        )
    if len({name.lower() for name in EXPRESSIONS} & set(header)) > 1:
        task, option = "expression labels", "--expressions"
    elif any(name.startswith("au") and name[2:].isdigit() for name in header):
        task, option = "action unit labels", "--action-units"
    else:
        return
    raise InputError(
        subject,
        f"holds {task}",
        expected="valence,arousal in the first line",
        advice="name the directory of the valence-arousal set (VA_Set or VA_Estimation_Challenge); "
        f"affcli import-labels takes this one by {option}",
    )


def require_header(subject: str, header: Sequence[str]) -> None:
    """Raise InputError where `header` is not exactly that of a valence-arousal label file."""
    refuse_other_tasks(subject, header)
    if tuple(header) != HEADER:
        raise InputError(
            subject,
            f"begins with '{','.join(header)[:80]}'",
            expected="valence,arousal in the first line, since .txt is read as an Aff-Wild2 label file",
            advice="give it the ending .csv if it is CSV with more columns",
        )


def write_labels(path: Path, valence: NDArray[np.float64], arousal: NDArray[np.float64]) -> None:
    """Write a label file: (n,) each, -1 to 1; frames that lack either (NaN) are written as not annotated.

    Raises OutputError where it cannot be written.
    """
    with replacing(path) as file:
        file.write(label_text(valence, arousal).encode("ascii"))


def label_text(valence: NDArray[np.float64], arousal: NDArray[np.float64]) -> str:
    """What `write_labels` writes."""
    lines = [",".join(HEADER)]
    for pair in zip(valence.tolist(), arousal.tolist(), strict=True):
        lines.append("-5,-5" if any(map(math.isnan, pair)) else ",".join(map(repr, pair)))
    return "\n".join(lines) + "\n"


def mark(affect: Affect) -> Affect:
    """`affect` with values below -1 as NaN.

    Anything but the -5 that label files write may be a prediction that overshot, so it is said in a warning.
    """
    valence, arousal = (_known(affect, name, getattr(affect, name)) for name in DIMENSIONS)
    return dataclasses.replace(affect, valence=valence, arousal=arousal)


def _known(affect: Affect, name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    below = values < LOW
    odd = np.flatnonzero(below & (values != NOT_ANNOTATED))
    if len(odd):
        log.warning(
            "%s: %s below -1 is taken as not annotated in %d of %d frames (first: clip '%s', frame %d, %s)",
            *(affect.source, name, len(odd), len(affect), affect.clip, odd[0], values[odd[0]]),
        )
    return np.where(below, np.nan, values)
