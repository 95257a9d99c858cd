"""What the networks of torch share: weights of one's own and those that libraries publish, and exact sums."""

from __future__ import annotations

import re
from typing import Any

import safetensors.torch
import torch

from affcli import weights
from affcli.errors import AssetError

State = dict[str, torch.Tensor]
_WRAPPERS = ("state_dict", "model")  # where a checkpoint of a training run keeps its weights
_PREFIX = re.compile(r"^(module\.|_orig_mod\.)+")  # of weights saved while wrapped for several devices or compiled
_DIGEST = re.compile(r"-([0-9a-f]{8,})\.")  # start of the SHA-256 in the name of a file that torch.hub fetches


def read_state(path: str) -> tuple[str, State]:
    """SHA-256 and weights of a file, without what a checkpoint wraps around them.

    Raises AssetError where it cannot be read, and where it holds anything but tensors.
    """
    file = weights.load_file(path)
    expected = "weights as .safetensors, or as torch.save writes a state_dict"
    try:
        if path.endswith(".safetensors"):
            found: Any = safetensors.torch.load(file.content)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch passes on whatever a damaged or unsafe pickle raises
        raise AssetError(
            path,
            f"cannot be read as weights ({first_line(error)})",
            expected=expected,
            advice="save its state_dict alone",
        ) from error
    while isinstance(found, dict) and (inner := next((key for key in _WRAPPERS if key in found), None)):
        found = found[inner]
    # An empty one too: timm would go and look for the published weights.
    if not isinstance(found, dict) or not found or not all(isinstance(one, torch.Tensor) for one in found.values()):
        raise AssetError(path, "holds no weights", expected=expected, advice="save the network's state_dict alone")
    return file.sha256, {_PREFIX.sub("", str(key)): value for key, value in found.items()}


def published_by_timm(name: str, card: Any, online: bool) -> str:
    """Path of the weights that timm publishes for `name`, in the cache of Hugging Face or of torch.

    `card` is timm's PretrainedCfg.  Raises AssetError where they are not here, and cannot or may not be fetched.
    """
    called = f"timm:{name}"
    if card.custom_load or not (card.hf_hub_id or card.url):
        raise _not_here(called, "are not published in a form that can be read here", name, fetch=False)
    if not card.hf_hub_id:
        return published_at(called, card.url, online)
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    repository, _, revision = card.hf_hub_id.partition("@")
    file = card.hf_hub_filename or "pytorch_model.bin"
    safe = "model.safetensors" if file == "pytorch_model.bin" else f"{file.rpartition('.')[0]}.safetensors"
    for one in dict.fromkeys((safe, file)):
        try:
            return str(
                huggingface_hub.hf_hub_download(repository, one, revision=revision or None, local_files_only=not online)
            )
        except EntryNotFoundError as error:
            if online and isinstance(error, LocalEntryNotFoundError):  # nobody answered, and it is not here
                raise _not_here(
                    called, f"could not be fetched ({first_line(error)})", repository, fetch=False
                ) from error
        except Exception as error:  # of the network: the library has a dozen kinds
            raise _not_here(
                called, f"could not be fetched ({first_line(error)})", repository, fetch=not online
            ) from error
    raise _not_here(called, "are not in the cache of Hugging Face", repository, fetch=not online)


def published_at(called: str, url: str, online: bool) -> str:
    """Path of weights that torch.hub fetches from `url`, in its cache; `called` is the encoder, for messages.

    Raises AssetError where they are not here and cannot or may not be fetched, and where their SHA-256 is not the one
    that their name begins with.
    """
    name = url.rpartition("/")[2]
    path = f"{torch.hub.get_dir()}/checkpoints/{name}"
    if online:
        try:
            torch.hub.load_state_dict_from_url(
                url, map_location="cpu", progress=False, check_hash=True, weights_only=True
            )
        except Exception as error:  # of the network, or of a file that came in part
            raise _not_here(called, f"could not be fetched ({first_line(error)})", url, fetch=False) from error
    try:
        digest = weights.load_file(path).sha256
    except AssetError as error:
        raise _not_here(called, "are not in the cache of torch", path, fetch=True) from error
    promised = _DIGEST.search(name)
    if promised and not digest.startswith(promised[1]):
        raise AssetError(
            path, f"SHA-256 {digest[:12]}...", expected=f"{promised[1]}...", advice="remove it, and fetch it again"
        )
    return path


def _not_here(called: str, found: str, expected: str, *, fetch: bool) -> AssetError:
    way = "add --online to let its library fetch them, or " if fetch else ""
    return AssetError(
        called, f"its weights {found}", expected=expected, advice=f"{way}bring a file: {called}@FILE.safetensors"
    )


def exact_sums(device: str) -> None:
    """Make an accelerator's sums as exact as those of a CPU, and in the same order every time."""
    if device == "cuda":
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False


def first_line(error: Exception) -> str:
    """What an error says, in one line of a bearable length; of a list of faults the first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    text = lines[1] if len(lines) > 1 and lines[0].endswith(":") else lines[0]
    return text if len(text) <= 120 else f"{text[:120]}..."
