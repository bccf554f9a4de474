"""The rows of a comparison as a table: for a terminal, as CSV, as Markdown.

Config names are safe by construction, but values in `changes` can be any text.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from regbench.analysis import mcnemar, run_time
from regbench.analysis.rows import USUAL, ConfigRow
from regbench.analysis.statistics import ALPHA, Interval
from regbench.terminal.stacked_table import Cell, StackedTable, cell
from regbench.text import changes, markdown_table, number, plain_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Group

    from regbench.runs import Summary

# A field of a CSV file.
Field = str | int | float | None
# In a spreadsheet, a cell that begins with one of these is a formula.
FORMULA = ("=", "+", "-", "@", "\t")
HEADINGS = ("train", "test", "gap", "Δ test", "Δ gap", "params", "time")
FULL = 80  # width from which a terminal shows params and time too
WIDE = 110  # width from which a terminal shows each config's changes


def labels(rows: Sequence[ConfigRow], between: str = " ") -> list[str]:
    """Return a unique label for each row: its name, with its hash if others share the name."""
    names = Counter(row.name for row in rows)
    return [row.name + (between + row.config_hash if names[row.name] > 1 else "") for row in rows]


def terminal(rows: Sequence[ConfigRow], width: int) -> Group:
    """Return a table for rich to print in `width` columns; 80 columns hold every number."""
    from rich.console import Group
    from rich.text import Text

    narrow, wide = width < FULL, width >= WIDE
    table = StackedTable(
        ["config", *HEADINGS[: 5 if narrow else 7]],
        most=18 if narrow else 26,
        further="changes" if wide else None,
    )
    for row, label, time in zip(rows, labels(rows, "\n"), run_time.times(rows), strict=True):
        cells = _terminal_cells(row, label, time)
        # A truncated number could be misread: drop whole columns instead.
        table.add(cells[: 6 if narrow else 8])
        if wide:
            table.rows[-1] = [*table.rows[-1], cell(changes(row.changes))]
    return Group(table, Text("\n" + _legend(rows, timed=not narrow), style="dim"))


def comma_separated(rows: Sequence[ConfigRow]) -> str:
    """Return CSV with a line per config and a column per number."""
    flat = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(column for row in flat for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def markdown(rows: Sequence[ConfigRow]) -> str:
    """Return a Markdown table."""
    headings = ["config", "seeds", *HEADINGS[:-1], _timed(rows)]
    lines = [[*headings, "changes"], ["---", *["---:"] * (len(headings) - 1), "---"]]
    for row, label, time in zip(rows, labels(rows), run_time.times(rows), strict=True):
        numbers = [number(value) for value in (row.train_accuracy, row.test_accuracy, row.gap)]
        numbers += [number(row.versus(metric), "+") for metric in ("test_accuracy", "gap")]
        cells = [label, str(row.runs), *numbers, _count(row.parameters), time]
        # Names need no escapes: they are letters and digits, with _, . and - between them.
        lines.append([*cells, plain_markdown(changes(row.changes))])
    return markdown_table(lines)


def profiles(measured: Sequence[tuple[Summary, Mapping[str, float]]]) -> Group:
    """Return a table of where each run spent its time, for rich to print.

    Args:
        measured: summaries of runs with the seconds of each part.
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


def _count(parameters: int) -> str:
    """Return the number of parameters; a dash for a run of another tool, where it is not known."""
    return f"{parameters:,}" if parameters else "-"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.1f}" if seconds < 1000 else f"{seconds:.0f}"


def _terminal_cells(row: ConfigRow, label: str, time: str) -> list[Cell]:
    name = [*cell(label)]
    if row.runs > 1:
        name += cell(f"{row.runs} seeds", "dim")
    if row.diverged:
        name += cell(f"{row.diverged} of {row.runs} diverged", "red")
    numbers = [_stacked(value) for value in (row.train_accuracy, row.test_accuracy, row.gap)]
    numbers += [_stacked(row.versus(metric), "+") for metric in ("test_accuracy", "gap")]
    return [name, *numbers, cell(_count(row.parameters)), cell(time)]


def _stacked(value: Interval | None, sign: str = "") -> Cell:
    """Return a mean, with half its interval on the line below."""
    mean, *half = number(value, sign).split(" ")
    return [(mean, ""), *((each, "dim") for each in half)]


def _timed(rows: Sequence[ConfigRow]) -> str:
    """Return the heading of the time column for a table without a legend."""
    whole = any(row.wall_seconds is not None for row in rows)
    return "time" if whole else f"time ({run_time.TRAINING})"


def _legend(rows: Sequence[ConfigRow], timed: bool) -> str:
    lines = ["train, test: accuracy after the last epoch, measured alike; gap: train - test"]
    if any(row.versus_baseline for row in rows):
        lines.append(f"Δ: difference from {rows[0].name}, paired by seed")
    if timed:
        lines.append(f"time: {run_time.note(rows)}")
    if all(row.runs == 1 for row in rows):
        lines.append("No interval from one seed; train more with --seeds 0-4")
    else:
        lines.append("±: half of the 95% interval over seeds")
    return "\n".join(lines)


def _flat(row: ConfigRow) -> dict[str, Field]:
    flat: dict[str, Field] = {
        "name": no_formula(row.name),
        "config_hash": no_formula(row.config_hash),
        "seeds": " ".join(map(str, row.seeds)),
        "runs": row.runs,
        "diverged": row.diverged,
        "parameters": row.parameters,
        "seconds": row.seconds,
        "changes": no_formula(changes(row.changes)),
    }
    if row.wall_seconds is not None:
        flat["wall_seconds"] = row.wall_seconds
    for name in USUAL:
        flat |= _numbers(name, row.mean(name))
    for name, versus in (row.versus_baseline or {}).items():
        flat |= _numbers(f"versus_baseline_{name}", versus)
    for name, value in (row.metrics or {}).items():
        flat |= _numbers(name, Interval(value.mean, value.low, value.high))
        if value.versus_baseline:
            flat |= _numbers(f"versus_baseline_{name}", value.versus_baseline)
    if row.mcnemar:
        found = mcnemar.summary(row.mcnemar)
        flat |= {
            "mcnemar_fixes": found.fixes,
            "mcnemar_breaks": found.breaks,
            f"mcnemar_seeds_below_{ALPHA}": found.significant,
            "mcnemar_seeds": found.seeds,
        }
    return flat


def _numbers(name: str, value: Interval) -> dict[str, Field]:
    """Return one column for each number of an interval or a difference."""
    return {f"{name}_{part}": number for part, number in asdict(value).items()}


def no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text
