"""Parts to build networks from, each including the layers that techniques add to it.

A part is a list of Keras layers, for a `keras.Sequential` or, with `chain`, a functional model:

    x = chain(inputs, kit.conv("conv1", 32), kit.conv("conv2", 32), kit.after_block("block1"))
    outputs = chain(x, [keras.layers.Flatten()], kit.output("output", classes))

A hook gets the name of the layer or block that it concerns. Name each of them:
initial weights depend on the seed and the layer's name, so that variants share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from regbench.errors import RegbenchError
from regbench.regularizers import Regularizer

if TYPE_CHECKING:
    import keras

# The hooks that add layers, and the part of a network that each of them needs.
PLACES = {
    "on_input": "place for layers at its input",
    "before_activation": "hidden layer that is prepared for layers before its activation",
    "after_activation": "hidden layer that is prepared for layers after its activation",
    "after_block": "block of convolutions",
    "around_block": "residual block",
    "before_dense": "dense layer that is prepared for layers before it",
}
POOLING = "pooling"


class Kit:
    """Makes the parts of one network, with the layers of every technique that is switched on."""

    def __init__(
        self, regularizers: Mapping[str, Regularizer] | None = None, activation: str = "relu"
    ) -> None:
        """Store the techniques by toggle name, in the order in which they stack."""
        self.regularizers = dict(regularizers or {})
        self.activation = activation
        self.standardized = False
        self._asked: set[str] = set()

    def on_input(self, name: str = "input") -> list[keras.Layer]:
        """Return the layers between the input and the first layer with weights.

        That of `data.per_image_standardization` comes first, then those of techniques.
        """
        techniques = self._ask("on_input", name)
        if not self.standardized:
            return techniques
        from regbench.regularizers.keras_layers import PerImageStandardization

        # Half precision has too few digits for the mean of thousands of pixels.
        own = PerImageStandardization(name=f"{name}_standardization", dtype="float32")
        return [own, *techniques]

    def conv(
        self, name: str, filters: int, kernel_size: int = 3, **options: object
    ) -> list[keras.Layer]:
        """Return a convolution with its activation. `options` are those of `keras.layers.Conv2D`.

        The maps keep their size, unless `strides` or `padding` say otherwise.
        """
        import keras

        options = {"padding": "same"} | options
        return self._activated(
            keras.layers.Conv2D, name, filters=filters, kernel_size=kernel_size, **options
        )

    def block(
        self, name: str, channels: int, convolutions: int = 2, kernel_size: int = 3
    ) -> list[keras.Layer]:
        """Return convolutions, `{name}_conv1` and so on, and the pooling that shrinks the maps."""
        stride = self.block_stride()
        layers = []
        for index in range(1, convolutions + 1):
            strides = stride if index == convolutions else 1
            layers += self.conv(f"{name}_conv{index}", channels, kernel_size, strides=strides)
        return [*layers, *self.after_block(name, pooling=True)]

    def dense(self, name: str, units: int, reads_input: bool = False) -> list[keras.Layer]:
        """Return a hidden dense layer with its activation.

        `reads_input` says that it reads the image itself, as the first layer of a perceptron does.
        """
        import keras

        before = self.before_dense(name, reads_input)
        return [*before, *self._activated(keras.layers.Dense, name, units=units)]

    def output(self, name: str, classes: int) -> list[keras.Layer]:
        """Return the dense layer that gives class probabilities."""
        import keras

        # Whatever the other layers compute in: float16 rounds a probability of 0.9999 to 1.
        layer = keras.layers.Dense(classes, activation="softmax", name=name, dtype="float32")
        return [*self.before_dense(name), layer]

    def activate(self, name: str) -> list[keras.Layer]:
        """Return an activation with the layers around it, as in pre-activated blocks."""
        return [
            *self.before_activation(name),
            self._activation(name),
            *self.after_activation(name),
        ]

    def before_activation(self, name: str) -> list[keras.Layer]:
        """Return techniques' layers between a layer's weights and its activation."""
        return self._ask("before_activation", name)

    def after_activation(self, name: str) -> list[keras.Layer]:
        """Return techniques' layers after a hidden layer's activation."""
        return self._ask("after_activation", name)

    def after_block(self, name: str, pooling: bool = False) -> list[keras.Layer]:
        """Return techniques' layers after the last convolution of a block.

        Args:
            name: the block's.
            pooling: whether the maps shrink here according to `pooling`; then give the last
                convolution the stride `block_stride()`.
        """
        if pooling:
            self._asked.add(POOLING)
        return self._ask("after_block", name, shrink=pooling)

    def around_block(self, name: str, depth: float) -> list[keras.Layer]:
        """Return techniques' layers at the end of a residual branch, before the addition.

        `depth` is the block's place in the network, from above 0 to 1 for the last block.
        """
        return self._ask("around_block", name, depth)

    def before_dense(self, name: str, reads_input: bool = False) -> list[keras.Layer]:
        """Return techniques' layers before a dense layer, including the output layer."""
        self._asked.add("before_dense")
        return self._ask("before_dense_on_input" if reads_input else "before_dense", name)

    def block_stride(self) -> int:
        """Return the stride of a block's last convolution: 1 if pooling layers follow."""
        return max([each.block_stride() for each in self.regularizers.values()], default=1)

    def check_asked(self, model: str) -> None:
        """Raise RegbenchError for a technique whose layers found no place in the network.

        Call this once the network is built: otherwise it would be the baseline under another name.
        """
        if self.standardized and "on_input" not in self._asked:
            raise RegbenchError(
                f"data.per_image_standardization: the model {model} has no {PLACES['on_input']}; "
                f"leave it out, or choose another model.name"
            )
        for name, regularizer in self.regularizers.items():
            missing = self._missing(regularizer)
            if missing:
                raise RegbenchError(
                    f"{name}: the model {model} has no {missing}, where this adds layers; "
                    f"leave it out, or choose another model.name"
                )

    def _missing(self, regularizer: Regularizer) -> str:
        """Return the part that the network lacks for a technique; "" if nothing is missing."""
        if regularizer.shrinks:
            # At its defaults it is part of every baseline, and the network itself shrinks the maps.
            idle = POOLING in self._asked or regularizer == type(regularizer)()
            return "" if idle else "pooling between its blocks"
        for hook, place in PLACES.items():
            if hook not in self._asked and _layers(regularizer, hook, "unasked"):
                return place
        return ""

    def _ask(self, hook: str, name: str, *depth: float, shrink: bool = True) -> list[keras.Layer]:
        self._asked.add(hook)
        asked = [each for each in self.regularizers.values() if shrink or not each.shrinks]
        return [layer for each in asked for layer in getattr(each, hook)(name, *depth)]

    def _activated(self, layer: keras.Layer, name: str, **options: object) -> list[keras.Layer]:
        """Return a hidden layer; its activation is separate only if another layer precedes it."""
        between = self.before_activation(name)
        weights = layer(**options, activation=None if between else self.activation, name=name)
        separate = [*between, self._activation(name)] if between else []
        return [weights, *separate, *self.after_activation(name)]

    def _activation(self, name: str) -> keras.Layer:
        import keras

        return keras.layers.Activation(self.activation, name=f"{name}_activation")


def chain(inputs: keras.KerasTensor, *parts: Sequence[keras.Layer]) -> keras.KerasTensor:
    """Return the output of the layers of `parts`, one after the other, on a tensor."""
    for part in parts:
        for layer in part:
            inputs = layer(inputs)
    return inputs


def _layers(regularizer: Regularizer, hook: str, name: str) -> list[keras.Layer]:
    depth = (1.0,) if hook == "around_block" else ()
    layers: list[keras.Layer] = getattr(regularizer, hook)(name, *depth)
    return layers
