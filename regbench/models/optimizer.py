"""The optimizer of an experiment: its schedule and the techniques' arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from regbench.config import Experiment
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
    rate: Any = train.learning_rate
    if train.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, train.epochs * steps_per_epoch)
    own = {"learning_rate": rate} | ({} if train.momentum is None else {"momentum": train.momentum})
    asked = combination.optimizer_arguments(experiment.regularizers)
    kind = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[train.optimizer]
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


def is_kernel(variable: keras.Variable) -> bool:
    """Return whether a Keras variable is a kernel, not a bias, gamma, beta or embedding."""
    return bool(variable.name.endswith("kernel"))
