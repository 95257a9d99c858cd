"""The command `affcli`: its table of commands, and errors turned into one line and an exit status."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import typer

from affcli import __version__
from affcli.cli import (
    demo,
    embed,
    encoders,
    export_crops,
    extract_audio,
    extract_faces,
    import_crops,
    import_labels,
    import_openface,
    info,
    models,
    predict,
    probe,
    score,
    train,
    window,
)
from affcli.cli.options import command
from affcli.errors import AffcliError, OutputError, UsageError

COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo.demo,
    "probe": probe.probe,
    "extract-faces": extract_faces.extract_faces,
    "extract-audio": extract_audio.extract_audio,
    "embed": embed.embed,
    "encoders": encoders.encoders,
    "export-crops": export_crops.export_crops,
    "import-crops": import_crops.import_crops,
    "import-openface": import_openface.import_openface,
    "import-labels": import_labels.import_labels,
    "window": window.window,
    "train": train.train,
    "predict": predict.predict,
    "score": score.score,
    "info": info.info,
}
GROUPS: dict[str, typer.Typer] = {"models": models.app}  # commands that have commands of their own

app = typer.Typer(
    name="affcli",
    help="Continuous affect from video: per-frame valence and arousal, each from -1 to 1.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, function in COMMANDS.items():
    app.command(name)(command(function))
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


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


class _Results(io.TextIOWrapper):
    """Standard output, which says in one line what keeps it from being written: a full disk, say."""

    def write(self, text: str) -> int:
        with self._explained():
            return super().write(text)

    def flush(self) -> None:
        with self._explained():
            super().flush()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            found = f"cannot be written ({error.strerror})"
            raise OutputError("standard output", found, advice="free space, or write elsewhere") from error


def _terminate(number: int, _frame: FrameType | None) -> None:
    """SIGTERM unwinds like Ctrl-C, so that nothing half-written remains."""
    raise SystemExit(128 + number)


def _usage_error(error: Any) -> UsageError:
    """What Typer says of a command line, in one line."""
    usage = error.ctx.get_usage().removeprefix("Usage: ") if error.ctx else "affcli [OPTIONS] COMMAND [ARGS]..."
    usage = " ".join(usage.translate({ord("{"): None, ord("}"): None}).replace("python -m ", "").split())
    return UsageError("command line", error.format_message().strip().rstrip("."), advice=f"usage: {usage}")


def main() -> None:
    """Run the command line of this process, and end it."""
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `affcli ... | head` ends quietly, like any Unix tool
    if isinstance(sys.stdout, io.TextIOWrapper):  # None where it was closed before we began
        out = sys.stdout
        sys.stdout = _Results(
            out.buffer,
            out.encoding,
            out.errors,
            line_buffering=out.line_buffering,
            write_through=out.write_through,
        )
    errors: list[AffcliError] = []
    status = 0
    try:
        status = app(standalone_mode=False) or 0
    except AffcliError as error:
        errors.append(error)
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except Exception as error:
        # Typer keeps its own copy of Click: a wrong command line is known by what the exception can do.
        if not hasattr(error, "format_message"):
            raise
        if error.format_message():
            errors.append(_usage_error(error))
        else:  # no command at all: the help that was shown says what is missing
            status = UsageError.status
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except OutputError as error:
        errors.append(error)
    for line in dict.fromkeys(f"affcli: {error}" for error in errors):  # what failed once fails again when flushed
        print(line, file=sys.stderr, flush=True)
    # At once: nothing of ours is open, and Arrow's threads now and then abort a slower ending.
    os._exit(errors[-1].status if errors else status)
