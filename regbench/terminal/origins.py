"""Runs by origin as tables: who found what, how far a class spreads, who changed what."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from regbench.analysis.origins import ALL, HEADINGS, LEGEND, Changed, OriginRow, lines, said
from regbench.terminal import comparison
from regbench.text import markdown_table, one_line, plain_markdown

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

    from regbench.studies.submissions import Submission


# Width from which an interval stands beside its mean.
WIDE = 110
MARKS = {"supported": "+", "contradicted": "-", "undecided": "?"}


def _stacked(number: str, narrow: bool) -> str:
    """Return a number with what is said about it on lines of their own."""
    stacked = number.replace(" (", "\n(")
    return stacked.replace(" ±", "\n±").replace(" to ", " to\n") if narrow else stacked


def terminal(rows: Sequence[OriginRow], changed: Sequence[Changed], width: int) -> Group:
    """Return the tables for rich to print in `width` columns."""
    from rich.console import Group
    from rich.text import Text

    table = _table(HEADINGS, left=2)
    for cells in lines(rows):
        numbers = [_stacked(each, width < WIDE) for each in cells[3:]]
        table.add_row(*map(Text, [*cells[:3], *numbers]), style="bold" if cells[0] == ALL else "")
    parts: list[RenderableType] = [table, Text(f"\n{LEGEND}", style="dim")]
    if changed:
        parts += [Text("\nWho changed what", style="bold")]
        parts += [Text(one_line(said(each))) for each in changed]
    return Group(*parts)


def markdown(rows: Sequence[OriginRow], changed: Sequence[Changed]) -> str:
    """Return the same as Markdown."""
    ruler = ["---", "---", *["---:"] * (len(HEADINGS) - 2)]
    table = markdown_table([list(HEADINGS), ruler, *lines(rows)])
    items = "".join(f"- {plain_markdown(said(each))}\n" for each in changed)
    return f"{table}\n{LEGEND}\n" + (f"\nWho changed what:\n\n{items}" if items else "")


def comma_separated(rows: Sequence[OriginRow]) -> str:
    """Return CSV with a line per origin and config; the first column is the origin."""
    text = comparison.comma_separated(rows)
    head, *body = csv.reader(io.StringIO(text))
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(["origin", *head])
    for row, cells in zip(rows, body, strict=True):
        writer.writerow([comparison.no_formula(row.origin), *cells])
    return written.getvalue()


def submissions(question: str, found: Sequence[Submission]) -> Group:
    """Return a line per bundle for rich to print: its runs, its counts, each claim's verdict."""
    from rich.console import Group
    from rich.text import Text

    claims = next((each.verdicts for each in found if each.verdicts), [])
    numbered = [str(place) for place in range(1, len(claims) + 1)]
    table = _table(("bundle", "runs", *MARKS.values(), *numbered), left=1)
    for each in found:
        counts = [str(each.counts.get(decision, "")) for decision in MARKS]
        cells = [each.origin, f"{each.runs}/{each.expected}", *counts]
        table.add_row(*map(Text, [*cells, *(MARKS[verdict.decision] for verdict in each.verdicts)]))
    legend = "; ".join(f"{mark} {decision}" for decision, mark in MARKS.items())
    parts: list[RenderableType] = [Text(one_line(question), style="bold"), Text(), table, Text()]
    parts += [Text(f"{legend}; a column for each claim", style="dim")]
    parts += [
        Text(one_line(f"{place}: {verdict.claim}"), style="dim")
        for place, verdict in enumerate(claims, 1)
    ]
    parts += [
        Text(one_line(f"{each.origin}: {each.problem}"), style="yellow")
        for each in found
        if each.problem
    ]
    return Group(*parts)


def submissions_markdown(question: str, found: Sequence[Submission]) -> str:
    """Return the same as Markdown."""
    claims = next((each.verdicts for each in found if each.verdicts), [])
    head = ["bundle", "runs", *(plain_markdown(verdict.claim) for verdict in claims)]
    body: list[list[str]] = [
        [
            plain_markdown(each.origin),
            f"{each.runs} of {each.expected}",
            *([str(v.decision) for v in each.verdicts] or [plain_markdown(each.problem or "")]),
        ]
        for each in found
    ]
    width = max(map(len, [head, *body]))
    table = [each + [""] * (width - len(each)) for each in (head, ["---"] * width, *body)]
    return f"# {plain_markdown(question)}\n\n" + markdown_table(table)


def _table(headings: Sequence[str], left: int) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place < left else "right", overflow="fold")
    return table
