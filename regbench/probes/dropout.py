"""Dropout seen as an ensemble: many thinned networks against the one with scaled weights.

Source: Srivastava et al., "Dropout", 2014, section 7.5 (weight scaling against averaging); Gal and
Ghahramani, "Dropout as a Bayesian Approximation", 2016 (the averaged stochastic passes).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from regbench.probes.harness import Subject, batches, forward, numpy, quality, reseed, unchanged
from regbench.runs.probe_results import Dropout, Dropped

PASSES = (1, 2, 4, 8, 16, 32, 64)


def measure(subject: Subject) -> Dropout | None:
    """Return the units that are off, and the quality of T averaged passes; None without dropout."""
    import keras

    model, seed = subject.model, subject.experiment.seed
    droppers = subject.layers(keras.layers.Dropout)
    if not droppers:
        return None
    images, labels = subject.few(subject.test, "ensemble")
    first = model.layers.index(droppers[0])
    # What lies before the first dropout is the same in every pass, and is most of the network.
    features = [forward(model.layers[:first], inputs) for inputs in batches(images)]
    rest = model.layers[first:]
    scaled = np.concatenate([numpy(forward(rest, inputs)) for inputs in features])
    total, ensemble = np.zeros(scaled.shape, np.float64), []
    with unchanged(model):
        reseed(model, seed, "ensemble")
        for number in range(1, PASSES[-1] + 1):
            thinned = [forward(rest, inputs, (keras.layers.Dropout,)) for inputs in features]
            total += np.concatenate([numpy(each) for each in thinned])
            if number in PASSES:
                ensemble.append(quality((total / number).astype(np.float32), labels))
        layers = [_dropped(layer) for layer in droppers]
    return Dropout(
        layers=layers,
        examples=len(labels),
        weight_scaling=quality(scaled, labels),
        passes=list(PASSES),
        ensemble=ensemble,
    )


def _dropped(layer: Any) -> Dropped:
    """Count the units that are off among 100,000: of ones, since a unit may be zero by itself."""
    ones = np.ones((100_000, 1), np.float32)
    outputs = numpy(layer(ones, training=True))
    return Dropped(layer=layer.name, rate=layer.rate, dropped=float((outputs == 0).mean()))
