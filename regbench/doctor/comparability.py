"""What every technique must leave as it is, so that variants can be compared by seed.

The same initial weights and the same order of the data as the baseline; two equal runs; a resumed
update that is an uninterrupted one's.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

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

# Of this epoch, the second, are the order and the draws that are compared.
EPOCH = 2


def first_weights(name: str, experiment: Experiment) -> tuple[Check, Check]:
    """Layers begin with the baseline's weights; measuring them draws and changes nothing."""
    model, images = network.made(experiment), network.splits().test_images
    baseline = network.weights(network.made(_without(name, experiment)))
    own, before = network.weights(model), network.state(model)
    shared = {path for path in baseline if path in own and baseline[path].shape == own[path].shape}
    differ = sum(not np.array_equal(baseline[path], own[path]) for path in shared)
    what = f"of {len(shared)} arrays differ from the baseline's"
    first, second = predict(model, images), predict(model, images)
    moved = differing(before, network.state(model)) + int(not np.array_equal(first, second))
    return (
        count(name, "same initial weights", differ if shared else -1, 0, what),
        count(name, "measuring changes nothing", moved, 0, "arrays differ between two passes"),
    )


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


def repeated(name: str, experiment: Experiment) -> tuple[Check, Check]:
    """Two runs are equal bit by bit, and so is one that is resumed between two updates."""
    with tempfile.TemporaryDirectory(prefix="regbench-doctor-") as folder:
        whole, batches = _two_updates(experiment, save=Path(folder, "first"))
        again, others = _two_updates(experiment, save=Path(folder, "second"))
        resumed, _ = _two_updates(experiment, restore=Path(folder, "first"))
    differ = differing(whole, again) + differing(batches, others)
    what = f"of {len(whole) + len(batches)} arrays differ between two runs"
    return (
        count(name, "runs are deterministic", differ, 0, what),
        count(
            name, "a resumed update is exact", differing(whole, resumed), 0,
            f"of {len(whole)} arrays differ",
        ),
    )  # fmt: skip


CHECKS = (first_weights, order, repeated)


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


def _two_updates(
    experiment: Experiment, save: Path | None = None, restore: Path | None = None
) -> tuple[network.Arrays, network.Arrays]:
    """Return all variables after two updates, and what these were trained on.

    The first one ends with a checkpoint in the folder `save`, or is replaced by that in `restore`.
    """
    model, batches = network.made(experiment), network.epoch(experiment, EPOCH)[:2]
    averages = Averages(model, experiment, network.splits())
    if restore:
        checkpoint = Checkpoints(restore, {}, 1.0).latest()
        assert checkpoint
        checkpoint.restore(model, averages.variables)
    else:
        network.step(model, batches[0])
        averages.end_epoch(experiment.train.epochs)
    if save:
        position = Position([dict.fromkeys(HISTORY, 0)])
        Checkpoints(save, {}, 1.0).save(model, position, averages.variables)
    network.step(model, batches[1])
    ends = network.state(model)
    ends |= {f"average-{at}": network.numpy(each) for at, each in enumerate(averages.variables)}
    arrays = (array for batch in batches for array in batch)
    return ends, {f"{at}": array for at, array in enumerate(arrays)}
