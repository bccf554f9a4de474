"""Pairs needed for many differences at once."""

import math

import numpy as np

from regbench.analysis import power


def test_many_differences_take_the_pairs_that_each_takes_alone():
    rng = np.random.default_rng(0)
    means = rng.normal(0, 1, 300) * 10.0 ** rng.integers(-4, 2, 300)
    spreads = np.abs(rng.normal(0, 1, 300)) * 10.0 ** rng.integers(-3, 2, 300)
    means[:4], spreads[2:6] = [0.0, math.nan, 1.0, math.inf], [0.0, 1.0, math.inf, math.nan]
    alone = [power.pairs_needed(*each) for each in zip(means, spreads, strict=True)]
    assert power.pairs_needed_each(means, spreads) == alone
    assert {None, 2} <= set(alone)
    assert max(filter(None, alone)) > 1000


def test_no_difference_takes_no_pairs():
    assert power.pairs_needed_each(np.empty(0), np.empty(0)) == []
