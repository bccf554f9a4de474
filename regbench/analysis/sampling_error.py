"""The standard error that the test examples alone leave in a difference of accuracies.

Seeds that happen to lie close together do not make a test set larger. Two models that are tested on
the same m examples differ only on discordant ones: b that the first alone gets right, and c that
the second alone does. Their difference in accuracy is (b - c) / m, and its variance over new
examples of the same kind is (b + c - (b - c)^2 / m) / m^2 (McNemar, "Note on the Sampling Error of
the Difference Between Correlated Proportions or Percentages", 1947).

The same in other words: give each example a score, +1 where the first model alone is right, -1
where the second alone is, else 0. The difference is the mean score, and its variance that of the
scores, by m. So it is here, since scores also do for one model (1 where it is right) and for a
difference of differences.

Several seeds that share their test examples have a mean score for each example, and again the
variance of these by m: what every seed gets wrong does not average out. Where the examples of every
seed are its own, the errors of the seeds are independent and add up as squares.

To each seed's variance comes that of one discordant example more, 1 / m^2, since no discordant
examples out of few do not mean that there are none (Agresti and Min, "Simple Improved Confidence
Intervals for Comparing Matched Proportions", 2005, add half an example to each of four counts).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from regbench.analysis.statistics import Sample

# Of one seed: whether a model is right, an array (m,) for each model.
Right = Sequence[NDArray[np.bool_]]


def scores(right: Right, signs: Sequence[int]) -> Sample:
    """Return the score of each example (m,): whether each model is right, with its sign, added."""
    return sum(
        (sign * each.astype(np.float64) for sign, each in zip(signs, right, strict=True)),
        np.zeros(len(right[0])),
    )


def of_scores(by_seed: Sequence[Sample], shared: bool) -> float:
    """Return the standard error of the mean over seeds, over new test examples.

    Args:
        by_seed: the scores of each seed's examples, (m,) each.
        shared: whether the examples are the same for every seed, in the same order.
    """
    seeds = len(by_seed)
    one_more = sum(1 / len(each) ** 2 for each in by_seed) / seeds**2
    if shared:
        mean = np.mean(by_seed, axis=0)
        return math.sqrt(float(mean.var()) / len(mean) + one_more)
    variance = sum(float(each.var()) / len(each) for each in by_seed) / seeds**2
    return math.sqrt(variance + one_more)


def of_accuracies(by_seed: Sequence[Sequence[float]], examples: int) -> float:
    """Return a standard error that is large enough, where no predictions are known.

    Models that err independently of each other have as many discordant examples as can be expected:
    the variance is the sum of each model's a (1 - a) / m. Models that err on the same examples have
    less. Each seed is taken to have its own examples.

    Args:
        by_seed: the accuracies of the models of each seed.
        examples: m, how many test examples there are.
    """
    variances = [
        (sum(each * (1 - each) for each in models) + 1 / examples) / examples for models in by_seed
    ]
    return math.sqrt(sum(variances)) / len(by_seed)
