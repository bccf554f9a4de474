"""The data of the figures: one row per variant and epoch, from the frame of all runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from regbench.analysis.gap import gap
from regbench.analysis.statistics import finite, intervals
from regbench.figures.style import Style, styles
from regbench.runs import Results, copies, results_of
from regbench.text import number

if TYPE_CHECKING:
    import pandas

BASELINE = "baseline"
# Names that every JavaScript object has; Vega would find those instead of a variant's.
JAVASCRIPT = frozenset((
    "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString",
    "toString", "valueOf",
))  # fmt: skip


def labeled(runs: Results | pandas.DataFrame) -> pandas.DataFrame:
    """Return the frame with a column `variant`: the name, with the hash if the name is not enough.

    The hash is added if configs share a name, or if the name has a meaning in JavaScript. Duplicate
    runs, as in a copied results folder, are dropped.
    """
    frame = copies.distinct(runs)
    return frame.assign(variant=_labels(frame, results_of(runs).labels))


def order(frame: pandas.DataFrame) -> list[str]:
    """Return the variants of a labeled frame, the baseline first."""
    names = dict(zip(frame["variant"], frame["name"], strict=True))
    return sorted(names, key=lambda variant: (names[variant] != BASELINE, variant))


def looks(frame: pandas.DataFrame) -> list[Style]:
    """Return the style of every variant of a labeled frame, the baseline's first."""
    ordered = order(frame)
    named = set(frame.loc[frame["name"] == BASELINE, "variant"])
    return styles(ordered, [variant for variant in ordered if variant in named])


def by_epoch(
    runs: Results | pandas.DataFrame, metric: Literal["accuracy", "loss"]
) -> pandas.DataFrame:
    """Return a row per variant and epoch: mean, lowest and highest over seeds.

    Columns are `variant`, `epoch`, and `train`, `test` and `gap`, each also with `_low` and
    `_high`; `panel` is the variant with its final gap and half of that one's 95% interval. The gap
    says how much worse the test set is, in accuracy or loss. Epochs of a run that diverged have no
    numbers and are left out.
    """
    frame = labeled(runs)
    train, test = frame[f"train_{metric}"], frame[f"test_{metric}"]
    frame = frame.assign(train=train, test=test, gap=gap(train, test, metric))
    statistics = {
        f"{side}{suffix}": (side, how)
        for side in ("train", "test", "gap")
        for suffix, how in (("", "mean"), ("_low", "min"), ("_high", "max"))
    }
    data = frame.groupby(["variant", "epoch"], as_index=False).agg(**statistics)
    # Four decimals are more than a line of two pixels can show, and keep the page small.
    data = data.dropna().round(4)
    return data.assign(panel=_titles(frame, data))


def _labels(frame: pandas.DataFrame, known: Mapping[tuple[str, str], str]) -> list[str]:
    if known:
        keys = zip(frame["name"], frame["config_hash"], strict=True)
        return [known[key] for key in keys]
    shared = frame.groupby("name")["config_hash"].nunique()
    return [
        f"{name} {config_hash}" if shared[name] > 1 or name in JAVASCRIPT else name
        for name, config_hash in zip(frame["name"], frame["config_hash"], strict=True)
    ]


def _titles(frame: pandas.DataFrame, data: pandas.DataFrame) -> list[str]:
    """Return each row's panel title: the variant and its final gap, with its interval."""
    last = data.groupby("variant")["epoch"].last()
    final = frame[frame["epoch"] == frame["variant"].map(last)].groupby("variant")["gap"]
    samples = {str(variant): finite(gaps.to_numpy()) for variant, gaps in final}
    found = dict(zip(samples, intervals(list(samples.values())), strict=True))
    return [f"{variant}, gap {number(found[variant])}" for variant in data["variant"]]
