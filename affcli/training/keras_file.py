"""Reading the weights that Keras wrote: .npz, .weights.h5 and .keras of Keras 3, and the .h5 of Keras 2.

Only numbers are read: nothing in the file is executed, and what it says of the network is left alone.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affcli.errors import AssetError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

DAMAGE = (OSError, ValueError, KeyError, RuntimeError, EOFError, OverflowError, TypeError)  # what h5py and NumPy raise
RECURRENT = ("kernel", "recurrent_kernel", "bias")
VARIABLES = {  # Keras 3 numbers a layer's variables
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "p_re_lu": ("alpha",),
    "dense": ("kernel", "bias"),
    "gru": RECURRENT,
    "lstm": RECURRENT,
    "bidirectional": RECURRENT,
}


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of a file of Keras weights by variable path, in the order of Keras's `model.weights`.

    At .weights.h5 and .keras, which keep that order only among layers of one class, layers stand class by class.  An
    .npz holds what `numpy.savez(file, **{v.path: v for v in model.weights})` wrote.

    Raises InputError where the file is missing or damaged or of another kind, AssetError where h5py is missing.
    """
    try:
        content = path.read_bytes()
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if "model.weights.h5" not in archive.namelist():
                    return _npz(content)
                content = archive.read("model.weights.h5")
        return dict(_h5(content))
    except (*DAMAGE, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            path,
            f"cannot be read ({getattr(error, 'strerror', None) or error})",
            expected="weights that Keras wrote: .npz, .weights.h5, .keras or .h5",
            advice="check the path, or write them again with model.save_weights",
        ) from error


def _npz(content: bytes) -> dict[str, NDArray[np.generic]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    for name, values in found.items():
        if not isinstance(values, np.ndarray):  # NumPy gives the bytes of whatever is no array
            raise ValueError(f"{name} is no array")
    return found


def _h5(content: bytes) -> Iterator[tuple[str, NDArray[np.generic]]]:
    try:
        import h5py
    except ImportError as error:
        raise AssetError(
            "h5py",
            "is not installed",
            expected="the package that reads Keras's .h5 files",
            advice="type: pip install 'affcli[keras]', or write the weights as .npz",
        ) from error
    with h5py.File(io.BytesIO(content), "r") as file:
        old = file.get("model_weights", file)
        if "layer_names" in old.attrs:
            yield from _keras2(old)
        elif "layers" in file:
            yield from _keras3(file["layers"])
        else:
            raise ValueError("it holds no layers")


def _keras2(file: Any) -> Iterator[tuple[str, NDArray[np.generic]]]:
    for layer in file.attrs["layer_names"]:
        for name in file[layer].attrs["weight_names"]:
            yield name, file[layer][name][()]


def _keras3(layers: Any) -> Iterator[tuple[str, NDArray[np.generic]]]:
    for group in sorted(layers, key=_numbered):
        entry = layers[group]
        layer = entry["vars"].attrs.get("name", group) if "vars" in entry else group
        found: list[str] = []
        entry.visititems(lambda name, item, found=found: found.append(name) if hasattr(item, "shape") else None)
        for name in found:
            *inner, _, number = name.split("/")  # forward_layer, cell, vars, 0
            if "seed_generator" in inner:  # of dropout
                continue
            variables = VARIABLES.get(_numbered(group)[0], ())
            variable = variables[int(number)] if int(number) < len(variables) else f"vars_{number}"
            yield "/".join([layer, *inner, variable]), entry[name][()]


def _numbered(group: str) -> tuple[str, int]:
    """p_re_lu_10 comes after p_re_lu_9: its class, and the number of the layer among those of its class."""
    match = re.fullmatch(r"(.*?)(?:_(\d+))?", group)
    assert match
    return match[1], int(match[2] or 0)
