"""How commands print: results to stdout, messages to stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
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


def lasting_console() -> Console:
    """Return a console on stderr for what goes on when nobody reads it any more."""
    from rich.console import Console

    class Lasting(Console):
        def on_broken_pipe(self) -> None:  # rich would end the program
            self.quiet = True
            _silence(sys.stderr)

    return Lasting(stderr=True, highlight=False)


@contextlib.contextmanager
def perhaps_unread() -> Iterator[None]:
    """In here, what is printed after its reader has gone, as `head` does, is lost and no error."""
    try:
        yield
    except BrokenPipeError:
        _silence(sys.stdout)
        _silence(sys.stderr)


def _silence(stream: Any) -> None:
    """Let a stream lead nowhere, or Python's last flush of it would fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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
