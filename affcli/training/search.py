"""The runs of a small search over settings: every combination of listed values, or points drawn at random.

A search is written as the configuration of a run, in which a setting may have a list of values or, where points are
drawn at random, a range:

    model = ["gru-fusion", "bilstm-fusion"]

    [training]
    epochs = 30
    lr = { min = 1e-5, max = 1e-2, scale = "log" }

    [network]
    audio_units = [[128, 64], [64]]

    [search]
    method = "random"
    runs = 20
    seed = 0

Where only some of the settings matter, random points find as good a one as a grid in fewer runs (Bergstra and Bengio
2012, Random Search for Hyper-Parameter Optimization, JMLR 13).
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affcli import configs
from affcli.errors import UsageError
from affcli.models import MODELS
from affcli.training.draws import MOST, Axis, Range, drawn

_BY_CHANCE = '[search] with method = "random"'


@dataclass(frozen=True)
class Point:
    """The settings of one run: every one that the file names, varied or not, in its order.

    Values are as TOML has them: bool, int, float, str, or a list for a setting of several numbers.  `varied` names what
    differs from run to run, as `model`, `training.NAME` or `network.NAME`.
    """

    training: dict[str, Any]
    network: dict[str, Any]
    model: str | None
    varied: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """The value of each varied setting, for a table of the runs."""
        every: dict[str, Any] = {"model": self.model}
        every |= {f"training.{name}": value for name, value in self.training.items()}
        every |= {f"network.{name}": value for name, value in self.network.items()}
        return {name: every[name] for name in self.varied}


_Key = tuple[str, str]  # a part of the file, "" for its top, and a name
_MODEL: _Key = ("", "model")


def points(content: Mapping[str, Any], subject: object, model: str = "gru-fusion") -> list[Point]:
    """The runs of a search, from what `tomllib` has read of its file; `subject` names the file in messages.

    Settings of [network] are those of the models that the file names, or of `model` where it names none.

    A grid has every combination, in the order of the file, the last setting varying fastest.  A random search has
    distinct points in the order in which they were drawn, so that more runs of one seed begin with the same points; it
    has fewer than asked for where there are no more of them, or where 100 draws for each run find no more.

    Whether there is such a setting, and how it varies, is checked here; what value it may have is not.  Raises
    UsageError where a section or setting does not exist, where a list is empty or repeats a value, where a range is
    none, has no extent or stands in a grid, where nothing is varied, and where a search has more than 10,000 points.
    """
    values, axes = _settings(content, subject, model)
    random, runs, seed = _method(content.get("search", {}), subject)
    if not axes:
        raise UsageError(
            subject,
            "varies no setting",
            expected="one with a list of values, or a range",
            advice="write, for instance, lr = [0.0001, 0.001] below [training]",
        )
    chosen = drawn(list(axes.values()), runs, seed) if random else _grid(axes, subject)
    varied = tuple(f"{part}.{name}".removeprefix(".") for part, name in axes)
    return [_point({**values, **dict(zip(axes, one, strict=True))}, varied) for one in chosen]


def _point(values: Mapping[_Key, Any], varied: tuple[str, ...]) -> Point:
    training, network = (
        {name: value for (part, name), value in values.items() if part == wanted} for wanted in ("training", "network")
    )
    return Point(training, network, values.get(_MODEL), varied)


def _settings(content: Mapping[str, Any], subject: object, model: str) -> tuple[dict[_Key, Any], dict[_Key, Axis]]:
    """Every setting of the file, in its order, with its value where it has but one; and those that vary."""
    named = content.get("model", model)
    tried = named if isinstance(named, list) else [named]
    listed = [name for name in tried if isinstance(name, str) and name in MODELS]
    networks = [MODELS[name].config for name in listed or [model]]
    known = {"training": _kinds([configs.Training]), "network": _kinds(networks)}
    values: dict[_Key, Any] = {}
    axes: dict[_Key, Axis] = {}
    for part, inside in content.items():
        if part == "search":
            continue
        settings = {_MODEL: (inside, str)} if part == "model" else _section(part, inside, known, subject)
        for key, (value, kind) in settings.items():
            values[key] = value
            if (axis := _axis(value, kind, key, subject)) is not None:
                axes[key] = axis
    return values, axes


def _section(
    part: str, inside: Any, known: Mapping[str, Mapping[str, Any]], subject: object
) -> dict[_Key, tuple[Any, Any]]:
    """The settings of a section, each with its type."""
    if part not in known:
        wanted = "model, [training], [network] or [search]"
        raise _wrong(subject, ("", part), "is no part of a search", wanted, "correct its name, or leave it out")
    if not isinstance(inside, Mapping):
        raise _wrong(subject, ("", part), f"is {_shown(inside)}", f"a section [{part}]", "write settings below it")
    for name in inside:
        if name not in known[part]:
            wanted = f"one of {', '.join(known[part])}"
            raise _wrong(subject, (part, name), "is no such setting", wanted, "correct its name, or leave it out")
    return {(part, name): (value, known[part][name]) for name, value in inside.items()}


def _kinds(settings: Sequence[type]) -> dict[str, Any]:
    """The type of every setting of some classes of settings, by name."""
    kinds: dict[str, Any] = {}
    for config in settings:
        hints = typing.get_type_hints(config)
        kinds |= {field.name: hints[field.name] for field in dataclasses.fields(config)}
    return kinds


def _axis(value: Any, kind: Any, key: _Key, subject: object) -> Axis | None:
    """How a setting varies; None where it has one value."""
    if isinstance(value, Mapping):
        return _range(value, kind, key, subject)
    several = typing.get_origin(kind) is tuple
    if isinstance(value, list) and not value:
        raise _wrong(subject, key, "is an empty list", "one value or more", "fill it, or leave the setting out")
    listed = isinstance(value, list) and (not several or any(isinstance(one, list) for one in value))
    for one in value if listed else [value]:
        if several and not isinstance(one, list):
            found = f"holds {_shown(one)}, which is no list" if listed else f"is {_shown(one)}"
            raise _wrong(subject, key, found, "a list, or a list of lists", "write each value in brackets: [[128, 64]]")
        if isinstance(one, Mapping) or (isinstance(one, list) and not several):
            found, wanted = f"lists {_shown(one)}", "a list of plain values"
            raise _wrong(subject, key, found, wanted, "write a range alone, and values without brackets of their own")
        if kind is str and not isinstance(one, str):
            raise _wrong(subject, key, f"has the value {_shown(one)}", "text", "write it in quotation marks")
    if not listed:
        return None
    for first, second in itertools.combinations(value, 2):
        if first == second:
            raise _wrong(subject, key, f"has {_shown(second)} twice", "each value once", "leave one of them out")
    return list(value)


def _range(value: Mapping[str, Any], kind: Any, key: _Key, subject: object) -> Range:
    """A range, of whole numbers for a setting that takes such."""
    if kind not in (int, float):
        raise _wrong(subject, key, "is a range", "a value or a list of values", "only numbers have ranges")
    low, high, scale = value.get("min"), value.get("max"), value.get("scale", "linear")
    if value.keys() - {"min", "max", "scale"} or low is None or high is None or scale not in ("linear", "log"):
        found = f"is {{{', '.join(f'{name} = {_shown(one)}' for name, one in value.items())}}}"
        wanted = "min, max and, if you like, scale (linear or log)"
        raise _wrong(subject, key, found, wanted, 'write { min = 1e-5, max = 1e-2, scale = "log" }')
    for end in (low, high):
        number = isinstance(end, kind | int) and not isinstance(end, bool)
        if not number or not abs(end) <= 2**53:  # what float64 tells apart; and no NaN is
            wanted = "whole numbers" if kind is int else "finite numbers"
            raise _wrong(subject, key, f"has a range with the end {_shown(end)}", wanted, "correct its min and max")
    if low >= high:
        raise _wrong(subject, key, f"has a range from {low} to {high}", "min below max", "correct it, or give a value")
    if scale == "log" and low <= 0:
        found, advice = f"has a range from {low} on a logarithmic scale", 'correct min, or write scale = "linear"'
        raise _wrong(subject, key, found, "min above 0", advice)
    whole = kind is int
    return Range(low if whole else float(low), high if whole else float(high), scale == "log", whole)


def _method(content: Any, subject: object) -> tuple[bool, int, int]:
    """Whether points are drawn at random, how many, and the seed."""
    if not isinstance(content, Mapping):
        raise _wrong(subject, ("", "search"), f"is {_shown(content)}", "a section [search]", "write settings below it")
    for name in content:
        if name not in ("method", "runs", "seed"):
            advice = "correct its name, or leave it out"
            raise _wrong(subject, ("search", name), "is no such setting", "method, runs or seed", advice)
    method = content.get("method", "grid")
    if method not in ("grid", "random"):
        found, wanted = f"is {_shown(method)}", '"grid" or "random"'
        raise _wrong(subject, ("search", "method"), found, wanted, "correct it, or leave it out for every combination")
    given = {"runs": content.get("runs", 20), "seed": content.get("seed", 0)}
    for name, least, most in (("runs", 1, MOST), ("seed", 0, 2**63 - 1)):
        if method == "grid" and name in content:
            found, wanted = "is given for a grid, which has every combination", 'it beside method = "random"'
            raise _wrong(subject, ("search", name), found, wanted, "add that, or leave it out")
        one = given[name]
        if isinstance(one, bool) or not isinstance(one, int) or not least <= one <= most:
            wanted = f"a whole number from {least} to {most}"
            raise _wrong(subject, ("search", name), f"is {_shown(one)}", wanted, "correct it, or leave it out")
    return method == "random", given["runs"], given["seed"]


def _grid(axes: Mapping[_Key, Axis], subject: object) -> Iterator[tuple[Any, ...]]:
    """Every combination, the last setting varying fastest."""
    lists: list[list[Any]] = []
    for key, axis in axes.items():
        if isinstance(axis, Range):
            raise _wrong(subject, key, "is a range", "a list of values", f"list some, or add {_BY_CHANCE}")
        lists.append(axis)
    if (count := math.prod(map(len, lists))) > MOST:
        raise UsageError(
            subject,
            f"has {count} combinations",
            expected=f"{MOST} at most",
            advice=f"leave some values out, or add {_BY_CHANCE} and runs",
        )
    return itertools.product(*lists)


def _shown(value: Any) -> str:
    """A value about as TOML writes it, for a message."""
    return json.dumps(value, ensure_ascii=False, default=str)[:60]


def _wrong(subject: object, key: _Key, found: str, expected: str, advice: str) -> UsageError:
    part, name = key
    where = f"[{part}] {name}" if part else name
    return UsageError(f"{subject}, {where}", found, expected=expected, advice=advice)
