"""The table that the fault campaign prints."""

from __future__ import annotations

import sys
from typing import NamedTuple


class Line(NamedTuple):
    """A fault, how often it was tried, what came of it and whether that is as it should be."""

    fault: str
    tries: int
    result: str
    passed: bool


def show(text: str) -> None:
    """Show how far the campaign is, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r{text:<79}", end="", file=sys.stderr, flush=True)


def table(lines: list[Line]) -> str:
    width = max(len(line.fault) for line in lines)
    rows = [f"{'fault':<{width}}  {'tries':>6}  result"]
    for line in lines:
        verdict = "" if line.passed else "FAILED: "
        rows.append(f"{line.fault:<{width}}  {line.tries:>6}  {verdict}{line.result}")
    return "\n".join(rows)
