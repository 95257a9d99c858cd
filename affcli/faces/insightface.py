"""SCRFD (Guo et al. 2021) and RetinaFace (Deng et al. 2020) from ONNX files, through InsightFace's own readers.

Such a network answers at strides of 8, 16 and 32 pixels (some at 64 and 128 too) with three tables: scores, distances
to the sides of a box, and offsets of five landmarks, one row for each anchor of each cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from insightface.model_zoo import retinaface, scrfd
from numpy.typing import NDArray

from affcli.configs import Tracks
from affcli.errors import AssetError
from affcli.faces.detections import Detections
from affcli.faces.runtime import open_session, reason
from affcli.weights import Loaded

_STRIDES = {9: (8, 16, 32), 15: (8, 16, 32, 64, 128)}  # by the number of outputs: three at each stride
_ANCHORS = {9: 2, 15: 1}  # in every cell
_WIDTHS = (1, 4, 10)  # columns of the scores, boxes and landmarks
_EXPECTED = "a face detector with 9 or 15 outputs: scores, boxes and five landmarks at each stride"


class Scrfd:
    """Finds faces in one upright RGB picture with a SCRFD network.

    Raises AssetError where the file is no such network.
    """

    def __init__(self, config: Tracks, file: Loaded) -> None:
        self.weights = {file.name: file.sha256}
        self._network = _Network(file, ranks=(2, 3))
        self._reader = scrfd.SCRFD(session=self._network.session)
        self._threshold = config.det_threshold

    def __call__(self, image: NDArray[np.uint8]) -> Detections:
        """Faces of at least `det_threshold`, best first, in pixels of the picture (h, w, 3) uint8."""
        return _search(self._reader, self._network, image, self._threshold)


class RetinaFace:
    """Finds faces in one upright RGB picture with a RetinaFace network.

    Raises AssetError where the file is no such network.
    """

    def __init__(self, config: Tracks, file: Loaded) -> None:
        self.weights = {file.name: file.sha256}
        self._network = _Network(file, ranks=(2,))
        self._reader = retinaface.RetinaFace(session=self._network.session)
        self._threshold = config.det_threshold

    def __call__(self, image: NDArray[np.uint8]) -> Detections:
        """Faces of at least `det_threshold`, best first, in pixels of the picture (h, w, 3) uint8."""
        return _search(self._reader, self._network, image, self._threshold)


def _search(reader: Any, network: _Network, image: NDArray[np.uint8], threshold: float) -> Detections:
    canvas, scale = network.canvas(image)
    # InsightFace takes BGR. Its `detect` would scale the picture to a size of its own: `forward` takes it as it is.
    scores, boxes, landmarks = map(np.concatenate, reader.forward(np.ascontiguousarray(canvas[..., ::-1]), threshold))
    best_first = np.argsort(-scores[:, 0], kind="stable")
    found = np.concatenate([boxes, scores], axis=1)[best_first]
    kept = reader.nms(found)
    return Detections(
        (found[kept, :4] / np.tile(scale, 2)).astype(np.float32),
        (landmarks[best_first][kept] / scale).astype(np.float32),
        found[kept, 4].astype(np.float32),
    )


@dataclass(frozen=True)
class _Sides:
    """What a network wants of one side of its input."""

    fixed: int | None
    multiple: int  # where it is not fixed

    def of(self, pixels: int) -> int:
        return self.fixed or -(-pixels // self.multiple) * self.multiple


class _Network:
    """A session on one thread, tried out, and the pictures that it takes."""

    def __init__(self, file: Loaded, ranks: tuple[int, ...]) -> None:
        try:
            self.session = open_session(file.content)
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise _refusal(file, f"is no ONNX network ({reason(error)})") from error
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        shape = inputs[0].shape if len(inputs) == 1 and inputs[0].type == "tensor(float)" else []
        if len(shape) != 4 or shape[1] != 3:
            listed = ", ".join(f"{value.name} {value.type} {value.shape}" for value in inputs)
            raise _refusal(file, f"takes {listed or 'nothing'}", "one picture, (1, 3, height, width) float32")
        if len(outputs) not in _STRIDES:
            listed = ", ".join(f"{value.name} {value.shape}" for value in outputs)
            without = ", a detector without landmarks" if len(outputs) in (6, 10) else ""
            raise _refusal(file, f"has {len(outputs)} output{'s' * (len(outputs) != 1)}{without} ({listed})")
        strides = _STRIDES[len(outputs)]
        self._sides = [_Sides(side if isinstance(side, int) else None, strides[-1]) for side in shape[2:]]
        self._try_out(file, ranks, strides, _ANCHORS[len(outputs)])

    def _try_out(self, file: Loaded, ranks: tuple[int, ...], strides: tuple[int, ...], anchors: int) -> None:
        """Search a black picture: what a network answers is known for sure only when it has answered."""
        height, width = self._sides[0].of(1), self._sides[1].of(self._sides[1].multiple + 1)
        black = np.zeros((1, 3, height, width), np.float32)
        try:
            answers = self.session.run(None, {self.session.get_inputs()[0].name: black})
        except Exception as error:
            raise _refusal(file, f"fails on a picture of {width}x{height} ({reason(error)})") from error
        rows = [(height // stride) * (width // stride) * anchors for stride in strides]
        wanted = [(count, columns) for columns in _WIDTHS for count in rows]
        for answer, shape in zip(answers, wanted, strict=True):
            if answer.ndim not in ranks or answer.shape[-2:] != shape or answer.size != np.prod(shape):
                found = " ".join(str(one.shape) for one in answers)
                raise _refusal(
                    file,
                    f"answers {found} to a picture of {width}x{height}",
                    " ".join(str(one) for one in wanted),
                )

    def canvas(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """The picture at the top and left of a black one, and how far it was shrunk along x and y.

        It is shrunk only where it does not fit into an input of fixed size, and never enlarged.
        """
        height, width = image.shape[:2]
        room = [side.of(pixels) / pixels for side, pixels in zip(self._sides, (height, width), strict=True)]
        if min(room) < 1:
            size = (max(1, round(width * min(room))), max(1, round(height * min(room))))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        high, wide = image.shape[:2]
        canvas = np.zeros((self._sides[0].of(high), self._sides[1].of(wide), 3), np.uint8)
        canvas[:high, :wide] = image
        return canvas, np.array([wide / width, high / height])


def _refusal(file: Loaded, found: str, expected: str = _EXPECTED) -> AssetError:
    return AssetError(file.path, found, expected=expected, advice="choose another file or family")
