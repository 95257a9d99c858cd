"""Reading weights that PyTorch wrote: a state_dict, a PyTorch Lightning checkpoint, which holds one, or safetensors.

Only numbers are read: PyTorch unpickles nothing but tensors and plain containers (`weights_only`), and nothing in the
file is executed.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from affcli.errors import InputError, SchemaError, some

STATE = "state_dict"  # where PyTorch Lightning keeps the weights
PREFIXES = ("module.", "model.")  # of nn.DataParallel, and of a Lightning module around the network
_DAMAGE = (
    OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError, OverflowError,
    pickle.UnpicklingError, struct.error, safetensors.SafetensorError,
)  # fmt: skip
_KINDS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU; a prefix of `PREFIXES` that all names have is taken away.

    Raises InputError where the file is missing, damaged or holds classes, which only running their code could read;
    SchemaError where it holds something else than tensors by name.
    """
    content = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
    state = content.get(STATE, content) if isinstance(content, Mapping) else content
    named: Mapping[Any, Any] = state if isinstance(state, Mapping) else {}
    wrong = [f"{name} ({_kind(one)})" for name, one in named.items() if not _is_weight(name, one)]
    if wrong or not named:
        raise SchemaError(
            path,
            f"holds {some(wrong) if wrong else f'nothing by name ({_kind(state)})'}",
            expected=f"tensors by name, or them under '{STATE}'",
            advice="save only the weights: torch.save(network.state_dict(), 'weights.pt')",
        )
    return dict(zip(_bare(list(named)), named.values(), strict=True))


def _is_weight(name: Any, one: Any) -> bool:
    """Whether this is a plain tensor under a name, whose numbers are here."""
    is_tensor = isinstance(name, str) and isinstance(one, Tensor)
    return is_tensor and one.layout == torch.strided and one.dtype in _KINDS and one.device.type == "cpu"


def _kind(one: Any) -> str:
    return f"tensor of {one.dtype}, {one.layout}" if isinstance(one, Tensor) else type(one).__name__


def _bare(names: list[str]) -> list[str]:
    """The names without the prefixes that all of them have."""
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in names):
            return _bare([name.removeprefix(prefix) for name in names])
    return names


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(path.read_bytes())
    except _DAMAGE as error:
        raise _unreadable(path, error, "a safetensors file") from error


def _pickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):  # of a pickle that is not PyTorch's own, whose failure says more
            return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        if not (more := _unsafe(str(error))):
            raise _unreadable(path, error, "what torch.save wrote") from error
        raise InputError(
            path,
            f"holds more than numbers ({more}), which is not read: that would run code out of the file",
            expected=f"a {STATE} alone",
            advice=f"if you trust where it is from, type in Python: import torch; content = torch.load('{path}', "
            f"map_location='cpu', weights_only=False); torch.save(content['{STATE}'], 'weights.pt')",
        ) from error


def _unsafe(said: str) -> str:
    """What PyTorch refused to unpickle, by the words of its error; "" where that is something else."""
    found = re.search(r"GLOBAL ([\w.]+)", said)
    return found[1] if found else "TorchScript" if "TorchScript" in said else ""


def _unreadable(path: Path, error: Exception, expected: str) -> InputError:
    why = getattr(error, "strerror", None) or str(error).partition("\n")[0].partition(". ")[0] or "it ends too early"
    return InputError(
        path, f"cannot be read ({why})", expected=expected, advice="check the path, or copy the file again"
    )
