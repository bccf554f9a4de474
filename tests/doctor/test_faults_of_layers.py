"""The doctor finds faults of dropout, noise, normalization and pooling, each in the right line."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from regbench.doctor import techniques
from regbench.regularizers import dropout as dropout_module
from regbench.regularizers import fused_batch_norm, keras_layers
from regbench.regularizers import gaussian_noise as gaussian_noise_module
from regbench.regularizers import pooling as pooling_module
from regbench.regularizers.batch_norm import BatchNorm
from regbench.regularizers.group_norm import GroupNorm
from regbench.regularizers.layer_norm import LayerNorm
from regbench.regularizers.pooling import Pooling
from regbench.regularizers.spatial_dropout import SpatialDropout
from regbench.regularizers.stochastic_depth import StochasticDepth
from tests.doctor.examined import dropout_at_inference, failing


def dropout_unscaled(patch):
    call = keras.layers.Dropout.call

    def unscaled(self, inputs, training=False):
        outputs = call(self, inputs, training=training)
        return outputs * (1 - self.rate) if training else outputs

    patch(keras.layers.Dropout, "call", unscaled)


def dropout_never(patch):
    patch(keras.layers.Dropout, "call", lambda self, inputs, training=False: inputs)


def half_the_rate(patch):
    kind = dropout_module.Dropout
    made = kind._layer
    patch(kind, "_layer", lambda self, rate, name: made(self, rate / 2, name))


def dropout_of_hidden_layers_alone(patch):
    before = dropout_module.Dropout.before_dense
    patch(
        dropout_module.Dropout,
        "before_dense",
        lambda self, name: [] if name == "output" else before(self, name),
    )


def pixels_dropped_twice(patch):
    """Before a dense layer that reads the image, at the rate of pixels and at that of units."""
    patch(
        dropout_module.Dropout, "before_dense_on_input", lambda self, name: self.before_dense(name)
    )


def single_values_of_maps(patch):
    patch(
        SpatialDropout,
        "after_block",
        lambda self, name: [keras.layers.Dropout(self.rate, name=f"{name}_spatial_dropout")],
    )


def dropblock_unscaled(patch):
    def unscaled(self, inputs, training=False):
        return inputs * self._kept(inputs) if training else inputs

    patch(keras_layers.DropBlock2D, "call", unscaled)


def dropblock_of_single_values(patch):
    init = keras_layers.DropBlock2D.__init__

    def single(self, rate, block_size, **options):
        init(self, rate, 1, **options)

    patch(keras_layers.DropBlock2D, "__init__", single)


def variance_for_deviation(patch):
    made = gaussian_noise_module._noise
    patch(gaussian_noise_module, "_noise", lambda deviation, name: made(deviation**2, name))


def depth_ignored(patch):
    branch = StochasticDepth.around_block
    patch(StochasticDepth, "around_block", lambda self, name, depth: branch(self, name, 1.0))


def branches_partly_off(patch):
    patch(
        StochasticDepth,
        "around_block",
        lambda self, name, depth: [
            keras.layers.Dropout(self.rate * depth, name=f"{name}_stochastic_depth")
        ],
    )


def _batch_norm(patch, change):
    made = BatchNorm._layers

    def changed(self, name):
        (layer,) = made(self, name)
        change(layer)
        return [layer]

    patch(BatchNorm, "_layers", changed)


def frozen_averages(patch):
    _batch_norm(patch, lambda layer: setattr(layer, "momentum", 1.0))


def default_momentum(patch):
    _batch_norm(patch, lambda layer: setattr(layer, "momentum", 0.99))


def default_epsilon(patch):
    _batch_norm(patch, lambda layer: setattr(layer, "epsilon", 1e-3))


def batch_statistics_at_inference(patch):
    def change(layer):
        call = layer.call
        layer.call = lambda inputs, training=None, mask=None: call(inputs, training=True)

    _batch_norm(patch, change)


def unbiased_variance(patch):
    train = fused_batch_norm._train

    def unbiased(layer, maps):
        before = ops.convert_to_numpy(layer.moving_variance)
        outputs = train(layer, maps)
        n = int(np.prod(maps.shape[:-1]))
        moved = ops.convert_to_numpy(layer.moving_variance) - layer.momentum * before
        layer.moving_variance.assign(layer.momentum * before + moved * n / (n - 1))
        return outputs

    patch(fused_batch_norm, "_train", unbiased)


def one_group(patch):
    made = GroupNorm.before_activation

    def changed(self, name):
        (layer,) = made(self, name)
        layer.groups = 1
        return [layer]

    patch(GroupNorm, "before_activation", changed)


def layer_norm_over_whole_maps(patch):
    def whole(self, name):
        axes = [1, 2, 3] if name == "doctor" else -1
        return [
            keras.layers.LayerNormalization(
                axis=axes, epsilon=self.epsilon, name=f"{name}_layer_norm"
            )
        ]

    patch(LayerNorm, "before_activation", whole)


def stride_ignored(patch):
    made = Pooling.after_block
    patch(
        Pooling,
        "after_block",
        lambda self, name: made(self.model_copy(update={"stride": None}), name),
    )


def maximum_for_average(patch):
    layer = pooling_module._layer
    patch(pooling_module, "_layer", lambda kind: layer("max" if kind == "average" else kind))


def uniform_picks(patch):
    windows = keras_layers.StochasticPooling2D._windows

    def flat(self, maps):
        values = windows(self, maps)
        return ops.cast(values > 0, values.dtype) * ops.max(values, axis=-1, keepdims=True)

    patch(keras_layers.StochasticPooling2D, "_windows", flat)


def mostly_maximum(patch):
    draw = keras.random.uniform
    patch(keras.random, "uniform", lambda *args, **options: draw(*args, **options) / 2)


# A technique, a fault, and lines that must fail then.
FAULTS = [
    ("dropout", dropout_unscaled, ["scale of what is kept, before_dense"]),
    (
        "dropout",
        dropout_at_inference,
        ["silent at inference, before_dense", "measured outputs are the baseline's"],
    ),
    ("dropout", dropout_never, ["share that is off in training, after_block"]),
    ("dropout", half_the_rate, ["share that is off in training, before_dense"]),
    ("dropout", dropout_of_hidden_layers_alone, ["layers"]),
    ("dropout", pixels_dropped_twice, ["layers of a perceptron"]),
    ("spatial_dropout", single_values_of_maps, ["off as a whole, after_block"]),
    ("dropblock", dropblock_unscaled, ["mean in training"]),
    ("dropblock", dropblock_of_single_values, ["off in squares of 3x3"]),
    ("gaussian_noise", variance_for_deviation, ["standard deviation of the noise, on_input"]),
    ("stochastic_depth", depth_ignored, ["share that is off in training, around_block"]),
    ("stochastic_depth", branches_partly_off, ["off as a whole, around_block"]),
    (
        "batch_norm",
        frozen_averages,
        ["moving averages after a batch, maps", "moving averages after an update"],
    ),
    ("batch_norm", default_momentum, ["moving averages after a batch, units"]),
    ("batch_norm", default_epsilon, ["outputs in training, maps"]),
    (
        "batch_norm",
        batch_statistics_at_inference,
        ["outputs at inference, units", "measured alone and together"],
    ),
    ("batch_norm", unbiased_variance, ["moving averages after a batch, maps"]),
    ("group_norm", one_group, ["outputs in training, maps"]),
    ("layer_norm", layer_norm_over_whole_maps, ["outputs at inference, maps"]),
    ("pooling", stride_ignored, ["shapes, max"]),
    ("pooling", maximum_for_average, ["outputs at inference, average"]),
    ("pooling", uniform_picks, ["share of the largest value, stochastic"]),
    ("pooling", mostly_maximum, ["share of maps by maximum, mixed"]),
]


@pytest.mark.parametrize(("name", "fault", "lines"), FAULTS)
def test_a_fault_fails_the_lines_that_name_it(name, fault, lines, patch):
    fault(patch)
    found = failing(name, techniques.CHECKS[name])
    assert all(line in found for line in lines)  # in this order; others may fail too
