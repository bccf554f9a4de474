"""Dropout, in dense layers and behind convolutions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from regbench.regularizers.hooks import Toggle

Rate = Annotated[float, Field(ge=0, lt=1)]


class Dropout(Toggle):
    """Switches each unit off with probability p in training; all units are on at inference.

    `dense`, for which a bare number is short, drops inputs of every dense layer, the output layer
    included; `conv` drops outputs of every block. Kept units are scaled by 1 / (1 - p) in training,
    so inference needs no scaling.
    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting", 2014.
    """

    shorthand = "dense"
    dense: Rate = 0.0
    conv: Rate = 0.0

    def is_idle(self) -> bool:
        return self.dense == self.conv == 0

    def after_block(self, name: str) -> list[Any]:
        return _dropout(self.conv, name)

    def before_dense(self, name: str) -> list[Any]:
        return _dropout(self.dense, name)


def _dropout(rate: float, name: str) -> list[Any]:
    import keras

    return [keras.layers.Dropout(rate, name=f"{name}_dropout")] if rate else []
