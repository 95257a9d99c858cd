"""ONNX Runtime sessions, all opened alike."""

from __future__ import annotations

from typing import Any

import onnxruntime

from affcli.errors import AssetError, UsageError

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}


def pick_device(name: str) -> str:
    """The device `name`, as the installed ONNX Runtime has it; "auto" is cuda where it has that, else cpu.

    Raises UsageError for no device at all, AssetError where this ONNX Runtime does not know it.
    """
    there = onnxruntime.get_available_providers()
    if name == "auto":
        return "cuda" if _PROVIDERS["cuda"] in there else "cpu"
    if name not in _PROVIDERS:
        raise UsageError(
            f"--device {name}", "is no device", expected=f"auto, {', '.join(_PROVIDERS)}", advice="choose one of them"
        )
    if _PROVIDERS[name] not in there:
        raise _cannot(name)
    return name


def open_session(graph: bytes, device: str = "cpu", threads: int = 1) -> onnxruntime.InferenceSession:
    """A network ready to run on a device (cpu, cuda or mps).

    One thread by default: sums in one order, so that equal inputs give equal bytes on any number of cores.  Raises
    AssetError where the device cannot be used; what ONNX Runtime says of a graph that it cannot read is passed on.
    """
    provider = _PROVIDERS[device]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what fails is an exception as well
    wanted = list(dict.fromkeys((provider, _PROVIDERS["cpu"])))  # the CPU for the nodes that the device has not
    session = onnxruntime.InferenceSession(graph, options, providers=wanted)
    if provider not in session.get_providers():  # ONNX Runtime goes on without it, and says so on stderr alone
        raise _cannot(device)
    return session


def run(session: onnxruntime.InferenceSession, outputs: list[str], given: dict[str, Any]) -> list[Any]:
    """What a network answers.

    Raises MemoryError where the memory of its device is full, so that it can be given less at a time; what ONNX Runtime
    says of all else is passed on.
    """
    try:
        found: list[Any] = session.run(outputs, given)
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        if "allocate" in str(error).lower() or "out of memory" in str(error).lower():
            raise MemoryError(reason(error)) from error
        raise
    return found


def _cannot(device: str) -> AssetError:
    return AssetError(
        "the installed onnxruntime",
        f"cannot compute on {device}",
        expected=_PROVIDERS[device],
        advice="use --device cpu, or: pip uninstall onnxruntime && pip install onnxruntime-gpu (not both)",
    )


def reason(error: Exception) -> str:
    """What ONNX Runtime says, without its prefixes: its exceptions have no base of their own."""
    lines = str(error).rpartition(" : ")[2].strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")
