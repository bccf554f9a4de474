"""Errors that a user can cause, each with its exit code; and the type of warning callbacks."""

from __future__ import annotations

from collections.abc import Callable

# Called with one line about something that is skipped or that a reader should know.
Warn = Callable[[str], None]


class RegbenchError(Exception):
    """An error that the user can fix; its text is one line: what, where and what to do."""

    exit_code = 2


class RunFailed(RegbenchError):
    """A run that could not be finished, although the request was valid."""

    exit_code = 1
