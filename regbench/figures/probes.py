"""Figures of probe results; None if no run has been probed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regbench.figures.curves import AXES, WIDTH, single
from regbench.figures.style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SHADE,
    SKY,
    VERMILION,
    color,
    columns_for,
    dash,
    facet,
    panel_width,
    styled,
)
from regbench.figures.variants import labeled, looks, order
from regbench.runs import Results, probe_results, results_of
from regbench.runs.probe_results import Findings

if TYPE_CHECKING:
    import altair
    import pandas

# Probe results of each variant's runs, by seed.
Found = dict[str, list[Findings]]
MARGIN = 170  # for the names of the steps, and a number behind the last bar
# The waterfall's steps, top to bottom; each term starts where the one before it ended. The term of
# batches exists only if a technique changes them.
STEPS = {
    "reported": ("Keras' training", SHADE),
    "penalty": ("penalty", PURPLE),
    "batch": ("targets, augmentation", SKY),
    "noise": ("regularizer noise", ORANGE),
    "moving": ("moving model", GREEN),
    "gap": ("true gap", VERMILION),
    "test": ("test", BLUE),
}


def found_in(frame: Results | pandas.DataFrame, warn: Callable[[str], None] | None = None) -> Found:
    """Return the probe results of each variant's runs, by seed; only variants that were probed.

    Args:
        warn: called with a line for each run whose probes are damaged.
    """
    table = labeled(frame)
    last = table.drop_duplicates(["variant", "seed"]).sort_values("seed")
    last = last[~last["results"].isin(results_of(frame).elsewhere)]  # which have no folders
    found: dict[str, list[Findings]] = {}
    for variant in order(table):
        for row in last[last["variant"] == variant].itertuples():
            try:
                each = probe_results.read(Path(row.results) / row.run)
            except ValueError as error:
                if warn:
                    warn(f"{row.run}: {error}")
                continue
            if each:
                found.setdefault(variant, []).append(each)
    return found


def ledger(
    frame: Results | pandas.DataFrame,
    metric: str = "loss",
    width: int = WIDTH,
    found: Found | None = None,
) -> altair.typing.ChartType | None:
    """Return the gap ledger of every variant as a waterfall; means over seeds.

    Args:
        frame: the result of `regbench.load`, or its frame; the folders of its runs are read.
        metric: "loss" in nats, or "accuracy".
        width: of the whole figure, in pixels.
        found: the result of `found_in` for the frame, if known: then no folder is read.
    """
    import altair as alt
    import pandas

    found = found_in(frame) if found is None else found
    balanced = dict(ledgers(found, metric))
    rows = [row for variant, terms in balanced.items() for row in _waterfall(variant, terms)]
    if not rows:
        return None
    data = pandas.DataFrame(rows).round(4)
    variants = list(dict.fromkeys(data["variant"]))
    columns = columns_for(len(variants), width, most=3, narrowest=220)
    names, colors = zip(*(STEPS[step] for step in steps_of(balanced.values())), strict=True)
    base = alt.Chart(data).encode(y=alt.Y("step:N", sort=list(names), title=None))
    scale = alt.Scale(domain=list(names), range=list(colors))
    x = alt.X("start:Q", title=AXES[metric], axis=alt.Axis(tickCount=4), scale=alt.Scale(zero=True))
    chart = alt.layer(
        base.mark_bar(height={"band": 0.7}).encode(
            x=x,
            x2="end:Q",
            color=alt.Color("step:N", scale=scale, legend=None),
            tooltip=["variant:N", "step:N", alt.Tooltip("value:Q", format="+.4f")],
        ),
        base.mark_text(align="left", dx=4, fontSize=10).encode(x="right:Q", text="label:N"),
    ).properties(width=panel_width(width, columns, MARGIN), height=alt.Step(17))
    return styled(facet(chart, alt, "variant", variants, columns, MARGIN), width)


def ledgers(found: Found, metric: str) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each variant's mean `reported`, terms and `test`; they add up as those of one run."""
    for variant, findings in found.items():
        kept = [each.numbers.ledger[metric] for each in findings if each.numbers.ledger]
        if kept:
            values = {step: [getattr(each, step) for each in kept] for step in STEPS}
            # A step that a run lacks contributes 0 to its ledger.
            yield (
                variant,
                {
                    step: float(np.mean([each or 0.0 for each in of_step]))
                    for step, of_step in values.items()
                    if any(each is not None for each in of_step)
                },
            )


def steps_of(balanced: Iterable[dict[str, float]]) -> list[str]:
    """Return the steps that any of the ledgers has, in their order."""
    known = set().union(*balanced)
    return [step for step in STEPS if step in known]


