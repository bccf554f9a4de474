"""The result of a study as tables for a terminal.

Names of variants are safe by construction; the question and the claims can be any text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from regbench.studies import effects, markdown
from regbench.studies.result import StudyResult
from regbench.text import changes, one_line

if TYPE_CHECKING:
    from rich.console import Group

COLORS = {"supported": "green", "contradicted": "red", "undecided": "yellow"}


def terminal(result: StudyResult) -> Group:
    """Return the variants and the verdicts for a terminal, for rich to print."""
    from rich.console import Group
    from rich.text import Text

    question = Text(one_line(result.study.question), style="bold")
    return Group(
        question, Text(), _variants(result), Text(), _verdicts(result), Text(), *_effects(result),
        Text(markdown.legend(result), style="dim"),
    )  # fmt: skip


def _variants(result: StudyResult) -> Any:
    from rich.text import Text

    table = _table()
    table.add_column("variant", overflow="fold", min_width=10)
    for heading in markdown.SHOWN.values():
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("changes", overflow="fold")
    for each in result.variants:
        name_cell = Text(each.name)
        name_cell.append(f"\n{markdown.runs(each)}", style="dim")
        means = [Text(markdown.number(each.metrics[name])) for name in markdown.SHOWN]
        table.add_row(name_cell, *means, Text(changes(each.changes)))
    return table


def _verdicts(result: StudyResult) -> Any:
    from rich.text import Text

    table = _table()
    table.add_column("claim", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for heading in markdown.HEADINGS:
        table.add_column(heading, justify="right")
    for verdict in result.verdicts:
        claim = Text(one_line(verdict.claim.text))
        claim.append(f"\n{markdown.said(verdict, result)}", style="dim")
        if markdown.remark(verdict):
            claim.append(f"\n{markdown.remark(verdict)}", style="yellow")
        decision = Text(verdict.decision, style=COLORS[verdict.decision])
        decision.append(markdown.by_arithmetic(verdict).replace(" ", "\n", 1), style="dim")
        cells = [markdown.difference(verdict), markdown.p(verdict), str(verdict.pairs)]
        table.add_row(claim, decision, *(Text(cell) for cell in cells))
    return table


def _effects(result: StudyResult) -> list[Any]:
    """Return the table of a factorial design's effects, with its title; [] for other studies."""
    from rich.text import Text

    factors = result.study.factors
    if not factors or not result.effects:
        return []
    table, metrics = _table(), effects.metrics_of(result.effects)
    table.add_column("effect", overflow="fold", min_width=10)
    for metric in metrics:
        table.add_column(metric, justify="right", no_wrap=True)
        table.add_column("p", justify="right", no_wrap=True)
    for effect, aliased, *cells in effects.rows(factors, result.effects):
        name = Text(effect)
        if aliased:
            name.append(f"\n{aliased}", style="yellow")
        table.add_row(name, *map(Text, cells))
    return [Text(f"Effects: {factors}"), table, Text(effects.LEGEND, style="dim"), Text()]


def _table() -> Any:
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
