"""Averages of the weights and of batch normalization's statistics, in plain NumPy."""

import keras
import numpy as np
import pytest

from regbench import config, datasets
from regbench.models.batches import batches
from regbench.models.build import build, compile_model
from regbench.training.averages import Averages, take_statistics

TINY = [
    "data={name: shapes, train_examples: 20, test_examples: 10}",
    "model={blocks: [2], convolutions: 1, dense: [3]}",
    "train.batch_size=8",
    "train.epochs=8",
]


def made(*overrides):
    """Return a compiled model, its averages and its experiment."""
    experiment = config.load("configs/baseline.yaml", [*TINY, *overrides])
    splits = datasets.load(experiment.data, 0)
    model = build(experiment, splits.train_images.shape[1:], 10)
    compile_model(model, experiment, 3)
    return model, Averages(model, experiment, splits), (experiment, splits)


def values(variables):
    return [keras.ops.convert_to_numpy(each).copy() for each in variables]


def evaluated(model, averages, epoch=1):
    with averages.evaluated(epoch):
        return values(model.trainable_variables)


def assert_close(found, expected):
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_ema_is_the_moving_average_of_the_weights_after_each_update():
    model, averages, _ = made("ema=0.7")
    first = values(model.trainable_variables)
    assert_close(evaluated(model, averages), first)  # before the first update
    rng, expected = np.random.default_rng(0), None
    for _ in range(3):
        given = [rng.normal(size=each.shape).astype("float32") for each in first]
        model.optimizer.apply(list(map(keras.ops.convert_to_tensor, given)))
        now = values(model.trainable_variables)
        expected = expected or now
        expected = [0.7 * old + 0.3 * new for old, new in zip(expected, now, strict=True)]
        assert_close(evaluated(model, averages), expected)
        assert_close(values(model.trainable_variables), now)  # training goes on with its own
    averages.settle(1)
    assert_close(values(model.trainable_variables), expected)


@pytest.mark.parametrize(("start", "averaged"), [(0.75, [7, 8]), (0.0, range(1, 9)), (0.99, [8])])
def test_swa_is_the_mean_of_the_weights_after_the_last_epochs(start, averaged):
    model, averages, _ = made(f"swa={{start: {start}}}")
    rng, after = np.random.default_rng(0), {}
    for epoch in range(1, 9):
        for variable in model.trainable_variables:
            variable.assign(rng.normal(size=variable.shape))
        averages.end_epoch(epoch)
        after[epoch] = values(model.trainable_variables)
        if epoch < averaged[0]:
            assert_close(evaluated(model, averages), after[epoch])
    expected = [np.mean(each, axis=0) for each in zip(*(after[n] for n in averaged), strict=True)]
    assert_close(evaluated(model, averages), expected)


def test_averaged_weights_have_the_mean_statistics_of_the_epochs_batches():
    """Of maps, with the fused kernel, and of vectors; dropout is on, as it was in training."""
    model, averages, (experiment, splits) = made("swa={start: 0}", "batch_norm=true")
    before = values(model.non_trainable_variables)
    averages.end_epoch(1)
    conv = model.get_layer("block1_conv1")
    norm = model.get_layer("block1_conv1_batch_norm")
    maps = [values([conv(images)])[0] for images, _ in batches(experiment, splits, 1)]
    with averages.evaluated(1):
        found = values([norm.moving_mean, norm.moving_variance])
    axes = (0, 1, 2)
    means = [np.mean([each.mean(axes) for each in maps], 0)]
    assert_close(found, [*means, np.mean([each.var(axes) for each in maps], 0)])
    assert_close(values(model.non_trainable_variables), before)
    assert norm.momentum == 0.99
    with averages.evaluated(1, with_statistics=False):
        assert_close(values(model.non_trainable_variables), before)


def test_statistics_of_a_model_of_any_form_are_taken_and_one_without_is_not_computed():
    inputs = keras.Input((3,))
    branch = keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(3)(inputs))
    model = keras.Model(inputs, keras.layers.Add()([branch, inputs]))
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(5, 3)).astype("float32") for _ in range(4)]
    take_statistics(model, arrays)
    dense = [values([model.layers[1](each)])[0] for each in arrays]
    norm = model.get_layer("norm")
    assert_close(
        values([norm.moving_mean, norm.moving_variance]),
        [np.mean([each.mean(0) for each in dense], 0), np.mean([each.var(0) for each in dense], 0)],
    )
    plain = keras.Sequential([inputs, keras.layers.Dense(3)])
    take_statistics(plain, iter([None]))  # None would be an error
