"""Honest curves: training and test set measured by the same function, with the same weights.

The training numbers that Keras reports can't be compared with its test numbers: they are averages
over an epoch in which the weights kept moving, taken with dropout active and with the statistics
of each batch, and the loss includes the penalty. Part of the gap between the two would be an
artifact of the regularizer that is under study. Here both sets are measured in inference mode,
after the update, without the penalty; Keras' numbers are reported next to them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench import seeding
from regbench.config.experiment import Evaluation
from regbench.datasets import Splits, stratified
from regbench.models.evaluate import Outputs, measure, measure_of, penalty, predict

if TYPE_CHECKING:
    import keras

# Images uint8 (n, height, width, channels) and labels int64 (n,).
Examples = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class Measurement:
    """One measurement: its columns in the history, and the probabilities behind them."""

    columns: dict[str, float | None]
    outputs: Outputs

    @property
    def is_finite(self) -> bool:
        """True if every number that was measured is finite."""
        return all(math.isfinite(each) for each in self.columns.values() if each is not None)

    def number(self, column: str) -> float:
        """Return a column that was measured."""
        found = self.columns[column]
        assert found is not None
        return found


class Curves:
    """Measures a model on the test set, or a sample of it, and on as many training examples.

    If there are fewer training examples than that, all are used. Samples are stratified and depend
    only on the seed, so all variants are measured on the same examples. Validation examples, if
    any, are all measured each time, since they decide. With `test: false` in the config, nothing
    is measured on the test set.
    """

    def __init__(self, splits: Splits, seed: int, evaluation: Evaluation | None = None) -> None:
        training = splits.train_images, splits.train_labels
        asked = evaluation or Evaluation()
        self.test: Examples | None = None
        if asked.test:
            self.test = splits.test_images, splits.test_labels
        self.validation: Examples | None = splits.validation
        # As many training as test examples: both accuracies then have similar sampling errors, and
        # measuring takes at most twice as long as the test set alone. The probes examine the same
        # sample, so their numbers agree with the last row of the history.
        most = min(len(training[1]), len(splits.test_labels))
        self.train = _sample(training, most, seed, "train")
        self._few = self.train, self.test
        if asked.examples != "all":
            few = min(asked.examples, most)
            self._few = (
                _sample(training, few, seed, "train"),
                _sample(self.test, few, seed, "test") if self.test else None,
            )
        self._last: Measurement | None = None

    def measure(self, model: keras.Model) -> Measurement:
        """Measure the model on the whole test set and as many training examples."""
        # Keep them: predictions and probes need the same probabilities after the last epoch.
        self._last = _measure(model, self.train, self.test, self.validation)
        return self._last

    def outputs(self, model: keras.Model) -> Outputs:
        """Return the probabilities that the last `measure` of this model computed."""
        return (self._last or self.measure(model)).outputs

    def measure_few(self, model: keras.Model) -> Measurement:
        """Measure the model on the small samples of both sets."""
        return _measure(model, *self._few, self.validation)

    def unmeasured(self, model: keras.Model) -> dict[str, float | None]:
        """Return the columns of an epoch after which nothing is evaluated, except the penalty."""
        # The penalty depends on the weights alone, so it is known without looking at an example.
        sets = ("train", "test") + (("validation",) if self.validation else ())
        unknown = [f"{name}_{quantity}" for name in sets for quantity in ("loss", "accuracy")]
        counts = {f"{name}_evaluated": 0 for name in sets}
        return dict.fromkeys(unknown) | {"penalty": penalty(model)} | counts


def has_finite_weights(model: keras.Model) -> bool:
    """Return whether every weight is finite, which can be checked without evaluating examples."""
    return all(np.isfinite(weights).all() for weights in model.get_weights())


def _sample(examples: Examples, count: int, seed: int, side: str) -> Examples:
    images, labels = examples
    if count == len(labels):
        return examples  # may be mapped from the cache: do not copy
    # The small and the large sample use equal generators, so that the small one is a subset of
    # the large one wherever classes are of equal size: the middle of a curve and its ends are then
    # measured on examples that overlap as much as they can.
    chosen = stratified(labels, count, seeding.generator(seed, "curves", side))
    return images[chosen], labels[chosen]


def _measure(
    model: keras.Model, train: Examples, test: Examples | None, validation: Examples | None
) -> Measurement:
    # Inference mode: dropout is off, and batch normalization uses its moving averages. These are
    # the predictions that a user of the model would get.
    on_training = predict(model, train[0])
    outputs = Outputs(train=on_training, test=predict(model, test[0]) if test else on_training[:0])
    on_train = measure_of(outputs.train, train[1])
    on_test = measure_of(outputs.test, test[1]) if test else None
    columns: dict[str, float | None] = {
        "train_loss": on_train.loss,
        "train_accuracy": on_train.accuracy,
        "test_loss": on_test.loss if on_test else None,
        "test_accuracy": on_test.accuracy if on_test else None,
        # In a column of its own, so that the reported loss (which includes it) can be taken apart.
        "penalty": penalty(model),
        # The number of examples behind the numbers: a standard error needs it.
        "train_evaluated": len(train[1]),
        "test_evaluated": len(test[1]) if test else 0,
    }
    if validation:
        on_validation = measure(model, *validation)
        columns |= {
            "validation_loss": on_validation.loss,
            "validation_accuracy": on_validation.accuracy,
            "validation_evaluated": len(validation[1]),
        }
    return Measurement(columns, outputs)
