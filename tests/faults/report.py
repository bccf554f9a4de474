"""The table that the fault campaign prints."""

from __future__ import annotations

import sys
import time
from typing import NamedTuple

SECONDS_BETWEEN_LINES = 30


class Line(NamedTuple):
    """A fault, how often it was tried, what came of it and whether that is as it should be."""

    fault: str
    tries: int
    result: str
    passed: bool
    seconds: float = 0


_shown = 0.0


def show(text: str) -> None:
    """Show how far the campaign is: all the time on a terminal, now and then in a log."""
    global _shown
    if sys.stderr.isatty():
        print(f"\r{text:<99.99}", end="", file=sys.stderr, flush=True)
    elif time.monotonic() - _shown > SECONDS_BETWEEN_LINES:
        _shown = time.monotonic()
        print(text, file=sys.stderr, flush=True)


def table(lines: list[Line]) -> str:
    width = max(len(line.fault) for line in lines)
    rows = [f"{'fault':<{width}}  {'tries':>6}  {'seconds':>7}  result"]
    for line in lines:
        verdict = "" if line.passed else "FAILED: "
        rows.append(
            f"{line.fault:<{width}}  {line.tries:>6}  {line.seconds:>7.0f}  {verdict}{line.result}"
        )
    total = sum(line.seconds for line in lines)
    rows.append(f"{'':<{width}}  {'':>6}  {total:>7.0f}")
    return "\n".join(rows)
