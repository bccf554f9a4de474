"""Busy messages: a spinner on a terminal, or one line when piped."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status as RichStatus

# Anything faster is not worth a line in a log.
PATIENCE = 1.0  # seconds


class Status:
    """A message while something slow runs, for use in a `with` block.

    A terminal shows it from the start to the end of the block. A pipe gets it as a line, but only
    after `PATIENCE` seconds.
    """

    def __init__(self, console: Console, text: str) -> None:
        self.console = console
        self.text = text
        self._spinner: RichStatus | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Status:
        return self.begin()

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self) -> Status:
        """Show the message; for callers that can't use a `with` block."""
        if self.console.is_terminal:
            self._spinner = self.console.status(self.text)
            self._spinner.start()
        else:
            self._wait()
        return self

    def end(self) -> None:
        """Say no more."""
        if self._spinner:
            self._spinner.stop()
        if self._timer:
            self._timer.cancel()

    def update(self, text: str) -> None:
        """Replace the message."""
        self.text = text
        if self._spinner:
            self._spinner.update(text)
        else:
            self._wait()

    def _wait(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = threading.Timer(PATIENCE, self._say, [self.text])
        self._timer.daemon = True
        self._timer.start()

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
