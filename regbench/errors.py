"""The errors that a user can cause, each with its exit code; and the form of a warning."""

from __future__ import annotations

from collections.abc import Callable

# Called with one line about something that is left out, or that a reader should know.
Warn = Callable[[str], None]


class RegbenchError(Exception):
    """Something the user can put right; its text is one line: what, where and what to do."""

    exit_code = 2


class RunFailed(RegbenchError):
    """A run could not be finished, though what was asked for made sense."""

    exit_code = 1
