"""Averaged weights: evaluated in place of the trained weights if a technique averages them.

The averages replace the weights while the model is measured, and permanently at the end: the
history, the saved model, the predictions and the probes all use them. In between, training
continues with its own weights.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench.config import Experiment
from regbench.datasets import Splits
from regbench.models.batches import batches
from regbench.models.layers import leaves
from regbench.probes.harness import numpy, unchanged
from regbench.regularizers.hooks import Averaging

if TYPE_CHECKING:
    import keras


class Averages:
    """The averages of a compiled model's weights; idle without a technique that averages."""

    def __init__(self, model: keras.Model, experiment: Experiment, splits: Splits) -> None:
        self._model, self._experiment, self._splits = model, experiment, splits
        # A config with two of them is invalid.
        found = [each.averaging(model) for each in experiment.changing("averaging").values()]
        self._averaging: Averaging = next((each for each in found if each), Averaging())

    @property
    def variables(self) -> Sequence[keras.Variable]:
        """Keras variables that a checkpoint must have, beyond those of model and optimizer."""
        return self._averaging.variables

    def end_epoch(self, epoch: int) -> None:
        """Take in the weights after an epoch."""
        self._averaging.end_epoch(epoch, self._experiment.train.epochs)

    @contextlib.contextmanager
    def evaluated(self, epoch: int, with_statistics: bool = True) -> Iterator[None]:
        """Replace the weights by the averages inside the block, and restore them at the end.

        Without `statistics`, the model can't be measured: only its weights can be inspected.
        """
        weights = self._averaging.weights()
        if weights is None:
            yield
            return
        with unchanged(self._model):
            self._assign(weights, epoch, with_statistics)
            yield

    def settle(self, epoch: int) -> None:
        """Replace the weights by the averages permanently, after training."""
        weights = self._averaging.weights()
        if weights is not None:
            self._assign(weights, epoch)

    def _assign(
        self, weights: Sequence[keras.Variable], epoch: int, with_statistics: bool = True
    ) -> None:
        for variable, average in zip(self._model.trainable_variables, weights, strict=True):
            variable.assign(numpy(average).copy())  # on JAX the two would share an array
        if with_statistics:
            # The batches of the last epoch, augmented as in training: a resumed run has the same.
            of_epoch = batches(self._experiment, self._splits, epoch)
            take_statistics(self._model, (images for images, _ in of_epoch))


def take_statistics(model: keras.Model, images: Iterable[NDArray[np.float32]]) -> None:
    """Replace batch normalization's moving averages by the means over these batches.

    It uses training mode and the current weights. A model without batch normalization is left
    unchanged, and no batch is computed.
    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization",
    2018, section 3.2.
    """
    import keras

    layers = [each for each in leaves(model) if isinstance(each, keras.layers.BatchNormalization)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    try:
        for count, batch in enumerate(images):
            # With this momentum, the moving average is the plain mean of all batches so far.
            for layer in layers:
                layer.momentum = count / (count + 1)
            model(batch, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
