"""What the trials of a search say: the best of k, whether more would help, which key matters.

Scores are the metric of each trial, in the order of the trials; a diverged one is NaN, and counts
as the worst that is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from regbench.analysis.statistics import CONFIDENCE

Better = Literal["lower", "higher"]
Scores = NDArray[np.float64]

# A search has leveled off if its second half is expected to bring at most this share of its gain.
LEVEL = 0.1
# With fewer trials, nothing can be said about halves.
FEWEST = 4


@dataclass(frozen=True)
class BestOf:
    """The best of `trials` trials: its expectation, and the range of 95% of such searches."""

    trials: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Importance:
    """What a key does to the metric, over the ranks of all trials.

    `trend` is Spearman's rank correlation of value and metric, None for a choice, which has no
    order: above zero, a larger value goes with a larger metric. `explained` is the share of the
    ranks' variance that the key accounts for by itself, a parabola's or that of the choices' means,
    adjusted for their number; 0 if no more than chance, None with too few trials.
    """

    key: str
    trend: float | None
    explained: float | None


def best(scores: Sequence[float], better: Better) -> int | None:
    """Return the place of the best score, the first of equal ones; None if all are NaN."""
    known = np.asarray(scores, np.float64)
    if not np.isfinite(known).any():
        return None
    return int(np.nanargmin(known) if better == "lower" else np.nanargmax(known))


def expected_best(scores: Sequence[float], better: Better) -> list[BestOf]:
    """Return the expected best of 1, 2, ... trials, as if each were drawn from these.

    With F the share of trials that are no better than v, the best of k is no better than v with
    chance F(v)^k. Near the number of trials it is a little pessimistic, since a draw can repeat.

    Source: Dodge et al., "Show Your Work: Improved Reporting of Experimental Results", 2019; for
    the bias, Tang et al., "Showing Your Work Doesn't Always Work", 2020.
    """
    ordered = np.sort(_filled(scores, better))  # lower is better: the best comes first
    count, sign = len(ordered), 1.0 if better == "lower" else -1.0
    rank = np.arange(count + 1)
    found = []
    for trials in range(1, count + 1):
        no_better = ((count - rank) / count) ** trials  # than the ranks before
        weights = no_better[:-1] - no_better[1:]
        low, high = (
            sign * ordered[_quantile(weights, level)]
            for level in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
        )
        mean = sign * float(weights @ ordered)
        found.append(BestOf(trials, mean, float(min(low, high)), float(max(low, high))))
    return found


def has_leveled_off(expected: Sequence[BestOf]) -> bool | None:
    """Return whether the second half of the trials brought little; None with too few trials."""
    if len(expected) < FEWEST:
        return None
    first, half, last = (expected[place].mean for place in (0, len(expected) // 2 - 1, -1))
    return abs(half - last) <= LEVEL * abs(first - last)


def importance(
    key: str, values: Sequence[object], scores: Sequence[float], better: Better, ordered: bool
) -> Importance:
    """Return what a key does to the metric.

    A parabola sees a best value in the middle, which a correlation does not. It stands for the
    main effect of a functional analysis of variance.

    Source: Hutter, Hoos and Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter
    Importance", 2014.

    Args:
        key: the key, for the result.
        values: the value of each trial: numbers if `ordered`.
        scores: the metric of each trial.
        better: which scores are better.
        ordered: whether the key is a range.
    """
    from scipy.stats import rankdata

    filled = _filled(scores, better)
    ranks = rankdata(filled if better == "lower" else -filled)  # of the metric itself
    groups = np.unique([repr(value) for value in values], return_inverse=True)[1]
    trend, design = None, np.eye(groups.max() + 1)[groups]
    if ordered:
        places = rankdata(np.asarray(values, np.float64))
        trend = _correlation(places, ranks)
        if groups.max() > 1:
            middle = places - places.mean()
            design = np.stack([np.ones_like(middle), middle, middle**2], axis=1)
    return Importance(key, trend, _explained(design, ranks))


def outermost(values: Sequence[float], place: int) -> Literal["lowest", "highest"] | None:
    """Return at which border of the tried values one of them lies; None if it lies between."""
    if values[place] == min(values):
        return "lowest"
    return "highest" if values[place] == max(values) else None


def _filled(scores: Sequence[float], better: Better) -> Scores:
    """Return the scores so that lower is better, with the worst known one for NaN."""
    known = np.asarray(scores, np.float64) * (1.0 if better == "lower" else -1.0)
    finite = known[np.isfinite(known)]
    return np.where(np.isfinite(known), known, finite.max() if len(finite) else 0.0)


def _quantile(weights: Scores, level: float) -> int:
    return min(int(np.searchsorted(weights.cumsum(), level)), len(weights) - 1)


def _correlation(one: Scores, other: Scores) -> float | None:
    if not one.std() or not other.std():
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _explained(design: Scores, ranks: Scores) -> float | None:
    """Return the adjusted share of the variance that a linear model explains, at least 0."""
    count, used = design.shape
    left = count - used
    if left < 2:
        return None
    fitted = design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
    total = float(((ranks - ranks.mean()) ** 2).sum())
    if not total:
        return 0.0
    share = 1 - float(((ranks - fitted) ** 2).sum()) / total
    adjusted = 1 - (1 - share) * (count - 1) / left
    return adjusted if math.isfinite(adjusted) and adjusted > 0 else 0.0
