"""Vectors from crops by the networks of timm and torchvision, without their last layer.

Weights are a file that the user names, or what the library itself publishes: from its own cache, or fetched by it where
that is allowed.  There is no third way: a network is used only when a file has filled all of it.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from affcli.errors import AssetError, UsageError
from affcli.features import Setup, settings
from affcli.features.pictures import Preparation, unit_length
from affcli.features.states import State, exact_sums, first_line, published_at, published_by_timm, read_state

log = logging.getLogger(__name__)

_HALF = {"cpu": torch.bfloat16, "cuda": torch.float16, "mps": torch.float16}
_ENLARGE = {"bicubic": "cubic"}  # linear for whatever else


class Timm:
    """A network of timm by name, `resnet18.a1_in1k`, or by name and weights, `resnet18@FILE.safetensors`.

    Raises UsageError for a name that timm does not have, AssetError where timm or the weights are missing, or where
    the weights are not those of this network.
    """

    def __init__(self, config: settings.Backbone, setup: Setup) -> None:
        timm = _timm()
        name, _, path = setup.argument.partition("@")
        architecture = name.partition(".")[0]
        if not timm.is_model(architecture):
            raise _unknown(f"timm:{name}", timm.list_models())
        if name != architecture and name not in (published := timm.list_pretrained(f"{architecture}.*")):
            raise _unknown(f"timm:{name}", published)
        card = timm.get_pretrained_cfg(name)
        wanted: dict[str, Any] = {}
        if path:
            key = f"{name}@{path.rpartition('/')[2]}"
            digest, state = read_state(path)
            head = state.get(f"{np.atleast_1d(card.classifier or '')[0]}.weight")
            # As many classes as the file has, so that timm holds the file to every weight of the network.
            wanted["num_classes"] = 0 if head is None else len(head)
            overlay = {"state_dict": state, "label_offset": 0, **wanted}
        else:
            key = f"{architecture}.{card.tag}"
            path = published_by_timm(name, card, setup.online)
            digest, state = read_state(path)
            overlay = {"state_dict": state}
            log.info("%s: licence %s", key, card.license or "not stated")
        model: Any = _filled(
            path, name, lambda: timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **wanted)
        )
        model.pretrained_cfg.pop("state_dict")  # a second copy of all weights
        model.reset_classifier(0)
        self.weights = {key: digest}
        data = timm.data.resolve_model_data_config(model)
        prepare = _preparation(name, data["input_size"][1:], data["mean"], data["std"], data["interpolation"])
        self._network = _Network(model, f"timm:{name}", prepare, config, setup)
        self.config = self._network.config

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Crops (k, s, s, 3) uint8 RGB to (k, d) float32."""
        return self._network(crops)


class Torchvision:
    """A network of torchvision, `resnet50.IMAGENET1K_V2`, or with weights of one's own, `resnet50@FILE.pth`.

    Raises UsageError for a name that torchvision does not have, AssetError where torchvision or the weights are
    missing, or where the weights are not those of this network.
    """

    def __init__(self, config: settings.Backbone, setup: Setup) -> None:
        models = _torchvision()
        name, _, path = setup.argument.partition("@")
        architecture, _, tag = name.partition(".")
        known = models.list_models(module=models)
        if architecture not in known:
            raise _unknown(f"torchvision:{name}", known)
        published = models.get_model_weights(architecture)
        if tag and tag not in published.__members__:
            raise _unknown(f"torchvision:{name}", [f"{architecture}.{one}" for one in published.__members__])
        card = published[tag] if tag else published.DEFAULT
        with torch.device("meta"):
            head = _head(models.get_model(architecture, weights=None), name)
        if path:
            key = f"{name}@{path.rpartition('/')[2]}"
            digest, state = read_state(path)
            model = _filled(path, name, lambda: _of_state(models, architecture, head, state))
        else:
            key = f"{architecture}.{card.name}"
            path = published_at(f"torchvision:{name}", card.url, setup.online)
            digest, _ = read_state(path)
            model = _filled(path, name, lambda: models.get_model(architecture, weights=card, progress=False))
        model.set_submodule(head, nn.Identity())
        self.weights = {key: digest}
        data = card.transforms()
        side = data.crop_size[0]
        prepare = _preparation(name, (side, side), data.mean, data.std, data.interpolation.value)
        self._network = _Network(model, f"torchvision:{name}", prepare, config, setup)
        self.config = self._network.config

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Crops (k, s, s, 3) uint8 RGB to (k, d) float32."""
        return self._network(crops)


class _Network:
    """A network without its last layer on a device, tried out."""

    def __init__(
        self, model: nn.Module, called: str, prepare: Preparation, config: settings.Backbone, setup: Setup
    ) -> None:
        torch.set_num_threads(setup.threads)
        exact_sums(setup.device)
        self._device = torch.device(setup.device)
        self._half = setup.half
        # Colours innermost: a tenth less time for convolutions on a CPU, and how the pictures come anyway.
        quiet: Any = model.eval().requires_grad_(False)  # torch's own types do not know this way to call `to`
        self._model = quiet.to(self._device, memory_format=torch.channels_last)
        self._norm = config.norm
        self._prepare = _as_wanted(prepare, config)
        self.config = dataclasses.replace(
            config, **{name: getattr(self._prepare, name) for name in ("size", "mean", "std", "enlarge")}
        )
        side = self._prepare.size
        try:
            answer = self._run(np.zeros((1, side, side, 3), np.uint8))
        except torch.OutOfMemoryError as error:
            raise UsageError(
                f"--device {setup.device}",
                f"has no memory left for {called}",
                expected="room for one picture",
                advice="free it, or compute with --half or --device cpu",
            ) from error
        except (MemoryError, RuntimeError, ValueError, AssertionError) as error:
            raise UsageError(
                f"--size {side}",
                f"is not what {called} takes ({first_line(error)})",
                expected=f"a size such as {prepare.size}",
                advice="correct it, or leave it out",
            ) from error
        if answer.ndim != 2 or answer.shape[1] == 0:
            raise AssetError(
                called,
                f"gives {answer.shape} for a picture",
                expected="(1, width)",
                advice="choose a network for classification",
            )

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors = self._run(crops)
        return unit_length(vectors) if self._norm == "l2" else vectors

    def _run(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        batch = torch.from_numpy(self._prepare(crops)).permute(0, 3, 1, 2).to(self._device)
        with torch.inference_mode(), torch.autocast(self._device.type, _HALF[self._device.type], enabled=self._half):
            answer = self._model(batch)
        return np.asarray(answer.float().cpu().numpy())


def _as_wanted(prepare: Preparation, config: settings.Backbone) -> Preparation:
    """The network's own preparation with what the user says in its place.  Raises UsageError where that is no such."""
    said = {name: getattr(config, name) for name in ("size", "mean", "std", "enlarge") if getattr(config, name)}
    for name in said.keys() & {"mean", "std"}:
        values = said[name]
        if len(values) not in (1, 3) or (name == "std" and min(values) <= 0):
            raise UsageError(
                f"--{name} {','.join(map(str, values))}",
                "is not what it takes",
                expected=f"one{' positive' * (name == 'std')} number, or three",
                advice="correct it, or leave it out",
            )
    return dataclasses.replace(prepare, **said)


