"""The rows of `regbench.compare.compare` as a table: for a terminal, as CSV, as Markdown.

Names of configs are harmless by construction, but values in `changes` are whatever a config says.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING, Any

from regbench.text import changes, minutes, number, plain_markdown

if TYPE_CHECKING:
    from rich.console import Group

    from regbench.runs import Summary

Row = dict[str, Any]
# In a spreadsheet, a cell that begins with one of these is a formula.
FORMULA = ("=", "+", "-", "@", "\t")
HEADINGS = ("train", "test", "gap", "Δ test", "Δ gap", "params", "time")
FULL = 80  # columns that a terminal needs for params and time too
WIDE = 110  # columns that a terminal needs for what each config changes


def labels(rows: list[Row], between: str = " ") -> list[str]:
    """Return what tells each row apart: its name, and its hash where others have the name too."""
    names = Counter(row["name"] for row in rows)
    return [
        row["name"] + (between + row["config_hash"] if names[row["name"]] > 1 else "")
        for row in rows
    ]


def terminal(rows: list[Row], width: int) -> Group:
    """Return a table for a terminal of `width` columns, for rich to print; 80 hold every number."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    narrow = width < FULL
    table.add_column("config", max_width=18 if narrow else 26, overflow="ellipsis", no_wrap=True)
    for heading in HEADINGS[: 5 if narrow else 7]:
        table.add_column(heading, justify="right", no_wrap=True)
    if width >= WIDE:
        table.add_column("changes", overflow="fold")
    for row, label in zip(rows, labels(rows, "\n"), strict=True):
        cells = _terminal_cells(row, label)
        # A number that is cut off could be read as another one: whole columns go instead.
        table.add_row(*cells[: 6 if narrow else 8 if width < WIDE else 9])
    return Group(table, Text("\n" + _legend(rows), style="dim"))


def comma_separated(rows: list[Row]) -> str:
    """Return CSV, a line per config and a column per number."""
    flat = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(column for row in flat for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def markdown(rows: list[Row]) -> str:
    """Return a Markdown table."""
    headings = ["config", "seeds", "train", "test", "gap", "Δ test", "Δ gap", "params", "time"]
    lines = [[*headings, "changes"], ["---", *["---:"] * (len(headings) - 1), "---"]]
    for row, label in zip(rows, labels(rows), strict=True):
        versus = row["versus_baseline"] or {}
        numbers = [number(row[metric]) for metric in ("train_accuracy", "test_accuracy", "gap")]
        numbers += [number(versus.get(key), "+") for key in ("test_accuracy", "gap")]
        cells = [
            label,
            str(row["runs"]),
            *numbers,
            f"{row['parameters']:,}",
            minutes(row["seconds"]),
        ]
        # Names need no escapes: they are letters and digits, with _, . and - between them.
        lines.append([*cells, plain_markdown(changes(row["changes"]))])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def profiles(measured: list[tuple[Summary, dict[str, float]]]) -> Group:
    """Return a table of where the time of each run went, for rich to print.

    Args:
        measured: summaries of runs, each with the seconds of its parts.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts = list(dict.fromkeys(part for _, seconds in measured for part in seconds))
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("seconds", max_width=20, overflow="ellipsis", no_wrap=True)
    for part in parts:
        table.add_column(part, justify="right", no_wrap=True)
    for summary, seconds in measured:
        cells = [_seconds(seconds.get(part)) for part in parts]
        table.add_row(Text(summary.label), *cells)
    legend = "start: importing Keras; compile: the first step; evaluate: honest measurements"
    return Group(table, Text("\n" + legend, style="dim"))


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.1f}" if seconds < 1000 else f"{seconds:.0f}"


def _terminal_cells(row: Row, label: str) -> list[Any]:
    from rich.text import Text

    name = Text(label)
    if row["runs"] > 1:
        name.append(f"\n{row['runs']} seeds", style="dim")
    if row["diverged"]:
        name.append(f"\n{row['diverged']} of {row['runs']} diverged", style="red")
    versus = row["versus_baseline"] or {}
    numbers = [_stacked(row[metric]) for metric in ("train_accuracy", "test_accuracy", "gap")]
    numbers += [_stacked(versus.get(metric), "+") for metric in ("test_accuracy", "gap")]
    return [
        name,
        *numbers,
        f"{row['parameters']:,}",
        minutes(row["seconds"]),
        Text(changes(row["changes"])),
    ]


def _stacked(value: dict[str, Any] | None, sign: str = "") -> Any:
    """Return a mean with half of its interval on the line below."""
    from rich.text import Text

    mean, *half = number(value, sign).split(" ")
    return Text(mean).append("\n" + half[0], style="dim") if half else Text(mean)


def _legend(rows: list[Row]) -> str:
    lines = ["train, test: accuracy after the last epoch, measured alike; gap: train - test"]
    compared = [row for row in rows if row["versus_baseline"]]
    if compared:
        lines.append(f"Δ: difference from {rows[0]['name']}, paired by seed; time: training alone")
    if all(row["runs"] == 1 for row in rows):
        lines.append("No interval from one seed; train more with --seeds 0-4")
    else:
        lines.append("±: half of the 95% interval over seeds")
    return "\n".join(lines)


def _flat(row: Row) -> Row:
    flat: Row = {}
    for key, value in row.items():
        if key == "versus_baseline":
            for metric, numbers in (value or {}).items():
                flat |= {f"versus_baseline_{metric}_{part}": n for part, n in numbers.items()}
        elif key == "metrics":
            for metric, numbers in value.items():
                versus = numbers["versus_baseline"] or {}
                flat |= {f"{metric}_{part}": numbers[part] for part in ("mean", "low", "high")}
                flat |= {f"versus_baseline_{metric}_{part}": n for part, n in versus.items()}
        elif key == "mcnemar":
            if value:
                flat |= {f"mcnemar_{part}": n for part, n in mcnemar_summary(value).items()}
        elif isinstance(value, dict) and key != "changes":
            flat |= {f"{key}_{part}": number for part, number in value.items()}
        elif key == "seeds":
            flat[key] = " ".join(map(str, value))
        else:
            flat[key] = _no_formula(changes(row["changes"]) if key == "changes" else value)
    return flat


def mcnemar_summary(seeds: list[Row]) -> Row:
    """Return how many examples a config fixes and breaks, in the mean, and in how many seeds."""
    return {
        "fixes": sum(each["only_this_right"] for each in seeds) / len(seeds),
        "breaks": sum(each["only_baseline_right"] for each in seeds) / len(seeds),
        "seeds_below_0.05": sum(each["p_value"] < 0.05 for each in seeds),
        "seeds": len(seeds),
    }


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
