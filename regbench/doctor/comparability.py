"""What every technique must leave as it is, so that variants can be compared by seed.

The same initial weights and the same order of the data as the baseline; two equal runs; a resumed
update that is an uninterrupted one's.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator

from regbench.config import Experiment
from regbench.doctor import network
from regbench.doctor.check import Check, count, differing
from regbench.models.evaluate import predict
from regbench.regularizers import Regularizer
from regbench.regularizers.hooks import Images, Targets
from regbench.runs.files import HISTORY
from regbench.training.averages import Averages
from regbench.training.checkpoints import Checkpoints, Position

if TYPE_CHECKING:
    import keras

# Of this epoch, the second, are the order and the draws that are compared.
EPOCH = 2


def order(name: str, experiment: Experiment) -> Check:
    """Each update meets the examples that the baseline's does, before the technique's changes."""
    seen = _Recorder()
    observed = experiment.model_copy(update={"flip": seen})
    baseline = network.epoch(_without(name, experiment), EPOCH)
    network.epoch(observed, EPOCH)
    differ = sum(
        not np.array_equal(images, found)
        for (images, _), found in zip(baseline, seen.images, strict=True)
    )
    what = f"of {len(baseline)} batches differ from the baseline's"
    return count(name, "same order of the data", differ, 0, what)


def repeated(name: str, experiment: Experiment) -> tuple[Check, ...]:
    """Initial weights are the baseline's; a run repeats itself, and resumes as if never stopped.

    Measuring, before the first update, changes nothing of that.
    """
    baseline = network.weights(network.made(_without(name, experiment)))
    model, other = network.made(experiment), network.made(experiment)
    own, before = network.weights(model), network.state(model)
    shared = {path for path in baseline if path in own and baseline[path].shape == own[path].shape}
    changed = sum(not np.array_equal(baseline[path], own[path]) for path in shared)
    apart = differing(before, network.state(other)) + _batches_apart(experiment)

    images = network.splits().test_images
    first, second = predict(model, images), predict(model, images)
    moved = differing(before, network.state(model)) + int(not np.array_equal(first, second))

    return (
        count(
            name, "same initial weights", changed if shared else -1, 0,
            f"of {len(shared)} arrays differ from the baseline's",
        ),
        count(name, "runs are deterministic", apart, 0, "arrays differ between two runs"),
        count(name, "measuring changes nothing", moved, 0, "arrays differ between two passes"),
        _resumed(name, experiment, model, other),
    )  # fmt: skip


CHECKS = (order, repeated)


class _Recorder(Regularizer):
    """Takes the place of the first technique that changes batches, and keeps what it is given."""

    def __init__(self) -> None:
        self.images: list[Images] = []

    def batch(self, images: Images, targets: Targets, rng: Generator) -> tuple[Images, Targets]:
        self.images.append(images.copy())
        return images, targets


def _without(name: str, experiment: Experiment) -> Experiment:
    """Return the baseline: the technique switched off, or at its defaults."""
    values = experiment.values()
    del values[name]
    return Experiment.model_validate(values | {"name": "baseline"})


def _batches_apart(experiment: Experiment) -> int:
    """Return how many arrays differ between the batches of an epoch, made twice."""
    twice = (network.epoch(experiment, EPOCH) for _ in range(2))
    arrays = ({f"{at}-{part}": array for at, batch in enumerate(each)
               for part, array in enumerate(batch)} for each in twice)  # fmt: skip
    return differing(next(arrays), next(arrays))


def _resumed(name: str, experiment: Experiment, model: keras.Model, other: object) -> Check:
    """Make two updates of a model, and the second one of another, from a checkpoint."""
    batches = network.epoch(experiment, EPOCH)
    averages, restored = (Averages(each, experiment, network.splits()) for each in (model, other))
    network.step(model, batches[0])
    averages.end_epoch(experiment.train.epochs)
    with tempfile.TemporaryDirectory(prefix="regbench-doctor-") as folder:
        keeper = Checkpoints(Path(folder), {}, 1.0)
        keeper.save(model, Position([dict.fromkeys(HISTORY, 0)]), averages.variables)
        checkpoint = keeper.latest()
        assert checkpoint
        checkpoint.restore(other, restored.variables)
    for each in (model, other):
        network.step(each, batches[1])
    whole, parts = (
        network.state(each) | {f"average-{at}": network.numpy(one) for at, one in enumerate(of)}
        for each, of in ((model, averages.variables), (other, restored.variables))
    )
    differ = differing(whole, parts)
    return count(name, "a resumed update is exact", differ, 0, f"of {len(whole)} arrays differ")
