"""Layer and group normalization against NumPy, and groups that do not fit."""

import keras
import numpy as np
import pytest

from regbench import config
from regbench.errors import RegbenchError
from regbench.models.build import build

SMALL = ["model.blocks=[4]", "model.convolutions=1", "model.dense=[8]"]


def built(*overrides):
    return build(config.load("configs/baseline.yaml", [*SMALL, *overrides]), (8, 8, 3), 10)


def normalized(model, name, inputs):
    """Return what the layer makes of the inputs, with gamma and beta that differ by channel."""
    layer = model.get_layer(name)
    channels = inputs.shape[-1]
    layer.set_weights([np.linspace(0.5, 2, channels), np.linspace(-1, 1, channels)])
    return keras.ops.convert_to_numpy(layer(inputs, training=True))


def expected(inputs, axes):
    mean = inputs.mean(axis=axes, keepdims=True)
    scaled = (inputs - mean) / np.sqrt(inputs.var(axis=axes, keepdims=True) + 1e-3)
    return scaled


def affine(scaled):
    channels = scaled.shape[-1]
    return scaled * np.linspace(0.5, 2, channels) + np.linspace(-1, 1, channels)


def maps():
    return np.random.default_rng(0).normal(3, 2, (5, 8, 8, 4)).astype("float32")


def test_layer_normalization_is_over_the_channels_at_each_place_before_the_activation():
    model = built("layer_norm=true")
    assert [type(layer).__name__ for layer in model.layers][:3] == [
        "Conv2D", "LayerNormalization", "Activation",
    ]  # fmt: skip
    found = normalized(model, "block1_conv1_layer_norm", maps())
    np.testing.assert_allclose(found, affine(expected(maps(), axes=3)), atol=1e-4)


def test_group_normalization_is_over_the_places_of_neighboring_channels():
    found = normalized(built("group_norm=2"), "block1_conv1_group_norm", maps())
    grouped = maps().reshape(5, 8, 8, 2, 2)
    scaled = expected(grouped, axes=(1, 2, 4)).reshape(5, 8, 8, 4)
    np.testing.assert_allclose(found, affine(scaled), atol=1e-4)


def test_group_normalization_of_a_dense_layer_is_over_groups_of_its_units():
    units = np.random.default_rng(0).normal(3, 2, (5, 8)).astype("float32")
    found = normalized(built("group_norm=2"), "dense1_group_norm", units)
    scaled = expected(units.reshape(5, 2, 4), axes=2).reshape(5, 8)
    np.testing.assert_allclose(found, affine(scaled), atol=1e-4)


@pytest.mark.parametrize("toggle", ["layer_norm=true", "group_norm=true"])
def test_an_example_is_normalized_the_same_in_any_batch_and_mode(toggle):
    model, images = built(toggle), np.random.default_rng(0).random((6, 8, 8, 3), np.float32)
    whole = keras.ops.convert_to_numpy(model(images, training=True))
    alone = keras.ops.convert_to_numpy(model(images[2:3], training=False))
    np.testing.assert_allclose(whole[2:3], alone, atol=1e-6)


@pytest.mark.parametrize(
    ("groups", "sizes", "message"),
    [
        (3, [], r"group_norm\.groups: expected a number that divides the 4 channels of "
                r"block1_conv1, received 3; choose"),
        (8, [], "divides the 4 channels of block1_conv1, received 8"),
        (4, ["model.dense=[6]"], "divides the 6 units of dense1 and leaves two or more in each "
                                 "group, received 4"),
        (4, ["model.dense=[4]"], "two or more in each group, received 4"),
    ],
)  # fmt: skip
def test_groups_that_do_not_fit_are_refused_with_both_numbers(groups, sizes, message):
    with pytest.raises(RegbenchError, match=message):
        built(f"group_norm={groups}", *sizes)


def test_one_unit_in_each_group_is_instance_normalization_on_maps():
    found = normalized(built("group_norm=4"), "block1_conv1_group_norm", maps())
    np.testing.assert_allclose(found, affine(expected(maps(), axes=(1, 2))), atol=1e-4)


def test_a_saved_model_is_loaded_by_plain_keras(tmp_path):
    model, images = built("group_norm=2"), np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("dense1_group_norm")) is keras.layers.GroupNormalization
    np.testing.assert_array_equal(loaded(images), model(images))
