"""Weights of a GRU-fusion network that Keras trained, as the state of ours.

Keras numbers a functional model's layers by their distance from the output, the farthest first, and at one distance in
the order in which they are concatenated.  Names of layers mean nothing: each array goes by its kind (recurrent, dense,
normalisation, PReLU) and its place among those of its kind.  Layers inside a model within the model are refused, for
they are numbered otherwise.

What differs: Keras's kernels are (width, gates * units), PyTorch's (gates * units, width); a GRU's gates are z, r, h in
Keras and r, z, n in PyTorch, an LSTM's are in the same order (i, f, c, o); the two rows of a GRU's bias (reset_after)
are PyTorch's two biases, and an LSTM's one bias is the first of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affcli.errors import SchemaError
from affcli.models.gru_fusion import Branch, GruFusion
from affcli.models.recurrent import Recurrent

Array = NDArray[np.float32]

CELL = re.compile(r"((gru|lstm)_)?cell(_\d+)?")
WAY = re.compile(r"(forward|backward)_\w+")
NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


@dataclass
class _Layer:
    """The arrays of a Keras layer; a backward half's are named backward/kernel and so on."""

    arrays: dict[str, Array] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # of the arrays, as Keras gave them

    @property
    def kind(self) -> str:
        held = {name.rpartition("/")[2] for name in self.arrays}
        marks = {"recurrent_kernel": "recurrent", "gamma": "norm", "alpha": "prelu", "kernel": "dense"}
        return next((kind for mark, kind in marks.items() if mark in held), "unknown")


@dataclass
class _Slot:
    """A layer of ours: what it is called in messages and in the state, and the shapes Keras gives its arrays."""

    kind: str
    place: str
    key: str
    shapes: dict[str, tuple[int, ...]]


def from_keras(
    arrays: Mapping[str, NDArray[np.generic]],
    model: GruFusion,
    order: Sequence[str],
    subject: object = "Keras weights",
) -> dict[str, Tensor]:
    """The state of `model` from Keras's arrays; `model.load_state_dict` takes it.

    `arrays` by variable path (`gru_1/gru_cell/kernel`, `p_re_lu/alpha`, `bidirectional/forward_lstm/lstm_cell/bias`),
    in the order of Keras's `model.weights`.  `order` names the encoders of `model` in the order in which Keras
    concatenates their branches: where layers of two branches have equal shapes, nothing else tells which is which.
    `subject` is what messages speak of, such as the file.

    Raises SchemaError that lists every array that is missing, too many, misshapen or no finite numbers, or where
    `order` does not name each encoder once.
    """
    if sorted(order) != sorted(model.encoders):
        raise SchemaError(
            subject,
            f"is given the branches {', '.join(order)}",
            expected=f"each of {', '.join(sorted(model.encoders))} once",
            advice="name them in the order in which Keras concatenates them",
        )
    layers, problems = _layers(arrays)
    state: dict[str, Tensor] = {}
    slots = list(_slots(model, order))
    for kind in ("recurrent", "dense", "norm", "prelu"):
        given = [layer for layer in layers if layer.kind == kind]
        wanted = [slot for slot in slots if slot.kind == kind]
        problems += [f"there is no {kind} layer for {slot.place}" for slot in wanted[len(given) :]]
        problems += [f"{name} is not of this model" for one in given[len(wanted) :] for name in one.names.values()]
        for slot, layer in zip(wanted, given, strict=False):
            wrong = list(_wrong(slot, layer))
            problems += wrong
            if not wrong:
                state |= _converted(slot, layer.arrays, model, order)
    problems += [
        f"{name} is not of this model" for one in layers if one.kind == "unknown" for name in one.names.values()
    ]
    if problems:
        raise SchemaError(
            subject,
            ", ".join(problems),
            expected=f"the {sum(len(slot.shapes) for slot in slots)} arrays of this network",
            advice="check the settings of the network, the features' widths and the order of the branches",
        )
    return {name: state[name] for name in model.state_dict()}


def _layers(arrays: Mapping[str, NDArray[np.generic]]) -> tuple[list[_Layer], list[str]]:
    """The layers in Keras's order, and what is wrong with the arrays whatever the network."""
    layers: dict[str, _Layer] = {}
    problems = []
    for name, values in arrays.items():
        if name.endswith("seed_generator_state"):  # of dropout
            continue
        *path, variable = name.removesuffix(":0").split("/")
        if path and CELL.fullmatch(path[-1]):
            path.pop()
        way = WAY.fullmatch(path[-1]) if len(path) > 1 else None
        if way:
            path.pop()
        if len(path) > 1:
            problems.append(f"{name} lies in a model within the model")
        elif (single := _single(values)) is None:
            problems.append(f"{name} holds something else than finite numbers")
        elif variable == "moving_variance" and (single < 0).any():
            problems.append(f"{name} holds a variance below 0")
        else:
            layer = layers.setdefault("/".join(path), _Layer())
            variable = f"backward/{variable}" if way and way[1] == "backward" else variable
            layer.arrays[variable] = single
            layer.names[variable] = name
    return list(layers.values()), problems


def _single(values: NDArray[np.generic]) -> Array | None:
    """The numbers in single precision; None where they are none, or not finite there."""
    if values.dtype.kind != "f":
        return None
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return single if np.isfinite(single).all() else None


