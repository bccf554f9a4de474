"""Compiled epochs: on JAX, the updates of an epoch as one program that stays on the device.

On a GPU a step of a small network takes less time than what Python does between two of them. Here
the whole data set lies in the device's memory as uint8, the epoch's order is uploaded once, and one
compiled loop picks each batch by its indices and makes the update that `train_on_batch` makes. The
program takes the first and the last step as arguments, so that one compilation serves any piece
of an epoch: a run stops, reports and writes checkpoints between pieces, and its history does not
depend on where they end.

That is also why the loop is `fori_loop` with a bound known only at run time, not a `scan` of fixed
length: XLA unrolls a loop of one step, and so may round it differently from a step of a longer one.

A technique with a `batch` hook is a NumPy function. Its batches are prepared on the host, as
elsewhere, and several of them are uploaded together for one loop.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regbench.config import Experiment
from regbench.datasets import Splits
from regbench.models.batches import ordered
from regbench.training import steps
from regbench.training.steps import Inputs, Labels, Steps, Trainer, Update

if TYPE_CHECKING:
    import jax
    import keras

# A piece ends after a quarter of a second anyway; this bounds only how fast pieces grow.
MOST_STEPS = 100_000
# A larger data set leaves too little of a card's memory to the network: its batches are uploaded.
MOST_BYTES = 4 * 2**30

# The values of the variables, and with them the losses and accuracies of the steps so far.
State: TypeAlias = "list[list[jax.Array]]"
Carry: TypeAlias = "tuple[State, jax.Array, jax.Array]"
# Picks the images and targets of step `index` from what the program was given.
Arrays: TypeAlias = "tuple[jax.Array, ...]"
Pick: TypeAlias = "Callable[[Arrays, jax.Array], tuple[jax.Array, jax.Array]]"


def trainer(model: keras.Model, experiment: Experiment, splits: Splits) -> Trainer:
    """Return what trains the compiled model: compiled epochs on JAX, else `Steps`.

    So it is with `train.jit_compile: false`, where nothing may be compiled.
    """
    import keras

    if keras.backend.backend() != "jax" or not model.jit_compile:
        return Steps(model)
    if experiment.changing("batch") or splits.train_images.nbytes > MOST_BYTES:
        return UploadedBatches(model)
    return ResidentEpochs(model)


@dataclass(frozen=True)
class Piece:
    """Consecutive updates of an epoch, with batches of one size.

    `order` are the indices of the examples, int32 (steps, batch), on the device; the piece has the
    steps from `start` to before `stop`.
    """

    order: jax.Array
    start: int
    stop: int


class ResidentEpochs:
    """Trains a compiled model on a data set in the device's memory."""

    def __init__(self, model: keras.Model) -> None:
        self._program = _Program(model, _pick_examples)
        self._data: Arrays = ()
        self._is_compiled = False
        # Until a piece was timed, a piece has one step: the first one also compiles.
        self.per_call = 1

    @contextlib.contextmanager
    def epoch(
        self, experiment: Experiment, splits: Splits, epoch: int, done: int = 0
    ) -> Iterator[Iterator[Piece]]:
        """Open an iterator over the pieces of an epoch, except for its first `done` updates."""
        import jax

        if not self._data:
            # A quarter of what float32 would take; a batch is converted when it is picked.
            self._data = jax.device_put((splits.train_images, splits.train_labels.astype(np.int32)))
        yield self._pieces(ordered(experiment, splits, epoch), experiment.train.batch_size, done)

    def release(self) -> None:
        """Free the data set's memory on the device."""
        self._data = ()

    def _pieces(self, order: NDArray[np.int64], size: int, done: int) -> Iterator[Piece]:
        import jax

        full = len(order) // size
        whole = jax.device_put(order[: full * size].reshape(full, size).astype(np.int32))
        while done < full:
            stop = min(done + self.per_call, full)
            yield Piece(whole, done, stop)
            done = stop
        rest = order[full * size :]
        if len(rest) and done == full:  # the smaller last batch is a program of its own
            yield Piece(jax.device_put(rest[np.newaxis].astype(np.int32)), 0, 1)

    def train(self, piece: Piece) -> list[Update]:
        """Update the model once for each step of a piece; return what Keras reports of each."""
        began = perf_counter()
        updates = self._program.run((*self._data, piece.order), piece.start, piece.stop)
        # The smaller last batch says little, and is compiled in the middle of training.
        if piece.order.shape[0] == 1:
            return updates
        if self._is_compiled:
            seconds = max(perf_counter() - began, 1e-9)
            affordable = int(steps.SECONDS_PER_CALL * len(updates) / seconds)
            self.per_call = max(1, min(affordable, 4 * self.per_call, MOST_STEPS))
        self._is_compiled = True
        return updates


