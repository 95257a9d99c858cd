"""Write the manual pages from the code: affcli(1), affcli-<command>(1) and affcli-tables(5).

python man/build.py            write them beside this file
python man/build.py --check    exit 1 where a page is not what the code says
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from affcli import __version__
from affcli.cli import app
from affcli.errors import exit_statuses
from affcli.schemas import SCHEMAS, Schema

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"


def roff(text: str) -> str:
    """Text with everything escaped that roff would take for a command."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in escaped.splitlines())


def heading(name: str, section: int) -> list[str]:
    return [f'.TH {roff(name.upper())} {section} "" "affcli {__version__}" "affcli manual"']


def paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(inspect.cleandoc(text).split("\n\n")):
        if number:
            yield ".PP"
        yield roff(" ".join(paragraph.split()))


def exit_status(command: str = "") -> list[str]:
    """What the exit statuses of one command mean, or of all."""
    lines = [".SH EXIT STATUS"]
    for status, meaning in exit_statuses(command):
        lines += [".TP", f".B {roff(status)}", roff(meaning.replace("`", ""))]
    return lines


def shell_examples() -> list[str]:
    """The commands in README's blocks of shell, each as it is typed: over several lines where these go on, or loop."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    whole = re.compile(r"^for [\s\S]*?^done$|^(?:\\\n|.)+$", re.MULTILINE)
    return [found for block in blocks for found in whole.findall(block)]


def examples(name: str) -> list[str]:
    """How README uses a command."""
    uses = re.compile(rf"^ *affcli {re.escape(name)}(?!\S)", re.MULTILINE)
    found = [text for text in shell_examples() if uses.search(text)]
    if not found:
        return []
    return [".SH EXAMPLES", ".nf", *(roff(text) for text in dict.fromkeys(found)), ".fi"]


def arguments(command: Any) -> list[Any]:
    return [p for p in command.params if p.param_type_name == "argument"]


def options(command: Any) -> list[Any]:
    return [p for p in command.params if p.param_type_name == "option" and not getattr(p, "hidden", False)]


def summary(command: Any) -> str:
    """The first paragraph of a command's help, as a phrase."""
    first = " ".join(inspect.cleandoc(command.help).partition("\n\n")[0].split())
    return first[0].lower() + first[1:].rstrip(".")


def metavar(parameter: Any, context: Any) -> str:
    """What stands for the value of an argument or option."""
    if parameter.metavar:
        return str(parameter.metavar) + "..." * (parameter.nargs == -1 and "..." not in parameter.metavar)
    shown = str(parameter.display_type(context)).strip("<>").removesuffix(" range")
    return shown if "|" in shown else shown.upper()


def argument_lines(argument: Any, context: Any) -> list[str]:
    return [".TP", f"\\fI{roff(metavar(argument, context))}\\fR", roff(argument.help or "")]


def option_lines(option: Any, context: Any) -> list[str]:
    """One option: names, metavar, help, default."""
    names = ", ".join(f"\\fB{roff(name)}\\fR" for name in sorted([*option.opts, *option.secondary_opts], key=len))
    value = "" if option.is_flag else f" \\fI{roff(metavar(option, context))}\\fR"
    shown = option.default
    known = shown is not None and shown != [] and not option.is_flag and not callable(shown) and not option.required
    default = f" [{roff(str(shown))}]" if known else ""
    required = " Required." if option.required else ""
    return [".TP", f"{names}{value}", f"{roff(option.help or '')}{required}{default}"]


def synopsis(name: str, command: Any, context: Any) -> list[str]:
    wanted = " ".join(f"\\fI{roff(metavar(p, context))}\\fR" for p in arguments(command))
    return [f".B affcli {roff(name)}", f"[\\fIOPTIONS\\fR] {wanted}".rstrip()]


def command_page(name: str, command: Any, context: Any) -> str:
    lines = [
        *heading(f"affcli-{name}", 1),
        ".SH NAME",
        f"affcli\\-{roff(name)} \\- {roff(summary(command))}",
        ".SH SYNOPSIS",
        *synopsis(name, command, context),
        ".SH DESCRIPTION",
        *paragraphs(command.help),
    ]
    if arguments(command):
        lines.append(".SH ARGUMENTS")
        for argument in arguments(command):
            lines += argument_lines(argument, context)
    lines.append(".SH OPTIONS")
    for option in options(command):
        lines += option_lines(option, context)
    lines += [*examples(name), *exit_status(name), ".SH SEE ALSO", ".BR affcli (1),", ".BR affcli\\-tables (5)"]
    return "\n".join(lines) + "\n"


