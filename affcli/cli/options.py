"""Command-line options as values: derived from the settings in `affcli.configs`, shared between commands."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import logging
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import typer
from typer.models import ParameterInfo

from affcli import configs
from affcli.errors import UsageError

C = TypeVar("C")


def setting(config: type, name: str, **bounds: Any) -> Any:
    """The option of one setting: name, default, unit and help come from the configuration class."""
    field = configs.field(config, name)
    unit = f" ({field.metadata['unit']})" if field.metadata["unit"] else ""
    doc, flag = field.metadata["doc"], name.replace("_", "-")
    words = f"--{flag}/--no-{flag}" if isinstance(field.default, bool) else f"--{flag}"
    return typer.Option(field.default, words, help=f"{doc[0].upper()}{doc[1:]}{unit}.", **bounds)


def configure(config: type[C], values: Mapping[str, Any]) -> C:
    """An instance of `config` from a command's parameters; settings that are no parameter keep their default.

    Raises UsageError where a number is infinite or NaN, which no bound keeps out.
    """
    names = {field.name for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    chosen = {name: value for name, value in values.items() if name in names}
    for name, value in chosen.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(
                f"--{name.replace('_', '-')} {value}",
                "is no finite number",
                expected=f"a number such as {configs.field(config, name).default}",
                advice="correct it, or leave the option out",
            )
    return config(**chosen)


def with_options(function: Callable[..., None], added: Iterable[inspect.Parameter]) -> Callable[..., None]:
    """Give a command, which takes them as keywords, more options: parameters whose defaults are typer's."""
    signature = inspect.signature(function, eval_str=True)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    function.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    return function


SEED = {"min": 0, "max": 2**63 - 1}  # bounds that NumPy and PyTorch both take
VIDEOS = typer.Argument(
    ..., metavar="VIDEOS", help="Video files, directories of them, or - for a list of paths on stdin."
)
OUT = typer.Argument(..., metavar="OUT", help="Directory for the results; made where it is missing.")
ENCODER = typer.Option([], "--encoder", help="Use only the features of this encoder; repeatable.")
DEVICE = typer.Option("auto", "--device", help="Where to compute; auto takes an accelerator where there is one.")
FORCE = typer.Option(False, "--force", help="Make everything again, even what is up to date.")


class _Lines(logging.StreamHandler[Any]):
    """Records on lines of their own, also where a progress line stands."""

    def emit(self, record: logging.LogRecord) -> None:
        clear_line()
        super().emit(record)


def clear_line() -> None:
    """Take away an unfinished line on a terminal's stderr."""
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class Verbosity:
    """What -q and -v of the running command ask for."""

    quiet = False


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command `-q` and `-v`, and logging on stderr that honours them."""
    signature = inspect.signature(function, eval_str=True)
    for parameter in signature.parameters.values():
        if isinstance(parameter.default, ParameterInfo):
            # A file that must not be read is that file's failure, said where it is read; it is no wrong option.
            parameter.default.readable = False
    extra = [
        inspect.Parameter(
            "quiet",
            inspect.Parameter.KEYWORD_ONLY,
            default=typer.Option(False, "--quiet", "-q", help="Errors only: no progress, no warnings."),
            annotation=bool,
        ),
        inspect.Parameter(
            "verbose",
            inspect.Parameter.KEYWORD_ONLY,
            default=typer.Option(False, "--verbose", "-v", help="Say more about what is done."),
            annotation=bool,
        ),
    ]

    @functools.wraps(function)
    def run(*args: Any, quiet: bool, verbose: bool, **kwargs: Any) -> None:
        Verbosity.quiet = quiet
        level = logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
        handler = _Lines(sys.stderr)
        handler.setFormatter(logging.Formatter("affcli: %(message)s"))
        logger = logging.getLogger("affcli")
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        function(*args, **kwargs)

    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), *extra]
    )
    run.__annotations__ = {p.name: p.annotation for p in [*signature.parameters.values(), *extra]}
    # Line breaks inside a paragraph are the source code's, not the reader's.
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    run.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return run
