"""A harness for probes: runs the model layer by layer, in any mode, without changing it."""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench import seeding
from regbench.config import Experiment
from regbench.models import cost
from regbench.models.build import to_inputs
from regbench.models.evaluate import BATCH, Outputs, cross_entropy, predict
from regbench.models.layers import Call, leaves, names, passes, replaced_calls
from regbench.runs.probe_results import Quality

if TYPE_CHECKING:
    import keras

# Images uint8 (n, height, width, channels) and labels int64 (n,).
Examples = tuple[NDArray[np.uint8], NDArray[np.int64]]
# A network compiled: from a batch to outputs (n, ...).
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]

# Enough that an accuracy is known to 1.6 percentage points.
SAMPLE = 1000
# An update also computes the gradients for outputs and for weights, each as long as a pass.
UPDATE = 3
# Shared results up to this size are kept; larger ones are computed again.
MOST_BYTES = 2**28


@dataclass(frozen=True)
class Subject:
    """A trained model, with the training sample and the test set that its history is based on.

    `measured` holds the outputs of the last measurement of both; without it, they are recomputed.
    `images_seen` is the number of images in training, over all epochs; if known, a probe costs at
    most a share of the training.
    """

    model: keras.Model
    experiment: Experiment
    train: Examples
    test: Examples
    measured: Outputs | None = None
    images_seen: int | None = None

    def affordable(self, share: float, most: int) -> float:
        """Return how many images a probe may take through the whole network, at most `most`.

        They cost at most that share of training, where an image costs `UPDATE` times as much.
        """
        seen = math.inf if self.images_seen is None else self.images_seen
        return min(most, share * UPDATE * seen)

    @property
    def updates(self) -> float:
        """The number of training updates; infinite if unknown."""
        if self.images_seen is None:
            return math.inf
        return math.ceil(self.images_seen / self.experiment.train.batch_size)

    @functools.cached_property
    def outputs(self) -> Outputs:
        """Class probabilities of the training sample and the test set, in inference mode."""
        if self.measured:
            return self.measured
        return Outputs(predict(self.model, self.train[0]), predict(self.model, self.test[0]))

    def few(self, examples: Examples, purpose: str, count: int = SAMPLE) -> Examples:
        """Return at most `count` of the examples, in random order, which mixes the classes."""
        chosen = self.order(examples, purpose, count)
        return examples[0][chosen], examples[1][chosen]

    def order(self, examples: Examples, purpose: str, count: int = SAMPLE) -> NDArray[np.int64]:
        """Return the indices of `few`, which depend only on the seed and the purpose."""
        rng = seeding.generator(self.experiment.seed, "probes", purpose)
        return rng.permutation(len(examples[1]))[:count]

    def layers(self, kind: type) -> list[keras.Layer]:
        """Return the model's layers of one class, in order, including nested ones."""
        return [layer for layer in leaves(self.model) if isinstance(layer, kind)]


def forward(
    network: keras.Model, inputs: keras.KerasTensor, active: tuple[type, ...] = ()
) -> keras.KerasTensor:
    """Return the outputs (n, ...) of a model, or of layers one after the other.

    Layers of the classes in `active` behave as in training, the others as at inference.
    """
    if isinstance(network, list):
        for layer in network:
            inputs = layer(inputs, training=isinstance(layer, active))
        return inputs

    def in_mode(layer: keras.Layer, own: Call) -> Call:
        training = isinstance(layer, active)
        return lambda *given, **options: own(*given, **options | {"training": training})

    modal = [layer for layer in leaves(network) if _asks_for_mode(layer)]
    with replaced_calls(modal, in_mode):
        return network(inputs, training=False)


