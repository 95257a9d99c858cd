"""The command `affcli`: its table of commands, and errors turned into one line and an exit status."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import resource
import signal
import sys
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

import typer

from affcli import __version__
from affcli.cli.options import command
from affcli.errors import AffcliError, OutputError, UsageError

COMMANDS = (
    *("demo", "probe", "extract-faces", "extract-audio", "embed", "encoders", "export-crops", "import-crops"),
    *("import-openface", "import-labels", "window", "train", "import-checkpoint", "predict", "score", "info"),
    *("submit", "lint-submission", "gold", "smooth", "export-labels"),
)
GROUPS = ("models",)  # commands that have commands of their own
_MOST_FILES = 65_536  # that are open at a time: a mapped array holds one


def make_app(names: Iterable[str] = (*COMMANDS, *GROUPS)) -> typer.Typer:
    """The command with some of its commands, whose modules are imported: one alone is there in half the time."""
    made = typer.Typer(
        name="affcli",
        help="Continuous affect from video: per-frame valence and arousal, each from -1 to 1.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in names:
        module = importlib.import_module(f"affcli.cli.{name.replace('-', '_')}")
        if name in GROUPS:
            made.add_typer(module.app, name=name)
        else:
            made.command(name)(command(getattr(module, name.replace("-", "_"))))
    made.callback()(common)
    return made


def __getattr__(name: str) -> Any:
    """`app`, with every command, for whoever asks for it."""
    if name != "app":
        raise AttributeError(name)
    return make_app()


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"affcli {__version__}")
        raise typer.Exit


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
    """SIGTERM, or the end of the terminal, unwinds like Ctrl-C, so that nothing half-written remains."""
    raise SystemExit(128 + number)


def _usage_error(error: Any) -> UsageError:
    """What Typer says of a command line, in one line."""
    usage = error.ctx.get_usage().removeprefix("Usage: ") if error.ctx else "affcli [OPTIONS] COMMAND [ARGS]..."
    usage = " ".join(usage.translate({ord("{"): None, ord("}"): None}).replace("python -m ", "").split())
    found = error.format_message().replace("Value error, ", "")  # a word of the library that checks values
    if needed := _needed_together(error):  # the last word was taken for the other argument
        found = f"{' and '.join(needed)} are both needed"
    return UsageError("command line", found.strip().rstrip("."), advice=f"usage: {usage}")


def _needed_together(error: Any) -> list[str]:
    """The arguments of a command that lacks the one which may be several words, where another has to follow it."""
    missing: Any = getattr(error, "param", None)
    if error.ctx is None or getattr(missing, "nargs", 1) != -1 or not missing.required:
        return []
    arguments = [one for one in error.ctx.command.params if one.param_type_name == "argument" and one.required]
    return [str(one.metavar or one.name).strip() for one in arguments] if len(arguments) == 2 else []


def _allow_many_files() -> None:
    """Raise the soft limit of open files: every array of a data set is mapped, and 1024 are soon reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def main() -> None:
    """Run the command line of this process, and end it."""
    _allow_many_files()
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, _terminate)
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
        named = [name for name in sys.argv[1:2] if name in COMMANDS]
        status = make_app(named or (*COMMANDS, *GROUPS))(standalone_mode=False) or 0
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
