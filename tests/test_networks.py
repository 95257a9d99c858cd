"""Encoders made of networks: ONNX files with what is said of them, InsightFace's recognition, timm and torchvision."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from insightface.model_zoo.arcface_onnx import ArcFaceONNX
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

from affcli import tables, weights
from affcli.errors import AssetError, SchemaError, UsageError
from affcli.features import ENCODERS, Setup
from affcli.features.encode import encode_crops
from affcli.features.pictures import Preparation, unit_length
from affcli.features.settings import Arcface, Backbone, ImageNetwork
from affcli.features.views import TimedCrops
from affcli.schemas import FEATURES

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Node = onnx.NodeProto

MIX = np.array([[1, 0, 2, 0], [0, 1, 0, 3], [0, 0, 1, 1]], np.float32)  # from three colours to four numbers


def pictures(count: int, side: int = 8, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


def model(
    sides: tuple[int | str, ...] = ("batch", 3, 8, 8),
    *,
    kind: int = TensorProto.FLOAT,
    axes: tuple[int, int] = (2, 3),
    mix: NDArray[np.float32] = MIX,
    nodes: tuple[Node, ...] = (),
    outputs: dict[str, int] | None = None,
    constants: dict[str, NDArray[Any]] | None = None,
    inputs: tuple[str, ...] = (),
) -> onnx.ModelProto:
    """A network whose `vector` is the mean of each colour, mixed; `means` and `real` (the picture) lie before it."""
    own = [
        helper.make_node("Cast", ["picture"], ["real"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real", "axes"], ["means"], name="average", keepdims=0),
        helper.make_node("MatMul", ["means", "mix"], ["vector"]),
    ]
    everything = {"axes": np.array(axes, np.int64), "mix": mix} | (constants or {})
    graph = helper.make_graph(
        [*own, *nodes],
        "toy",
        [helper.make_tensor_value_info("picture", kind, sides)]
        + [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in inputs],
        [
            helper.make_tensor_value_info(name, kind_, None)
            for name, kind_ in (outputs or {"vector": TensorProto.FLOAT}).items()
        ],
        [numpy_helper.from_array(value, name) for name, value in everything.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def saved(folder: Path, made: onnx.ModelProto, **beside: Any) -> str:
    path = folder / "net.onnx"
    path.write_bytes(made.SerializeToString())
    if beside:
        (folder / "net.onnx.json").write_text(json.dumps(beside), encoding="utf-8")
    return str(path)


def opened(path: str, name: str = "onnx", **chosen: Any) -> Any:
    return ENCODERS[name].resolve()(ImageNetwork(**chosen), Setup(path))


def means(crops: NDArray[np.uint8], mean: Any = 127.5, std: Any = 127.5, scale: float = 255) -> NDArray[np.float64]:
    """The mean of each colour after the preparation, by the formula of the documentation."""
    return ((crops / 255 * scale - np.asarray(mean)) / np.asarray(std)).mean(axis=(1, 2))


# -- from crops to inputs


def test_every_pixel_becomes_what_the_formula_says() -> None:
    crops = pictures(3)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    wanted = ((crops / 255 - mean) / std).transpose(0, 3, 1, 2)
    prepared = Preparation(8, mean=mean, std=std, scale=1)(crops)
    assert prepared.dtype == np.float32
    np.testing.assert_allclose(prepared, wanted, rtol=1e-6, atol=1e-6)
    swapped = Preparation(8, "bgr", mean, std, 1)(crops)
    np.testing.assert_allclose(
        swapped, ((crops[..., ::-1] / 255 - mean) / std).transpose(0, 3, 1, 2), rtol=1e-6, atol=1e-6
    )
    last = Preparation(8, mean=mean, std=std, scale=1, channels_last=True)(crops)
    assert np.array_equal(last.transpose(0, 3, 1, 2), prepared)


def test_bytes_stay_bytes_and_grey_is_one_channel() -> None:
    crops = pictures(2)
    assert np.array_equal(Preparation(8, dtype=np.uint8, channels_last=True)(crops), crops)
    grey = Preparation(8, "grey", (0,), (1,))(crops)
    assert grey.shape == (2, 1, 8, 8)
    assert np.array_equal(grey[1, 0], cv2.cvtColor(crops[1], cv2.COLOR_RGB2GRAY).astype(np.float32))
    assert Preparation(8, dtype=np.float16)(crops).dtype == np.float16


def test_large_crops_shrink_by_area_and_small_ones_grow_as_asked() -> None:
    crops = pictures(2, 16)
    shrunk = Preparation(8, mean=(0,), std=(1,), enlarge="cubic", channels_last=True)(crops)
    blocks = crops.reshape(2, 8, 2, 8, 2, 3).mean(axis=(2, 4))
    assert np.abs(shrunk - blocks).max() <= 0.5
    for word, how in (("linear", cv2.INTER_LINEAR), ("cubic", cv2.INTER_CUBIC)):
        grown = Preparation(24, mean=(0,), std=(1,), enlarge=word, channels_last=True)(crops)
        assert np.array_equal(grown[1], cv2.resize(crops[1], (24, 24), interpolation=how).astype(np.float32))


def test_unit_length_leaves_zeros_alone() -> None:
    vectors = unit_length(np.array([[3, 4], [0, 0]], np.float32))
    assert vectors.tolist() == [[np.float32(0.6), np.float32(0.8)], [0, 0]]
    assert vectors.dtype == np.float32


# -- who says what


def test_without_a_word_pixels_are_from_minus_one_to_one(tmp_path: Path) -> None:
    encoder, crops = opened(saved(tmp_path, model())), pictures(5)
    vectors = encoder(crops)
    assert (vectors.shape, vectors.dtype) == ((5, 4), np.float32)
    np.testing.assert_allclose(vectors, means(crops) @ MIX, atol=1e-5)
    content = (tmp_path / "net.onnx").read_bytes()
    assert encoder.weights == {"net.onnx": hashlib.sha256(content).hexdigest()}
    assert encoder.config == ImageNetwork(
        size=8, mean=(127.5,), std=(127.5,), scale=255, order="rgb", layout="nchw", output="vector", width=4,
        enlarge="linear", norm="none",
    )  # fmt: skip


def test_an_option_is_stronger_than_the_file_and_that_than_the_defaults(tmp_path: Path) -> None:
    crops = pictures(3)
    path = saved(tmp_path, model(("b", 3, "h", "w")), size=4, mean=[10, 20, 30], order="bgr", norm="l2", keep=3)
    assert opened(path).config.size == 4
    encoder = opened(path, size=8, std=(2.0,), norm="none")
    np.testing.assert_allclose(
        encoder(crops), (means(crops[..., ::-1], (10, 20, 30), 2) @ MIX)[:, :3], rtol=1e-5, atol=1e-4
    )
    assert encoder.config == ImageNetwork(
        size=8, mean=(10, 20, 30), std=(2.0,), scale=255, order="bgr", layout="nchw", output="vector", keep=3, width=3,
        enlarge="linear", norm="none",
    )  # fmt: skip
    np.testing.assert_allclose(np.linalg.norm(opened(path)(crops), axis=1), 1, rtol=1e-6)


def test_where_scale_is_said_mean_and_std_are_nothing(tmp_path: Path) -> None:
    crops = pictures(3)
    np.testing.assert_allclose(
        opened(saved(tmp_path, model()), scale=1.0)(crops), means(crops, 0, 1, 1) @ MIX, atol=1e-5
    )


WRONG_FILES: dict[str, tuple[Any, str]] = {
    "no-json": ("{", r"net.onnx.json: is no JSON \(.*\), expected an object such as .*; correct or remove it"),
    "no-text": (b"\xff\xfe", r"net.onnx.json: is no JSON"),
    "list": ([1], r"net.onnx.json: holds a JSON list, expected an object"),
    "unknown": ({"sise": 8}, r'net.onnx.json: has "sise", expected only size, mean, .*; did you mean \'size\'\?'),
    "strange": ({"zzz": 8}, r'has "zzz", expected only size, .*; remove it'),
    "word": ({"size": "8"}, r'"size": "8", expected a whole number; correct it, or remove "size"'),
    "truth": ({"size": True}, r'"size": true, expected a whole number'),
    "fraction": ({"size": 8.5}, r'"size": 8.5, expected a whole number'),
    "small": ({"size": 0}, r'"size": 0, expected a whole number of at least 1'),
    "order": ({"order": "gbr"}, r'"order": "gbr", expected rgb or bgr or grey'),
    "empty": ({"mean": []}, r'"mean": \[\], expected a number, or a list of them'),
    "inner": ({"mean": [1, "2", 3]}, r'"mean": \[1, "2", 3\], expected a number'),
    "infinite": ('{"std": Infinity}', r'"std": Infinity, expected a finite number'),
    "huge": (f'{{"std": 1{"0" * 400}}}', r"expected a finite number"),
    # and what contradicts the network:
    "size": ({"size": 16}, r'net.onnx.json: "size": 16 is not what the network takes, expected 8; correct the file'),
    "two-means": ({"mean": [1, 2]}, r'"mean": \[1.0, 2.0\] has 2 numbers, expected one, or 3'),
    "std": ({"std": [1, 0, 1]}, r'"std": .* is not above 0, expected positive numbers'),
    "scale": ({"scale": -1}, r'"scale": -1.0 is not above 0, expected 255 or 1'),
    "unscaled": ({"mean": 0.5, "std": 0.5}, r'"std": \[0.5\] looks like one of pixels from 0 to 1, expected a scale'),
    "grey": ({"order": "grey"}, r'"order": "grey" does not fit an input of 3 channels, expected rgb'),
    "layout": (
        {"layout": "nhwc"},
        r'"layout": "nhwc" does not fit the network\'s input \(\?, 3, 8, 8\), expected nchw',
    ),
    "width": ({"width": 512}, r'net.onnx.json: "width": 512 is not what net.onnx gives, expected 4'),
    "keep": ({"keep": 5}, r'net.onnx.json: "keep": 5 is more than the 4 numbers that it gives, expected 4'),
    "output": ({"output": "vektor"}, r"net.onnx: has no output or node 'vektor', expected a name such as vector, real"),
}


@pytest.mark.parametrize("name", list(WRONG_FILES))
def test_a_file_beside_the_network_that_is_wrong_is_refused(tmp_path: Path, name: str) -> None:
    content, message = WRONG_FILES[name]
    path = saved(tmp_path, model())
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    (tmp_path / "net.onnx.json").write_bytes(content)
    with pytest.raises(AssetError, match=message) as raised:
        opened(path)
    assert "\n" not in str(raised.value)


def test_a_file_beside_the_network_that_cannot_be_read(tmp_path: Path) -> None:
    path = saved(tmp_path, model())
    (tmp_path / "net.onnx.json").mkdir()
    with pytest.raises(AssetError, match=r"net.onnx.json: cannot be read \(Is a directory\)"):
        opened(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 16}, r"--size 16: is not what the network takes, expected 8; correct it, or leave it out"),
        ({"mean": (1.0, 2.0)}, r"--mean 1.0,2.0: has 2 numbers, expected one, or 3"),
        ({"order": "grey"}, r"--order grey: does not fit an input of 3 channels, expected rgb"),
        ({"width": 3}, r"--width 3: is not what net.onnx gives, expected 4"),
    ],
)
def test_an_option_that_contradicts_the_network_is_wrong_use(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        opened(saved(tmp_path, model(), size=8, mean=[1, 2, 3]), **settings)


# -- networks of all kinds


def reshaped(
    dims: list[int], sides: tuple[int | str, ...] = ("b", 3, 8, 8), mix: NDArray[np.float32] = MIX
) -> onnx.ModelProto:
    node = helper.make_node("Reshape", ["vector", "dims"], ["out"])
    constants = {"dims": np.array(dims, np.int64)}
    return model(sides, mix=mix, nodes=(node,), constants=constants, outputs={"out": TensorProto.FLOAT})


FITTING: dict[str, tuple[Callable[[], onnx.ModelProto], dict[str, Any]]] = {
    "batch-of-one": (lambda: model((1, 3, 8, 8)), {}),
    "batch-baked-in": (lambda: reshaped([1, 4]), {}),
    "no-batch-in-the-answer": (lambda: reshaped([4], (1, 3, 8, 8)), {}),
    "no-shape": (lambda: model(("b", "c", "h", "w")), {"size": 8}),
    "half": (lambda: model(kind=TensorProto.FLOAT16), {}),
    "double": (lambda: model(kind=TensorProto.DOUBLE), {}),
    "channels-last": (lambda: model(("b", 8, 8, 3), axes=(1, 2)), {}),
    "channels-last-open": (lambda: model(("b", "h", "w", "c"), axes=(1, 2)), {"size": 8, "layout": "nhwc"}),
    "maps": (lambda: reshaped([-1, 4, 1, 1]), {}),
    "maps-last": (lambda: reshaped([-1, 1, 1, 4]), {}),
    "weights-as-inputs": (lambda: _weights_as_inputs(), {}),
    "node-name": (lambda: reshaped([-1, 2, 2]), {"output": "average", "keep": 2}),
}


def _weights_as_inputs() -> onnx.ModelProto:
    made = model()
    made.graph.input.append(helper.make_tensor_value_info("mix", TensorProto.FLOAT, [3, 4]))
    return made


@pytest.mark.parametrize("name", list(FITTING))
def test_networks_that_fit_give_the_same_vectors_one_by_one_or_together(tmp_path: Path, name: str) -> None:
    make, settings = FITTING[name]
    crops = pictures(5)
    wanted = means(crops) @ MIX if name != "node-name" else means(crops)[:, :2]
    encoder = opened(saved(tmp_path, make()), **settings)
    vectors = encoder(crops)
    assert (vectors.shape, vectors.dtype) == (wanted.shape, np.float32)
    np.testing.assert_allclose(vectors, wanted, atol=2e-3 if name == "half" else 1e-5)
    np.testing.assert_allclose(np.concatenate([encoder(crop[None]) for crop in crops]), vectors, atol=1e-6)


def test_bytes_go_in_as_they_are(tmp_path: Path) -> None:
    crops = pictures(3)
    path = saved(tmp_path, model(kind=TensorProto.UINT8))
    encoder = opened(path)
    np.testing.assert_allclose(encoder(crops), crops.mean(axis=(1, 2)) @ MIX, rtol=1e-6)
    assert (encoder.config.mean, encoder.config.std) == ((0,), (1,))
    with pytest.raises(UsageError, match=r"--std 2.0: is nothing to a network that takes bytes"):
        opened(path, std=(2.0,))


def test_a_grey_network_takes_grey(tmp_path: Path) -> None:
    crops = pictures(3)
    encoder = opened(saved(tmp_path, model((1, 1, 8, 8), mix=np.ones((1, 2), np.float32)), mean=0, std=1))
    grey = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops]).mean(axis=(1, 2))
    np.testing.assert_allclose(encoder(crops), np.stack([grey, grey], axis=1), rtol=1e-6)
    assert encoder.config.order == "grey"


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_maps_are_averaged_over_both_sides(tmp_path: Path, layout: str) -> None:
    sides, axes = (("b", 3, 8, 8), (2, 3)) if layout == "nchw" else (("b", 8, 8, 3), (1, 2))
    crops = pictures(3)
    encoder = opened(saved(tmp_path, model(sides, axes=axes)), output="real")
    np.testing.assert_allclose(encoder(crops), means(crops), atol=1e-5)


def test_only_what_leads_to_the_output_is_kept(tmp_path: Path) -> None:
    nodes = (helper.make_node("MatMul", ["vector", "large"], ["logits"]),)
    made = model(
        nodes=nodes, constants={"large": np.ones((4, 1000), np.float32)}, outputs={"logits": TensorProto.FLOAT}
    )
    from affcli.features.graphs import Graph

    graph = Graph(weights.load_file(saved(tmp_path, made)))
    assert graph.keep("vector") == "vector"
    kept = onnx.load_model_from_string(graph.content())
    assert [tensor.name for tensor in kept.graph.initializer] == ["axes", "mix"]
    assert [node.op_type for node in kept.graph.node] == ["Cast", "ReduceMean", "MatMul"]


def test_a_branch_inside_a_node_keeps_what_it_reads(tmp_path: Path) -> None:
    # If(true) with a graph inside that reads `vector` of the graph outside, which no node's list of inputs names.
    inner = helper.make_graph(
        [helper.make_node("Identity", ["vector"], ["inside"])],
        "then",
        [],
        [helper.make_tensor_value_info("inside", TensorProto.FLOAT, None)],
    )
    node = helper.make_node("If", ["yes"], ["out"], then_branch=inner, else_branch=inner)
    made = model(nodes=(node,), constants={"yes": np.array(True)}, outputs={"out": TensorProto.FLOAT})
    crops = pictures(2)
    np.testing.assert_allclose(opened(saved(tmp_path, made))(crops), means(crops) @ MIX, atol=1e-5)


def test_a_network_that_mixes_the_pictures_of_a_batch_is_given_one_at_a_time(tmp_path: Path) -> None:
    nodes = (helper.make_node("Softmax", ["vector"], ["out"], axis=0),)
    encoder = opened(saved(tmp_path, model(nodes=nodes, outputs={"out": TensorProto.FLOAT})))
    assert np.array_equal(encoder(pictures(3)), np.ones((3, 4), np.float32))


def test_one_float_output_among_others_is_the_vector(tmp_path: Path) -> None:
    nodes = (helper.make_node("ArgMax", ["vector"], ["label"], axis=1),)
    made = model(nodes=nodes, outputs={"label": TensorProto.INT64, "vector": TensorProto.FLOAT})
    assert opened(saved(tmp_path, made)).config.output == "vector"


def _external() -> onnx.ModelProto:
    made = model()
    tensor = made.graph.initializer[1]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="net.bin")
    return made


def _as_wide_as_bright() -> onnx.ModelProto:
    """A network that adds a number for every bright pixel."""
    nodes = (
        helper.make_node("Relu", ["real"], ["bright"]),
        helper.make_node("NonZero", ["bright"], ["where"]),
        helper.make_node("Slice", ["where", "zero", "one", "zero"], ["row"]),
        helper.make_node("Cast", ["row"], ["more"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["vector", "more"], ["out"], axis=1),
    )
    constants = {"zero": np.array([0], np.int64), "one": np.array([1], np.int64)}
    return model(nodes=nodes, constants=constants, outputs={"out": TensorProto.FLOAT})


def _labelled(names: dict[str, int]) -> onnx.ModelProto:
    nodes = (helper.make_node("ArgMax", ["vector"], ["label"], axis=1),)
    return model(nodes=nodes, outputs=names)


NO_NETWORKS: dict[str, tuple[Callable[[], bytes | onnx.ModelProto], str]] = {
    "empty": (lambda: b"", r"net.onnx: is no ONNX file, or an empty one, expected a network as ONNX; choose another"),
    "text": (lambda: b"not a network", r"is no ONNX file, expected"),
    "two-inputs": (
        lambda: model(inputs=("age",)),
        r"takes 2 inputs \(picture float\[\?,3,8,8\], age float\[1\]\), expected one picture",
    ),
    "external": (
        _external,
        r"keeps its weights in other files \(net.bin\), expected everything in one file; save it again in Python",
    ),
    "channels": (lambda: model(("b", 4, 8, 8)), r"takes 4 channels, expected 3 \(red, green, blue\), or 1 \(grey\)"),
    "flat": (lambda: model(("b", 192), axes=(0, 1)), r"takes picture float\[\?,192\], expected one picture"),
    "int64": (lambda: model(kind=TensorProto.INT64), r"takes picture int64\[\?,3,8,8\], expected one picture"),
    "oblong": (lambda: model(("b", 3, 8, 10)), r"takes pictures of 10x8, expected square ones, as crops are"),
    "open": (
        lambda: model(("b", 3, "h", "w")),
        r"takes pictures of any size, expected to be told which .*; add --size N, or \{\"size\": N\}",
    ),
    "ten": (lambda: model((10, 3, 8, 8)), r"takes 10 pictures at a time, expected one, or any number"),
    "labels": (
        lambda: _labelled({"label": TensorProto.INT64}),
        r"gives no floating-point numbers \(label int64\[\]\), expected a vector; name an inner tensor with --output",
    ),
    "two-outputs": (
        lambda: model(outputs={"means": TensorProto.FLOAT, "vector": TensorProto.FLOAT}),
        r"has 2 outputs \(means float\[\], vector float\[\]\), expected .* which one is the vector; add --output NAME",
    ),
    "tokens": (
        lambda: reshaped([-1, 2, 2]),
        r"gives \(1, 2, 2\) as 'out' for 1 picture, expected \(batch, width\), or maps .*; choose another output",
    ),
    "cube": (
        lambda: reshaped([-1, 2, 2, 2], mix=np.ones((3, 8), np.float32)),
        r"gives \(1, 2, 2, 2\) as 'out' for 1 picture, expected",
    ),
    "content": (_as_wide_as_bright, r"gives 4 numbers for a black picture and 196 for a white one, expected as many"),
    "constant": (
        lambda: model(nodes=(helper.make_node("Identity", ["mix"], ["out"]),), outputs={"out": TensorProto.FLOAT}),
        r"its output 'out' does not depend on the picture",
    ),
    "operator": (
        lambda: model(nodes=(helper.make_node("Frobnicate", ["vector"], ["out"]),), outputs={"out": TensorProto.FLOAT}),
        r"cannot be run \(.*Frobnicate.*\), expected a network that ONNX Runtime knows",
    ),
    "fails": (lambda: reshaped([7, 7]), r"fails on a picture of 8x8 \(.*\), expected a network for pictures of that"),
}


@pytest.mark.parametrize("name", list(NO_NETWORKS))
def test_a_file_that_is_no_such_network_is_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    make, message = NO_NETWORKS[name]
    made = make()
    path = tmp_path / "net.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    with pytest.raises(AssetError, match=message) as raised:
        opened(str(path))
    assert raised.value.subject == str(path)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")  # nothing of ONNX Runtime's own


def test_labels_as_the_chosen_output_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, _labelled({"vector": TensorProto.FLOAT}))
    with pytest.raises(AssetError, match=r"gives int64 as 'label', expected floating-point numbers"):
        opened(path, output="label")


def test_a_batch_that_the_network_cannot_take_says_nothing_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    opened(saved(tmp_path, reshaped([1, 4])))(pictures(3))
    assert capfd.readouterr() == ("", "")


def test_a_width_that_changes_later_is_refused(tmp_path: Path) -> None:
    # As many numbers as there are different ones among the means of a picture's colours.
    nodes = (
        helper.make_node("Unique", ["means"], ["unique"]),
        helper.make_node("Unsqueeze", ["unique", "first"], ["out"]),
    )
    made = model((1, 3, 8, 8), nodes=nodes, constants={"first": np.array([0])}, outputs={"out": TensorProto.FLOAT})
    encoder = opened(saved(tmp_path, made))
    with pytest.raises(SchemaError, match=r"net.onnx: gives 3 numbers for a crop and 1 for another"):
        encoder(pictures(1))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"none.onnx: does not exist, expected a file of weights; check the path"):
        opened(str(tmp_path / "none.onnx"))
    with pytest.raises(AssetError, match=r"cannot be read \(Is a directory\)"):
        opened(str(tmp_path))


def convolutions(folder: Path, width: int = 32) -> str:
    """A network with random weights that is large enough for threads to share its sums."""
    random = np.random.default_rng(3)
    channels = (3, 16, 32)
    nodes, constants, last = [], {}, "real"
    for i, (before, after) in enumerate(itertools.pairwise(channels)):
        constants[f"w{i}"] = (random.standard_normal((after, before, 3, 3)) / 5).astype(np.float32)
        nodes.append(helper.make_node("Conv", [last, f"w{i}"], [f"c{i}"], strides=[2, 2], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"]))
        last = f"r{i}"
    constants["last"] = (random.standard_normal((32 * 16 * 16, width)) / 50).astype(np.float32)
    nodes += [helper.make_node("Flatten", [last], ["flat"]), helper.make_node("MatMul", ["flat", "last"], ["out"])]
    made = model(("b", 3, 64, 64), nodes=tuple(nodes), constants=constants, outputs={"out": TensorProto.FLOAT})
    return saved(folder, made)


def test_several_threads_and_batches_give_the_same_vectors(tmp_path: Path) -> None:
    encoder, crops = opened(convolutions(tmp_path)), pictures(24, 64)
    wanted = encoder(crops)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(encoder, [crops[i : i + 3] for i in range(0, 24, 3)]))
    np.testing.assert_allclose(np.concatenate(parts), wanted, rtol=1e-4, atol=1e-5)
    assert np.array_equal(opened(str(tmp_path / "net.onnx"))(crops), wanted)
    view = TimedCrops(crops, np.arange(24) * 40_000, np.arange(24) % 5 != 1)
    rows = np.concatenate(list(encode_crops(encoder, view, 4, threads=2)))
    assert (rows[1::5] == 0).all()
    np.testing.assert_allclose(rows[::5], wanted[::5], rtol=1e-4, atol=1e-5)


def test_running_out_of_memory_makes_the_batch_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, crops = opened(saved(tmp_path, model())), pictures(8)
    wanted, session, asked = encoder(crops), encoder._network._session, []

    class Small:
        def run(self, names: list[str], feed: dict[str, NDArray[Any]]) -> Any:
            asked.append(len(feed["picture"]))
            if asked[-1] > 2:
                raise onnxruntime.capi.onnxruntime_pybind11_state.Fail("Failed to allocate memory for requested buffer")
            return session.run(names, feed)

    monkeypatch.setattr(encoder._network, "_session", Small())
    view = TimedCrops(crops, np.arange(8) * 40_000, np.ones(8, bool))
    rows = np.concatenate(list(encode_crops(encoder, view, 8)))
    np.testing.assert_allclose(rows, wanted, rtol=1e-6)
    assert asked == [8, 4, 2, 2, 2, 2]


# -- networks whose preprocessing is known


def test_expnet_takes_blue_first_and_whole_bytes(tmp_path: Path) -> None:
    mix = np.random.default_rng(0).standard_normal((3, 2048)).astype(np.float32)
    crops = pictures(2, 224)
    encoder = opened(saved(tmp_path, model(("b", 224, 224, 3), axes=(1, 2), mix=mix)), "expnet")
    np.testing.assert_allclose(encoder(crops), means(crops[..., ::-1], 0, 1) @ mix, rtol=1e-3, atol=1e-2)
    assert (encoder.config.layout, encoder.config.width) == ("nhwc", 2048)
    with pytest.raises(AssetError, match=r"gives vectors of 4 numbers, expected 2048, as this encoder has"):
        opened(saved(tmp_path, model(("b", 224, 224, 3), axes=(1, 2))), "expnet")


def test_tcae_keeps_256_of_268_numbers(tmp_path: Path) -> None:
    mix = np.random.default_rng(0).standard_normal((3, 268)).astype(np.float32)
    crops = pictures(2, 256)
    encoder = opened(saved(tmp_path, model(("b", 3, "h", "w"), mix=mix)), "tcae")
    np.testing.assert_allclose(encoder(crops), means(crops, 0, 1, 1) @ mix[:, :256], atol=1e-5)
    assert (encoder.config.size, encoder.config.keep, encoder.config.width) == (256, 256, 256)


def test_senet_holds_to_512_numbers_and_to_what_is_said(tmp_path: Path) -> None:
    mix = np.random.default_rng(0).standard_normal((3, 512)).astype(np.float32)
    crops = pictures(2)
    path = saved(tmp_path, model(mix=mix), mean=[103.9, 116.8, 123.7], order="bgr")
    wanted = means(crops[..., ::-1], (103.9, 116.8, 123.7), 1) @ mix
    np.testing.assert_allclose(opened(path, "senet101-fer")(crops), wanted, rtol=1e-4, atol=1e-3)


@pytest.fixture
def recognition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network with the interface of InsightFace's, in the place of the MobileFaceNet."""
    name = "arcface-mbf.webface600k"
    monkeypatch.setenv("AFFCLI_CACHE", str(tmp_path))
    mix = np.random.default_rng(0).standard_normal((3, 512)).astype(np.float32)
    content = model(("None", 3, 112, 112), mix=mix).SerializeToString()
    known = {**vars(weights.WEIGHTS[name]), "sha256": hashlib.sha256(content).hexdigest()}
    monkeypatch.setitem(weights.WEIGHTS._entries, name, weights.Weights(**known))
    path = weights.cached_path(name)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_arcface_gives_what_insightface_gives(recognition: Path, real_crops: NDArray[np.uint8]) -> None:
    theirs = ArcFaceONNX(str(recognition), onnxruntime.InferenceSession(str(recognition)))
    wanted = theirs.get_feat([np.ascontiguousarray(crop[..., ::-1]) for crop in real_crops])
    entry = ENCODERS["arcface-mbf.webface600k"]
    encoder = entry.resolve()(Arcface(), Setup())
    np.testing.assert_allclose(encoder(real_crops), wanted, atol=1e-5)
    assert encoder.weights == {"arcface-mbf.webface600k": hashlib.sha256(recognition.read_bytes()).hexdigest()}
    unit = entry.resolve()(Arcface(norm="l2"), Setup())(real_crops)
    np.testing.assert_allclose(unit, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("name", ["arcface-r50.webface600k", "arcface-mbf.webface600k"])
def test_arcface_that_nobody_brought_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("AFFCLI_CACHE", str(tmp_path))
    with pytest.raises(AssetError, match=rf"is not in the cache, .*; run: affcli models pull {name}"):
        ENCODERS[name].resolve()(Arcface(), Setup())


@pytest.mark.weights
@pytest.mark.parametrize("name", ["arcface-r50.webface600k", "arcface-mbf.webface600k"])
def test_pulled_arcface_knows_a_face_again(name: str, real_crops: NDArray[np.uint8]) -> None:
    vectors = ENCODERS[name].resolve()(Arcface(norm="l2"), Setup())(np.concatenate([real_crops, pictures(1, 112)]))
    alike = vectors @ vectors[0]
    assert vectors.shape == (13, 512)
    assert alike[1] > alike[12]


# -- as typed


def test_settings_that_were_used_stand_in_the_recipe_and_no_directory(
    affcli: Command, tmp_path: Path, write_faces: Callable[..., Path]
) -> None:
    crops = pictures(6, 16)
    write_faces(tmp_path / "faces", "a", crops, np.arange(6) != 2)
    (tmp_path / "nets").mkdir()
    path = saved(tmp_path / "nets", model(), scale=1, mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25])
    done = affcli("embed", tmp_path / "faces", tmp_path / "out", "--encoder", f"onnx:{path}", "--norm", "l2")
    assert (done.returncode, done.stderr) == (0, "affcli: 1 clip: 1 made\n")
    table = tables.read(tmp_path / "out" / "a.onnx-net.parquet", FEATURES)
    assert table.header.recipe["config"] == {
        "encoder": "onnx:net.onnx", "size": 8, "mean": [0.5] * 3, "std": [0.25] * 3, "scale": 1, "order": "rgb",
        "layout": "nchw", "output": "vector", "keep": 0, "width": 4, "enlarge": "linear", "norm": "l2",
    }  # fmt: skip
    assert list(table.header.recipe["weights"]) == ["net.onnx"]
    assert str(tmp_path).encode() not in (tmp_path / "out" / "a.onnx-net.parquet").read_bytes()
    lengths = np.linalg.norm(table.array(), axis=1)
    np.testing.assert_allclose(lengths, np.arange(6) != 2, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "words", "status", "message"),
    [
        ("onnx:none.onnx", (), 5, "affcli: none.onnx: does not exist, expected a file of weights; check the path\n"),
        ("onnx:net.onnx", ("--size", 16), 2, "affcli: --size 16: is not what the network takes, expected 8; "),
        ("onnx:net.onnx", ("--layout", "cnhw"), 2, "affcli: --layout cnhw: is not what it takes, expected nchw or "),
        ("expnet:net.onnx", (), 5, "affcli: net.onnx: gives vectors of 4 numbers, expected 2048, as this encoder has"),
        ("onnx", (), 2, "affcli: onnx: does not say which FILE.onnx, expected onnx:FILE.onnx; "),
        ("arcface-r50.webface600k", (), 5, "run: affcli models pull arcface-r50.webface600k\n"),
    ],
)
def test_what_does_not_fit_ends_with_one_line(
    affcli: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write_faces: Callable[..., Path],
    spec: str,
    words: tuple[object, ...],
    status: int,
    message: str,
) -> None:
    monkeypatch.setenv("AFFCLI_CACHE", str(tmp_path / "cache"))
    write_faces(tmp_path / "faces", "a", pictures(2, 16), np.ones(2, bool))
    saved(tmp_path, model())
    done = affcli("embed", "faces", "out", "--encoder", spec, *words, cwd=tmp_path)
    assert message in done.stderr
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1)


