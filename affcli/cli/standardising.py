"""What the features of an imported network were standardised with: fitted on windows, nothing, or read from a file."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from affcli.errors import InputError, SchemaError, UsageError, some

if TYPE_CHECKING:
    from affcli.cli.windowed import Index
    from affcli.training.data import Standardisation
    from affcli.windows import FeatureSet, Part


def scaling_file(text: str) -> Path:
    """The file of --standardisation.  Raises UsageError where it is neither a file's name nor one of the words."""
    if not text.endswith(".npz"):
        raise UsageError(
            f"--standardisation {text}",
            "is not what it takes",
            expected="windows, none, or the name of an .npz file",
            advice="correct it, or leave the option out",
        )
    return Path(text)


def read(path: Path, sets: Mapping[str, FeatureSet]) -> Standardisation:
    """Mean and deviation of every feature set, (d,) each, from the arrays ENCODER.mean and ENCODER.std of an .npz file.

    Raises InputError where it cannot be read, SchemaError that lists what is missing, of another width, not finite, or
    no deviation above 0.
    """
    import numpy as np

    from affcli.training.data import Standardisation
    from affcli.training.keras_file import read_arrays

    expected = f"ENCODER.mean and ENCODER.std of {', '.join(f'{name} ({one.width},)' for name, one in sets.items())}"
    advice = "write it with numpy.savez"
    try:
        arrays = read_arrays(path)
    except InputError as error:
        raise InputError(path, error.found, expected=expected, advice=f"check the path, or {advice}") from error
    found = Standardisation({}, {})
    problems = []
    for (name, one), kind in itertools.product(sets.items(), ("mean", "std")):
        key = f"{name}.{kind}"
        if key not in arrays:
            problems.append(f"{key} is missing")
        elif arrays[key].shape != (one.width,):
            problems.append(f"{key} is {arrays[key].shape}")
        elif arrays[key].dtype.kind not in "fiu":
            problems.append(f"{key} is {arrays[key].dtype}")
        else:
            with np.errstate(over="ignore"):  # an infinity is said below
                values = arrays[key].astype(np.float32)
            if wrong := np.flatnonzero(~np.isfinite(values) | ((kind == "std") & ~(values > 0))).tolist():
                problems.append(f"{key} is {arrays[key][wrong[0]]} in column {wrong[0]}")
            getattr(found, kind)[name] = values
    if problems:
        raise SchemaError(path, some(problems), expected=f"{expected}, finite, deviations above 0", advice=advice)
    return found


def standardisation(how: str, index: Index | None, sets: Mapping[str, FeatureSet]) -> Standardisation:
    """That of the labelled windows of the train clips, as affcli train fits it, or with "none" one that does nothing.

    A network that reads no features needs no windows.

    Raises InputError where there is no such window.
    """
    import numpy as np

    from affcli.cli.windowed import windows_of
    from affcli.training.data import Standardisation, fit_standardisation

    if how == "none" or index is None or not sets:
        return Standardisation(
            {name: np.zeros(one.width, np.float32) for name, one in sets.items()},
            {name: np.ones(one.width, np.float32) for name, one in sets.items()},
        )
    if not labelled_clips(index, "train"):
        raise InputError(
            index.path,
            "has no labelled train clip to standardise the features with",
            expected="train clips",
            advice="cut windows with labels, or give --standardisation FILE.npz or none",
        )
    return fit_standardisation(windows_of(index, list(sets), "train", None))


def labelled_clips(index: Index, part: Part) -> list[str]:
    """The clips of a part that have labels, whether or not any of their frames is annotated."""
    known = index.facts.clips
    return [clip for clip in index.windows if known[clip].split == part and known[clip].labels]
