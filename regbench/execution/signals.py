"""Stopping cleanly: how a sweep and its workers handle SIGTERM and Ctrl-C.

In a sweep, either one raises an exception; it asks its workers to stop and waits for them. A worker
finishes the current call, about a quarter of a second of steps, writes a checkpoint and ends its
run with `Stopped`.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from regbench.errors import RunFailed

# Shells add the number of the signal that ended a process to 128.
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM

_stop_requested = False


class Stopped(RunFailed):
    """The run was asked to stop; it can be resumed from its last checkpoint."""


class Terminated(KeyboardInterrupt):
    """SIGTERM was received: handled like Ctrl-C."""


def stop_requested() -> bool:
    """Return whether this process has been asked to stop while in `postponed`."""
    return _stop_requested


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Postpone SIGTERM in this block: it only makes `stop_requested` true."""
    global _stop_requested

    def request(number: int, frame: FrameType | None) -> None:
        global _stop_requested
        _stop_requested = True

    _stop_requested = False
    with _handlers({signal.SIGTERM: request}):
        yield


@contextlib.contextmanager
def raised(announce: Callable[[], object]) -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGINT and `Terminated` for SIGTERM in this block.

    `announce` is called first, but only for the first signal.
    """
    announced = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal announced
        first, announced = not announced, True
        if hasattr(signal, "setitimer"):  # not on Windows
            signal.setitimer(signal.ITIMER_REAL, 0)  # a budget has no more say: `budget.limited`
        if first:
            # The signal may have come in the middle of a write to the same stream.
            with contextlib.suppress(RuntimeError, OSError):
                announce()
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    with _handlers({signal.SIGINT: interrupt, signal.SIGTERM: interrupt}):
        yield


def exit_code(error: KeyboardInterrupt) -> int:
    """Return the exit code of a process that was interrupted: 130, or 143 for SIGTERM."""
    return TERMINATED if isinstance(error, Terminated) else INTERRUPTED


@contextlib.contextmanager
def _handlers(
    handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]],
) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
