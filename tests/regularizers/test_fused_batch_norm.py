"""The fused kernel must give what Keras' own batch normalization gives, and leave no trace."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from regbench.regularizers.batch_norm import BatchNorm
from regbench.regularizers.fused_batch_norm import fuse


def pair(shape=(4, 4, 3)):
    """Return two equal layers, of which the second is fused."""
    layers = [keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-2) for _ in range(2)]
    generator = np.random.default_rng(0)
    weights = [generator.uniform(0.5, 2, shape[-1]) for _ in range(4)]
    for layer in layers:
        layer.build((None, *shape))
        layer.set_weights(weights)
    fuse(layers[1])
    return layers


def maps(*shape):
    return np.random.default_rng(1).normal(3, 2, shape).astype("float32")


def train(layer, inputs):
    """Return the output, and the gradients of its cube's sum by inputs, gamma and beta."""
    inputs = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
        loss = tf.reduce_sum(outputs**3)
    return outputs, tape.gradient(loss, [inputs, layer.gamma.value, layer.beta.value])


@pytest.mark.parametrize("shape", [(8, 4, 4, 3), (2, 1, 1, 3)], ids=["maps", "two pixels"])
def test_training_gives_the_outputs_gradients_and_averages_of_keras(shape):
    keras_own, fused = pair(shape[1:])
    (expected, expected_gradients), (received, gradients) = (
        train(layer, maps(*shape)) for layer in (keras_own, fused)
    )
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)
    for mine, theirs in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-2, atol=1e-2)
    for mine, theirs in zip(fused.get_weights(), keras_own.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)


def test_inference_and_a_frozen_layer_are_those_of_keras_to_the_bit():
    keras_own, fused = pair()
    inputs = maps(8, 4, 4, 3)
    assert np.array_equal(fused(inputs, training=False), keras_own(inputs, training=False))
    keras_own.trainable = fused.trainable = False
    assert np.array_equal(fused(inputs, training=True), keras_own(inputs, training=True))


def test_outputs_of_dense_layers_are_left_to_keras():
    keras_own, fused = pair((3,))
    inputs = maps(8, 3)
    assert np.array_equal(fused(inputs, training=True), keras_own(inputs, training=True))


def test_a_config_trains_with_the_fused_kernel():
    (layer,) = BatchNorm().before_activation("conv1")
    layer.build((None, 4, 4, 3))
    graph = tf.function(lambda inputs: layer(inputs, training=True)).get_concrete_function(
        tf.TensorSpec((None, 4, 4, 3))
    )
    assert any("FusedBatchNorm" in operation.type for operation in graph.graph.get_operations())


def test_a_saved_model_loads_without_regbench_as_keras_own_layer(tmp_path):
    _, fused = pair()
    model = keras.Sequential([keras.Input((4, 4, 3)), fused])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is keras.layers.BatchNormalization
    assert np.array_equal(loaded(maps(2, 4, 4, 3)), model(maps(2, 4, 4, 3)))
