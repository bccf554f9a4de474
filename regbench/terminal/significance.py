"""One metric of a comparison with intervals, p-values and seeds needed, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from regbench.analysis import answers, evidence, mcnemar, statistics
from regbench.analysis.mcnemar import Disagreement
from regbench.analysis.rows import ConfigRow, Difference, Value
from regbench.analysis.statistics import ALPHA, Interval
from regbench.terminal import comparison, intervals
from regbench.terminal.stacked_table import StackedTable, cell
from regbench.text import changes, markdown_table, number

if TYPE_CHECKING:
    from rich.console import Group

PAIRING = (
    "pairing: correlation r of the pairs; variance of Δ over that of unpaired runs\n"
    "--intervals shows what the intervals cover"
)


def view(
    rows: Sequence[ConfigRow],
    shown: Sequence[str],
    changed: bool,
    width: int,
    covered: bool = False,
) -> list[Group]:
    """Return what `regbench compare` prints: the answers, then the usual or the requested tables.

    With `covered`, those that say what the intervals cover.
    """
    if changed:
        return [changed_configs(rows, shown)]
    if covered:
        told = intervals.terminal(rows, shown)
        return [comparison.terminal(rows, width), *([told] if told else [])]
    first = _answers(rows, shown)
    if shown:
        return [*first, *(terminal(rows, name, width) for name in shown)]
    below = differences(rows, width)
    return [*first, comparison.terminal(rows, width), *([below] if below else [])]


def _answers(rows: Sequence[ConfigRow], metrics: Sequence[str]) -> list[Group]:
    """Return a sentence for each config; [] without two pairs, where there is no answer yet."""
    from rich.console import Group
    from rich.text import Text

    asked = metrics[:2] or answers.ASKED
    told = answers.sentences(rows, comparison.labels(rows), asked, answers.MOST)
    if not told:
        return []
    lines = [Text(f"- {each}") for each in told]
    more = answers.count(rows, asked) - len(told)
    if more:
        lines.append(Text(f"- and {more} more, in the tables below"))
    return [Group(*lines, Text(f"\n{answers.LEGEND}\n", style="dim"))]


def terminal(rows: Sequence[ConfigRow], metric: str, width: int = 80) -> Group:
    """Return a table of a metric for a terminal of `width` columns, for rich to print.

    It fits into 80 columns, or 60 without the column about single examples.
    """
    from rich.console import Group
    from rich.text import Text

    examples = metric == "test_accuracy" and any(row.mcnemar for row in rows)
    table = _table(
        metric, [*evidence.HEADINGS, *(["fixes/\nbreaks"] if examples else [])], examples
    )
    for row, label in zip(rows, comparison.labels(rows, "\n"), strict=True):
        value = row.value(metric)
        cells = [_number(value).replace(" ", "\n"), *_difference(value, width)]
        table.add(map(cell, [label, *cells, *([_examples(row.mcnemar)] if examples else [])]))
    return Group(table, Text("\n" + _legend(rows, [metric], examples) + "\n", style="dim"))


def differences(rows: Sequence[ConfigRow], width: int = 80) -> Group | None:
    """Return a table of p-values for test accuracy and gap; None without two pairs."""
    from rich.console import Group
    from rich.text import Text

    if not evidence.differing(rows):
        return None
    paired = width >= comparison.FULL
    parts = []
    for metric in evidence.DIFFERENCES:
        headings = [*evidence.HEADINGS[1:], *(["pairing"] if paired else [])]
        table = _table(f"\nDifferences from the baseline: {metric}", headings, False)
        for row, label in zip(rows, comparison.labels(rows, "\n"), strict=True):
            versus = row.versus(metric)
            if versus:
                buys = [_pairing(versus)] if paired else []
                cells = [label, *_difference(row.value(metric), width), *buys]
                table.add(map(cell, cells))
        parts.append(table)
    legend = _legend(rows, evidence.DIFFERENCES, False) + (f"\n{PAIRING}" if paired else "")
    return Group(*parts, Text("\n" + legend, style="dim"))


def _table(title: str, headings: Sequence[str], examples: bool) -> StackedTable:
    return StackedTable(["config", *headings], most=16 if examples else 18, title=title)


def markdown(rows: Sequence[ConfigRow], metric: str) -> str:
    """Return the same table as Markdown, without the examples."""
    headings = [heading.replace("\n", " ") for heading in evidence.HEADINGS]
    lines = [[metric, *headings], ["---", *["---:"] * len(evidence.HEADINGS)]]
    named = zip(comparison.labels(rows), rows, strict=True)
    lines += [[label, *_cells(row.value(metric))] for label, row in named]
    return markdown_table(lines)


def changed_configs(rows: Sequence[ConfigRow], names: Sequence[str] = ()) -> Group:
    """Return a table of what each config changes, folded where the terminal is narrow.

    The first columns show the metrics in `names`, by default test accuracy and its difference.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("config", max_width=26, overflow="ellipsis", no_wrap=True)
    for heading in names or ("test", "Δ test"):
        table.add_column(heading.replace("_", "\n"), justify="right", no_wrap=True)
    table.add_column("changes", overflow="fold", min_width=12)
    for row, label in zip(rows, comparison.labels(rows, "\n"), strict=True):
        shown = [row.value(name) for name in names or ["test_accuracy"]]
        cells = [_number(each.point) for each in shown]
        if not names:
            versus = shown[0].versus_baseline
            cells.append(_number(versus.point, "+") if versus else "")
        table.add_row(label, *cells, Text(changes(row.changes)))
    return Group(table)


