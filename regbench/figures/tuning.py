"""The figure of a contest's trials, which left the test set unmeasured."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from regbench.analysis.tuning import expected_best
from regbench.figures.style import color, dash, styled, styles
from regbench.figures.variants import BASELINE
from regbench.runs import Results, copies

if TYPE_CHECKING:
    import altair
    import pandas

WIDTH = 760
TITLES = {"validation_loss": "validation loss (nats)", "validation_accuracy": "validation accuracy"}


def budget(
    frame: Results | pandas.DataFrame,
    metric: Literal["validation_loss", "validation_accuracy"] = "validation_loss",
    width: int = WIDTH,
) -> altair.typing.ChartType | None:
    """Return the expected best of k trials against k, a line for each variant.

    The band has 95% of the draws of k trials (see `regbench.analysis.tuning.expected_best`). None
    if the runs are not trials, which measure validation examples and not the test set.

    Args:
        frame: the result of `regbench.load` on a folder of trials, or its frame.
        metric: what decides.
        width: of the whole figure, in pixels.
    """
    import altair as alt

    data = expected(frame, metric)
    if data is None:
        return None
    names = sorted(data["variant"].unique(), key=lambda name: (name != BASELINE, name))
    looks = styles(names, [BASELINE])
    axis = alt.Axis(title=f"expected best {TITLES[metric]}", tickCount=6)
    scale = alt.Scale(zero=False)
    base = alt.Chart(data).encode(
        x=alt.X("trials:Q", title="trials", axis=alt.Axis(format="d", tickMinStep=1, grid=False)),
        color=color(alt, looks),
    )
    y = alt.Y("mean:Q", axis=axis, scale=scale)
    tooltip = ["variant:N", "trials:Q", alt.Tooltip("mean:Q", format=".3f")]
    chart = alt.layer(
        base.mark_area(opacity=0.12).encode(y=alt.Y("low:Q", axis=axis, scale=scale), y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y=y, strokeDash=dash(alt, looks)),
        base.mark_point(opacity=0, size=60).encode(y=y, tooltip=tooltip),
    )
    fit = {"type": "fit-x", "contains": "padding"}
    chart = chart.properties(width=width, height=round(width * 0.45), autosize=fit)
    return styled(chart, width)


def expected(
    frame: Results | pandas.DataFrame,
    metric: Literal["validation_loss", "validation_accuracy"] = "validation_loss",
) -> pandas.DataFrame | None:
    """Return the data of `budget`: a row per variant and number of trials, None without trials."""
    import pandas

    runs = copies.distinct(frame)
    if metric not in runs:
        return None
    finals = runs.groupby(["results", "run"], sort=False).tail(1)
    trials = finals[(finals["test_evaluated"] == 0) & finals["validation_evaluated"].gt(0)]
    scores = trials.groupby(["name", "config_hash"])[metric].mean()
    better: Literal["lower", "higher"] = "lower" if metric == "validation_loss" else "higher"
    rows = [
        {"variant": name, **asdict(each)}
        for name, own in scores.groupby(level="name")
        if len(own) > 1
        for each in expected_best(own.to_list(), better)
    ]
    return pandas.DataFrame(rows).round(4) if rows else None
