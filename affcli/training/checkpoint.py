"""A trained network on disk: RUN/best.safetensors, its numbers, and RUN/best.json, what they are.

The weights and the standardisation are tensors in a safetensors file, which can hold nothing else; the JSON file
names the model, its settings, the feature sets it was trained on and how they were made, and the digest of the
tensors.  Both are written aside and renamed, the JSON last, so that a JSON that exists describes whole tensors.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from affcli.arrays import aside, explained
from affcli.configs import Windows
from affcli.errors import AffcliError, InputError, SchemaError
from affcli.models import MODELS
from affcli.recipes import Recipe, digest, plain
from affcli.training.data import Standardisation
from affcli.windows import FeatureSet, feature_sets

TENSORS, DESCRIPTION, METRICS = "best.safetensors", "best.json", "metrics.jsonl"
FORMAT, VERSION = "affcli checkpoint", 1


@dataclass(frozen=True)
class Description:
    """What RUN/best.json says."""

    model: str  # a name in MODELS
    config: dict[str, Any]  # the model's settings
    features: dict[str, FeatureSet]  # by encoder, in the order of the network's branches
    windows: Windows
    validation: dict[str, float]  # CCC: valence, arousal, mean
    epoch: int  # the best one, from 1
    finished: bool  # training came to its end; else a better epoch may have been missed
    inputs: list[dict[str, str]]
    recipe: Recipe
    tensors: str = ""  # SHA-256 of RUN/best.safetensors, filled in when it is saved

    def to_json(self) -> dict[str, Any]:
        """As plain values, in the order people want to read them."""
        return {"format": FORMAT, "version": VERSION, **plain(self)}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network with all that is needed to predict with it; as `load` returns it, on the CPU."""

    path: Path  # RUN
    description: Description
    model: nn.Module
    standardisation: Standardisation


def prepare(run: Path) -> None:
    """Make the directory of a run.  Raises OutputError, before any training, where nothing can be written there."""
    with explained(run):
        run.mkdir(parents=True, exist_ok=True)
        aside(run / TENSORS).touch()
        aside(run / TENSORS).unlink()


