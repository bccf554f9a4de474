"""Training mode and changed batches against inference mode with the same weights.

These are the gap ledger's terms for noise, and for targets and augmentation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench import seeding
from regbench.models.batches import trained_on
from regbench.models.build import to_inputs
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
    whole,
)
from regbench.regularizers.hooks import Targets
from regbench.runs import gap_ledger
from regbench.runs.files import Row
from regbench.runs.gap_ledger import Ledger, OnBatches, TrainingMode
from regbench.runs.probe_results import Quality

if TYPE_CHECKING:
    import keras

# Passes in training mode differ in their dropout masks and in the examples of each batch. They are
# averaged until the standard error of the mean is at most this.
LOSS_ERROR = 0.005  # nats
ACCURACY_ERROR = 0.003
LEAST_PASSES = 4
MOST_PASSES = 32
# Beyond the minimum, passes cost at most this share of training, and take at most this many images
# through the whole network.
SHARE = 0.03
BUDGET = 20_000
# Changed batches also differ in their examples, mixed ones a lot: their number is what the same
# errors need, within a limit for all images and one for uses of each image.
LEAST_BATCHES = 8
MOST_CHANGED = 10_000
MOST_REPEATS = 8


def ledgers(subject: Subject, row: Row) -> dict[str, Ledger] | None:
    """Return the gap ledgers of loss and accuracy; None for a run without an epoch."""
    return gap_ledger.of_row(row, training_mode(subject), on_batches(subject))


def training_mode(subject: Subject) -> TrainingMode:
    """Return loss and accuracy on the training sample with dropout on and batch statistics in use.

    They are means over passes. If no layer behaves differently in training, no pass is needed: the
    last measurement has the same values.
    """
    noisy = varying(subject.model)
    if not noisy:
        known = quality(subject.outputs.train, subject.train[1])
        return TrainingMode(known.loss, known.accuracy)
    return TrainingMode(*_means(_passes(subject, noisy), LEAST_PASSES))


def on_batches(subject: Subject) -> OnBatches | None:
    """Return training mode on changed batches less inference mode on the same examples.

    The batches come from the training sample, changed as in epochs that would follow. The
    difference is taken batch by batch, so the choice of examples matters little. None if no
    technique changes batches.
    """
    if not subject.experiment.changing("batch"):
        return None
    return OnBatches(*_means(_differences(subject), LEAST_BATCHES))


def most_changed(examples: int) -> int:
    """Return the most images of changed batches to compute for a training sample."""
    return min(MOST_CHANGED, MOST_REPEATS * examples)


def _differences(subject: Subject) -> Iterator[tuple[float, float]]:
    """Yield the difference that each changed batch makes to loss and accuracy."""
    import keras

    model, experiment, (images, labels) = subject.model, subject.experiment, subject.train
    known, run = subject.outputs.train, compiled(whole(model), (keras.layers.Layer,))
    size = min(experiment.train.batch_size, len(labels))
    per_pass = len(labels) // size
    affordable = int(subject.affordable(SHARE, most_changed(len(labels))))
    with unchanged(model):
        reseed(model, experiment.seed, "changed batches")
        for number in range(max(LEAST_BATCHES, affordable // size)):
            repeat, step = divmod(number, per_pass)
            order = _shuffled(experiment.seed, "changed batches", repeat, len(labels))
            chosen = order[step * size : (step + 1) * size]
            epoch = experiment.train.epochs + 1 + repeat
            inputs, targets = trained_on(
                experiment, to_inputs(images[chosen]), labels[chosen], known.shape[1], epoch, step
            )
            changed = _quality(run(inputs), targets)
            plain = quality(known[chosen], labels[chosen])
            yield changed.loss - plain.loss, changed.accuracy - plain.accuracy


def _quality(outputs: NDArray[np.float32], targets: NDArray[np.int64] | Targets) -> Quality:
    """Return the numbers that Keras would report for outputs and targets, both (n, classes)."""
    # As in measurements, a probability that is rounded to zero counts as the smallest float32.
    logarithms = np.log(np.maximum(outputs.astype(np.float64), np.finfo(np.float32).tiny))
    correct = outputs.argmax(axis=1) == targets.argmax(axis=1)
    loss = -(targets * logarithms).sum(axis=1).mean()
    return Quality(accuracy=float(correct.mean()), loss=float(loss))


def _means(
    draws: Iterable[tuple[float, float]], least: int
) -> tuple[float, float, float, float, int]:
    """Return the means of loss and accuracy, their standard errors, and the number of draws.

    Takes at least `least` draws, and then only until both means are known precisely enough.
    """
    losses, accuracies = [], []
    for loss, accuracy in draws:
        losses.append(loss)
        accuracies.append(accuracy)
        if len(losses) >= least and _are_known(losses, accuracies):
            break
    means = float(np.mean(losses)), float(np.mean(accuracies))
    return *means, _error(losses), _error(accuracies), len(losses)


def _are_known(losses: list[float], accuracies: list[float]) -> bool:
    """Return whether both means are known precisely enough."""
    return _error(losses) <= LOSS_ERROR and _error(accuracies) <= ACCURACY_ERROR


def _error(values: list[float]) -> float:
    """Return the standard error of the mean."""
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))


def _passes(subject: Subject, noisy: list[keras.Layer]) -> Iterator[tuple[float, float]]:
    """Yield loss and accuracy of pass after pass, each in a different order.

    If the examples of a batch influence each other, as in batch normalization, batches have the
    size of training. Everything before the first layer that varies is computed once.
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
            found = quality(np.concatenate(outputs), labels[order])
            yield found.loss, found.accuracy


def order_of_pass(seed: int, number: int, examples: int) -> NDArray[np.int64]:
    """Return the order (n,) of the examples in a pass."""
    return _shuffled(seed, "training mode", number, examples)


def _shuffled(seed: int, purpose: str, number: int, examples: int) -> NDArray[np.int64]:
    return seeding.generator(seed, "probes", purpose, number).permutation(examples)


def _is_noise_alone(noisy: list[keras.Layer]) -> bool:
    """Return whether the noise of each example is independent of the rest of its batch."""
    import keras

    from regbench.regularizers.keras_layers import MixedPooling2D, StochasticPooling2D

    layers = keras.layers
    kinds = layers.Dropout, layers.GaussianDropout, layers.GaussianNoise
    return all(isinstance(each, (*kinds, MixedPooling2D, StochasticPooling2D)) for each in noisy)
