"""How sure a difference is: its p-values, the seeds it needs, in which order configs are shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from regbench.analysis import metrics, statistics
from regbench.errors import RegbenchError
from regbench.text import p_value

Row = dict[str, Any]
# What one word asks for.
SHORT = {"accuracy": ("train_accuracy", "test_accuracy"), "loss": ("train_loss", "test_loss")}
DECIDED = 0.05
# Simulated in the tests: looks at 5, 10, 20 and 40 seeds, and at every number from 5 to 40.
FRESH = (
    "judge added seeds as a fresh set: adding them until a verdict appears is wrong in "
    "15% of cases (looks at 5, 10, 20, 40) or 25% (at every seed)"
)
HEADINGS = ("mean", "Δ", "p flip", "p Holm", "seeds\nneeded")
# What the statistics below the usual table are of.
DIFFERENCES = ("test_accuracy", "gap")


def spelled_out(names: tuple[str, ...]) -> list[str]:
    """Return names of metrics, `accuracy` and `loss` as both of theirs, each once."""
    return list(dict.fromkeys(each for name in names for each in SHORT.get(name, (name,))))


def sort_key(by: str) -> str:
    """Return what `--sort` names, without its sign: `accuracy` and `loss` are those of the test."""
    key = by.removeprefix("-")
    return SHORT[key][1] if key in SHORT else key


def ordered(rows: list[Row], by: str) -> list[Row]:
    """Return rows sorted by `name` or by the mean of a metric among their `metrics`.

    The best is first, or the smallest where neither direction is better; `-` turns that around.
    Baselines stay in front, since all else is read against them, and missing numbers go last.
    """
    key, backward = sort_key(by), by.startswith("-")
    baselines = [row for row in rows if _is_baseline(row)]
    others = [row for row in rows if not _is_baseline(row)]
    if key == "name":
        return [*baselines, *sorted(others, key=lambda row: row["name"], reverse=backward)]
    if any(key not in row.get("metrics", {}) for row in rows):
        raise RegbenchError(f"--sort: expected name or a metric, received {by!r}")
    sign = -1 if (metrics.metric(key).better == "higher") != backward else 1

    def place(row: Row) -> float:
        mean = row["metrics"][key]["mean"]
        return math.inf if mean is None else sign * mean

    return [*baselines, *sorted(others, key=place)]


def _is_baseline(row: Row) -> bool:
    return row["versus_baseline"] is None and row["changes"] == {}


def differing(rows: list[Row]) -> Sequence[str]:
    """Return the metrics whose differences go below the usual table; () without two pairs."""
    return DIFFERENCES if pairs(rows, DIFFERENCES) else ()


def value(row: Row, metric: str) -> Row:
    """Return a metric that was asked for, or one that every comparison has, in the same form."""
    if metric in row.get("metrics", {}):
        return row["metrics"][metric]
    return {**row[metric], "versus_baseline": (row["versus_baseline"] or {}).get(metric)}


def told(versus: Row) -> list[str]:
    """Return the two p-values of a difference and the seeds that would decide it, as text."""
    return [_flip(versus), p_value(versus["p_holm"]), _needed(versus)]


def _flip(versus: Row) -> str:
    """Return the p-value of the sign flips, and whether so many pairs could give a smaller one."""
    p, floor = versus["p_value"], versus["p_floor"]
    return p_value(p) + (" (floor)" if p is not None and math.isclose(p, floor) else "")


def _needed(versus: Row) -> str:
    """Return the seeds that would decide a difference, as a range; "" for a decided one."""
    if versus["p_holm"] is None or versus["p_holm"] <= DECIDED or versus["mean"] is None:
        return ""
    low, high = versus["pairs_needed_low"], versus["pairs_needed_high"]
    if low is None:
        return f"more than {statistics.MOST_PAIRS:,}"
    if low == high:
        return f"{low:,}"
    return f"{low:,} to " + (f">{statistics.MOST_PAIRS:,}" if high is None else f"{high:,}")


def undecided(row: Row, names: Sequence[str]) -> bool:
    """Whether seeds needed are shown for one of a row's metrics."""
    versus = [value(row, name)["versus_baseline"] for name in names]
    return any(each and _needed(each) for each in versus)


def pairs(rows: list[Row], names: Sequence[str]) -> list[int]:
    """Return the numbers of pairs, where there are two or more, of all differences."""
    versus = [value(row, name)["versus_baseline"] for row in rows for name in names]
    return [each["pairs"] for each in versus if each and each["pairs"] > 1]
