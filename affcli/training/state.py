"""Where a training stands, as plain values and tensors: a nest of dicts and lists that JSON and safetensors can hold.

In the plain part, a tensor is `{"tensor": NAME}`.  Keys that are whole numbers, as optimisers have them, are told from
words by being written `#3`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

_MARK = "tensor"


def packed(tree: Any) -> tuple[Any, dict[str, Tensor]]:
    """The plain part of a nest, and its tensors by name.

    >>> packed({"steps": 3, "velocity": {0: None}})
    ({'steps': 3, 'velocity': {'#0': None}}, {})
    """
    tensors: dict[str, Tensor] = {}
    return _pack(tree, "", tensors), tensors


def _pack(tree: Any, at: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, Tensor):
        # Two names of one tensor would be refused: safetensors files share nothing.
        tensors[at] = tree.detach().clone()
        return {_MARK: at}
    if isinstance(tree, Mapping):
        keyed = {f"#{key}" if isinstance(key, int) else key: value for key, value in tree.items()}
        return {key: _pack(value, f"{at}.{key}" if at else key, tensors) for key, value in keyed.items()}
    if isinstance(tree, list | tuple):
        return [_pack(value, f"{at}.{i}", tensors) for i, value in enumerate(tree)]
    return tree


def unpacked(plain: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The nest of `packed`; tuples come back as lists.  Raises KeyError where a tensor is missing."""
    if isinstance(plain, dict):
        if list(plain) == [_MARK]:
            return tensors[plain[_MARK]]
        return {int(key[1:]) if key.startswith("#") else key: unpacked(value, tensors) for key, value in plain.items()}
    if isinstance(plain, list):
        return [unpacked(value, tensors) for value in plain]
    return plain
