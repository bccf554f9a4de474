"""Ending early and in order: what SIGTERM and Ctrl-C mean to a sweep and to its workers.

A sweep raises an exception from either, asks its workers to stop, and waits for them. A worker
finishes the step that it is at, writes a checkpoint and ends its run with `Stopped`.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

from regbench.errors import RunFailed

# Shells add the number of the signal that ended a process to 128.
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM

_stop_requested = False


class Stopped(RunFailed):
    """The run was asked to stop; its last checkpoint is where it resumes."""


class Terminated(KeyboardInterrupt):
    """SIGTERM has come: to be handled wherever Ctrl-C is."""


def stop_requested() -> bool:
    """Return whether this process has been asked to stop while in `postponed`."""
    return _stop_requested


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """In here, SIGTERM does not end the process but makes `stop_requested` true."""
    global _stop_requested

    def request(number: int, frame: Any) -> None:
        global _stop_requested
        _stop_requested = True

    _stop_requested = False
    with _handlers({signal.SIGTERM: request}):
        yield


@contextlib.contextmanager
def raised(announce: Callable[[], object]) -> Iterator[None]:
    """In here, SIGINT raises KeyboardInterrupt and SIGTERM `Terminated`.

    `announce` is called before that, but for the first signal only.
    """
    announced = False

    def interrupt(number: int, frame: Any) -> None:
        nonlocal announced
        first, announced = not announced, True
        if first:
            # The signal may have come in the middle of a write to the same stream.
            with contextlib.suppress(RuntimeError, OSError):
                announce()
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    with _handlers({signal.SIGINT: interrupt, signal.SIGTERM: interrupt}):
        yield


def exit_code(error: KeyboardInterrupt) -> int:
    """Return what a process ends with that the error has interrupted: 130, or 143 for SIGTERM."""
    return TERMINATED if isinstance(error, Terminated) else INTERRUPTED


@contextlib.contextmanager
def _handlers(handlers: dict[signal.Signals, Callable[[int, Any], None]]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
