"""Figures of finished runs, one function each: (results, or their frame) -> Altair chart.

A figure without data, such as that of probes for runs without probes, is None.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regbench import files, plugins
from regbench.analysis import compare
from regbench.analysis.rows import ConfigRow
from regbench.errors import RegbenchError
from regbench.figures.boundaries import boundaries
from regbench.figures.curves import Curves, curves, gap, together
from regbench.figures.differences import cost, differences
from regbench.figures.interactions import interactions
from regbench.figures.probes import Found, ensemble, found_in, ledger, margins, reliability
from regbench.figures.sources import sources
from regbench.figures.style import unbounded
from regbench.figures.tuning import budget
from regbench.figures.variants import labeled
from regbench.runs import Results

if TYPE_CHECKING:
    import altair
    import pandas

__all__ = [
    "FIGURES", "OF_TRIALS", "boundaries", "budget", "cost", "curves", "differences", "ensemble",
    "gap", "interactions", "ledger", "margins", "reliability", "save", "save_all", "sources",
    "together",
]  # fmt: skip

FORMATS = (".svg", ".pdf", ".png", ".html")
# A column of a two-column paper is 3.5 inches wide; browsers count 96 pixels an inch.
PAPER_WIDTH = 336

# From a frame and options, which each figure has of its own, to a chart; None if it would be empty.
Function = Callable[..., Any]
FIGURES: dict[str, Function] = {
    "together": together,
    "curves": curves,
    "gap": gap,
    "differences": differences,
    "cost": cost,
    "sources": sources,
    "interactions": interactions,
    "boundaries": boundaries,
    "ledger": ledger,
    "ensemble": ensemble,
    "reliability": reliability,
    "margins": margins,
}
# Figures of trials, which have no test set to be compared on.
OF_TRIALS: dict[str, Function] = {"budget": budget}
# Figures that show a comparison, curves, or probe results: callers may pass these in.
COMPARING = ("differences", "cost")
CURVED = ("together", "curves", "gap")
PROBING = ("ledger", "ensemble", "reliability", "margins")


def register(
    name: str, function: Callable[[pandas.DataFrame], altair.typing.ChartType | None]
) -> None:
    """Add a plugin's figure, a function of the labeled frame: rows per run and epoch, `variant`."""
    if not callable(function):
        raise TypeError(f"expected a function of a frame, received {function!r:.80}")

    @functools.wraps(function)
    def drawn(
        runs: Results | pandas.DataFrame, width: int | None = None, **_: object
    ) -> altair.typing.ChartType | None:
        try:
            chart = function(labeled(runs))
            if chart is None or not width or not hasattr(chart, "width"):
                return chart
            return chart.properties(width=width)
        except Exception as error:  # whatever a plugin raises
            raise RegbenchError(f"figure {name}: {plugins.blame(error)}") from error

    FIGURES[name] = drawn


@dataclass(frozen=True)
class Shared:
    """Data for several figures of a frame: computed and read once, and passed to each of them."""

    rows: Sequence[ConfigRow]
    found: Found
    curves: Curves | None = None

    def arguments(self, name: str) -> dict[str, Sequence[ConfigRow] | Found | Curves | None]:
        """Return the arguments that the figure `name` takes from it."""
        if name in COMPARING:
            return {"rows": self.rows}
        if name in CURVED:
            return {"data": self.curves}
        return {"found": self.found} if name in PROBING else {}


def save(chart: altair.typing.ChartType, path: Path | str, dots_per_inch: int = 192) -> None:
    """Write a chart to a file in the format of its suffix; HTML works offline.

    Raises:
        RegbenchError: the suffix is not .svg, .pdf, .png or .html.
    """
    path = Path(path)
    check_format(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, dict[str, object]] = {
        ".html": {"inline": True},
        ".png": {"scale_factor": dots_per_inch / 96},
    }
    with unbounded():
        files.replace(
            path, lambda name: chart.save(str(name), **options.get(path.suffix.lower(), {}))
        )


def check_format(path: Path) -> None:
    """Raise RegbenchError for a file that `save` can't write, before a chart is drawn."""
    if path.suffix.lower() not in FORMATS:
        raise RegbenchError(
            f"{path}: expected a name that ends in {', '.join(FORMATS)}, received {path.suffix!r}"
        )


def save_all(
    frame: Results | pandas.DataFrame, folder: Path | str, baseline: str | None = None
) -> list[Path]:
    """Write every figure that can be drawn as SVG and PNG, as wide as a paper's column.

    `baseline` is the name of the config that the others are compared with.
    """
    rows = compare.compare(frame, baseline, examples=False)
    shared = Shared(rows, found_in(frame))
    paths = []
    for name, figure in (FIGURES | OF_TRIALS).items():
        chart = figure(frame, width=PAPER_WIDTH, **shared.arguments(name))
        for suffix in (".svg", ".png") if chart is not None else ():
            paths.append(Path(folder) / f"{name}{suffix}")
            save(chart, paths[-1], dots_per_inch=300)
    return paths
