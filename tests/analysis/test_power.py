"""Power: the textbook's numbers, and by simulation whether they mean what they say."""

import math

import numpy as np
import pytest
from scipy import stats

from regbench.analysis import power
from regbench.analysis.power import pairs_needed, pairs_needed_for_same, spread_interval
from regbench.analysis.statistics import paired_p

SAMPLES = 10_000


def test_no_difference_and_a_tiny_one_need_more_pairs_than_there_are():
    assert pairs_needed(0.0, 0.1) is None
    assert pairs_needed(1e-6, 0.1) is None
    assert pairs_needed(math.nan, 0.1) is None


def test_a_difference_without_spread_needs_two_pairs():
    assert pairs_needed(0.1, 0.0) == 2


# Cohen's table: effect sizes whose sample sizes are in every textbook.
@pytest.mark.parametrize("guess", [0, 1, 2, 25, 26, 27, 9_999, 10_000, 10_001])
@pytest.mark.parametrize("fewest", [2, 3, 26, 27, 9_999, 10_000, None])
def test_the_fewest_pairs_do_not_depend_on_the_guess(guess, fewest):
    def enough(pairs):
        return fewest is not None and pairs >= fewest

    assert power._fewest(enough, guess) == fewest


@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_pairs_needed_are_those_of_the_textbook(effect, pairs):
    assert pairs_needed(-effect, 1.0) == pairs


def test_huge_effects_need_a_handful_of_pairs_whatever_scipy_finds_in_the_tails():
    assert [pairs_needed(effect, 1.0) for effect in (3.0, 30.0, 3e6)] == [4, 2, 2]
    # Two pairs at a strict level: their standard deviation is hardly known.
    draws = np.random.default_rng(0).normal(40.0, 1.0, (SAMPLES, 2))
    seen = np.mean([paired_p(sample) <= 0.005 for sample in draws])
    assert power._power(40.0, 2, 0.005) == pytest.approx(seen, abs=0.02)


@pytest.mark.parametrize(("effect", "alpha"), [(0.4, 0.05), (0.6, 0.05), (-0.6, 0.01)])
def test_the_pairs_needed_show_the_difference_in_80_of_100_experiments(effect, alpha):
    pairs = pairs_needed(effect, 1.0, alpha=alpha)
    draws = np.random.default_rng(1).normal(effect, 1.0, (SAMPLES, pairs))
    seen = np.mean([paired_p(sample) <= alpha for sample in draws])
    assert seen == pytest.approx(0.80, abs=0.05)


def test_the_spread_of_five_values_is_known_to_within_a_factor_of_three():
    low, high = spread_interval(1.0, 5)
    assert (low, high) == pytest.approx((0.717, 1.939), abs=1e-3)
    spreads = np.random.default_rng(0).normal(size=(20_000, 5)).std(axis=1, ddof=1)
    assert np.mean((spreads * low < 1) & (spreads * high > 1)) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(("mean", "margin"), [(0.0, 0.5), (0.1, 0.5), (0.3, 1.0)])
def test_same_needs_both_ends_of_its_interval_inside(mean, margin):
    pairs = pairs_needed_for_same(mean, 1.0, margin)
    samples = np.random.default_rng(0).normal(mean, 1, (20_000, pairs))
    half = stats.t.ppf(0.975, pairs - 1) * stats.sem(samples, axis=1)
    means = samples.mean(axis=1)
    power = np.mean((means - half > -margin) & (means + half < margin))
    assert 0.79 < power < 0.83
    assert pairs > pairs_needed(margin - abs(mean), 1.0) or mean  # one end alone takes fewer
    assert pairs_needed_for_same(margin, 1.0, margin) is None
    assert pairs_needed_for_same(0.0, 0.0, margin) == 2
