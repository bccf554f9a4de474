"""Statistics: SciPy's own numbers, and by simulation whether they mean what they say."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from regbench.analysis import statistics
from regbench.analysis.statistics import (
    Floor,
    Interval,
    holm,
    interval,
    is_skewed,
    mcnemar,
    paired_p,
    sign_flips,
    sign_p,
)


def test_intervals_are_scipys_t_intervals():
    values = np.array([0.51, 0.55, 0.5, 0.58, 0.49])
    for confidence in (0.95, 0.99):
        expected = stats.t.interval(confidence, 4, values.mean(), stats.sem(values))
        found = interval(values, confidence)
        assert (found.low, found.high) == pytest.approx(expected)
        assert found.mean == values.mean()


def test_equal_values_have_an_interval_of_no_width():
    assert interval(np.array([0.5, 0.5, 0.5])) == Interval(0.5, 0.5, 0.5)


def test_equal_values_that_floats_cannot_add_up_have_an_interval_of_no_width():
    assert np.mean([0.1] * 3) != 0.1
    assert interval(np.array([0.1] * 3)) == Interval(0.1, 0.1, 0.1)


def test_the_paired_p_value_is_scipys():
    differences = np.array([0.1, -0.02, 0.05, 0.07])
    for null in (0.0, 0.04):
        expected = stats.ttest_1samp(differences, null).pvalue
        assert paired_p(differences, null) == pytest.approx(expected)


def test_equal_differences_are_no_stronger_evidence_than_their_number():
    assert paired_p(np.array([0.02, 0.02, 0.02])) == 0.25
    assert paired_p(np.zeros(3)) == 1.0
    assert paired_p(np.array([0.02])) is None


def test_holm_multiplies_the_smallest_by_all_and_never_decreases():
    assert holm([0.04, None, 0.01, 0.03]) == pytest.approx([0.06, None, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([None]) == [None]


@pytest.mark.parametrize(("only_first", "only_second"), [(10, 25), (0, 6), (7, 7), (1, 0)])
def test_mcnemar_is_the_exact_binomial_test(only_first, only_second):
    expected = stats.binomtest(only_first, only_first + only_second).pvalue
    assert mcnemar(only_first, only_second) == pytest.approx(expected)


def test_models_that_never_disagree_do_not_differ():
    assert mcnemar(0, 0) == 1.0


# By simulation. Ten thousand samples know a share of 5% to 0.2 percentage points.
SAMPLES = 10_000


@pytest.mark.parametrize("pairs", [2, 5, 20])
def test_intervals_cover_the_truth_in_95_of_100_samples(pairs):
    draws = np.random.default_rng(pairs).normal(0.3, 2.0, (SAMPLES, pairs))
    found = [interval(sample) for sample in draws]
    covered = np.mean([each.low <= 0.3 <= each.high for each in found])
    assert covered == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("pairs", [3, 5, 10])
def test_a_config_against_itself_is_called_different_in_5_of_100_comparisons(pairs):
    # Two runs of one config under other seeds: the seed's own effect is shared, and cancels out.
    rng = np.random.default_rng(pairs)
    seeds = rng.normal(0, 5, (SAMPLES, pairs))
    one, other = (seeds + rng.normal(0, 1, (SAMPLES, pairs)) for _ in range(2))
    called = np.mean([paired_p(sample) <= 0.05 for sample in one - other])
    assert called == pytest.approx(0.05, abs=0.015)


def test_of_many_configs_that_are_all_alike_holm_calls_any_in_at_most_5_of_100_tables():
    rng = np.random.default_rng(0)
    tables = 2_000
    draws = rng.normal(0, 1, (tables, 8, 5))
    adjusted = [holm([paired_p(sample) for sample in table]) for table in draws]
    raw = [[paired_p(sample) for sample in table] for table in draws]
    assert np.mean([min(p) <= 0.05 for p in raw]) > 0.25  # without the correction
    assert np.mean([min(p) <= 0.05 for p in adjusted]) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("pairs", [6, 9, 16])
def test_sign_flips_of_no_difference_are_at_most_5_percent_in_at_most_5_of_100_samples(pairs):
    draws = np.random.default_rng(pairs).standard_t(3, (4_000, pairs))
    p_values = np.array(sign_flips(list(draws)))
    assert 0.02 < np.mean(p_values <= 0.05) <= 0.065
    assert p_values.min() >= statistics.sign_flip_floor(pairs)


def sign_flip(differences):
    return sign_flips([differences])[0]


def test_samples_of_any_sizes_are_tested_as_if_each_were_alone():
    rng = np.random.default_rng(0)
    samples = [rng.normal(0.3, 1, count) for count in (5, 1, 20, 5, 0, 13, 20)]
    assert sign_flips(samples) == [sign_flip(sample) for sample in samples]
    assert [p is None for p in sign_flips(samples)] == [len(sample) < 2 for sample in samples]


def test_five_pairs_that_agree_cannot_give_less_than_a_sixteenth():
    assert sign_flip(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == 0.0625
    assert statistics.sign_flip_floor(5) == 0.0625


@pytest.mark.parametrize("seed", range(20))
def test_the_sign_flip_test_counts_every_pattern_also_of_sums_that_rounding_splits(seed):
    tenths = np.rint(np.random.default_rng(seed).normal(3, 10, 7)).astype(int)
    patterns = itertools.product([-1, 1], repeat=7)
    sums = np.array([abs(np.dot(tenths, pattern)) for pattern in patterns])
    assert sign_flip(tenths / 10) == pytest.approx((sums >= abs(tenths.sum())).mean())


def test_no_difference_at_all_has_a_p_value_of_one():
    assert sign_flip(np.zeros(4)) == 1.0


def test_many_pairs_are_sampled_and_the_answer_is_scipys_but_for_the_draw():
    differences = np.random.default_rng(0).normal(0.2, 1, 20)
    test = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", rng=np.random.default_rng(1)
    )
    assert sign_flip(differences) == sign_flip(differences)
    assert sign_flip(differences) == pytest.approx(test.pvalue, abs=0.02)


def test_a_floor_widens_the_interval_and_its_p_value_alike():
    sample = np.array([1.0, 1.1, 0.9, 1.0])
    for floor in (Floor(0.5), Floor(error=0.3), Floor(0.5, 0.3), Floor(1e-3, 1e-3)):
        p = paired_p(sample, 0.4, floor)
        inside = interval(sample, 1 - p * 1.001, floor)
        outside = interval(sample, 1 - p * 0.999, floor)
        assert inside.low > 0.4 > outside.low
    assert paired_p(sample, 0.4, Floor(1e-3, 1e-3)) == pytest.approx(paired_p(sample, 0.4))


def test_equal_differences_and_all_but_one_equal_have_about_the_same_p_value():
    equal, nearly = np.array([6.0] * 5), np.array([6.0] * 4 + [7.0])
    assert paired_p(equal) == 0.0625  # without a floor that is 10,000 times the other
    assert paired_p(nearly) == pytest.approx(6e-6, rel=0.1)
    floor = Floor(0.5)
    assert paired_p(equal, 0, floor) == pytest.approx(1.1e-5, rel=0.1)
    assert paired_p(nearly, 0, floor) == pytest.approx(1.0e-5, rel=0.1)


@pytest.mark.parametrize(("certain", "pairs"), [(5, 5), (6, 6), (7, 8), (0, 5), (2, 4)])
def test_a_sign_test_is_scipys_two_sided(certain, pairs):
    one_sided = stats.binomtest(certain, pairs, alternative="greater").pvalue
    assert sign_p(certain, pairs) == pytest.approx(min(1, 2 * one_sided))


def test_skew_is_seen_in_few_normal_samples_and_in_more_of_skewed_ones():
    rng = np.random.default_rng(0)
    draws = (rng.normal, rng.exponential, rng.lognormal)

    def seen(seeds):
        return [np.mean([is_skewed(each) for each in draw(size=(2000, seeds))]) for draw in draws]

    assert seen(5) == pytest.approx([0.04, 0.15, 0.22], abs=0.04)  # five seeds show little
    assert seen(20) == pytest.approx([0.05, 0.70, 0.87], abs=0.04)
    assert not is_skewed(np.array([1.0] * 5))


@given(st.lists(st.lists(st.floats(-1e300, 1e300) | st.just(0.25), max_size=9), max_size=6))
def test_many_samples_at_once_give_the_numbers_of_each(values):
    samples = [np.array(each, np.float64) for each in values]
    assert statistics.intervals(samples) == [statistics.interval(each) for each in samples]
    assert statistics.paired_ps(samples) == [statistics.paired_p(each) for each in samples]
