"""The baseline: a small convolutional network, and a head of dense layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from regbench.builders.builder import Activation, Builder, Sizes
from regbench.builders.kit import Kit

if TYPE_CHECKING:
    import keras

HEADS = {
    "flatten": "Flatten",
    "global_max_pooling": "GlobalMaxPooling2D",
    "global_average_pooling": "GlobalAveragePooling2D",
}


class CNN(Builder):
    """The network: `convolutions` in each of `blocks`, then the head and its dense layers."""

    remedy: ClassVar[str] = (
        "Use fewer model.blocks, a smaller pooling.size or pooling.padding: same."
    )
    name: Literal["cnn"] = "cnn"
    blocks: Sizes = (32, 64, 128)
    convolutions: Annotated[int, Field(ge=1, le=32)] = 2
    kernel_size: Annotated[int, Field(ge=1, le=64)] = 3
    activation: Activation = "relu"
    head: Literal["flatten", "global_max_pooling", "global_average_pooling"] = "flatten"
    dense: Sizes = (128,)

    def build(self, kit: Kit, input_shape: tuple[int, ...], classes: int) -> keras.Model:
        import keras

        layers = kit.on_input()
        for block, channels in enumerate(self.blocks, start=1):
            layers += kit.block(f"block{block}", channels, self.convolutions, self.kernel_size)
        layers.append(getattr(keras.layers, HEADS[self.head])(name=self.head))
        for index, units in enumerate(self.dense, start=1):
            layers += kit.dense(f"dense{index}", units)
        return keras.Sequential([keras.Input(input_shape), *layers, *kit.output("output", classes)])