def _difference(value: Value, width: int) -> list[str]:
    """Return a difference, its interval, p-values and seeds, stacked if the terminal is narrow."""
    versus = value.versus_baseline
    if versus is None:
        return [""] * (len(evidence.HEADINGS) - 1)
    difference = _number(versus.point, "+")
    if versus.low is not None:
        ends = [_number(Interval(end), "+") for end in (versus.low, versus.high)]
        difference += f"\n[{ends[0]},{' ' if width >= comparison.FULL else chr(10)}{ends[1]}]"
    flip, holm, needed = evidence.told(versus)
    return [
        difference,
        flip.replace(" ", "\n"),
        holm,
        needed.replace("than ", "than\n").replace("to ", "to\n"),
    ]


def _pairing(versus: Difference) -> str:
    correlation, variance = intervals.pairing(versus)
    return f"r {correlation}\nvar {variance}" if correlation else ""


def _cells(value: Value) -> list[str]:
    versus = value.versus_baseline
    if versus is None:
        return [_number(value), "", "", "", ""]
    numbers = [_number(value), _number(versus, "+")]
    return [*numbers, *evidence.told(versus)]


def _number(value: Interval, sign: str = "") -> str:
    """Return a number with half its interval, rounded to suit its size."""
    return number(value, sign, large=True, small=True)


def _examples(by_seed: Sequence[Disagreement] | None) -> str:
    if not by_seed:
        return ""
    found = mcnemar.summary(by_seed)
    return f"{found.fixes:.0f}/{found.breaks:.0f} {found.significant}/{found.seeds}"


def _legend(rows: Sequence[ConfigRow], names: Sequence[str], examples: bool) -> str:
    pairs = evidence.pairs(rows, names)
    if not pairs:
        lines = ["No interval and no p without two shared seeds; train more with --seeds 0-4"]
    else:
        fewest = min(pairs)
        floor = statistics.sign_flip_floor(fewest)
        lines = [
            "Δ: mean difference, paired by seed, and its 95% interval",
            "p flip: exact sign-flip test; p Holm: t test, corrected for all configs here.",
            "They are two tests: the t test takes differences to be normally distributed",
        ]
        if floor > ALPHA:
            lines.append(f"floor: with {fewest} pairs, p flip cannot go below {floor:g}")
        lines.append("seeds needed: for 80% power in one t test, if the mean is as seen; a range,")
        lines.append(
            f"since the spread is uncertain (80%); blank: decided, p Holm is {ALPHA} or less"
        )
        if any(evidence.undecided(row, names) for row in rows):
            lines.append(evidence.FRESH)
    if examples:
        lines.append(f"fixes/breaks: mean test examples, and seeds with McNemar's p < {ALPHA};")
        lines.append("this is about these trained models on this test set, not about the config")
    return "\n".join(lines)
