"""Self-supervised networks of speech from Hugging Face directories: wav2vec 2.0, HuBERT, WavLM and their like.

They are read by the package transformers, with its own code alone: whatever code a directory brings stays unused.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from affcli import weights
from affcli.errors import AssetError, UsageError
from affcli.features import Setup, settings
from affcli.features.states import exact_sums
from affcli.features.steps import Pace, levelled, on_frames
from affcli.features.views import TimedSound

# What a directory may hold its weights in, the first that is there; transformers is told to take the same.
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
_WAVEFORM = "a network that reads the waveform itself, such as wav2vec2, hubert, wavlm, data2vec-audio or unispeech"
_ONNX = "export it to ONNX and take audio-onnx:FILE.onnx"
_UNUSED = {"masked_spec_embed"}  # needed by training alone; some directories lack it


class HuggingFace:
    """A layer of a network brought as hf:DIRECTORY, at each frame's own time (see `affcli.features.steps`).

    Such a network attends to all that it hears at once, and the base models normalise over it too: what a frame is
    given depends on the whole of its chunk and the context.  `weights` has the digests of config.json and of the
    preprocessor's file as well, since they change the result.
    """

    def __init__(self, config: settings.HuggingFace, setup: Setup) -> None:
        """Raises AssetError where the package or the directory is missing, or what is in it is of another kind, and
        UsageError where the network has no such layer."""
        library = _library()
        self._name = setup.argument
        exact_sums(setup.device)
        self._device = torch.device(setup.device)
        self._half = setup.half
        files = _files(library, self._name, setup.online)
        self.weights = {name: weights.digest_of(path) for name, path in sorted(files.items())}
        front = self._front(library)
        self._rate = int(front.sampling_rate)
        self._model = self._opened(library, safe=any(name.endswith(".safetensors") for name in files))
        self._pace = self._own_pace()
        self._layer = _layer(config.layer, int(self._model.config.num_hidden_layers))
        self.config = dataclasses.replace(
            config, normalise=config.normalise or ("clip" if front.do_normalize else "none")
        )
        if setup.device == "cpu":
            torch.set_num_threads(setup.threads)
        self.width = self._try_out()

    def __call__(self, sound: TimedSound) -> Iterator[NDArray[np.float32]]:
        """Raises SchemaError where the waveform does not have the network's sample rate."""
        sound.require_rate(self._rate)
        network = levelled(self._run, sound, self.config.normalise)
        chunk, context, longest = self.config.chunk, self.config.context, self.config.longest
        yield from on_frames(sound, network, self._pace, self.width, chunk=chunk, context=context, longest=longest)

    def _front(self, library: Any) -> Any:
        """What the directory says of the waveform that the network wants."""
        try:
            found = library.AutoFeatureExtractor.from_pretrained(
                self._name, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # transformers, reading what anybody may have written
            raise self._refusal(
                f"its preprocessor cannot be read ({_first(error)})", f"a whole {_PREPROCESSORS[0]}"
            ) from error
        if not isinstance(found, library.Wav2Vec2FeatureExtractor):
            raise self._refusal(f"is fed by {type(found).__name__}", _WAVEFORM, _ONNX)
        return found

    def _opened(self, library: Any, safe: bool) -> Any:
        try:
            model, loaded = library.AutoModel.from_pretrained(
                self._name,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=safe,
                weights_only=True,
                output_loading_info=True,
            )
        except Exception as error:  # as above
            raise self._refusal(f"cannot be loaded ({_first(error)})", _WAVEFORM) from error
        missing = sorted(set(loaded["missing_keys"]) - _UNUSED)
        if missing:
            raise self._refusal(
                f"lacks {len(missing)} of the network's weights, {missing[0]} for one", "the weights of its config.json"
            )
        if model.main_input_name != "input_values":
            raise self._refusal(f"reads {model.main_input_name}", _WAVEFORM, _ONNX)
        # A file in half precision is read as such, which a CPU computes slowly and coarsely.
        return model.float().eval().to(self._device)

    def _own_pace(self) -> Pace:
        """The pace of the convolutions that come first, which have no padding."""
        config = self._model.config
        kernels, strides = (list(getattr(config, name, ())) for name in ("conv_kernel", "conv_stride"))
        if not kernels or len(kernels) != len(strides):
            raise self._refusal(
                f"is of type {config.model_type}, without conv_kernel and conv_stride", _WAVEFORM, _ONNX
            )
        return Pace.of_convolutions(kernels, strides)

    def _try_out(self) -> int:
        """The width of its vectors, from a second of silence."""
        silence = np.zeros(max(self._rate, self._pace.field), np.float32)
        try:
            return int(self._run(silence).shape[1])
        except (TypeError, ValueError, AttributeError) as error:  # a network that wants more than a waveform
            raise self._refusal(f"fails on a waveform alone ({_first(error)})", _WAVEFORM, _ONNX) from error

    def _run(self, stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        """A stretch (samples,) float32 to the steps (t, d) float32 of the layer."""
        type_ = torch.bfloat16 if self._device.type == "cpu" else torch.float16
        given = torch.from_numpy(stretch)[None].to(self._device)
        with torch.inference_mode(), torch.autocast(self._device.type, type_, enabled=self._half):
            found = self._model(given, output_hidden_states=self._layer != -1)
        if self._layer == -1:
            steps = found.last_hidden_state[0]
        elif self._layer is None:
            steps = torch.stack([layer[0].float() for layer in found.hidden_states]).mean(dim=0)
        else:
            steps = found.hidden_states[self._layer][0]
        self._pace.check(self._name, len(steps), len(stretch))
        return np.asarray(steps.float().cpu().numpy(), dtype=np.float32)

    def _refusal(self, found: str, expected: str, advice: str = "choose another directory") -> AssetError:
        return AssetError(self._name, found, expected=expected, advice=advice)


def _library() -> Any:
    """The package transformers, told to be quiet.  Raises AssetError where it is missing or does not work."""
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        pass
    except (ImportError, RuntimeError, OSError):
        # Of another build than torch, as pip makes it beside a CPU build.  Only pictures need it, but transformers
        # takes any that is there, and would fail with it.
        sys.modules["torchvision"] = None  # type: ignore[assignment]
    if importlib.util.find_spec("transformers") is None:
        raise AssetError(
            "the package transformers",
            "is not installed",
            expected="what reads such networks",
            advice="run: pip install 'affcli[ssl]'",
        )
    try:
        import transformers
        import transformers.modeling_utils
        import transformers.utils.logging as quiet
    except (ImportError, RuntimeError, OSError) as error:
        raise AssetError(
            "the package transformers",
            f"cannot be imported ({_first(error)})",
            expected="one that fits the installed torch",
            advice="run: pip install --upgrade 'affcli[ssl]'",
        ) from error
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    return transformers


def _files(library: Any, name: str, online: bool) -> dict[str, str]:
    """The files of a directory, or of a network of the hub, that decide what comes out: base name to path.

    Raises AssetError where one is missing.
    """

    def find(file: str) -> str | None:
        found: str | None = library.utils.cached_file(
            name, file, local_files_only=not online, _raise_exceptions_for_missing_entries=False
        )
        return found

    try:
        config = find("config.json")
        if config is None:
            raise _nothing(name, online)
        preprocessors = {file: path for file in _PREPROCESSORS if (path := find(file))}
        kept = next(({file: path} for file in _WEIGHTS if (path := find(file))), {})
        shards = {shard: path for shard in _shards(name, kept) if (path := find(shard))}
    except (OSError, ValueError) as error:  # no name of the hub, or nothing of it here
        raise _nothing(name, online) from error
    for what, found in ((" or ".join(_PREPROCESSORS), preprocessors), (f"{_WEIGHTS[0]} or {_WEIGHTS[2]}", kept)):
        if not found:
            raise AssetError(name, f"holds no {what}", expected="a whole network", advice="choose another directory")
    return {"config.json": config, **preprocessors, **kept, **shards}


def _shards(name: str, kept: dict[str, str]) -> list[str]:
    """The files that an index of weights names; none where they are all in one file."""
    named: set[str] = set()
    for file, path in kept.items():
        if not file.endswith(".index.json"):
            continue
        try:
            named.update(map(str, json.loads(weights.load_file(path).content)["weight_map"].values()))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise AssetError(
                name,
                f"{file} cannot be read ({_first(error)})",
                expected="an index of its weights",
                advice="choose another directory",
            ) from error
    return sorted(named)


def _nothing(name: str, online: bool) -> AssetError:
    return AssetError(
        name,
        "is no directory with a config.json, and no network of the hub that can be reached"
        if online
        else "has no config.json",
        expected="a directory that transformers can read",
        advice="check the name and the connection"
        if online
        else "check the path, or add --online to fetch a network of that name",
    )


def _layer(text: str, layers: int) -> int | None:
    """The number of a layer, -1 for the last; None for the mean of all."""
    if text == "mean":
        return None
    try:
        number = int(text)
    except ValueError:
        number = layers + 1
    if not -layers - 1 <= number <= layers:
        raise UsageError(
            f"--layer {text}",
            "is no layer of this network",
            expected=f"mean, or a number from {-layers - 1} to {layers}",
            advice="correct it, or leave the option out",
        )
    return -1 if number == layers else number


def _first(error: Exception) -> str:
    """The first line of what a library says."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".:")
