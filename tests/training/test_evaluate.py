"""Honest measurements against NumPy."""

from copy import copy

import numpy as np
import pytest

from regbench import config, datasets
from regbench.config import Evaluation
from regbench.datasets import Splits
from regbench.models.build import build, compile_model, to_inputs
from regbench.models.evaluate import BATCH, cross_entropy, measure, predict
from regbench.training.evaluate import Curves

TINY = ["data.name=shapes", "model.blocks=[4]", "model.dense=[8]", "train.learning_rate=1e-2"]


@pytest.fixture(scope="module")
def experiment():
    overrides = [*TINY, "dropout.dense=0.5", "batch_norm=true", "l2=0.1"]
    sizes = ["data.train_examples=600", "data.test_examples=550"]
    return config.load("configs/baseline.yaml", [*overrides, *sizes])


@pytest.fixture(scope="module")
def splits(experiment):
    return datasets.load(experiment.data, seed=0)


@pytest.fixture(scope="module")
def model(experiment, splits):
    model = build(experiment, splits.train_images.shape[1:], len(splits.classes))
    compile_model(model, experiment, 2)
    for start in (0, 100, 200):  # away from the initial weights and batch statistics
        batch = slice(start, start + 100)
        model.train_on_batch(to_inputs(splits.train_images[batch]), splits.train_labels[batch])
    return model


def test_the_loss_is_the_cross_entropy_of_the_models_predictions(model, splits):
    probabilities = model.predict(to_inputs(splits.test_images), verbose=0).astype("float64")
    labels = splits.test_labels
    measured = measure(model, splits.test_images, labels)
    expected = np.mean(
        [-np.log(row[label]) for row, label in zip(probabilities, labels, strict=True)]
    )
    assert measured.loss == pytest.approx(expected, abs=1e-5)
    assert measured.accuracy == np.mean(probabilities.argmax(axis=1) == labels)


def test_the_loss_contains_no_penalty_and_keras_own_does(model, splits):
    row = Curves(splits, seed=0).measure(model).columns
    inputs = to_inputs(splits.test_images)
    reported = model.evaluate(inputs, splits.test_labels, verbose=0, return_dict=True)["loss"]
    assert row["penalty"] > 0.1
    assert reported == pytest.approx(row["test_loss"] + row["penalty"], rel=1e-4)


def test_the_penalty_is_recomputed_by_numpy(model, splits):
    kernels = [
        np.asarray(each.kernel, "float64") for each in model.layers if hasattr(each, "kernel")
    ]
    expected = 0.1 * sum(np.square(kernel).sum() for kernel in kernels)
    assert Curves(splits, seed=0).measure(model).columns["penalty"] == pytest.approx(
        expected, rel=1e-5
    )


def test_the_training_set_as_test_set_gives_identical_numbers(model, splits):
    train = splits.train_images, splits.train_labels
    row = Curves(Splits(*train, *train, splits.classes), seed=0).measure(model).columns
    assert row["train_loss"] == row["test_loss"]
    assert row["train_accuracy"] == row["test_accuracy"]


def test_the_training_sample_is_at_most_as_large_as_the_test_set(model, splits):
    row = Curves(splits, seed=0).measure(model).columns
    assert (row["train_evaluated"], row["test_evaluated"]) == (550, 550)


def test_between_the_ends_the_same_few_examples_are_measured_for_every_variant(splits):
    """As many of both sets, every class as often, and other ones for another seed."""
    own, others, of_another_seed = (
        Curves(splits, seed, Evaluation(examples=100)) for seed in (0, 0, 1)
    )
    for (images, labels), again, other, whole in zip(
        own._few, others._few, of_another_seed._few, (own.train, own.test), strict=True
    ):
        assert np.bincount(labels).tolist() == [10] * 10
        np.testing.assert_array_equal(images, again[0])
        assert (images != other[0]).any()
        known = {image.tobytes() for image in whole[0]}
        assert all(image.tobytes() in known for image in images)


def test_a_sample_is_measured_as_the_whole_is(model, splits):
    curves = Curves(splits, seed=0, evaluation=Evaluation(examples=100))
    few, (images, labels) = curves.measure_few(model), curves._few[1]
    assert few.columns["test_loss"] == pytest.approx(measure(model, images, labels).loss)
    assert few.columns["test_accuracy"] == measure(model, images, labels).accuracy
    assert (few.columns["train_evaluated"], few.columns["test_evaluated"]) == (100, 100)


@pytest.mark.parametrize("examples", ["all", 100_000])
def test_a_sample_as_large_as_there_are_examples_is_all_of_them(model, splits, examples):
    curves = Curves(splits, seed=0, evaluation=Evaluation(examples=examples))
    assert curves.measure_few(model).columns == curves.measure(model).columns


def test_measuring_changes_neither_weights_nor_batch_statistics(model, splits):
    before = [np.array(weights) for weights in model.get_weights()]
    Curves(splits, seed=0).measure(model)
    for left, right in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_predictions_do_not_depend_on_the_batch_they_are_in(model, splits):
    assert len(splits.train_images) > BATCH
    whole = predict(model, splits.train_images)
    assert whole.shape == (600, 10)
    np.testing.assert_allclose(predict(model, splits.train_images[590:]), whole[590:], atol=1e-6)


def test_a_probability_of_zero_costs_much_but_not_infinitely():
    probabilities = np.array([[1, 0], [0.5, 0.5]], "float32")
    labels = np.array([1, 0])
    expected = (-np.log(np.finfo("float32").tiny) + np.log(2)) / 2
    assert cross_entropy(probabilities, labels) == pytest.approx(expected)


def test_without_the_test_set_none_of_its_examples_is_looked_at(model, splits):
    unreadable = copy(splits)
    object.__setattr__(unreadable, "test_images", None)
    object.__setattr__(unreadable, "test_labels", range(550))  # their number is all that counts
    curves = Curves(unreadable, 0, Evaluation(test=False, examples=20))
    for measured in (curves.measure(model), curves.measure_few(model)):
        assert measured.is_finite
        assert measured.columns["test_loss"] is measured.columns["test_accuracy"] is None
        assert measured.columns["test_evaluated"] == 0
        assert measured.number("train_loss") > 0
