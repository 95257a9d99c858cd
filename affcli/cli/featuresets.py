"""Feature sets and labels as they lie on disk, before windows are cut from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from affcli.cli.own_tables import PREDICTED
from affcli.errors import AffcliError, InputError, SchemaError, some

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.headers import Header
    from affcli.labels.affect import Affect
    from affcli.recipes import Recipe
    from affcli.windows import FeatureSet


@dataclass(frozen=True, eq=False)
class FeatureFile:
    """The features of one clip by one encoder; the vectors stay in the file.

    `first` takes the first n frames of the file; then n is less than its rows.
    """

    path: Path
    header: Header
    clip: str
    time_us: NDArray[np.int64]  # (n,)
    valid: NDArray[np.bool_]  # (n,)

    @property
    def encoder(self) -> str:
        return str(self.header.facts["encoder"])

    def first(self, n: int) -> FeatureFile:
        """The first `n` frames alone."""
        return dataclasses.replace(self, time_us=self.time_us[:n], valid=self.valid[:n])

    def source(self) -> dict[str, str]:
        """The table as an input of what is made from it, with the frames that were used where not all were."""
        from affcli.recipes import source

        rows = self.header.array["shape"][0] if self.header.array else len(self.valid)
        used = {} if len(self.valid) == rows else {"frames": f"the first {len(self.valid)}"}
        return {**source(self.path), **used}

    def array(self) -> NDArray[np.float32]:
        """The vectors (n, d), memory-mapped.

        Raises InputError where the array is missing, SchemaError where it is not what its table says.
        """
        from affcli.arrays import open_array

        found = open_array(self.path, self.header.array)
        if found.shape[1:] != (self.header.facts["width"],):
            raise SchemaError(
                self.path,
                f"says its vectors are {self.header.facts['width']} wide, beside an array of {found.shape}",
                expected="the width of the array",
                advice="make both again: affcli embed",
            )
        return found[: len(self.valid)]


def read_features(path: Path) -> FeatureFile:
    """One table of features.

    Raises InputError and SchemaError as `tables.read` does, and SchemaError where it holds several clips or none.
    """
    from affcli import tables
    from affcli.schemas import FEATURES

    table = tables.read(path, FEATURES)
    rows = table.data.num_rows
    if rows == 0 or table.column("frame")[-1] != rows - 1:  # `read` has seen that each clip counts from 0
        raise SchemaError(
            path,
            "holds several clips" if rows else "holds no frame",
            expected="the frames of one clip",
            advice="make it again with affcli embed" if rows else "leave the clip out",
        )
    return FeatureFile(path, table.header, table.clip, table.column("time_us"), table.column("valid"))


@dataclass(frozen=True)
class Found:
    """Features of many clips, and what cannot be used of them."""

    features: dict[str, dict[str, FeatureFile]]  # by encoder, then by clip, both in order of name
    broken: dict[str, AffcliError]  # by clip: what is wrong with one of its tables

    @property
    def clips(self) -> list[str]:
        """Every clip of which there is something, by name."""
        return sorted({*self.broken, *(clip for files in self.features.values() for clip in files)})


def find_features(paths: Sequence[Path], encoders: Iterable[str], *, verify: bool = False) -> Found:
    """Every table of features among `paths`.

    With `encoders`, only theirs; with `verify`, every array is read and compared with its recorded digest.  Raises
    InputError where a path holds none, where an encoder is missing, or where two tables hold the same; SchemaError
    where the clips of an encoder were not made alike.
    """
    from affcli import tables
    from affcli.schemas import FEATURES

    wanted = list(encoders)
    files: dict[Path, str] = {}  # to encoder, "" where the table does not say or cannot be read
    for path in paths:
        for file, header in tables.find(path, FEATURES):
            files[file] = str(header.facts.get("encoder", "")) if header else ""
    seen = sorted({name for name in files.values() if name})
    found: dict[str, dict[str, FeatureFile]] = {}
    broken: dict[str, AffcliError] = {}
    for file, name in files.items():
        clip, encoder = _named(file, [*seen, *wanted])
        name = name or encoder
        if wanted and name not in wanted:
            continue
        try:
            one = read_features(file)
            if verify:
                one.array()
                tables.verify_array(file, one.header)
        except AffcliError as error:
            broken.setdefault(clip, error)
            continue
        other = found.setdefault(name, {}).setdefault(one.clip, one)
        if other.path.resolve() != file.resolve():
            raise InputError(
                file,
                f"and {other.path} both hold {name} features of clip '{one.clip}'",
                expected="one table for each clip and encoder",
                advice="name only the directories you mean, or rename one of the clips",
            )
    missing = [name for name in wanted if name not in found]
    if broken and (missing or not found):
        raise next(iter(broken.values()))
    if missing:
        raise InputError(
            f"features of {missing[0]}",
            f"are not among {', '.join(map(str, paths))}",
            expected=f"one of {', '.join(seen)}" if seen else "",
            advice="check the name and the directories, or make them with affcli embed",
        )
    ordered = {name: dict(sorted(found[name].items())) for name in sorted(found)}
    for alike in ordered.values():
        _check_alike([(file.path, file.header.recipe, file.header.facts) for file in alike.values()])
    return Found(ordered, broken)


def _named(file: Path, encoders: Iterable[str]) -> tuple[str, str]:
    """Clip and encoder by the name of a file, `<clip>.<encoder>.parquet`; either may have dots in it."""
    for encoder in sorted(encoders, key=len, reverse=True):
        if file.stem.endswith(f".{encoder}"):
            return file.stem.removesuffix(f".{encoder}"), encoder
    clip, _, encoder = file.stem.rpartition(".")
    return clip or file.stem, encoder


def feature_set(files: dict[str, FeatureFile]) -> FeatureSet:
    """What the clips of one encoder have in common."""
    from affcli.windows import FeatureSet

    header = next(iter(files.values())).header
    return FeatureSet(int(header.facts["width"]), str(header.facts["modality"]), header.recipe)


def find_labels(path: Path) -> dict[str, Affect]:
    """The labels of every clip in an affect table, or in a directory of them, by clip.

    Raises InputError and SchemaError as `read_affect` does, InputError where these are label files not yet imported,
    SchemaError where they are predictions, or were not made alike.
    """
    from affcli.labels.read import read_affect

    _refuse_texts(path)
    found = read_affect(path)
    for one in found:
        if (one.recipe or {}).get("step") in PREDICTED:
            raise SchemaError(
                one.source,
                "holds predictions",
                expected="labels, as affcli import-labels writes them",
                advice="name the directory of the labels",
            )
    _check_alike([(Path(one.source), one.recipe or {}, {}) for one in found])
    return {one.clip: one for one in found}


def _refuse_texts(path: Path) -> None:
    """Label files as challenges give them out are not affect tables: say which command makes these of those."""
    from affcli.labels.files import TEXTS

    texts = [path] if path.suffix.lower() in TEXTS else []
    if path.is_dir() and not any(path.glob("*.parquet")):
        texts = sorted(file for file in path.iterdir() if file.suffix.lower() in TEXTS)
    if texts and path.exists():
        raise InputError(
            path,
            f"holds text files such as {texts[0].name}" if path.is_dir() else "is a text file",
            expected="affect tables (.affect.parquet)",
            advice=f"turn them into tables first: affcli import-labels {path} OUT",
        )


def _check_alike(made: list[tuple[Path, Recipe, dict[str, object]]]) -> None:
    """Raise SchemaError where tables of one kind have different recipes, modalities or widths."""
    from affcli.recipes import differences

    first_path, first_recipe, first_facts = made[0]
    for path, recipe, facts in made[1:]:
        if found := differences(recipe, first_recipe) or differences(
            {key: facts.get(key) for key in ("modality", "width")},
            {key: first_facts.get(key) for key in ("modality", "width")},
        ):
            raise SchemaError(
                path,
                f"was made otherwise than {first_path} ({some(found)})",
                expected="tables made alike",
                advice="make them all again with the same settings and the same affcli",
            )
