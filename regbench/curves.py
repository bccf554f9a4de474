"""Honest curves: train and test measured by the same function, between the same two updates.

Keras' own `loss` contains the penalty, and its training numbers are averages over a model that
moves while dropout is on and batches normalize themselves. Here both sides are measured in
inference mode, without the penalty; Keras' numbers are reported beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regbench import seeding
from regbench.datasets import Splits, stratified
from regbench.model import to_inputs

# Large enough to keep every core busy, small enough for the maps of one batch to stay near 100 MB.
BATCH = 500


@dataclass(frozen=True)
class Measure:
    """Mean cross-entropy in nats and share of correct predictions, over one set of examples."""

    loss: float
    accuracy: float


class Curves:
    """Measures a model on the whole test set and on as large a sample of the training set."""

    def __init__(self, splits: Splits, seed: int) -> None:
        sample = stratified(
            splits.train_labels,
            min(len(splits.train_labels), len(splits.test_labels)),
            seeding.generator(seed, "curves", "train"),
        )
        # Images and labels of the training sample; the probes look at the same one.
        self.train = splits.train_images[sample], splits.train_labels[sample]
        self._test = splits.test_images, splits.test_labels

    @property
    def examples(self) -> int:
        """How many examples one measurement reads, train and test together."""
        return len(self.train[1]) + len(self._test[1])

    def measure(self, model: Any) -> dict[str, float]:
        """Return the train and test loss and accuracy, and the penalty, of the model now."""
        train, test = measure(model, *self.train), measure(model, *self._test)
        return {
            "train_loss": train.loss,
            "train_accuracy": train.accuracy,
            "test_loss": test.loss,
            "test_accuracy": test.accuracy,
            "penalty": penalty(model),
        }


def measure(model: Any, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Measure:
    """Measure the model on `images` (n, height, width, channels) with `labels` (n,)."""
    probabilities = predict(model, images)
    correct = probabilities.argmax(axis=1) == labels
    return Measure(cross_entropy(probabilities, labels), float(correct.mean()))


def predict(model: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return class probabilities (n, classes) in inference mode."""
    # Not model.predict: it builds and tears down an input pipeline at every call.
    batches = [
        model.predict_on_batch(to_inputs(images[start : start + BATCH]))
        for start in range(0, len(images), BATCH)
    ]
    return np.concatenate(batches)


def cross_entropy(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the mean of -log(probability of the true class), in nats.

    A probability that float32 rounds to zero counts as the smallest normal float32 (87.3 nats);
    Keras would stop at 1e-7 (16.1 nats) and so flatter a confident and wrong model.
    """
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(of_truth, np.finfo(np.float32).tiny)).mean())


def penalty(model: Any) -> float:
    """Return what the kernel penalties add to the training loss now, in nats."""
    return float(sum(float(each) for each in model.losses))