# -- networks of timm and torchvision


@pytest.fixture(scope="session")
def vision() -> Iterator[Any]:
    """torchvision, also where it was made for another build of torch than the one that is here.

    Its compiled operators (of detectors) are missing then, and no classifier calls them: names are put in their place.
    """
    if importlib.util.find_spec("timm") is None:
        pytest.skip("needs the extra timm")
    library = torch.library.Library("torchvision", "FRAGMENT")
    while True:
        try:
            yield importlib.import_module("torchvision")
            return
        except RuntimeError as error:
            missing = re.fullmatch(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None:
                raise
            library.define(f"{missing[1]}(Tensor boxes, Tensor scores, float threshold) -> Tensor")


def backbone(library: str, argument: str, *, half: bool = False, online: bool = False, **chosen: Any) -> Any:
    setup = Setup(argument, half=half, online=online)
    return ENCODERS[library].resolve()(Backbone(**chosen), setup)


def timm_state(name: str, **words: Any) -> dict[str, torch.Tensor]:
    import timm

    torch.manual_seed(0)
    state: dict[str, torch.Tensor] = timm.create_model(name, pretrained=False, **words).state_dict()
    return state


def by_hand(network: Any, crops: NDArray[np.uint8], side: int, mean: Any, std: Any) -> NDArray[np.float32]:
    grown = [cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC) for crop in crops]
    batch = (np.stack(grown) / 255 - mean) / std
    with torch.inference_mode():
        vectors: NDArray[np.float32] = network.eval()(
            torch.from_numpy(batch.transpose(0, 3, 1, 2).astype(np.float32))
        ).numpy()
    return vectors


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize("classes", [1000, 7, 0])
@pytest.mark.usefixtures("vision")
def test_a_network_of_timm_with_weights_of_ones_own(tmp_path: Path, classes: int) -> None:
    import timm

    state = timm_state("mobilenetv3_small_050", num_classes=classes)
    path = tmp_path / "mine.safetensors"
    save_file(state, path)
    crops = pictures(2, 32)
    encoder = backbone("timm", f"mobilenetv3_small_050@{path}", size=64)
    reference = timm.create_model("mobilenetv3_small_050", pretrained=False, num_classes=classes)
    reference.load_state_dict(state)
    reference.reset_classifier(0)
    vectors = encoder(crops)
    assert (vectors.shape, vectors.dtype) == ((2, 1024), np.float32)
    np.testing.assert_allclose(vectors, by_hand(reference, crops, 64, MEAN, STD), rtol=1e-4, atol=1e-5)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert encoder.weights == {"mobilenetv3_small_050@mine.safetensors": digest}
    assert encoder.config == Backbone(size=64, mean=MEAN, std=STD, enlarge="cubic", norm="none")
    other = backbone("timm", f"mobilenetv3_small_050@{path}", size=64, mean=(0.5,), std=(0.25, 0.5, 1.0))
    np.testing.assert_allclose(other(crops), by_hand(reference, crops, 64, 0.5, (0.25, 0.5, 1)), rtol=1e-4, atol=1e-4)
    for settings, message in (
        ({"mean": (1.0, 2.0)}, r"--mean 1.0,2.0: .* one number, or three"),
        ({"std": (0.0,)}, r"--std 0.0: .* positive"),
    ):
        with pytest.raises(UsageError, match=message):
            backbone("timm", f"mobilenetv3_small_050@{path}", **settings)


