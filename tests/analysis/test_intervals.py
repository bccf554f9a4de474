"""Intervals cover what they say, by simulation, or the page says where they do not.

`docs/intervals.py` has the simulations; a few hundred of each run here, and with `-m slow` as many
as for the tables of `docs/intervals.md`.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from docs import intervals
from regbench.analysis import coverage, statistics
from tests.analysis.test_aggregate import REFERENCES, array

NORMAL, SKEWED, HEAVY, DISCRETE = intervals.FAMILIES
# Where 95% is missed by more than the tolerance: what the page says, from the lowest share on.
SHORT = {
    ("seeds", SKEWED): (0.86, 0.94),
    ("samples", SKEWED): (0.88, 0.95),
    ("samples", HEAVY): (0.93, 0.98),
    ("variance", SKEWED): (0.70, 0.88),
    ("variance", HEAVY): (0.62, 0.90),
    ("improvement", NORMAL): (0.88, 0.965),
    ("improvement", SKEWED): (0.88, 0.965),
    ("improvement", HEAVY): (0.88, 0.965),
    ("improvement", DISCRETE): (0.88, 0.965),
    ("interquartile mean", NORMAL): (0.82, 0.965),
    ("interquartile mean", SKEWED): (0.82, 0.965),
    ("interquartile mean", HEAVY): (0.82, 0.965),
    ("interquartile mean", DISCRETE): (0.82, 0.965),
}
KINDS = ("seeds", "images", "samples", "variance", "data sets", "improvement", "interquartile mean")
FEW = {"seeds": 400, "images": 200, "samples": 400, "variance": 600, "data sets": 500}


def check(name, simulations, counts=()):
    worth = intervals.TABLES[name][1]
    # Three standard errors of the share itself.
    chance = 3 * np.sqrt(0.95 * 0.05 / (simulations * worth))
    for label, by_count in intervals.shares(name, simulations, 1, counts).items():
        low, high = SHORT.get((name, label), (0.95 - 0.015, 0.95 + 0.015))
        for count, share in by_count.items():
            assert low - chance <= share <= high + chance, (name, label, count, share)


@pytest.mark.parametrize("name", KINDS)
def test_an_interval_covers_the_truth_as_often_as_its_page_says(name):
    bootstrapped = name in ("improvement", "interquartile mean")
    check(name, FEW.get(name, 400), (5,) if bootstrapped else ())


@pytest.mark.slow  # minutes
@pytest.mark.parametrize("name", KINDS)
def test_an_interval_covers_the_truth_as_often_as_its_page_says_to_the_third_digit(name):
    check(name, intervals.SIMULATIONS)


def test_more_seeds_make_an_interval_over_seeds_worse_for_other_test_images():
    family = intervals.FAMILIES[NORMAL]
    rng = np.random.default_rng(0)
    assert intervals.over_images(rng, family, 20, 200, new_images=False) < 0.9


def test_a_two_way_bootstrap_is_wider_than_it_needs_to_be():
    rng = np.random.default_rng(0)
    wider = 0.0
    for _ in range(10):
        scores, _ = intervals.scores(rng, intervals.FAMILIES[NORMAL], 20)
        resampled = intervals.two_way_bootstrap(rng, scores)
        floor = statistics.Floor(added=coverage.of_images(scores))
        found = statistics.interval(scores.mean(axis=1), floor=floor)
        wider += (resampled.high - resampled.low) / (found.high - found.low) / 10
    assert wider > 1.05


def test_data_sets_of_few_seeds_are_not_to_be_weighted():
    rng = np.random.default_rng(0)
    family = intervals.FAMILIES[SKEWED]
    weighted = intervals.over_data_sets(rng, family, 10, 500, weighted=True)
    assert weighted < 0.935 < intervals.over_data_sets(rng, family, 10, 500) + 0.03


def test_the_weighted_interval_is_that_of_statsmodels():
    known = REFERENCES["random_effects"]
    means, variances = (array("random_effects", each) for each in ("means", "variances"))
    assert intervals.paule_mandel(means, variances) == pytest.approx(known["between"], rel=1e-4)
    found = intervals.random_effects(means, variances)
    assert found.mean == pytest.approx(known["mean"], rel=1e-4)
    half = statistics.t_quantile(0.975, 4) * known["error"]
    assert found.high - found.mean == pytest.approx(half, rel=1e-4)


def test_the_pages_tables_are_there_and_bold_where_they_miss():
    page = Path("docs/intervals.md").read_text(encoding="utf-8")
    for name in intervals.TABLES:
        between = re.search(f"<!-- {name} -->\n(.*?)<!-- end of {name} -->", page, re.DOTALL)
        rows = between[1].splitlines()
        assert len(rows) == 2 + len(intervals.FAMILIES), name
        for row in rows[2:]:
            for cell in row.strip("| ").split(" | ")[1:]:
                off = round(abs(float(cell.strip("*")) - 0.95), 3)
                assert cell.startswith("**") == (off > intervals.TOLERANCE), (name, row)


def test_a_page_without_a_tables_marks_is_refused():
    text = "<!-- a -->\nold\n<!-- end of a -->\n"
    assert intervals.filled(text, {"a": "| new |\n"}) == "<!-- a -->\n| new |\n<!-- end of a -->\n"
    with pytest.raises(SystemExit):
        intervals.filled("nothing", {"a": "| new |\n"})


def test_a_sample_that_all_seeds_share_is_told_apart_from_one_that_they_draw():
    values = np.array([0.1, 0.2, 0.15])
    assert coverage.over_samples(values, 5000, 50_000).low is not None
    assert coverage.over_samples(values, 50_000, 50_000).low is None
