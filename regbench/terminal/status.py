"""What a terminal shows while a command is busy: a spinner, or one line where it is piped."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

# What is done before is not worth a line in a log.
PATIENCE = 1.0  # seconds


class Status:
    """Says on a console what takes its time; use it in a `with` block.

    A terminal shows it at once and until the end of the block. A pipe gets it as a line,
    once it has taken `PATIENCE`.
    """

    def __init__(self, console: Console, text: str) -> None:
        self.console = console
        self.text = text
        self._spinner: Any = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Status:
        return self.begin()

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self) -> Status:
        """Begin to say it; for where a `with` block does not fit."""
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
        """Say what comes next."""
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
