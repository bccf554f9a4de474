"""One metric of a comparison with all that says how sure its differences are, for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from regbench import statistics, tables
from regbench.errors import RegbenchError

if TYPE_CHECKING:
    from rich.console import Group

Row = dict[str, Any]
# What one word asks for.
SHORT = {"accuracy": ("train_accuracy", "test_accuracy"), "loss": ("train_loss", "test_loss")}
DECIDED = 0.05
HEADINGS = ("mean", "Δ", "p flip", "p Holm", "seeds needed")


def spelled_out(names: tuple[str, ...]) -> list[str]:
    """Return names of metrics, `accuracy` and `loss` as both of theirs, each once."""
    return list(dict.fromkeys(each for name in names for each in SHORT.get(name, (name,))))


def ordered(rows: list[Row], by: str) -> list[Row]:
    """Return rows sorted by `name` or by the mean of a metric among theirs; a missing one is last.

    `-` in front of it puts the largest first.
    """
    key = by.removeprefix("-")
    if key == "name":
        return sorted(rows, key=lambda row: row["name"], reverse=by.startswith("-"))
    if any(key not in row.get("metrics", {}) for row in rows):
        raise RegbenchError(f"--sort: expected name or a metric, received {by!r}")
    sign = -1 if by.startswith("-") else 1

    def place(row: Row) -> float:
        mean = row["metrics"][key]["mean"]
        return math.inf if mean is None else sign * mean

    return sorted(rows, key=place)


def terminal(rows: list[Row], metric: str) -> Group:
    """Return a table of a metric among the rows' `metrics`; 80 columns hold it."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    examples = metric == "test_accuracy" and any(row["mcnemar"] for row in rows)
    table = Table(
        title=metric, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column("config", max_width=18, overflow="ellipsis", no_wrap=True)
    for heading in [*HEADINGS, *(["fixes/breaks"] if examples else [])]:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        # Half of the interval goes on a line of its own: beside the mean it would not fit.
        cells = [Text(cell.replace(" ", "\n")) for cell in _cells(row["metrics"][metric])]
        table.add_row(row["name"], *cells, *([_examples(row["mcnemar"])] if examples else []))
    return Group(table, Text("\n" + _legend(rows, metric, examples) + "\n", style="dim"))


def markdown(rows: list[Row], metric: str) -> str:
    """Return the same table as Markdown, without the examples."""
    lines = [[metric, *HEADINGS], ["---", *["---:"] * len(HEADINGS)]]
    lines += [[row["name"], *_cells(row["metrics"][metric])] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def changes(rows: list[Row]) -> Group:
    """Return a table of only what each config changes, folded where the terminal is narrow."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("config", max_width=26, overflow="ellipsis", no_wrap=True)
    table.add_column("changes", overflow="fold")
    for row in rows:
        table.add_row(row["name"], Text(tables.changed(row)))
    return Group(table)


def _cells(value: Row) -> list[str]:
    versus = value["versus_baseline"]
    if versus is None:
        return [tables.number(value), "", "", "", ""]
    numbers = [tables.number(value), tables.number(versus, "+")]
    return [*numbers, _p(versus["p_value"]), _p(versus["p_holm"]), _needed(versus)]


def _p(value: float | None) -> str:
    return "" if value is None else ("<0.001" if value < 0.001 else f"{value:.3g}")


def _needed(versus: Row) -> str:
    """Return the seeds that would decide a difference; "" for one that is decided or unknown."""
    if versus["p_holm"] is None or versus["p_holm"] <= DECIDED:
        return ""
    if versus["mean"] is None or versus["pairs_needed"] is None:
        return ""
    return f"{versus['pairs_needed']:,}"


def _examples(seeds: list[Row] | None) -> str:
    if not seeds:
        return ""
    found = tables.mcnemar_summary(seeds)
    sure = f"{found['seeds_below_0.05']}/{found['seeds']}"
    return f"{found['fixes']:.0f}/{found['breaks']:.0f} {sure}"


def _legend(rows: list[Row], metric: str, examples: bool) -> str:
    versus = [row["metrics"][metric]["versus_baseline"] for row in rows]
    pairs = [each["pairs"] for each in versus if each and each["pairs"] > 1]
    if not pairs:
        lines = ["Without two shared seeds there is no interval and no p; train more: --seeds 0-4"]
    else:
        fewest = min(pairs)
        floor = statistics.sign_flip_floor(fewest)
        lines = ["p flip: exact sign-flip test; p Holm: t test, corrected for all configs here"]
        if floor > DECIDED:
            lines.append(f"With {fewest} pairs, p flip cannot go below {floor:g}")
        lines.append("seeds needed: for 80% power, if mean and spread are as seen; blank: decided")
    if examples:
        lines.append("fixes/breaks: test examples in the mean, and seeds with McNemar's p < 0.05;")
        lines.append("this tells of these trained models, not of the config")
    return "\n".join(lines)
