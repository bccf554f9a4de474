"""Figure of results: where variance comes from."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from regbench.analysis import variance
from regbench.analysis.variance import Decomposition
from regbench.config.sources import SOURCES
from regbench.figures.curves import WIDTH
from regbench.figures.style import INK, LABEL, columns_for, facet, panel_width, styled
from regbench.figures.variants import labeled
from regbench.runs import Results

if TYPE_CHECKING:
    import altair
    import pandas

MARGIN = 110  # for the names of the sources


def sources(
    frame: Results | pandas.DataFrame, width: int = WIDTH, metric: str = "test_accuracy"
) -> altair.typing.ChartType | None:
    """Return the standard deviation that each source causes, with its 95% interval.

    None unless some config has both runs in which a single source varies, and runs in which all do.
    A frame alone does not tell: it takes the result of `regbench.load`.

    Args:
        frame: the result of `regbench.load`.
        width: of the whole figure, in pixels.
        metric: the name of a metric.
    """
    import altair as alt
    import pandas

    found = decomposed(frame, metric)
    if not found:
        return None
    rows = [
        {"variant": label, **asdict(row), "deviation": row.deviation}
        | {end: None if value is None else value**0.5 for end, value in _ends(row).items()}
        for label, each in found
        for row in each.rows
    ]
    data = pandas.DataFrame(rows).drop(columns=["variance"])
    order = [*SOURCES, variance.SUM, variance.TOTAL]
    columns = columns_for(len(found), width, most=2, narrowest=300)
    base = alt.Chart(data).encode(y=alt.Y("source:N", sort=order, title=None))
    numbers = [alt.Tooltip(f"{key}:Q", format=".4f") for key in ("deviation", "low", "high")]
    x = alt.X("deviation:Q", title=f"standard deviation of {metric.replace('_', ' ')} over seeds")
    chart = alt.layer(
        base.mark_bar(color=LABEL, opacity=0.5).encode(
            x=x, tooltip=["variant:N", "source:N", *numbers, "runs:Q"]
        ),
        base.mark_rule(strokeWidth=2, color=INK).encode(x="low:Q", x2="high:Q"),
        data=data,
    ).properties(width=panel_width(width, columns, MARGIN), height=alt.Step(22))
    panels = [label for label, _ in found]
    return styled(facet(chart, alt, "variant", panels, columns, MARGIN), width)


def _ends(row: variance.Variance) -> dict[str, float | None]:
    return {"low": row.low, "high": row.high}


def decomposed(
    frame: Results | pandas.DataFrame, metric: str = "test_accuracy"
) -> list[tuple[str, Decomposition]]:
    """Return the decompositions that the figure shows, each with its variant's label."""
    found = [each for each in variance.decompose(frame, metric) if each.total]
    if not found:
        return []
    keys = labeled(frame).drop_duplicates(["name", "config_hash"])
    labels = {
        (name, config_hash): label
        for name, config_hash, label in keys[["name", "config_hash", "variant"]].to_numpy()
    }
    return [(labels[each.name, each.config_hash], each) for each in found]
