"""What intervals cover: seeds, test images, training samples; and what pairing buys."""

import numpy as np
import pytest

from regbench.analysis import compare as comparison
from regbench.analysis import coverage, statistics
from regbench.analysis.statistics import Floor, Part
from regbench.runs import predictions
from regbench.runs.results import Results
from tests.analysis.test_compare import BASE, frame


def crossed(rng, seeds=5, examples=200):
    """Return scores (seeds, examples) of which some images are hard for one model alone."""
    lean = rng.choice([-0.3, 0.0, 0.35], examples, p=[0.2, 0.6, 0.2])
    return rng.choice([-1.0, 0.0, 1.0], (seeds, examples)) * (lean != 0) + lean


def test_new_images_add_what_the_analysis_of_variance_says():
    scores = crossed(np.random.default_rng(0))
    seeds, examples = scores.shape
    grand, rows, columns = scores.mean(), scores.mean(1), scores.mean(0)
    by_seed = examples * ((rows - grand) ** 2).sum() / (seeds - 1)
    by_image = seeds * ((columns - grand) ** 2).sum() / (examples - 1)
    rest = (scores - rows[:, None] - columns + grand) ** 2
    rest = rest.sum() / ((seeds - 1) * (examples - 1))
    total = (by_seed + by_image - rest) / (seeds * examples)
    over_seeds = rows.var(ddof=1) / seeds
    assert coverage.of_images(scores).variance == pytest.approx(total - over_seeds)


def test_images_that_all_seeds_see_alike_add_nothing():
    assert coverage.of_images(np.ones((5, 100))).variance == 0
    assert coverage.of_images(np.eye(5)).variance == 0
    assert coverage.of_images(np.ones((1, 100))) == Part(0.0)


def test_an_interval_over_images_is_never_narrower_than_over_seeds():
    values = np.array([0.1, 0.12, 0.08, 0.11])
    alone = statistics.interval(values)
    for variance in (1e-9, 1e-5, 1e-2):
        wide = statistics.interval(values, floor=Floor(added=Part(variance, 1000.0)))
        assert wide.low <= alone.low
        assert wide.high >= alone.high
        p = statistics.paired_p(values, wide.high, Floor(added=Part(variance, 1000.0)))
        assert p == pytest.approx(0.05)


def test_two_halves_of_a_pool_that_share_most_examples_widen_the_interval():
    values = np.array([0.1, 0.12, 0.08, 0.11])
    alone = statistics.interval(values)
    half = (alone.high - alone.low) / 2
    wide = coverage.over_samples(values, 500, 1500)
    assert wide.high - wide.mean == pytest.approx(half * np.sqrt(1 + 4 * 0.5))
    for whole in (1000, 900):
        assert coverage.over_samples(values, 1000, whole) == alone.point


def test_pairing_buys_what_the_correlation_says():
    rng = np.random.default_rng(0)
    first = rng.normal(0, 1, 12)
    second = first + rng.normal(0, 0.3, 12)
    (found,) = coverage.pairings([first], [second])
    assert found.correlation == pytest.approx(np.corrcoef(first, second)[0, 1])
    ratio = (first - second).var(ddof=1) / (first.var(ddof=1) + second.var(ddof=1))
    assert found.variance_ratio == pytest.approx(ratio)
    few, equal, censored = first[:2], np.ones(5), np.full(12, np.inf)
    firsts = [few, equal, np.append(first, np.nan), first]
    seconds = [second[:2], first[:5], np.append(second, 1.0), censored]
    assert coverage.pairings(firsts, seconds) == [None, None, found, None]


def stored(folder, scores):
    """Return results of two configs whose runs differ on each example by these scores."""
    labels = np.arange(scores.shape[1]) % 3
    wrong = labels + 1
    finished, data = [], {"name": "shapes", "train_examples": 1000}
    for seed, row in enumerate(scores):
        for name, side in (("baseline", -1), ("l2", 1)):
            guesses = np.where(row == -side, wrong, labels)
            path = folder / f"{name}-{name}-s{seed}"
            path.mkdir(parents=True)
            predictions.write(path / predictions.PREDICTIONS, labels, guesses)
            finished.append((name, name, seed, float((guesses == labels).mean())))
    made = frame(*finished).assign(results=str(folder))
    return Results(made, {name: BASE | {"data": data} for name in ("baseline", "l2")})


def test_a_comparison_has_every_interval_that_its_runs_allow(tmp_path):
    lean = np.repeat([1, 0, -1], [30, 60, 10])
    scores = np.stack([np.where(np.arange(100) % 10 == seed, 0, lean) for seed in range(5)])
    _, row = comparison.compare(stored(tmp_path, scores))
    test = row.versus("test_accuracy")
    assert test.mean == pytest.approx(scores.mean())
    assert test.high - test.low < test.images_high - test.images_low
    # 100 new images would move 0.2 by 0.06 and more, whatever the seeds say.
    assert test.images_high - test.mean > 0.1
    half = (test.high - test.low) / 2
    assert test.samples_high - test.mean == pytest.approx(half * np.sqrt(1 + 5 * 1000 / 9000))
    loss = row.versus("test_loss")
    assert loss.images_low is None
    assert loss.samples_low is not None
    _, unread = comparison.compare(stored(tmp_path / "again", scores), examples=False)
    assert unread.versus("test_accuracy").images_low is None


def test_seeds_with_test_examples_of_their_own_cover_new_ones_already(tmp_path):
    rng = np.random.default_rng(1)
    results = stored(tmp_path, rng.choice([-1, 0, 0, 1], (5, 40)))
    for number, path in enumerate(sorted(tmp_path.glob("*-s[0-9]"))):
        seed = int(path.name[-1])
        stored_ = predictions.read(path)
        other = (stored_ + seed) % 7
        predictions.write(path / predictions.PREDICTIONS, other[:, 0], other[:, 1])
        assert number < 10
    _, row = comparison.compare(results)
    test = row.versus("test_accuracy")
    assert (test.images_low, test.images_high) == pytest.approx((test.low, test.high), abs=0.02)
