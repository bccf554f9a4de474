"""Honest curves: train and test measured by the same function, between the same two updates.

Keras' own `loss` contains the penalty, and its training numbers are averages over a model that
moves while dropout is on and batches normalize themselves. Here both sides are measured in
inference mode, without the penalty; Keras' numbers are reported beside them.
"""

from __future__ import annotations

from typing import Any

from regbench import seeding
from regbench.datasets import Splits, stratified
from regbench.models.evaluate import measure, penalty


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
