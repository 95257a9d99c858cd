"""What an ONNX file says of itself: the picture that its network takes, the vectors that it gives, parts of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx

from affcli.errors import AssetError, some
from affcli.weights import Loaded

_FLOATS: set[int] = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
_INPUTS: dict[int, str] = {  # what a picture may be told in, by the name of NumPy
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.FLOAT16: "float16",
    onnx.TensorProto.DOUBLE: "float64",
    onnx.TensorProto.UINT8: "uint8",
}
_ONE_PICTURE = "one picture, (batch, 3, height, width) or (batch, height, width, 3), of float or uint8 numbers"


@dataclass(frozen=True)
class Input:
    """The one input of a network."""

    name: str
    dtype: str  # float32, float16, float64 or uint8
    sides: tuple[int | None, ...]  # of its four axes; None where it takes any


def read_model(file: Loaded) -> onnx.ModelProto:
    """An ONNX file whose inputs are those that one gives it.

    Old files list every weight as an input as well, which keeps ONNX Runtime from folding them.  Raises AssetError
    where it is no ONNX file, or keeps its weights in others.
    """
    try:
        model = onnx.load_model_from_string(file.content)
    except Exception as error:  # protobuf's error has no base of its own, and says no more than this
        raise _refusal(file, "is no ONNX file", "a network as ONNX") from error
    graph = model.graph
    if not graph.node:
        raise _refusal(file, "is no ONNX file, or an empty one", "a network as ONNX")
    if elsewhere := sorted(set(_external(graph))):
        raise _refusal(
            file,
            f"keeps its weights in other files ({some(elsewhere)})",
            "everything in one file",
            "save it again in Python: onnx.save(onnx.load('FILE.onnx'), 'WHOLE.onnx')",
        )
    constant = {tensor.name for tensor in graph.initializer} | {
        tensor.values.name for tensor in graph.sparse_initializer
    }
    inputs = [value for value in graph.input if value.name not in constant]
    del graph.input[:]
    graph.input.extend(inputs)
    return model


class Graph:
    """An ONNX file in memory.

    Raises AssetError as `read_model` does, and where it does not take one picture.
    """

    def __init__(self, file: Loaded) -> None:
        self._file = file
        self._model = read_model(file)
        self.input = self._input(list(self._model.graph.input))

    def keep(self, wanted: str) -> str:
        """Make one tensor the only result, and drop what does not lead to it; returns the tensor's name.

        `wanted` is the name of an output, of an inner tensor, or of a node, whose first output is taken; "" is the
        only output that holds floating-point numbers.  Raises AssetError where there is none, or several.
        """
        graph = self._model.graph
        name = self._found(wanted) if wanted else self._only_output()
        needed = {name}
        kept = []
        for node in reversed(graph.node):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(_read(node))
        if self.input.name not in needed:
            raise self.refusal(f"its output '{name}' does not depend on the picture", "an output that does")
        tensors = [tensor for tensor in graph.initializer if tensor.name in needed]
        sparse = [tensor for tensor in graph.sparse_initializer if tensor.values.name in needed]
        # Without a type: ONNX Runtime finds out, and what the file says of inner tensors may be wrong.
        outputs = [value for value in graph.output if value.name == name] or [onnx.ValueInfoProto(name=name)]
        for field in ("node", "initializer", "sparse_initializer", "output", "value_info"):
            graph.ClearField(field)
        graph.node.extend(reversed(kept))
        graph.initializer.extend(tensors)
        graph.sparse_initializer.extend(sparse)
        graph.output.extend(outputs)
        return name

    def content(self) -> bytes:
        """The file as ONNX Runtime is to read it."""
        content: bytes = self._model.SerializeToString()
        return content

    def refusal(self, found: str, expected: str, advice: str = "choose another file") -> AssetError:
        """An error about this file."""
        return _refusal(self._file, found, expected, advice)

    def _input(self, inputs: list[onnx.ValueInfoProto]) -> Input:
        listed = ", ".join(_shown(value) for value in inputs) or "nothing"
        if len(inputs) != 1:
            raise self.refusal(f"takes {len(inputs)} inputs ({listed})", _ONE_PICTURE)
        tensor = inputs[0].type.tensor_type
        sides = _sides(inputs[0]) if tensor.HasField("shape") else (None,) * 4
        if len(sides) != 4 or tensor.elem_type not in _INPUTS:
            raise self.refusal(f"takes {listed}", _ONE_PICTURE)
        return Input(inputs[0].name, _INPUTS[tensor.elem_type], sides)

    def _found(self, wanted: str) -> str:
        graph = self._model.graph
        tensors = [name for node in graph.node for name in node.output if name]
        if wanted in tensors:
            return wanted
        for node in graph.node:
            if node.name == wanted:
                return str(node.output[0])
        near = [value.name for value in graph.output] + tensors[-3:]
        raise self.refusal(
            f"has no output or node '{wanted}'",
            f"a name such as {some(dict.fromkeys(near))}",
            'correct --output, or "output" in the file beside it; Netron shows every name',
        )

    def _only_output(self) -> str:
        outputs = self._model.graph.output
        floats = [value.name for value in outputs if value.type.tensor_type.elem_type in _FLOATS]
        listed = ", ".join(_shown(value) for value in outputs) or "nothing"
        if not floats:
            raise self.refusal(
                f"gives no floating-point numbers ({listed})", "a vector", "name an inner tensor with --output NAME"
            )
        if len(floats) > 1:
            raise self.refusal(
                f"has {len(floats)} outputs ({listed})", "to be told which one is the vector", "add --output NAME"
            )
        return str(floats[0])


def _refusal(file: Loaded, found: str, expected: str, advice: str = "choose another file") -> AssetError:
    return AssetError(file.path, found, expected=expected, advice=advice)


def _sides(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    return tuple(
        side.dim_value if side.HasField("dim_value") and side.dim_value > 0 else None
        for side in value.type.tensor_type.shape.dim
    )


def _shown(value: onnx.ValueInfoProto) -> str:
    """An input or output for people: `picture float[?,3,112,112]`."""
    tensor = value.type.tensor_type
    kind = (
        onnx.TensorProto.DataType.Name(tensor.elem_type).lower() if value.type.HasField("tensor_type") else "no tensor"
    )
    sides = ",".join("?" if side is None else str(side) for side in _sides(value))
    return f"{value.name} {kind}[{sides}]"


def _read(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node reads, those that the graphs inside it take from outside too (and some more)."""
    yield from node.input
    for inner in _inner(node):
        for below in inner.node:
            yield from _read(below)
        yield from (value.name for value in inner.output)


def _inner(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _external(graph: onnx.GraphProto) -> Iterator[str]:
    """Names of the other files that weights are in."""
    tensors: list[Iterable[onnx.TensorProto]] = [graph.initializer]
    for sparse in graph.sparse_initializer:
        tensors.append([sparse.values, sparse.indices])
    for node in graph.node:
        tensors.append([attribute.t for attribute in node.attribute if attribute.HasField("t")])
        for inner in _inner(node):
            yield from _external(inner)
    for tensor in (one for each in tensors for one in each):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            yield next((entry.value for entry in tensor.external_data if entry.key == "location"), "unnamed")
