"""Label smoothing, mixup and CutMix against Keras and plain NumPy."""

import numpy as np
import pytest
import scipy.stats

from regbench.regularizers.label_smoothing import LabelSmoothing
from regbench.regularizers.mixing import CutMix, Mixup


def batch(count=6, height=8, width=10, channels=3, classes=6):
    images = np.random.default_rng(0).random((count, height, width, channels), dtype=np.float32)
    return images, np.eye(classes, dtype=np.float32)[np.arange(count) % classes]


def test_the_loss_with_smoothed_targets_is_that_of_keras_label_smoothing():
    import keras

    images, targets = batch()
    same, smoothed = LabelSmoothing(epsilon=0.2).batch(images, targets, np.random.default_rng(0))
    assert same is images
    predicted = np.random.default_rng(1).dirichlet(np.ones(6), 6).astype(np.float32)
    theirs = keras.losses.CategoricalCrossentropy(label_smoothing=0.2)(targets, predicted)
    ours = -(smoothed * np.log(predicted)).sum(axis=1).mean()
    assert ours == pytest.approx(float(theirs), rel=1e-5)


def test_smoothed_targets_are_those_of_the_paper():
    _, smoothed = LabelSmoothing().batch(*batch(classes=10), np.random.default_rng(0))
    assert smoothed[2] == pytest.approx([0.01, 0.01, 0.91, *[0.01] * 7])


def test_mixup_is_the_same_weighted_mean_of_images_and_targets():
    images, targets = batch()
    mixed, soft = Mixup(alpha=0.4).batch(images, targets, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    share, order = rng.beta(0.4, 0.4), rng.permutation(6)
    for index in range(6):
        for after, before in ((mixed, images), (soft, targets)):
            expected = share * before[index] + (1 - share) * before[order[index]]
            np.testing.assert_allclose(after[index], expected, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_the_shares_of_mixup_have_the_beta_distribution(alpha):
    rng, technique = np.random.default_rng(0), Mixup(alpha=alpha)
    # An example that is mixed with itself keeps its target; hardly ever all of six are.
    shares = [technique.batch(*batch(), rng)[1].diagonal().min() for _ in range(1000)]
    assert scipy.stats.kstest(shares, scipy.stats.beta(alpha, alpha).cdf).pvalue > 0.001


def test_cutmix_pastes_one_rectangle_and_weights_targets_by_its_area():
    images, targets = batch()
    for seed in range(50):
        pasted, soft = CutMix().batch(images, targets, np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        rng.random()
        order, side = rng.permutation(6), np.sqrt(1 - rng.beta(1, 1))
        row, column = rng.integers(8), rng.integers(10)
        inside = box(8, 10, side, row, column)
        for index in range(6):
            expected = np.where(inside[..., None], images[order[index]], images[index])
            np.testing.assert_array_equal(pasted[index], expected)
            share = 1 - inside.mean()
            expected = share * targets[index] + (1 - share) * targets[order[index]]
            np.testing.assert_allclose(soft[index], expected, atol=1e-6)


def box(height, width, side, row, column):
    """Return which pixels the paper's algorithm A1 replaces, with sides in whole pixels."""
    high, wide = int(height * side), int(width * side)
    inside = np.zeros((height, width), bool)
    for y in range(row - high // 2, row - high // 2 + high):
        for x in range(column - wide // 2, column - wide // 2 + wide):
            if 0 <= y < height and 0 <= x < width:
                inside[y, x] = True
    return inside


def test_cutmix_mixes_a_batch_with_its_probability():
    images, targets = batch()
    rng, technique = np.random.default_rng(0), CutMix(probability=0.3)
    left = sum(technique.batch(images, targets, rng)[0] is images for _ in range(1000))
    assert scipy.stats.binomtest(left, 1000, 0.7).pvalue > 0.001
