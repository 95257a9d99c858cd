"""Features of flipped crops, which stand beside the features that windows were cut from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affcli.cli.featuresets import FeatureFile, find_features
from affcli.errors import AffcliError, InputError, SchemaError, UsageError, some

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.headers import Header
    from affcli.recipes import Recipe
    from affcli.windows import FeatureSet


@dataclass(frozen=True, eq=False)
class FlippedFiles:
    """Features of flipped crops, under the names of the same encoders' features of crops as they are."""

    source: Path
    found: Mapping[str, Mapping[str, FeatureFile]]  # by encoder as the windows name it, then by clip
    broken: Mapping[str, AffcliError]  # by clip: what is wrong with one of its tables

    def files(self, clip: str, frames: int | None = None) -> dict[str, FeatureFile]:
        """The tables of one clip, by encoder; the first `frames` of each where windows lie in no more.

        Raises InputError where one is missing, SchemaError where one has fewer frames, and what is wrong with one.
        """
        if clip in self.broken:
            raise self.broken[clip]
        chosen = {}
        for encoder, files in self.found.items():
            if clip not in files:
                raise InputError(
                    self.source,
                    f"holds no {encoder} features of clip '{clip}'",
                    expected="those of its flipped crops",
                    advice="make them: affcli embed --flip",
                )
            one = files[clip]
            if frames is not None and len(one.valid) < frames:
                raise too_few(one.path, len(one.valid), clip, frames, "features")
            chosen[encoder] = one if frames is None else one.first(frames)
        return chosen

    def sources(self, clip: str) -> list[dict[str, str]]:
        """The tables of one clip as inputs of what is made from them.  Raises as `files` does."""
        return [one.source() for one in self.files(clip).values()]

    def of(self, clip: str, frames: int | None = None) -> dict[str, NDArray[np.float32]]:
        """The vectors of one clip, by encoder: (n, d), memory-mapped.  Raises as `files` and `FeatureFile.array` do."""
        return {encoder: one.array() for encoder, one in self.files(clip, frames).items()}


def find_flipped(source: Path, wanted: Mapping[str, FeatureSet]) -> FlippedFiles:
    """The features of flipped crops that belong to the face features among `wanted`, by any name of their own.

    They were made as these, but for `flip` in the recipe.  Raises UsageError where `wanted` holds no face features,
    InputError where those of an encoder are missing or there twice, and SchemaError where they are not of flipped
    crops, or differ in anything else.
    """
    from affcli import tables
    from affcli.schemas import FEATURES

    faces = {name: one for name, one in wanted.items() if one.modality == "face"}
    if not faces:
        raise UsageError(
            f"--flip-features {source}",
            f"has nothing to stand for: the windows hold {some(wanted) or 'no features'}",
            expected="features of faces",
            advice="leave it out",
        )
    there: dict[str, Header] = {}  # by the name that the features go by
    for _, header in tables.find(source, FEATURES):
        if header:
            there.setdefault(str(header.facts.get("encoder", "")), header)
    names = {encoder: _name_of_flipped(source, encoder, one, there) for encoder, one in faces.items()}
    found = find_features([source], names.values())
    return FlippedFiles(source, {encoder: found.features[name] for encoder, name in names.items()}, found.broken)


def _name_of_flipped(source: Path, encoder: str, wanted: FeatureSet, there: Mapping[str, Header]) -> str:
    """The name of the features that are `wanted` of flipped crops.  Raises as `find_flipped` does."""
    from affcli.recipes import differences

    config = _config(wanted.recipe)
    if config.get("flip"):
        raise SchemaError(
            f"{encoder} features of the windows",
            "are of flipped crops themselves",
            expected="features of crops as they are",
            advice="cut the windows from the features of crops that were not flipped",
        )
    flipped = {**wanted.recipe, "config": {**config, "flip": True}}
    like = {
        name: differences(header.recipe, flipped)
        for name, header in there.items()
        if name == encoder or _config(header.recipe).get("encoder", "") == config.get("encoder")
    }
    fitting = [name for name, differ in like.items() if not differ]
    if len(fitting) == 1:
        return fitting[0]
    advice = "make them of the same faces, as the others: affcli embed --flip"
    if not like:
        raise InputError(source, f"holds no {encoder} features", expected="those of flipped crops", advice=advice)
    if fitting:
        raise InputError(
            source,
            f"holds {encoder} features of flipped crops twice, as {some(fitting)}",
            expected="them once",
            advice="take one of them out",
        )
    turned = {name: differ for name, differ in like.items() if _config(there[name].recipe).get("flip") is True}
    if not turned:
        raise SchemaError(
            source, f"holds {some(like)} features of crops as they are", expected="flipped ones", advice=advice
        )
    closest = min(turned, key=lambda name: len(turned[name]))
    raise SchemaError(
        source,
        f"its {closest} features were made otherwise than {encoder} of the windows ({some(turned[closest])})",
        expected="no other difference than config.flip",
        advice=advice,
    )


def _config(recipe: Recipe) -> dict[str, Any]:
    """The settings that a recipe tells; none where it, which anybody can write into a file, tells none."""
    config = recipe.get("config")
    return config if isinstance(config, dict) else {}


def too_few(path: Path, rows: int, clip: str, frames: int, what: str) -> SchemaError:
    """What to say of a table of a clip with fewer rows than the `frames` that its windows lie in."""
    return SchemaError(
        path,
        f"{rows} frames of clip '{clip}'",
        expected=f"{frames}, as its windows have",
        advice=f"make these {what} of the same video file as its features",
    )
