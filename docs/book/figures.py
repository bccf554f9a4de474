"""Draws the book's figures from the bundles, for a light and for a dark page.

A figure is drawn once for a bundle, what a page asks for and the code that draws it: the files are
named by a digest of all three, and those of earlier ones are removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import regbench
from docs.book.evidence import BookError, Evidence, metric
from regbench import figures
from regbench.analysis import metrics
from regbench.figures.curves import AXES
from regbench.figures.style import BLUE, INK, styled
from regbench.report.charts import DARK

if TYPE_CHECKING:
    import pandas

FOLDER = Path(__file__).with_name("figures")
WIDTH = 660
LABELS = 150  # the part of the width that the names of variants take
# From this ratio on, the values of a metric are on a logarithmic axis.
WIDE = 20
# From this number on, an axis counts in thousands or millions: "10M".
LARGE = 100_000


@dataclass(frozen=True)
class Plot:
    """A figure that a page asks for: its kind, its runs, and its caption."""

    kind: str
    evidence: Evidence
    variants: tuple[str, ...]
    metrics: tuple[str, ...]
    caption: str

    @property
    def name(self) -> str:
        """The file's name without its ending, from all that the drawing depends on."""
        asked = repr((self.kind, self.variants, self.metrics)).encode()
        digest = hashlib.sha256(asked)
        code = [Path(__file__), *sorted(Path(figures.__file__).parent.glob("*.py"))]
        for path in (self.evidence.bundle, *code):
            digest.update(path.read_bytes())
        return f"{self.evidence.study}-{self.kind}-{digest.hexdigest()[:12]}"

    def files(self) -> tuple[Path, Path]:
        """Return the drawings for a light and for a dark page."""
        return FOLDER / f"{self.name}-light.svg", FOLDER / f"{self.name}-dark.svg"


def draw_all(plots: Sequence[Plot]) -> list[Path]:
    """Draw what is missing, and remove what no page shows any more."""
    shown = {path for plot in plots for path in plot.files()}
    for path in FOLDER.glob("*.svg"):
        if path not in shown:
            path.unlink()
    for plot in plots:
        if not all(path.exists() for path in plot.files()):
            draw(plot)
    return sorted(shown)


def draw(plot: Plot) -> None:
    """Write a figure in the colors of a light and of a dark page."""
    if plot.kind not in KINDS:
        raise BookError(f"figure: expected one of {', '.join(KINDS)}, received {plot.kind!r}")
    chart = KINDS[plot.kind](plot)
    if chart is None:
        raise BookError(f"{plot.evidence.bundle}: nothing to draw for {plot.kind}")
    light, dark = plot.files()
    figures.save(chart.properties(background="transparent"), light)
    drawing = light.read_text(encoding="utf-8")
    # The dark colors are in lower case and the light ones are not, so that no color is met twice.
    for color, other in DARK.items():
        drawing = drawing.replace(color, other)
    dark.write_text(drawing, encoding="utf-8")


def _frame(plot: Plot) -> pandas.DataFrame:
    frame = regbench.load(plot.evidence.bundle).frame
    return frame[frame["name"].isin(plot.variants)]


def _curves(plot: Plot) -> Any:
    """Return train and test curves, a panel for each variant."""
    return figures.curves(_frame(plot), metric=_side(plot), width=WIDTH)


def _together(plot: Plot) -> Any:
    """Return the curves of all variants in two panels, training and test."""
    return figures.together(_frame(plot), metric=_side(plot), width=WIDTH)


def _ensemble(plot: Plot) -> Any:
    """Return the accuracy of averaged dropout passes against weight scaling."""
    return figures.ensemble(_frame(plot), width=WIDTH)


def _side(plot: Plot) -> Any:
    chosen = plot.metrics[0] if plot.metrics else "accuracy"
    if chosen not in AXES:
        raise BookError(f"figure {plot.kind}: expected {', '.join(AXES)}, received {chosen!r}")
    return chosen


def _seeds(plot: Plot) -> Any:
    """Return a point for each run, with mean and interval of each variant; a panel per metric."""
    import altair as alt

    panels = [_panel(alt, plot, name, n == 0) for n, name in enumerate(plot.metrics)]
    chart = alt.hconcat(*panels, spacing=24)
    if all(name.endswith("accuracy") for name in plot.metrics):
        chart = chart.resolve_scale(x="shared")
    return styled(chart, WIDTH)


def _panel(alt: Any, plot: Plot, name: str, labeled: bool) -> Any:
    import pandas

    points, means = [], []
    for variant in plot.variants:
        values = [
            each for each in plot.evidence.values(name, variant).values() if np.isfinite(each)
        ]
        points += [{"variant": variant, "value": each} for each in values]
        found = metrics.interval(np.array(values))
        ends = {"low": found.low, "high": found.high} if not metric(name).exact else {}
        means.append({"variant": variant, "value": found.mean} | ends)
    numbers = [each["value"] for each in points]
    wide = min(numbers, default=0) > 0 and max(numbers) > WIDE * min(numbers)
    form = {"format": "~s"} if max(numbers, default=0) >= LARGE else {}
    axis = alt.Axis(title=name.replace("_", " "), tickCount=3 if wide else 4, **form)
    scale = alt.Scale(type="log") if wide else alt.Scale(zero=metric(name).exact, padding=8)
    x = alt.X("value:Q", axis=axis, scale=scale)
    names = alt.Axis(title=None, labelPadding=10, domain=False, ticks=False, minExtent=LABELS)
    y = alt.Y("variant:N", sort=list(plot.variants), axis=names if labeled else None)
    layers = [
        alt.Chart(pandas.DataFrame(points)).mark_point(
            filled=True, size=45, opacity=0.55, color=BLUE
        ).encode(x=x, y=y),
        alt.Chart(pandas.DataFrame(means)).mark_tick(
            thickness=3, size=16, color=INK
        ).encode(x=x, y=y),
    ]  # fmt: skip
    if not metric(name).exact:
        rule = alt.Chart(pandas.DataFrame(means)).mark_rule(color=INK, strokeWidth=1.5)
        layers.insert(1, rule.encode(x=alt.X("low:Q", axis=axis, scale=scale), x2="high:Q", y=y))
    width = (WIDTH - LABELS - 24 * (len(plot.metrics) - 1)) // len(plot.metrics)
    return alt.layer(*layers).properties(width=width, height=alt.Step(30))


KINDS: dict[str, Callable[[Plot], Any]] = {
    "curves": _curves,
    "together": _together,
    "ensemble": _ensemble,
    "seeds": _seeds,
}
