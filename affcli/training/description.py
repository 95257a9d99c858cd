"""What a trained network on disk says of itself: RUN/best.json and RUN/last.json, read without loading PyTorch.

It names the model, its settings, the feature sets it was trained on and how they were made, and the digest of the
tensors beside it.  It is written last, so that a JSON that exists describes whole tensors.  The tensors of best.json
are in best.safetensors; those of last.json, which a broken-off training goes on from, in last-EPOCH.safetensors, so
that the pair of an epoch before stands until that of the next is whole.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affcli.configs import Windows
from affcli.errors import AffcliError, InputError, SchemaError, some
from affcli.files import replacing
from affcli.models import MODELS
from affcli.recipes import Recipe, digest, plain
from affcli.windows import FeatureSet, feature_sets

BEST, LAST = "best", "last"  # which weights: of the best epoch, or those that training goes on from
TENSORS, DESCRIPTION, METRICS = "best.safetensors", "best.json", "metrics.jsonl"
_DEPTHS = ("*", "*/*", "*/*/*")  # where networks of one training are: point, fold and seed
_RUN = "a directory that affcli train or import-checkpoint wrote"
DESCRIPTIONS = (DESCRIPTION, f"{LAST}.json")
FORMAT, VERSION = "affcli checkpoint", 1


@dataclass(frozen=True)
class CropSet:
    """The crops that a network saw in its training."""

    side: int  # px
    recipe: Recipe


@dataclass(frozen=True)
class Description:
    """What RUN/best.json or RUN/last.json says."""

    model: str  # a name in MODELS
    config: dict[str, Any]  # the model's settings
    features: dict[str, FeatureSet]  # by encoder, in the order of the network's branches
    windows: Windows
    validation: dict[str, float]  # scores of these weights: CCC of valence, arousal, mean; empty where no truth was
    epoch: int  # of these weights, from 1; 0 of a network that was not trained here
    finished: bool  # training came to its end; else a better epoch may have been missed
    inputs: list[dict[str, str]]
    recipe: Recipe
    smooth: str = ""  # what --smooth auto is: the best smoothing of the validation clips; "" where none was looked for
    versions: dict[str, str] = dataclasses.field(default_factory=dict)  # of Python and the packages that computed
    tensors: str = ""  # SHA-256 of the tensors, filled in when they are saved
    crops: CropSet | None = None  # of a network that sees
    people: list[str] = dataclasses.field(default_factory=list)  # who each class of a network that tells them apart is
    state: dict[str, Any] | None = None  # in last.json: where the training stands (see training.state)

    @property
    def network(self) -> Any:
        """The settings of the network, as their class has them.  Raises UsageError or TypeError where they are none."""
        entry = MODELS[self.model]
        return entry.config(**{name: tuple(v) if isinstance(v, list) else v for name, v in self.config.items()})

    def to_json(self) -> dict[str, Any]:
        """As plain values, in the order people want to read them."""
        values = {"format": FORMAT, "version": VERSION, **plain(self)}
        absent = {name for name in ("crops", "people", "state") if not getattr(self, name)}
        return {name: one for name, one in values.items() if name not in absent}


def description_path(run: Path, which: str) -> Path:
    """Where the description of the best or the last weights is."""
    return run / f"{which}.json"


def tensors_path(run: Path, which: str, epoch: int) -> Path:
    """Where the tensors of the best weights are, or those of the last ones, of epoch `epoch`."""
    return run / (TENSORS if which == BEST else f"{which}-{epoch}.safetensors")


def tensors_name(description: Description) -> str:
    """The name of the file of the tensors that are described: only the last weights come with a state."""
    return tensors_path(Path(), LAST if description.state else BEST, description.epoch).name


def describe(run: Path, description: Description, which: str = BEST) -> None:
    """Write, or replace, the description alone."""
    text = json.dumps(description.to_json(), allow_nan=False, indent=1) + "\n"
    with replacing(description_path(run, which)) as file:
        file.write(text.encode())


def save_metrics(run: Path, epochs: Iterable[Mapping[str, float]]) -> None:
    """Write RUN/metrics.jsonl: one JSON object per epoch."""
    lines = "".join(json.dumps(epoch, allow_nan=False) + "\n" for epoch in epochs)
    with replacing(run / METRICS) as file:
        file.write(lines.encode())


def read_metrics(run: Path) -> list[dict[str, float]]:
    """The epochs in RUN/metrics.jsonl.  Raises InputError where it cannot be read or is garbled."""
    path = run / METRICS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        epochs = [dict(json.loads(line)) for line in lines]
        if not all(isinstance(value, int | float) for epoch in epochs for value in epoch.values()):
            raise ValueError("something else than numbers")
        return epochs
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            path,
            f"cannot be read ({getattr(error, 'strerror', None) or error})",
            expected="a JSON object of numbers in each line",
            advice="put it back, or train again with --force",
        ) from error


def read_description(run: Path, which: str = BEST) -> Description:
    """What the checkpoint in the directory `run` says of itself.

    Raises InputError where there is none or it cannot be read, SchemaError where it is of another kind or version.
    """
    path = description_path(run, which)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        # No deeper: the directory may be any, a home with all that is in it.
        inside = (one for depth in _DEPTHS for one in run.glob(f"{depth}/{DESCRIPTION}"))
        if several := sorted(one.parent.relative_to(run).as_posix() for one in inside):
            raise InputError(
                run,
                f"holds several networks: {some(several)}",
                expected="one of them",
                advice=f"name it: {run / several[0]}",
            ) from error
        found = "does not exist" if not run.exists() else f"holds no {path.name}"
        raise InputError(run, found, expected=_RUN, advice="check the path, or train first") from error
    except (OSError, ValueError) as error:
        raise InputError(
            path if run.is_dir() else run,
            f"cannot be read ({getattr(error, 'strerror', None) or error})",
            expected=_RUN,
            advice="check the path, or train again",
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
        version = content.get("version") if isinstance(content, dict) and content.get("format") == FORMAT else None
        raise SchemaError(
            path,
            f"is a checkpoint of version {version}" if version else "does not describe a checkpoint",
            expected=f"format '{FORMAT}', version {VERSION}",
            advice="upgrade affcli" if version else "check the path",
        )
    try:
        return _description(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(path, f"lacks or garbles an entry ({error!r})", "what affcli train wrote") from error


def _description(content: Mapping[str, Any]) -> Description:
    names = [field.name for field in dataclasses.fields(Description)]
    added = {"smooth", "versions", "state", "crops", "people"}  # what older checkpoints of this version do not say
    values = {name: content[name] for name in names if name in content or name not in added}
    values["features"] = feature_sets(content["features"])
    values["tensors"] = str(content["tensors"])
    values["windows"] = Windows(**content["windows"])
    if crops := values.get("crops"):
        values["crops"] = CropSet(int(crops["side"]), dict(crops["recipe"]))
    values["recipe"] = dict(content["recipe"])
    values["inputs"] = [dict(one) for one in content["inputs"]]
    values["validation"] = {name: float(score) for name, score in content["validation"].items()}
    return Description(**values)


def check_tensors(run: Path, description: Description, which: str = BEST) -> None:
    """Raise InputError where the tensors in the directory `run` are missing, or not those that are described."""
    path = tensors_path(run, which, description.epoch)
    if not path.exists():
        raise InputError(
            path,
            f"does not exist, but {description_path(run, which).name} describes it",
            advice="copy the whole directory again, or train again with --force",
        )
    if digest(path) != description.tensors:
        raise InputError(
            path,
            f"is not the file that {description_path(run, which).name} describes (its SHA-256 differs)",
            expected=f"{description.tensors[:12]}...",
            advice="copy the whole directory again, or train again with --force",
        )


def damaged(path: Path, found: str, expected: str) -> SchemaError:
    """What to say of a file of a checkpoint that is not what affcli train wrote."""
    return SchemaError(path, found, expected=expected, advice="train again with this affcli")


def keep(run: Path, recipe: Recipe, inputs: list[dict[str, str]]) -> Description | None:
    """The description of a finished training in `run` with the same recipe and inputs, or None.

    Its files are touched, so that Make does not ask for them again.
    """
    try:
        description = read_description(run)
        check_tensors(run, description)
    except AffcliError:
        return None  # absent, damaged or foreign: it will be made again
    if not description.finished or (description.recipe, description.inputs) != (recipe, inputs):
        return None
    os.utime(run / TENSORS)
    os.utime(run / DESCRIPTION)
    return description
