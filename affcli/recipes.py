"""How a file was made: a nested, comparable account that travels inside every table and checkpoint.

A recipe names the step, the affcli version, each setting that changes the result, the weights with their
digests, and the recipes of the parents.  It holds no date, host, user or directory, so that equal inputs
give equal bytes, and nothing that cannot change a result (device, workers).  Clips made alike have equal
recipes; what they were made from stands beside the recipe, as `inputs`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from affcli import __version__
from affcli.errors import InputError, some

Recipe = dict[str, Any]


def recipe(
    step: str,
    config: object,
    *,
    weights: Mapping[str, str] | None = None,
    parents: Iterable[Recipe] = (),
) -> Recipe:
    """The account of one step.

    `config` is a frozen dataclass of `affcli.configs` or a mapping; `weights` maps names to SHA-256.
    """
    made: Recipe = {"step": step, "affcli": __version__, "config": plain(config)}
    if weights:
        made["weights"] = dict(sorted(weights.items()))
    made["parents"] = list(parents)
    return made


def plain(config: object) -> Any:
    """`config` as JSON knows it, so that a recipe equals itself read back from a file."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = dataclasses.asdict(config)
    return json.loads(json.dumps(config, allow_nan=False))


def differences(one: Any, other: Any, at: str = "") -> list[str]:
    """Where two recipes differ, as lines like `config.det_size: 320, other 640`; empty when they are equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = list(one) + [key for key in other if key not in one]
        found = (differences(one.get(key), other.get(key), f"{at}.{key}" if at else str(key)) for key in keys)
        return [line for lines in found for line in lines]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        found = (differences(a, b, f"{at}[{i}]") for i, (a, b) in enumerate(zip(one, other, strict=True)))
        return [line for lines in found for line in lines]
    return [] if one == other else [f"{at}: {json.dumps(one)}, other {json.dumps(other)}"]


def outline(made: Recipe, depth: int = 0) -> list[str]:
    """A line per step, the last step first, each parent further in: `train: model gru-fusion, lr 0.001, ...`."""
    settings = ", ".join(f"{name} {value}" for name, value in _flat(made.get("config")))
    lines = [f"{'  ' * depth}{made.get('step', 'unknown step')}: {settings or 'no settings'}"]
    shown: list[Recipe] = []
    for parent in parents(made):
        alike = next((one for one in shown if one.get("step") == parent.get("step") == "train"), None)
        lines += outline(parent, depth + 1) if alike is None else [f"{'  ' * (depth + 1)}{apart(parent, alike)}"]
        shown.append(parent)
    return lines


def apart(made: Recipe, other: Recipe) -> str:
    """One line on a recipe of which a like one was shown: `train: the same but for config.seed: 1, other 0`."""
    changed = differences(made, other)
    return f"{made.get('step', 'unknown step')}: the same{f' but for {some(changed)}' if changed else ''}"


def parents(made: Recipe) -> list[Recipe]:
    """The recipes of the steps before; none where a recipe, which anybody can write into a file, does not say."""
    found = made.get("parents")
    return [parent for parent in found if isinstance(parent, dict)] if isinstance(found, list) else []


def _flat(config: Any) -> Iterator[tuple[str, Any]]:
    for name, value in config.items() if isinstance(config, dict) else ():
        if isinstance(value, dict):
            yield from _flat(value)
        else:
            shown = " ".join(map(str, value)) if isinstance(value, list) else value
            yield name, "none" if shown == "" else shown


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises InputError where the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            path, f"cannot be read ({error.strerror})", advice="check the path and its permissions"
        ) from error


def source(path: Path) -> dict[str, str]:
    """One entry of `inputs`: a file by base name and digest."""
    return {"name": path.name, "sha256": digest(path)}