@pytest.mark.usefixtures("vision")
def test_a_checkpoint_of_a_training_run_gives_the_same_vectors(tmp_path: Path) -> None:
    state = timm_state("resnet10t", num_classes=7)
    save_file(state, tmp_path / "plain.safetensors")
    wrapped = {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}
    torch.save(wrapped, tmp_path / "run.pth")
    crops = pictures(3, 48)
    plain = backbone("timm", f"resnet10t@{tmp_path}/plain.safetensors", size=48)
    again = backbone("timm", f"resnet10t@{tmp_path}/run.pth", size=48)
    assert np.array_equal(plain(crops), again(crops))
    assert np.array_equal(plain(crops), plain(crops))
    np.testing.assert_allclose(
        np.concatenate([plain(crop[None]) for crop in crops]), plain(crops), rtol=1e-4, atol=1e-5
    )
    unit = backbone("timm", f"resnet10t@{tmp_path}/plain.safetensors", size=48, norm="l2")(crops)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)


@pytest.mark.usefixtures("vision")
def test_half_precision_is_near_and_not_equal(tmp_path: Path) -> None:
    save_file(timm_state("resnet10t"), tmp_path / "net.safetensors")
    crops = pictures(2, 64)
    whole = backbone("timm", f"resnet10t@{tmp_path}/net.safetensors", size=64)(crops)
    half = backbone("timm", f"resnet10t@{tmp_path}/net.safetensors", size=64, half=True)(crops)
    assert half.dtype == np.float32
    assert 0 < np.abs(half - whole).max() < 0.05 * np.abs(whole).max()


