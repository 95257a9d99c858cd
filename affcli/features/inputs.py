"""How a network's input is to be filled: what options, a file beside it, its own shapes and its encoder say of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from affcli.features.graphs import Graph
from affcli.features.pictures import WHITE, Preparation
from affcli.features.sidecars import Said

_COLOURS = {1: "grey", 3: "rgb"}  # by the channels of an input, where nobody says
_BEYOND_ONE = 10.0  # no mean or deviation of pixels from 0 to 1 is so large
_CHANNEL = {"nchw": 1, "nhwc": 3}  # axis of the channels


def preparation(graph: Graph, said: Said, known: Mapping[str, Any]) -> Preparation:
    """What the network wants of a crop, from options and file (`said`), its own shapes, and what is `known` of it.

    Raises AssetError where it takes no such pictures, and what `Said.refusal` makes where a setting does not fit it.
    """
    sides = graph.input.sides
    if sides[0] not in (None, 1):
        raise graph.refusal(f"takes {sides[0]} pictures at a time", "one, or any number of them")
    layout = _layout(graph, said, known)
    channels = sides[_CHANNEL[layout]]
    order = said.get("order", _COLOURS[channels] if channels == 1 else known.get("order", "rgb"))
    if channels is not None and (order == "grey") != (channels == 1):
        raise said.refusal(
            "order", f"does not fit an input of {channels} channel{'s' * (channels > 1)}", _COLOURS[channels]
        )
    mean, std, scale = _range(graph, said, known, 1 if order == "grey" else 3)
    return Preparation(
        size=_size(graph, said, known, sides[2:] if layout == "nchw" else sides[1:3]),
        order=order,
        mean=mean,
        std=std,
        scale=scale,
        channels_last=layout == "nhwc",
        enlarge=said.get("enlarge", "linear"),
        dtype=np.dtype(graph.input.dtype),
    )


def _layout(graph: Graph, said: Said, known: Mapping[str, Any]) -> str:
    sides = graph.input.sides
    fitting = [layout for layout, axis in _CHANNEL.items() if sides[axis] in (None, *_COLOURS)]
    fixed = [layout for layout in fitting if sides[_CHANNEL[layout]] is not None]
    if not fitting:
        raise graph.refusal(f"takes {sides[1]} channels", "3 (red, green, blue), or 1 (grey)")
    usual = known.get("layout") if known.get("layout") in fitting else fitting[0]
    layout: str = said.get("layout", fixed[0] if fixed else usual)
    if layout not in fitting or (fixed and layout not in fixed):
        shown = ", ".join("?" if side is None else str(side) for side in sides)
        raise said.refusal("layout", f"does not fit the network's input ({shown})", (fixed or fitting)[0])
    return layout


def _size(graph: Graph, said: Said, known: Mapping[str, Any], sides: tuple[int | None, ...]) -> int:
    fixed = {side for side in sides if side is not None}
    if len(fixed) > 1:
        raise graph.refusal(f"takes pictures of {sides[1]}x{sides[0]}", "square ones, as crops are")
    own = next(iter(fixed), 0)
    size: int = said.get("size", own or known.get("size", 0))
    if own and size != own:
        raise said.refusal("size", "is not what the network takes", f"{own}")
    if not size:
        raise graph.refusal(
            "takes pictures of any size",
            "to be told which size it was trained with",
            'add --size N, or {"size": N} in a file of its name and .json',
        )
    return size


def _range(
    graph: Graph, said: Said, known: Mapping[str, Any], channels: int
) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Mean, standard deviation and the scale that they are told in."""
    raw = graph.input.dtype == "uint8"
    told = [name for name in ("mean", "std", "scale") if name in said.options or name in said.file]
    if raw and told:
        raise said.refusal(told[0], "is nothing to a network that takes bytes", "no mean, std or scale")
    if raw:
        return (0.0,), (1.0,), float(WHITE)
    half = (WHITE / 2,)
    usual: dict[str, Any] = {"mean": (0.0,), "std": (1.0,)} if told else {"mean": half, "std": half}
    base = {**usual, "scale": float(WHITE), **known}
    mean, std, scale = (said.get(name, base[name]) for name in ("mean", "std", "scale"))
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, channels):
            raise said.refusal(name, f"has {len(values)} numbers", f"one, or {channels}")
    if min(std) <= 0:
        raise said.refusal("std", "is not above 0", "positive numbers")
    if scale <= 0:
        raise said.refusal("scale", "is not above 0", "255 or 1")
    if min(std) < 1 and "scale" not in (*told, *known):
        raise said.refusal("std", "looks like one of pixels from 0 to 1", "a scale with it: 1, or 255 if it is not")
    if scale == 1 and max(*map(abs, mean), *std) > _BEYOND_ONE:
        raise said.refusal("scale", "does not go with a mean and std of pixels from 0 to 255", "255")
    return mean, std, scale
