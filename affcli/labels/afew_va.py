"""Labels of AFEW-VA: a JSON file per clip, valence and arousal of every frame, whole numbers from -10 to 10.

`{"video_id": "001", "frames": {"00000": {"valence": 2.0, "arousal": -3.0, ...}, ...}}`; frames are counted from 0, as
the pictures beside the file are.  Kossaifi et al., "AFEW-VA database for valence and arousal estimation in-the-wild",
Image and Vision Computing 65, 2017, https://doi.org/10.1016/j.imavis.2017.02.001.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from affcli.errors import InputError
from affcli.labels.affect import DIMENSIONS
from affcli.labels.foreign import FrameLabels
from affcli.labels.scales import Scale, Scales, on_scale
from affcli.labels.sheets import read_text_file

SCALES = dict.fromkeys(DIMENSIONS, Scale(-10.0, 10.0))
_EXPECTED = 'JSON with {"frames": {"00000": {"valence": ..., "arousal": ...}, ...}}, as AFEW-VA has it'


def read_afew_va(path: Path, scales: Scales = SCALES) -> FrameLabels:
    """The clip of a file, named as the file is.

    Raises InputError, with the line or the frame, where it is no JSON of this form, or a value is not on its scale.
    """
    text = read_text_file(path, _EXPECTED)
    try:
        content = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}, line {error.lineno}",
            f"is no JSON ({error.msg})",
            expected=_EXPECTED,
            advice="check that it is whole",
        ) from error
    except (_TwiceError, RecursionError, ValueError) as error:
        found = f"holds '{error}' twice" if isinstance(error, _TwiceError) else "is nested too deeply"
        if isinstance(error, ValueError):  # Python reads no whole number of more than 4,300 digits
            found = f"holds a number that cannot be read ({str(error)[:60]})"
        raise InputError(path, found, expected=_EXPECTED, advice="check how it was made") from error
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, dict) or not frames:
        raise InputError(path, "has no frames", expected=_EXPECTED, advice="name the files of labels alone")
    numbers = [_number(key, path) for key in frames]
    if min(numbers) == 1:
        raise InputError(
            path, "counts its frames from 1", expected="frame 00000 first", advice="subtract 1 from every number"
        )
    if len(set(numbers)) < len(numbers):
        twice = next(number for number in sorted(numbers) if numbers.count(number) > 1)
        raise InputError(path, f"has frame {twice} twice", expected="each once", advice="keep one of them")
    values = {
        name: [_value(frames[key], name, scales, f"{path}, frame '{key}'") for key in frames] for name in DIMENSIONS
    }
    return FrameLabels(
        path.stem, path, np.array(numbers, np.int64), np.array(values["valence"]), np.array(values["arousal"])
    )


class _TwiceError(Exception):
    """A name that stands twice in one JSON object, of which Python would silently keep the last."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise _TwiceError(name)
        made[name] = value
    return made


def _number(key: str, path: Path) -> int:
    if not re.fullmatch(r"\d{1,7}", key, re.ASCII):
        raise InputError(
            path, f"has a frame '{key[:40]}'", expected="numbers, 00000 first", advice="check how it was made"
        )
    return int(key)


def _value(frame: Any, name: str, scales: Scales, subject: str) -> float:
    """The valence or arousal of one frame, -1 to 1."""
    value = frame.get(name) if isinstance(frame, dict) else None
    # A whole number in JSON can be larger than any float; NaN is not below anything.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise InputError(
            subject, f"{name} is {json.dumps(value)[:40]}", expected="a number", advice="mend it, or remove the frame"
        )
    return on_scale(float(value), name, scales, subject)
