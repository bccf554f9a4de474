"""Confidence intervals and p-values, all for differences that are paired by seed.

Two runs with the same seed share their data, initial weights and batch order, so the difference of
the two varies less than either. With differences d_1, ..., d_n, mean m and standard deviation s
(n - 1 in the denominator), everything below rests on t = (m - null) / (s / sqrt(n)), which follows
Student's t distribution with n - 1 degrees of freedom if the differences are normal (Student, "The
Probable Error of a Mean", 1908).

Only `scipy.special` is imported: `scipy.stats` has the same functions under friendlier names, but
takes half a second to import.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The chance of calling a difference of zero one: of every verdict, p-value and interval.
ALPHA = 0.05
CONFIDENCE = 1 - ALPHA
# Up to this many pairs, a sign-flip test counts every pattern; beyond that, 9,999 random ones.
EXACT_PAIRS = 13
PATTERNS = 9_999
# The most numbers that a batch of sign patterns may hold: 80 MB.
MOST_NUMBERS = 10**7
# Statistics this close to each other differ only by rounding.
ROUNDING = 1e-12

Sample = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """A part of the variance of a mean, and the degrees of freedom with which it is known."""

    variance: float
    degrees: float = math.inf


@dataclass(frozen=True)
class Floor:
    """Lower bounds for the error of a mean difference, however close together its values lie.

    A few differences can agree by chance, and a t test would take that for certainty. `deviation`
    is the smallest believable standard deviation of a difference; `error` is the smallest standard
    error of their mean. Both are known in advance, not estimated from the values. `added` is a
    variance of the mean beyond that of the values, such as that of new test images.
    """

    deviation: float = 0.0
    error: float = 0.0
    added: Part | None = None


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its interval; None if a number is not known."""

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
    """Return the mean of values (n,) and its t interval, m +- t(n - 1) * s / sqrt(n).

    The interval has no ends for a single value. Values that are not finite are left out. With a
    `floor`, the interval is at least as wide as that implies.
    Source: Student, "The Probable Error of a Mean", 1908.
    """
    floor = floor or Floor()
    values = finite(values)
    if len(values) == 0:
        return Interval(None)
    if len(values) == 1:
        return Interval(float(values[0]))
    with np.errstate(over="ignore", invalid="ignore"):
        mean = _mean(values)
        # Two-sided: a 95% interval leaves 2.5% on each side, so it needs the 97.5% quantile.
        probability = (1 + confidence) / 2
        # The floor's standard error is known, not estimated: a normal quantile, not a t quantile.
        half = max(
            normal_quantile(probability) * floor.error,
            *(
                t_quantile(probability, degrees) * error
                for error, degrees in _errors(values, floor)
            ),
        )
        ends = (mean, mean - half, mean + half)
    return Interval(*(float(each) if np.isfinite(each) else None for each in ends))


def intervals(samples: Sequence[Sample]) -> list[Interval]:
    """Return `interval` of each sample of finite values, many times as fast for many samples."""
    found = [Interval(float(each[0]) if len(each) else None) for each in samples]
    for count, places, means, spreads in moments(samples):
        half = t_quantile((1 + CONFIDENCE) / 2, count - 1) * (spreads / math.sqrt(count))
        with np.errstate(over="ignore", invalid="ignore"):
            ends = np.stack([means, means - half, means + half], axis=1)
        for place, three in zip(places, ends.tolist(), strict=True):
            found[place] = Interval(*(each if math.isfinite(each) else None for each in three))
    return found


def paired_ps(samples: Sequence[Sample]) -> list[float | None]:
    """Return `paired_p` of each sample of finite differences, with one call for all of a size."""
    from scipy import special

    p_values: list[float | None] = [None] * len(samples)
    for count, places, means, spreads in moments(samples):
        errors = spreads / math.sqrt(count)
        # Equal differences have no spread to test with.
        without = np.where(means == 0, 1.0, sign_flip_floor(count))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            tested = 2 * special.stdtr(count - 1, -(np.abs(means) / errors))
        found = np.where(errors == 0, without, tested)
        for place, p in zip(places, found.tolist(), strict=True):
            p_values[place] = None if math.isnan(p) else p
    return p_values


def moments(samples: Sequence[Sample]) -> Iterator[tuple[int, list[int], Sample, Sample]]:
    """Yield each size from two, the places of its samples, their means and standard deviations."""
    for count, places, values in by_size(samples):
        # As in `_mean` and `standard_error`, equal values have no error from rounding.
        equal = values.min(axis=1) == values.max(axis=1)
        with np.errstate(over="ignore", invalid="ignore"):
            means = np.where(equal, values[:, 0], values.mean(axis=1))
            spreads = np.where(equal, 0.0, values.std(axis=1, ddof=1))
        yield count, places, means, spreads


