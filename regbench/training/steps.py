"""Training steps: several updates in one compiled call, their batches prepared meanwhile.

In a network of a few milliseconds a step, what Python does between two steps counts: a call into
TensorFlow, and waiting for the loss. On TensorFlow a call therefore trains for about a quarter of a
second, and its losses come back together. Every update is the one that `train_on_batch` computes,
in the same order, so that a history does not depend on how many of them share a call.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regbench.config import Experiment
from regbench.datasets import Splits
from regbench.models.batches import Batch, batches
from regbench.regularizers.hooks import Images, Targets

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# A run is interrupted, reports its progress and writes checkpoints between calls only: often enough
# that nobody waits, even if the machine becomes several times slower within a call.
SECONDS_PER_CALL = 0.25
MOST_STEPS = 64
# The batches of a call are in memory at once, and those of the next one too.
MOST_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Update:
    """One update as Keras reports it: means over the `examples` of its batch."""

    examples: int
    loss: float
    accuracy: float


# Stacked batches: images (steps, batch, height, width, channels), and labels or probabilities.
Inputs = Images
Labels = NDArray[np.int64] | Targets
Loop: TypeAlias = "Callable[[Inputs, Labels], tuple[tf.Tensor, tf.Tensor]]"


class Trainer(Protocol):
    """Whatever makes the updates of a model; several of them are a call."""

    def epoch(
        self, experiment: Experiment, splits: Splits, epoch: int, done: int = 0
    ) -> contextlib.AbstractContextManager[Iterator[Any]]:
        """Open an iterator over the calls of an epoch, except for its first `done` updates."""

    def train(self, call: Any, /) -> list[Update]:
        """Make the updates of a call; return what Keras reports of each."""

    def release(self) -> None:
        """Give up the data of the run, but nothing that is compiled: another run may follow."""


class Steps:
    """Trains a compiled model with as many updates per call as fit into `SECONDS_PER_CALL`."""

    def __init__(self, model: keras.Model) -> None:
        import keras

        self._model = model
        self._is_compiled = keras.backend.backend() == "tensorflow"
        self._loop: Loop | None = None
        self._shape: tuple[int, ...] = ()
        # Until a call was timed, a call has one step: the first one also compiles.
        self.per_call = 1

    def epoch(
        self, experiment: Experiment, splits: Splits, epoch: int, done: int = 0
    ) -> contextlib.AbstractContextManager[Iterator[list[Batch]]]:
        """Open an iterator over the calls of an epoch, except for its first `done` updates."""
        return self.prefetched(batches(experiment, splits, epoch, done))

    def release(self) -> None:
        """Do nothing: no data is kept between calls."""

    @contextlib.contextmanager
    def prefetched(self, batches: Iterable[Batch]) -> Iterator[Iterator[list[Batch]]]:
        """Open an iterator over the batches of each call, prepared while the last call runs.

        What the preparation raises is raised where its batches are asked for.
        """
        left = iter(batches)

        def prepare() -> list[Batch]:
            return [_stacked(group) for group in _groups(itertools.islice(left, self.per_call))]

        def calls() -> Iterator[list[Batch]]:
            following = thread.submit(prepare)
            while call := following.result():
                following = thread.submit(prepare)
                yield call

        with ThreadPoolExecutor(1, "batches") as thread:
            yield calls()

    def train(self, call: list[Batch]) -> list[Update]:
        """Update the model once for each batch of a call; return what Keras reports of each."""
        began, was_compiled = perf_counter(), bool(self._shape)
        updates = [each for images, targets in call for each in self._updates(images, targets)]
        if was_compiled and self._is_compiled:
            self._choose(len(updates), perf_counter() - began, call[0][0].nbytes)
        return updates

    def _updates(self, images: Inputs, targets: Labels) -> Iterator[Update]:
        """Train on stacked batches: images (steps, batch, height, width, channels), targets."""
        examples = images.shape[1]
        self._shape = self._shape or images.shape[1:]
        # The smaller last batch of an epoch has a graph of its own, traced after that of a full
        # batch: a loop around it would only be one more graph to compile.
        if self._is_compiled and images.shape[1:] == self._shape:
            self._loop = self._loop or _looped(self._model, images, targets)
            losses, accuracies = (each.numpy() for each in self._loop(images, targets))
            for loss, accuracy in zip(losses, accuracies, strict=True):
                yield Update(examples, float(loss), float(accuracy))
            return
        for batch in zip(images, targets, strict=True):
            logs = self._model.train_on_batch(*batch, return_dict=True)
            yield Update(examples, float(logs["loss"]), float(logs["accuracy"]))

    def _choose(self, steps: int, seconds: float, size: int) -> None:
        affordable = int(SECONDS_PER_CALL * steps / seconds)
        # Grows gradually, since a single short measurement may be off.
        most = min(4 * self.per_call, MOST_STEPS, MOST_BYTES * steps // size)
        self.per_call = max(1, min(affordable, most))


def _looped(model: keras.Model, images: Inputs, targets: Labels) -> Loop:
    """Return a compiled function of stacked batches: one update each, its losses and accuracies.

    It is Keras' own compiled step, called in a loop inside TensorFlow. Keras' `steps_per_execution`
    has such a loop too, but only inside `fit`, and it reports the last step alone.
    """
    import tensorflow as tf

    model.make_train_function()

    def loop(images: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def step(
            index: tf.Tensor, losses: tf.TensorArray, accuracies: tf.TensorArray
        ) -> tuple[tf.Tensor, tf.TensorArray, tf.TensorArray]:
            model.reset_metrics()  # as in train_on_batch: the logs cover one batch
            logs = model.train_function(iter([(images[index], targets[index], None)]))
            written = losses.write(index, logs["loss"]), accuracies.write(index, logs["accuracy"])
            return index + 1, *written

        steps = tf.shape(images)[0]
        start = (tf.constant(0), *(tf.TensorArray(tf.float32, steps) for _ in range(2)))
        # One update after another, as they depend on each other.
        _, losses, accuracies = tf.while_loop(
            lambda index, *_: index < steps, step, start, parallel_iterations=1
        )
        return losses.stack(), accuracies.stack()

    # Any number of steps: one graph, whatever a call has.
    of_any = [tf.TensorSpec((None, *each.shape[1:]), each.dtype) for each in (images, targets)]
    return tf.function(loop, input_signature=of_any, autograph=False)


def _groups(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    """Yield the batches in groups of one size: the last batch of an epoch may be smaller."""
    for _, group in itertools.groupby(batches, lambda batch: len(batch[0])):
        yield list(group)


def _stacked(batches: list[Batch]) -> Batch:
    """Return the batches as one, with an axis for the steps in front."""
    if len(batches) == 1:  # without a copy
        ((images, targets),) = batches
        return images[np.newaxis], targets[np.newaxis]
    stacked = [np.stack(arrays) for arrays in zip(*batches, strict=True)]
    return stacked[0], stacked[1]
