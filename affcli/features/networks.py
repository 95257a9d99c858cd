"""Vectors from crops by image networks in ONNX files: any of one's own, and some whose preprocessing is known.

A setting comes from an option; else from `FILE.onnx.json` beside the network; else from the network's own shapes; else
it is what the encoder is known to want; else the default that `affcli.features.settings.ImageNetwork` states.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli import weights
from affcli.errors import AssetError, SchemaError
from affcli.faces.runtime import open_session, reason, run
from affcli.features import Setup, settings
from affcli.features.graphs import Graph
from affcli.features.inputs import preparation
from affcli.features.pictures import WHITE, unit_length
from affcli.features.sidecars import SUFFIX, Said, said_of
from affcli.weights import Loaded

_ALIKE = 1e-2  # how far, in parts of the largest number, a vector may be from itself in another batch


@dataclass(frozen=True)
class Known:
    """What is known of a network before anybody says anything."""

    settings: dict[str, Any]
    width: int = 0  # numbers in a vector; 0 for whatever it gives


# github.com/fengju514/Expression-Net, main_ExpShapePoseNet.py: pictures as OpenCV reads them, less a mean picture that
# the conversion (affcli.features.notes) puts into the network.  2048 is its layer pool5.
_EXPNET = Known({"size": 224, "order": "bgr", "layout": "nhwc", "mean": (0.0,), "std": (1.0,), "scale": 255.0}, 2048)
# github.com/sailordiary/m3f.pytorch gives the vectors, and no word about the pictures.
_SENET101_FER = Known({}, 512)
# github.com/mysee1989/TCAE, TCAE_data.py (256 px, PIL's RGB, ToTensor: 0 to 1) and models_multiview.py (256 numbers for
# each branch).  M3T's files have 268: 12 scores of action units after the 256 of the encoder.
_TCAE = Known({"size": 256, "order": "rgb", "mean": (0.0,), "std": (1.0,), "scale": 1.0, "keep": 256}, 256)
# model_zoo/arcface_onnx.py of the package insightface: mean and std 127.5, swapRB on BGR pictures.
_ARCFACE = Known({"size": 112, "order": "rgb", "mean": (127.5,), "std": (127.5,), "scale": 255.0}, 512)


class ImageNetwork:
    """A network brought as NAME:FILE.onnx, with settings of its own.

    Raises AssetError where the file, or the JSON file beside it, cannot be used, and UsageError where an option does
    not fit the network.
    """

    def __init__(self, config: settings.ImageNetwork, setup: Setup, known: Known | None = None) -> None:
        file = weights.load_file(setup.argument)
        said = said_of(config, file.path, weights.load_beside(file, SUFFIX))
        self._network = _Network(file, said, known or Known({}), setup)
        self.weights = {file.name: file.sha256}
        self.config = dataclasses.replace(config, **self._network.settings)

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Crops (k, s, s, 3) uint8 RGB to (k, d) float32.

        Raises SchemaError where the network gives vectors of another width than when it was tried out.
        """
        return self._network(crops)


def expnet(config: settings.ImageNetwork, setup: Setup) -> ImageNetwork:
    """ExpNet (Chang et al. 2018): vectors of 2048 numbers.  Raises as ImageNetwork does."""
    return ImageNetwork(config, setup, _EXPNET)


def senet101_fer(config: settings.ImageNetwork, setup: Setup) -> ImageNetwork:
    """The SENet-101 for facial expressions of M3T: vectors of 512 numbers.  Raises as ImageNetwork does."""
    return ImageNetwork(config, setup, _SENET101_FER)


def tcae(config: settings.ImageNetwork, setup: Setup) -> ImageNetwork:
    """The twin-cycle autoencoder (Li et al. 2019): vectors of 256 numbers.  Raises as ImageNetwork does."""
    return ImageNetwork(config, setup, _TCAE)


