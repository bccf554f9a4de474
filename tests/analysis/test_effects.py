"""Sizes of effects, against SciPy and by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from regbench.analysis import effects, power


def test_g_is_unbiased_where_mean_over_spread_is_not():
    samples = np.random.default_rng(0).normal(0.8, 1, (20_000, 5))
    plain = (samples.mean(axis=1) / samples.std(axis=1, ddof=1)).mean()
    corrected = np.mean([effects.hedges_g(each) for each in samples[:4000]])
    assert plain > 0.95
    assert corrected == pytest.approx(0.8, abs=0.03)


def test_g_is_the_mean_over_the_spread_times_hedges_factor():
    sample = np.array([0.1, 0.3, 0.2, 0.4, 0.5])
    factor = math.gamma(2) / (math.sqrt(2) * math.gamma(1.5))
    assert effects.hedges_g(sample) == pytest.approx(factor * 0.3 / sample.std(ddof=1))
    assert effects.hedges_g(sample, least=1.0) == pytest.approx(factor * 0.3)


def test_there_is_no_g_of_two_pairs_or_of_equal_ones():
    assert effects.hedges_g(np.array([0.1, 0.2])) is None
    assert effects.hedges_g(np.array([0.1] * 5)) is None


def test_the_probability_of_improvement_is_mann_and_whitneys_statistic():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, 7).astype(float), rng.integers(1, 6, 9).astype(float)
    statistic = stats.mannwhitneyu(first, second).statistic / (7 * 9)
    assert effects.improvement(first, second, "higher") == pytest.approx(statistic)
    assert effects.improvement(first, second, "lower") == pytest.approx(1 - statistic)


@pytest.mark.parametrize("pairs", [5, 12, 40])
def test_the_smallest_difference_is_detected_with_the_power_it_names(pairs):
    found = power.smallest_difference(2.0, pairs)
    samples = np.random.default_rng(0).normal(found, 2.0, (20_000, pairs))
    detected = (stats.ttest_1samp(samples, 0, axis=1).pvalue <= 0.05).mean()
    assert detected == pytest.approx(0.8, abs=0.01)
    assert power.pairs_needed(found * 1.0001, 2.0) == pairs


def test_the_smallest_margin_of_same_is_shown_with_the_power_it_names():
    margin = power.smallest_difference(1.0, 20, same=True)
    samples = np.random.default_rng(0).normal(0, 1, (20_000, 20))
    half = stats.t.isf(0.025, 19) * samples.std(axis=1, ddof=1) / math.sqrt(20)
    assert (np.abs(samples.mean(axis=1)) + half <= margin).mean() == pytest.approx(0.8, abs=0.01)


def test_one_pair_sees_nothing():
    assert power.smallest_difference(1.0, 1) is None
