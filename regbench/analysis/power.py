"""The power of paired t tests: the pairs that a difference of a given size takes.

Only `scipy.special` is imported, as in `statistics`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from regbench.analysis import statistics
from regbench.analysis.statistics import ALPHA, Sample

# Nobody trains more seeds than this: a difference that needs them does not matter in practice.
MOST_PAIRS = 10_000
# Beyond this, SciPy computes noncentral t inaccurately, and it isn't needed: the error of the mean
# is then negligible, and only that of the standard deviation remains.
LARGE_SHIFT = 30.0
# Of standard deviations; with two pairs, 40 are needed, and with a strict alpha more.
LARGEST_EFFECT = 1e6

# At the observed spread, at the least and at the largest plausible one; None where not known.
PairsNeeded = tuple[int | None, int | None, int | None]
UNKNOWN: PairsNeeded = (None, None, None)


def pairs_needed(
    mean: float, spread: float, power: float = 0.8, alpha: float = ALPHA
) -> int | None:
    """Return how many pairs a t test needs to detect a mean difference with probability `power`.

    None if there is no difference to detect, or if it would take more than 10,000 pairs.

    Args:
        mean: the true mean difference.
        spread: the standard deviation of the differences.
        power: between 0 and 1.
        alpha: how often a true difference of zero may be declared a difference.

    Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988.
    """
    if mean == 0 or not math.isfinite(mean) or not math.isfinite(spread):
        return None
    if spread == 0:
        return 2
    effect = abs(mean) / spread
    guess = int(_guess(np.array(effect), power, alpha))
    return _fewest(lambda pairs: _power(effect, pairs, alpha) >= power, guess)


def pairs_needed_each(
    means: Sample, spreads: Sample, power: float = 0.8, alpha: float = ALPHA
) -> list[int | None]:
    """Return what `pairs_needed` does for each mean (n,) and spread (n,), many times as fast."""
    found: list[int | None] = [None] * len(means)
    known = (means != 0) & np.isfinite(means) & np.isfinite(spreads)
    for place in np.flatnonzero(known & (spreads == 0)).tolist():
        found[place] = 2
    places = np.flatnonzero(known & (spreads != 0))
    with np.errstate(over="ignore"):
        effects = np.abs(means[places]) / spreads[places]
    guesses = _guess(effects, power, alpha)
    fewest = _fewest_each(effects, guesses, power, alpha)
    for place, pairs in zip(places.tolist(), fewest, strict=True):
        found[place] = pairs
    return found


def pairs_needed_of(samples: Sequence[Sample]) -> list[PairsNeeded]:
    """Return how many pairs would show each difference, given its observed mean and spread.

    The second and third numbers are for the ends of an 80% interval of the spread.
    """
    means, spreads = np.full(len(samples), math.nan), np.full((3, len(samples)), math.nan)
    for count, places, of_size, observed in statistics.moments(samples):
        least, most = spread_factors(count)
        means[places] = of_size
        with np.errstate(over="ignore"):
            spreads[:, places] = observed, observed * least, observed * most
    needed = pairs_needed_each(np.tile(means, 3), spreads.ravel())
    third = len(samples)
    return list(zip(needed[:third], needed[third : 2 * third], needed[2 * third :], strict=True))


def _fewest_each(
    effects: Sample, guesses: NDArray[np.int64], power: float, alpha: float
) -> list[int | None]:
    """Return the smallest numbers of pairs that are enough; all take the steps of `_fewest`."""
    low, high, middle = np.ones_like(guesses), np.full_like(guesses, MOST_PAIRS), guesses
    step = 1
    while (active := np.flatnonzero(high - low > 1)).size:
        least, most, next_ones = low[active], high[active], middle[active]
        inside = (least < next_ones) & (next_ones < most)
        tried = np.where(inside, next_ones, (least + most) // 2)
        enough = _are_enough(effects[active], tried, power, alpha)
        high[active] = np.where(enough, tried, most)
        low[active] = np.where(enough, least, tried)
        middle[active] = np.where(enough, tried - step, tried + step)
        step *= 2
    limit = high == MOST_PAIRS
    missing = ~_are_enough(effects[limit], high[limit], power, alpha)
    found: list[int | None] = high.tolist()
    for place in np.flatnonzero(limit)[missing]:
        found[place] = None
    return found


def _are_enough(
    effects: Sample, pairs: NDArray[np.int64], power: float, alpha: float
) -> NDArray[np.bool_]:
    """Return whether `_power` reaches `power`, for each effect (n,) with these pairs (n,)."""
    from scipy import special

    degrees, shifts = pairs - 1, effects * np.sqrt(pairs)
    sizes, place = np.unique(degrees, return_inverse=True)
    edges = np.array([statistics.t_quantile(1 - alpha / 2, each) for each in sizes.tolist()])[place]
    reached = np.empty(len(effects))
    large = shifts > LARGE_SHIFT
    with np.errstate(over="ignore"):
        squares = (shifts[large] / edges[large]) ** 2
    reached[large] = special.chdtr(degrees[large], degrees[large] * squares)
    small = ~large
    reached[small] = 1 - special.nctdtr(degrees[small], shifts[small], edges[small])
    # The other tail is slow to compute and holds less than `alpha`: it seldom decides.
    close = small & (reached < power) & (reached >= power - alpha)
    lower = special.nctdtr(degrees[close], shifts[close], -edges[close])
    reached[close] += np.where(np.isfinite(lower), lower, 0.0)
    return reached >= power


def pairs_needed_for_same(
    mean: float, spread: float, margin: float, power: float = 0.8, alpha: float = ALPHA
) -> int | None:
    """Return how many pairs are needed for an interval within `-margin` to `margin` at this power.

    Both ends count: even with a mean of 0, the interval can stick out on either side.

    Args:
        mean: the true mean difference; the result is None if it is not within the margin.
        spread: the standard deviation of the differences.
        margin: the limit of what counts as the same.
        power: between 0 and 1.
        alpha: 1 minus the confidence of the interval.

    Source: Phillips, "Power of the Two One-Sided Tests Procedure in Bioequivalence", 1990. The
    chance that both ends are cleared is the sum of the chances of each, minus 1. That neglects
    the cases in which neither is cleared, which are too rare to matter at any useful power.
    """
    if not abs(mean) < margin or not math.isfinite(spread):
        return None
    if spread == 0:
        return 2
    ends = ((margin - mean) / spread, (margin + mean) / spread)

    def enough(pairs: int) -> bool:
        return sum(_power(effect, pairs, alpha, sides=1) for effect in ends) - 1 >= power

    return _fewest(enough, int(_guess(np.array(min(ends)), power, alpha)))


def smallest_difference(
    spread: float, pairs: int, power: float = 0.8, alpha: float = ALPHA, same: bool = False
) -> float | None:
    """Return the smallest mean difference that so many pairs detect at this power.

    With `same`, the smallest margin within which a difference of zero is shown to lie. None for
    fewer than two pairs, or if a difference would have to be enormous.

    Args:
        spread: the standard deviation of the differences.
        pairs: the number of pairs, at least two.
        power: between 0 and 1.
        alpha: how often a true difference of zero may be declared a difference.
        same: whether a test of equivalence is meant, in which both ends of an interval count.

    Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988.
    """
    if pairs < 2 or not math.isfinite(spread):
        return None
    # Both ends of the interval have to be cleared: see `pairs_needed_for_same`.
    sides, least = (1, (1 + power) / 2) if same else (2, power)
    low, high = 0.0, LARGEST_EFFECT
    if _power(high, pairs, alpha, sides) < least:
        return None
    for _ in range(50):
        middle = (low + high) / 2
        enough = _power(middle, pairs, alpha, sides) >= least
        low, high = (low, middle) if enough else (middle, high)
    return high * spread


def spread_interval(spread: float, pairs: int, confidence: float = 0.8) -> tuple[float, float]:
    """Return a confidence interval for the standard deviation of a normal sample.

    (n - 1) s^2 / sigma^2 follows a chi-square distribution with n - 1 degrees of freedom.
    Source: Cochran, "The Distribution of Quadratic Forms in a Normal System", 1934.
    """
    low, high = spread_factors(pairs, confidence)
    return spread * low, spread * high


def spread_factors(pairs: int, confidence: float = 0.8) -> tuple[float, float]:
    """Return the ends of `spread_interval` in standard deviations of the sample."""
    degrees, tail = pairs - 1, (1 - confidence) / 2
    low, high = (_chi_square_quantile(degrees, each) for each in (tail, 1 - tail))
    return math.sqrt(degrees / low), math.sqrt(degrees / high)


@functools.cache
def _chi_square_quantile(degrees: int, tail: float) -> float:
    """Return the value above which this share of a chi-square distribution lies."""
    from scipy import special

    return float(special.chdtri(degrees, tail))


def _fewest(enough: Callable[[int], bool], guess: int) -> int | None:
    """Return the smallest number of pairs that is enough; None if 10,000 are not."""
    # Power grows with the number of pairs: `low` is too few, `high` enough if any number is. A good
    # guess takes 3 calls of `enough`, the slow part of comparing many configs; bisection takes 14.
    low, high, middle, step = 1, MOST_PAIRS, guess, 1
    while high - low > 1:
        middle = middle if low < middle < high else (low + high) // 2
        if enough(middle):
            high, middle = middle, middle - step
        else:
            low, middle = middle, middle + step
        step *= 2
    return high if high < MOST_PAIRS or enough(MOST_PAIRS) else None


def _guess(effects: Sample, power: float, alpha: float) -> NDArray[np.int64]:
    """Return about how many pairs are needed. Source: Guenther, "Sample Size Formulas", 1981."""
    edge = statistics.normal_quantile(1 - alpha / 2)
    reach = edge + statistics.normal_quantile(power)
    pairs = (reach / np.maximum(effects, 1e-6)) ** 2 + edge**2 / 2
    return np.ceil(np.minimum(pairs, MOST_PAIRS)).astype(np.int64)


def _power(effect: float, pairs: int, alpha: float, sides: int = 2) -> float:
    """Return the probability that a two-sided t test detects a mean of `effect` deviations.

    With `sides=1`, the probability that it detects the mean on the side where it lies.
    Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988.
    """
    from scipy import special

    # If the true mean is not zero, t is noncentral: shifted by effect * sqrt(n). The power is how
    # much of that distribution lies beyond the quantiles of the central one.
    degrees, shift = pairs - 1, effect * math.sqrt(pairs)
    edge = statistics.t_quantile(1 - alpha / 2, degrees)
    if shift > LARGE_SHIFT:
        return float(special.chdtr(degrees, degrees * (shift / edge) ** 2))
    upper = 1 - special.nctdtr(degrees, shift, edge)
    if sides == 1:
        return float(upper)
    lower = special.nctdtr(degrees, shift, -edge)
    # Far in the wrong tail SciPy may return NaN; that tail adds nothing.
    return float(upper + (lower if math.isfinite(lower) else 0.0))
