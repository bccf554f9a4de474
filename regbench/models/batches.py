"""The batches of an epoch: their order, and their changes by techniques with a `batch` hook.

Everything random here depends only on the seed, the epoch, the step and the technique. So every
variant with the same seed sees the same examples in the same order, a technique draws the same
numbers regardless of others, and a resumed run needs no stored state.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from regbench import seeding
from regbench.config import Experiment
from regbench.datasets import Splits
from regbench.errors import RegbenchError
from regbench.models.build import to_inputs
from regbench.regularizers.hooks import Images, Targets

# The input of one update: float32 images in [0, 1] of shape (n, height, width, channels), and
# int64 labels (n,), or float32 class probabilities (n, classes) if a technique has the hook.
Batch = tuple[NDArray[np.float32], NDArray[np.int64] | Targets]


def batches(experiment: Experiment, splits: Splits, epoch: int, done: int = 0) -> Iterator[Batch]:
    """Yield an epoch's batches, except for the first `done`."""
    order = ordered(experiment, splits, epoch)
    size, classes = experiment.train.batch_size, len(splits.classes)
    for step in range(done, steps(experiment, splits)):
        chosen = order[step * size : (step + 1) * size]
        # Images stay uint8 in memory (a quarter of float32); only a batch at a time is converted.
        images, labels = to_inputs(splits.train_images[chosen]), splits.train_labels[chosen]
        yield trained_on(experiment, images, labels, classes, epoch, step)


def ordered(experiment: Experiment, splits: Splits, epoch: int) -> NDArray[np.int64]:
    """Return the order of the training examples in an epoch, as their indices."""
    # Each epoch visits every example once, in a new order.
    rng = seeding.generator(experiment.seed_of("order"), "order", epoch)
    return rng.permutation(len(splits.train_labels))


def steps(experiment: Experiment, splits: Splits) -> int:
    """Return the number of updates in an epoch."""
    return math.ceil(len(splits.train_labels) / experiment.train.batch_size)


def trained_on(
    experiment: Experiment,
    images: Images,
    labels: NDArray[np.int64],
    classes: int,
    epoch: int,
    step: int,
) -> Batch:
    """Return the changed batch for the update `step`, starting at 0, of an epoch.

    Without an active technique that changes batches, it is the images and labels themselves.

    Raises:
        RegbenchError: a technique returns arrays of another type or shape.
    """
    changing = experiment.changing("batch")
    if not changing:
        return images, labels
    targets = one_hot(labels, classes)
    for name, technique in changing.items():
        rng = seeding.generator(experiment.seed_of("technique"), "batch", name, epoch, step)
        expected = images, targets
        images, targets = technique.batch(images, targets, rng)
        _check(name, expected, (images, targets))
    return images, targets


def one_hot(labels: NDArray[np.int64], classes: int) -> Targets:
    """Return labels (n,) as float32 class probabilities (n, classes)."""
    return np.eye(classes, dtype=np.float32)[labels]


def _check(name: str, expected: tuple[Images, Targets], received: tuple[Images, Targets]) -> None:
    for what, before, after in zip(("images", "targets"), expected, received, strict=True):
        if getattr(after, "dtype", None) != np.float32 or after.shape != before.shape:
            found = f"{getattr(after, 'dtype', type(after).__name__)} {np.shape(after)}"
            raise RegbenchError(
                f"{name}.batch: expected {what} as float32 {before.shape}, received {found}; "
                "return arrays of the type and shape that the hook was given"
            )
