"""The result of a study as tables for a terminal.

Names of variants are safe by construction; the question and the claims can be any text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from regbench.analysis.effects import Effects
from regbench.studies import data_sets, factor_effects, markdown, sentences, variances
from regbench.studies.result import StudyResult
from regbench.terminal import contest
from regbench.text import changes, one_line

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

COLORS = {"supported": "green", "contradicted": "red", "undecided": "yellow"}


def terminal(result: StudyResult) -> Group:
    """Return the answers, the variants and the verdicts for a terminal, for rich to print."""
    from rich.console import Group
    from rich.text import Text

    question = Text(one_line(result.study.question), style="bold")
    if seeds := markdown.looked(result):
        question.append(f" ({seeds})", style="not bold dim")
    tuning: list[Text | Group] = []
    if result.contest:
        tuning = [Text(), contest.terminal(result.contest)]
    return Group(
        question, Text(), _answers(result), Text(), _variants(result), Text(), _verdicts(result),
        Text(), *_factors(result), *_variances(result), *_interquartile(result),
        Text(markdown.legend(result), style="dim"), *tuning,
    )  # fmt: skip


def _answers(result: StudyResult) -> Table:
    """Return a sentence for each claim, its verdict first."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for verdict in result.verdicts:
        decision = Text(verdict.decision, style=COLORS[verdict.decision])
        table.add_row(decision, Text(one_line(sentences.sentence(verdict)) + "."))
    return table


def _variants(result: StudyResult) -> Table:
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


def _verdicts(result: StudyResult) -> Table:
    from rich.text import Text

    table = _table()
    table.add_column("claim", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for heading in markdown.HEADINGS:
        table.add_column(heading, justify="right")
    for verdict in result.verdicts:
        claim = Text(one_line(verdict.claim.text))
        claim.append(f"\n{markdown.said(verdict, result)}", style="dim")
        if verdict.effects:
            claim.append(f"\n{_effects(verdict.effects)}", style="dim")
        if markdown.remark(verdict):
            claim.append(f"\n{markdown.remark(verdict)}", style="yellow")
        decision = Text(verdict.decision, style=COLORS[verdict.decision])
        decision.append(markdown.by_arithmetic(verdict).replace(" ", "\n", 1), style="dim")
        cells = [markdown.difference(verdict), markdown.p(verdict), str(verdict.pairs)]
        table.add_row(claim, decision, *(Text(cell) for cell in cells))
    return table


def _effects(effects: Effects) -> str:
    """Return the size of an effect in a line: "g -5.47; 100% lower; 80% power from 0.061"."""
    parts = [f"g {markdown.size(effects.standardized)}" if effects.standardized else ""]
    parts.append(markdown.chance(effects))
    parts.append(f"80% power from {markdown.seen_from(effects)}" if effects.smallest else "")
    return "; ".join(each for each in parts if each)


def _variances(result: StudyResult) -> list[RenderableType]:
    """Return where variance comes from, in 80 columns: nothing without such runs."""
    from rich.text import Text

    rows = variances.rows(result.variances)
    table = _table()
    table.add_column("variant", overflow="fold", min_width=10)
    table.add_column("what varies", no_wrap=True)
    # The terminal leaves the variances out: they are the squares of the deviations.
    kept = [place for place, each in enumerate(variances.HEADINGS) if each != "variance"]
    for place in kept:
        table.add_column(variances.HEADINGS[place], justify="right")
    for name, source, *cells in rows:
        table.add_row(Text(name), source, *(cells[place] for place in kept))
    return [table, Text()] if rows else []


def _interquartile(result: StudyResult) -> list[RenderableType]:
    """Return the interquartile means over all data sets: nothing without several of them."""
    from rich.text import Text

    table = _table()
    for place, heading in enumerate(data_sets.HEADINGS):
        table.add_column(heading, justify="right" if place else "left")
    rows = data_sets.rows(result.interquartile)
    for name, *cells in rows:
        table.add_row(Text(name), *cells)
    return [table, Text()] if rows else []


def _factors(result: StudyResult) -> list[RenderableType]:
    """Return the table of a factorial design's effects, with its title; [] for other studies."""
    from rich.text import Text

    factors = result.study.factors
    if not factors or not result.effects:
        return []
    # Numbers of three metrics leave little room for the names of factors.
    table, metrics = _table(gap=1), factor_effects.metrics_of(result.effects)
    table.add_column("effect", overflow="fold", min_width=10)
    for metric in metrics:
        table.add_column(metric, justify="right", no_wrap=True)
        table.add_column("p", justify="right", no_wrap=True)
    for effect, aliased, *cells in factor_effects.rows(factors, result.effects):
        name = Text(effect)
        if aliased:
            name.append(f"\n{aliased}", style="yellow")
        table.add_row(name, *map(Text, cells))
    return [Text(f"Effects: {factors}"), table, Text(factor_effects.LEGEND, style="dim"), Text()]


def _table(gap: int = 2) -> Table:
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
