"""What the interval of a mean difference covers: seeds, new test images, new training samples.

A t interval over seeds answers: where would the mean be over all seeds, *on this test set and this
pool of training examples*? Two wider intervals answer for more.

*New test images.* Let d_ij be the score of example j with seed i: +1 if only the first model is
right, -1 if only the second is, else 0. With seeds and examples crossed, d_ij = mu + a_i + b_j +
e_ij, and the mean over n seeds and m examples has the variance A/n + B/m + E/(nm), where A, B and
E are the variances of the three terms. Two-way analysis of variance gives an unbiased estimate,
(MS_a + MS_b - MS_e) / (nm). As MS_a / (nm) is the usual s^2 / n, new images *add*
(MS_b - MS_e) / (nm). Degrees of freedom are Satterthwaite's. In simulations this covers 95%
where a two-way bootstrap of five seeds covers less (docs/intervals.py).

*New training samples.* Seeds that draw k of the same N examples share k^2 / N of them, so their
results are correlated, and s^2 / n is too small for the variance of the mean. With a correlation of
rho it is s^2 (1/n + rho / (1 - rho)). Nadeau and Bengio take the share of examples in common for
rho; here that is k / N, so rho / (1 - rho) = k / (N - k). All of the variance counts as due to the
training sample, so the interval is at least as wide as needed.

Sources: Searle, Casella and McCulloch, "Variance Components", 1992; Satterthwaite, "An Approximate
Distribution of Estimates of Variance Components", 1946; Nadeau and Bengio, "Inference for the
Generalization Error", 2003.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regbench.analysis import statistics
from regbench.analysis.statistics import CONFIDENCE, Interval, Part, Sample

# Two pairs always have a correlation of 1 or -1.
FEWEST_PAIRS = 3


@dataclass(frozen=True)
class Pairing:
    """What pairing by seed buys: the correlation of the pairs, and the variance that is left.

    `variance_ratio` is the variance of the paired differences over that of unpaired ones, the sum
    of both sides' variances: 0.25 means that unpaired runs would need four times as many seeds.
    """

    correlation: float
    variance_ratio: float


def pairings(firsts: Sequence[Sample], seconds: Sequence[Sample]) -> list[Pairing | None]:
    """Return what pairing two samples (n,) buys, for each first and second sample.

    None for fewer than three pairs of finite values, or without a spread.
    """
    found: list[Pairing | None] = [None] * len(firsts)
    known = [
        np.isfinite(one) & np.isfinite(other) for one, other in zip(firsts, seconds, strict=True)
    ]
    here = [sample[each] for sample, each in zip(firsts, known, strict=True)]
    there = [sample[each] for sample, each in zip(seconds, known, strict=True)]
    for (count, places, one), (_, _, other) in zip(
        statistics.by_size(here), statistics.by_size(there), strict=True
    ):
        if count < FEWEST_PAIRS:
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            variances = one.var(axis=1, ddof=1), other.var(axis=1, ddof=1)
            centered = [each - each.mean(axis=1, keepdims=True) for each in (one, other)]
            common = (centered[0] * centered[1]).sum(axis=1) / (count - 1)
        spreads = zip(*(each.tolist() for each in (*variances, common)), strict=True)
        for place, each in zip(places, spreads, strict=True):
            found[place] = _pairing(*each)
    return found


def _pairing(own: float, other: float, common: float) -> Pairing | None:
    """Return what pairing buys, from the two variances and the covariance."""
    if not (own > 0 and other > 0 and math.isfinite(own + other)):
        return None
    correlation = common / math.sqrt(own) / math.sqrt(other)
    return Pairing(min(1.0, max(-1.0, correlation)), max(0.0, 1 - 2 * common / (own + other)))


def of_images(scores: NDArray[np.float64]) -> Part:
    """Return the variance that new test images add to that over seeds, s^2 / n.

    Args:
        scores: of each example with each seed, (n, m); the examples are the same for all seeds.
    """
    seeds, examples = scores.shape
    if seeds < 2 or examples < 2:
        return Part(0.0)
    by_seed, by_example = scores.mean(axis=1), scores.mean(axis=0)
    between = seeds * float(by_example.var(ddof=1))
    # The sum of squares of the residuals, without an array of them.
    all_of_it = float(((scores - scores.mean()) ** 2).sum())
    rest = all_of_it - examples * seeds * float(by_seed.var()) - (examples - 1) * between
    degrees = (seeds - 1) * (examples - 1)
    residual = max(0.0, rest / degrees)
    added = (between - residual) / (seeds * examples)
    if added <= 0:
        return Part(0.0)
    spread = (between**2 / (examples - 1) + residual**2 / degrees) / (seeds * examples) ** 2
    return Part(added, added**2 / spread)


def over_samples(
    values: Sample, chosen: int, pool: int, confidence: float = CONFIDENCE
) -> Interval:
    """Return the mean of values (n,) and an interval over new training samples.

    It has no ends where every seed trains on the whole pool: they say nothing of other samples.

    Args:
        values: a number of each seed.
        chosen: how many training examples each seed draws.
        pool: how many there are to draw from.
        confidence: how often the interval is to cover the truth.
    """
    found = statistics.interval(values, confidence)
    return from_seeds(found, len(statistics.finite(values)), chosen, pool)


def from_seeds(over_seeds: Interval, seeds: int, chosen: int, pool: int) -> Interval:
    """Return the interval over new training samples, given that over so many seeds."""
    if not 0 < chosen < pool:
        return over_seeds.point
    return _wider(over_seeds, seeds, chosen / (pool - chosen))


def corrected(values: Sample, ratio: float, confidence: float = CONFIDENCE) -> Interval:
    """Return the mean of values (n,) and Nadeau and Bengio's corrected t interval.

    Args:
        values: the results of n resamplings of the same data.
        ratio: rho / (1 - rho) for a correlation rho of two results. In their paper it is that of
            the numbers of test and training examples.
        confidence: how often the interval is to cover the truth.

    Source: Nadeau and Bengio, "Inference for the Generalization Error", 2003, section 3.2.
    """
    found = statistics.interval(values, confidence)
    return _wider(found, len(statistics.finite(values)), ratio)


def _wider(found: Interval, count: int, ratio: float) -> Interval:
    if found.mean is None or found.low is None or found.high is None:
        return found.point
    half = (found.high - found.low) / 2 * math.sqrt(1 + count * ratio)
    return Interval(found.mean, found.mean - half, found.mean + half)


def crossed(labels: Sequence[NDArray[np.int64]]) -> bool:
    """Return whether every seed is tested on the same examples, by their labels (m,) each."""
    return all(np.array_equal(each, labels[0]) for each in labels)
