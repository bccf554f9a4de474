"""The figures of the report: Vega-Lite specifications in its colors, and their titles and texts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from regbench import plugins
from regbench.figures import FIGURES, OF_TRIALS, Shared, probes
from regbench.figures import style as colors
from regbench.report import tables
from regbench.report.tables import Table
from regbench.studies import variances

if TYPE_CHECKING:
    import altair
    import pandas

# Each color of the figures and its counterpart on a dark page. In the page they are CSS
# variables, so that light, dark and print share one drawing.
DARK = {
    colors.BLUE: "#4da6e8",
    colors.VERMILION: "#f0824a",
    colors.GREEN: "#35c495",
    colors.PURPLE: "#e0a0c4",
    colors.ORANGE: "#efb544",
    colors.SKY: "#8fd0f5",
    colors.INK: "#eeeeee",
    colors.LABEL: "#bdc3c9",
    colors.FRAME: "#3a4047",
    colors.GRID: "#2a2f35",
    colors.SHADE: "#6b7279",
}
NAMED = {"train": colors.TRAIN, "test": colors.TEST, "gap": colors.GAP}
# The most rows shown of a plugin figure's data.
TABLE_ROWS = 20


@dataclass(frozen=True)
class Figure:
    """A figure of the report: its choices (such as accuracy or loss) each have a specification."""

    name: str
    title: str
    text: str
    specs: dict[str, dict[str, object]]
    table: Table


@dataclass(frozen=True)
class _Plan:
    """A figure's presentation: `choices` maps a label to the arguments of its function."""

    title: str
    text: str
    table: Callable[[pandas.DataFrame, Shared], Table]
    choices: Mapping[str, Mapping[str, str | bool]] = field(default_factory=lambda: {"": {}})
    explain: Callable[[str, Shared], str] = lambda text, shared: text


def figures(frame: pandas.DataFrame, shared: Shared) -> list[Figure]:
    """Return every figure that can be drawn of these runs, in the page's order.

    `shared` holds the comparison of the frame's configs and the probe results of its runs.
    """
    made, drawing = [], FIGURES | OF_TRIALS
    for name, plan in (PLANS | _own_plans()).items():
        options = shared.arguments(name)
        specs = {
            label: _spec(chart)
            for label, arguments in plan.choices.items()
            if (chart := drawing[name](frame, **arguments, **options)) is not None
        }
        if specs:
            table = plan.table(frame, shared)
            made.append(Figure(name, plan.title, plan.explain(plan.text, shared), specs, table))
    return made


def _own_plans() -> dict[str, _Plan]:
    """Return the presentation of plugins' figures, taken from their docstrings."""
    plans = {}
    for name in plugins.names("figure"):
        title, _, text = (inspect.getdoc(FIGURES[name]) or name).partition("\n")
        plans[name] = _Plan(title.rstrip("."), " ".join(text.split()), partial(_own_table, name))
    return plans


def _own_table(name: str, frame: pandas.DataFrame, shared: Shared) -> Table:
    """Return the first rows of a plugin chart's data; none if it has no frame."""
    data = getattr(FIGURES[name](frame), "data", None)
    if data is None or not hasattr(data, "columns"):
        return Table([], [])
    rows = data.head(TABLE_ROWS).itertuples(index=False)
    return Table(
        [str(each) for each in data.columns], [[_cell(each) for each in row] for row in rows]
    )


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def themed(text: str) -> str:
    """Return text with a CSS variable for each color of the figures."""
    for color in DARK:
        text = text.replace(color, f"var(--{_variable(color)})")
    return text


def theme() -> str:
    """Return the CSS with the variables' values for light and dark pages."""
    light = "".join(f"--{_variable(color)}:{color};" for color in DARK)
    dark = "".join(f"--{_variable(color)}:{other};" for color, other in DARK.items())
    light += "".join(f"--{name}:var(--{_variable(color)});" for name, color in NAMED.items())
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def _variable(color: str) -> str:
    return f"c{color[1:].lower()}"


def _spec(chart: altair.typing.ChartType) -> dict[str, object]:
    """Return the specification with a filter that the page's list of variants sets."""
    with colors.unbounded():
        spec = chart.to_dict()
    spec.pop("$schema")
    spec.setdefault("config", {})["background"] = "transparent"
    spec["params"] = [{"name": "shown", "value": []}]
    # If the data of a plugin's figure has no variants, it is shown whole.
    chosen = {"filter": "!isDefined(datum.variant) || indexof(shown, datum.variant) >= 0"}
    spec["transform"] = [chosen, *spec.get("transform", [])]
    _drop_legends(spec)
    return spec