def _preparation(name: str, sides: tuple[int, int], mean: Any, std: Any, interpolation: str) -> Preparation:
    if sides[0] != sides[1]:
        raise AssetError(
            name,
            f"takes pictures of {sides[1]}x{sides[0]}",
            expected="square ones, as crops are",
            advice="choose another network",
        )
    return Preparation(
        size=sides[0],
        mean=tuple(map(float, mean)),
        std=tuple(map(float, std)),
        scale=1.0,
        channels_last=True,
        enlarge=_ENLARGE.get(interpolation, "linear"),
    )


def _timm() -> Any:
    try:
        import timm
        import timm.data
    except (ImportError, RuntimeError) as error:
        raise _no_library("timm", error) from error
    return timm


def _torchvision() -> Any:
    try:
        from torchvision import models  # type: ignore[import-untyped]
    except (ImportError, RuntimeError) as error:
        raise _no_library("torchvision", error) from error
    return models


def _no_library(name: str, error: Exception) -> AssetError:
    if isinstance(error, ModuleNotFoundError):
        return AssetError(name, "is not installed", expected="it beside affcli", advice="pip install 'affcli[timm]'")
    # torchvision made for another build of torch: its operators are missing.
    return AssetError(
        name,
        f"cannot be loaded ({first_line(error)})",
        expected=f"a torchvision for torch {torch.__version__}",
        advice="install torch and torchvision from the same place, as https://pytorch.org/get-started says",
    )


def _unknown(called: str, names: Iterable[str]) -> UsageError:
    known = list(names)
    library, _, name = called.partition(":")
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:3]
    return UsageError(
        called, f"is no network of {library}", expected=f"a name such as {', '.join(near)}", advice="correct it"
    )


def _filled(path: str, name: str, make: Callable[[], nn.Module]) -> nn.Module:
    """The network that `make` fills from the file at `path`; it raises where a weight is missing, or is too much."""
    try:
        return make()
    except Exception as error:  # each network of timm has a reader of its own, which may fail in its own way
        raise AssetError(
            path,
            f"does not fit {name} ({first_line(error)})",
            expected=f"all weights of {name}",
            advice="check name and file",
        ) from error


def _head(model: nn.Module, name: str) -> str:
    """Where the last layer of a classifier of torchvision is."""
    linear = [where for where, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise AssetError(
            f"torchvision:{name}", "has no linear layer", expected="one at its end", advice="choose another network"
        )
    return str(linear[-1])


def _of_state(models: Any, architecture: str, head: str, state: State) -> nn.Module:
    last = state.get(f"{head}.weight")
    classes = {} if last is None else {"num_classes": len(last)}
    model: nn.Module = models.get_model(architecture, weights=None, **classes)
    if last is None:
        model.set_submodule(head, nn.Identity())
    model.load_state_dict(state)
    return model
