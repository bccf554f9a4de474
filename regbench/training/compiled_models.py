"""Compiled models: the next seed of a config continues with what its worker has compiled.

What is traced and compiled belongs to a model's variables, not to their values. Each run builds its
own model, with the values that its seed gives; if this process has finished a run of the same
config, the values then move into the model of that run, and nothing is compiled again. For a run
of a few seconds that is a tenth of its time, and on JAX more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from regbench.builders.own import OwnModel
from regbench.config import Experiment
from regbench.datasets import Splits
from regbench.models.batches import steps
from regbench.models.build import build, compile_model
from regbench.models.weights import seed_noise
from regbench.probes.harness import numpy
from regbench.training import compiled_epochs
from regbench.training.steps import Trainer

if TYPE_CHECKING:
    import keras

# Each takes some ten megabytes: its graphs, weights, and the optimizer's moments.
MOST_MODELS = 8
# Compiling a larger network takes no longer, but training it takes so long that nobody notices.
MOST_PARAMETERS = 1_000_000

# All that the graphs depend on: name and hash of the config, the shape of an image, the number of
# classes, and that of updates in an epoch, which the learning rate's schedule has inside.
Key: TypeAlias = "tuple[str, str, tuple[int, ...], int, int]"


class Compiled(NamedTuple):
    """A compiled model, and what trains it; `is_traced` after an earlier run of it."""

    model: keras.Model
    trainer: Trainer
    is_traced: bool = False


# Those of the finished runs of this process, the one used last at the end.
_kept: dict[Key, Compiled] = {}


def take(experiment: Experiment, splits: Splits) -> Compiled:
    """Return a compiled model with the values of this seed. Raises RegbenchError if there is none.

    It is the kept one of an earlier seed, if any, which `keep` has to give back: after a run that
    fails, nobody knows the state that its model is in.
    """
    model = build(experiment, splits.train_images.shape[1:], len(splits.classes))
    compile_model(model, experiment, steps(experiment, splits))
    if known := _kept.pop(_key(experiment, splits), None):
        _start_over(known.model, model, experiment)
        return known._replace(is_traced=True)
    return Compiled(model, compiled_epochs.trainer(model, experiment, splits))


def keep(compiled: Compiled, experiment: Experiment, splits: Splits) -> None:
    """Keep the model of a finished run for the next seed of its config.

    A network of your own, or with a technique from a plugin, may have values that are not in its
    variables: it is not kept.
    """
    foreign = experiment.plugins or isinstance(experiment.model, OwnModel)
    if foreign or compiled.model.count_params() > MOST_PARAMETERS:
        return
    compiled.trainer.release()
    _kept[_key(experiment, splits)] = compiled
    while len(_kept) > MOST_MODELS:
        del _kept[next(iter(_kept))]


def _key(experiment: Experiment, splits: Splits) -> Key:
    shape = splits.train_images.shape[1:]
    updates = steps(experiment, splits)
    return experiment.name, experiment.hash, shape, len(splits.classes), updates


def _start_over(model: keras.Model, fresh: keras.Model, experiment: Experiment) -> None:
    """Give a trained model every value of a fresh one, its optimizer and metrics too."""
    pairs = zip(_variables(model), _variables(fresh), strict=True)
    for variable, value in pairs:
        variable.assign(numpy(value.value).copy())  # on JAX the two would share an array
    # A seed generator also has a copy of its seed outside of its variable.
    seed_noise(model, experiment.seed_of("technique"))


def _variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables, *model.metrics_variables]
