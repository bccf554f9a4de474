"""Printing: results to stdout, messages to stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from rich.console import Console

    from regbench.terminal.status import Status


def console(stderr: bool) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def busy(text: str) -> Status:
    """Return a `with` block that shows a message on stderr while something slow runs."""
    from regbench.terminal.status import Status

    return Status(console(stderr=True), text)


def lasting_console() -> Console:
    """Return a console on stderr for work that continues even if nobody reads its output."""
    from rich.console import Console

    class Lasting(Console):
        def on_broken_pipe(self) -> None:  # rich would end the program
            self.quiet = True
            _silence(sys.stderr)

    return Lasting(stderr=True, highlight=False)


@contextlib.contextmanager
def perhaps_unread() -> Iterator[None]:
    """Ignore a closed pipe in this block: output that `| head` does not read is dropped."""
    try:
        yield
    except BrokenPipeError:
        _silence(sys.stdout)
        _silence(sys.stderr)


def _silence(stream: TextIO) -> None:
    """Redirect a stream to nowhere; otherwise Python's last flush of it would fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_json(content: object) -> None:
    import json

    click.echo(json.dumps(content, indent=2, allow_nan=False))


def warn(message: str) -> None:
    _say("Warning", message)


def complain(message: str) -> None:
    """Print an error, with one line for each place that is wrong."""
    for line in message.split("\n"):
        _say("Error", line)


def _say(kind: str, message: str) -> None:
    from regbench.text import one_line

    # Text from files must not control the terminal.
    click.echo(f"{kind}: {one_line(message)}", err=True)
