"""What test examples alone leave uncertain, against McNemar's variance and by simulation."""

import math

import numpy as np
import pytest

from regbench.analysis import sampling_error
from regbench.analysis.statistics import Floor, paired_p


def pair(both, first, second, neither):
    """Return whether each of two models is right, by counts of examples."""
    counts = (both, first, second, neither)
    return np.repeat([True, True, False, False], counts), np.repeat(
        [True, False, True, False], counts
    )


def test_a_pair_has_mcnemars_variance_and_one_discordant_example_more():
    scores = sampling_error.scores(pair(60, 20, 10, 10), (1, -1))
    assert scores.mean() == pytest.approx(0.1)
    variance = (20 + 10 - (20 - 10) ** 2 / 100) / 100**2
    expected = math.sqrt(variance + 1 / 100**2)
    assert sampling_error.of_scores([scores], shared=False) == pytest.approx(expected)
    assert sampling_error.of_scores([scores], shared=True) == pytest.approx(expected)


def test_models_that_agree_on_all_examples_still_have_an_error():
    scores = sampling_error.scores(pair(60, 0, 0, 40), (1, -1))
    assert sampling_error.of_scores([scores] * 4, shared=False) == pytest.approx(1 / 100 / 2)


def test_examples_of_its_own_for_each_seed_average_out_and_shared_ones_do_not():
    scores = sampling_error.scores(pair(60, 20, 10, 10), (1, -1))
    one = sampling_error.of_scores([scores], shared=True)
    assert sampling_error.of_scores([scores] * 4, shared=False) == pytest.approx(one / 2)
    assert sampling_error.of_scores([scores] * 4, shared=True) == pytest.approx(one, rel=0.02)


@pytest.mark.parametrize("shared", [True, False])
def test_it_is_how_far_off_the_mean_difference_is_over_new_test_examples(shared):
    rng = np.random.default_rng(0)
    examples, seeds = 400, 5
    means, errors = [], []
    for _ in range(500):
        # How often each example is right, in the mean over seeds, by the one model and the other.
        shape = (1 if shared else seeds, examples)
        easy = rng.beta(1, 1, shape)
        first = rng.random((seeds, examples)) < easy
        second = rng.random((seeds, examples)) < 0.8 * easy
        scores = [
            sampling_error.scores(models, (1, -1)) for models in zip(first, second, strict=True)
        ]
        means.append(np.mean(scores))
        errors.append(sampling_error.of_scores(scores, shared))
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.1)


def test_models_that_are_equal_but_for_the_test_examples_are_rarely_told_apart():
    """Alike in number of errors: 0.28 are by seeds alone, 0.044 with the floor."""
    rng = np.random.default_rng(0)
    wrong = {"seeds": 0, "examples": 0}
    for _ in range(500):
        easy = rng.beta(0.5, 0.5, (2, 1, 200))  # each model finds other examples easy
        right = rng.random((2, 5, 200)) < easy
        scores = [sampling_error.scores(models, (1, -1)) for models in zip(*right, strict=True)]
        differences = np.array([each.mean() for each in scores])
        error = sampling_error.of_scores(scores, shared=True)
        wrong["seeds"] += paired_p(differences) <= 0.05
        wrong["examples"] += paired_p(differences, floor=Floor(error=error)) <= 0.05
    assert wrong["seeds"] / 500 > 0.25
    assert wrong["examples"] / 500 <= 0.05


def test_without_predictions_the_error_is_that_of_models_that_err_independently():
    own = sampling_error.of_accuracies([(0.7, 0.6)] * 4, 100)
    assert own == pytest.approx(math.sqrt((0.21 + 0.24 + 0.01) / 100 / 4))
    paired = sampling_error.of_scores(
        [sampling_error.scores(pair(55, 15, 5, 25), (1, -1))] * 4, shared=False
    )
    assert own > paired
