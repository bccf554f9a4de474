"""Looks at growing data: against published boundaries, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from regbench.analysis.sequential import Design, spent
from regbench.studies import markdown
from tests.analysis import simulate_sequential as simulated

LOOKS = simulated.LOOKS
# Of Lan and DeMets' functions for five equal steps and a two-sided alpha of 0.05, as Reboussin et
# al., "Computations for Group Sequential Boundaries Using the Lan-DeMets Spending Function
# Method", 2000, and every package since have them.
PUBLISHED = {
    "obrien_fleming": (4.8769, 3.3569, 2.6803, 2.2898, 2.0310),
    "pocock": (2.4380, 2.4268, 2.4101, 2.3966, 2.3859),
}


@pytest.mark.parametrize("spending", PUBLISHED)
def test_boundaries_are_the_published_ones(spending):
    found = stats.norm.isf(np.array(Design((1, 2, 3, 4, 5), spending).boundaries()) / 2)
    assert found == pytest.approx(PUBLISHED[spending], abs=5e-4)


@pytest.mark.parametrize("spending", PUBLISHED)
def test_spending_ends_with_all_of_alpha_and_never_takes_any_back(spending):
    shares = [spent(spending, 0.05, each) for each in np.linspace(0.01, 1, 50)]
    assert shares[-1] == pytest.approx(0.05)
    assert (np.diff(shares) > 0).all()


@pytest.mark.parametrize("spending", PUBLISHED)
@pytest.mark.parametrize("looks", [LOOKS, (5, 6), (2, 3, 50), tuple(range(5, 25))])
def test_a_normal_path_crosses_its_boundaries_as_often_as_alpha_says(spending, looks):
    steps = np.random.default_rng(0).normal(size=(20_000, looks[-1])).cumsum(axis=1)
    ends = np.array(looks)
    p_values = 2 * stats.norm.sf(np.abs(steps[:, ends - 1]) / np.sqrt(ends))
    crossed = (p_values <= Design(looks, spending).boundaries()).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize("spending", PUBLISHED)
def test_the_level_of_a_boundary_is_the_alpha_that_gives_it(spending):
    design = Design(LOOKS, spending)
    for alpha in (0.05, 0.05 / 9, 0.0005):
        for look, p_value in enumerate(design.boundaries(alpha)):
            assert design.level(look, p_value) == pytest.approx(alpha, rel=1e-3)
            assert design.level(look, p_value * 0.9) < alpha < design.level(look, p_value * 1.1)


def test_a_single_look_has_the_p_value_itself_as_its_level():
    assert Design((5,)).level(0, 0.0123) == 0.0123
    assert Design((5,)).boundaries() == pytest.approx((0.05,))


def test_levels_of_impossible_and_certain_p_values_stay_in_bounds():
    levels = Design(LOOKS).level(1, np.array([0.0, 1e-300, 0.5, 1.0]))
    assert (levels > 0).all()
    assert (np.diff(levels) >= 0).all()
    assert levels[-1] == 1.0


DESIGNS = [Design((5,)), Design((20,)), Design(LOOKS), Design(LOOKS, "pocock")]


@pytest.mark.parametrize("design", DESIGNS, ids=str)
@pytest.mark.parametrize("true", [0, 4])
def test_a_study_of_nine_claims_is_wrong_anywhere_in_a_twentieth_of_cases(design, true):
    assert simulated.simulate("normal", design, 6000, true).wrong.mean() <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS, ids=str)
@pytest.mark.parametrize("kind", ["normal", "heavy-tailed", "discrete"])
@pytest.mark.parametrize("true", [0, 4])
def test_it_is_also_with_heavy_tails_and_few_test_examples(kind, design, true):
    assert simulated.simulate(kind, design, 20_000, true).wrong.mean() <= 0.06


@pytest.mark.parametrize(("spending", "rate"), [("obrien_fleming", 0.13), ("pocock", 0.29)])
def test_skewed_differences_are_wrong_as_often_as_the_legend_says(spending, rate):
    found = simulated.simulate("skewed", Design(LOOKS, spending), 3000).wrong.mean()
    assert found == pytest.approx(rate, abs=0.02)
    assert f"{rate:.0%} for exponential" in markdown.LOOKS[spending]


def test_looks_without_correction_are_wrong_three_times_as_often():
    samples = simulated.draw("normal", np.random.default_rng(0), 4000, ("lower",), LOOKS[-1])
    seen = [samples[:, :, :count] for count in LOOKS]
    alone = [simulated.judge(part, Design((part.shape[-1],)), ("lower",), 0, 1) for part in seen]
    assert np.mean([found.wrong for found in alone], axis=0).astype(bool).mean() > 0.13
    assert simulated.judge(samples, Design(LOOKS), ("lower",), 0, 1).wrong.mean() <= 0.06


@pytest.mark.parametrize("spending", PUBLISHED)
def test_clear_effects_take_two_thirds_of_the_seeds_of_a_fixed_study_or_fewer(spending):
    design = Design(LOOKS, spending)
    fixed = simulated.fixed_seeds(design, 4000)
    assert 30 <= fixed <= 41
    for effect in (1.0, 1.5):
        power, seeds = simulated.seeds_trained(effect, design, 4000)
        assert power > 0.99
        assert seeds / fixed <= 0.7
