"""Makes keras_*: networks of the GRU-fusion paper in Keras, their weights and outputs, and steps of its RMSprop.

Run by hand, with Keras 3 and h5py installed beside PyTorch: KERAS_BACKEND=torch python tests/golden/make_keras.py

Widths are small, so that the files are; parameters are also counted at the paper's widths.  Branches are concatenated
in another order than that of their names.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent
LENGTH = 15
SMALL = {"mel": (8, (4, 3)), "hog": (6, (5, 4, 3)), "openface": (7, (4, 3))}
PAPER = {"mel": (168, (128, 64)), "hog": (2048, (256, 256, 64)), "openface": (714, (128, 64))}


def network(sets: dict[str, Any], head: int, cell: str, order: str = "norm-prelu") -> keras.Model:
    """Names of the sets are those of the inputs; openface's layers are dense, the others' recurrent."""

    def layer(name: str, units: int) -> Any:
        if name == "openface":
            return layers.Dense(units)
        if cell == "lstm":
            return layers.Bidirectional(layers.LSTM(units, return_sequences=True))
        return layers.GRU(units, return_sequences=True)

    inputs, ends = {}, []
    for name, (width, units) in sets.items():
        x = inputs[name] = keras.Input((LENGTH, width), name=name)
        for one in units:
            x = layer(name, one)(x)
            steps = [layers.BatchNormalization(), layers.PReLU(shared_axes=[1])]
            for step in steps if order == "norm-prelu" else steps[::-1]:
                x = step(x)
            x = layers.Dropout(0.25)(x)
        ends.append(x)
    x = layers.Concatenate()(ends) if len(ends) > 1 else ends[0]
    x = layers.PReLU(shared_axes=[1])(layers.Dense(head)(x))
    return keras.Model(inputs, layers.Dense(2, activation="tanh")(x))


def fill(model: keras.Model, random: np.random.Generator) -> None:
    """Weights as of a trained network: no zeros that would hide a mistake."""
    for variable in model.weights:
        if "seed" in variable.path:
            continue
        values = random.normal(0, 0.4, variable.shape)
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.path or "gamma" in variable.path else values)


def packed(save: Callable[[Path], object], name: str) -> None:
    """HDF5 is mostly zeros: what `save` writes, kept as NAME.gz."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / name
        save(file)
        (HERE / f"{name}.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))


def counts(model: keras.Model) -> dict[str, int]:
    sizes = {
        name: sum(int(np.prod(v.shape)) for v in getattr(model, name)) for name in ("trainable_weights", "weights")
    }
    return {"trainable": sizes["trainable_weights"], "with_statistics": sizes["weights"]}


def one_network(name: str, cell: str, order: str) -> None:
    random = np.random.default_rng(5)
    keras.utils.set_random_seed(5)
    model = network(SMALL, 6, cell, order)
    fill(model, random)
    features = {key: random.normal(0, 1, (4, LENGTH, width)).astype(np.float32) for key, (width, _) in SMALL.items()}
    out: dict[str, Any] = {f"features/{key}": values for key, values in features.items()}
    packed(lambda file: model.save_weights(file), f"keras_{name}.weights.h5")
    weights = {v.path: np.asarray(v.detach().cpu() if hasattr(v, "detach") else v.numpy()) for v in model.weights}
    np.savez_compressed(HERE / f"keras_{name}.npz", **weights)
    out["predicted"] = model.predict(features, verbose=0)
    # In training, without dropout: normalised with the batch's own statistics, which move the running ones.
    for layer in model.layers:
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0
    for step in range(3):
        out[f"trained/{step}"] = keras.ops.convert_to_numpy(model(features, training=True))
        features = {key: values * 1.5 + 0.5 for key, values in features.items()}
    out["predicted_after"] = model.predict({key: out[f"features/{key}"] for key in SMALL}, verbose=0)
    np.savez_compressed(HERE / f"keras_{name}_outputs.npz", **out)


def rmsprop() -> dict[str, Any]:
    """Twenty steps over gradients of many sizes."""
    random = np.random.default_rng(6)
    start = random.normal(0, 1, (3, 4)).astype(np.float32)
    gradients = (random.normal(0, 1, (20, 3, 4)) * 10.0 ** np.array([-6, -4, -2, 0])).astype(np.float32)
    variable = keras.Variable(start)
    optimizer = keras.optimizers.RMSprop(learning_rate=0.01)
    steps = []
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        steps.append(keras.ops.convert_to_numpy(variable.value).tolist())
    return {"lr": 0.01, "start": start.tolist(), "gradients": gradients.tolist(), "steps": steps}


def main() -> None:
    one_network("gru", "gru", "norm-prelu")
    one_network("bilstm", "lstm", "norm-prelu")
    one_network("prelu_norm", "gru", "prelu-norm")
    (HERE / "keras_prelu_norm.npz").unlink()
    keras.utils.set_random_seed(5)
    old = network(SMALL, 6, "gru")
    fill(old, np.random.default_rng(5))
    packed(lambda file: old.save(file), "keras_old.h5")
    packed(lambda file: old.save(file), "keras_whole.keras")
    content = {
        "about": f"Keras {keras.__version__} on {keras.backend.backend()}, float32",
        "counts": {
            "gru-audio": counts(network({"mel": PAPER["mel"]}, 64, "gru")),
            "gru-expnet": counts(network({"hog": PAPER["hog"]}, 64, "gru")),
            "gru-fusion": counts(network(PAPER, 64, "gru")),
            "bilstm-fusion": counts(network(PAPER, 64, "lstm")),
        },
        "rmsprop": rmsprop(),
    }
    (HERE / "keras_numbers.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
