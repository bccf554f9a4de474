"""A model's predictions and their quality: inference mode, cross-entropy without the penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench.models.build import to_inputs

if TYPE_CHECKING:
    import keras

# Large enough to keep every core busy, small enough for the maps of one batch to stay near 100 MB.
BATCH = 500


@dataclass(frozen=True)
class Measure:
    """Mean cross-entropy in nats and share of correct predictions, over one set of examples."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Outputs:
    """Class probabilities (n, classes) in inference mode, of a training sample and the test set."""

    train: NDArray[np.float32]
    test: NDArray[np.float32]


def measure(model: keras.Model, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Measure:
    """Measure the model on `images` (n, height, width, channels) with `labels` (n,)."""
    return measure_of(predict(model, images), labels)


def measure_of(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Measure:
    """Measure class probabilities (n, classes) against `labels` (n,)."""
    correct = probabilities.argmax(axis=1) == labels
    return Measure(cross_entropy(probabilities, labels), float(correct.mean()))


def predict(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return class probabilities (n, classes) in inference mode."""
    # Not model.predict: it builds and tears down an input pipeline in every call.
    batches = [
        model.predict_on_batch(to_inputs(images[start : start + BATCH]))
        for start in range(0, len(images), BATCH)
    ]
    return np.concatenate(batches)


def cross_entropy(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the mean of -log(probability of the true class), in nats.

    A probability that float32 rounds to zero counts as the smallest normal float32 (87.3 nats);
    Keras clips at 1e-7 (16.1 nats), which would flatter a confidently wrong model.
    """
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(of_truth, np.finfo(np.float32).tiny)).mean())


def penalty(model: keras.Model) -> float:
    """Return what the kernel penalties currently add to the training loss, in nats."""
    return float(sum(float(each) for each in model.losses))
