"""The settings of encoders as command-line options: whatever has a field in its class of settings has a flag."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import typer

from affcli.errors import AssetError, UsageError
from affcli.features import ENCODERS
from affcli.features.settings import WORDS, expected_of

_PANEL = "Settings of encoders (affcli encoders NAME shows those of one)"


def flag(name: str) -> str:
    """The option of a setting."""
    return f"--{name.replace('_', '-')}"


def with_settings(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command, which takes them as keywords, an option for every setting of every encoder of affcli itself."""
    signature = inspect.signature(function, eval_str=True)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    docs: dict[str, dict[str, list[str]]] = {}  # field, to what it means, to the encoders for which it means that
    kinds: dict[str, set[Any]] = {}
    for encoder in ENCODERS:
        config = ENCODERS[encoder].config
        for field in fields(config):
            docs.setdefault(field.name, {}).setdefault(_meaning(field), []).append(encoder)
            kinds.setdefault(field.name, set()).add(_kind(config, field.name))
    extra = []
    for name, meanings in docs.items():
        text = " ".join(f"{', '.join(encoders)}: {meaning}." for meaning, encoders in meanings.items())
        yes_or_no = kinds[name] == {bool}
        option = typer.Option(
            None,
            f"{flag(name)}/--no-{flag(name)[2:]}" if yes_or_no else flag(name),
            help=text,
            metavar=None if yes_or_no else "VALUE",
            show_default=False,
            rich_help_panel=_PANEL,
        )
        annotation = bool | None if yes_or_no else str | None
        extra.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=annotation))
    function.__signature__ = signature.replace(parameters=[*own, *extra])  # type: ignore[attr-defined]
    return function


def parse(encoder: str, given: Mapping[str, Any], pairs: Iterable[str] = ()) -> Any:
    """The settings of an encoder, from options (None where not given) and from `NAME=VALUE` pairs.

    Raises UsageError where it has no such setting, where a value is none of its kind, or where one is given twice.
    """
    config = ENCODERS[encoder].config
    known = {field.name: field for field in fields(config)}
    wanted = {name: value for name, value in given.items() if value is not None}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        if not equals:
            raise UsageError(f"--set {pair}", "has no value", expected="NAME=VALUE", advice="write it so")
        if name in wanted:
            raise UsageError(f"--set {pair}", "is given twice", expected="one value", advice="leave one of them out")
        wanted[name] = value
    chosen = {}
    for name, value in wanted.items():
        if name not in known:
            has = ", ".join(_said(encoder, one) for one in known) or "none"
            raise UsageError(
                flag(name), f"is no setting of {encoder}", expected=f"one of its own: {has}", advice="leave it out"
            )
        chosen[name] = value if isinstance(value, bool) else _value(config, known[name], str(value))
    return config(**chosen)


def _said(encoder: str, name: str) -> str:
    """How a setting is given: another package's has no option of its own."""
    return flag(name) if encoder in ENCODERS else f"--set {name}=VALUE"


def fields(config: type) -> tuple[dataclasses.Field[Any], ...]:
    """The fields of a class of settings; none where it has none.

    Raises AssetError where another package's has one that cannot be said as an option.
    """
    found = dataclasses.fields(config) if dataclasses.is_dataclass(config) else ()
    for field in found:
        kind = _kind(config, field.name)
        inner = typing.get_args(kind)[:1] if typing.get_origin(kind) is tuple else (kind,)
        if field.default is dataclasses.MISSING or inner[0] not in (bool, *WORDS):
            raise AssetError(
                f"setting '{field.name}' of {config.__module__}.{config.__qualname__}",
                "cannot be an option",
                expected="bool, int, float, str or a tuple of them, with a default",
                advice="tell whoever wrote that package",
            )
    return found


def shown(value: object) -> str:
    """A value of a setting as one types it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _meaning(field: dataclasses.Field[Any]) -> str:
    # No brackets: on a terminal, words in them would be taken for markup.
    words = field.metadata.get("choices") or ()
    takes = [field.metadata.get("unit") or "", " or ".join(words)]
    takes += ["commas between numbers"] if isinstance(field.default, tuple) else []
    default = shown(field.default)
    takes += [f"default {default}"] if default and field.default not in (0, 0.0) else []
    said = "; ".join(filter(None, takes))
    return f"{field.metadata.get('doc', '')}{f' ({said})' if said else ''}"


def _kind(config: type, name: str) -> Any:
    """The type of a field; of `float | None`, where None is that nothing is said, float."""
    kind = typing.get_type_hints(config)[name]
    said = [one for one in typing.get_args(kind) if one is not type(None)]
    return said[0] if type(None) in typing.get_args(kind) and len(said) == 1 else kind


def _value(config: type, field: dataclasses.Field[Any], text: str) -> Any:
    """The value that a text means for a field."""
    kind = _kind(config, field.name)
    if kind is bool:
        if text not in ("on", "off"):
            raise _wrong(field, text, "on or off")
        return text == "on"
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        parts = [part.strip() for part in text.split(",")] if text.strip() else []
        return tuple(_scalar(inner, field, part) for part in parts)
    return _scalar(kind, field, text)


def _scalar(kind: type, field: dataclasses.Field[Any], text: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        raise _wrong(field, text, WORDS[kind]) from None
    if expected := expected_of(field, kind, value):
        raise _wrong(field, text, expected)
    return value


def _wrong(field: dataclasses.Field[Any], text: str, expected: str) -> UsageError:
    default = shown(field.default)
    least = field.metadata.get("least")
    helps = default and not field.metadata.get("choices") and (least is None or field.default >= least)
    commas = " (commas between several)" if isinstance(field.default, tuple) else ""
    return UsageError(
        f"{flag(field.name)} {text}",
        "is not what it takes",
        expected=f"{expected}{commas}{f', such as {default}' if helps else ''}",
        advice="correct it, or leave the option out",
    )
