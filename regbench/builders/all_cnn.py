"""The all-convolutional network All-CNN-C."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from regbench.builders.builder import Activation, Builder, Size
from regbench.builders.kit import Kit

if TYPE_CHECKING:
    import keras


class AllCNN(Builder):
    """All-CNN-C: convolutions alone; strides shrink the maps, and a mean over places is the head.

    `width` maps in the first block, twice as many in the other two. `convolutions` are those of
    each of the first two blocks, whose last one has stride 2; with `pooled`, `pooling` shrinks the
    maps instead. So the paper's other networks are `convolutions: 2` (Strided-CNN-C), `pooled:
    true` (ConvPool-CNN-C) and both (model C), with `pooling: {size: 3, stride: 2}`. The last 3x3
    convolution has no padding, as in the paper: maps of 6x6 are left of 32x32 images. The paper's
    dropout (of the input and after either stride) is left to the toggles.
    Source: Springenberg et al., "Striving for Simplicity: The All Convolutional Net", 2015,
    tables 1 and 2.
    """

    smoke: ClassVar[dict[str, object]] = {"width": 8}
    name: Literal["all_cnn"] = "all_cnn"
    width: Size = 96
    convolutions: Literal[2, 3] = 3
    pooled: bool = False
    activation: Activation = "relu"

    def build(self, kit: Kit, input_shape: tuple[int, ...], classes: int) -> keras.Model:
        import keras

        layers = kit.on_input()
        for block, channels in (("block1", self.width), ("block2", 2 * self.width)):
            for index in range(1, self.convolutions):
                layers += kit.conv(f"{block}_conv{index}", channels)
            stride = kit.block_stride() if self.pooled else 2
            layers += kit.conv(f"{block}_conv{self.convolutions}", channels, strides=stride)
            layers += kit.after_block(block, pooling=self.pooled)
        layers += kit.conv("block3_conv1", 2 * self.width, padding="valid")
        layers += kit.conv("block3_conv2", 2 * self.width, kernel_size=1)
        # The output layer is a convolution: a dense layer at every place, before their mean. It is
        # float32 for the same reason as the kit's.
        layers += kit.before_dense("output")
        layers += [
            keras.layers.Conv2D(classes, 1, name="output", dtype="float32"),
            keras.layers.GlobalAveragePooling2D(name="global_average_pooling", dtype="float32"),
            keras.layers.Activation("softmax", name="softmax", dtype="float32"),
        ]
        return keras.Sequential([keras.Input(input_shape), *layers])
