"""Dropout as an ensemble: many thinned networks against the one with scaled weights.

It covers every kind: of units, maps, squares of maps, residual branches, and Gaussian.

Source: Srivastava et al., "Dropout", 2014, section 7.5 (weight scaling against averaging); Gal and
Ghahramani, "Dropout as a Bayesian Approximation", 2016 (the averaged stochastic passes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench import seeding
from regbench.models.evaluate import BATCH
from regbench.models.layers import leaves, names
from regbench.models.layers import passes as calls
from regbench.probes.harness import (
    Examples,
    Run,
    Subject,
    compiled,
    multiply_adds,
    numpy,
    quality,
    reseed,
    shareable,
    unchanged,
)
from regbench.runs.probe_results import Dropout, Dropped, Quality

if TYPE_CHECKING:
    import keras

PASSES = (1, 2, 4, 8, 16, 32, 64)
# The number of test images costs at most this share of training, is at most that of one pass
# through the whole network, and at least enough to know an accuracy to about two percentage points.
SHARE = 0.15
BUDGET = 20_000
LEAST_EXAMPLES = 500
# The Monte Carlo error comes from ensembles resampled from this many groups of passes.
GROUPS = 16
RESAMPLES = 50
# The number of units examined to count those that are off.
UNITS = 100_000


def measure(subject: Subject) -> Dropout | None:
    """Return the units that are off, and the quality of T averaged passes; None without dropout."""
    model, seed, kinds = subject.model, subject.experiment.seed, _kinds()
    droppers = [layer for layer in leaves(model) if isinstance(layer, kinds)]
    if not droppers:
        return None
    passes = _passes(subject)
    images, labels = _examined(subject, droppers[0])
    # The part before the first dropout is the same in every pass, and is most of the network.
    rest, features = shareable(model, images, droppers[0])
    batches = np.array_split(np.arange(len(labels)), -(-len(labels) // BATCH))

    def outputs(run: Run) -> NDArray[np.float32]:
        return np.concatenate([run(features(each)) for each in batches])

    scaled, thin, ensemble = outputs(compiled(rest)), compiled(rest, kinds), []
    total = np.zeros(scaled.shape, np.float64)
    groups = np.zeros((min(GROUPS, passes[-1]), *scaled.shape), np.float32)
    with unchanged(model):
        reseed(model, seed, "ensemble")
        for number in range(1, passes[-1] + 1):
            thinned = outputs(thin)
            total += thinned
            groups[number % len(groups)] += thinned / (passes[-1] // len(groups))
            if number in passes:
                ensemble.append(quality((total / number).astype(np.float32), labels))
        layers = _all_dropped(model, droppers)
    return Dropout(
        layers=layers,
        examples=len(labels),
        weight_scaling=quality(scaled, labels),
        passes=list(passes),
        ensemble=ensemble,
        standard_error=_monte_carlo_error(groups, labels, seed) if len(groups) > 1 else None,
    )


def _kinds() -> tuple[type, ...]:
    """Return the classes of layers that drop something, or multiply it by noise of mean 1."""
    import keras

    from regbench.regularizers.keras_layers import DropBlock2D

    return keras.layers.Dropout, keras.layers.GaussianDropout, DropBlock2D


def _passes(subject: Subject) -> tuple[int, ...]:
    """Return the numbers of passes: no more than updates, or a run of seconds would take minutes.

    Only a smoke run has so few updates.
    """
    return tuple(count for count in PASSES if count <= max(1, subject.updates))


def _examined(subject: Subject, first: keras.Layer) -> Examples:
    """Return the test set, or the part of it that the cost limit allows for 64 passes."""
    before, rest = multiply_adds(subject.model, first)
    passes_of_whole = (before + PASSES[-1] * rest) / max(1, before + rest)
    images = subject.affordable(SHARE, BUDGET)
    affordable = max(LEAST_EXAMPLES, int(images / passes_of_whole))
    if affordable >= len(subject.test[1]):
        return subject.test
    return subject.few(subject.test, "ensemble", affordable)


def _monte_carlo_error(
    groups: NDArray[np.float32], labels: NDArray[np.int64], seed: int
) -> Quality:
    """Return the standard errors of the ensemble's accuracy and loss that are due to the masks.

    They are bootstrapped over the mean probabilities (groups, n, classes) of groups of passes.
    Weight scaling draws no masks, so these are also the errors of the ensemble's gain over it.
    """
    rng = seeding.generator(seed, "probes", "ensemble", "bootstrap")
    drawn = []
    for _ in range(RESAMPLES):
        times = np.bincount(rng.integers(0, len(groups), len(groups)), minlength=len(groups))
        weights = (times / len(groups)).astype(np.float32)
        drawn.append(quality(np.tensordot(weights, groups, 1), labels))
    return Quality(
        accuracy=float(np.std([each.accuracy for each in drawn], ddof=1)),
        loss=float(np.std([each.loss for each in drawn], ddof=1)),
    )


def _all_dropped(model: keras.Model, droppers: list[keras.Layer]) -> list[Dropped]:
    """Examine every layer that inference passes through, with the input shape it gets there."""
    labels, shapes = names(model), {id(each.layer): each.input_shape for each in calls(model)}
    return [
        _dropped(layer, labels[id(layer)], shapes[id(layer)])
        for layer in droppers
        if id(layer) in shapes
    ]


def _dropped(layer: keras.Layer, name: str, shape: tuple[int, ...]) -> Dropped:
    """Measure the factors of the units, with inputs of 1, since a real unit may be 0 by itself."""
    shape = _drawn_shape(layer, shape)
    examples = max(1, UNITS // int(np.prod(shape)))
    factors = numpy(layer(np.ones((examples, *shape), np.float32), training=True))
    return Dropped(
        layer=name,
        rate=layer.rate,
        dropped=float((factors == 0).mean()),
        factor_mean=float(factors.mean(dtype=np.float64)),
        factor_deviation=float(factors.std(dtype=np.float64)),
    )


def _drawn_shape(layer: keras.Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape of the inputs' rank with as few units as possible per random number.

    For a subclass with its own way of drawing, that is the inputs' full shape.
    """
    import keras

    kinds = keras.layers
    alone = (kinds.Dropout, kinds.GaussianDropout, kinds.SpatialDropout1D, kinds.SpatialDropout2D)
    if type(layer) not in (*alone, kinds.SpatialDropout3D):
        return shape
    noise = getattr(layer, "noise_shape", None)
    if noise is None:
        return (1,) * len(shape)  # one unit, or one map, for each example
    return tuple(1 if drawn == 1 else size for drawn, size in zip(noise[1:], shape, strict=True))
