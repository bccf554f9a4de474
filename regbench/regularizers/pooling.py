"""Pooling, and the strided convolutions that can take its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from regbench.regularizers.hooks import Toggle

if TYPE_CHECKING:
    import keras


class Pooling(Toggle):
    """Shrinks the maps at the end of each block: each map on its own, no trainable parameters.

    `stride` is `size` unless given, so that windows do not overlap. `none` shrinks by the same
    stride in the block's last convolution instead, so that the head keeps its size. Two kinds are
    random in training: `stochastic` picks a value of each window with a probability proportional
    to it (negative ones count as 0), and takes the mean by these probabilities at inference;
    `mixed` takes the maximum or the average, by a fair draw for each map, and the mean of both at
    inference, where its authors take for each map what it drew more often.
    Source: Springenberg et al., "Striving for Simplicity: The All Convolutional Net", 2015 (none);
    Zeiler and Fergus, "Stochastic Pooling for Regularization of Deep Convolutional Neural
    Networks", 2013; Yu et al., "Mixed Pooling for Convolutional Neural Networks", 2014.
    """

    optional: ClassVar[bool] = False
    shrinks: ClassVar[bool] = True
    shorthand = "kind"
    kind: Literal["max", "average", "stochastic", "mixed", "none"] = "max"
    size: Annotated[int, Field(ge=1, le=64)] = 2
    stride: Annotated[int, Field(ge=1, le=64)] | None = None
    padding: Literal["valid", "same"] = "valid"

    def block_stride(self) -> int:
        return (self.stride or self.size) if self.kind == "none" else 1

    def after_block(self, name: str) -> list[keras.Layer]:
        if self.kind == "none":
            return []
        layer = _layer(self.kind)(
            pool_size=self.size, strides=self.stride, padding=self.padding, name=f"{name}_pooling"
        )
        return [layer]


def _layer(kind: str) -> keras.Layer:
    """Return the class of Keras layers."""
    import keras

    from regbench.regularizers import keras_layers

    return {
        "max": keras.layers.MaxPooling2D,
        "average": keras.layers.AveragePooling2D,
        "stochastic": keras_layers.StochasticPooling2D,
        "mixed": keras_layers.MixedPooling2D,
    }[kind]
