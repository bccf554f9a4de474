"""From an experiment to the compiled Keras model, its weights drawn from the seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regbench import plugins, seeding
from regbench.builders import BUILDERS, Function
from regbench.config import Experiment
from regbench.errors import RegbenchError
from regbench.models import optimizer
from regbench.regularizers import Regularizer

HEADS = {
    "flatten": "Flatten",
    "global_max_pooling": "GlobalMaxPooling2D",
    "global_average_pooling": "GlobalAveragePooling2D",
}


def to_inputs(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the pixels as the network's input: float32 in [0, 1], the same shape."""
    return np.multiply(images, np.float32(1 / 255), dtype=np.float32)


def build(experiment: Experiment, input_shape: tuple[int, ...], classes: int) -> Any:
    """Return the uncompiled `keras.Sequential` for images of (height, width, channels).

    Its initial weights depend only on the seed and on each layer's name and shape, so variants with
    the same seed start with equal weights in every layer that they share.
    Raises RegbenchError if the feature maps would shrink to nothing.
    """
    import keras

    if experiment.model.name in BUILDERS:
        model = _own(BUILDERS[experiment.model.name], input_shape, classes)
        _draw_weights(model, experiment.seed)
        return model
    try:
        model = keras.Sequential(
            [keras.Input(input_shape), *_layers(experiment, classes)], name=experiment.name
        )
    except ValueError as error:
        raise _too_small(input_shape, error) from error
    _draw_weights(model, experiment.seed)
    return model


def _own(function: Function, input_shape: tuple[int, ...], classes: int) -> Any:
    """Return the network of a plugin's function. Raises RegbenchError where it fails."""
    import keras

    try:
        model = function(input_shape, classes)
    except Exception as error:  # whatever a plugin raises
        raise RegbenchError(f"model: {plugins.blame(error)}") from error
    if not isinstance(model, keras.Model):
        raise RegbenchError(f"model: expected a keras.Model, received {type(model).__name__}")
    return model


def compile_model(model: Any, experiment: Experiment, steps_per_epoch: int) -> None:
    """Compile for cross-entropy with the experiment's optimizer and learning-rate schedule.

    Where a technique changes batches, targets are class probabilities: the loss is the
    cross-entropy against them, and the accuracy that Keras reports is the share of examples whose
    most probable class is the target's most probable one (of a tie, the first).
    """
    import keras

    made = optimizer.make(experiment, model, steps_per_epoch)
    if experiment.changing("batch"):
        accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
        model.compile(made, "categorical_crossentropy", metrics=[accuracy])
        _make_variables(model, np.zeros((1, model.output_shape[-1]), np.float32))
    else:
        model.compile(made, "sparse_categorical_crossentropy", metrics=["accuracy"])
        _make_variables(model, np.zeros(1, np.int64))


def _make_variables(model: Any, targets: NDArray[Any]) -> None:
    """Create the variables of the optimizer and the metrics now, not in the first step.

    TensorFlow traces a step that creates variables twice, and never frees the functions that
    initialize them: half of the first step's time, and a quarter of what a run leaves in memory.
    `targets` are those of one example, of the type and rank that training batches have.
    """
    model.optimizer.build(model.trainable_variables)
    classes = model.output_shape[-1]
    model.compute_metrics(None, targets, np.zeros((1, classes), np.float32))
    model.reset_metrics()


def _layers(experiment: Experiment, classes: int) -> Iterator[Any]:
    """Yield the layers from the first convolution to the softmax."""
    import keras

    stack = _Stack(experiment)
    for block, channels in enumerate(experiment.model.blocks, start=1):
        yield from stack.block(f"block{block}", channels)
    head = HEADS[experiment.model.head]
    yield getattr(keras.layers, head)(name=experiment.model.head)
    for index, units in enumerate(experiment.model.dense, start=1):
        yield from stack.dense(f"dense{index}", units)
    yield from stack.output("output", classes)


class _Stack:
    """Makes the parts of the network, asking every active regularizer at each of its hooks."""

    def __init__(self, experiment: Experiment) -> None:
        self.model = experiment.model
        self.regularizers: list[Regularizer] = list(experiment.regularizers.values())
        self.stride = max([each.block_stride() for each in self.regularizers], default=1)

    def block(self, name: str, channels: int) -> Iterator[Any]:
        import keras

        for index in range(1, self.model.convolutions + 1):
            last = index == self.model.convolutions
            layer_name = f"{name}_conv{index}"
            yield from self._activated(
                keras.layers.Conv2D,
                layer_name,
                filters=channels,
                kernel_size=self.model.kernel_size,
                strides=self.stride if last else 1,
                padding="same",
            )
        yield from self._ask("after_block", name)

    def dense(self, name: str, units: int) -> Iterator[Any]:
        import keras

        yield from self._ask("before_dense", name)
        yield from self._activated(keras.layers.Dense, name, units=units)

    def output(self, name: str, classes: int) -> Iterator[Any]:
        import keras

        yield from self._ask("before_dense", name)
        yield keras.layers.Dense(
            classes, activation="softmax", kernel_regularizer=self._penalty(), name=name
        )

    def _activated(self, layer: Any, name: str, **options: Any) -> Iterator[Any]:
        """Yield a hidden layer; its activation is separate only if another layer precedes it."""
        import keras

        between = self._ask("before_activation", name)
        yield layer(
            **options,
            activation=None if between else self.model.activation,
            kernel_regularizer=self._penalty(),
            name=name,
        )
        if between:
            yield from between
            yield keras.layers.Activation(self.model.activation, name=f"{name}_activation")
        yield from self._ask("after_activation", name)

    def _ask(self, hook: str, name: str) -> list[Any]:
        return [layer for each in self.regularizers for layer in getattr(each, hook)(name)]

    def _penalty(self) -> Any:
        penalties = [each.kernel_penalty() for each in self.regularizers]
        penalties = [penalty for penalty in penalties if penalty is not None]
        if len(penalties) <= 1:
            return penalties[0] if penalties else None
        from regbench.regularizers.keras_penalties import PenaltySum

        return PenaltySum(penalties)


def _draw_weights(model: Any, seed: int) -> None:
    # Seeds are not stored in the layers' configs, which then read like hand-written Keras.
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            initializer = type(layer.kernel_initializer)(
                seed=seeding.derive(seed, "weights", layer.name)
            )
            layer.kernel.assign(initializer(layer.kernel.shape, dtype=layer.kernel.dtype))
        if hasattr(layer, "seed_generator"):
            first = seeding.derive(seed, "dropout", layer.name)
            layer.seed_generator.state.assign(np.asarray([first, 0], "uint32"))
            # If a layer was created without a seed, Keras on torch draws from torch's global
            # generator, which is neither seeded nor in a checkpoint: two runs would differ.
            layer.seed_generator._initial_seed = first


def _too_small(input_shape: tuple[int, ...], error: ValueError) -> RegbenchError:
    size = "x".join(map(str, input_shape[:2]))
    reason = str(error).splitlines()[0]
    return RegbenchError(
        f"model: the network can't be built for images of {size} pixels: {reason} "
        "Use fewer model.blocks, a smaller pooling.size or pooling.padding: same."
    )
