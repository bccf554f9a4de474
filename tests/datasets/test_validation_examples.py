"""Validation examples: disjoint from training and test, stratified, and the seed's alone."""

import numpy as np
import pytest

from regbench import config, datasets
from regbench.datasets import DataError, fingerprint, validation_examples


def loaded(*overrides, seed=0):
    common = ["data.name=shapes", "data.train_examples=100", "data.test_examples=50"]
    return datasets.load(config.load("configs/baseline.yaml", [*common, *overrides]).data, seed)


def rows(images):
    return {image.tobytes() for image in images}


def test_validation_examples_are_apart_from_the_others_and_change_nothing_of_them():
    plain, splits = loaded(), loaded("data.validation_examples=40")
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(splits, name), getattr(plain, name))
    images, labels = splits.validation
    assert np.bincount(labels, minlength=10).tolist() == [4] * 10
    assert not rows(images) & (rows(splits.train_images) | rows(splits.test_images))
    assert plain.validation is None
    np.testing.assert_array_equal(images, loaded("data.validation_examples=40").validation[0])
    other = loaded("data.validation_examples=40", seed=1).validation[0]
    assert rows(other) != rows(images)


def test_a_share_is_one_of_the_training_examples():
    data = config.load("configs/baseline.yaml", ["data.validation_examples=0.2"]).data
    assert validation_examples.count(data, 50_000) == 1000
    every = config.load("configs/baseline.yaml", ["data.validation_examples=0.2",
                                                  "data.train_examples=all"]).data  # fmt: skip
    assert validation_examples.count(every, 50_000) == 10_000


def test_where_all_train_they_are_taken_out_of_all():
    splits = loaded("data.train_examples=all", "data.validation_examples=0.1")
    whole = loaded("data.train_examples=all")
    assert len(splits.train_labels) + len(splits.validation[1]) == len(whole.train_labels)
    assert not rows(splits.validation[0]) & rows(splits.train_images)


@pytest.mark.parametrize(
    ("overrides", "most"),
    [(["data.train_examples=9990"], 10), (["data.train_examples=all"], 9999)],
)
def test_a_pool_that_is_too_small_is_an_error(overrides, most):
    with pytest.raises(DataError, match=f"expected at most {most}, .* received 10000"):
        loaded(*overrides, "data.validation_examples=10000")


def test_their_labels_are_as_noisy_as_those_of_training_and_theirs_stay_as_they_were():
    noise = "data.label_noise=0.5"
    plain, splits = loaded(noise), loaded(noise, "data.validation_examples=40")
    np.testing.assert_array_equal(splits.train_labels, plain.train_labels)
    clean = loaded("data.validation_examples=40").validation[1]
    assert (splits.validation[1] != clean).sum() == 20


def test_the_fingerprint_is_of_validation_examples_too():
    plain, splits = loaded(), loaded("data.validation_examples=40")
    assert fingerprint.of(plain) != fingerprint.of(splits)
    assert fingerprint.of(splits) != fingerprint.of(loaded("data.validation_examples=41"))
