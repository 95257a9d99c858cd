"""affcli models: networks, and weights, which are brought by name where no package carries them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from affcli import weights
from affcli.cli import network_pages
from affcli.cli.options import command
from affcli.cli.progress import say
from affcli.errors import AssetError, UsageError
from affcli.models import MODELS
from affcli.registry import Registry
from affcli.weights import WEIGHTS

NAME = typer.Argument(
    ...,
    metavar="NAME",
    help="Name of the weights, as affcli models list shows it.",
    autocompletion=lambda: list(WEIGHTS),
)


def _list(as_json: bool = typer.Option(False, "--json", help="One JSON object per line.")) -> None:
    """List the weights that are known, with licence, size and where they are, and the networks for affcli train.

    Of networks: the CCC of valence, arousal and their mean that was published for the validation clips of Aff-Wild2,
    and what they read.
    """
    rows = [_described(name) for name in WEIGHTS]
    networks = [network_pages.network(name) for name in MODELS]
    if as_json:
        for row in [*rows, *networks]:
            print(json.dumps(row, ensure_ascii=False))
        return
    table = [("NAME", "KIND", "LICENCE", "SIZE", "STATE")]
    table += [(row["name"], row["kind"], row["licence"], _megabytes(row["size"]), row["state"]) for row in rows]
    _print_columns(table)
    print()
    print("\n".join(network_pages.table(networks)))


def _print_columns(table: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def show(
    name: str = typer.Argument(
        ...,
        metavar="NAME",
        help="Name of weights or of a network, as affcli models list shows it.",
        autocompletion=lambda: [*WEIGHTS, *MODELS],
    ),
) -> None:
    """Show everything about one set of weights or one network.

    Of weights: licence, address, SHA-256, paper, where the file is. Of a network: what it reads, the published CCC,
    what it is trained with where nothing else is said, its presets, and its settings with default, meaning, unit or
    words, and source.
    """
    described = _ABOUT[name](name)
    for key, value in described.items():
        if value is not None and key not in network_pages.LONG:
            print(f"{key.replace('_', ' ') + ':':<17} {_SHOWN.get(key, str)(value)}")
    if name in MODELS:
        print("\n".join(network_pages.page(described)))


def pull(
    name: str = NAME,
    licence: str | None = typer.Option(
        None, "--accept-licence", metavar="LICENCE", help="Accept the licence of this name without being asked."
    ),
    source: str | None = typer.Option(
        None,
        "--from",
        metavar="FILE|URL",
        help="Take it from this file or https address: the .onnx, or a zip that holds it.",
    ),
    offline: bool = typer.Option(False, "--offline", envvar="AFFCLI_OFFLINE", help="Never use the network."),
) -> None:
    """Bring weights into the cache, once their licence is accepted.

    Shows the licence and asks for consent; where there is no terminal to ask on, --accept-licence gives it. Size and
    SHA-256 are checked before the file is put in place. The cache is $AFFCLI_CACHE, else $XDG_CACHE_HOME/affcli, else
    ~/.cache/affcli. AFFCLI_OFFLINE=1 is --offline.
    """
    wanted = WEIGHTS[name]
    if wanted.package is not None:
        weights.load(name)
        say(f"{name} is carried by the installed package {wanted.package}: nothing to do")
        return
    try:
        if weights.find(name) is not None:
            weights.load(name)
            say(f"{name} is here: {weights.cached_path(name)}")
            return
    except AssetError as error:
        say(f"{error.subject}: {error.found}, expected {error.expected}; bringing it again")
    from affcli.cli import fetch

    origin = source if source is not None else wanted.url or ""
    if fetch.is_address(origin):
        _may_fetch(name, origin, offline)
    how = _consent(name, wanted.licence, licence)
    accepted = {
        "name": name,
        "file": wanted.file,
        "sha256": wanted.sha256,
        "licence": wanted.licence.name,
        "licence_summary": wanted.licence.summary,
        "licence_url": wanted.licence.url,
        "accepted": how,
        "accepted_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if source is None:
        say(f"fetching {origin} ({_megabytes(wanted.download)})")
    say(f"{name} is here: {fetch.bring(name, origin, accepted)}")


def verify(
    names: list[str] = typer.Argument(None, metavar="[NAME...]", help="Names of weights; all that are here if none."),
) -> None:
    """Check the SHA-256 of weights: of those named, or of all that are here.

    Ends with status 5 where one is damaged, or a named one is missing.
    """
    wrong = False
    for name in names or [known for known in WEIGHTS if weights.find(known)]:
        try:
            weights.load(name)
            print(f"{name}: right")
        except AssetError as error:
            wrong = True
            print(f"affcli: {error}", file=sys.stderr)
    if wrong:
        raise typer.Exit(AssetError.status)


def _described(name: str) -> dict[str, Any]:
    """All that is known of one set of weights, as plain values; sizes in bytes."""
    known = WEIGHTS[name]
    path = weights.find(name)
    place = f"in the package {known.package}" if known.package else "in the cache"
    return {
        "name": name,
        "kind": known.kind,
        "licence": known.licence.name,
        "licence_summary": known.licence.summary,
        "licence_at": known.licence.url,
        "commercial_use": "yes" if known.licence.commercial else "no",
        "paper": known.paper,
        "file": known.file,
        "size": known.size,
        "sha256": known.sha256,
        "digest_from": known.source,
        "package": known.package,
        "url": known.url,
        "download": known.download or None,
        "state": place if path else "not here",
        "path": str(path) if path else None,
    }


_ABOUT: Registry[Callable[[str], dict[str, Any]]] = Registry(
    "name of weights or of a network",
    {**dict.fromkeys(WEIGHTS, _described), **dict.fromkeys(MODELS, network_pages.network)},
)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


_SHOWN: dict[str, Callable[[Any], str]] = {
    "size": _megabytes,
    "download": _megabytes,
    "published": network_pages.published,
}


def _may_fetch(name: str, address: str, offline: bool) -> None:
    """Refuse an address that must not be used."""
    if not address.startswith("https://"):
        raise UsageError(f"--from {address}", "is no https address", expected="https://...", advice="use another one")
    if offline:
        raise AssetError(
            name,
            "is not here, and --offline forbids to fetch it",
            expected=f"{WEIGHTS[name].file} of {WEIGHTS[name].url}",
            advice=f"bring the .onnx or the zip by hand, then run: affcli models pull {name} --from FILE",
        )


def _consent(name: str, licence: weights.Licence, given: str | None) -> str:
    """How the licence was accepted.  Raises AssetError where it was not."""
    accepting = f"affcli models pull {name} --accept-licence {licence.name}"
    if given is not None:
        if given == licence.name:
            return "--accept-licence"
        raise AssetError(
            f"--accept-licence {given}",
            f"is not the licence of {name}",
            expected=licence.name,
            advice=f"read {licence.url}, then run: {accepting}",
        )
    if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
        use = "" if licence.commercial else ", not for commercial use"
        print(f"{name}: licence {licence.name}{use}\n{licence.summary}\n{licence.url}", file=sys.stderr)
        print("Do you accept it? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return "on the terminal"
    raise AssetError(
        name,
        f"its licence is not accepted ({licence.name}: {licence.summary.rstrip('.')})",
        expected="consent",
        advice=f"read {licence.url}, then run: {accepting}",
    )


COMMANDS: dict[str, Callable[..., None]] = {"list": _list, "show": show, "pull": pull, "verify": verify}

app = typer.Typer(
    help="List and show weights and networks, pull and verify weights.\n\nOnly affcli models pull ever "
    "fetches anything, and it shows the licence first.",
    no_args_is_help=True,
)
for _name, _function in COMMANDS.items():
    app.command(_name)(command(_function))
