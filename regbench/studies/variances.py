"""Where the variance of a study's variants comes from, as rows of text for every table."""

from __future__ import annotations

from collections.abc import Sequence

from regbench.analysis.variance import Decomposition, Variance, decompose
from regbench.errors import Warn
from regbench.runs import Results
from regbench.studies.file import Study

METRICS = ("test_accuracy", "gap")
HEADINGS = ("deviation", "95% interval", "variance", "of the total", "runs")
LEGEND = (
    "what varies: this source alone gets the seed, the others are held; intervals: chi-square, for "
    "nearly normal values. Sources interact: their sum need not be the variance of all together"
)


def of_study(study: Study, results: Results, warn: Warn | None = None) -> list[Decomposition]:
    """Return the variances of each variant whose sources vary one at a time."""
    if not any(each.vary for each in study.variants.values()):
        return []
    return [each for metric in METRICS for each in decompose(results, metric, warn)]


def rows(found: Sequence[Decomposition]) -> list[list[str]]:
    """Return a row for each variance: what it is of, its source, and `HEADINGS`."""
    return [
        [f"{each.name}, {each.metric}", row.source, *_cells(row, each.total)]
        for each in found
        for row in each.rows
    ]


def _cells(row: Variance, total: Variance | None) -> list[str]:
    ends = (
        "" if row.low is None or row.high is None else f"{row.low**0.5:.4f} to {row.high**0.5:.4f}"
    )
    share = f"{row.variance / total.variance:.0%}" if total and total.variance else ""
    return [f"{row.deviation:.4f}", ends, f"{row.variance:.2e}", share, str(row.runs)]
