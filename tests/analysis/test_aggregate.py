"""Several data sets, and statistics that other packages compute too: their numbers, frozen.

`tests/analysis/references.py` says with which versions and command they were made.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from regbench.analysis import aggregate, coverage, statistics
from regbench.studies import verdicts
from regbench.studies.sections import Claim

REFERENCES = json.loads(Path("tests/golden/references.json").read_text(encoding="utf-8"))


def array(*keys):
    found = REFERENCES
    for key in keys:
        found = found[key]
    return np.array(found)


def test_holm_is_that_of_statsmodels():
    found = statistics.holm(REFERENCES["holm"]["p_values"])
    assert found == pytest.approx(REFERENCES["holm"]["adjusted"])


def test_equivalence_is_that_of_statsmodels_at_half_its_alpha():
    for found in REFERENCES["equivalence"]["found"]:
        claim = Claim(
            text="?", metric="gap", variant="a", against="b", expect="same", margin=found["margin"]
        )
        _, p_value = verdicts.decide(claim, array("equivalence", "values"))
        # Two one-sided tests at 0.05 are a 90% interval; a claim needs one of 95%.
        assert p_value == pytest.approx(2 * found["p_value"])


def test_nadeau_and_bengios_interval_is_that_of_baycomp():
    known = REFERENCES["nadeau_bengio"]
    values = np.array(known["values"])
    found = coverage.corrected(values, known["ratio"])
    half = stats.t.ppf(0.975, known["degrees"]) * np.sqrt(known["variance"])
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))


def test_equal_weights_give_hartung_and_knapps_interval_of_statsmodels():
    found = statistics.interval(array("random_effects", "means"))
    expected = REFERENCES["random_effects"]["interval_of_equal_weights"]
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-5)


def test_the_bootstrap_is_that_of_scipy():
    values = np.random.default_rng(0).normal(0.7, 0.02, 12)
    found = aggregate.interquartile_mean([values])
    expected = stats.bootstrap(
        (values,), lambda x, axis: stats.trim_mean(x, 0.25, axis=axis), n_resamples=20_000,
        method="percentile", rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert found.mean == pytest.approx(stats.trim_mean(values, 0.25))
    width = expected.high - expected.low
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.05 * width)


def test_the_interquartile_mean_is_that_of_rliable():
    first = array("rliable", "first")
    found = aggregate.interquartile_mean(list(first.T))
    low, high = REFERENCES["rliable"]["iqm_interval"]
    assert found.mean == pytest.approx(REFERENCES["rliable"]["iqm"])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.05 * (high - low))


def test_the_probability_of_improvement_is_that_of_rliable():
    first, second = array("rliable", "first"), array("rliable", "second")
    found = aggregate.probability_of_improvement(list(first.T), list(second.T))
    low, high = REFERENCES["rliable"]["improvement_interval"]
    assert found.mean == pytest.approx(REFERENCES["rliable"]["improvement"])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.06 * (high - low))


def test_wilcoxons_test_is_scipys_and_needs_six_data_sets():
    rng = np.random.default_rng(0)
    for count in (6, 9, 20):
        means = rng.normal(0.01, 0.02, count)
        expected = stats.wilcoxon(means, method="exact").pvalue
        assert aggregate.wilcoxon(means) == pytest.approx(expected)
    assert aggregate.wilcoxon(np.full(6, 0.1) + np.arange(6)) == pytest.approx(2 / 2**6)
    assert aggregate.wilcoxon(rng.normal(0, 1, 5)) is None
    assert aggregate.wilcoxon(np.array([0.0, 1, 2, 3, 4, 5])) is None  # a zero says nothing


def test_what_seeds_explain_is_not_between_data_sets():
    means, variances = np.array([0.1, 0.2, 0.3]), np.full(3, 0.002)
    assert aggregate.between(means, variances) == pytest.approx(0.01 - 0.002)
    assert aggregate.between(means, np.full(3, 0.02)) == 0
