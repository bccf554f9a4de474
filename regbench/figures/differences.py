"""Figures of results: differences from the baseline, and accuracy against cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from regbench.analysis import compare
from regbench.analysis.rows import ConfigRow
from regbench.figures.curves import WIDTH, single
from regbench.figures.style import INK, color, facet, panel_width, styled
from regbench.figures.variants import labeled, looks
from regbench.runs import Results

if TYPE_CHECKING:
    import altair
    import pandas

MARGIN = 190  # for the names of the variants
COMPARED = {"test_accuracy": "test accuracy", "gap": "gap (train - test accuracy)"}


def differences(
    frame: Results | pandas.DataFrame,
    width: int = WIDTH,
    baseline: str | None = None,
    rows: Sequence[ConfigRow] | None = None,
) -> altair.typing.ChartType | None:
    """Return differences from the baseline, paired by seed, with their 95% intervals.

    None if no variant can be compared with a baseline.

    Args:
        frame: the result of `regbench.load`, or its frame.
        width: of the whole figure, in pixels.
        baseline: the name of the config that the others are compared with.
        rows: the result of `regbench.analysis.compare.compare` for these two, if known.
    """
    import altair as alt
    import pandas

    points = [
        {"variant": label, "what": title, **asdict(versus)}
        for label, row in compared(frame, baseline, rows)
        for metric, title in COMPARED.items()
        if (versus := row.versus(metric)) and versus.mean is not None
    ]
    if not points:
        return None
    data = pandas.DataFrame(points)
    best = data[data["what"] == COMPARED["test_accuracy"]].sort_values("mean", ascending=False)
    columns = 2 if width >= 500 else 1
    y = alt.Y("variant:N", sort=list(best["variant"]), title=None, axis=alt.Axis(labelLimit=200))
    base = alt.Chart(data).encode(y=y)
    numbers = [alt.Tooltip(f"{key}:Q", format="+.3f") for key in ("mean", "low", "high")]
    chart = alt.layer(
        alt.Chart().mark_rule(strokeDash=[2, 2], color=INK).encode(x=alt.datum(0)),
        base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            x=alt.X("mean:Q", title="difference from the baseline"),
            color=color(alt, looks(labeled(frame)), legend=None),
            tooltip=["variant:N", "what:N", *numbers, "p_value:Q", "pairs:Q"],
        ),
        data=data,
    ).properties(width=panel_width(width, columns, MARGIN), height=alt.Step(18))
    return styled(facet(chart, alt, "what", list(COMPARED.values()), columns, MARGIN), width)


def cost(
    frame: Results | pandas.DataFrame,
    width: int = WIDTH,
    baseline: str | None = None,
    rows: Sequence[ConfigRow] | None = None,
) -> altair.typing.ChartType | None:
    """Return test accuracy against the seconds of training; intervals are of 95% over seeds.

    The arguments are those of `differences`.
    """
    import altair as alt
    import pandas

    points = [
        {"variant": label, "seconds": row.seconds, "parameters": row.parameters}
        | asdict(row.test_accuracy)
        for label, row in compared(frame, baseline, rows)
        if row.test_accuracy.mean is not None
    ]
    if not points:
        return None
    data = pandas.DataFrame(points)
    low, high = data["seconds"].min(), data["seconds"].max()
    room = max(high - low, 0.1 * high)  # for the names to the right of the points
    scale = alt.Scale(domain=[max(0, low - 0.1 * room), high + 0.35 * room], nice=False)
    base = alt.Chart(data).encode(
        x=alt.X("seconds:Q", title="seconds of training", axis=alt.Axis(tickCount=6), scale=scale),
        color=color(alt, looks(labeled(frame)), legend=None),
    )
    y = alt.Y(
        "mean:Q",
        title="test accuracy",
        axis=alt.Axis(tickCount=6),
        scale=alt.Scale(zero=False, padding=15),
    )
    tooltip = ["variant:N", alt.Tooltip("mean:Q", format=".3f", title="test accuracy")]
    tooltip += [alt.Tooltip("seconds:Q", format=",.0f"), alt.Tooltip("parameters:Q", format=",")]
    chart = alt.layer(
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_point(filled=True, size=80, opacity=1).encode(y=y, tooltip=tooltip),
        base.mark_text(align="left", dx=8, fontSize=11).encode(y=y, text="variant:N"),
    )
    return single(chart, width, round(width * 0.5))


def compared(
    frame: Results | pandas.DataFrame,
    baseline: str | None,
    rows: Sequence[ConfigRow] | None = None,
) -> list[tuple[str, ConfigRow]]:
    """Return the comparison row of each variant with its label; computed unless `rows` is given."""
    keys = labeled(frame).drop_duplicates(["name", "config_hash"])
    labels = {
        (name, config_hash): label
        for name, config_hash, label in keys[["name", "config_hash", "variant"]].to_numpy()
    }
    if rows is None:
        rows = compare.compare(frame, baseline, examples=False)
    return [(labels[row.name, row.config_hash], row) for row in rows]
