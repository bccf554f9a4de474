"""Averages of a model's weights: the exponential moving average, and SWA."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from regbench.regularizers.hooks import Averaging, Toggle

if TYPE_CHECKING:
    import keras


class EMA(Toggle):
    """Evaluates an exponential moving average of the weights instead of the trained weights.

    After every update, average = momentum * average + (1 - momentum) * weights, beginning with the
    weights after the first: Keras' `use_ema`. Training itself is unchanged. Batch normalization's
    statistics are those of the averaged weights: they are computed in one pass over the epoch's
    training batches wherever the average is evaluated, saved or probed.
    Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992;
    Tarvainen and Valpola, "Mean Teachers Are Better Role Models", 2017, on the moving average.
    """

    shorthand = "momentum"
    bare: ClassVar[bool] = True
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99

    def is_idle(self) -> bool:
        return self.momentum == 0

    def optimizer(self) -> dict[str, object]:
        return {"use_ema": True, "ema_momentum": self.momentum}

    def averaging(self, model: keras.Model) -> Averaging:
        return _OptimizerAverage(model)


class SWA(Toggle):
    """Evaluates the mean of the weights after each epoch in the last part of training.

    `start` is the share of epochs before the averaging; until then the trained weights are
    evaluated. It is meant for a learning rate that stays high (`train.schedule: constant`): the
    weights then wander around a flat region, and their mean is near its center. Batch
    normalization's moving averages fit none of the averaged weights, so they are replaced, as in
    the source's section 3.2, in one pass over the training data: each by the mean of the batches'
    statistics, in training mode, with the batches of the epoch that has just been trained. That
    happens wherever the average is evaluated, saved or probed; the moving averages of the trained
    weights continue.
    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization",
    2018.
    """

    bare: ClassVar[bool] = True
    start: Annotated[float, Field(ge=0, lt=1)] = 0.75

    def averaging(self, model: keras.Model) -> Averaging:
        return _EpochAverage(model, self.start)


class _OptimizerAverage(Averaging):
    """The average that a Keras optimizer with `use_ema` keeps; it is in every checkpoint."""

    def __init__(self, model: keras.Model) -> None:
        # With train.precision: mixed_float16, it is inside the one that scales losses.
        self._optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)

    def weights(self) -> Sequence[keras.Variable] | None:
        if _number(self._optimizer.iterations) == 0:  # zeros before the first update
            return None
        # Keras has no public name for it; its own SwapEMAWeights reads it too.
        average: list[keras.Variable] = self._optimizer._model_variables_moving_average
        return average


class _EpochAverage(Averaging):
    """The mean of the weights after each epoch beyond the first `start` share of all epochs."""

    def __init__(self, model: keras.Model, start: float) -> None:
        import keras

        self._weights, self._start = model.trainable_variables, start
        self._count = keras.Variable(0, trainable=False, dtype="int32", name="averaged_epochs")
        self._mean = [
            keras.Variable(np.zeros(each.shape, each.dtype), trainable=False, dtype=each.dtype)
            for each in self._weights
        ]

    @property
    def variables(self) -> Sequence[keras.Variable]:
        return [self._count, *self._mean]

    def end_epoch(self, epoch: int, epochs: int) -> None:
        if epoch <= math.floor(self._start * epochs):
            return
        import keras

        count = _number(self._count) + 1
        for mean, weights in zip(self._mean, self._weights, strict=True):
            before, now = keras.ops.convert_to_numpy(mean), keras.ops.convert_to_numpy(weights)
            mean.assign(before + (now - before) / np.float32(count))
        self._count.assign(count)

    def weights(self) -> Sequence[keras.Variable] | None:
        return self._mean if _number(self._count) else None


def _number(variable: keras.Variable) -> int:
    import keras

    return int(keras.ops.convert_to_numpy(variable))