def by_size(samples: Sequence[Sample]) -> Iterator[tuple[int, list[int], NDArray[np.float64]]]:
    """Yield each size n from two, the places of its samples, and these, (samples, n).

    Calling NumPy once for all samples of a size is many times as fast as once for each.
    """
    places: dict[int, list[int]] = {}
    for place, sample in enumerate(samples):
        places.setdefault(len(sample), []).append(place)
    for count in places.keys() - {0, 1}:
        yield count, places[count], np.stack([samples[place] for place in places[count]])


def finite(values: Sample) -> Sample:
    """Return the values that are neither infinite nor missing."""
    return values[np.isfinite(values)]


def _mean(values: Sample) -> float:
    # Because of rounding, the mean of equal values may differ from them.
    return float(values[0] if values.min() == values.max() else values.mean())


def standard_error(values: Sample, least: float = 0.0) -> float:
    """Return the standard error of the mean of two or more values (n,): s / sqrt(n).

    Their standard deviation s is taken to be at least `least`.
    """
    # ddof=1 divides by n - 1 (Bessel's correction), since the mean was estimated from the same
    # values. Equal values may get a tiny deviation from rounding, which would look significant.
    equal = values.min() == values.max()
    return max(0.0 if equal else float(values.std(ddof=1)), least) / math.sqrt(len(values))


def _errors(values: Sample, floor: Floor) -> list[tuple[float, float]]:
    """Return standard errors of the mean of values (n,), each with its degrees of freedom.

    The first is that of the values; with an added variance, the second is that of the sum, with
    Satterthwaite's degrees ("An Approximate Distribution of Estimates of Variance Components",
    1946). Both count, since more variance known better can give a smaller multiple of the error.
    """
    error, degrees = standard_error(values, floor.deviation), len(values) - 1
    if floor.added is None or not floor.added.variance:
        return [(error, degrees)]
    own, added = error**2, floor.added
    uncertain = own**2 / degrees + added.variance**2 / added.degrees
    total = own + added.variance
    return [(error, degrees), (math.sqrt(total), total**2 / uncertain if uncertain else math.inf)]


@functools.cache
def normal_quantile(probability: float) -> float:
    """Return the quantile of the standard normal distribution."""
    from scipy import special

    return float(special.ndtri(probability))


@functools.cache
def t_quantile(probability: float, degrees: float) -> float:
    """Return the quantile of Student's t distribution."""
    from scipy import special

    if math.isinf(degrees):
        return normal_quantile(probability)
    return float(special.stdtrit(degrees, probability))


def t_tail(statistic: float, degrees: float) -> float:
    """Return the probability that Student's t is at least `statistic`."""
    from scipy import special

    if math.isinf(degrees):
        return _normal_tail(statistic)
    return float(special.stdtr(degrees, -statistic))


def paired_p(differences: Sample, null: float = 0.0, floor: Floor | None = None) -> float | None:
    """Return the two-sided p-value of a t test that differences (n,) have the mean `null`.

    It is the smallest alpha at which `interval`, with the same `floor`, excludes `null`. Equal
    differences without a floor have no spread to test with, and may agree by chance: their p-value
    is 1 if they equal `null`, else that of a sign-flip test. Returns None for fewer than two
    differences, or for numbers that overflow.
    Source: Student, "The Probable Error of a Mean", 1908.
    """
    differences, floor = finite(differences), floor or Floor()
    if len(differences) < 2:
        return None
    with np.errstate(over="ignore", invalid="ignore"):  # a damaged or diverged run may overflow
        distance = abs(_mean(differences) - null)
        errors = _errors(differences, floor)
    if errors[-1][0] == 0:
        p = 1.0 if distance == 0 else sign_flip_floor(len(differences))
    else:
        p = max(2 * t_tail(distance / error, degrees) for error, degrees in errors if error)
    # The floor is another reason for doubt: the weaker of the two tests counts.
    if floor.error:
        p = max(p, 2 * _normal_tail(distance / floor.error))
    return None if math.isnan(p) else p


def _normal_tail(statistic: float) -> float:
    from scipy import special

    return float(special.ndtr(-statistic))


def sign_p(certain: int, pairs: int) -> float:
    """Return the two-sided p-value of a sign test: `certain` of `pairs` lie on one side.

    If both sides were equally likely, the number on one side would be binomial (n, 1/2). The test
    needs only an order, which is all that censored numbers provide.
    Source: Dixon and Mood, "The Statistical Sign Test", 1946.
    """
    from scipy import special

    return min(1.0, 2 * float(special.bdtrc(certain - 1, pairs, 0.5))) if certain else 1.0


