"""The figure of a sequential study: its claims at each look, and what decides them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from regbench.figures.style import INK, LABEL, SHADE, styled, styles
from regbench.runs import Results, judged, results_of

if TYPE_CHECKING:
    import altair
    import pandas

WIDTH = 760
# Smaller p-values are drawn here: the axis is logarithmic.
LEAST = 1e-10


def boundaries(
    frame: Results | pandas.DataFrame, width: int = WIDTH
) -> altair.typing.ChartType | None:
    """Return the p-value of each claim at each look, over the boundaries that decide.

    A claim is decided once its p-value is below the shaded band, and within the band if fewer
    claims are open. None unless the runs are those of a study with looks, whose verdicts lie beside
    them.

    Args:
        frame: the result of `regbench.load`, or its frame.
        width: of the whole figure, in pixels.
    """
    import altair as alt
    import pandas

    rows = points(frame)
    if not rows:
        return None
    data = pandas.DataFrame(rows)
    seeds = sorted(data["seeds"].unique().tolist())
    x = alt.X("seeds:Q", title="seeds", axis=alt.Axis(values=seeds, format="d", grid=False))
    scale = alt.Scale(type="log", domain=[LEAST, 1], clamp=True)
    axis = alt.Axis(title="p-value", format="~g", values=[10.0**-n for n in range(0, 11, 2)])
    base = alt.Chart(data).encode(x=x)
    alone = alt.Y("max(alone):Q", scale=scale, axis=axis)
    all_open = alt.Y("min(all_open):Q", scale=scale, axis=axis)
    # One legend for both channels, a line for each claim: their names are long.
    looks = styles(list(dict.fromkeys(data["claim"])), [])
    domain, legend = [each.variant for each in looks], alt.Legend(columns=1, labelLimit=width)
    colors = alt.Scale(domain=domain, range=[each.color for each in looks])
    dashes = alt.Scale(domain=domain, range=[each.dash for each in looks])
    claims = base.encode(
        y=alt.Y("p_value:Q", scale=scale, axis=axis),
        color=alt.Color("claim:N", scale=colors, title=None, legend=legend),
    )
    tooltip = [
        alt.Tooltip("claim:N"), alt.Tooltip("verdict:N"), alt.Tooltip("seeds:Q"),
        *(alt.Tooltip(f"{name}:Q", format=".2g") for name in ("p_value", "alone", "all_open")),
    ]  # fmt: skip
    chart = alt.layer(
        base.mark_area(color=SHADE, opacity=0.3).encode(y=all_open, y2="max(alone):Q"),
        base.mark_line(color=LABEL, strokeWidth=1).encode(y=alone),
        base.mark_line(color=INK, strokeWidth=1).encode(y=all_open),
        claims.mark_line(strokeWidth=2).encode(
            strokeDash=alt.StrokeDash("claim:N", scale=dashes, title=None, legend=legend)
        ),
        claims.mark_point(filled=True, size=60, opacity=1).encode(tooltip=tooltip),
    )
    fit = {"type": "fit-x", "contains": "padding"}
    return styled(chart.properties(width=width, height=round(width * 0.45), autosize=fit), width)


def points(frame: Results | pandas.DataFrame) -> list[dict[str, str | float]]:
    """Return a row for each claim of a study and each look at it, in the study's order."""
    folders = dict.fromkeys(results_of(frame).frame["results"])
    found = [each for folder in folders for each in judged.read(Path(folder))]
    return [
        {
            "claim": _label(each.claim),
            "verdict": each.decision,
            "seeds": passed.seeds,
            "p_value": max(passed.p_value, LEAST),
            "alone": passed.alone,
            "all_open": passed.all_open,
        }
        for each in found
        for passed in each.passed
        if passed.p_value is not None
    ]


def _label(claim: judged.Claim) -> str:
    if claim.variant is None:
        return claim.text
    against = f" - {claim.against}" if isinstance(claim.against, str) else ""
    return f"{claim.metric}: {claim.variant}{against}"
