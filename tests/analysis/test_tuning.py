"""The best of k trials, what matters, and where a search should go on."""

import itertools
import math

import numpy as np
import pytest

from regbench.analysis import tuning

SCORES = [0.9, 0.4, 0.7, 0.4, 1.3]


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_the_expected_best_of_k_is_the_mean_over_every_draw_of_k_trials(better):
    of = min if better == "lower" else max
    for each in tuning.expected_best(SCORES, better)[:4]:
        draws = [of(draw) for draw in itertools.product(SCORES, repeat=each.trials)]
        assert each.mean == pytest.approx(np.mean(draws))
        inside = np.mean([each.low <= best <= each.high for best in draws])
        assert inside >= 0.95


def test_more_trials_never_make_the_expected_best_worse():
    means = [each.mean for each in tuning.expected_best(SCORES, "lower")]
    assert means == sorted(means, reverse=True)
    assert means[0] == pytest.approx(np.mean(SCORES))


def test_a_diverged_trial_counts_as_the_worst_and_never_wins():
    scores = [math.nan, 0.5, 0.9]
    assert tuning.best(scores, "lower") == 1
    assert tuning.best(scores, "higher") == 2
    assert tuning.best([math.nan], "lower") is None
    filled = tuning.expected_best([0.9, 0.5, 0.9], "lower")
    assert tuning.expected_best(scores, "lower") == filled


def test_the_first_of_equal_trials_wins():
    assert tuning.best([0.5, 0.4, 0.4], "lower") == 1


def test_a_search_that_found_its_best_early_has_leveled_off_and_one_that_still_gains_has_not():
    flat = tuning.expected_best([0.5] * 12 + [0.9] * 4, "lower")
    assert tuning.has_leveled_off(flat) is True
    rare = tuning.expected_best([0.1] + [0.9] * 15, "lower")
    assert tuning.has_leveled_off(rare) is False
    assert tuning.has_leveled_off(tuning.expected_best([1.0, 2.0, 3.0], "lower")) is None


def test_a_key_that_matters_is_told_from_one_that_does_not():
    rng = np.random.default_rng(0)
    strength, idle = rng.random(32), rng.random(32)
    loss = strength**2 + 0.01 * rng.random(32)
    found = tuning.importance("strength", list(strength), list(loss), "lower", ordered=True)
    assert found.trend > 0.95
    assert found.explained > 0.9
    other = tuning.importance("idle", list(idle), list(loss), "lower", ordered=True)
    assert abs(other.trend) < 0.4
    assert other.explained < 0.2


def test_a_best_value_in_the_middle_is_seen_although_the_correlation_is_not():
    strength = np.linspace(0, 1, 21)
    found = tuning.importance("key", list(strength), list(abs(strength - 0.5)), "lower", True)
    assert abs(found.trend) < 0.05
    assert found.explained > 0.9


def test_a_choice_has_no_trend_but_explains():
    kinds = ["a", "b", "c"] * 4
    scores = [{"a": 0.1, "b": 0.9, "c": 0.4}[kind] for kind in kinds]
    found = tuning.importance("kind", kinds, scores, "higher", ordered=False)
    assert found.trend is None
    assert found.explained == pytest.approx(1)
    assert tuning.importance("kind", ["a", "b"], [0.1, 0.2], "higher", False).explained is None


def test_of_an_accuracy_too_a_positive_trend_means_that_both_grow():
    values = [0.1, 0.2, 0.3, 0.4]
    assert tuning.importance("key", values, values, "higher", True).trend == pytest.approx(1)
    assert tuning.importance("key", values, values, "lower", True).trend == pytest.approx(1)


def test_the_outermost_of_the_tried_values_is_a_border():
    assert tuning.outermost([0.3, 0.1, 0.2], 0) == "highest"
    assert tuning.outermost([0.3, 0.1, 0.2], 1) == "lowest"
    assert tuning.outermost([0.3, 0.1, 0.2], 2) is None
