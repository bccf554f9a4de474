"""From the frame of all runs to one row per variant and epoch, which the figures draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from regbench.analysis.gap import gap
from regbench.figures.style import Style, styles
from regbench.runs import Results, copies

if TYPE_CHECKING:
    import pandas

BASELINE = "baseline"
# Names that every object of JavaScript has; Vega would find its own in place of a variant's.
JAVASCRIPT = frozenset((
    "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString",
    "toString", "valueOf",
))  # fmt: skip


def labeled(runs: Results | pandas.DataFrame) -> pandas.DataFrame:
    """Return the frame with a column `variant`: the name, and the hash where one is not enough.

    That is where configs share a name, and where it means something to the page's script.

    Runs that are there twice, as in a copied results folder, are there once.
    """
    frame = copies.distinct(runs)
    return frame.assign(variant=_labels(frame))


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
    `_high`; `panel` is the variant with its final gap. The gap is what the test set is worse by:
    of accuracy or of loss. Epochs of a run that diverged have no numbers and are left out.
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
    # Four places are more than a line of two pixels shows, and keep a page small.
    data = data.dropna().round(4)
    return data.assign(panel=_titles(data))


def _labels(frame: pandas.DataFrame) -> list[str]:
    shared = frame.groupby("name")["config_hash"].nunique()
    return [
        f"{name} {config_hash}" if shared[name] > 1 or name in JAVASCRIPT else name
        for name, config_hash in zip(frame["name"], frame["config_hash"], strict=True)
    ]


def _titles(data: pandas.DataFrame) -> list[str]:
    """Return each row's panel title: the variant and its final gap."""
    last = data.groupby("variant")["gap"].last()
    return [f"{variant}, gap {last[variant]:.2f}" for variant in data["variant"]]