def _drop_legends(part: object) -> None:
    """Remove the legends: the page's list of variants serves every figure."""
    if isinstance(part, dict):
        if part.get("field") in ("variant", "set") and "scale" in part:
            part["legend"] = None
        for each in part.values():
            _drop_legends(each)
    elif isinstance(part, list):
        for each in part:
            _drop_legends(each)


def _ledger_text(text: str, shared: Shared) -> str:
    steps = probes.steps_of(terms for _, terms in probes.ledgers(shared.found, "loss"))
    if "batch" not in steps:
        return text
    return (
        f"{text} Targets, augmentation: what training on changed images and softened or mixed "
        "labels adds, with the final weights."
    )


CURVES: dict[str, dict[str, str | bool]] = {
    "accuracy": {"metric": "accuracy"},
    "loss": {"metric": "loss"},
    "loss, log scale": {"metric": "loss", "log": True},
}
PLANS: dict[str, _Plan] = {
    "budget": _Plan(
        "The best of k trials",
        "The validation loss that the best of k trials is expected to have, with 95% of draws of "
        "k from these. A line that still falls at its end would profit from more trials.",
        tables.budget_table,
    ),
    "together": _Plan(
        "Training and test curves",
        "Means over seeds; bands go from the lowest to the highest seed. Both sets are measured "
        "alike: in inference mode, without the penalty, after the same update.",
        tables.curve_table,
        CURVES,
    ),
    "curves": _Plan(
        "Each variant separately",
        "Training (dashed) and test (solid); the area between them is the generalization gap.",
        tables.curve_table,
        CURVES,
    ),
    "gap": _Plan(
        "The generalization gap over epochs",
        "The lead of the training set over the test set.",
        tables.gap_table,
        {key: CURVES[key] for key in ("accuracy", "loss")},
    ),
    "differences": _Plan(
        "Differences from the baseline",
        "Paired by seed, with 95% intervals where there are several. An interval that crosses "
        "zero decides nothing.",
        tables.difference_table,
    ),
    "cost": _Plan(
        "Accuracy against cost",
        "Seconds of training, on the machines below; up and to the left is better.",
        tables.cost_table,
    ),
    "sources": _Plan(
        "Where variance comes from",
        "The standard deviation over seeds where one source alone gets the seed, with 95% "
        "intervals: the choice of training images, initial weights, the order of images, and what "
        "a technique draws. The sources' sum need not be the variance of all together.",
        tables.source_table,
        {each.replace("_", " "): {"metric": each} for each in variances.METRICS},
    ),
    "interactions": _Plan(
        "How factors work together",
        "The mean final gap at each two levels of each two factors. Parallel lines: the effects "
        "add up. Lines that cross or converge: one changes what the other does.",
        tables.interaction_table,
    ),
    "boundaries": _Plan(
        "Looks until each claim is decided",
        "The p-value of each claim at each look, on a logarithmic scale. Below the shaded band a "
        "claim is decided; within it, once so many others are decided that it may use their share "
        "of 5%. Looking several times is paid for: the first looks decide only what is very clear.",
        tables.look_table,
    ),
    "ledger": _Plan(
        "The gap ledger",
        "The gap is not Keras' training number minus the test number. From top to bottom: the "
        "penalty, the cost of dropout and batch statistics in training, the effect of averaging "
        "over an epoch in which the model moves (and over the whole training set), and the true "
        "gap, with the same weights measured alike. The steps add up exactly.",
        tables.ledger_table,
        {key: {"metric": key} for key in ("loss", "accuracy")},
        _ledger_text,
    ),
    "ensemble": _Plan(
        "Dropout as an ensemble",
        "T random thinned networks, averaged, against the one network with scaled weights that "
        "inference uses (dotted).",
        tables.ensemble_table,
    ),
    "reliability": _Plan(
        "Calibration",
        "Accuracy at each level of confidence; below the diagonal the model is overconfident.",
        tables.prediction_table,
    ),
    "margins": _Plan(
        "Margins",
        "The true class's probability less that of the best other class: the share of examples "
        "below each margin. A gap shows as a distance between the two panels.",
        tables.prediction_table,
    ),
}
