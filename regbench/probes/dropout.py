"""Dropout seen as an ensemble: many thinned networks against the one with scaled weights.

Source: Srivastava et al., "Dropout", 2014, section 7.5 (weight scaling against averaging); Gal and
Ghahramani, "Dropout as a Bayesian Approximation", 2016 (the averaged stochastic passes).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regbench import seeding
from regbench.models.evaluate import BATCH
from regbench.models.layers import names, passes
from regbench.probes.harness import (
    Examples,
    Subject,
    forward,
    multiply_adds,
    numpy,
    quality,
    reseed,
    shareable,
    unchanged,
)
from regbench.runs.probe_results import Dropout, Dropped, Quality

PASSES = (1, 2, 4, 8, 16, 32, 64)
# As many test images as cost at most what so many cost in one pass through the whole network; but
# not fewer than tell an accuracy to about two percentage points.
BUDGET = 20_000
LEAST_EXAMPLES = 500
# The Monte Carlo error is taken from ensembles drawn again from so many groups of passes.
GROUPS = 16
RESAMPLES = 50
# How many units are looked at to count those that are off.
UNITS = 100_000


def measure(subject: Subject) -> Dropout | None:
    """Return the units that are off, and the quality of T averaged passes; None without dropout."""
    import keras

    model, seed = subject.model, subject.experiment.seed
    droppers = subject.layers(keras.layers.Dropout)
    if not droppers:
        return None
    images, labels = _examined(subject, droppers[0])
    # What lies before the first dropout is the same in every pass, and is most of the network.
    rest, features = shareable(model, images, droppers[0])
    batches = np.array_split(np.arange(len(labels)), -(-len(labels) // BATCH))

    def outputs(active: tuple[type, ...] = ()) -> NDArray[np.float32]:
        return np.concatenate([numpy(forward(rest, features(each), active)) for each in batches])

    scaled, ensemble = outputs(), []
    total = np.zeros(scaled.shape, np.float64)
    groups = np.zeros((GROUPS, *scaled.shape), np.float32)
    with unchanged(model):
        reseed(model, seed, "ensemble")
        for number in range(1, PASSES[-1] + 1):
            thinned = outputs((keras.layers.Dropout,))
            total += thinned
            groups[number % GROUPS] += thinned / (PASSES[-1] // GROUPS)
            if number in PASSES:
                ensemble.append(quality((total / number).astype(np.float32), labels))
        called, shapes = names(model), {id(each.layer): each for each in passes(model)}
        layers = [
            _dropped(layer, called[id(layer)], shapes[id(layer)].input_shape) for layer in droppers
        ]
    return Dropout(
        layers=layers,
        examples=len(labels),
        weight_scaling=quality(scaled, labels),
        passes=list(PASSES),
        ensemble=ensemble,
        standard_error=_monte_carlo_error(groups, labels, seed),
    )


def _examined(subject: Subject, first: Any) -> Examples:
    """Return the test set, or as much of it as 64 passes from the layer `first` on allow."""
    before, rest = multiply_adds(subject.model, first)
    passes_of_whole = (before + PASSES[-1] * rest) / max(1, before + rest)
    affordable = max(LEAST_EXAMPLES, int(BUDGET / passes_of_whole))
    if affordable >= len(subject.test[1]):
        return subject.test
    return subject.few(subject.test, "ensemble", affordable)


def _monte_carlo_error(
    groups: NDArray[np.float32], labels: NDArray[np.int64], seed: int
) -> Quality:
    """Return the standard errors of the ensemble's accuracy and loss: other masks, other numbers.

    By the bootstrap, over the mean probabilities (groups, n, classes) of groups of passes. Weight
    scaling draws nothing, so that these are the errors of what the ensemble gains over it too.
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


def _dropped(layer: Any, name: str, shape: tuple[int, ...]) -> Dropped:
    """Count the units that are off: of ones, since a unit may be zero by itself.

    The ones have the layer's own rank, since spatial dropout drops whole maps.
    """
    if layer.noise_shape is None:
        shape = (1,) * len(shape)  # a unit for each example
    examples = max(1, UNITS // int(np.prod(shape)))
    outputs = numpy(layer(np.ones((examples, *shape), np.float32), training=True))
    return Dropped(layer=name, rate=layer.rate, dropped=float((outputs == 0).mean()))