def _slots(model: GruFusion, order: Sequence[str]) -> Iterator[_Slot]:
    """The layers of the network as Keras orders them: by distance from the output, then by branch."""
    branches = _branches(model)
    for distance in range(max(len(branch.layers) for _, branch in branches.values()), 0, -1):
        for name in order:
            index, branch = branches[name]
            if distance > len(branch.layers):
                continue
            at = len(branch.layers) - distance
            yield from _block(branch.layers[at], f"layer {at + 1} of {name}", f"branches.{index}.layers.{at}", model)
            units = _width(branch.layers[at])
            yield _norm(units, f"layer {at + 1} of {name}", f"branches.{index}.settle.{at}.norm")
            yield _prelu(units, f"layer {at + 1} of {name}", f"branches.{index}.settle.{at}.slope", model)
    units = model.config.head_units
    yield from _block(model.hidden, "the head's first layer", "hidden", model)
    if model.norm is not None:
        yield _norm(units, "the head", "norm")
    yield _prelu(units, "the head", "slope", model)
    yield from _block(model.affect, "the head's last layer", "affect", model)


def _branches(model: GruFusion) -> dict[str, tuple[int, Branch]]:
    """Number and branch by encoder."""
    branches = [branch for branch in model.branches if isinstance(branch, Branch)]
    return {name: (index, branch) for index, (name, branch) in enumerate(zip(model.encoders, branches, strict=True))}


def _width(layer: torch.nn.Module) -> int:
    assert isinstance(layer, Recurrent | torch.nn.Linear)
    return layer.width if isinstance(layer, Recurrent) else layer.out_features


def _norm(units: int, place: str, key: str) -> _Slot:
    return _Slot("norm", place, key, dict.fromkeys(NORM, (units,)))


def _prelu(units: int, place: str, key: str, model: GruFusion) -> _Slot:
    return _Slot("prelu", place, key, {"alpha": (1, units if model.config.slope == "channel" else 1)})


def _block(layer: torch.nn.Module, place: str, key: str, model: GruFusion) -> Iterator[_Slot]:
    if isinstance(layer, torch.nn.Linear):
        shapes: dict[str, tuple[int, ...]] = {
            "kernel": (layer.in_features, layer.out_features),
            "bias": (layer.out_features,),
        }
        yield _Slot("dense", place, key, shapes)
        return
    assert isinstance(layer, Recurrent)
    cell, lstm = layer.cell, model.config.cell == "lstm"
    gates = (4 if lstm else 3) * cell.hidden_size
    shapes = {
        f"{way}{name}": shape
        for way in (("", "backward/") if cell.bidirectional else ("",))
        for name, shape in (
            ("kernel", (cell.input_size, gates)),
            ("recurrent_kernel", (cell.hidden_size, gates)),
            ("bias", (gates,) if lstm else (2, gates)),
        )
    }
    yield _Slot("recurrent", place, f"{key}.cell", shapes)


def _wrong(slot: _Slot, layer: _Layer) -> Iterator[str]:
    for name, shape in slot.shapes.items():
        if name not in layer.arrays:
            yield f"there is no {name} for {slot.place}"
        elif layer.arrays[name].shape != shape:
            yield f"{layer.names[name]} is {layer.arrays[name].shape} where {slot.place} takes {shape}"
    for name in layer.arrays:
        if name not in slot.shapes:
            yield f"{layer.names[name]} is not of this model"


def _converted(
    slot: _Slot, arrays: Mapping[str, Array], model: GruFusion, order: Sequence[str]
) -> Iterator[tuple[str, Tensor]]:
    """Names and values of the state."""
    if slot.kind == "recurrent":
        yield from _recurrent(slot.key, arrays, model.config.cell == "lstm")
    elif slot.kind == "norm":
        for name, ours in NORM.items():
            yield f"{slot.key}.{ours}", torch.from_numpy(arrays[name])
        # Statistics that Keras settled are not begun anew when the training goes on.
        yield f"{slot.key}.num_batches_tracked", torch.tensor(model.config.norm_warmup)
    elif slot.kind == "prelu":
        yield f"{slot.key}.weight", torch.from_numpy(arrays["alpha"][0])
    else:
        kernel = arrays["kernel"]
        if slot.key == "hidden":  # its rows are as Keras concatenates the branches
            widths = {name: branch.width for name, (_, branch) in _branches(model).items()}
            ends = np.cumsum([widths[name] for name in order])
            rows = dict(zip(order, np.split(kernel, ends[:-1]), strict=True))
            kernel = np.concatenate([rows[name] for name in model.encoders])
        yield f"{slot.key}.weight", torch.from_numpy(np.ascontiguousarray(kernel.T))
        yield f"{slot.key}.bias", torch.from_numpy(arrays["bias"])


def _recurrent(key: str, arrays: Mapping[str, Array], lstm: bool) -> Iterator[tuple[str, Tensor]]:
    gates = (0, 1, 2, 3) if lstm else (1, 0, 2)
    for way, ending in (("", ""), ("backward/", "_reverse")):
        if f"{way}kernel" not in arrays:
            continue
        bias = arrays[f"{way}bias"]
        ours = {
            "weight_ih": arrays[f"{way}kernel"].T,
            "weight_hh": arrays[f"{way}recurrent_kernel"].T,
            "bias_ih": bias if lstm else bias[0],
            "bias_hh": np.zeros_like(bias) if lstm else bias[1],
        }
        for name, values in ours.items():
            by_gate = np.split(values, len(gates))
            yield f"{key}.{name}_l0{ending}", torch.from_numpy(np.concatenate([by_gate[gate] for gate in gates]))
