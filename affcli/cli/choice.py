"""What a training is asked to be: flags before a TOML file before defaults, and the file that says what it was.

RUN/config.toml holds every setting that was used, with its meaning; `--config` takes that file, or one that says less.
"""

from __future__ import annotations

import dataclasses
import logging
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affcli import configs
from affcli.cli import networks
from affcli.cli.options import configure
from affcli.cli.settings import from_toml, toml
from affcli.errors import InputError, UsageError

log = logging.getLogger(__name__)

CONFIG = "config.toml"


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


_PARTS: dict[str, tuple[Callable[[Any], bool], str]] = {  # of a configuration: what each must be, and that in words
    "model": (lambda value: isinstance(value, str), "a name in quotes"),
    "encoders": (
        lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
        "a list of names",
    ),
    "devices": (lambda value: type(value) is int and value > 0, "a whole number of at least 1"),
    "training": (_is_table, "a table"),
    "network": (_is_table, "a table"),
    "runs": (_is_table, "a table"),
}


@dataclass(frozen=True)
class Choice:
    """Everything that a training was asked for and that changes its result."""

    model: str
    encoders: tuple[str, ...]  # none: all that the windows hold
    network: Any  # an instance of the model's class of settings
    training: configs.Training
    runs: configs.Runs
    devices: int = 1  # processes that share every batch; each draws its own dropout


def choose(given: Mapping[str, Any], pairs: Iterable[str], file: Path | None, default_model: str) -> Choice:
    """The choice of a command line whose options `given` were typed, and of a file.

    Raises InputError where the file cannot be read, UsageError where it or an option says what there is not.
    """
    content = read(file) if file else {}
    model = given.get("model") or content.get("model", default_model)
    described = content.get("network", {})
    if described and model != content.get("model", model):
        log.warning("%s: its [network] is of %s, and not used for %s", file, content["model"], model)
        described = {}
    base = networks.values(model, described, f"{file}: [network]")
    network = networks.network_settings(model, pairs, base)
    training = from_toml(configs.Training, content.get("training", {}), "affcli train", f"{file}: [training]")
    runs = from_toml(configs.Runs, content.get("runs", {}), "affcli train", f"{file}: [runs]")
    encoders = tuple(given.get("encoder") or content.get("encoders", ()))
    return Choice(
        model,
        encoders,
        network,
        configure(configs.Training, {**training, **given}),
        configure(configs.Runs, {**runs, **given}),
        given.get("devices") or content.get("devices", 1),
    )


def read(path: Path) -> dict[str, Any]:
    """A TOML file such as `write` makes.

    Raises InputError where it cannot be read, UsageError where it holds a part that there is not.
    """
    content = parsed(path)
    for name, value in content.items():
        if name not in _PARTS:
            raise UsageError(
                f"{path}: {name}",
                "is no part of a configuration",
                expected=f"one of {', '.join(_PARTS)}",
                advice="write settings of training under [training], those of the network under [network]",
            )
        is_one, wanted = _PARTS[name]
        if not is_one(value):
            raise UsageError(f"{path}: {name}", "is of another kind", expected=wanted, advice="correct it")
    return content


def parsed(path: Path) -> dict[str, Any]:
    """A TOML file, whatever is in it.  Raises InputError where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            path,
            f"cannot be read ({getattr(error, 'strerror', None) or error})",
            expected="a TOML file",
            advice="check the path, or correct the file: affcli train writes such files as RUN/config.toml",
        ) from error


def write(run: Path, choice: Choice, said: str) -> None:
    """Write RUN/config.toml, which begins with what is said of it."""
    from affcli.files import replacing

    lines = [
        f"# {said}",
        f"model = {toml(choice.model)}",
        f"encoders = {toml(choice.encoders)}",
        f"devices = {choice.devices}",
    ]
    for part, config in (("training", choice.training), ("network", choice.network), ("runs", choice.runs)):
        lines += ["", f"[{part}]"]
        for field in dataclasses.fields(config):
            unit = f" ({field.metadata['unit']})" if field.metadata["unit"] else ""
            meaning = f"{field.metadata['doc']}{unit}"
            lines += textwrap.wrap(meaning, 116, initial_indent="# ", subsequent_indent="# ")
            lines.append(f"{field.name} = {toml(getattr(config, field.name))}")
    with replacing(run / CONFIG) as file:
        file.write(("\n".join(lines) + "\n").encode())
