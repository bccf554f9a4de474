"""Flip, crop, cutout and random erasing against what plain NumPy says, one image at a time."""

import numpy as np
import pytest
import scipy.stats

from regbench.regularizers.crop import Crop
from regbench.regularizers.erasing import Cutout, RandomErasing
from regbench.regularizers.flip import Flip

TARGETS = np.eye(3, dtype=np.float32)


def images(count, height=9, width=7, channels=3):
    """Return images in which no two pixels are equal, and none is 0 or 0.5 or 1."""
    size = count * height * width * channels
    numbers = np.random.default_rng(0).permutation(np.linspace(0.6, 0.9, size, dtype=np.float32))
    return numbers.reshape(count, height, width, channels)


def augmented(technique, before, seed=0):
    targets = TARGETS[np.arange(len(before)) % 3]
    after, same = technique.batch(before, targets, np.random.default_rng(seed))
    np.testing.assert_array_equal(same, targets)
    return after


def test_each_image_is_mirrored_or_left_with_equal_probability():
    before = images(2000, 4, 5)
    after = augmented(Flip(), before)
    mirrored = [(one == np.fliplr(other)).all() for one, other in zip(after, before, strict=True)]
    left = [(one == other).all() for one, other in zip(after, before, strict=True)]
    assert all(np.logical_xor(mirrored, left))
    assert scipy.stats.binomtest(sum(mirrored), 2000).pvalue > 0.001


def test_the_probability_of_a_mirror_image_can_be_set():
    before = images(1000, 2, 3)
    assert (augmented(Flip(probability=1.0), before) == before[:, :, ::-1]).all()
    changed = (augmented(Flip(probability=0.2), before) != before).any(axis=(1, 2, 3))
    assert scipy.stats.binomtest(int(changed.sum()), 1000, 0.2).pvalue > 0.001


@pytest.mark.parametrize(("fill", "mode"), [("zeros", "constant"), ("reflect", "reflect")])
def test_each_image_is_one_of_the_crops_of_its_padded_self_all_equally_likely(fill, mode):
    before = images(1000)
    after = augmented(Crop(padding=2, fill=fill), before)
    counts = np.zeros((5, 5), int)
    for one, other in zip(after, before, strict=True):
        padded = np.pad(other, ((2, 2), (2, 2), (0, 0)), mode)
        (place,) = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if (padded[top : top + 9, left : left + 7] == one).all()
        ]
        counts[place] += 1
    assert scipy.stats.chisquare(counts.ravel()).pvalue > 0.001


@pytest.mark.parametrize("size", [1, 4, 5, 30])
def test_cutout_erases_the_square_around_a_pixel_and_nothing_else(size):
    before = images(200)
    after = augmented(Cutout(size=size), before, seed=3)
    centers = np.random.default_rng(3).integers((9, 7), size=(200, 2))
    for one, other, (row, column) in zip(after, before, centers, strict=True):
        expected = other.copy()
        for y in range(9):
            for x in range(7):
                if -(size // 2) <= y - row < size - size // 2 and (
                    -(size // 2) <= x - column < size - size // 2
                ):
                    expected[y, x] = 0.5
        np.testing.assert_array_equal(one, expected)


def test_the_squares_of_cutout_are_centered_on_every_pixel_alike():
    after = augmented(Cutout(size=1, fill=0.0), images(3150))
    counts = (after == 0).all(axis=3).sum(axis=0)
    assert counts.sum() == 3150
    assert scipy.stats.chisquare(counts.ravel()).pvalue > 0.001


def test_random_erasing_replaces_a_rectangle_by_noise_in_half_of_the_images():
    before = images(300, 32, 32)
    after = augmented(RandomErasing(), before)
    noise = []
    for one, other in zip(after, before, strict=True):
        changed = (one != other).any(axis=2)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        assert changed[np.ix_(rows, columns)].all()  # a full rectangle
        if changed.any():
            assert len(rows) == rows[-1] - rows[0] + 1
            assert len(columns) == columns[-1] - columns[0] + 1
            noise.append(one[changed].ravel())
    assert scipy.stats.binomtest(len(noise), 300).pvalue > 0.001
    assert scipy.stats.kstest(np.concatenate(noise), "uniform").pvalue > 0.001


def test_rectangles_are_distributed_as_in_the_papers_algorithm():
    before = images(1000, 32, 32, 1)
    after = augmented(RandomErasing(probability=1.0), before)
    changed = (after != before)[..., 0]
    found = np.stack([changed.any(axis=2).sum(axis=1), changed.any(axis=1).sum(axis=1)])
    rng = np.random.default_rng(1)
    expected = np.array([algorithm_1(rng, 32, 32) for _ in range(1000)]).T
    for here, there in zip(found, expected, strict=True):  # heights, widths
        assert scipy.stats.ks_2samp(here, there).pvalue > 0.001
    assert scipy.stats.ks_2samp(found.prod(axis=0), expected.prod(axis=0)).pvalue > 0.001


def algorithm_1(rng, height, width):
    """Return the sizes of a rectangle as Zhong et al. (2020) draw it, with their symbols."""
    while True:
        area = rng.uniform(0.02, 0.4) * height * width
        ratio = rng.uniform(0.3, 1 / 0.3)
        high, wide = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        x, y = rng.integers(width), rng.integers(height)
        if x + wide <= width and y + high <= height:
            return high, wide


def test_a_rectangle_that_never_fits_leaves_the_image_as_it_is():
    before = images(4)
    shape = {"min_area": 1.0, "max_area": 1.0, "min_ratio": 1e-9}
    technique = RandomErasing(probability=1.0, **shape)
    np.testing.assert_array_equal(augmented(technique, before), before)


def test_areas_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match=r"min_area 0\.5 is above max_area 0\.4"):
        RandomErasing(min_area=0.5)
