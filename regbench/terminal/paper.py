"""A rebuilt paper, and the list of papers, as tables for a terminal.

Names of rows and columns are safe by construction; titles, labels and notes can be any text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from regbench.papers import markdown
from regbench.papers.reproduce import Listed
from regbench.papers.result import PaperResult
from regbench.text import one_line

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

COLORS = {"reproduced": "green", "contradicted": "red", "undecided": "yellow"}


def terminal(result: PaperResult) -> Group:
    """Return source, rows, differences and settings that are not the paper's, for rich to print."""
    from rich.console import Group
    from rich.text import Text

    title = Text(one_line(result.paper.file.title), style="bold")
    profile = f"Profile {result.paper.profile}, {len(result.paper.study.seeds)} seeds"
    return Group(
        title, Text(markdown.cited(result), style="dim"), Text(profile, style="dim"), Text(),
        _rows(result), Text(), _differences(result), Text(), _settings(result), Text(),
        Text(markdown.legend(result), style="dim"),
    )  # fmt: skip


def papers(found: Sequence[Listed]) -> Table:
    """Return the list of papers, each with its profiles and their costs."""
    from rich.text import Text

    table = _table()
    table.add_column("paper", no_wrap=True)
    table.add_column("profile", no_wrap=True)
    table.add_column("cost", overflow="fold")
    for each in found:
        title = Text(each.source, style="dim")
        title.append(f"\n{one_line(each.title)}", style="not dim")
        table.add_row(Text(each.name), "", title)
        for profile, cost in each.profiles.items():
            table.add_row("", profile, Text(one_line(cost)))
    return table


def _rows(result: PaperResult) -> Table:
    """Return a line for each row and column: wide tables do not fit a terminal."""
    from rich.text import Text

    columns, table = result.paper.file.columns, _table()
    table.add_column("row", overflow="fold", min_width=12)
    table.add_column("column", overflow="fold")
    table.add_column("printed", justify="right", no_wrap=True)
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in result.rows:
        label = Text(one_line(row.label))
        if row.left_out:
            table.add_row(label, "", "", "", Text("left out", style="dim"))
            continue
        label.append(f"\n{markdown.runs(row)} runs", style="dim")
        for cell in row.cells:
            printed, measured, verdict = markdown.cell_texts(cell, columns[cell.column])
            heading = Text(one_line(columns[cell.column].heading))
            colored = Text(verdict, style=COLORS.get(verdict, "dim"))
            table.add_row(label, heading, printed, measured, colored)
            label = Text()
    return table


def _differences(result: PaperResult) -> Table:
    from rich.text import Text

    table = _table()
    table.add_column("difference", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for heading in markdown.HEADINGS:
        table.add_column(heading, justify="right")
    for each in result.differences:
        said = Text(one_line(each.text))
        said.append(f"\n{one_line(markdown.compared(each, result))}", style="dim")
        if each.remarks:
            said.append(f"\n{one_line('; '.join(each.remarks))}", style="yellow")
        verdict = Text(each.verdict, style=COLORS[each.verdict])
        table.add_row(said, verdict, *map(Text, markdown.numbers_of(each, result)))
    return table


def _settings(result: PaperResult) -> Table:
    """Return the settings that are not exactly the paper's, and the other deviations."""
    import json

    from rich.text import Text

    table = _table()
    table.add_column("not as printed", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("", overflow="fold")
    for row, key, each in markdown.setting_lines(result):
        if each.status != "exact":
            where = Text(f"{key}: {json.dumps(each.value)}")
            where.append(f" ({row})" if row else "", style="dim")
            table.add_row(where, each.status, Text(one_line(each.note.strip())))
    for place, deviation in result.paper.deviations:
        said = Text(one_line(deviation.text))
        said.append(f" ({place})" if place else "", style="dim")
        table.add_row(said, deviation.status, "")
    return table


def _table() -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False)
