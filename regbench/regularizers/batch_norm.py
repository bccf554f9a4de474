"""Batch normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from regbench.regularizers.hooks import Toggle

if TYPE_CHECKING:
    import keras


class BatchNorm(Toggle):
    """Batch normalization of every hidden layer: gamma * (x - mean) / sqrt(variance) + beta.

    Mean and variance are the batch's while training and moving averages at inference; gamma and
    beta are learned.
    Source: Ioffe and Szegedy, "Batch Normalization", 2015 (before the activation, as there).
    """

    bare: ClassVar[bool] = True
    position: Literal["before_activation", "after_activation"] = "before_activation"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    epsilon: Annotated[float, Field(gt=0, lt=1)] = 1e-3

    def before_activation(self, name: str) -> list[keras.Layer]:
        return self._layers(name) if self.position == "before_activation" else []

    def after_activation(self, name: str) -> list[keras.Layer]:
        return self._layers(name) if self.position == "after_activation" else []

    def _layers(self, name: str) -> list[keras.Layer]:
        import keras

        from regbench.regularizers.fused_batch_norm import fuse

        layer = keras.layers.BatchNormalization(
            momentum=self.momentum, epsilon=self.epsilon, name=f"{name}_batch_norm"
        )
        fuse(layer)
        return [layer]
