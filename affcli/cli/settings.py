"""The settings of encoders as options, and the checks of all settings that are given as NAME=VALUE or by a file.

Whatever has a field in the class of settings of one of affcli's own encoders has a flag.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from affcli.cli.options import with_options
from affcli.errors import AssetError, UsageError
from affcli.features import ENCODERS
from affcli.features.settings import WORDS, expected_of

_PANEL = "Settings of encoders (affcli encoders NAME shows those of one)"
COMMAS = " (commas between several)"
_PLAIN: dict[type, str] = {**WORDS, bool: "true or false"}


def flag(name: str) -> str:
    """The option of a setting."""
    return f"--{name.replace('_', '-')}"


def with_settings(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command, which takes them as keywords, an option for every setting of every encoder of affcli itself."""
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
    return with_options(function, extra)


@dataclass(frozen=True)
class Wording:
    """How messages speak of the settings of one thing."""

    owner: str  # whose settings they are
    subject: Callable[[str, str | None], str]  # a setting that was given: its name and, where it matters, its value
    choice: Callable[[str], str]  # one that could have been
    shown: Callable[[Any], str]  # a value, as one writes it there
    several: str  # how several values of one setting are written
    advice: str = "correct it, or leave the option out"


Read = Callable[[type, dataclasses.Field[Any], Any, Wording], Any]  # class of settings, field, what was given, wording


def parse(encoder: str, given: Mapping[str, Any], pairs: Iterable[str] = ()) -> Any:
    """The settings of an encoder, from options (None where not given) and from `NAME=VALUE` pairs.

    Raises UsageError where it has no such setting, where a value is none of its kind, or where one is given twice.
    """
    config = ENCODERS[encoder].config
    wanted = {name: value for name, value in given.items() if value is not None}
    wording = Wording(encoder, _option, functools.partial(_said, encoder), shown, COMMAS)
    return config(**checked(config, with_pairs(wanted, pairs), wording, _told))


def with_pairs(wanted: Mapping[str, Any], pairs: Iterable[str]) -> dict[str, Any]:
    """The values of settings by name, and those of the `NAME=VALUE` pairs as text.

    Raises UsageError where a pair has no value, or where a setting is given twice.
    """
    every = dict(wanted)
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        if not equals:
            raise UsageError(f"--set {pair}", "has no value", expected="NAME=VALUE", advice="write it so")
        if name in every:
            raise UsageError(f"--set {pair}", "is given twice", expected="one value", advice="leave one of them out")
        every[name] = value
    return every


def checked(config: type, wanted: Mapping[str, Any], wording: Wording, read: Read) -> dict[str, Any]:
    """The values of some settings of the class `config`, by name; `read` turns each into one of its kind.

    Raises UsageError where there is no such setting, and as `read` does.
    """
    known = {field.name: field for field in fields(config)}
    for name in wanted:
        if name not in known:
            has = ", ".join(wording.choice(one) for one in known) or "none"
            raise UsageError(
                wording.subject(name, None),
                f"is no setting of {wording.owner}",
                expected=f"one of its own: {has}",
                advice="leave it out",
            )
    return {name: read(config, known[name], value, wording) for name, value in wanted.items()}


def _option(name: str, value: str | None) -> str:
    return flag(name) if value is None else f"{flag(name)} {value}"


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


def _told(config: type, field: dataclasses.Field[Any], value: Any, wording: Wording) -> Any:
    """What an option says: a flag without value is a bool, everything else text."""
    return value if isinstance(value, bool) else from_text(config, field, str(value), wording)


def from_text(config: type, field: dataclasses.Field[Any], text: str, wording: Wording) -> Any:
    """The value that a text means for a field.  Raises UsageError where it is none of its kind."""
    kind = _kind(config, field.name)
    if kind is bool:
        if text not in ("on", "off"):
            raise _wrong(field, text, "on or off", wording)
        return text == "on"
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        parts = [part.strip() for part in text.split(",")] if text.strip() else []
        return tuple(_scalar(inner, field, part, text, wording) for part in parts)
    return _scalar(kind, field, text, text, wording)


