"""Several data sets: one difference over all of them, and what rliable reports.

*The mean difference over data sets.* Each data set k has a mean difference d_k, and data sets
differ by more than seeds explain: d_k ~ N(delta, T + v_k), the random-effects model. The estimate
of delta is the plain mean of the d_k, and its interval Student's t with K - 1 degrees of freedom:
Hartung and Knapp's, with equal weights. It is about data sets like these, not about these alone.
Weights 1 / (T + v_k) would use v_k = s_k^2 / n_k, which a few seeds hardly know: in simulations
with five seeds (docs/intervals.py) the weighted interval covers 91% to 98%, this one 95% to 96%.
Demsar recommends Wilcoxon's signed-rank test on the d_k. It needs no normal distribution, but gives
neither an estimate nor an interval, and with K data sets no p below 2 / 2^K: fewer than six never
decide anything. From six on, it is given beside the interval.

*Probability of improvement* and *interquartile mean* are rliable's: P(X > Y) for runs of the same
data set, averaged over data sets, ties counting half; and the mean of the middle half of all runs
of all data sets. Their intervals are percentiles of a stratified bootstrap, which resamples the
runs of each data set. The runs of two variants are resampled independently, as rliable does.

Sources: Hartung and Knapp, "A Refined Method for the Meta-Analysis of Controlled Clinical Trials
with Binary Outcome", 2001; Demsar, "Statistical Comparisons of Classifiers over Multiple Data
Sets", 2006; Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice",
2021.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from regbench.analysis import statistics
from regbench.analysis.statistics import CONFIDENCE, Interval, Sample

# With fewer data sets, Wilcoxon's test never gives p <= 0.05.
FEWEST_FOR_WILCOXON = 6
# Enough to know the ends of a 95% interval to a few percent of its width.
RESAMPLES = 5_000
# A fixed seed: the same runs must give the same interval in every session.
SEED = 0
# The share of runs that an interquartile mean leaves out on each side.
TRIMMED = 0.25

# The runs of a variant: an array (runs,) for each data set.
Strata = Sequence[Sample]


def between(means: Sample, variances: Sample) -> float:
    """Return the variance T between data sets, beyond what seeds explain; 0 if they explain all.

    Args:
        means: the mean difference of each data set, (K,).
        variances: the variance of each of these means over seeds, (K,).

    Source: Hedges and Olkin, "Statistical Methods for Meta-Analysis", 1985: the unweighted one.
    """
    return max(0.0, float(means.var(ddof=1) - variances.mean()))


def wilcoxon(means: Sample) -> float | None:
    """Return the exact two-sided p-value of Wilcoxon's signed-rank test on data sets' means.

    None for fewer than six data sets, which cannot give a p of 0.05. Zeros are dropped.
    Source: Demsar, 2006, section 3.1.3.
    """
    from scipy import stats

    kept = means[means != 0]
    if len(kept) < FEWEST_FOR_WILCOXON:
        return None
    ranks = stats.rankdata(np.abs(kept))
    if len(kept) > statistics.EXACT_PAIRS:
        return float(stats.wilcoxon(kept).pvalue)
    signs = np.array(list(itertools.product((0.0, 1.0), repeat=len(kept))))
    sums, seen = signs @ ranks, float(ranks[kept > 0].sum())
    middle = ranks.sum() / 2
    return float((np.abs(sums - middle) >= abs(seen - middle) - statistics.ROUNDING).mean())


def probability_of_improvement(
    first: Strata, second: Strata, resamples: int = RESAMPLES
) -> Interval:
    """Return P(X > Y) averaged over data sets, for runs of two variants, and its interval."""
    compared = [_outcomes(one, other) for one, other in zip(first, second, strict=True)]
    mean = float(np.mean([each.mean() for each in compared]))

    def resampled(rng: np.random.Generator) -> Sample:
        total = np.zeros(resamples)
        for each in compared:
            rows, columns = (weights(size, resamples, rng) for size in each.shape)
            total += ((rows @ each) * columns).sum(axis=1)
        return total / len(compared)

    return _percentiles(mean, resampled)


def interquartile_mean(runs: Strata, resamples: int = RESAMPLES) -> Interval:
    """Return the mean of the middle half of all runs of all data sets, and its interval."""
    mean = float(_trimmed(np.concatenate(runs)[None])[0])

    def resampled(rng: np.random.Generator) -> Sample:
        drawn = [each[rng.integers(0, len(each), (resamples, len(each)))] for each in runs]
        return _trimmed(np.hstack(drawn))

    return _percentiles(mean, resampled)


def _outcomes(one: Sample, other: Sample) -> NDArray[np.float64]:
    """Return 1 where a run of the first is larger, 1/2 for a tie, else 0, (runs, runs)."""
    difference = one[:, None] - other[None]
    return (difference > 0) + (difference == 0) / 2


def weights(size: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the share of each of `size` runs in every resample, (resamples, size)."""
    drawn = rng.integers(0, size, (resamples, size)) + size * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=size * resamples)
    return counts.reshape(resamples, size) / size


def _trimmed(values: NDArray[np.float64]) -> Sample:
    """Return the mean of each row without its lowest and its highest quarter."""
    cut = int(TRIMMED * values.shape[1])
    ordered = np.sort(values, axis=1)
    return ordered[:, cut : values.shape[1] - cut].mean(axis=1)


def _percentiles(mean: float, resampled: Callable[[np.random.Generator], Sample]) -> Interval:
    found = resampled(np.random.default_rng(SEED))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return Interval(mean, float(low), float(high))