def ensemble(
    frame: Results | pandas.DataFrame, width: int = WIDTH, found: Found | None = None
) -> altair.typing.ChartType | None:
    """Return the test accuracy of T averaged dropout passes against weight scaling (dotted)."""
    import altair as alt
    import pandas

    rows = []
    for variant, findings in (found_in(frame) if found is None else found).items():
        for dropout in [each.numbers.dropout for each in findings if each.numbers.dropout]:
            for passes, quality in zip(dropout.passes, dropout.ensemble, strict=True):
                scaled = dropout.weight_scaling.accuracy
                point = {"variant": variant, "passes": passes, "scaled": scaled}
                rows.append(point | {"accuracy": quality.accuracy})
    if not rows:
        return None
    data = pandas.DataFrame(rows).groupby(["variant", "passes"], as_index=False).mean().round(4)
    styles = looks(labeled(frame))
    ticks = alt.Axis(values=sorted(set(data["passes"])), grid=False)
    x = alt.X(
        "passes:Q", title="passes averaged (T)", axis=ticks, scale=alt.Scale(type="log", base=2)
    )
    base = alt.Chart(data).encode(x=x, color=color(alt, styles))
    y = alt.Y("accuracy:Q", title="test accuracy", scale=alt.Scale(zero=False))
    tooltip = ["variant:N", "passes:Q", "accuracy:Q", "scaled:Q"]
    chart = alt.layer(
        base.mark_line(strokeDash=[1, 3], strokeWidth=2).encode(y="scaled:Q"),
        base.mark_line(point=True).encode(y=y, strokeDash=dash(alt, styles), tooltip=tooltip),
    )
    return single(chart, width, round(width * 0.4))


def reliability(
    frame: Results | pandas.DataFrame, width: int = WIDTH, found: Found | None = None
) -> altair.typing.ChartType | None:
    """Return accuracy against confidence on the test set; below the diagonal: too confident."""
    import altair as alt
    import pandas

    rows = [
        {
            "variant": variant,
            "bin": int(each.confidence * 15 - 1e-9),
            "sure": each.confidence * each.examples,
            "right": each.accuracy * each.examples,
            "examples": each.examples,
        }
        for variant, findings in (found_in(frame) if found is None else found).items()
        for one in findings
        for each in one.details.reliability
    ]
    if not rows:
        return None
    data = pandas.DataFrame(rows).groupby(["variant", "bin"], as_index=False).sum()
    data["confidence"] = (data["sure"] / data["examples"]).round(4)
    data["accuracy"] = (data["right"] / data["examples"]).round(4)
    data = data[["variant", "confidence", "accuracy", "examples"]]
    styles = looks(labeled(frame))
    unit = alt.Scale(domain=[0, 1])
    lines = alt.Chart(data).encode(
        x=alt.X("confidence:Q", scale=unit, axis=alt.Axis(tickCount=10)),
        y=alt.Y("accuracy:Q", scale=unit, title="share that is right"),
        color=color(alt, styles),
        tooltip=["variant:N", "confidence:Q", "accuracy:Q", "examples:Q"],
    )
    ends = {"x": alt.datum(0), "y": alt.datum(0), "x2": alt.datum(1), "y2": alt.datum(1)}
    diagonal = alt.Chart().mark_rule(strokeDash=[2, 3], color=INK).encode(**ends)
    chart = alt.layer(
        diagonal, lines.mark_line(point=True).encode(strokeDash=dash(alt, styles)), data=data
    )
    return single(chart, width, round(width * 0.5))


def margins(
    frame: Results | pandas.DataFrame, width: int = WIDTH, found: Found | None = None
) -> altair.typing.ChartType | None:
    """Return the distribution of margins: the true class's probability less the best other."""
    import altair as alt
    import pandas

    rows = []
    for variant, findings in (found_in(frame) if found is None else found).items():
        for side in ("train", "test"):
            counts = np.sum([each.details.margins[side].counts for each in findings], axis=0)
            share = counts / max(1, counts.sum())
            centers = np.linspace(-1, 1, 2 * len(counts) + 1)[1::2]
            rows += [
                {"variant": variant, "set": side, "margin": x, "share": y}
                for x, y in zip(centers, np.cumsum(share), strict=True)
            ]
    if not rows:
        return None
    styles = looks(labeled(frame))
    columns = 2 if width >= 500 else 1
    panel = panel_width(width, columns)
    chart = (
        alt.Chart(pandas.DataFrame(rows).round(4))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("margin:Q", title="margin (below 0: wrong)", scale=alt.Scale(domain=[-1, 1])),
            y=alt.Y("share:Q", title="share of examples below", scale=alt.Scale(domain=[0, 1])),
            color=color(alt, styles),
            strokeDash=dash(alt, styles),
            tooltip=["variant:N", "set:N", "margin:Q", "share:Q"],
        )
    )
    chart = chart.properties(width=panel, height=round(panel * 0.7))
    return styled(facet(chart, alt, "set", ["train", "test"], columns), width)


def labels(terms: dict[str, float], places: int) -> dict[str, str]:
    """Return the number of each step of a waterfall: a term counts with the sign of its step."""
    ends = ("reported", "test")
    return {
        step: f"{value:.{places}f}" if step in ends else f"{-value:+.{places}f}"
        for step, value in terms.items()
    }


def _waterfall(variant: str, terms: dict[str, float]) -> Iterator[dict[str, str | float]]:
    """Yield a bar per step: the ends of the ledger start at zero, each term at its own start."""
    at, shown = terms["reported"], labels(terms, 3)
    for step, value in terms.items():
        name, _ = STEPS[step]
        whole = step in ("reported", "test")
        start, end = (0.0, value) if whole else (at, at - value)
        at = value if step == "reported" else end
        yield {
            "variant": variant, "step": name, "start": start, "end": end, "value": value,
            "right": max(start, end), "label": shown[step],
        }  # fmt: skip
