"""Evidence for a difference: its p-values, the seeds it needs, the order of configs."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TypeVar

from regbench.analysis import metrics, power, statistics
from regbench.analysis.rows import ConfigRow, Difference
from regbench.errors import RegbenchError
from regbench.text import p_value

Row = TypeVar("Row", bound=ConfigRow)

# Shorthands of `--metric`.
SHORT = {"accuracy": ("train_accuracy", "test_accuracy"), "loss": ("train_loss", "test_loss")}
# Simulated in the tests: looks at 5, 10, 20 and 40 seeds, and at every number from 5 to 40.
WRONG = (
    "adding them until a verdict appears is wrong in "
    "15% of cases (looks at 5, 10, 20, 40) or 25% (at every seed)"
)
FRESH = f"judge added seeds as a fresh set: {WRONG}"
HEADINGS = ("mean", "Δ", "p flip", "p Holm", "seeds\nneeded")
# The metrics of the statistics below the usual table.
DIFFERENCES = ("test_accuracy", "gap")


def spelled_out(names: Sequence[str], measures: Collection[str] = ()) -> list[str]:
    """Return names of metrics, without duplicates; `accuracy` and `loss` stand for two each.

    Not if a table of runs brought a column of that name, which `measures` lists.
    """
    meant = ((name,) if name in measures else SHORT.get(name, (name,)) for name in names)
    return list(dict.fromkeys(each for several in meant for each in several))


def sort_key(by: str, measures: Collection[str] = ()) -> str:
    """Return the metric of `--sort` without its sign; `accuracy` and `loss` mean the test's."""
    return spelled_out([by.removeprefix("-")], measures)[-1]


def ordered(rows: Sequence[Row], by: str) -> list[Row]:
    """Return rows sorted by `name` or by the mean of a metric among their `metrics`.

    The best comes first, or the smallest if neither direction is better; `-` reverses the order.
    Baselines stay in front, since everything is read against them, and missing numbers come last.
    """
    known = rows[0].metrics or {}
    key, backward = sort_key(by, known), by.startswith("-")
    baselines = [row for row in rows if row.is_baseline]
    others = [row for row in rows if not row.is_baseline]
    if key == "name":
        return [*baselines, *sorted(others, key=lambda row: row.name, reverse=backward)]
    if any(key not in (row.metrics or {}) for row in rows):
        raise RegbenchError(f"--sort: expected name or a metric, received {by!r}")
    sign = -1 if (metrics.metric(key, known).better == "higher") != backward else 1

    def place(row: ConfigRow) -> float:
        mean = row.value(key).mean
        return math.inf if mean is None else sign * mean

    return [*baselines, *sorted(others, key=place)]


def differing(rows: Sequence[ConfigRow]) -> Sequence[str]:
    """Return the metrics whose differences appear below the usual table; () without two pairs."""
    return DIFFERENCES if pairs(rows, DIFFERENCES) else ()


def told(versus: Difference) -> list[str]:
    """Return the two p-values of a difference and the seeds that would decide it, as text."""
    return [_flip(versus), p_value(versus.p_holm), _needed(versus)]


def _flip(versus: Difference) -> str:
    """Return the sign-flip p-value, marked if this many pairs can't give a smaller one."""
    p, floor = versus.p_value, versus.p_floor
    at_floor = p is not None and floor is not None and math.isclose(p, floor)
    return p_value(p) + (" (floor)" if at_floor else "")


def _needed(versus: Difference) -> str:
    """Return the seeds that would decide a difference, as a range; "" for a decided one."""
    if versus.p_holm is None or versus.p_holm <= statistics.ALPHA or versus.mean is None:
        return ""
    low, high = versus.pairs_needed_low, versus.pairs_needed_high
    if low is None:
        return f"more than {power.MOST_PAIRS:,}"
    if low == high:
        return f"{low:,}"
    return f"{low:,} to " + (f">{power.MOST_PAIRS:,}" if high is None else f"{high:,}")


def undecided(row: ConfigRow, names: Sequence[str]) -> bool:
    """True if seeds needed are shown for one of a row's metrics."""
    versus = [row.value(name).versus_baseline for name in names]
    return any(each is not None and _needed(each) for each in versus)


def pairs(rows: Sequence[ConfigRow], names: Sequence[str]) -> list[int]:
    """Return the numbers of pairs of all differences that have at least two."""
    versus = [row.value(name).versus_baseline for row in rows for name in names]
    return [each.pairs for each in versus if each and each.pairs > 1]
