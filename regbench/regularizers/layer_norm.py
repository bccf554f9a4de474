"""Layer normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from regbench.regularizers.hooks import Toggle

if TYPE_CHECKING:
    import keras


class LayerNorm(Toggle):
    """Layer normalization of every hidden layer: gamma * (x - mean) / sqrt(variance) + beta.

    Mean and variance are those of one example, over the units of a dense layer, and over the
    channels at each place of a map. So training and inference compute the same, regardless of the
    batch; gamma and beta, one for each unit or channel, are learned. It stands before the
    activation. For statistics over whole maps, see `group_norm` with one group.
    Source: Ba, Kiros and Hinton, "Layer Normalization", 2016; Liu et al., "A ConvNet for the
    2020s", 2022 (the channels at each place).
    """

    bare: ClassVar[bool] = True
    epsilon: Annotated[float, Field(gt=0, lt=1)] = 1e-3

    def before_activation(self, name: str) -> list[keras.Layer]:
        import keras

        return [keras.layers.LayerNormalization(epsilon=self.epsilon, name=f"{name}_layer_norm")]
