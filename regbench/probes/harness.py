"""The model under examination: running it layer by layer, in any mode, without changing it."""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regbench import seeding
from regbench.config import Experiment
from regbench.models import cost
from regbench.models.build import to_inputs
from regbench.models.evaluate import BATCH, Outputs, cross_entropy, predict
from regbench.runs.probe_results import Quality

# Images uint8 (n, height, width, channels) and labels int64 (n,).
Examples = tuple[NDArray[np.uint8], NDArray[np.int64]]

# Enough that an accuracy is known to 1.6 percentage points.
SAMPLE = 1000
# What several passes share is kept where it is no larger; otherwise it is computed again.
MOST_BYTES = 2**28


@dataclass(frozen=True)
class Subject:
    """A trained model, with the training sample and the test set that its history is based on.

    `measured` holds the outputs of the last measurement of both; without it, they are recomputed.
    """

    model: Any
    experiment: Experiment
    train: Examples
    test: Examples
    measured: Outputs | None = None

    @functools.cached_property
    def outputs(self) -> Outputs:
        """Class probabilities of the training sample and the test set, in inference mode."""
        if self.measured:
            return self.measured
        return Outputs(predict(self.model, self.train[0]), predict(self.model, self.test[0]))

    def few(self, examples: Examples, purpose: str, count: int = SAMPLE) -> Examples:
        """Return at most `count` of the examples, in random order: a batch mixes the classes."""
        chosen = self.order(examples, purpose, count)
        return examples[0][chosen], examples[1][chosen]

    def order(self, examples: Examples, purpose: str, count: int = SAMPLE) -> NDArray[np.int64]:
        """Return the indices of `few`: they depend on the seed and the purpose alone."""
        rng = seeding.generator(self.experiment.seed, "probes", purpose)
        return rng.permutation(len(examples[1]))[:count]

    def layers(self, kind: type) -> list[Any]:
        """Return the model's layers of one class, in their order."""
        return [layer for layer in self.model.layers if isinstance(layer, kind)]


def forward(layers: Sequence[Any], inputs: Any, active: tuple[type, ...] = ()) -> Any:
    """Return the outputs (n, ...); layers of the classes in `active` behave as in training."""
    for layer in layers:
        inputs = layer(inputs, training=isinstance(layer, active))
    return inputs


def varying(model: Any) -> list[Any]:
    """Return the layers that may behave differently in training: those that ask for the mode."""
    import keras

    # Dense layers ask for it too, but use it only for quantized weights.
    dense = (keras.layers.Dense, keras.layers.EinsumDense)
    return [
        layer
        for layer in model.layers
        if "training" in inspect.signature(layer.call).parameters and not isinstance(layer, dense)
    ]


def multiply_adds(layers: Sequence[Any]) -> int:
    """Return the multiply-adds that these layers take for one image."""
    return sum(cost.of_layer(layer).multiply_adds for layer in layers)


def shareable(
    model: Any, images: NDArray[np.uint8], until: int
) -> tuple[int, Callable[[NDArray[np.int64]], Any]]:
    """Compute once what several passes share: inference up to the layer numbered `until`.

    Returns the number of the first layer that is left, and a function from indices to its inputs.
    The former is 0 where what would have to be kept is too large.
    """
    size = 4 * len(images) * math.prod(model.layers[until].input.shape[1:])
    if until == 0 or size > MOST_BYTES:
        return 0, lambda chosen: to_inputs(images[chosen])
    before = model.layers[:until]
    features = np.concatenate([numpy(forward(before, inputs)) for inputs in batches(images)])
    return until, lambda chosen: features[chosen]


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
