"""The figure of a factorial design: how the effect of one factor changes with another."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from regbench.analysis.gap import gap
from regbench.config.changes import leaves
from regbench.figures.curves import WIDTH
from regbench.figures.style import BLUE, VERMILION, columns_for, facet, panel_width, styled
from regbench.runs import Results, results_of

if TYPE_CHECKING:
    import altair

# A design of more factors has more pairs than a figure has room for.
MOST_FACTORS = 8


def interactions(frame: Results, width: int = WIDTH) -> altair.typing.ChartType | None:
    """Return the mean final gap at each two levels of each two factors; parallel lines add up.

    The factors are the keys in which the configs differ; keys that change together are one. None if
    the results have no configs, or if these are not all combinations of two factors or more, of two
    levels each.

    Args:
        frame: the result of `regbench.load`; without the configs there are no factors.
        width: of the whole figure, in pixels.
    """
    import altair as alt
    import pandas

    rows = points(results_of(frame))
    if not rows:
        return None
    data = pandas.DataFrame(rows)
    panels = list(dict.fromkeys(data["panel"]))
    columns = columns_for(len(panels), width)
    scale = alt.Scale(range=[BLUE, VERMILION])
    chart = (
        alt.Chart(data)
        .mark_line(point=True)
        .encode(
            x=alt.X("level:N", title=None, axis=alt.Axis(labelAngle=0)),
            y=alt.Y("gap:Q", title="gap (train - test accuracy)", scale=alt.Scale(zero=False)),
            color=alt.Color("second:N", title=None, scale=scale),
            detail="other:N",
            tooltip=["panel:N", "level:N", "other:N", alt.Tooltip("gap:Q", format=".3f")],
        )
        .properties(width=panel_width(width, columns), height=140)
    )
    return styled(facet(chart, alt, "panel", panels, columns), width)


def points(results: Results) -> list[dict[str, object]]:
    """Return a row for each pair of factors and each two of their levels; [] without a design."""
    last = results.frame.sort_values("epoch").groupby(["config_hash", "seed"]).last()
    last["gap"] = gap(last["train_accuracy"], last["test_accuracy"], "accuracy")
    gaps = last["gap"].groupby("config_hash").mean()
    configs = {each: dict(leaves(results.configs.get(each))) for each in gaps.index}
    levels = _levels(list(configs.values()))
    complete = len(configs) == 2 ** len(levels) and 2 <= len(levels) <= MOST_FACTORS
    if not complete or any(len(each) != 2 for each in levels.values()):
        return []
    rows: list[dict[str, object]] = []
    for first, second in itertools.combinations(levels, 2):
        for one, other in itertools.product(levels[first], levels[second]):
            chosen = [
                gaps[each]
                for each, config in configs.items()
                if str(config.get(first)) == one and str(config.get(second)) == other
            ]
            if not chosen:
                return []
            row = {"panel": f"{first}, {second}", "level": one, "other": f"{second} {other}"}
            place = "second level" if other == levels[second][1] else "first level"
            rows.append({**row, "second": place, "gap": float(sum(chosen) / len(chosen))})
    return rows


def _levels(configs: list[dict[str, object]]) -> dict[str, list[str]]:
    keys = dict.fromkeys(key for config in configs for key in config)
    found = {
        key: list(dict.fromkeys(str(config.get(key)) for config in configs))
        for key in keys
        if key not in ("name", "seed")
    }
    # Keys that change together are one factor, with the name of the first.
    factors: dict[tuple[int, ...], str] = {}
    for key, values in found.items():
        pattern = tuple(values.index(str(config.get(key))) for config in configs)
        factors.setdefault(pattern, key)
    return {key: found[key] for key in factors.values() if len(found[key]) > 1}
