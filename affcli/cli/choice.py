"""What a training is asked to be: flags before a TOML file before defaults, and the file that says what it was.

RUN/config.toml holds every setting that was used, with its meaning; `--config` takes that file, or one that says less.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import textwrap
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affcli import configs
from affcli.cli import networks
from affcli.cli.options import configure
from affcli.cli.settings import from_toml, toml, with_pairs
from affcli.errors import InputError, UsageError, some
from affcli.models import MODELS, sees

log = logging.getLogger(__name__)

CONFIG = "config.toml"
INITS = ("whole", "visual", "audio", "backbone")


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _of_affect(choice: Choice) -> bool:
    return not isinstance(choice.network, configs.M3tIdentity)


def _rises_from(choice: Choice) -> bool:
    return choice.training.schedule in ("cosine", "cyclic", "plateau")


# What some options are for: their names, the value that asks for nothing, whether a training is such a one, and in
# words what it otherwise is and what it would have to be.
_USES: tuple[tuple[tuple[str, ...], Any, Callable[[Choice], bool], str, str], ...] = (
    (
        ("flip", "cutout", "jitter"),
        0,
        lambda one: sees(one.network),
        ", which sees nothing",
        "a network that sees, as m3t-visual",
    ),
    (
        ("loss", "ccc_over", "ccc_moments", "balance", "stage"),
        None,
        _of_affect,
        ", which learns no affect",
        "another network",
    ),
    (
        ("ccc_over", "ccc_moments"),
        None,
        lambda one: "ccc" in one.training.loss,
        ", whose loss has no concordance in it",
        "--loss ccc",
    ),
    (
        ("expression_weight", "expression_over"),
        None,
        lambda one: getattr(one.network, "expressions", 0) > 0,
        ", which learns no expressions",
        "--set expressions=7, or a model such as m3t-visual.multitask",
    ),
    (
        ("au_weight",),
        None,
        lambda one: bool(getattr(one.network, "action_units", ())),
        ", which learns no action units",
        "--set action_units=au1,au12",
    ),
    (
        ("missing_share",),
        0,
        lambda one: one.training.per_clip > 0 or not _of_affect(one),
        " with the windows as they were cut",
        "--per-clip",
    ),
    (("momentum",), None, lambda one: one.training.optimizer == "sgd", " with this --optimizer", "--optimizer sgd"),
    (("lr_min",), None, _rises_from, " with this --schedule", "--schedule cosine, cyclic or plateau"),
    (
        ("cycle_up",),
        None,
        lambda one: one.training.schedule == "cyclic",
        " with this --schedule",
        "--schedule cyclic",
    ),
    (
        ("plateau_factor", "plateau_patience"),
        None,
        lambda one: one.training.schedule == "plateau",
        " with this --schedule",
        "--schedule plateau",
    ),
    (
        ("milestone_factor",),
        None,
        lambda one: one.training.schedule == "milestones",
        " with this --schedule",
        "--schedule milestones",
    ),
)


_PARTS: dict[str, tuple[Callable[[Any], bool], str]] = {  # of a configuration: what each must be, and that in words
    "model": (lambda value: isinstance(value, str), "a name in quotes"),
    "encoders": (
        lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
        "a list of names",
    ),
    "devices": (lambda value: type(value) is int and value > 0, "a whole number of at least 1"),
    "preset": (lambda value: isinstance(value, str), "a name in quotes"),
    "init": (
        lambda value: isinstance(value, dict) and all(isinstance(one, str) for one in value.values()),
        "a table of directories, in quotes",
    ),
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
    # What it begins with: by a name of INITS, a directory.
    init: Mapping[str, str] = dataclasses.field(default_factory=dict)


def choose(given: Mapping[str, Any], pairs: Iterable[str], file: Path | None, default_model: str) -> Choice:
    """The choice of a command line whose options `given` were typed, and of a file.

    Raises InputError where the file cannot be read, UsageError where it or an option says what there is not.
    """
    return chosen(given, pairs, read(file) if file else {}, str(file), default_model)


def used(given: Mapping[str, Any], choices: Iterable[Choice]) -> None:
    """Raise UsageError where an option was typed that is of no use to any of the trainings."""
    every = list(choices)
    for names, neutral, is_used, to_what, instead in _USES:
        for name in names:
            value = given.get(name)
            if value is None or value == neutral or any(is_used(one) for one in every):
                continue
            models = ", ".join(dict.fromkeys(one.model for one in every))
            raise UsageError(
                f"--{name.replace('_', '-')} {value}",
                f"is of no use to --model {models}{to_what}",
                expected=instead,
                advice="ask for that, or leave this out",
            )


def chosen(
    given: Mapping[str, Any], pairs: Iterable[str], content: Mapping[str, Any], where: str, default_model: str
) -> Choice:
    """The choice of a command line, and of what a file says, which messages call `where`.  Raises as `choose` does."""
    model = given.get("model") or content.get("model", default_model)
    described = content.get("network", {})
    if described and model != content.get("model", model):
        log.warning("%s: its [network] is of %s, and not used for %s", where, content["model"], model)
        described = {}
    preset = given.get("preset") or content.get("preset", "")
    base = networks.values(model, described, f"{where}: [network]", preset)
    network = networks.network_settings(model, pairs, base)
    entry = MODELS[model]
    variant = entry.variant(preset)
    if "preset" in given:
        said = {"training": content.get("training", {}), "network": described}
        _check_preset(preset, variant, said, {*given, *with_pairs({}, pairs)}, where)
    own = {**entry.training, **variant.get("training", {})}
    training = own | from_toml(configs.Training, content.get("training", {}), "affcli train", f"{where}: [training]")
    runs = from_toml(configs.Runs, content.get("runs", {}), "affcli train", f"{where}: [runs]")
    encoders = tuple(given.get("encoder") or content.get("encoders", ()))
    return Choice(
        model,
        encoders,
        network,
        configure(configs.Training, {**training, **given}),
        configure(configs.Runs, {**runs, **given}),
        given.get("devices") or content.get("devices", 1),
        _init(given, content.get("init", {}), where),
    )


def _check_preset(
    preset: str,
    variant: Mapping[str, Mapping[str, Any]],
    said: Mapping[str, Mapping[str, Any]],
    typed: Collection[str],
    where: str,
) -> None:
    """Raise UsageError where a file says every setting of a preset on the command line, and says it otherwise."""
    every = [(part, name, value) for part, settings in variant.items() for name, value in settings.items()]
    if any(name not in said[part] for part, name, _ in every):
        return
    if other := [name for part, name, value in every if said[part][name] != value and name not in typed]:
        raise UsageError(
            f"--preset {preset}",
            f"changes nothing: {where} says all that it sets, and otherwise ({some(other)})",
            expected="one of the two",
            advice="leave it out, or take these settings out of the file",
        )


def _init(given: Mapping[str, Any], content: Mapping[str, str], where: str) -> dict[str, str]:
    """What the network begins with.  Raises UsageError where the file says of something else what it begins with."""
    if unknown := [name for name in content if name not in INITS]:
        raise UsageError(
            f"{where}: [init] {unknown[0]}", "is nothing", expected=" or ".join(INITS), advice="take it out of the file"
        )
    options = {name: given.get("init" if name == "whole" else f"init_{name}") for name in INITS}
    return dict(content) | {name: str(path) for name, path in options.items() if path is not None}


def read(path: Path) -> dict[str, Any]:
    """A TOML file such as `write` makes.

    Raises InputError where it cannot be read, UsageError where it holds a part that there is not.
    """
    content = parsed(path)
    check_parts(content, str(path))
    if "init" in content:  # as `write` has it: seen from the file's directory, wherever the command is called
        here = path.resolve().parent
        content["init"] = {part: str((here / run).resolve()) for part, run in content["init"].items()}
    return content


def check_parts(content: Mapping[str, Any], where: str) -> None:
    """Raise UsageError where a configuration holds a part that there is not, or one of another kind."""
    for name, value in content.items():
        if name not in _PARTS:
            raise UsageError(
                f"{where}: {name}",
                "is no part of a configuration",
                expected=f"one of {', '.join(_PARTS)}",
                advice="write settings of training under [training], those of the network under [network]",
            )
        is_one, wanted = _PARTS[name]
        if not is_one(value):
            raise UsageError(f"{where}: {name}", "is of another kind", expected=wanted, advice="correct it")


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


def write(run: Path, choice: Choice, said: str, left_out: Collection[str] = ()) -> None:
    """Write RUN/config.toml, which begins with what is said of it; `left_out` are settings, as `training.lr`."""
    from affcli.files import replacing

    lines = [
        f"# {said}",
        f"model = {toml(choice.model)}",
        f"encoders = {toml(choice.encoders)}",
        f"devices = {choice.devices}",
    ]
    if choice.init:
        here = run.resolve()
        lines += ["", "[init]", "# The runs that it begins with, seen from the directory of this file."]
        lines += [f"{name} = {toml(os.path.relpath(Path(one).resolve(), here))}" for name, one in choice.init.items()]
    for part, config in (("training", choice.training), ("network", choice.network), ("runs", choice.runs)):
        lines += ["", f"[{part}]"]
        for field in dataclasses.fields(config):
            if f"{part}.{field.name}" in left_out:
                continue
            unit = f" ({field.metadata['unit']})" if field.metadata["unit"] else ""
            meaning = f"{field.metadata['doc']}{unit}"
            lines += textwrap.wrap(meaning, 116, initial_indent="# ", subsequent_indent="# ")
            lines.append(f"{field.name} = {toml(getattr(config, field.name))}")
    with replacing(run / CONFIG) as file:
        file.write(("\n".join(lines) + "\n").encode())
