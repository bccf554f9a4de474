"""Batch normalization of feature maps with TensorFlow's fused kernel: same numbers, fewer passes.

Keras 3 composes batch normalization of moments and elementwise operations, each of which reads the
maps again. Importing this module imports Keras.
"""

from __future__ import annotations

import keras


def fuse(layer: keras.Layer) -> None:
    """Make a `keras.layers.BatchNormalization` train with the fused kernel, if there is one.

    That is the case for maps (n, height, width, channels) on TensorFlow. Inference remains Keras'
    own, and saved files do not change: the layer keeps its class, config and weights.
    """
    if keras.backend.backend() != "tensorflow":
        return
    unfused = layer.call

    def call(
        inputs: keras.KerasTensor, training: bool | None = None, mask: object = None
    ) -> keras.KerasTensor:
        if training and layer.trainable and len(inputs.shape) == 4:
            return _train(layer, inputs)
        return unfused(inputs, training=training, mask=mask)

    layer.call = call


def _train(layer: keras.Layer, maps: keras.KerasTensor) -> keras.KerasTensor:
    """Normalize with the batch's own statistics, and move the moving averages toward them."""
    import tensorflow as tf

    normalized, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        maps, layer.gamma.value, layer.beta.value, epsilon=layer.epsilon, is_training=True
    )
    # The kernel's variance is the unbiased one, over n - 1; Keras averages the one over n.
    count = tf.cast(tf.size(maps) // tf.shape(maps)[-1], variance.dtype)
    variance *= (count - 1) / count
    for average, now in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        average.assign(average * layer.momentum + now * (1 - layer.momentum))
    return normalized