class UploadedBatches(Steps):
    """Trains a compiled model on batches that the host prepares, several per upload."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__(model)
        self._is_compiled = True
        self._program = _Program(model, _pick_batch)

    def _updates(self, images: Inputs, targets: Labels) -> Iterator[Update]:
        # Always the same shape, padded, whatever a call has: every other one would be compiled.
        self._shape = self._shape or images.shape[1:]
        # The smaller last batch of an epoch is alone.
        full = images.shape[1:] == self._shape
        room = math.prod(self._shape) * images.itemsize
        slots = max(1, len(images), min(steps.MOST_STEPS, steps.MOST_BYTES // room)) if full else 1
        data = _padded(images, slots), _padded(targets, slots)
        yield from self._program.run(data, 0, len(images))


class _Program:
    """Some updates of a model as one compiled loop."""

    def __init__(self, model: keras.Model, pick: Pick) -> None:
        import jax

        self._model, self._pick = model, pick
        # The old state is given up, as in Keras' own step: one copy of it is enough.
        self._run = jax.jit(self._loop, donate_argnums=0)

    def run(self, data: Arrays, start: int, stop: int) -> list[Update]:
        """Make the updates `start` to before `stop` of `data`; return what Keras reports."""
        groups = self._variables()
        state = [[variable.value for variable in group] for group in groups]
        state, losses, accuracies = self._run(state, data, np.int32(start), np.int32(stop))
        for group, values in zip(groups, state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        examples = int(data[-1].shape[1])
        reported = np.asarray(losses)[start:stop], np.asarray(accuracies)[start:stop]
        return [Update(examples, float(a), float(b)) for a, b in zip(*reported, strict=True)]

    def _variables(self) -> list[list[keras.Variable]]:
        model = self._model
        return [
            list(model.trainable_variables),
            # Those of batch normalization, and the states of random generators.
            list(model.non_trainable_variables),
            list(model.optimizer.variables),
        ]

    def _loop(self, state: State, data: Arrays, start: jax.Array, stop: jax.Array) -> Carry:
        import jax

        # As in train_on_batch, the logs cover one batch.
        fresh = [jax.numpy.zeros_like(each.value) for each in self._model.metrics_variables]

        def update(index: jax.Array, carry: Carry) -> Carry:
            state, losses, accuracies = carry
            batch = (*self._pick(data, index), None)
            logs, (*state, _) = self._model.train_step((*state, fresh), batch)
            losses = losses.at[index].set(logs["loss"])
            return state, losses, accuracies.at[index].set(logs["accuracy"])

        # A row for each step of the epoch: the shape must not depend on the piece.
        blank = jax.numpy.zeros(data[-1].shape[0], "float32")
        return jax.lax.fori_loop(start, stop, update, (state, blank, blank))


def _pick_examples(data: Arrays, index: jax.Array) -> tuple[jax.Array, jax.Array]:
    images, labels, order = data
    chosen = order[index]
    # The same product as `to_inputs` has on the host.
    return images[chosen].astype("float32") * np.float32(1 / 255), labels[chosen]


def _pick_batch(data: Arrays, index: jax.Array) -> tuple[jax.Array, jax.Array]:
    images, targets = data
    return images[index], targets[index]


def _padded(stack: Inputs | Labels, slots: int) -> Inputs | Labels:
    if len(stack) == slots:
        return stack
    padded = np.zeros((slots, *stack.shape[1:]), stack.dtype)
    padded[: len(stack)] = stack
    return padded
