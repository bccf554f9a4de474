"""Intervals, p-values and sample sizes. SciPy does the mathematics.

Of SciPy, `scipy.special` alone is imported: `scipy.stats` has the same functions under friendlier
names, and takes half a second to import.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# How often a difference of zero may be called one: of every verdict, p-value and interval.
ALPHA = 0.05
CONFIDENCE = 1 - ALPHA
# A sign-flip test of up to this many pairs counts every pattern; of more, a sample of 9,999.
EXACT_PAIRS = 13
PATTERNS = 9_999
# How many numbers a batch of sign patterns may hold: 80 MB.
MOST_NUMBERS = 10**7
# Statistics this close to each other are equal but for rounding.
ROUNDING = 1e-12
# Nobody trains more seeds than this: a difference that needs them is none for practice.
MOST_PAIRS = 10_000
# Noncentral t of more than this is not computed well, and not needed: the mean's own error is small
# against it, and only that of the standard deviation is left.
LARGE_SHIFT = 30.0

Sample = NDArray[np.float64]


@dataclass(frozen=True)
class Floor:
    """What is known of the error of a mean difference, however close together its values lie.

    `deviation` is the smallest standard deviation of a difference that is believed, `error` the
    smallest standard error of their mean, which is known and not estimated from the values.
    """

    deviation: float = 0.0
    error: float = 0.0


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its interval; None where a number is not known."""

    mean: float | None
    low: float | None = None
    high: float | None = None

    @property
    def point(self) -> Interval:
        """The mean alone."""
        return Interval(self.mean)


def interval(
    values: Sample, confidence: float = CONFIDENCE, floor: Floor | None = None
) -> Interval:
    """Return the mean of values (n,) and the ends of its t interval; with one value, no ends.

    Values that are not finite are left out. With a `floor` the interval is not narrower than that.
    """
    floor = floor or Floor()
    values = finite(values)
    if len(values) == 0:
        return Interval(None)
    if len(values) == 1:
        return Interval(float(values[0]))
    with np.errstate(over="ignore", invalid="ignore"):
        mean = _mean(values)
        probability = (1 + confidence) / 2
        half = max(
            t_quantile(probability, len(values) - 1) * standard_error(values, floor.deviation),
            normal_quantile(probability) * floor.error,
        )
        ends = (mean, mean - half, mean + half)
    return Interval(*(float(each) if np.isfinite(each) else None for each in ends))


def finite(values: Sample) -> Sample:
    """Return the values that are neither infinite nor missing."""
    return values[np.isfinite(values)]


def _mean(values: Sample) -> float:
    # The mean of equal values may be another one, by rounding.
    return float(values[0] if values.min() == values.max() else values.mean())


def standard_error(values: Sample, least: float = 0.0) -> float:
    """Return the standard error of the mean of two or more values (n,).

    Their standard deviation is taken to be `least` where it is smaller.
    """
    equal = values.min() == values.max()  # equal values may have some, by rounding
    return max(0.0 if equal else float(values.std(ddof=1)), least) / math.sqrt(len(values))


@functools.cache
def normal_quantile(probability: float) -> float:
    """Return the quantile of the standard normal distribution."""
    from scipy import special

    return float(special.ndtri(probability))


@functools.cache
def t_quantile(probability: float, degrees: int) -> float:
    """Return the quantile of Student's t distribution."""
    from scipy import special

    return float(special.stdtrit(degrees, probability))


def t_tail(statistic: float, degrees: int) -> float:
    """Return the probability that Student's t is at least `statistic`."""
    from scipy import special

    return float(special.stdtr(degrees, -statistic))


def paired_p(differences: Sample, null: float = 0.0, floor: Floor | None = None) -> float | None:
    """Return the two-sided p-value of the t test that differences (n,) have the mean `null`.

    None for fewer than two, or for numbers beyond all bounds. It is the smallest alpha at which
    `interval`, with the same `floor`, leaves `null` out. Differences that are all the same and have
    no floor have no spread to test with, and may be so by chance: the p-value is 1 where they equal
    `null`, else that of a sign-flip test.
    """
    differences, floor = finite(differences), floor or Floor()
    if len(differences) < 2:
        return None
    with np.errstate(over="ignore", invalid="ignore"):  # numbers of a damaged or diverged run
        distance = abs(_mean(differences) - null)
        error = standard_error(differences, floor.deviation)
    if error == 0:
        p = 1.0 if distance == 0 else sign_flip_floor(len(differences))
    else:
        p = 2 * t_tail(distance / error, len(differences) - 1)
    if floor.error:
        p = max(p, 2 * _normal_tail(distance / floor.error))
    return None if math.isnan(p) else p


