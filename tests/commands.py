"""Commands run in the process of the test, which then sees what they raise."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from affcli.cli import app


def invoke(*arguments: object) -> Result:
    """Run a command; raises what went wrong."""
    found = CliRunner().invoke(app, [*map(str, arguments)])
    if found.exception and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def run(*arguments: object) -> str:
    """Run a command that ends well; returns what it said on stderr."""
    found = invoke(*arguments)
    assert found.exit_code == 0, found.output
    return str(found.stderr)
