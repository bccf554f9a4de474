"""Subsets that keep the classes' proportions, and labels that are wrong on purpose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regbench.datasets.errors import DataError
from regbench.datasets.sampling import stratified, with_noise

BALANCED = np.repeat(np.arange(10), 50)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    share=st.floats(0, 1),
    seed=st.integers(0, 5),
)
def test_every_class_gets_its_share_to_within_one_example(sizes, share, seed):
    labels = rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    count = round(share * len(labels))
    chosen = stratified(labels, count, rng(seed))
    assert len(chosen) == count
    assert np.array_equal(chosen, np.unique(chosen))  # sorted, none twice
    exact = np.array(sizes) * count / len(labels)
    counted = np.bincount(labels[chosen], minlength=len(sizes))
    assert np.all(np.abs(counted - exact) < 1)


def test_shares_that_are_whole_numbers_are_exact():
    chosen = stratified(BALANCED, 200, rng())
    assert np.bincount(BALANCED[chosen]).tolist() == [20] * 10


def test_equal_generators_nest_and_others_differ():
    small = stratified(BALANCED, 105, rng())
    large = stratified(BALANCED, 300, rng())
    assert set(small) < set(large)
    assert np.array_equal(large, stratified(BALANCED, 300, rng()))
    assert not np.array_equal(large, stratified(BALANCED, 300, rng(1)))


@pytest.mark.parametrize("count", [-1, 501])
def test_an_impossible_count_is_an_error(count):
    with pytest.raises(ValueError, match=f"expected 0 to 500, received {count}"):
        stratified(BALANCED, count, rng())


@pytest.mark.parametrize(("share", "wrong"), [(0, 0), (0.001, 0), (0.1, 50), (0.333, 166)])
def test_exactly_the_share_of_labels_is_wrong(share, wrong):
    noisy = with_noise(BALANCED, share, 10, rng())
    assert np.count_nonzero(noisy != BALANCED) == wrong
    assert noisy.min() >= 0
    assert noisy.max() <= 9


def test_less_noise_is_part_of_more_and_names_the_same_classes():
    little, much = (with_noise(BALANCED, share, 10, rng()) for share in (0.1, 0.2))
    wrong = little != BALANCED
    assert wrong.sum() == 50
    assert np.array_equal(much[wrong], little[wrong])


def test_wrong_labels_name_every_other_class():
    noisy = with_noise(np.zeros(900, np.int64), 0.9, 4, rng())
    counted = np.bincount(noisy)
    assert counted[0] == 90
    assert counted[1:].min() > 200


def test_noise_leaves_its_input_alone():
    labels = BALANCED.copy()
    with_noise(labels, 0.5, 10, rng())
    assert np.array_equal(labels, BALANCED)


def test_noise_needs_another_class():
    with pytest.raises(DataError, match="at least two classes"):
        with_noise(np.zeros(10, np.int64), 0.5, 1, rng())