@pytest.mark.parametrize(("name", "width"), [("mobilenet_v3_small", 1024), ("resnet18", 512)])
def test_a_network_of_torchvision_with_weights_of_ones_own(tmp_path: Path, vision: Any, name: str, width: int) -> None:
    torch.manual_seed(0)
    network = vision.models.get_model(name, weights=None, num_classes=7)
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    crops = pictures(2, 32)
    encoder = backbone("torchvision", f"{name}@{tmp_path}/mine.pth", size=64, enlarge="cubic")
    vectors = encoder(crops)
    assert vectors.shape == (2, width)
    head = [where for where, module in network.named_modules() if isinstance(module, torch.nn.Linear)][-1]
    network.set_submodule(head, torch.nn.Identity())
    np.testing.assert_allclose(vectors, by_hand(network, crops, 64, MEAN, STD), rtol=1e-4, atol=1e-5)
    assert list(encoder.weights) == [f"{name}@mine.pth"]


@pytest.mark.usefixtures("vision")
def test_weights_that_are_not_those_of_the_network_are_refused(tmp_path: Path) -> None:
    state = timm_state("resnet10t")
    files: dict[str, Any] = {
        "other": {f"x.{key}": value for key, value in state.items()},
        "part": {key: value for key, value in state.items() if "layer3" not in key},
        "empty": {},
        "number": {"state_dict": 3},
    }
    for name, content in files.items():
        torch.save(content, tmp_path / f"{name}.pth")
    torch.save(Backbone(), tmp_path / "code.pth")
    (tmp_path / "text.pth").write_text("no weights")
    (tmp_path / "text.safetensors").write_text("no weights")
    for name, message in {
        "other.pth": r"other.pth: does not fit resnet10t \(Missing key\(s\).*\), expected all weights of resnet10t",
        "part.pth": r"part.pth: does not fit resnet10t \(Missing key\(s\) in state_dict: .*layer3",
        "empty.pth": r"empty.pth: holds no weights, expected weights as .safetensors, or as torch.save",
        "number.pth": r"number.pth: holds no weights",
        "code.pth": r"code.pth: cannot be read as weights \(.*\)",
        "text.pth": r"text.pth: cannot be read as weights \(.*\)",
        "text.safetensors": r"text.safetensors: cannot be read as weights \(.*\)",
        "none.pth": r"none.pth: does not exist",
    }.items():
        for library in ("timm:resnet10t", "torchvision:resnet18"):
            kind, _, network = library.partition(":")
            with pytest.raises(AssetError, match=message.replace("resnet10t", network).replace("layer3", "")) as raised:
                backbone(kind, f"{network}@{tmp_path}/{name}")
            assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("vision")
