"""Training mode against inference mode with the same weights, for the gap ledger."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from regbench import seeding
from regbench.models.evaluate import BATCH
from regbench.probes.harness import (
    Subject,
    compiled,
    multiply_adds,
    quality,
    reseed,
    shareable,
    unchanged,
    varying,
)
from regbench.runs import gap_ledger
from regbench.runs.gap_ledger import Ledger, TrainingMode
from regbench.runs.probe_results import Quality

# Passes in training mode differ in their dropout masks and in the examples of each batch. They are
# averaged until the standard error of the mean is at most this.
LOSS_ERROR = 0.005  # nats
ACCURACY_ERROR = 0.003
LEAST_PASSES = 4
MOST_PASSES = 32
# Beyond the least, as many passes as cost at most this share of training, and no more than so many
# images through the whole network.
SHARE = 0.03
BUDGET = 20_000


def ledgers(subject: Subject, row: Mapping[str, Any]) -> dict[str, Ledger] | None:
    """Return the gap ledgers of loss and accuracy; None for a run without an epoch."""
    return gap_ledger.of_row(dict(row), training_mode(subject))


def training_mode(subject: Subject) -> TrainingMode:
    """Return loss and accuracy on the training sample with dropout on and batch statistics in use.

    Means over passes. If no layer behaves differently in training, no pass is needed: the last
    measurement has the same values.
    """
    noisy = varying(subject.model)
    if not noisy:
        known = quality(subject.outputs.train, subject.train[1])
        return TrainingMode(known.loss, known.accuracy)
    losses, accuracies = [], []
    for each in _passes(subject, noisy):
        losses.append(each.loss)
        accuracies.append(each.accuracy)
        if len(losses) >= LEAST_PASSES and (
            _error(losses) <= LOSS_ERROR and _error(accuracies) <= ACCURACY_ERROR
        ):
            break
    return TrainingMode(
        float(np.mean(losses)),
        float(np.mean(accuracies)),
        _error(losses),
        _error(accuracies),
        len(losses),
    )


def _error(values: list[float]) -> float:
    """Return the standard error of the mean."""
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))


def _passes(subject: Subject, noisy: list[Any]) -> Iterator[Quality]:
    """Yield the quality of pass after pass, each in an order of its own.

    In batches of the size that the model was trained with, where the examples of a batch influence
    each other, as in batch normalization. What lies before the first layer that varies is computed
    once.
    """
    import keras

    model, (images, labels), seed = subject.model, subject.train, subject.experiment.seed
    rest, features = shareable(model, images, noisy[0])
    everything = (keras.layers.Layer,)
    size = BATCH if _is_noise_alone(noisy) else subject.experiment.train.batch_size
    shared, left = multiply_adds(model, noisy[0])
    share = left / max(1, shared + left)
    affordable = int(subject.affordable(SHARE, BUDGET) / max(1.0, len(labels) * share))
    run = compiled(rest, everything)
    with unchanged(model):
        reseed(model, seed, "training mode")
        for number in range(max(LEAST_PASSES, min(affordable, MOST_PASSES))):
            order = order_of_pass(seed, number, len(labels))
            outputs = [
                run(features(order[start : start + size])) for start in range(0, len(order), size)
            ]
            yield quality(np.concatenate(outputs), labels[order])


def order_of_pass(seed: int, number: int, examples: int) -> np.ndarray:
    """Return the order (n,) in which a pass meets the examples."""
    return seeding.generator(seed, "probes", "training mode", number).permutation(examples)


def _is_noise_alone(noisy: list[Any]) -> bool:
    """Whether the noise of each example is independent of the rest of its batch."""
    import keras

    from regbench.regularizers.keras_layers import MixedPooling2D, StochasticPooling2D

    layers = keras.layers
    kinds = layers.Dropout, layers.GaussianDropout, layers.GaussianNoise
    return all(isinstance(each, (*kinds, MixedPooling2D, StochasticPooling2D)) for each in noisy)
