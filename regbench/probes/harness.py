"""The model under examination: running it layer by layer, in any mode, without changing it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regbench import seeding
from regbench.config import Experiment
from regbench.models.build import to_inputs
from regbench.models.evaluate import BATCH, cross_entropy
from regbench.runs.probe_results import Quality

# Images uint8 (n, height, width, channels) and labels int64 (n,).
Examples = tuple[NDArray[np.uint8], NDArray[np.int64]]

# Enough that an accuracy is known to 1.6 percentage points, few enough for 64 passes in seconds.
SAMPLE = 1000


@dataclass(frozen=True)
class Subject:
    """A trained model, with the training sample and the test set that its history tells of."""

    model: Any
    experiment: Experiment
    train: Examples
    test: Examples

    def few(self, examples: Examples, purpose: str) -> Examples:
        """Return at most `SAMPLE` of the examples, in random order: a batch mixes the classes."""
        return shuffled(examples, self.experiment.seed, purpose, SAMPLE)

    def layers(self, kind: type) -> list[Any]:
        """Return the model's layers of one class, in their order."""
        return [layer for layer in self.model.layers if isinstance(layer, kind)]


def shuffled(examples: Examples, seed: int, purpose: str, count: int | None = None) -> Examples:
    """Return `count` of the examples, or all, in an order that depends on seed and purpose."""
    images, labels = examples
    order = seeding.generator(seed, "probes", purpose).permutation(len(labels))[:count]
    return images[order], labels[order]


def forward(layers: Sequence[Any], inputs: Any, active: tuple[type, ...] = ()) -> Any:
    """Return the outputs (n, ...); layers of the classes in `active` behave as in training."""
    for layer in layers:
        inputs = layer(inputs, training=isinstance(layer, active))
    return inputs


def batches(images: NDArray[np.uint8], size: int = BATCH) -> Iterator[Any]:
    """Yield the images as the network takes them, `size` at a time."""
    for start in range(0, len(images), size):
        yield to_inputs(images[start : start + size])


def probabilities(
    model: Any, images: NDArray[np.uint8], active: tuple[type, ...], size: int = BATCH
) -> NDArray[np.float32]:
    """Return class probabilities (n, classes), with some classes of layers as in training."""
    return np.concatenate([numpy(forward(model.layers, x, active)) for x in batches(images, size)])


def quality(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Quality:
    """Return accuracy and cross-entropy of class probabilities (n, classes)."""
    correct = probabilities.argmax(axis=1) == labels
    return Quality(accuracy=float(correct.mean()), loss=cross_entropy(probabilities, labels))


def numpy(tensor: Any) -> NDArray[np.float32]:
    """Return a tensor of Keras' backend as an array."""
    import keras

    array: NDArray[np.float32] = keras.ops.convert_to_numpy(tensor)
    return array


@contextlib.contextmanager
def unchanged(model: Any) -> Iterator[None]:
    """Put weights, moving averages and the states of random generators back at the end."""
    before = [numpy(variable).copy() for variable in model.variables]
    try:
        yield
    finally:
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)


def reseed(model: Any, seed: int, purpose: str) -> None:
    """Give every dropout layer a random stream of its own, so that a probe can be repeated."""
    for layer in model.layers:
        if hasattr(layer, "seed_generator"):
            state = [seeding.derive(seed, "probes", purpose, layer.name), 0]
            layer.seed_generator.state.assign(np.asarray(state, "uint32"))