def test_weights_that_are_not_in_the_cache_are_never_made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    advice = r"; add --online to let its library fetch them, or bring a file: {}@FILE.safetensors"
    with pytest.raises(
        AssetError,
        match=r"timm:resnet10t: its weights are not in the cache of Hugging Face, expected timm/resnet10t.c3_in1k"
        + advice.format("timm:resnet10t"),
    ):
        backbone("timm", "resnet10t")
    with pytest.raises(
        AssetError,
        match=r"torchvision:resnet18: its weights are not in the cache of torch, expected .*/resnet18-f37072fd.pth"
        + advice.format("torchvision:resnet18"),
    ):
        backbone("torchvision", "resnet18")


@pytest.mark.usefixtures("vision")
def test_a_hub_that_cannot_be_reached_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def unreachable(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("An error happened while trying to locate the file on the Hub")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    with pytest.raises(
        AssetError, match=r"its weights could not be fetched \(An error happened while trying to locate"
    ):
        backbone("timm", "resnet10t", online=True)


def test_torchvision_needs_no_timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vision: Any) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    torch.save(vision.models.resnet18().state_dict(), tmp_path / "mine.pth")
    assert backbone("torchvision", f"resnet18@{tmp_path}/mine.pth", size=32)(pictures(1)).shape == (1, 512)
    assert "timm" not in ENCODERS["torchvision"].packages