def group_page(name: str, group: Any, context: Any) -> str:
    """One page for a command that has commands of its own."""
    commands = {f"{name} {inner}": command for inner, command in group.commands.items()}
    lines = [
        *heading(f"affcli-{name}", 1),
        ".SH NAME",
        f"affcli\\-{roff(name)} \\- {roff(summary(group))}",
        ".SH SYNOPSIS",
    ]
    for number, (whole, command) in enumerate(commands.items()):
        lines += [".br"] * (number > 0) + synopsis(whole, command, context)
    lines += [".SH DESCRIPTION", *paragraphs(group.help)]
    for whole, command in commands.items():
        lines += [f".SH {roff(whole.upper())}", *paragraphs(command.help)]
        for argument in arguments(command):
            lines += argument_lines(argument, context)
        for option in options(command):
            lines += option_lines(option, context)
    lines += [
        *examples(name),
        *exit_status(name),
        ".SH SEE ALSO",
        ".BR affcli (1),",
        ".BR affcli\\-extract\\-faces (1)",
    ]
    return "\n".join(lines) + "\n"


def main_page(group: Any) -> str:
    lines = [
        *heading("affcli", 1),
        ".SH NAME",
        f"affcli \\- {roff(group.help.partition(':')[0].lower())}",
        ".SH SYNOPSIS",
        ".B affcli",
        "\\fICOMMAND\\fR [\\fIOPTIONS\\fR] \\fIARGUMENTS\\fR",
        ".SH DESCRIPTION",
        *paragraphs(group.help),
        ".SH COMMANDS",
    ]
    for name, command in group.commands.items():
        lines += [".TP", f".BR affcli\\-{roff(name)} (1)", roff(summary(command))]
    lines += [*exit_status(), ".SH SEE ALSO", ".BR affcli\\-tables (5)"]
    return "\n".join(lines) + "\n"


def table_lines(schema: Schema) -> list[str]:
    beside = (
        f" The array beside it: {schema.array.dtype} ({schema.array.shape}), {schema.array.doc}."
        if schema.array
        else ""
    )
    lines = [f".SH {roff(schema.name.upper())} (version {schema.version})", roff(f"{schema.doc}{beside}")]
    for column in schema.columns:
        unit = f", {column.unit}" if column.unit else ""
        null = ", may be null" if column.null else ""
        optional = ", optional" if column.optional else ""
        lines += [".TP", f".B {roff(column.name)}", roff(f"({column.type}{unit}{null}{optional}) {column.doc}")]
    if schema.facts:
        lines += [".PP", "In the metadata of the file, under \\fBfacts\\fR:"]
        for name, meaning in schema.facts:
            lines += [".TP", f".B {roff(name)}", roff(meaning)]
    return lines


def tables_page() -> str:
    lines = [
        *heading("affcli-tables", 5),
        ".SH NAME",
        "affcli\\-tables \\- the tables that affcli reads and writes",
        ".SH DESCRIPTION",
        *paragraphs(
            """Tables are Parquet. Where an array belongs to a table it stands beside it, as NPY, under the same name.
            The metadata key affcli holds one JSON object: schema, version, facts, the array's shape, dtype and
            SHA-256, the inputs by name and digest, and the recipe, which nests the recipes of the steps before.
            affcli info shows all of it.

            Row i of a clip is decoded frame i. Times are the container's presentation timestamps in microseconds.
            A table may lack its optional columns, and is then read as if they were null in every row."""
        ),
    ]
    for schema in SCHEMAS.values():
        lines += table_lines(schema)
    lines += [".SH SEE ALSO", ".BR affcli (1),", ".BR affcli\\-info (1)"]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Every page, by its path below man/ (section directories, as MANPATH wants them)."""
    group: Any = typer.main.get_command(app)
    written = {"man1/affcli.1": main_page(group), "man5/affcli-tables.5": tables_page()}
    context = typer.Context(group)
    for name, command in group.commands.items():
        page = group_page if hasattr(command, "commands") else command_page
        written[f"man1/affcli-{name}.1"] = page(name, command, context)
    return written


def main() -> int:
    wanted = pages()
    if sys.argv[1:] == ["--check"]:
        found = {str(path.relative_to(HERE)): path.read_text(encoding="utf-8") for path in HERE.glob("man?/*")}
        wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        for name in wrong:
            print(f"man/{name} is not what the code says: run python man/build.py", file=sys.stderr)
        return 1 if wrong else 0
    for old in HERE.glob("man?/*"):
        old.unlink()
    for name, text in wanted.items():
        (HERE / name).parent.mkdir(exist_ok=True)
        (HERE / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
