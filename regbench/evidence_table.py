"""One metric of a comparison with all that says how sure its differences are, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from regbench import metrics, statistics, tables
from regbench.errors import RegbenchError

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

Row = dict[str, Any]
# What one word asks for.
SHORT = {"accuracy": ("train_accuracy", "test_accuracy"), "loss": ("train_loss", "test_loss")}
DECIDED = 0.05
HEADINGS = ("mean", "Δ", "p flip", "p Holm", "seeds\nneeded")
# What the statistics below the usual table are of.
DIFFERENCES = ("test_accuracy", "gap")


def spelled_out(names: tuple[str, ...]) -> list[str]:
    """Return names of metrics, `accuracy` and `loss` as both of theirs, each once."""
    return list(dict.fromkeys(each for name in names for each in SHORT.get(name, (name,))))


def view(rows: list[Row], shown: Sequence[str], changed: bool, width: int) -> list[Group]:
    """Return what `regbench compare` prints in a terminal: the usual tables, or those asked for."""
    if changed:
        return [changes(rows, shown)]
    if shown:
        return [terminal(rows, name, width) for name in shown]
    below = differences(rows, width)
    return [tables.terminal(rows, width), *([below] if below else [])]


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


def terminal(rows: list[Row], metric: str, width: int = 80) -> Group:
    """Return a table of a metric for a terminal of `width` columns, for rich to print.

    80 columns hold it, and 60 where nothing is told of single examples.
    """
    from rich.console import Group
    from rich.text import Text

    examples = metric == "test_accuracy" and any(row["mcnemar"] for row in rows)
    table = _table(metric, [*HEADINGS, *(["fixes/\nbreaks"] if examples else [])], examples)
    for row in rows:
        value = _value(row, metric)
        cells = [_number(value).replace(" ", "\n"), *_difference(value, width)]
        table.add_row(row["name"], *cells, *([_examples(row["mcnemar"])] if examples else []))
    return Group(table, Text("\n" + _legend(rows, [metric], examples) + "\n", style="dim"))


def differences(rows: list[Row], width: int = 80) -> Group | None:
    """Return how sure the differences in test accuracy and gap are; None without two pairs."""
    from rich.console import Group
    from rich.text import Text

    if not differing(rows):
        return None
    parts: list[Any] = []
    for metric in DIFFERENCES:
        table = _table(f"\nDifferences from the baseline: {metric}", HEADINGS[1:], False)
        for row in rows:
            if row["versus_baseline"]:
                table.add_row(row["name"], *_difference(_value(row, metric), width))
        parts.append(table)
    return Group(*parts, Text("\n" + _legend(rows, DIFFERENCES, False), style="dim"))


def differing(rows: list[Row]) -> Sequence[str]:
    """Return the metrics whose differences go below the usual table; () without two pairs."""
    return DIFFERENCES if _pairs(rows, DIFFERENCES) else ()


def _table(title: str, headings: Sequence[str], examples: bool) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("config", max_width=16 if examples else 18, overflow="ellipsis", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _value(row: Row, metric: str) -> Row:
    """Return a metric that was asked for, or one that every comparison has, in the same form."""
    if metric in row.get("metrics", {}):
        return row["metrics"][metric]
    return {**row[metric], "versus_baseline": (row["versus_baseline"] or {}).get(metric)}


def markdown(rows: list[Row], metric: str) -> str:
    """Return the same table as Markdown, without the examples."""
    headings = [heading.replace("\n", " ") for heading in HEADINGS]
    lines = [[metric, *headings], ["---", *["---:"] * len(HEADINGS)]]
    lines += [[row["name"], *_cells(_value(row, metric))] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def changes(rows: list[Row], names: Sequence[str] = ()) -> Group:
    """Return a table of what each config changes, folded where the terminal is narrow.

    In front of it the metrics in `names`, or test accuracy and what it differs from the baseline.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("config", max_width=26, overflow="ellipsis", no_wrap=True)
    for heading in names or ("test", "Δ test"):
        table.add_column(heading.replace("_", "\n"), justify="right", no_wrap=True)
    table.add_column("changes", overflow="fold", min_width=12)
    for row in rows:
        shown = [_value(row, name) for name in names or ["test_accuracy"]]
        cells = [_number({**each, "low": None}) for each in shown]
        if not names:
            versus = shown[0]["versus_baseline"]
            cells.append(_number({**versus, "low": None}, "+") if versus else "")
        table.add_row(row["name"], *cells, Text(tables.changed(row)))
    return Group(table)


