"""The optimizer of an experiment: its schedule and the techniques' arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regbench.config import Experiment
from regbench.config.train import Train
from regbench.errors import RegbenchError
from regbench.regularizers import combination
from regbench.text import one_line

if TYPE_CHECKING:
    import keras


def make(experiment: Experiment, model: keras.Model, steps_per_epoch: int) -> keras.Optimizer:
    """Return the Keras optimizer for a model that is built.

    Raises:
        RegbenchError: Keras refuses the arguments of a technique.
    """
    import keras

    train = experiment.train
    own = {"learning_rate": _rate(train, steps_per_epoch)} | (
        {} if train.momentum is None else {"momentum": train.momentum}
    )
    asked = combination.optimizer_arguments(experiment.regularizers)
    kind = {
        "adam": keras.optimizers.Adam,
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
    }[train.optimizer]
    try:
        optimizer = kind(**own, **asked)
    except (TypeError, ValueError) as error:
        names = " and ".join(experiment.changing("optimizer"))
        raise RegbenchError(
            f"{names}: expected arguments that Keras' {kind.__name__} takes, received "
            f"{', '.join(asked)}: {one_line(str(error))}"
        ) from error
    if "weight_decay" in asked:
        optimizer.exclude_from_weight_decay(
            [each for each in model.trainable_variables if not is_kernel(each)]
        )
    return optimizer


def _rate(
    train: Train, steps_per_epoch: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Return the learning rate: a number, or Keras' schedule by the count of updates."""
    import keras

    rate, schedules = train.learning_rate, keras.optimizers.schedules
    if train.schedule == "cosine":
        return schedules.CosineDecay(rate, train.epochs * steps_per_epoch)
    if train.schedule == "exponential":
        return schedules.ExponentialDecay(rate, steps_per_epoch, train.decay, staircase=True)
    if train.schedule == "step":
        epochs, decay = train.milestones or (), train.decay or 1.0
        # A boundary is the last update of the rate before it, and updates count from 0.
        return schedules.PiecewiseConstantDecay(
            [epoch * steps_per_epoch - 1 for epoch in epochs],
            [rate * decay**count for count in range(len(epochs) + 1)],
        )
    return rate


def is_kernel(variable: keras.Variable) -> bool:
    """Return whether a Keras variable is a kernel, not a bias, gamma, beta or embedding."""
    return bool(variable.name.endswith("kernel"))
