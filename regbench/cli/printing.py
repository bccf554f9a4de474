"""How commands print: results to stdout, messages to stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from regbench.terminal.status import Status


def console(stderr: bool) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def busy(text: str) -> Status:
    """Return a `with` block that says on stderr what is taking its time."""
    from regbench.terminal.status import Status

    return Status(console(stderr=True), text)


def print_json(content: Any) -> None:
    import json

    click.echo(json.dumps(content, indent=2, allow_nan=False))


def warn(message: str) -> None:
    _say("Warning", message)


def complain(message: str) -> None:
    """Say what went wrong: what is wrong in several places is a line for each."""
    for line in message.split("\n"):
        _say("Error", line)


def _say(kind: str, message: str) -> None:
    from regbench.text import one_line

    # Names of files and what they hold must not control the terminal.
    click.echo(f"{kind}: {one_line(message)}", err=True)
