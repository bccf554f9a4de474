"""The report's figures: Vega-Lite specifications in the page's colors, each with its table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from regbench import plugins
from regbench.analysis import evidence, variance
from regbench.analysis.rows import Difference
from regbench.figures import FIGURES, OF_TRIALS, Shared, probes, tuning, variants
from regbench.figures import style as colors
from regbench.figures.differences import compared
from regbench.figures.interactions import points
from regbench.runs import results_of
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
TABLE_EPOCHS = 8
# The most rows shown of a plugin figure's data.
TABLE_ROWS = 20


@dataclass(frozen=True)
class Table:
    """The numbers of a figure as text: the first cell of a row is its heading."""

    headings: list[str]
    rows: list[list[str]]


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


def _curve_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    """Return train and test accuracy at some epochs, a row for each variant and set."""
    return _epoch_table(frame, {"train": "train", "test": "test"})


def _gap_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    return _epoch_table(frame, {"gap": ""})


def _epoch_table(frame: pandas.DataFrame, series: dict[str, str]) -> Table:
    data = variants.by_epoch(frame, "accuracy").set_index(["variant", "epoch"])
    last = int(data.index.get_level_values("epoch").max())
    steps = range(TABLE_EPOCHS + 1)
    epochs = sorted({round(last * step / TABLE_EPOCHS) for step in steps})
    rows = []
    for variant in variants.order(variants.labeled(frame)):
        for column, suffix in series.items():
            values = [data[column].get((variant, epoch)) for epoch in epochs]
            cells = ["" if value is None else f"{value:.3f}" for value in values]
            rows.append([f"{variant}{f', {suffix}' if suffix else ''}", *cells])
    return Table(["accuracy at epoch", *map(str, epochs)], rows)


def _budget_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    """Return the expected best of some numbers of trials, a row for each variant."""
    data = tuning.expected(frame)
    assert data is not None
    shown = sorted({1, 2, 4, 8, 16, 32, 64, int(data["trials"].max())} & {*data["trials"]})
    means = data.set_index(["variant", "trials"])["mean"]
    rows = []
    for variant in dict.fromkeys(data["variant"]):
        values = [means.get((variant, count)) for count in shown]
        rows.append([variant, *("" if value is None else f"{value:.3f}" for value in values)])
    return Table(["trials", *map(str, shown)], rows)


def _difference_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    cells = []
    for variant, row in compared(frame, None, shared.rows):
        test, gap = row.versus("test_accuracy"), row.versus("gap")
        if test and gap:
            cells.append([variant, *_interval(test), *_interval(gap), str(test.pairs)])
    headings = [
        "variant",
        "test accuracy",
        "95% interval",
        "p flip",
        "p Holm",
        "seeds needed",
        "gap",
        "95% interval",
        "p flip",
        "p Holm",
        "seeds needed",
        "pairs",
    ]
    return Table(headings, cells)


def _interval(value: Difference) -> list[str]:
    if value.mean is None:
        return [""] * 5
    ends = "" if value.low is None else f"{value.low:+.3f} to {value.high:+.3f}"
    return [f"{value.mean:+.3f}", ends, *evidence.told(value)]


def _cost_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    cells = [
        [variant, f"{row.seconds:.0f}", f"{row.parameters:,}", _plain(row.test_accuracy.mean)]
        for variant, row in compared(frame, None, shared.rows)
    ]
    return Table(["variant", "seconds", "parameters", "test accuracy"], cells)


def _source_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    found = [each for metric in variances.METRICS for each in variance.decompose(frame, metric)]
    rows = [[", ".join(row[:2]), *row[2:]] for row in variances.rows(found)]
    return Table(["variant, metric, what varies", *variances.HEADINGS], rows)


def _interaction_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    rows = [
        [*(f"{row[key]}" for key in ("panel", "level", "other")), f"{row['gap']:.3f}"]
        for row in points(results_of(frame))
    ]
    return Table(["factors", "level of the first", "of the second", "gap"], rows)


def _ledger_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    balanced = [
        (f"{variant}, {metric}", terms)
        for metric in ("loss", "accuracy")
        for variant, terms in probes.ledgers(shared.found, metric)
    ]
    steps = probes.steps_of(terms for _, terms in balanced)
    rows = []
    for heading, terms in balanced:
        shown = probes.labels(terms, 4)
        rows.append([heading, *(shown.get(step, "") for step in steps)])
    return Table(["variant", *(probes.STEPS[step][0] for step in steps)], rows)


def _ledger_text(text: str, shared: Shared) -> str:
    steps = probes.steps_of(terms for _, terms in probes.ledgers(shared.found, "loss"))
    if "batch" not in steps:
        return text
    return (
        f"{text} Targets, augmentation: what training on changed images and softened or mixed "
        "labels adds, with the final weights."
    )


def _ensemble_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    rows: list[list[str]] = []
    headings = ["variant, first seed", "weight scaling"]
    for variant, found in shared.found.items():
        dropout = found[0].numbers.dropout
        if dropout:
            headings = [*headings[:2], *(f"T = {count}" for count in dropout.passes)]
            accuracies = [each.accuracy for each in (dropout.weight_scaling, *dropout.ensemble)]
            rows.append([variant, *map(_plain, accuracies)])
    return Table(headings, rows)


def _prediction_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    rows = []
    for variant, found in shared.found.items():
        numbers = found[0].numbers.predictions
        values = numbers.calibration_error, numbers.train_margin, numbers.test_margin
        rows.append([variant, *map(_plain, values)])
    headings = ["variant, first seed", "calibration error", "median train margin"]
    return Table([*headings, "median test margin"], rows)


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


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
        _budget_table,
    ),
    "together": _Plan(
        "Training and test curves",
        "Means over seeds; bands go from the lowest to the highest seed. Both sets are measured "
        "alike: in inference mode, without the penalty, after the same update.",
        _curve_table,
        CURVES,
    ),
    "curves": _Plan(
        "Each variant separately",
        "Training (dashed) and test (solid); the area between them is the generalization gap.",
        _curve_table,
        CURVES,
    ),
    "gap": _Plan(
        "The generalization gap over epochs",
        "The lead of the training set over the test set.",
        _gap_table,
        {key: CURVES[key] for key in ("accuracy", "loss")},
    ),
    "differences": _Plan(
        "Differences from the baseline",
        "Paired by seed, with 95% intervals where there are several. An interval that crosses "
        "zero decides nothing.",
        _difference_table,
    ),
    "cost": _Plan(
        "Accuracy against cost",
        "Seconds of training, on the machines below; up and to the left is better.",
        _cost_table,
    ),
    "sources": _Plan(
        "Where variance comes from",
        "The standard deviation over seeds where one source alone gets the seed, with 95% "
        "intervals: the choice of training images, initial weights, the order of images, and what "
        "a technique draws. The sources' sum need not be the variance of all together.",
        _source_table,
        {each.replace("_", " "): {"metric": each} for each in variances.METRICS},
    ),
    "interactions": _Plan(
        "How factors work together",
        "The mean final gap at each two levels of each two factors. Parallel lines: the effects "
        "add up. Lines that cross or converge: one changes what the other does.",
        _interaction_table,
    ),
    "ledger": _Plan(
        "The gap ledger",
        "The gap is not Keras' training number minus the test number. From top to bottom: the "
        "penalty, the cost of dropout and batch statistics in training, the effect of averaging "
        "over an epoch in which the model moves (and over the whole training set), and the true "
        "gap, with the same weights measured alike. The steps add up exactly.",
        _ledger_table,
        {key: {"metric": key} for key in ("loss", "accuracy")},
        _ledger_text,
    ),
    "ensemble": _Plan(
        "Dropout as an ensemble",
        "T random thinned networks, averaged, against the one network with scaled weights that "
        "inference uses (dotted).",
        _ensemble_table,
    ),
    "reliability": _Plan(
        "Calibration",
        "Accuracy at each level of confidence; below the diagonal the model is overconfident.",
        _prediction_table,
    ),
    "margins": _Plan(
        "Margins",
        "The true class's probability less that of the best other class: the share of examples "
        "below each margin. A gap shows as a distance between the two panels.",
        _prediction_table,
    ),
}
