"""The outcome of a contest as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from regbench.studies import contest_markdown
from regbench.studies.trials import ContestResult

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table


def terminal(found: ContestResult) -> Group:
    """Return winners, budgets, keys and warnings for a terminal, for rich to print."""
    from rich.console import Group
    from rich.text import Text

    tables = [
        _table([contest_markdown.headings(found), *contest_markdown.winners(found)], [1, 3, 4]),
        _table(contest_markdown.budget(found), range(1, 1 + len(contest_markdown.budgets(found)))),
        _table([list(contest_markdown.KEYS), *contest_markdown.keys(found)], [3, 4]),
    ]
    parts: list[RenderableType] = [
        part for table in tables if table is not None for part in (table, Text())
    ]
    told = contest_markdown.warnings(found)
    parts += [Text(f"! {each}", style="yellow") for each in told] + [Text()] * bool(told)
    return Group(*parts, Text(contest_markdown.legend(found), style="dim"))


def _table(lines: Sequence[Sequence[str]], right: Sequence[int]) -> Table | None:
    from rich.table import Table
    from rich.text import Text

    if len(lines) < 2:
        return None
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, heading in enumerate(lines[0]):
        table.add_column(heading, justify="right" if place in right else "left", overflow="fold")
    for line in lines[1:]:
        table.add_row(*(Text(cell.replace(" (", "\n(")) for cell in line))  # ranges below means
    return table