def skewness(values: Sample) -> float:
    """Return the skewness of values (n,), the third moment over s^3; 0 if all are equal."""
    centered = values - _mean(values)
    spread = float(np.sqrt((centered**2).mean()))
    return float((centered**3).mean()) / spread**3 if spread else 0.0


def is_skewed(values: Sample) -> bool:
    """True if values (n,) are more skewed than all but about 1 in 30 normal samples.

    The limit is twice the standard error of the skewness of a normal sample,
    sqrt(6 (n - 2) / ((n + 1) (n + 3))). Fewer than five values never reach it, and five reach it
    only if one is an outlier: the absence of visible skew proves nothing.
    Source: Fisher, "The Moments of the Distribution for Normal Samples of Measures of Departure
    from Normality", 1930.
    """
    n = len(values)
    return n >= 5 and abs(skewness(values)) > 2 * math.sqrt(6 * (n - 2) / ((n + 1) * (n + 3)))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values adjusted so that the chance of any false alarm stays below `ALPHA`.

    None stays None and does not count.
    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
    """
    adjusted: list[float | None] = [None] * len(p_values)
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    largest = 0.0
    # The smallest p-value is multiplied by the number of tests (as Bonferroni does with all), the
    # next one by one less, and so on: each hypothesis already rejected no longer needs protection.
    # The running maximum keeps the order, so that a larger p-value never becomes the smaller one.
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        adjusted[index] = largest
    return adjusted


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p-value that two models err equally often on the same examples.

    Examples that both get right, or both get wrong, don't show which model is better. If the two
    were equally good, each of the others would be a fair coin toss: binomial (n, 1/2).

    Args:
        only_first: how many examples the first model alone gets right.
        only_second: how many the second model alone gets right.

    Source: McNemar, "Note on the Sampling Error of the Difference Between Correlated Proportions
    or Percentages", 1947; exact, by the binomial distribution.
    """
    from scipy import special

    fewer, both = min(only_first, only_second), only_first + only_second
    return min(1.0, 2 * float(special.bdtr(fewer, both, 0.5))) if both else 1.0


def sign_flip_floor(pairs: int) -> float:
    """Return the smallest p-value that a sign-flip test can give with this many pairs."""
    # Even the most extreme outcome shares its size with its mirror image: 2 of 2^n patterns.
    return 2.0 ** (1 - pairs) if pairs <= EXACT_PAIRS else 1 / (PATTERNS + 1)


def sign_flips(samples: Sequence[Sample]) -> list[float | None]:
    """Return the two-sided p-value of a mean difference of zero for each sample of differences.

    If the variant has no effect, each difference could as well have had the other sign. The p-value
    is the share of sign patterns whose mean is at least as far from zero as the observed one: never
    below 2/2^n for n differences, and None for fewer than two. With more than 13, it is the share
    among the observed pattern and 9,999 random ones, the same ones every time.
    Source: Fisher, "The Design of Experiments", 1935; for random patterns, Phipson and Smyth,
    "Permutation P-values Should Never Be Zero", 2010.
    """
    p_values: list[float | None] = [None] * len(samples)
    for _, places, differences in by_size(samples):
        for place, p in zip(places, _sign_flip(differences).tolist(), strict=True):
            p_values[place] = p
    return p_values


def _sign_flip(differences: NDArray[np.float64]) -> Sample:
    """Return the p-value of each sample of a size n, (samples, n), by one matrix product."""
    extreme = np.zeros(len(differences), np.int64)
    seen = np.abs(differences.sum(axis=1))
    # Sums of equal terms in another order differ by rounding: count such patterns as equal.
    least = seen - ROUNDING * np.abs(differences).sum(axis=1)
    patterns = _patterns(differences.shape[1])
    step = max(1, MOST_NUMBERS // len(patterns))
    for start in range(0, len(differences), step):
        sums = np.abs(differences[start : start + step] @ patterns.T)
        extreme[start : start + step] = (sums >= least[start : start + step, None]).sum(axis=1)
    exact = differences.shape[1] <= EXACT_PAIRS
    # A pattern and its opposite are equally extreme, so half of the patterns represent all. Random
    # patterns add the observed one to both counts, so that p is never 0.
    return extreme / len(patterns) if exact else (extreme + 1) / (len(patterns) + 1)


@functools.cache
def _patterns(pairs: int) -> Sample:
    """Return signs (patterns, pairs): every pattern with a positive first sign, or random ones."""
    # A fixed seed: the same runs must give the same p-value in every session.
    if pairs > EXACT_PAIRS:
        return np.random.default_rng(0).choice([-1.0, 1.0], (PATTERNS, pairs))
    numbers = np.arange(2 ** (pairs - 1))
    signs = 1.0 - 2.0 * (numbers[:, None] >> np.arange(pairs - 1) & 1)
    return np.hstack([np.ones((len(numbers), 1)), signs])
