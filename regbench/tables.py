"""The rows of `regbench.compare.compare` as a table: for a terminal, as CSV, as Markdown.

Names of configs are harmless by construction, but values in `changes` are whatever a config says.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Group

Row = dict[str, Any]
# In a spreadsheet, a cell that begins with one of these is a formula.
FORMULA = ("=", "+", "-", "@", "\t")
WIDE = 110  # columns that a terminal needs for what each config changes


def terminal(rows: list[Row], width: int) -> Group:
    """Return a table for a terminal of `width` columns, for rich to print; 80 hold every number."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("config", max_width=26, overflow="ellipsis", no_wrap=True)
    for heading in ("train", "test", "gap", "Δ test", "Δ gap", "params", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    if width >= WIDE:
        table.add_column("changes", overflow="fold")
    for row in rows:
        cells = _terminal_cells(row)
        table.add_row(*(cells if width >= WIDE else cells[:-1]))
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
    for row in rows:
        versus = row["versus_baseline"] or {}
        numbers = [number(row[metric]) for metric in ("train_accuracy", "test_accuracy", "gap")]
        numbers += [number(versus.get(key), "+") for key in ("test_accuracy", "gap")]
        cells = [row["name"], str(row["runs"]), *numbers, f"{row['parameters']:,}", minutes(row)]
        # Names need no escapes: they are letters and digits, with _, . and - between them.
        lines.append([*cells, _plain_markdown(changed(row))])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def profiles(measured: list[tuple[Row, dict[str, float]]]) -> Group:
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
        table.add_row(Text(f"{summary['name']} s{summary['seed']}"), *cells)
    legend = "start: importing Keras; compile: the first step; evaluate: honest measurements"
    return Group(table, Text("\n" + legend, style="dim"))


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.1f}" if seconds < 1000 else f"{seconds:.0f}"


def _terminal_cells(row: Row) -> list[Any]:
    from rich.text import Text

    name = Text(row["name"])
    if row["runs"] > 1:
        name.append(f"\n{row['runs']} seeds", style="dim")
    if row["diverged"]:
        name.append(f"\n{row['diverged']} of {row['runs']} diverged", style="red")
    versus = row["versus_baseline"] or {}
    numbers = [_stacked(row[metric]) for metric in ("train_accuracy", "test_accuracy", "gap")]
    numbers += [_stacked(versus.get(metric), "+") for metric in ("test_accuracy", "gap")]
    return [name, *numbers, f"{row['parameters']:,}", minutes(row), Text(changed(row))]


def _stacked(value: dict[str, Any] | None, sign: str = "") -> Any:
    """Return a mean with half of its interval on the line below."""
    from rich.text import Text

    mean, *half = number(value, sign).split(" ")
    return Text(mean).append("\n" + half[0], style="dim") if half else Text(mean)


def number(value: dict[str, Any] | None, sign: str = "") -> str:
    """Return "0.541 ±0.012", "0.541" without an interval, "" without a value."""
    if value is None or value["mean"] is None:
        return ""
    mean = f"{value['mean']:{sign}.3f}"
    if value["low"] is None:
        return mean
    return f"{mean} ±{(value['high'] - value['low']) / 2:.3f}"


def minutes(row: Row) -> str:
    """Return the time of training, "4:48"."""
    whole, seconds = divmod(round(row["seconds"]), 60)
    return f"{whole}:{seconds:02}"


def changed(row: Row) -> str:
    """Return what a config changes of the baseline, "l2=0.001, batch_norm=true"."""
    if row["changes"] is None:
        return ""
    return ", ".join(f"{key}={_value(value)}" for key, value in row["changes"].items())


def _value(value: Any) -> str:
    # Escapes control characters, which could rewrite what a terminal shows.
    return json.dumps(value).strip('"')


def _legend(rows: list[Row]) -> str:
    lines = ["train, test: accuracy after the last epoch, measured alike; gap: train - test"]
    compared = [row for row in rows if row["versus_baseline"]]
    if compared:
        lines.append(f"Δ: difference from {rows[0]['name']}, paired by seed; time: training alone")
    if all(row["runs"] == 1 for row in rows):
        lines.append("One seed tells no interval; for one, train several: --seeds 0-4")
    else:
        lines.append("±: half of the 95% interval over seeds")
    return "\n".join(lines)


def _flat(row: Row) -> Row:
    flat: Row = {}
    for key, value in row.items():
        if key == "versus_baseline":
            for metric, numbers in (value or {}).items():
                flat |= {f"versus_baseline_{metric}_{part}": n for part, n in numbers.items()}
        elif isinstance(value, dict) and key != "changes":
            flat |= {f"{key}_{part}": number for part, number in value.items()}
        elif key == "seeds":
            flat[key] = " ".join(map(str, value))
        else:
            flat[key] = _no_formula(changed(row) if key == "changes" else value)
    return flat


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _plain_markdown(text: str) -> str:
    escaped = re.sub(r"([\\`*_{}\[\]|~])", r"\\\1", text)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
