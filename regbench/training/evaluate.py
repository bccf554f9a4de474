"""Honest curves: train and test measured by the same function, between the same two updates.

Keras' own `loss` contains the penalty, and its training numbers are averages over a model that
moves while dropout is on and batches normalize themselves. Here both sides are measured in
inference mode, without the penalty; Keras' numbers are reported beside them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regbench import seeding
from regbench.config.experiment import Evaluation
from regbench.datasets import Splits, stratified
from regbench.models.evaluate import Outputs, measure_of, penalty, predict

# Images uint8 (n, height, width, channels) and labels int64 (n,).
Examples = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class Measurement:
    """One measurement: its columns of the history, and the probabilities that they come from."""

    columns: dict[str, float]
    outputs: Outputs

    @property
    def is_finite(self) -> bool:
        """Whether every number is."""
        return all(map(math.isfinite, self.columns.values()))


class Curves:
    """Measures a model on the whole test set or on a small sample, and on training examples.

    As many of the training set, or all of them where there are fewer. Every sample is stratified
    and depends on the seed alone, so that all variants are measured on the same examples.
    """

    def __init__(self, splits: Splits, seed: int, evaluation: Evaluation | None = None) -> None:
        training = splits.train_images, splits.train_labels
        self.test: Examples = splits.test_images, splits.test_labels
        most = min(len(training[1]), len(self.test[1]))
        # The training sample; the probes look at the same one.
        self.train = _sample(training, most, seed, "train")
        asked = (evaluation or Evaluation()).examples
        self._few = self.train, self.test
        if asked != "all":
            few = min(asked, most)
            self._few = (
                _sample(training, few, seed, "train"),
                _sample(self.test, few, seed, "test"),
            )
        self._last: Measurement | None = None

    def measure(self, model: Any) -> Measurement:
        """Measure the model now, on the whole test set and as many training examples."""
        self._last = _measure(model, self.train, self.test)
        return self._last

    def outputs(self, model: Any) -> Outputs:
        """Return what the last `measure` of this model computed."""
        return (self._last or self.measure(model)).outputs

    def measure_few(self, model: Any) -> Measurement:
        """Measure the model now, on the small samples of both sets."""
        return _measure(model, *self._few)


def unmeasured(model: Any) -> dict[str, float | None]:
    """Return the columns of an epoch after which no example is looked at."""
    unknown = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    counts = {"train_evaluated": 0, "test_evaluated": 0}
    return dict.fromkeys(unknown) | {"penalty": penalty(model)} | counts


def has_finite_weights(model: Any) -> bool:
    """Return whether every weight is a finite number: what an unmeasured epoch still shows."""
    return all(np.isfinite(weights).all() for weights in model.get_weights())


def _sample(examples: Examples, count: int, seed: int, side: str) -> Examples:
    images, labels = examples
    if count == len(labels):
        return examples  # maybe mapped from the cache: no copy
    # Equal generators: of the training set, the small sample is part of the large one wherever
    # classes are equally large.
    chosen = stratified(labels, count, seeding.generator(seed, "curves", side))
    return images[chosen], labels[chosen]


def _measure(model: Any, train: Examples, test: Examples) -> Measurement:
    outputs = Outputs(train=predict(model, train[0]), test=predict(model, test[0]))
    on_train, on_test = measure_of(outputs.train, train[1]), measure_of(outputs.test, test[1])
    columns = {
        "train_loss": on_train.loss,
        "train_accuracy": on_train.accuracy,
        "test_loss": on_test.loss,
        "test_accuracy": on_test.accuracy,
        "penalty": penalty(model),
        "train_evaluated": len(train[1]),
        "test_evaluated": len(test[1]),
    }
    return Measurement(columns, outputs)