def compiled(network: keras.Model, active: tuple[type, ...] = ()) -> Run:
    """Return `forward` as a function of a batch, compiled if the backend can.

    Layer by layer, small batches take several times as long. The layers keep their current modes.
    """
    import keras

    class InMode(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.network = network  # an attribute, so that its variables are found

        def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
            return forward(network, inputs, active)

    model = InMode()
    if keras.backend.backend() == "tensorflow":
        model.jit_compile = False  # XLA would take longer to compile than the passes take
    run: Run = model.predict_on_batch
    return run


def whole(model: keras.Model) -> keras.Model:
    """Return the whole model for `forward`: its layers, if it is a plain stack."""
    return list(model.layers) if is_stack(model) else model


def is_stack(model: keras.Model) -> bool:
    """Return whether the model is a plain stack of its layers."""
    import keras

    return isinstance(model, keras.Sequential) and model.layers == leaves(model)


def varying(model: keras.Model) -> list[keras.Layer]:
    """Return the layers that may behave differently in training: those that take the mode."""
    import keras

    # Dense layers have it too, but use it only for quantized weights.
    dense = (keras.layers.Dense, keras.layers.EinsumDense)
    return [
        layer for layer in leaves(model) if _asks_for_mode(layer) and not isinstance(layer, dense)
    ]


def _asks_for_mode(layer: keras.Layer) -> bool:
    return "training" in inspect.signature(layer.call).parameters


def multiply_adds(model: keras.Model, layer: keras.Layer) -> tuple[int, int]:
    """Return the multiply-adds for one image before a layer's first call, and from there on."""
    calls, costs = passes(model), cost.layers(model)
    first = next((number for number, each in enumerate(calls) if each.layer is layer), 0)
    before = sum(each.multiply_adds for each in costs[:first])
    return before, sum(each.multiply_adds for each in costs[first:])


def shareable(
    model: keras.Model, images: NDArray[np.uint8], layer: keras.Layer
) -> tuple[keras.Model, Callable[[NDArray[np.int64]], NDArray[np.float32]]]:
    """Compute the shared part of several passes once: inference up to the input of a layer.

    Returns the rest of the network, for `forward`, and a function from indices to its inputs. The
    rest is the whole network if nothing can be shared, or if the shared results are too large.
    """
    before, after = _split(model, layer)
    size = 4 * len(images) * math.prod(_input_shape(layer)) if before else 0
    if not before or size > MOST_BYTES:
        return whole(model), lambda chosen: to_inputs(images[chosen])
    features = np.concatenate([numpy(forward(before, inputs)) for inputs in batches(images)])
    return after, lambda chosen: features[chosen]


def _split(model: keras.Model, layer: keras.Layer) -> tuple[keras.Model, keras.Model]:
    """Return a network up to a layer, and the rest; twice None if a branch leads around it."""
    import keras

    if is_stack(model):
        place = model.layers.index(layer)
        return model.layers[:place], model.layers[place:]
    try:
        cut = layer.input
        if any(cut is each for each in model.inputs):
            return None, None
        return keras.Model(model.input, cut), keras.Model(cut, model.output)
    except (ValueError, AttributeError, RuntimeError):  # inside another model, or around the layer
        return None, None


def _input_shape(layer: keras.Layer) -> tuple[int, ...]:
    return tuple(layer.input.shape[1:])


def batches(images: NDArray[np.uint8], size: int = BATCH) -> Iterator[NDArray[np.float32]]:
    """Yield the images in the network's format, `size` at a time."""
    for start in range(0, len(images), size):
        yield to_inputs(images[start : start + size])


def probabilities(
    model: keras.Model, images: NDArray[np.uint8], active: tuple[type, ...], size: int = BATCH
) -> NDArray[np.float32]:
    """Return class probabilities (n, classes), with some classes of layers as in training."""
    run = compiled(whole(model), active)
    return np.concatenate([run(inputs) for inputs in batches(images, size)])


def quality(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Quality:
    """Return accuracy and cross-entropy of class probabilities (n, classes)."""
    correct = probabilities.argmax(axis=1) == labels
    return Quality(accuracy=float(correct.mean()), loss=cross_entropy(probabilities, labels))


def numpy(tensor: keras.KerasTensor) -> NDArray[np.float32]:
    """Return a tensor of Keras' backend as an array."""
    import keras

    array: NDArray[np.float32] = keras.ops.convert_to_numpy(tensor)
    return array


@contextlib.contextmanager
def unchanged(model: keras.Model) -> Iterator[None]:
    """Restore weights, moving averages and the states of random generators at the end."""
    before = [numpy(variable).copy() for variable in model.variables]
    try:
        yield
    finally:
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)


def reseed(model: keras.Model, seed: int, purpose: str) -> None:
    """Give every dropout layer its own random stream, so that a probe can be repeated."""
    labels = names(model)
    for layer in leaves(model):
        if hasattr(layer, "seed_generator"):
            state = [seeding.derive(seed, "probes", purpose, labels[id(layer)]), 0]
            layer.seed_generator.state.assign(np.asarray(state, "uint32"))
