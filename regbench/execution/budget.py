"""A budget of time: training stops when it is spent, in order, as it does with Ctrl-C."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from regbench.errors import RegbenchError

UNITS = {"h": 3600, "m": 60, "s": 1}
DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


class Spent(KeyboardInterrupt):
    """The time is up: handled like Ctrl-C, but it is what was asked for."""


def seconds(text: str) -> int:
    """Return the seconds of a duration such as `30m`, `90s` or `1h30m`. Raises ValueError."""
    found = DURATION.fullmatch(text)
    total = sum(
        int(number) * unit
        for number, unit in zip(found.groups() if found else (), UNITS.values(), strict=False)
        if number
    )
    if not total:
        raise ValueError(f"expected a time such as 30m, 90s or 1h30m, received {text!r}")
    return total


@contextlib.contextmanager
def limited(wanted: int | None, announce: Callable[[], object]) -> Iterator[None]:
    """Call `announce` and raise `Spent` in this block after so many seconds; never with None.

    `signals.raised` ends the waiting when a signal comes first: by then the runs are writing their
    checkpoints, which must not be cut short.
    """
    if wanted is None:
        yield
        return
    if not hasattr(signal, "setitimer"):
        raise RegbenchError("--budget: expected a system with alarms, received Windows; use WSL")

    def stop(number: int, frame: FrameType | None) -> None:
        # The alarm may come in the middle of a write to the same stream.
        with contextlib.suppress(RuntimeError, OSError):
            announce()
        raise Spent

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, wanted)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