def save(checkpoint: Checkpoint) -> Checkpoint:
    """Write a checkpoint to its directory; returns it with the digest of the tensors in its description.

    Equal tensors give equal bytes.  Raises OutputError where it cannot be written.
    """
    state = checkpoint.model.state_dict()
    tensors = {f"model.{name}": tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    for kind in ("mean", "std"):
        for name, values in getattr(checkpoint.standardisation, kind).items():
            tensors[f"standardisation.{name}.{kind}"] = torch.from_numpy(values)
    content = safetensors.torch.save(tensors)
    description = dataclasses.replace(checkpoint.description, tensors=hashlib.sha256(content).hexdigest())
    with _whole(checkpoint.path / TENSORS, content):
        # An old description must not stand beside new tensors, not even for a moment.
        (checkpoint.path / DESCRIPTION).unlink(missing_ok=True)
    describe(checkpoint.path, description)
    return dataclasses.replace(checkpoint, description=description)


def describe(run: Path, description: Description) -> None:
    """Write, or replace, the description alone."""
    text = json.dumps(description.to_json(), allow_nan=False, indent=1) + "\n"
    with _whole(run / DESCRIPTION, text.encode()):
        pass


def save_metrics(run: Path, epochs: Iterable[Mapping[str, float]]) -> None:
    """Write RUN/metrics.jsonl: one JSON object per epoch."""
    lines = "".join(json.dumps(epoch, allow_nan=False) + "\n" for epoch in epochs)
    with _whole(run / METRICS, lines.encode()):
        pass


@contextlib.contextmanager
def _whole(path: Path, content: bytes) -> Iterator[None]:
    """Write a file aside; when the body is through, rename it into place."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside(path).write_bytes(content)
            yield
            aside(path).replace(path)
        finally:
            aside(path).unlink(missing_ok=True)


def read_description(run: Path) -> Description:
    """What the checkpoint in the directory `run` says of itself.

    Raises InputError where there is none or it cannot be read, SchemaError where it is of another kind or version.
    """
    path = run / DESCRIPTION
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        found = "does not exist" if not run.exists() else f"holds no {DESCRIPTION}"
        raise InputError(
            run, found, expected="a directory that affcli train wrote", advice="check the path, or train first"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            path if run.is_dir() else run,
            f"cannot be read ({error})",
            expected="a directory that affcli train wrote",
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
        raise _damaged(path, f"lacks or garbles an entry ({error!r})", "what affcli train wrote") from error


def _description(content: Mapping[str, Any]) -> Description:
    values = {field.name: content[field.name] for field in dataclasses.fields(Description)}
    values["features"] = feature_sets(content["features"])
    values["tensors"] = str(content["tensors"])
    values["windows"] = Windows(**content["windows"])
    values["validation"] = {name: float(score) for name, score in content["validation"].items()}
    return Description(**values)


def load(run: Path) -> Checkpoint:
    """The checkpoint in the directory `run`, checked in every part; nothing in it is executed.

    Raises InputError where a file is missing or damaged, SchemaError where the tensors are not those that the model
    it names needs.
    """
    description = read_description(run)
    path = run / TENSORS
    if digest(path) != description.tensors:
        raise InputError(
            path,
            f"is not the file that {DESCRIPTION} describes (its SHA-256 differs)",
            expected=f"{description.tensors[:12]}...",
            advice="copy the whole directory again, or train again",
        )
    try:
        tensors = safetensors.torch.load(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise InputError(
            path, f"cannot be read ({error})", expected="a safetensors file", advice="train again"
        ) from error
    model = _build(run / DESCRIPTION, description)
    wanted = {f"model.{name}": _kind(tensor) for name, tensor in model.state_dict().items()}
    for name, one in description.features.items():
        wanted |= {f"standardisation.{name}.{kind}": _kind(torch.empty(one.width)) for kind in ("mean", "std")}
    _compare(path, {name: _kind(tensor) for name, tensor in tensors.items()}, wanted)
    model.load_state_dict({name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")})
    standardisation = Standardisation(
        *(
            {name: tensors[f"standardisation.{name}.{kind}"].numpy() for name in description.features}
            for kind in ("mean", "std")
        )
    )
    return Checkpoint(run, description, model.eval(), standardisation)


def _build(path: Path, description: Description) -> nn.Module:
    """The network that a description names, with weights still to be filled in."""
    try:
        entry = MODELS[description.model]
        settings = {name: tuple(v) if isinstance(v, list) else v for name, v in description.config.items()}
        model: nn.Module = entry.resolve()(description.features, entry.config(**settings))
    except (AffcliError, TypeError, KeyError, ValueError, RuntimeError, MemoryError) as error:
        raise _damaged(
            path, f"describes no model of this affcli ({error})", "a known model and its settings"
        ) from error
    return model


def _kind(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _compare(path: Path, found: dict[str, str], wanted: dict[str, str]) -> None:
    """Raise SchemaError where tensors, by name and kind, are missing, too many or of another kind."""
    problems = [f"{name} is missing" for name in wanted if name not in found]
    problems += [f"{name} is not of this model" for name in found if name not in wanted]
    problems += [
        f"{name} is {found[name]} for {kind}" for name, kind in wanted.items() if found.get(name, kind) != kind
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise _damaged(path, "; ".join(problems[:5]) + more, f"the {len(wanted)} tensors of its model")


def _damaged(path: Path, found: str, expected: str) -> SchemaError:
    return SchemaError(path, found, expected=expected, advice="train again with this affcli")


def keep(run: Path, recipe: Recipe, inputs: list[dict[str, str]]) -> Description | None:
    """The description of a finished training in `run` with the same recipe and inputs, or None.

    Its files are touched, so that Make does not ask for them again.
    """
    try:
        description = read_description(run)
        if digest(run / TENSORS) != description.tensors:
            return None
    except AffcliError:
        return None  # absent, damaged or foreign: it will be made again
    if not description.finished or (description.recipe, description.inputs) != (recipe, inputs):
        return None
    os.utime(run / TENSORS)
    os.utime(run / DESCRIPTION)
    return description
