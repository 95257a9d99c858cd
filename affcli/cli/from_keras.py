"""Keras's weights, given to a network: the order of the branches there, and what to say where they do not fit."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affcli import configs
from affcli.cli.networks import network_settings
from affcli.errors import SchemaError, UsageError, some
from affcli.models import MODELS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.models.gru_fusion import GruFusion
    from affcli.windows import FeatureSet

    Arrays = Mapping[str, NDArray[np.generic]]

STANDARDISATION = "windows"
MOST_TRIED = 5  # branches whose orders, 120 at most, are all tried
HOW_TO_ORDER = "name the encoders in the order in which Keras concatenates their branches"


def settings(model: str, pairs: Iterable[str], preset: str) -> Any:
    """The settings of the network `model`: those of `preset`, and `pairs`.

    Raises UsageError where it is none that Keras trained, and as `network_settings` does.
    """
    entry = MODELS[model]
    if not issubclass(entry.config, configs.GruFusion):
        raise UsageError(
            f"--model {model}",
            "is no network that Keras trained",
            expected="one of the GRU-fusion paper, such as gru-fusion",
            advice="choose another (affcli models list), or --from m3t",
        )
    return network_settings(model, pairs, entry.settings(preset))


def take(net: GruFusion, file: Path, sets: Mapping[str, FeatureSet], order: str) -> dict[str, Any]:
    """Give `net` the weights in `file`; returns the order of Keras's branches, for the recipe.

    Raises UsageError as `ordered` and `fill` do, SchemaError as `fill`, InputError and AssetError as `read_arrays`.
    """
    from affcli.training.keras_file import read_arrays

    told = ordered(order, list(sets))
    return {"order": fill(net, read_arrays(file), told, file)}


def ordered(text: str, encoders: Sequence[str]) -> list[str] | None:
    """The encoders as --order names them; None where it is not given and there are several.

    Raises UsageError where it does not name each once.
    """
    named = [name.strip() for name in text.split(",")] if text else list(encoders)
    if sorted(named) != sorted(encoders):
        raise UsageError(
            f"--order {text}",
            "does not name each feature set of the network once",
            expected=f"{', '.join(encoders)} in some order",
            advice=HOW_TO_ORDER,
        )
    return named if text or len(named) == 1 else None


def fill(net: GruFusion, arrays: Arrays, order: list[str] | None, file: Path) -> list[str]:
    """Give `net` the weights `arrays` of `file`; returns the encoders in the order of Keras's branches.

    That is `order`, or where it is None, the only one in which every array has its place and shape.  Raises SchemaError
    where there is none, UsageError where there are others than `order`, or several.
    """
    from affcli.models.keras import from_keras

    _check_layers(arrays, net, file)
    few = len(net.encoders) <= MOST_TRIED
    if order is None and not few:
        raise UsageError(
            "--order", "is missing", expected=f"{', '.join(net.encoders)} in some order", advice=HOW_TO_ORDER
        )
    tried = list(map(list, itertools.permutations(net.encoders))) if order is None else [order]
    found = _fitting(arrays, net, tried)
    if len(found) == 1:
        net.load_state_dict(found[0][1])
        return found[0][0]
    if order and few:
        found = _fitting(arrays, net, map(list, itertools.permutations(net.encoders)))
    if not found:
        from_keras(arrays, net, order or net.encoders, file)  # which raises what does not fit
    orders = some(f"'{','.join(one)}'" for one, _ in found)
    raise UsageError(
        f"--order {','.join(order)}" if order else "--order",
        f"does not fit the shapes in {file}" if order else f"is missing, and {file} fits in {len(found)} orders",
        expected=f"one of {orders}" if len(found) > 1 else orders,
        advice=HOW_TO_ORDER,
    )


def _fitting(arrays: Arrays, net: GruFusion, orders: Iterable[list[str]]) -> list[tuple[list[str], dict[str, Any]]]:
    """Those of the orders in which every array has its place, each with the state that it gives."""
    from affcli.models.keras import from_keras

    found = []
    for order in orders:
        try:
            found.append((order, from_keras(arrays, net, order)))
        except SchemaError:
            continue  # said by the caller where no order fits
    return found


def _check_layers(arrays: Arrays, net: GruFusion, file: Path) -> None:
    """Raise SchemaError where the recurrent and dense layers are others, whatever their order.

    In few words: with one wrong width, hardly any array fits.
    """
    held, wanted = Counter(_layers_of_keras(arrays)), Counter(_layers_of(net))
    more, absent = sorted((held - wanted).elements()), sorted((wanted - held).elements())
    if not more and not absent:
        return
    if not any("/" in name for name in arrays):
        raise SchemaError(
            file,
            f"names its arrays {some(arrays)}, not as Keras names its variables",
            expected="names such as gru/gru_cell/kernel",
            advice="write them with numpy.savez(file, **{v.path: v for v in model.weights})",
        )
    cells = {layer.partition(" ")[0] for layer in held} - {"dense"}
    advice = "check --set and the features' widths (affcli models show says what each setting is)"
    if cells and net.config.cell.upper() not in cells:
        both_ways = any("/backward_" in name for name in arrays)
        advice = f"choose --model bilstm-fusion{'' if both_ways else ' --set bidirectional=off'}"
        if "LSTM" not in cells:
            advice = "choose --model gru-fusion, without --set cell"
    raise SchemaError(
        file,
        f"holds the layers {', '.join(more)}" if more else "holds too few layers",
        expected=f"{', '.join(absent)} {'in their place' if more else 'too'}" if absent else "no such layer",
        advice=advice,
    )


def _layers_of_keras(arrays: Arrays) -> Iterator[str]:
    """Its recurrent and dense layers, such as `GRU 168 to 128`; each half of a bidirectional one is one."""
    shapes = {name.removesuffix(":0"): values.shape for name, values in arrays.items()}
    for name, shape in shapes.items():
        layer, _, variable = name.rpartition("/")
        if variable == "kernel" and len(shape) == 2:
            recurrent = shapes.get(f"{layer}/recurrent_kernel")  # (units, gates * units)
            yield _layer(shape[0], shape[1], recurrent[0] if recurrent else None)


def _layers_of(net: GruFusion) -> Iterator[str]:
    """Its recurrent and dense layers, as `_layers_of_keras` says them."""
    shapes = {name: tuple(values.shape) for name, values in net.state_dict().items()}
    for name, shape in shapes.items():
        if "weight_ih" in name:
            yield _layer(shape[1], shape[0], shapes[name.replace("weight_ih", "weight_hh")][1])
        elif len(shape) == 2 and "weight_hh" not in name:
            yield _layer(shape[1], shape[0], None)


def _layer(width: int, columns: int, units: int | None) -> str:
    """A layer from `width` numbers to `columns`, which a recurrent one has for `units` units in each of its gates."""
    if units is None:
        return f"dense {width} to {columns}"
    gates = {1: "RNN", 3: "GRU", 4: "LSTM"}
    return f"{gates.get(columns // units if units else 0, 'recurrent')} {width} to {units}"
