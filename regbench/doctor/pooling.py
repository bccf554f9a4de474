"""Pooling's arithmetic: sizes, strides and edges, and what is drawn in training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal, Required, TypedDict, Unpack

import numpy as np

from regbench.doctor import network
from regbench.doctor.check import Check, Rule, close, count, drawn, equal, share_error
from regbench.doctor.network import Array

if TYPE_CHECKING:
    import keras


class Window(TypedDict, total=False):
    """The keys of a technique's window."""

    size: Required[int]
    stride: int
    padding: Literal["same", "valid"]


SETTINGS: dict[str, object] = {"pooling": {"kind": "average", "size": 3, "stride": 2}}
SHAPE = (6, 7, 7, 3)
# Windows that fit, that overlap, that leave gaps, and that reach beyond the edge.
WINDOWS: tuple[Window, ...] = (
    {"size": 2},
    {"size": 3, "stride": 2},
    {"size": 2, "stride": 3},
    {"size": 3, "stride": 2, "padding": "same"},
)
KINDS = ("max", "average", "stochastic", "mixed")
# The values of a window; stochastic pooling picks each with a probability proportional to it.
VALUES = np.array([[0, 1], [2, 5]])
DRAWS = 4000


def inferred(name: str, kind: str) -> Check:
    """Each map on its own: of every window the maximum, the mean, or the kind's mean of both."""
    values = _values()
    found, expected = [], []
    for window in WINDOWS:
        found.append(_called(_layer(kind, **window), values, False))
        expected.append(_pooled(values, INFERENCE[kind], **window))
    shapes = [each.shape for each in found]
    if shapes != [each.shape for each in expected]:
        return equal(name, f"shapes, {kind}", shapes, [each.shape for each in expected])
    flat, right = (np.concatenate([each.ravel() for each in of]) for of in (found, expected))
    return close(name, f"outputs at inference, {kind}", flat, right)


def trained(name: str, kind: str) -> Check:
    """Maximum and average do the same in training; the random kinds take what a window offers."""
    values, wrong, total = _values(), 0, 0
    for window in WINDOWS:
        found = _called(_layer(kind, **window), values, True)
        offered = [_pooled(values, of, **window) for of in TRAINING[kind](window["size"] ** 2)]
        near = [np.isclose(found, each, atol=1e-5) for each in offered]
        wrong += int((~np.any(near, axis=0)).sum())
        total += found.size
    rule = f"outputs in training are a window's, {kind}"
    return count(name, rule, wrong, 0, f"of {total} values are not")


def picks(name: str) -> Check:
    """Stochastic pooling picks each value with a probability proportional to it."""
    values = np.broadcast_to(VALUES[None, :, :, None], (DRAWS, 2, 2, 1)).astype(np.float32)
    found = _called(_layer("stochastic", size=2), values, True)
    share = VALUES.max() / VALUES.sum()
    measured = float(np.isclose(found, VALUES.max()).mean())
    rule = "share of the largest value, stochastic"
    return drawn(name, rule, measured, float(share), share_error(float(share), DRAWS))


def mixes(name: str) -> Check:
    """Mixed pooling draws maximum or average once for each map, fairly."""
    values = np.random.default_rng(6).normal(size=(50, 4, 4, 20)).astype(np.float32)
    found = _called(_layer("mixed", size=2), values, True)
    largest = np.isclose(found, _pooled(values, _largest, size=2), atol=1e-6)
    whole = largest.all(axis=(1, 2)) | ~largest.any(axis=(1, 2))
    share = float(largest.mean()) if whole.all() else float("nan")
    return drawn(name, "share of maps by maximum, mixed", share, 0.5, share_error(0.5, whole.size))


def strided(name: str) -> Check:
    """Without pooling, the block's last convolution shrinks the maps by the same stride."""
    sizes = []
    for kind in (*KINDS, "none"):
        of = network.experiment(pooling={"kind": kind, "size": 2})
        model = network.made(of)
        sizes.append(model.get_layer("dense1").input.shape[-1])
    expected = network.SHAPE[0] // 2 * (network.SHAPE[1] // 2) * network.MAPS
    return equal(name, "inputs of the first dense layer, by kind", sizes, [expected] * 5)


def unweighted(name: str) -> Check:
    """Pooling has no trainable parameters."""
    layers = [_layer(kind, size=2) for kind in KINDS]
    for layer in layers:
        _called(layer, _values(), False)
    number = sum(len(layer.trainable_variables) for layer in layers)
    return count(name, "trainable weights", number, 0, "in all kinds")


Of = Callable[[Array], Array]


def _largest(windows: Array) -> Array:
    return np.nanmax(windows, axis=-1)


def _mean(windows: Array) -> Array:
    return np.nanmean(windows, axis=-1)


def _half(windows: Array) -> Array:
    return (_largest(windows) + _mean(windows)) / 2


def _expected(windows: Array) -> Array:
    """Return the mean of the positive values, each weighted by its share of their sum."""
    positive = np.maximum(np.nan_to_num(windows), 0)
    total = positive.sum(axis=-1)
    return (positive**2).sum(axis=-1) / np.where(total > 0, total, 1)


def _one(number: int) -> Of:
    return lambda windows: np.maximum(np.nan_to_num(windows[..., number]), 0)


INFERENCE: dict[str, Of] = {
    "max": _largest, "average": _mean, "mixed": _half, "stochastic": _expected,
}  # fmt: skip
# By the number of values in a window: all that a kind may give in training.
TRAINING: dict[str, Callable[[int], list[Of]]] = {
    "max": lambda size: [_largest],
    "average": lambda size: [_mean],
    "mixed": lambda size: [_largest, _mean],
    "stochastic": lambda size: [_one(number) for number in range(size)],
}


def _pooled(
    values: Array, of: Of, size: int, stride: int | None = None, padding: str = "valid"
) -> Array:
    """Return what a function makes of each window's values, whose last axis it gets."""
    step = stride or size
    exact = values.astype(np.float64)
    if padding == "same":
        around = [(0, 0), *(_around(length, size, step) for length in values.shape[1:3]), (0, 0)]
        exact = np.pad(exact, around, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(exact, (size, size), axis=(1, 2))
    windows = windows[:, ::step, ::step]
    return of(windows.reshape(*windows.shape[:4], size * size))


def _around(length: int, size: int, step: int) -> tuple[int, int]:
    """Return how far the windows reach beyond an axis, the larger part at its end."""
    windows = -(-length // step)
    total = max(0, (windows - 1) * step + size - length)
    return total // 2, total - total // 2


def _values() -> Array:
    return np.random.default_rng(5).normal(size=SHAPE).astype(np.float32)


def _layer(kind: str, **window: Unpack[Window]) -> keras.Layer:
    technique = network.experiment(pooling={"kind": kind, **window}).regularizers["pooling"]
    (layer,) = technique.after_block("doctor")
    if hasattr(layer, "seed_generator"):
        layer.seed_generator.state.assign(np.asarray([7, 0], "uint32"))
        layer.seed_generator._initial_seed = 7
    return layer


def _called(layer: keras.Layer, values: Array, training: bool) -> Array:
    return network.numpy(layer(values, training=training))


CHECKS: dict[str, tuple[Rule, ...]] = {
    "pooling": (
        *(partial(rule, kind=kind) for kind in KINDS for rule in (inferred, trained)),
        picks, mixes, strided, unweighted,
    )
}  # fmt: skip
