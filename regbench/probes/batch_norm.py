"""Batch normalization: do the moving averages match the data, and does it matter?

Moving averages lag behind the weights, and preceding dropout shifts the variance they see. Layer
and group normalization have none, and compute the same in training and at inference: there is
nothing to compare.
Source: Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021 (recalibration as "precise BN"); Li
et al., "Understanding the Disharmony between Dropout and Batch Normalization by Variance Shift",
2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench.models.evaluate import predict
from regbench.models.layers import Call, leaves, names, passes, replaced_calls
from regbench.probes.harness import (
    Subject,
    batches,
    forward,
    is_stack,
    numpy,
    probabilities,
    quality,
    unchanged,
)
from regbench.runs.probe_results import BatchNorm, NormalizedLayer

if TYPE_CHECKING:
    import keras

Statistics = tuple[NDArray[np.float64], NDArray[np.float64]]


def measure(subject: Subject) -> BatchNorm | None:
    """Compare moving averages with the training sample's statistics; None without the layers."""
    import keras

    model, kind = subject.model, keras.layers.BatchNormalization
    if not subject.layers(kind):
        return None
    sample, _ = subject.few(subject.train, "statistics")
    images, labels = subject.few(subject.test, "statistics")
    size = subject.experiment.train.batch_size
    chosen = subject.order(subject.test, "statistics")
    moving = quality(subject.outputs.test[chosen], labels)
    with unchanged(model):
        own = quality(probabilities(model, images, (kind,), size), labels)
    named = names(model)
    layers = [
        _compared(layer, named[id(layer)], true)
        for layer, true in zip(subject.layers(kind), statistics(model, sample), strict=True)
    ]
    with unchanged(model):
        statistics(model, sample, recalibrate=True)
        recalibrated = quality(predict(model, images), labels)
    return BatchNorm(
        layers=layers, examples=len(labels), moving=moving, batch=own, recalibrated=recalibrated
    )


def statistics(
    model: keras.Model, images: NDArray[np.uint8], recalibrate: bool = False
) -> list[Statistics]:
    """Return mean and variance, each (channels,), of the input of every batch normalization.

    With `recalibrate`, each layer's moving averages are set to those before the next layer is
    measured, as if they had been taken with the final weights.
    """
    import keras

    if not is_stack(model):
        return _statistics_of_any(model, images, recalibrate)
    found = []
    activations = list(batches(images))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            found.append(_moments(activations))
            if recalibrate:
                layer.moving_mean.assign(found[-1][0])
                layer.moving_variance.assign(found[-1][1])
        activations = [forward([layer], inputs) for inputs in activations]
    return found


def _statistics_of_any(
    model: keras.Model, images: NDArray[np.uint8], recalibrate: bool
) -> list[Statistics]:
    """Return the statistics in a model with branches, by passes through the whole model.

    One pass serves all layers; with `recalibrate`, each layer needs its own, since it changes the
    next one's input.
    """
    import keras

    layers = [each for each in leaves(model) if isinstance(each, keras.layers.BatchNormalization)]
    if not recalibrate:
        entering = _entering(model, images, layers)
        return [_moments(entering[id(layer)]) for layer in layers]
    found = {}
    order = [each.layer for each in passes(model)]
    for layer in sorted(layers, key=order.index):
        found[id(layer)] = _moments(_entering(model, images, [layer])[id(layer)])
        layer.moving_mean.assign(found[id(layer)][0])
        layer.moving_variance.assign(found[id(layer)][1])
    return [found[id(layer)] for layer in layers]


def _entering(
    model: keras.Model, images: NDArray[np.uint8], layers: list[keras.Layer]
) -> dict[int, list[NDArray[np.float32]]]:
    """Return the inputs of each layer, by its id, in batches."""
    entering: dict[int, list[NDArray[np.float32]]] = {id(layer): [] for layer in layers}

    def record(layer: keras.Layer, own: Call) -> Call:
        def call(inputs: keras.KerasTensor, *given: object, **options: object) -> object:
            entering[id(layer)].append(numpy(inputs))
            return own(inputs, *given, **options)

        return call

    with replaced_calls(layers, record):
        for each in batches(images):
            model(each, training=False)
    return entering


def _moments(activations: Sequence[NDArray[np.float32]]) -> Statistics:
    """Return mean and variance over all but the last axis of (n, ..., channels)."""
    import keras

    # Uses the backend's operations: NumPy took longer than the pass itself.
    axes = tuple(range(len(activations[0].shape) - 1))
    counts = np.asarray([math.prod(each.shape[:-1]) for each in activations], np.float64)
    means = [numpy(keras.ops.mean(each, axes)).astype(np.float64) for each in activations]
    variances = [numpy(keras.ops.var(each, axes)).astype(np.float64) for each in activations]
    mean = np.average(means, axis=0, weights=counts)
    # The total variance: within the batches plus between their means.
    between = np.square(np.asarray(means) - mean)
    return mean, np.average(np.asarray(variances) + between, axis=0, weights=counts)


def _compared(layer: keras.Layer, name: str, true: Statistics) -> NormalizedLayer:
    # Add epsilon as the layer does: a channel that is always zero has no variance.
    mean, variance = true[0], true[1] + layer.epsilon
    shift = np.abs(numpy(layer.moving_mean) - mean) / np.sqrt(variance)
    ratio = (numpy(layer.moving_variance) + layer.epsilon) / variance
    return NormalizedLayer(
        layer=name,
        mean_shift=float(shift.mean()),
        variance_ratio=float(np.exp(np.log(ratio).mean())),
        gamma_moved=float(np.abs(numpy(layer.gamma) - 1).mean()),
        beta_moved=float(np.abs(numpy(layer.beta)).mean()),
    )
