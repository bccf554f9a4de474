r"""Export as a table for a paper, in LaTeX (with booktabs) or Markdown.

Each row is a config with the number of its seeds, and means with half of the 95% interval. The best
value of a column is bold only where it is decided: if its paired difference from every other config
has a p-value of at most 0.05, corrected after Holm for the number of configs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from regbench.analysis import compare as comparison
from regbench.analysis.metrics import METRICS
from regbench.analysis.rows import ConfigRow
from regbench.analysis.statistics import ALPHA
from regbench.errors import Warn
from regbench.runs.results import Results
from regbench.text import markdown_table, number, plain_markdown

COLUMNS = {
    "train_accuracy": "train acc.",
    "test_accuracy": "test acc.",
    "test_loss": "test loss",
    "gap": "gap",
}
LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "%": r"\%", "&": r"\&",
    "#": r"\#", "$": r"\$", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """The rows of a comparison, and for each column the config that is decidedly the best."""

    rows: Sequence[ConfigRow]
    best: Mapping[str, str | None]


def table(results: Results, baseline: str | None = None, warn: Warn | None = None) -> Table:
    """Compare the runs, and find out in which columns a best config is decided.

    Raises:
        RegbenchError: there is no such baseline.
    """
    rows = comparison.compare(results, baseline, warn=warn)
    return Table(rows, {metric: _best(results, rows, metric) for metric in COLUMNS})


def latex(results: Results, baseline: str | None = None, warn: Warn | None = None) -> str:
    """Return a LaTeX tabular; it needs the package booktabs."""
    made = table(results, baseline, warn)
    lines = [r"\begin{tabular}{lr" + "r" * len(COLUMNS) + "}", r"\toprule"]
    lines.append(" & ".join(["config", "seeds", *COLUMNS.values()]) + r" \\")
    lines.append(r"\midrule")
    for row in made.rows:
        cells = _cells(row, made, lambda text: rf"\textbf{{{text}}}")
        cells = [_latex_name(cells[0]), *(each.replace("±", r"$\pm$") for each in cells[1:])]
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", f"% {note(made)}"]
    return "\n".join(lines) + "\n"


def markdown(results: Results, baseline: str | None = None, warn: Warn | None = None) -> str:
    """Return a Markdown table, with a line that says what is bold."""
    made = table(results, baseline, warn)
    lines: list[Sequence[str]] = [["config", "seeds", *COLUMNS.values()]]
    lines.append(["---", *["---:"] * (1 + len(COLUMNS))])
    for row in made.rows:
        name, *numbers = _cells(row, made, lambda text: f"**{text}**")
        lines.append([plain_markdown(name), *numbers])
    return f"{markdown_table(lines)}\n{note(made)}\n"


def note(made: Table) -> str:
    """Return the caption's words about intervals and bold numbers."""
    if all(row.runs == 1 for row in made.rows):
        return "One seed each: no intervals, and no best config is decided."
    return (
        "Mean and half of the 95% interval over seeds. Bold: better than every other config, "
        f"paired by seed, p <= {ALPHA} after Holm."
    )


def _best(results: Results, rows: Sequence[ConfigRow], metric: str) -> str | None:
    """Return the hash of the config that is decidedly the best; None if there is none."""
    better = METRICS[metric].better
    # By the values of the pairs that both have, as every difference.
    known = [row for row in rows if row.mean(metric).mean is not None]
    if len(known) < 2 or len(known) < len(rows) or better is None:
        return None
    sign = 1 if better == "higher" else -1
    first = max(known, key=lambda row: sign * (row.mean(metric).mean or 0.0))
    names = [row.name for row in rows]
    if names.count(first.name) > 1:  # a baseline is asked for by its name
        return None
    against = comparison.compare(results, first.name, examples=False)
    others = [row.versus(metric) for row in against if row.config_hash != first.config_hash]
    decided = all(
        each is not None and each.p_holm is not None and each.p_holm <= ALPHA for each in others
    )
    return first.config_hash if decided else None


def _cells(row: ConfigRow, made: Table, bold: Callable[[str], str]) -> list[str]:
    cells = [row.name, str(row.runs)]
    for metric in COLUMNS:
        text = number(row.mean(metric))
        cells.append(bold(text) if made.best[metric] == row.config_hash else text)
    return cells


def _latex_name(text: str) -> str:
    return re.sub(r"[\\{}_%&#$~^]", lambda found: LATEX[found.group()], text)
