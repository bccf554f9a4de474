"""Figures of training: curves and gaps over epochs."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from regbench.figures.style import (
    DASHED,
    GAP,
    INK,
    SOLID,
    TEST,
    TRAIN,
    color,
    columns_for,
    dash,
    facet,
    panel_width,
    styled,
)
from regbench.figures.variants import by_epoch, labeled, looks, order
from regbench.runs import Results

if TYPE_CHECKING:
    import altair
    import pandas

WIDTH = 760
Metric = Literal["accuracy", "loss"]
# The data of the curves by metric, accuracy and loss.
Curves = Mapping[str, "pandas.DataFrame"]
AXES: dict[str, str] = {"accuracy": "accuracy", "loss": "cross-entropy (nats)"}


def curves(
    frame: Results | pandas.DataFrame,
    metric: Metric = "accuracy",
    width: int = WIDTH,
    log: bool = False,
    data: Curves | None = None,
) -> altair.typing.ChartType:
    """Return train and test curves of every variant, a panel each, the gap between them shaded.

    Args:
        frame: the result of `regbench.load`, or its frame. Curves are means over seeds; with
            several, a band goes from the lowest to the highest.
        metric: "accuracy", or "loss" for cross-entropy in nats.
        width: of the whole figure, in pixels.
        log: whether the vertical axis is logarithmic.
        data: the result of `regbench.figures.variants.by_epoch` by metric, if known.
    """
    import altair as alt

    drawn = _by_epoch(frame, metric, data)
    if drawn.empty:  # trials of a contest do not measure the test set
        return None
    columns = columns_for(len(set(drawn["panel"])), width)
    panel = panel_width(width, columns)
    axis, scale = _vertical(alt, metric, log)

    def area(opacity: float, series: str, y: str, y2: str) -> altair.typing.ChartType:
        ends = {"y": alt.Y(f"{y}:Q", axis=axis, scale=scale), "y2": f"{y2}:Q"}
        return base.mark_area(opacity=opacity).encode(color=alt.datum(series), **ends)

    base = alt.Chart(drawn).encode(x=_epochs(alt))
    series = ["train", "test", "gap"]
    colors = alt.Scale(domain=series, range=[TRAIN, TEST, GAP])
    dashes = alt.Scale(domain=series, range=[DASHED, SOLID, SOLID])
    lines = base.transform_fold(["train", "test"], as_=["set", "value"]).encode(
        y=alt.Y("value:Q", axis=axis, scale=scale),
        color=alt.Color("set:N", scale=colors, title=None),
        tooltip=["panel:N", "set:N", "epoch:Q", alt.Tooltip("value:Q", format=".3f")],
    )
    layers = [
        area(0.4, "gap", "train", "test"),
        area(0.25, "train", "train_low", "train_high"),
        area(0.25, "test", "test_low", "test_high"),
        lines.mark_line(strokeWidth=2, clip=True).encode(
            strokeDash=alt.StrokeDash("set:N", scale=dashes, title=None)
        ),
        lines.mark_point(opacity=0, size=60, clip=True),  # easier to hit than a line
    ]
    titles = dict(zip(drawn["variant"], drawn["panel"], strict=True))
    ordered = [titles[variant] for variant in order(labeled(frame)) if variant in titles]
    chart = alt.layer(*layers).properties(width=panel, height=round(panel * 0.7))
    return styled(facet(chart, alt, "panel", ordered, columns), width)


def together(
    frame: Results | pandas.DataFrame,
    metric: Metric = "accuracy",
    width: int = WIDTH,
    log: bool = False,
    data: Curves | None = None,
) -> altair.typing.ChartType:
    """Return the curves of all variants in two panels, training and test, on one scale.

    The arguments are those of `curves`.
    """
    import altair as alt

    axis, scale = _vertical(alt, metric, log)
    drawn = _by_epoch(frame, metric, data)
    if drawn.empty:
        return None
    base = alt.Chart(drawn).transform_calculate(
        low="datum[datum.set + '_low']", high="datum[datum.set + '_high']"
    )
    columns = 2 if width >= 500 else 1
    panel = panel_width(width, columns)
    chart = _lines(alt, base, frame, "value", axis, scale)
    chart = chart.properties(width=panel, height=round(panel * 0.8))
    chart = facet(chart, alt, "set", ["train", "test"], columns)
    return styled(chart.transform_fold(["train", "test"], as_=["set", "value"]), width)


def gap(
    frame: Results | pandas.DataFrame,
    metric: Metric = "accuracy",
    width: int = WIDTH,
    data: Curves | None = None,
) -> altair.typing.ChartType:
    """Return the generalization gap of every variant over epochs.

    The arguments are those of `curves`. Above zero, the training set is ahead.
    """
    import altair as alt

    title = "train - test accuracy" if metric == "accuracy" else "test - train loss (nats)"
    drawn = _by_epoch(frame, metric, data)
    if drawn.empty:
        return None
    base = alt.Chart(drawn).transform_calculate(low="datum.gap_low", high="datum.gap_high")
    axis = alt.Axis(title=title, tickCount=6)
    chart = _lines(alt, base, frame, "gap", axis, alt.Scale(zero=True))
    zero = alt.Chart().mark_rule(strokeWidth=1, color=INK).encode(y=alt.datum(0))
    chart = alt.layer(*chart.layer, zero, data=chart.data)
    return single(chart, width, round(width * 0.45))


def single(chart: altair.typing.ChartType, width: int, height: int) -> altair.typing.ChartType:
    """Return a chart of one panel that is `width` pixels wide with its axes."""
    fit = {"type": "fit-x", "contains": "padding"}
    return styled(chart.properties(width=width, height=height, autosize=fit), width)


def _by_epoch(
    frame: Results | pandas.DataFrame, metric: Metric, known: Curves | None
) -> pandas.DataFrame:
    return by_epoch(frame, metric) if known is None else known[metric]


def _lines(
    alt: ModuleType,
    base: altair.Chart,
    frame: pandas.DataFrame,
    field: str,
    axis: altair.Axis,
    scale: altair.Scale,
) -> altair.typing.ChartType:
    """Return a line per variant, a band from `low` to `high`, and points with tooltips."""
    styles = looks(labeled(frame))
    y = alt.Y(f"{field}:Q", axis=axis, scale=scale)
    base = base.encode(x=_epochs(alt), color=color(alt, styles))
    tooltip = ["variant:N", "epoch:Q", alt.Tooltip(f"{field}:Q", format=".3f")]
    return alt.layer(
        base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", axis=axis, scale=scale), y2="high:Q"),
        base.mark_line(strokeWidth=2, clip=True).encode(y=y, strokeDash=dash(alt, styles)),
        base.mark_point(opacity=0, size=60, clip=True).encode(y=y, tooltip=tooltip),
    )


def _epochs(alt: ModuleType) -> altair.X:
    axis = alt.Axis(format="d", tickMinStep=1, grid=False)
    return alt.X("epoch:Q", title="epoch", axis=axis, scale=alt.Scale(nice=False))


def _vertical(alt: ModuleType, metric: str, log: bool) -> tuple[altair.Axis, altair.Scale]:
    axis = alt.Axis(title=AXES[metric], tickCount=5)
    if log:
        return axis, alt.Scale(type="log", nice=False)
    domain = alt.Scale(domain=[0, 1]) if metric == "accuracy" else alt.Scale(zero=True)
    return axis, domain
