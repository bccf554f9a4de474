"""Dropout, in dense layers and behind convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from regbench.regularizers.hooks import Toggle

if TYPE_CHECKING:
    import keras

Rate = Annotated[float, Field(ge=0, lt=1)]


class RatesByPlace(Toggle):
    """A technique with a rate for the inputs of dense layers and one for the outputs of blocks."""

    shorthand = "dense"
    dense: Rate = 0.0
    conv: Rate = 0.0

    def is_idle(self) -> bool:
        return self.dense == self.conv == 0

    def after_block(self, name: str) -> list[keras.Layer]:
        return [self._layer(self.conv, name)] if self.conv else []

    def before_dense(self, name: str) -> list[keras.Layer]:
        return [self._layer(self.dense, name)] if self.dense else []

    def _layer(self, rate: float, name: str) -> keras.Layer:
        raise NotImplementedError


class Dropout(RatesByPlace):
    """Switches each unit off with probability p in training; all units are on at inference.

    `dense`, for which a bare number is short, drops inputs of every dense layer, the output layer
    included; `conv` drops outputs of every block; `input` drops pixels, and then takes the place of
    `dense` before a dense layer that reads the image itself. Kept units are scaled by 1 / (1 - p)
    in training, so inference needs no scaling.
    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting", 2014.
    """

    input: Rate | None = None

    def is_idle(self) -> bool:
        return super().is_idle() and not self.input

    def on_input(self, name: str) -> list[keras.Layer]:
        return [self._layer(self.input, name)] if self.input else []

    def before_dense_on_input(self, name: str) -> list[keras.Layer]:
        return self.before_dense(name) if self.input is None else []

    def _layer(self, rate: float, name: str) -> keras.Layer:
        import keras

        return keras.layers.Dropout(rate, name=f"{name}_dropout")
