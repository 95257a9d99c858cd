"""A trained network on disk: a safetensors file, its numbers, and a JSON file, what they are.

The weights and the standardisation are tensors in a safetensors file, which can hold nothing else; for the JSON file
and the names of both see `affcli.training.description`.  Both are written aside and renamed, the JSON last.
"""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

from affcli.errors import AffcliError, InputError, some
from affcli.files import aside, explained, replacing
from affcli.models import MODELS
from affcli.training import state
from affcli.training.data import Standardisation
from affcli.training.description import (
    BEST,
    LAST,
    METRICS,
    TENSORS,
    Description,
    check_tensors,
    damaged,
    describe,
    description_path,
    read_description,
    tensors_path,
)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network with all that is needed to predict with it; as `load` returns it, on the CPU."""

    path: Path  # RUN
    description: Description
    model: nn.Module
    standardisation: Standardisation
    state: dict[str, Any] | None = None  # of the last weights: all else that training goes on from


def prepare(run: Path) -> None:
    """Make the directory of a run.  Raises OutputError, before any training, where nothing can be written there."""
    with explained(run):
        run.mkdir(parents=True, exist_ok=True)
        aside(run / TENSORS).touch()
        aside(run / TENSORS).unlink()


def clear(run: Path) -> None:
    """Take away what an earlier training in the directory `run` left, which would else stand beside the new one's.

    What describes tensors goes before them, so that no description is ever of tensors that are gone.
    """
    described = [description_path(run, which) for which in (LAST, BEST)]
    with explained(run):
        for path in (*described, run / METRICS, run / TENSORS, *run.glob("last*.safetensors")):
            path.unlink(missing_ok=True)


def drop_older(run: Path, epoch: int) -> None:
    """Take away the last tensors of epochs but `epoch`: a process that was killed may have left them."""
    with explained(run):
        for path in run.glob(f"{LAST}-*.safetensors"):
            if path != tensors_path(run, LAST, epoch):
                path.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that compute: with others, the last bits may differ."""
    return {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}


def save(checkpoint: Checkpoint, which: str = BEST) -> Checkpoint:
    """Write a checkpoint to its directory; returns it with the digest of the tensors in its description.

    Equal tensors give equal bytes.  Raises OutputError where it cannot be written.
    """
    run = checkpoint.path
    path = tensors_path(run, which, checkpoint.description.epoch)
    tensors = {f"model.{name}": tensor for name, tensor in checkpoint.model.state_dict().items()}
    for kind in ("mean", "std"):
        for name, values in getattr(checkpoint.standardisation, kind).items():
            tensors[f"standardisation.{name}.{kind}"] = torch.from_numpy(values)
    plain, held = state.packed(checkpoint.state)
    tensors |= {f"state.{name}": tensor for name, tensor in held.items()}
    content = safetensors.torch.save({name: one.detach().cpu().contiguous() for name, one in tensors.items()})
    described = dataclasses.replace(
        checkpoint.description, tensors=hashlib.sha256(content).hexdigest(), state=plain if checkpoint.state else None
    )
    with replacing(path) as file:
        file.write(content)
        if which == BEST:  # An old description must not stand beside new tensors, not even for a moment.
            description_path(run, which).unlink(missing_ok=True)
    describe(run, described, which)
    if which == LAST:
        drop_older(run, described.epoch)
    return dataclasses.replace(checkpoint, description=described)


def load(run: Path, which: str = BEST) -> Checkpoint:
    """The checkpoint in the directory `run`, checked in every part; nothing in it is executed.

    Raises InputError where a file is missing or damaged, SchemaError where the tensors are not those that the model
    it names needs.
    """
    description = read_description(run, which)
    path = tensors_path(run, which, description.epoch)
    check_tensors(run, description, which)
    try:
        tensors = safetensors.torch.load(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise InputError(
            path, f"cannot be read ({error})", expected="a safetensors file", advice="train again"
        ) from error
    model = _build(description_path(run, which), description)
    wanted = {f"model.{name}": _kind(tensor) for name, tensor in model.state_dict().items()}
    for name, one in description.features.items():
        wanted |= {f"standardisation.{name}.{kind}": _kind(torch.empty(one.width)) for kind in ("mean", "std")}
    held = {name.removeprefix("state."): tensors.pop(name) for name in list(tensors) if name.startswith("state.")}
    _compare(path, {name: _kind(tensor) for name, tensor in tensors.items()}, wanted)
    model.load_state_dict({name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")})
    standardisation = Standardisation(
        *(
            {name: tensors[f"standardisation.{name}.{kind}"].numpy() for name in description.features}
            for kind in ("mean", "std")
        )
    )
    try:
        kept = None if description.state is None else state.unpacked(description.state, held)
    except (KeyError, TypeError) as error:
        raise damaged(path, f"its state of the training is garbled ({error!r})", "what affcli train wrote") from error
    return Checkpoint(run, description, model.eval(), standardisation, kept)


def _build(path: Path, description: Description) -> nn.Module:
    """The network that a description names, with weights still to be filled in."""
    try:
        model: nn.Module = MODELS[description.model].resolve()(description.features, description.network)
    except (AffcliError, TypeError, KeyError, ValueError, RuntimeError, MemoryError) as error:
        raise damaged(path, f"describes no model of this affcli ({error})", "a known model and its settings") from error
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
        raise damaged(path, some(problems), f"the {len(wanted)} tensors of its model")
