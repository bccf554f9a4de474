"""The metrics of runs that regbench did not make: a table for each, with its differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regbench.analysis import evidence
from regbench.analysis.rows import ConfigRow
from regbench.text import number

HEADINGS = ("mean", "Δ", "95% interval of Δ", *evidence.HEADINGS[2:])


@dataclass(frozen=True)
class Measure:
    """A metric: its name, and a line for each variant, whose first cell is the variant."""

    name: str
    lines: Sequence[Sequence[str]]


def tables(rows: Sequence[ConfigRow], labels: Sequence[str], names: Sequence[str]) -> list[Measure]:
    """Return a table for each metric, with a line for each row under its label."""
    named = list(zip(labels, rows, strict=True))
    return [Measure(name, [_line(label, row, name) for label, row in named]) for name in names]


def _line(label: str, row: ConfigRow, name: str) -> list[str]:
    value = row.value(name)
    versus = value.versus_baseline
    if versus is None:
        return [label, number(value), *[""] * (len(HEADINGS) - 1)]
    ends = "" if versus.low is None else f"[{versus.low:+.3f}, {versus.high:+.3f}]"
    return [label, number(value), number(versus.point, "+"), ends, *evidence.told(versus)]
