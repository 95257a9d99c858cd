"""ONNX Runtime sessions, all opened alike."""

from __future__ import annotations

import onnxruntime

from affcli.errors import AssetError

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}


def open_session(graph: bytes, device: str = "cpu", threads: int = 1) -> onnxruntime.InferenceSession:
    """A network ready to run on a device (cpu, cuda or mps).

    One thread by default: sums in one order, so that equal inputs give equal bytes on any number of cores.  Raises
    AssetError where the installed ONNX Runtime does not know the device; what ONNX Runtime says of a graph that it
    cannot read is passed on.
    """
    provider = _PROVIDERS[device]
    if provider not in onnxruntime.get_available_providers():
        raise AssetError(
            "the installed onnxruntime",
            f"cannot compute on {device}",
            expected=provider,
            advice="use --device cpu, or: pip uninstall onnxruntime && pip install onnxruntime-gpu (never both at once)",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    wanted = list(dict.fromkeys((provider, _PROVIDERS["cpu"])))  # the CPU for the nodes that the device has not
    return onnxruntime.InferenceSession(graph, options, providers=wanted)


def reason(error: Exception) -> str:
    """What ONNX Runtime says, without its prefixes: its exceptions have no base of their own."""
    return str(error).rpartition(" : ")[2].strip().splitlines()[0].rstrip(".") if str(error) else type(error).__name__
