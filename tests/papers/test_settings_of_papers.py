"""What papers ask of a config: crops, standardization, schedules, input dropout, networks."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from regbench import config, datasets
from regbench.config import ConfigError, Experiment
from regbench.datasets import DataError
from regbench.errors import RegbenchError
from regbench.inspection.inspect import size_of
from regbench.models import cost
from regbench.models.build import build, compile_model
from regbench.regularizers.keras_layers import PerImageStandardization

TINY = {"name": "mlp", "dense": [3]}


def test_a_center_crop_is_the_middle_of_every_image_of_every_split():
    asked = {"name": "shapes", "train_examples": 6, "test_examples": 4, "validation_examples": 3}
    whole, cropped = (
        datasets.load(Experiment(name="mine", data=asked | more).data, seed=1)
        for more in ({}, {"center_crop": 28})
    )
    for split in ("train_images", "test_images", "validation_images"):
        middle = getattr(whole, split)[:, 2:30, 2:30]
        np.testing.assert_array_equal(getattr(cropped, split), middle)
    np.testing.assert_array_equal(cropped.train_labels, whole.train_labels)
    assert cropped.pool == whole.pool
    assert size_of(Experiment(name="mine", data=asked | {"center_crop": 28}).data).input_shape == (
        28, 28, 3,
    )  # fmt: skip


def test_of_an_odd_rest_less_is_cut_off_above_and_left():
    images = np.arange(25, dtype=np.uint8).reshape(1, 5, 5, 1)
    np.testing.assert_array_equal(datasets.centered(images, 2)[0, :, :, 0], [[6, 7], [11, 12]])
    with pytest.raises(DataError, match=r"data.center_crop: expected at most 5, .*received 6"):
        datasets.centered(images, 6)


def test_standardization_is_that_of_tensorflow_for_levels_from_0_to_255():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3)).astype("float32")
    images[1] = 7  # of one gray level
    images[2] = 7
    images[2, 0, 0, 0] = 8  # a deviation below TensorFlow's least one
    means = images.mean((1, 2, 3), keepdims=True)
    deviations = np.maximum(images.std((1, 2, 3), keepdims=True), 1 / np.sqrt(60))
    found = keras.ops.convert_to_numpy(PerImageStandardization()(images / 255))
    np.testing.assert_allclose(found, (images - means) / deviations, atol=2e-4)


def test_the_network_standardizes_before_techniques_add_noise():
    data = {"per_image_standardization": True}
    made = Experiment(name="mine", data=data, model=TINY, gaussian_noise=0.1)
    kinds = [type(each).__name__ for each in build(made, (4, 4, 3), 2).layers]
    assert kinds[:3] == ["PerImageStandardization", "GaussianNoise", "Flatten"]


def test_a_network_that_does_not_ask_for_input_layers_cannot_standardize():
    made = Experiment(name="mine", data={"per_image_standardization": True}, model=TINY)
    kit = made.model.kit({})
    kit.standardized = True
    kit.dense("dense1", 2)
    with pytest.raises(RegbenchError, match=r"per_image_standardization: the model mine has no"):
        kit.check_asked("mine")


def rates(train, epochs=4, steps=3):
    made = Experiment(name="mine", model=TINY, train=train | {"epochs": epochs})
    model = build(made, (2, 2, 1), 2)
    compile_model(model, made, steps)
    found = []
    for _ in range(epochs * steps):
        found.append(float(model.optimizer.learning_rate))
        zeros = [keras.ops.zeros_like(each) for each in model.trainable_variables]
        model.optimizer.apply(zeros, model.trainable_variables)
    return found


def test_an_exponential_schedule_decays_after_each_epoch():
    train = {"learning_rate": 0.1, "schedule": "exponential", "decay": 0.5, "optimizer": "sgd"}
    expected = np.repeat([0.1, 0.05, 0.025, 0.0125], 3)
    np.testing.assert_allclose(rates(train), expected, rtol=1e-6)


def test_a_step_schedule_decays_after_each_milestone():
    train = {"learning_rate": 0.1, "schedule": "step", "decay": 0.1, "milestones": [1, 3]}
    expected = np.repeat([0.1, 0.01, 0.01, 0.001], 3)
    np.testing.assert_allclose(rates(train | {"optimizer": "rmsprop"}), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.decay=0.5", "decay is for schedule: exponential or schedule: step"),
        ("train.schedule=exponential", "schedule: exponential needs decay, such as 0.95"),
        ("train={schedule: step, decay: 0.1}", "needs milestones, such as [200, 250, 300]"),
        ("train={schedule: step, decay: 0.1, milestones: [3, 2]}", "expected rising epochs"),
        ("data.center_crop=0", "data.center_crop: expected"),
        ("dropout.input=1", "dropout.input: expected"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(override, expected):
    with pytest.raises(ConfigError) as error:
        config.load("baseline", [override])
    assert expected in str(error.value)


def rates_of_dropout(experiment, shape=(8, 8, 1)):
    layers = build(experiment, shape, 2).layers
    return {each.name: each.rate for each in layers if isinstance(each, keras.layers.Dropout)}


def test_dropout_of_the_input_takes_the_place_of_that_before_the_first_dense_layer():
    model = {"name": "mlp", "dense": [3, 3]}
    both = Experiment(name="mine", model=model, dropout={"dense": 0.5, "input": 0.2})
    assert rates_of_dropout(both) == {
        "input_dropout": 0.2, "dense2_dropout": 0.5, "output_dropout": 0.5,
    }  # fmt: skip
    plain = Experiment(name="mine", model=model, dropout=0.5)
    assert rates_of_dropout(plain) == dict.fromkeys(
        ("dense1_dropout", "dense2_dropout", "output_dropout"), 0.5
    )
    none = Experiment(name="mine", model=model, dropout={"dense": 0.5, "input": 0.0})
    assert rates_of_dropout(none) == {"dense2_dropout": 0.5, "output_dropout": 0.5}


def test_dropout_of_the_input_of_a_convolutional_network_is_before_its_first_convolution():
    model = {"name": "cnn", "blocks": [2], "dense": [3]}
    both = Experiment(name="mine", model=model, dropout={"dense": 0.5, "input": 0.2})
    assert list(rates_of_dropout(both)) == ["input_dropout", "dense1_dropout", "output_dropout"]


@pytest.mark.parametrize(
    ("keys", "toggles", "parameters"),
    [
        # Counted by hand from table 2: 3x3 convolutions of 96 and 192 maps, 1x1 of 192 and 10.
        ({"convolutions": 2, "pooled": True}, {"pooling": {"size": 3, "stride": 2}}, 954_730),
        ({"convolutions": 2}, {}, 954_730),
        ({"pooled": True}, {"pooling": {"size": 3, "stride": 2}}, 1_369_738),
        ({}, {}, 1_369_738),
    ],
)
def test_all_four_networks_of_model_c_end_with_the_same_layers(keys, toggles, parameters):
    made = Experiment(name="mine", model={"name": "all_cnn", **keys}, **toggles)
    layers = cost.layers(build(made, (32, 32, 3), 10))
    shapes = [each.output_shape for each in layers if each.kind == "Conv2D"]
    assert shapes[-1][-1] == 10
    pooled = [each.name for each in layers if each.kind == "MaxPooling2D"]
    assert pooled == (["block1_pooling", "block2_pooling"] if keys.get("pooled") else [])
    assert sum(each.parameters for each in layers) == parameters


def test_new_keys_are_in_no_config_of_a_run_that_does_not_use_them():
    text = json.dumps(config.load("baseline").values())
    for key in ("center_crop", "per_image_standardization", "decay", "milestones"):
        assert f'"{key}"' not in text
    used = config.load("baseline", ["data.center_crop=28"])
    assert used.values()["data"]["center_crop"] == 28
    assert config.parse(config.dump(used), "stored") == used
    assert config.load("dropout").hash == "c554be80"
