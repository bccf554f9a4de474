"""Factorial designs: contrasts equal least squares, and fractions state what they can't tell."""

import numpy as np
import pytest

from regbench.analysis import factorial, statistics
from regbench.analysis.factorial import Effect


def contrast(design, effect, values):
    return sum(weight * values[..., index] for index, weight in design.weights(effect))


def least_squares(design, values):
    """Return coefficients of all main effects and interactions, with seeds as blocks."""
    seeds = len(values)
    coded = 2 * np.array(design.combinations) - 1
    columns = []
    effects = design.effects()
    for effect in effects:
        columns.append(np.tile(np.prod(coded[:, list(effect.factors)], axis=1), seeds))
    blocks = np.repeat(np.eye(seeds), len(design.combinations), axis=0)
    matrix = np.column_stack([*columns, blocks])
    found = np.linalg.lstsq(matrix, values.ravel(), rcond=None)[0]
    # From -1 to 1 are two steps for a main effect, and four for a difference of differences.
    return [2 ** len(e.factors) * each for e, each in zip(effects, found, strict=False)]


@pytest.mark.parametrize("design", [factorial.full([2, 2, 2]), factorial.fraction(5, 1)])
def test_effects_are_those_of_least_squares_with_seeds_as_blocks(design):
    values = np.random.default_rng(0).normal(size=(4, len(design.combinations)))
    expected = least_squares(design, values)
    for effect, each in zip(design.effects(), expected, strict=True):
        assert contrast(design, effect, values).mean() == pytest.approx(each)


def test_an_effect_of_three_levels_is_a_level_against_the_first():
    design = factorial.full([3, 2])
    values = np.arange(6.0) ** 2  # 0 1, 4 9, 16 25
    assert contrast(design, Effect((0,), (2,)), values) == 20
    assert contrast(design, Effect((0, 1), (2, 1)), values) == (25 - 16) - (1 - 0)


def test_each_effect_of_two_levels_uses_all_runs_and_its_weights_sum_to_zero():
    design = factorial.full([2, 2, 2])
    for effect in design.effects():
        weights = [weight for _, weight in design.weights(effect)]
        assert len(weights) == 8
        assert sum(weights) == pytest.approx(0)


@pytest.mark.parametrize(
    ("factors", "halvings", "resolution"),
    [(3, 1, 3), (4, 1, 4), (5, 1, 5), (5, 2, 3), (6, 2, 4), (7, 2, 4), (9, 2, 6)],
)
def test_a_fraction_has_the_highest_resolution_of_the_published_tables(
    factors, halvings, resolution
):
    design = factorial.fraction(factors, halvings)
    assert design.resolution == resolution
    assert len(design.combinations) == 2 ** (factors - halvings)


def test_a_half_fraction_states_its_aliases_and_they_have_the_same_contrast():
    design = factorial.fraction(3, 1)
    (alias,) = design.aliases(Effect((0,), (1,)))
    assert alias == Effect((1, 2), (1, 1))
    values = np.random.default_rng(1).normal(size=4)
    main = contrast(design, Effect((0,), (1,)), values)
    # The interaction is a difference of differences: twice the product's contrast.
    columns = np.prod(2 * np.array(design.combinations)[:, [1, 2]] - 1, axis=1)
    assert main == pytest.approx(columns @ values / 2)


def test_too_few_factors_for_a_fraction_are_an_error():
    with pytest.raises(ValueError, match="aliased with each other"):
        factorial.fraction(2, 1)


def test_intervals_of_effects_cover_where_combinations_vary_unequally():
    design, random = factorial.full([2, 2]), np.random.default_rng(2)
    effect, truth, covered = Effect((0, 1), (1, 1)), 0.5, 0
    for _ in range(2000):
        block = random.normal(size=(5, 1))
        values = block + random.normal(size=(5, 4)) * [1, 0.1, 2, 0.5] + [0, 0, 0, truth]
        found = statistics.interval(contrast(design, effect, values))
        covered += found.low <= truth <= found.high
    assert 0.935 <= covered / 2000 <= 0.965
