"""The command `affcli`: its table of commands, and errors turned into one line and an exit status."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import typer

from affcli import __version__
from affcli.cli import (
    demo,
    embed,
    extract_audio,
    extract_faces,
    import_labels,
    info,
    predict,
    score,
    train,
    window,
)
from affcli.cli.options import command
from affcli.errors import AffcliError

COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo.demo,
    "extract-faces": extract_faces.extract_faces,
    "extract-audio": extract_audio.extract_audio,
    "embed": embed.embed,
    "import-labels": import_labels.import_labels,
    "window": window.window,
    "train": train.train,
    "predict": predict.predict,
    "score": score.score,
    "info": info.info,
}

app = typer.Typer(
    name="affcli",
    help="Continuous affect from video: per-frame valence and arousal, each from -1 to 1.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, function in COMMANDS.items():
    app.command(name)(command(function))


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"affcli {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Continuous affect from video: per-frame valence and arousal, each from -1 to 1."""


def _terminate(number: int, _frame: FrameType | None) -> None:
    """SIGTERM unwinds like Ctrl-C, so that nothing half-written remains."""
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line of this process."""
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `affcli ... | head` ends quietly, like any Unix tool
    try:
        app()
    except AffcliError as error:
        print(f"affcli: {error}", file=sys.stderr)
        _leave(error.status)
    except SystemExit as ending:
        _leave(ending.code if isinstance(ending.code, int) else int(ending.code is not None))


def _leave(status: int) -> NoReturn:
    """End the process at once: nothing of ours is open, and Arrow's threads now and then abort a slower ending."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
