"""What a comparison says of each config, as a sentence: the answer before the numbers.

dropout narrows the gap by 0.124 (0.099 to 0.149; 5 seeds) and lowers the test accuracy by 0.070
(0.055 to 0.085).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from regbench.analysis.rows import ConfigRow, Difference
from regbench.analysis.statistics import ALPHA
from regbench.text import decimals

# What a reader asks first: does it narrow the gap, and does that help on new images?
ASKED = ("gap", "test_accuracy")
# Of a long comparison, only the first are told; the tables have all.
MOST = 8
# Other metrics are lowered and raised.
VERBS = {"gap": ("narrow", "widen")}
LEGEND = (
    "in brackets: 95% interval over seeds; shown: p of at most 0.05, corrected for the number of "
    "configs (Holm)"
)


def sentences(
    rows: Sequence[ConfigRow],
    labels: Sequence[str],
    metrics: Sequence[str] = ASKED,
    most: int | None = None,
) -> list[str]:
    """Return a sentence for each config that two or more pairs compare with the baseline.

    Args:
        rows: the result of `regbench.analysis.compare.compare`.
        labels: the name of each row, unique among them.
        metrics: what the sentences are about, one metric or two.
        most: how many sentences to return; `count` says how many there are. None means all.
    """
    baseline = next((label for row, label in zip(rows, labels, strict=True) if row.is_baseline), "")
    known = ((label, _known(row, metrics)) for row, label in zip(rows, labels, strict=True))
    told = (_sentence(label, baseline or "the baseline", found) for label, found in known if found)
    return list(itertools.islice(told, most))


def count(rows: Sequence[ConfigRow], metrics: Sequence[str] = ASKED) -> int:
    """Return how many sentences there are."""
    return sum(1 for row in rows if _known(row, metrics))


def _known(row: ConfigRow, metrics: Sequence[str]) -> dict[str, Difference]:
    """Return the differences that rest on two or more pairs, by metric."""
    found = {name: row.value(name).versus_baseline for name in metrics}
    return {name: each for name, each in found.items() if each and each.pairs > 1}


def _sentence(label: str, baseline: str, found: dict[str, Difference]) -> str:
    shown = {name: each for name, each in found.items() if _shown(each)}
    hidden = {name: each for name, each in found.items() if not _shown(each)}
    numbers = _Numbers(next(iter([*shown.values(), *hidden.values()])).pairs)
    changed = " and ".join(
        f"{_change(name, each)} by {numbers(each)}" for name, each in shown.items()
    )
    if not hidden:
        return f"{label} {changed}."
    seen = ", nor in the ".join(
        f"{in_words(name)}{_corrected(each)}: {numbers(each, '+')}" for name, each in hidden.items()
    )
    if changed:
        return f"{label} {changed}; no difference is shown in the {seen}."
    return f"{label} and {baseline}: no difference is shown in the {seen}."


class _Numbers:
    """Writes differences; the first says how many seeds stand behind all of them."""

    def __init__(self, pairs: int) -> None:
        self._seeds = f"; {pairs} seeds"

    def __call__(self, found: Difference, sign: str = "") -> str:
        """Return a difference and its interval, without their sign unless it is asked for."""
        mean, low, high = (each or 0.0 for each in (found.mean, found.low, found.high))
        if not sign:
            mean = abs(mean)
            low, high = sorted((abs(low), abs(high)))
        form = f"{sign},.{decimals(mean, low, high)}f"
        seeds, self._seeds = self._seeds, ""
        return f"{mean:{form}} ({low:{form}} to {high:{form}}{seeds})"


def _shown(found: Difference) -> bool:
    """Return whether a difference is decided: by its corrected p-value and its own interval."""
    return _apart(found) and found.p_holm is not None and found.p_holm <= ALPHA


def _apart(found: Difference) -> bool:
    """Return whether a difference's own interval is on one side of zero."""
    low, high = found.low, found.high
    return low is not None and high is not None and (low > 0 or high < 0)


def _corrected(found: Difference) -> str:
    return " once all configs are corrected for" if _apart(found) else ""


def _change(metric: str, found: Difference) -> str:
    return f"{verb(metric, (found.mean or 0.0) < 0)}s the {in_words(metric)}"


def verb(metric: str, down: bool) -> str:
    """Return what a difference does to a metric: narrow or widen a gap, lower or raise others."""
    return VERBS.get(metric, ("lower", "raise"))[0 if down else 1]


def in_words(metric: str) -> str:
    """Return a metric's name in words: "test accuracy", "epochs to train accuracy of 0.6"."""
    return re.sub(r"\((.*)\)", r" of \1", metric).replace("_", " ")