def test_a_picture_that_does_not_fit_into_the_memory_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    path = saved(tmp_path, model(("batch", 3, "h", "w")))
    monkeypatch.setattr("affcli.features.networks._Network._vectors", full)
    with pytest.raises(AssetError, match=r"takes more than the memory for a picture of 16x16, .* smaller --size"):
        opened(path, size=16)


def test_published_weights_are_taken_from_the_cache_of_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vision: Any
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    published = vision.models.ResNet18_Weights.IMAGENET1K_V1
    network = vision.models.resnet18()
    path = tmp_path / "checkpoints" / published.url.rpartition("/")[2]
    path.parent.mkdir()
    torch.save(network.state_dict(), path)
    with pytest.raises(AssetError, match=r"resnet18-f37072fd.pth: SHA-256 .*, expected f37072fd...; remove it, and"):
        backbone("torchvision", "resnet18")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    own = path.with_name(f"resnet18-{digest[:8]}.pth")
    path.rename(own)
    monkeypatch.setattr(type(published), "url", property(lambda _: f"https://example.org/{own.name}"))
    monkeypatch.setattr(
        vision.models, "get_model", lambda _, weights, **__: network if weights else vision.models.resnet18()
    )
    encoder = backbone("torchvision", "resnet18.IMAGENET1K_V1")
    assert encoder.weights == {"resnet18.IMAGENET1K_V1": digest}
    assert encoder.config == Backbone(size=224, mean=MEAN, std=STD, enlarge="linear")


