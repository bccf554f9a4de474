"""What the intervals of a comparison cover, and what pairing buys, as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from regbench.analysis import evidence
from regbench.analysis.rows import ConfigRow, Difference
from regbench.analysis.statistics import Interval
from regbench.terminal import comparison
from regbench.text import number

if TYPE_CHECKING:
    from rich.console import Group

HEADINGS = ("Δ", "±\nseeds", "±\nimages", "±\nsamples", "r", "var")
LEGEND = (
    "Half of each 95% interval of Δ. seeds: other seeds, on this test set;\n"
    "images: other seeds and other test images, by analysis of variance;\n"
    "samples: other training samples, by Nadeau and Bengio's correction.\n"
    "Blank: no predictions; a pool of unknown size, or one that is trained on whole.\n"
    "r: correlation of the pairs; var: variance of Δ over that of unpaired runs"
)


def terminal(rows: Sequence[ConfigRow], names: Sequence[str] = ()) -> Group | None:
    """Return a table for each metric, for rich to print in 80 columns; None without two pairs."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    names = [name for name in names or evidence.DIFFERENCES if evidence.pairs(rows, [name])]
    parts = []
    for name in names:
        table = Table(
            title=f"\nWhat the intervals cover: {name}", title_justify="left", box=None,
            pad_edge=False, padding=(0, 1, 0, 0),
        )  # fmt: skip
        table.add_column("config", max_width=18, overflow="ellipsis", no_wrap=True)
        for heading in HEADINGS:
            table.add_column(heading, justify="right", no_wrap=True)
        for row, label in zip(rows, comparison.labels(rows, "\n"), strict=True):
            versus = row.value(name).versus_baseline
            if versus is not None:
                table.add_row(Text(label), *cells(versus))
        parts.append(table)
    return Group(*parts, Text("\n" + LEGEND, style="dim")) if parts else None


def cells(versus: Difference) -> list[str]:
    """Return a difference, half of each of its intervals, and what pairing buys."""
    halves = [
        _half(versus.mean, *ends)
        for ends in (
            (versus.low, versus.high),
            (versus.images_low, versus.images_high),
            (versus.samples_low, versus.samples_high),
        )
    ]
    mean = number(Interval(versus.mean), "+", large=True, small=True)
    return [mean, *halves, *pairing(versus)]


def pairing(versus: Difference) -> list[str]:
    """Return the correlation of the pairs and the variance ratio, as text."""
    if versus.correlation is None or versus.variance_ratio is None:
        return ["", ""]
    return [f"{versus.correlation:.2f}", f"{versus.variance_ratio:.2g}"]


def _half(mean: float | None, low: float | None, high: float | None) -> str:
    if mean is None or low is None or high is None:
        return ""
    return number(Interval((high - low) / 2), large=True, small=True)
