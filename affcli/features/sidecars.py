"""What is said of a network from outside it: by options, and by a JSON file beside it, `FILE.onnx.json`."""

from __future__ import annotations

import dataclasses
import difflib
import json
import typing
from dataclasses import dataclass
from typing import Any

from affcli.errors import AffcliError, AssetError, UsageError
from affcli.features.settings import WORDS, expected_of
from affcli.weights import Loaded

SUFFIX = ".json"  # after the whole name of the file


@dataclass(frozen=True)
class Said:
    """What is said of a network, by whom: an option is stronger than the file."""

    options: dict[str, Any]
    file: dict[str, Any]
    path: str  # of the file, there or not

    def get(self, name: str, default: Any) -> Any:
        """What is said of the setting `name`, or `default` where nothing is."""
        return self.options.get(name, self.file.get(name, default))

    def refusal(self, name: str, found: str, expected: str) -> AffcliError:
        """An error about a setting that was said: UsageError for an option, AssetError for the file."""
        value = self.get(name, "")
        if name in self.options:
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
            return UsageError(f"--{name} {shown}", found, expected=expected, advice="correct it, or leave it out")
        shown = json.dumps(value, ensure_ascii=False)
        return AssetError(
            self.path, f'"{name}": {shown} {found}', expected=expected, advice="correct the file, or remove it"
        )


def said_of(config: Any, network: str, beside: Loaded | None) -> Said:
    """What `config` (an instance of a class of `affcli.configs`) and the file beside the network `network` say.

    A field of `config` that has its default says nothing.  The file is one JSON object with the same names.  Raises
    AssetError where it is not, and where a name or value is wrong.
    """
    fields = {field.name: field for field in dataclasses.fields(config)}
    options = {name: getattr(config, name) for name, field in fields.items() if getattr(config, name) != field.default}
    path = beside.path if beside else network + SUFFIX
    kinds = typing.get_type_hints(type(config))
    file = {}
    for name, value in (_object(beside) if beside else {}).items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            raise AssetError(
                path,
                f'has "{name}"',
                expected=f"only {', '.join(fields)}",
                advice=f"did you mean '{near[0]}'?" if near else "remove it",
            )
        try:
            file[name] = _value(kinds[name], fields[name], value)
        except _WrongValueError as wrong:
            raise AssetError(
                path,
                f'"{name}": {json.dumps(value, ensure_ascii=False)}',
                expected=str(wrong),
                advice=f'correct it, or remove "{name}"',
            ) from None
    return Said(options, file, path)


class _WrongValueError(Exception):
    """What would have been right."""


def _object(beside: Loaded) -> dict[str, Any]:
    try:
        found = json.loads(beside.content.decode("utf-8"))
    except ValueError as error:  # of the encoding too
        raise AssetError(
            beside.path,
            f"is no JSON ({error})",
            expected='an object such as {"size": 112}',
            advice="correct or remove it",
        ) from error
    if not isinstance(found, dict):
        raise AssetError(
            beside.path,
            f"holds a JSON {type(found).__name__}",
            expected='an object such as {"size": 112}',
            advice="correct or remove it",
        )
    return found


def _value(kind: Any, field: dataclasses.Field[Any], value: Any) -> Any:
    """A value of JSON as the field has it."""
    if type(None) in typing.get_args(kind):  # None is that nothing is said
        kind = next(one for one in typing.get_args(kind) if one is not type(None))
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        if not isinstance(value, list):
            value = [value]
        if not value:
            raise _WrongValueError(f"{WORDS[inner]}, or a list of them")
        return tuple(_value(inner, field, one) for one in value)
    allowed = (int, float) if kind is float else (kind,)
    if isinstance(value, bool) or not isinstance(value, allowed):
        raise _WrongValueError(WORDS[kind])
    if expected := expected_of(field, kind, value):
        raise _WrongValueError(expected)
    try:
        return kind(value)
    except OverflowError:
        raise _WrongValueError("a finite number") from None
