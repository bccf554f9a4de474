"""The standard error of a difference in accuracy that is due to the finite test set alone.

Seeds that happen to agree do not make a test set larger. Two models that are tested on the same m
examples differ only on discordant ones: b that only the first gets right, and c that only the
second gets right. Their difference in accuracy is (b - c) / m, and its variance over new
examples of the same kind is (b + c - (b - c)^2 / m) / m^2 (McNemar, "Note on the Sampling Error of
the Difference Between Correlated Proportions or Percentages", 1947).

Put differently: give each example a score, +1 if only the first model is right, -1 if only the
second is, else 0. The difference is the mean score, and its variance is that of the scores divided
by m. The code uses scores because they also work for a single model (1 where it is right) and for
a difference of differences.

If several seeds share their test examples, each example has a mean score, and the variance is again
that of these divided by m: an example that every seed gets wrong does not average out. If every
seed has its own examples, the errors of the seeds are independent and their squares add up.

The variance of one more discordant example, 1 / m^2, is added for each seed, since seeing no
discordant examples among a few does not mean that there are none
(Agresti and Min, "Simple Improved Confidence
Intervals for Comparing Matched Proportions", 2005, add half an example to each of four counts).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from regbench.analysis.statistics import Sample

# For one seed: one boolean array (m,) per model, true where the model is right.
Right = Sequence[NDArray[np.bool_]]


def scores(right: Right, signs: Sequence[float]) -> Sample:
    """Return the score of each example (m,): the weighted sum of which models are right."""
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
    """Return an upper estimate of the standard error, for runs without stored predictions.

    If models err independently, the variance is the sum of each model's a (1 - a) / m (a binomial
    proportion). Models that err on the same examples have a smaller one. Each seed is assumed to
    have its own examples.

    Args:
        by_seed: the accuracies of the models of each seed.
        examples: m, how many test examples there are.
    """
    variances = [
        (sum(each * (1 - each) for each in models) + 1 / examples) / examples for models in by_seed
    ]
    return math.sqrt(sum(variances)) / len(by_seed)
