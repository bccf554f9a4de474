"""The claims of a paper: each printed number, and the sign of each difference between two.

A row with a setting that is scaled down has no claim of its own: its number is another one, and
only differences to rows of the same size can be compared. What is counted and not sampled, such as
parameters, depends on the network alone, and is claimed as long as that has its printed size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from regbench.analysis import metrics
from regbench.papers.sections import Column, Difference, PaperFile
from regbench.studies.sections import Claim

# How the keys begin that decide what is counted: layers, parameters, multiply-adds.
NETWORK = ("model", "pooling", "data.center_crop")
PERCENT = 100.0


def of_paper(file: PaperFile, profile: str) -> list[Claim]:
    """Return the claims of a profile: those of rows by columns, then those of differences."""
    cells = [
        _of_cell(row, name, file)
        for row in file.rebuilt(profile)
        for name in judged(file, profile, row)
    ]
    return [*cells, *(_of_difference(file, each) for each in shown(file, profile))]


def shown(file: PaperFile, profile: str) -> Iterator[Difference]:
    """Yield the differences whose rows are both rebuilt."""
    rows = set(file.rebuilt(profile))
    yield from (each for each in file.differences if {each.row, each.against} <= rows)


def judged(file: PaperFile, profile: str, row: str) -> list[str]:
    """Return the columns of a row whose printed numbers can be compared with what is measured."""
    printed = file.rows[row].printed
    return [
        name
        for name in file.columns
        if name in printed and not is_scaled_down(file, profile, row, name)
    ]


def is_scaled_down(file: PaperFile, profile: str, row: str, column: str) -> bool:
    """Return whether a row's number in a column is that of a smaller experiment."""
    counted = metrics.metric(file.columns[column].metric).exact
    return any(
        each.status == "scaled down" and (not counted or key.startswith(NETWORK))
        for key, each in file.settings_of(profile, row).items()
    )


def direction(file: PaperFile, difference: Difference) -> Literal["lower", "higher"] | None:
    """Return whether a row's metric is to be lower or higher; None if nothing says it."""
    column = file.columns[difference.column]
    printed = printed_difference(file, difference)
    if difference.expect:
        sign = 1.0 if difference.expect == "higher" else -1.0
    else:
        sign = printed or 0.0
    sign *= -1.0 if column.unit == "error percent" else 1.0
    return None if not sign else "higher" if sign > 0 else "lower"


def printed_difference(file: PaperFile, difference: Difference) -> float | None:
    """Return the printed difference, in the column's unit; None if a number is not printed."""
    one, other = (file.rows[each].printed for each in (difference.row, difference.against))
    if difference.column not in one or difference.column not in other:
        return None
    return round(one[difference.column] - other[difference.column], 10)


def chance_error(file: PaperFile, difference: Difference) -> float | None:
    """Return the standard error that the paper's test images leave of a printed difference.

    It takes both accuracies for independent ones: that of the same images is smaller.
    """
    column = file.columns[difference.column]
    if column.examples is None or printed_difference(file, difference) is None:
        return None
    shares = [
        metric_of(column, file.rows[each].printed[difference.column])
        for each in (difference.row, difference.against)
    ]
    return PERCENT * math.sqrt(sum(each * (1 - each) for each in shares) / column.examples)


def metric_of(column: Column, printed: float) -> float:
    """Return a printed number as its metric has it."""
    if column.unit == "percent":
        return printed / PERCENT
    return 1 - printed / PERCENT if column.unit == "error percent" else printed


def printed_of(column: Column, value: float) -> float:
    """Return a metric in the unit that its column is printed in."""
    if column.unit == "percent":
        return PERCENT * value
    return PERCENT * (1 - value) if column.unit == "error percent" else value


def scale_of(column: Column) -> float:
    """Return what a difference of the metric is multiplied with to have the printed unit."""
    return {"percent": PERCENT, "error percent": -PERCENT, "number": 1.0}[column.unit]


def _of_cell(row: str, name: str, file: PaperFile) -> Claim:
    column, printed = file.columns[name], file.rows[row].printed[name]
    return Claim(
        text=f"{file.rows[row].label}: {column.heading} {printed:g}",
        metric=column.metric,
        variant=row,
        against=metric_of(column, printed),
        expect="same",
        margin=column.margin / abs(scale_of(column)),
    )


def _of_difference(file: PaperFile, difference: Difference) -> Claim:
    expect = direction(file, difference)
    assert expect  # checked when the file was read
    return Claim(
        text=difference.text,
        metric=file.columns[difference.column].metric,
        variant=difference.row,
        against=difference.against,
        expect=expect,
    )