def _normal_tail(statistic: float) -> float:
    from scipy import special

    return float(special.ndtr(-statistic))


def sign_p(certain: int, pairs: int) -> float:
    """Return the two-sided p-value of a sign test: `certain` of `pairs` lie on one side.

    It asks for an order alone, which is all that censored numbers have.
    Source: Dixon and Mood, "The Statistical Sign Test", 1946.
    """
    from scipy import special

    return min(1.0, 2 * float(special.bdtrc(certain - 1, pairs, 0.5))) if certain else 1.0


def skewness(values: Sample) -> float:
    """Return the skewness of values (n,), 0 where they are all the same."""
    centered = values - _mean(values)
    spread = float(np.sqrt((centered**2).mean()))
    return float((centered**3).mean()) / spread**3 if spread else 0.0


def is_skewed(values: Sample) -> bool:
    """Whether values (n,) are more skewed than about 1 in 30 normal samples is.

    The limit is twice the standard error of the skewness of a normal sample. Fewer than five values
    never reach it, and five reach it only where one is far out: not seeing skew is no proof.
    Source: Fisher, "The Moments of the Distribution for Normal Samples of Measures of Departure
    from Normality", 1930.
    """
    n = len(values)
    return n >= 5 and abs(skewness(values)) > 2 * math.sqrt(6 * (n - 2) / ((n + 1) * (n + 3)))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values adjusted for their number: the chance of any false alarm stays below `ALPHA`.

    None stays None, and does not count.
    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
    """
    adjusted: list[float | None] = [None] * len(p_values)
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    largest = 0.0
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        adjusted[index] = largest
    return adjusted


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p-value that two models err equally often on the same examples.

    Args:
        only_first: how many examples the first model alone gets right.
        only_second: how many the second model alone gets right.

    Source: McNemar, "Note on the Sampling Error of the Difference Between Correlated Proportions
    or Percentages", 1947; exact, by the binomial distribution.
    """
    from scipy import special

    fewer, both = min(only_first, only_second), only_first + only_second
    return min(1.0, 2 * float(special.bdtr(fewer, both, 0.5))) if both else 1.0


def pairs_needed(
    mean: float, spread: float, power: float = 0.8, alpha: float = ALPHA
) -> int | None:
    """Return how many pairs let a t test see a mean difference with probability `power`.

    None where there is no difference to see, or where it would take more than 10,000.

    Args:
        mean: the true mean difference.
        spread: the standard deviation of the differences.
        power: between 0 and 1.
        alpha: how often a difference of zero may be called one.

    Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988.
    """
    if mean == 0 or not math.isfinite(mean) or not math.isfinite(spread):
        return None
    if spread == 0:
        return 2
    effect = abs(mean) / spread
    return _fewest(lambda pairs: _power(effect, pairs, alpha) >= power)


def pairs_needed_for_same(
    mean: float, spread: float, margin: float, power: float = 0.8, alpha: float = ALPHA
) -> int | None:
    """Return how many pairs put the interval inside of `-margin` to `margin` with this power.

    Both ends count: a mean that is in the middle can be missed on either side.

    Args:
        mean: the true mean difference; None is returned for one that is not inside.
        spread: the standard deviation of the differences.
        margin: the limit of what counts as the same.
        power: between 0 and 1.
        alpha: 1 less the confidence of the interval.

    Source: Phillips, "Power of the Two One-Sided Tests Procedure in Bioequivalence", 1990. The
    chance that both ends are cleared is the sum of each end's, less 1: exact but for cases in which
    neither is, which are too rare to matter where the power is worth having.
    """
    if not abs(mean) < margin or not math.isfinite(spread):
        return None
    if spread == 0:
        return 2
    ends = ((margin - mean) / spread, (margin + mean) / spread)

    def enough(pairs: int) -> bool:
        return sum(_power(effect, pairs, alpha, sides=1) for effect in ends) - 1 >= power

    return _fewest(enough)


