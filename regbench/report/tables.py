"""The numbers behind each figure of the report, as a table of text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from regbench.analysis import evidence, variance
from regbench.analysis.rows import Difference
from regbench.figures import Shared, probes, tuning, variants
from regbench.figures.boundaries import points as points_of_looks
from regbench.figures.differences import compared
from regbench.figures.interactions import points
from regbench.runs import results_of
from regbench.studies import variances

if TYPE_CHECKING:
    import pandas

MOST_EPOCHS = 8


@dataclass(frozen=True)
class Table:
    """The numbers of a figure as text: the first cell of a row is its heading."""

    headings: list[str]
    rows: list[list[str]]


def curve_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    """Return train and test accuracy at some epochs, a row for each variant and set."""
    return epoch_table(frame, {"train": "train", "test": "test"})


def gap_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    return epoch_table(frame, {"gap": ""})


def epoch_table(frame: pandas.DataFrame, series: dict[str, str]) -> Table:
    data = variants.by_epoch(frame, "accuracy").set_index(["variant", "epoch"])
    last = int(data.index.get_level_values("epoch").max())
    steps = range(MOST_EPOCHS + 1)
    epochs = sorted({round(last * step / MOST_EPOCHS) for step in steps})
    rows = []
    for variant in variants.order(variants.labeled(frame)):
        for column, suffix in series.items():
            values = [data[column].get((variant, epoch)) for epoch in epochs]
            cells = ["" if value is None else f"{value:.3f}" for value in values]
            rows.append([f"{variant}{f', {suffix}' if suffix else ''}", *cells])
    return Table(["accuracy at epoch", *map(str, epochs)], rows)


def look_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    """Return the p-value of each claim at each look, and the band of p-values that decide."""
    rows = [
        [
            str(each["claim"]), str(each["verdict"]), str(each["seeds"]),
            *(f"{each[name]:.2g}" for name in ("p_value", "alone", "all_open")),
        ]
        for each in points_of_looks(frame)
    ]  # fmt: skip
    headings = ["claim", "verdict", "seeds", "p", "decides alone", "decides with all open"]
    return Table(headings, rows)


def budget_table(frame: pandas.DataFrame, shared: Shared) -> Table:
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


def difference_table(frame: pandas.DataFrame, shared: Shared) -> Table:
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


def cost_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    cells = [
        [variant, f"{row.seconds:.0f}", f"{row.parameters:,}", _plain(row.test_accuracy.mean)]
        for variant, row in compared(frame, None, shared.rows)
    ]
    return Table(["variant", "seconds", "parameters", "test accuracy"], cells)


def source_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    found = [each for metric in variances.METRICS for each in variance.decompose(frame, metric)]
    rows = [[", ".join(row[:2]), *row[2:]] for row in variances.rows(found)]
    return Table(["variant, metric, what varies", *variances.HEADINGS], rows)


def interaction_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    rows = [
        [*(f"{row[key]}" for key in ("panel", "level", "other")), f"{row['gap']:.3f}"]
        for row in points(results_of(frame))
    ]
    return Table(["factors", "level of the first", "of the second", "gap"], rows)


def ledger_table(frame: pandas.DataFrame, shared: Shared) -> Table:
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


def ensemble_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    rows: list[list[str]] = []
    headings = ["variant, first seed", "weight scaling"]
    for variant, found in shared.found.items():
        dropout = found[0].numbers.dropout
        if dropout:
            headings = [*headings[:2], *(f"T = {count}" for count in dropout.passes)]
            accuracies = [each.accuracy for each in (dropout.weight_scaling, *dropout.ensemble)]
            rows.append([variant, *map(_plain, accuracies)])
    return Table(headings, rows)


def prediction_table(frame: pandas.DataFrame, shared: Shared) -> Table:
    rows = []
    for variant, found in shared.found.items():
        numbers = found[0].numbers.predictions
        values = numbers.calibration_error, numbers.train_margin, numbers.test_margin
        rows.append([variant, *map(_plain, values)])
    headings = ["variant, first seed", "calibration error", "median train margin"]
    return Table([*headings, "median test margin"], rows)


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
