"""VGG-Small, six convolutions in the style of VGG."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from regbench.builders.builder import Activation, Builder, Size
from regbench.builders.kit import Kit

if TYPE_CHECKING:
    import keras


class VGGSmall(Builder):
    """VGG-Small: three blocks of two 3x3 convolutions, each block twice as wide, and one output.

    `width` maps in the first block.
    Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", 2015; in this size Cai et al., "Deep Learning with Low Precision by Half-wave
    Gaussian Quantization", 2017.
    """

    smoke: ClassVar[dict[str, object]] = {"width": 8}
    remedy: ClassVar[str] = "Use larger images, a smaller pooling.size or pooling.padding: same."
    name: Literal["vgg_small"] = "vgg_small"
    width: Size = 128
    activation: Activation = "relu"

    def build(self, kit: Kit, input_shape: tuple[int, ...], classes: int) -> keras.Model:
        import keras

        layers = kit.on_input()
        for block, factor in enumerate((1, 2, 4), start=1):
            layers += kit.block(f"block{block}", factor * self.width)
        layers.append(keras.layers.Flatten(name="flatten"))
        return keras.Sequential([keras.Input(input_shape), *layers, *kit.output("output", classes)])
