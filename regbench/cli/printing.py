"""How commands print: results to stdout, messages to stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from regbench.yaml12 import one_line

if TYPE_CHECKING:
    from rich.console import Console


def console(stderr: bool) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def print_json(content: Any) -> None:
    import json

    click.echo(json.dumps(content, indent=2, allow_nan=False))


def warn(message: str) -> None:
    """Print a warning; control characters in it, as a file's name can hold, are escaped."""
    click.echo(f"Warning: {one_line(message)}", err=True)


def fail(message: str) -> None:
    """Print every line of an error; control characters in it are escaped."""
    for line in message.split("\n"):
        click.echo(f"Error: {one_line(line)}", err=True)