def _difference(value: Row, width: int) -> list[str]:
    """Return a difference, its interval, p-values and seeds, stacked as the width demands."""
    versus = value["versus_baseline"]
    if versus is None:
        return [""] * (len(HEADINGS) - 1)
    difference = _number({**versus, "low": None}, "+")
    if versus["low"] is not None:
        ends = [_number({"mean": versus[end], "low": None}, "+") for end in ("low", "high")]
        difference += f"\n[{ends[0]},{' ' if width >= tables.FULL else chr(10)}{ends[1]}]"
    flip, holm, needed = evidence(versus)
    return [difference, flip.replace(" ", "\n"), holm, needed.replace("than ", "than\n")]


def _cells(value: Row) -> list[str]:
    versus = value["versus_baseline"]
    if versus is None:
        return [_number(value), "", "", "", ""]
    numbers = [_number(value), _number(versus, "+")]
    return [*numbers, *evidence(versus)]


def evidence(versus: Row) -> list[str]:
    """Return the two p-values of a difference and the seeds that would decide it, as text."""
    return [_flip(versus), _p(versus["p_holm"]), _needed(versus)]


def _number(value: Row, sign: str = "") -> str:
    """Return a number with half of its interval, in digits that suit its size."""
    mean = value["mean"]
    if mean is None or mean == 0 or 0.001 <= abs(mean) < 1000:
        return tables.number(value, sign)
    form = ",.0f" if abs(mean) >= 1000 else ".2g"
    half = "" if value["low"] is None else f" ±{(value['high'] - value['low']) / 2:{form}}"
    return f"{mean:{sign}{form}}{half}"


def _flip(versus: Row) -> str:
    """Return the p-value of the sign flips, and whether so many pairs could give a smaller one."""
    p, floor = versus["p_value"], versus["p_floor"]
    return _p(p) + (" (floor)" if p is not None and math.isclose(p, floor) else "")


def _p(value: float | None) -> str:
    return "" if value is None else ("<0.001" if value < 0.001 else f"{value:.3g}")


def _needed(versus: Row) -> str:
    """Return the seeds that would decide a difference; "" for one that is decided or unknown."""
    if versus["p_holm"] is None or versus["p_holm"] <= DECIDED or versus["mean"] is None:
        return ""
    needed = versus["pairs_needed"]
    return f"more than {statistics.MOST_PAIRS:,}" if needed is None else f"{needed:,}"


def _examples(seeds: list[Row] | None) -> str:
    if not seeds:
        return ""
    found = tables.mcnemar_summary(seeds)
    sure = f"{found['seeds_below_0.05']}/{found['seeds']}"
    return f"{found['fixes']:.0f}/{found['breaks']:.0f} {sure}"


def _pairs(rows: list[Row], names: Sequence[str]) -> list[int]:
    """Return the numbers of pairs, where there are two or more, of all differences."""
    versus = [_value(row, name)["versus_baseline"] for row in rows for name in names]
    return [each["pairs"] for each in versus if each and each["pairs"] > 1]


def _legend(rows: list[Row], names: Sequence[str], examples: bool) -> str:
    pairs = _pairs(rows, names)
    if not pairs:
        lines = ["Without two shared seeds there is no interval and no p; train more: --seeds 0-4"]
    else:
        fewest = min(pairs)
        floor = statistics.sign_flip_floor(fewest)
        lines = [
            "Δ: mean difference, paired by seed, and its 95% interval",
            "p flip: exact sign-flip test; p Holm: t test, corrected for all configs here.",
            "They are two tests: the t test takes differences to be normally distributed",
        ]
        if floor > DECIDED:
            lines.append(f"floor: with {fewest} pairs, p flip cannot go below {floor:g}")
        lines.append("seeds needed: for 80% power in one t test, if mean and spread are as seen;")
        lines.append("blank: decided, p Holm is 0.05 or less")
    if examples:
        lines.append("fixes/breaks: test examples in the mean, and seeds with McNemar's p < 0.05;")
        lines.append("this tells of these trained models on this test set, not of the config")
    return "\n".join(lines)