class Arcface:
    """A face-recognition network of InsightFace (Deng et al. 2019), from the weights of that name.

    Raises AssetError where they are not here.
    """

    def __init__(self, config: settings.Arcface, setup: Setup, name: str) -> None:
        self.config = config
        file = weights.load(name)
        self._network = _Network(file, Said({"norm": config.norm}, {}, ""), _ARCFACE, setup)
        self.weights = {name: file.sha256}

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Crops (k, s, s, 3) uint8 RGB, aligned to the template arcface-112, to (k, 512) float32."""
        return self._network(crops)


def arcface_r50(config: settings.Arcface, setup: Setup) -> Arcface:
    """The ResNet-50.  Raises as Arcface does."""
    return Arcface(config, setup, "arcface-r50.webface600k")


def arcface_mbf(config: settings.Arcface, setup: Setup) -> Arcface:
    """The MobileFaceNet.  Raises as Arcface does."""
    return Arcface(config, setup, "arcface-mbf.webface600k")


class _Network:
    """A session, tried out, with what goes into it and what comes out of it."""

    def __init__(self, file: Loaded, said: Said, known: Known, setup: Setup) -> None:
        self._file = file
        graph = Graph(file)
        self._input = graph.input
        self._prepare = preparation(graph, said, known.settings)
        self._output = graph.keep(said.get("output", ""))
        self._keep = said.get("keep", known.settings.get("keep", 0))
        self._norm = said.get("norm", "none")
        try:
            self._session = open_session(graph.content(), setup.device, setup.threads)
        except AssetError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise graph.refusal(f"cannot be run ({reason(error)})", "a network that ONNX Runtime knows") from error
        self._one_at_a_time = self._input.sides[0] == 1
        try:
            self._width = self._try_out(said, known.width)
        except MemoryError as error:
            side = self._prepare.size
            raise graph.refusal(
                f"takes more than the memory for a picture of {side}x{side}", "less", "choose a smaller --size"
            ) from error
        self.settings: dict[str, Any] = {
            **{name: getattr(self._prepare, name) for name in ("size", "mean", "std", "scale", "order", "enlarge")},
            "layout": "nhwc" if self._prepare.channels_last else "nchw",
            "output": self._output,
            "keep": self._keep,
            "width": self._width,
            "norm": self._norm,
        }

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        batch = self._prepare(crops)
        parts = [batch[i : i + 1] for i in range(len(batch))] if self._one_at_a_time else [batch]
        vectors = np.concatenate([self._kept(self._vectors(part)) for part in parts])
        if vectors.shape[1] != self._width:
            raise SchemaError(
                self._file.path,
                f"gives {vectors.shape[1]} numbers for a crop and {self._width} for another",
                expected="as many for every crop",
                advice="choose another output with --output",
            )
        return unit_length(vectors) if self._norm == "l2" else vectors

    def _kept(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return vectors[:, : self._keep or None]

    def _try_out(self, said: Said, wanted: int) -> int:
        """Encode a black picture and a white one, and both at once; returns the width of their vectors.

        What a network gives is known for sure only when it has given it.  One that cannot take two pictures at a time,
        or for which they are not the same as one by one, is given one at a time from then on.
        """
        side = self._prepare.size
        pictures = np.zeros((2, side, side, 3), np.uint8)
        pictures[1] = WHITE
        batch = self._prepare(pictures)
        black, white = self._tried(batch[:1]), self._tried(batch[1:])
        if black.shape != white.shape:
            raise self._refusal(
                f"gives {black.shape[1]} numbers for a black picture and {white.shape[1]} for a white one",
                "as many for every picture",
            )
        if not self._one_at_a_time:
            self._one_at_a_time = not self._takes_two(batch, np.concatenate([black, white]))
        if self._keep > black.shape[1]:
            raise said.refusal("keep", f"is more than the {black.shape[1]} numbers that it gives", f"{black.shape[1]}")
        width: int = self._kept(black).shape[1]
        if wanted and width != wanted:
            raise self._refusal(f"gives vectors of {width} numbers", f"{wanted}, as this encoder has")
        if width != said.get("width", width):
            raise said.refusal("width", f"is not what {self._file.name} gives", f"{width}")
        return width

    def _takes_two(self, batch: NDArray[np.generic], wanted: NDArray[np.float32]) -> bool:
        try:
            found = self._vectors(batch)
        except MemoryError:
            raise
        except Exception:  # whatever ONNX Runtime says: one at a time is known to work
            return False
        if found.shape != wanted.shape:
            return False
        if not np.isfinite(wanted).all():
            return bool(np.array_equal(found, wanted, equal_nan=True))
        return bool(np.allclose(found, wanted, rtol=0, atol=_ALIKE * float(np.abs(wanted).max())))

    def _tried(self, picture: NDArray[np.generic]) -> NDArray[np.float32]:
        side = self._prepare.size
        try:
            return self._vectors(picture)
        except (AssetError, MemoryError):
            raise
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise AssetError(
                self._file.path,
                f"fails on a picture of {side}x{side} ({reason(error)})",
                expected="a network for pictures of that size",
                advice="add --layout nhwc if its colours are the last axis, choose another output with --output, or "
                "another file",
            ) from error

    def _vectors(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """What the network gives for prepared pictures (k, ...), as (k, d) float32."""
        (answer,) = run(self._session, [self._output], {self._input.name: batch})
        if not isinstance(answer, np.ndarray) or answer.dtype.kind != "f":
            kind = answer.dtype if isinstance(answer, np.ndarray) else type(answer).__name__
            raise self._refusal(f"gives {kind} as '{self._output}'", "floating-point numbers")
        found = _pooled(answer.astype(np.float32, copy=False), len(batch))
        if found is None:
            raise self._refusal(
                f"gives {answer.shape} as '{self._output}' for {len(batch)} picture{'s' * (len(batch) > 1)}",
                "(batch, width), or maps (batch, channels, side, side)",
            )
        return found

    def _refusal(self, found: str, expected: str) -> AssetError:
        return AssetError(
            self._file.path, found, expected=expected, advice="choose another output with --output, or another file"
        )


def _pooled(answer: NDArray[np.float32], count: int) -> NDArray[np.float32] | None:
    """An answer for `count` pictures as vectors (count, d), maps averaged over both sides; None where it is neither."""
    if answer.ndim == 1 and count == 1:
        answer = answer[None]
    if answer.ndim == 4 and len(answer) == count:
        # The two equal axes are height and width, since the picture is a square.
        first, last = answer.shape[2] == answer.shape[3], answer.shape[1] == answer.shape[2]
        if first and last and answer.shape[1] > 1:
            return None
        if first or last:
            answer = answer.mean(axis=(2, 3) if first else (1, 2))
    return answer if answer.ndim == 2 and len(answer) == count and answer.shape[1] else None
