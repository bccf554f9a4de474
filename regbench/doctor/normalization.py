"""Batch, layer and group normalization: statistics, moving averages, and mode."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from regbench.doctor import network
from regbench.doctor.check import Check, Rule, close, differing, equal
from regbench.doctor.network import Array
from regbench.models import evaluate
from regbench.models.layers import leaves

if TYPE_CHECKING:
    import keras

MOMENTUM, EPSILON, GROUPS = 0.7, 0.05, 2
SETTINGS: dict[str, object] = {
    "batch_norm": {"momentum": MOMENTUM, "epsilon": EPSILON},
    "layer_norm": {"epsilon": EPSILON},
    "group_norm": {"groups": GROUPS, "epsilon": EPSILON},
}
# Of a dense layer's units, and of maps.
SHAPES = {"units": (16, 6), "maps": (8, 5, 4, 6)}


class _OfShape(Protocol):
    """A check with one of `SHAPES`."""

    def __call__(self, name: str, of: str) -> Check: ...


def trained(name: str, of: str) -> Check:
    """In training: gamma * (x - mean) / sqrt(variance + epsilon) + beta, by the batch's numbers."""
    layer, values = _layer(name, of), _values(of)
    expected = _normalized(layer, values, *_statistics(name, values))
    return close(name, f"outputs in training, {of}", _called(layer, values, True), expected)


def averaged(name: str, of: str) -> Check:
    """The moving averages are momentum * average + (1 - momentum) * the batch's number."""
    layer, values = _layer(name, of), _values(of)
    before = _averages(layer)
    _called(layer, values, True)
    batch = _statistics(name, values)
    expected = {
        key: MOMENTUM * before[key] + (1 - MOMENTUM) * now.ravel()
        for key, now in zip(("mean", "variance"), batch, strict=True)
    }
    return close(name, f"moving averages after a batch, {of}", _averages(layer), expected)


def inferred(name: str, of: str) -> Check:
    """At inference: the same by the moving averages, or, without any, by the same numbers."""
    layer, values = _layer(name, of), _values(of)
    if name == "batch_norm":
        statistics = tuple(_averages(layer).values())
    else:
        statistics = _statistics(name, values)
    expected = _normalized(layer, values, *statistics)
    return close(name, f"outputs at inference, {of}", _called(layer, values, False), expected)


def frozen(name: str, of: str) -> Check:
    """Inference moves no average."""
    layer = _layer(name, of)
    before = _averages(layer)
    _called(layer, _values(of), False)
    moved = differing(before, _averages(layer))
    return equal(name, f"moving averages moved by inference, {of}", moved, 0)


def alone(name: str) -> Check:
    """A measured output depends on its own image alone, whatever it is measured with."""
    model = network.made(network.experiment(**{name: SETTINGS[name]}))
    network.step(model, network.epoch(network.experiment())[0])
    images = network.splits().test_images
    together = evaluate.predict(model, images)
    one_by_one = np.concatenate([evaluate.predict(model, images[at : at + 1]) for at in range(4)])
    return close(name, "measured alone and together", one_by_one, together[:4])


def moved(name: str) -> Check:
    """An update of a network moves the averages of its layers toward its batch."""
    of = network.experiment(model=network.MLP, **{name: SETTINGS[name]})
    model = network.made(of)
    weights, batch = network.weights(model), network.epoch(of)[0]
    flat = batch[0].reshape(len(batch[0]), -1)
    sums = flat.astype(np.float64) @ weights["dense1/kernel"] + weights["dense1/bias"]
    network.step(model, batch)
    layer = next(each for each in leaves(model) if hasattr(each, "moving_mean"))
    expected = {
        "mean": (1 - MOMENTUM) * sums.mean(axis=0),
        "variance": MOMENTUM + (1 - MOMENTUM) * sums.var(axis=0),
    }
    return close(name, "moving averages after an update", _averages(layer), expected)


def placed(name: str) -> Check:
    """The layers stand between a hidden layer's weights and its activation."""
    model = network.made(network.experiment(**{name: SETTINGS[name]}))
    found = [layer.name for layer in leaves(model)]
    at = [found.index(f"{each}_{name}") for each in ("block1_conv1", "dense1")]
    around = ", ".join(f"{found[each - 1]} {found[each + 1]}" for each in at)
    expected = "block1_conv1 block1_conv1_activation, dense1 dense1_activation"
    return equal(name, "stands between", around, expected)


def _layer(name: str, of: str) -> keras.Layer:
    """Return the technique's layer, with numbers of its own in every weight."""
    technique = network.technique(name, SETTINGS[name])
    (layer,) = technique.before_activation("doctor")
    layer.build((None, *SHAPES[of][1:]))
    rng = np.random.default_rng(3)
    layer.set_weights([rng.uniform(0.5, 2, each.shape) for each in layer.get_weights()])
    return layer


def _values(of: str) -> Array:
    return np.random.default_rng(4).normal(1, 2, SHAPES[of]).astype(np.float32)


def _called(layer: keras.Layer, values: Array, training: bool) -> Array:
    return network.numpy(layer(values, training=training))


def _averages(layer: keras.Layer) -> dict[str, Array]:
    return {
        "mean": network.numpy(layer.moving_mean),
        "variance": network.numpy(layer.moving_variance),
    }


def _statistics(name: str, values: Array) -> tuple[Array, Array]:
    """Return mean and variance for each value: of the batch, the example, or its group."""
    exact = values.astype(np.float64)
    if name == "batch_norm":
        axes = tuple(range(values.ndim - 1))
    elif name == "layer_norm":
        axes = (values.ndim - 1,)
    else:
        channels = values.shape[-1] // GROUPS
        grouped = exact.reshape(*values.shape[:-1], GROUPS, channels)
        axes = (*range(1, values.ndim - 1), values.ndim)
        mean, variance = grouped.mean(axes, keepdims=True), grouped.var(axes, keepdims=True)
        ones = np.ones_like(grouped)
        return (mean * ones).reshape(values.shape), (variance * ones).reshape(values.shape)
    return exact.mean(axes, keepdims=True), exact.var(axes, keepdims=True)


def _normalized(layer: keras.Layer, values: Array, mean: Array, variance: Array) -> Array:
    gamma, beta = network.numpy(layer.gamma), network.numpy(layer.beta)
    return gamma * (values - mean) / np.sqrt(variance + EPSILON) + beta


def _both(*rules: _OfShape) -> tuple[Rule, ...]:
    return tuple(partial(rule, of=of) for of in SHAPES for rule in rules)


CHECKS: dict[str, tuple[Rule, ...]] = {
    "batch_norm": (*_both(trained, averaged, inferred, frozen), moved, alone, placed),
    "layer_norm": (*_both(trained, inferred), alone, placed),
    "group_norm": (*_both(trained, inferred), alone, placed),
}