@pytest.mark.usefixtures("vision")
def test_published_weights_are_taken_from_the_cache_of_hugging_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    save_file(timm_state("resnet10t"), tmp_path / "model.safetensors")
    asked = []

    def download(repository: str, file: str, *, revision: str | None, local_files_only: bool) -> str:
        asked.append((repository, file, revision, local_files_only))
        return str(tmp_path / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    encoder = backbone("timm", "resnet10t", size=64)
    assert asked == [("timm/resnet10t.c3_in1k", "model.safetensors", None, True)]
    digest = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert encoder.weights == {"resnet10t.c3_in1k": digest}
    assert encoder(pictures(2, 64)).shape == (2, 512)
    backbone("timm", "resnet10t", size=64, online=True)
    assert asked[-1][-1] is False


@pytest.mark.usefixtures("vision")
def test_a_failed_fetch_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def fail(*_: Any, **__: Any) -> str:
        raise ConnectionError("no route to host\nat all")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    for spec in ("timm:resnet10t", "torchvision:resnet18"):
        library, _, name = spec.partition(":")
        with pytest.raises(
            AssetError, match=rf"{spec}: its weights could not be fetched \(no route to host\)"
        ) as raised:
            backbone(library, name, online=True)
        assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("vision")
@pytest.mark.parametrize(
    ("library", "argument", "message"),
    [
        ("timm", "resnet1O1", r"timm:resnet1O1: is no network of timm, expected a name such as .*resnet101"),
        ("timm", "resnet18.none", r"timm:resnet18.none: is no network of timm, expected a name such as resnet18\."),
        ("torchvision", "resnet18.V9", r"torchvision:resnet18.V9: is no network .* resnet18.IMAGENET1K_V1; correct it"),
        ("torchvision", "fasterrcnn_resnet50_fpn", r"is no network of torchvision, expected a name such as "),
    ],
)
def test_an_unknown_network_is_wrong_use(library: str, argument: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        backbone(library, argument)


@pytest.mark.usefixtures("vision")
def test_a_size_that_a_network_does_not_take_is_wrong_use(tmp_path: Path) -> None:
    save_file(timm_state("vit_tiny_patch16_224", num_classes=0), tmp_path / "vit.safetensors")
    spec = f"vit_tiny_patch16_224@{tmp_path}/vit.safetensors"
    with pytest.raises(UsageError, match=r"--size 100: is not what timm:vit_tiny_patch16_224 takes \(.*\), expected"):
        backbone("timm", spec, size=100)
    assert backbone("timm", spec)(pictures(1, 32)).shape == (1, 192)


@pytest.mark.usefixtures("vision")
def test_a_network_without_a_linear_layer_is_refused() -> None:
    with pytest.raises(AssetError, match=r"torchvision:squeezenet1_0: has no linear layer, expected one at its end"):
        backbone("torchvision", "squeezenet1_0")


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(AssetError, match=rf"{library}: is not installed, .*; pip install 'affcli\[timm\]'"):
        backbone(library, "resnet18")


def test_a_torchvision_for_another_torch_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        AssetError,
        match=r"timm: cannot be loaded \(operator torchvision::nms does not exist\), expected a torchvision for torch",
    ):
        backbone("timm", "resnet18")