def from_typed(config: type, field: dataclasses.Field[Any], value: Any, wording: Wording) -> Any:
    """The value of a field, given as a TOML file holds it: bool, int, float, str, or a list for several.

    Nothing is guessed: a text is no number, and 1 is not yes.  Raises UsageError where it is none of its kind.
    """
    kind, written = _kind(config, field.name), wording.shown(value)
    several = typing.get_origin(kind) is tuple
    if several:
        kind = typing.get_args(kind)[0]
    if several != isinstance(value, list | tuple):
        raise _wrong(field, written, _PLAIN[kind], wording)
    values = value if several else [value]
    for one in values:
        number = isinstance(one, int | float) and not isinstance(one, bool)
        if not (number if kind is float else isinstance(one, kind) and isinstance(one, bool) == (kind is bool)):
            raise _wrong(field, written, _PLAIN[kind], wording)
    found = [one if kind is bool else _scalar(kind, field, one, written, wording) for one in values]
    return tuple(found) if several else found[0]


def _scalar(kind: type, field: dataclasses.Field[Any], given: Any, written: str, wording: Wording) -> Any:
    """`given` as the kind `kind`, checked; `written` is how a message shows it."""
    try:
        value = kind(given)
    except ValueError:
        raise _wrong(field, written, WORDS[kind], wording) from None
    except OverflowError:
        raise _wrong(field, written, "a finite number", wording) from None
    if expected := expected_of(field, kind, value):
        raise _wrong(field, written, expected, wording)
    return value


def _wrong(field: dataclasses.Field[Any], written: str, expected: str, wording: Wording) -> UsageError:
    default = field.default
    several = isinstance(default, tuple)
    helps = shown(default) and not field.metadata.get("choices") and not _unsaid(default, field.metadata.get("least"))
    example = f", such as {wording.shown(default)}" if helps else ""
    return UsageError(
        wording.subject(field.name, written),
        "is not what it takes",
        expected=f"{expected}{wording.several if several else ''}{example}",
        advice=wording.advice,
    )


def _unsaid(default: Any, least: float | None) -> bool:
    """Whether a default is that nothing is said: 0 of what cannot be 0."""
    return isinstance(default, int | float) and least is not None and default < least


def described(config: type, own: Any = None) -> dict[str, dict[str, Any]]:
    """All that is known of the settings of a class, by name, as plain values.  Raises as `fields` does.

    Defaults are those of the class, or the values of `own`, an instance of it.
    """
    return {
        field.name: {
            "default": field.default if own is None else getattr(own, field.name),
            "meaning": field.metadata.get("doc", ""),
            "unit": field.metadata.get("unit") or None,
            "least": field.metadata.get("least"),
            "most": field.metadata.get("most"),
            "choices": list(field.metadata.get("choices") or ()) or None,
            "source": field.metadata.get("source") or None,
        }
        for field in fields(config)
    }


def page(settings: Mapping[str, Mapping[str, Any]], written: Callable[[str, str], str]) -> list[str]:
    """Lines that show `described` settings to people; `written` is name and default as one types them."""
    lines = []
    for name, one in settings.items():
        default = one["default"]
        words = f" ({' or '.join(one['choices'])})" if one["choices"] else f" ({one['unit']})" if one["unit"] else ""
        source = f"; source: {one['source']}" if one["source"] else ""
        lines.append(f"  {written(name, '' if _unsaid(default, one['least']) else shown(default))}".rstrip())
        lines.append(f"      {one['meaning']}{words}{source}")
    return lines


def from_toml(config: type, values: Mapping[str, Any], owner: str, where: str) -> dict[str, Any]:
    """Settings of the class `config`, which are those of `owner`, from values as a TOML file holds them.

    `where` is what messages call the place they come from.  Raises UsageError where there is no such setting, or where
    a value is none of its kind.
    """
    wording = Wording(
        owner,
        lambda name, value: f"{where} {name}" if value is None else f"{where} {name} = {value}",
        choice=str,
        shown=toml,
        several=" (a list of them)",
        advice="correct it, or leave it out",
    )
    return checked(config, values, wording, from_typed)


def toml(value: Any) -> str:
    """A value as TOML writes it: the kinds of settings as JSON does, and of others something to know them by."""
    return json.dumps(value, ensure_ascii=False, default=str)