def spread_interval(spread: float, pairs: int, confidence: float = 0.8) -> tuple[float, float]:
    """Return the interval of a normal sample's standard deviation, from its chi-square."""
    from scipy import special

    degrees, tail = pairs - 1, (1 - confidence) / 2
    low, high = (float(special.chdtri(degrees, each)) for each in (tail, 1 - tail))
    return spread * math.sqrt(degrees / low), spread * math.sqrt(degrees / high)


def _fewest(enough: Callable[[int], bool]) -> int | None:
    """Return the smallest number of pairs that is enough; None where 10,000 are not."""
    if not enough(MOST_PAIRS):
        return None
    low, high = 1, MOST_PAIRS  # low is too few, high is enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _power(effect: float, pairs: int, alpha: float, sides: int = 2) -> float:
    """Return the probability that a two-sided t test sees a mean of `effect` spreads.

    With `sides=1`, that it sees it on the side where it is.
    """
    from scipy import special

    degrees, shift = pairs - 1, effect * math.sqrt(pairs)
    edge = t_quantile(1 - alpha / 2, degrees)
    if shift > LARGE_SHIFT:
        return float(special.chdtr(degrees, degrees * (shift / edge) ** 2))
    upper = 1 - special.nctdtr(degrees, shift, edge)
    if sides == 1:
        return float(upper)
    lower = special.nctdtr(degrees, shift, -edge)
    # Far in the wrong tail SciPy may find no number; that tail adds nothing.
    return float(upper + (lower if math.isfinite(lower) else 0.0))


def sign_flip_floor(pairs: int) -> float:
    """Return the smallest p-value that a sign-flip test of so many pairs can give."""
    return 2.0 ** (1 - pairs) if pairs <= EXACT_PAIRS else 1 / (PATTERNS + 1)


def sign_flips(samples: Sequence[Sample]) -> list[float | None]:
    """Return the two-sided p-value of a mean difference of zero for each sample of differences.

    Exact: the share of sign patterns whose mean is at least as far from zero; never below 2/2^n
    for n differences, and None for fewer than two. Of more than 13, 9,999 random patterns beside
    the one that was seen, the same ones every time.
    Source: Fisher, "The Design of Experiments", 1935.
    """
    p_values: list[float | None] = [None] * len(samples)
    # One product for all samples of a size: a call per sample would cost more than its numbers.
    for count in {len(sample) for sample in samples} - {0, 1}:
        chosen = [index for index, sample in enumerate(samples) if len(sample) == count]
        for index, p in zip(chosen, _sign_flip([samples[i] for i in chosen]), strict=True):
            p_values[index] = float(p)
    return p_values


def _sign_flip(samples: list[Sample]) -> Sample:
    differences = np.stack(samples)
    extreme = np.zeros(len(differences), np.int64)
    seen = np.abs(differences.sum(axis=1))
    # Sums of equal terms in another order differ by rounding: such patterns are as extreme.
    least = seen - ROUNDING * np.abs(differences).sum(axis=1)
    patterns = _patterns(differences.shape[1])
    step = max(1, MOST_NUMBERS // len(patterns))
    for start in range(0, len(differences), step):
        sums = np.abs(differences[start : start + step] @ patterns.T)
        extreme[start : start + step] = (sums >= least[start : start + step, None]).sum(axis=1)
    exact = differences.shape[1] <= EXACT_PAIRS
    # A pattern and its opposite are equally extreme, so half of them stand for all.
    return extreme / len(patterns) if exact else (extreme + 1) / (len(patterns) + 1)


@functools.cache
def _patterns(pairs: int) -> Sample:
    """Return signs (patterns, pairs): every pattern with a positive first sign, or random ones."""
    if pairs > EXACT_PAIRS:
        return np.random.default_rng(0).choice([-1.0, 1.0], (PATTERNS, pairs))
    numbers = np.arange(2 ** (pairs - 1))
    signs = 1.0 - 2.0 * (numbers[:, None] >> np.arange(pairs - 1) & 1)
    return np.hstack([np.ones((len(numbers), 1)), signs])
