"""The wide residual network, WRN-depth-width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from regbench.builders.builder import Activation, Builder
from regbench.builders.kit import Kit, chain
from regbench.builders.residual import Block, blocks, six_n_plus

if TYPE_CHECKING:
    import keras

INITIALIZER = "he_normal"
# The maps of the first convolution, and of each stage of a network of width 1.
CHANNELS = 16


class WideResNet(Builder):
    """WRN-depth-width: pre-activated residual blocks, `width` times as wide as those of a ResNet.

    Three stages of (depth - 4) / 6 blocks. The activation comes before each convolution; shortcuts
    are 1x1 convolutions where the shape changes. Dropout of blocks acts between the two
    convolutions of each, as in the paper. Normalization is left to the toggles: the paper's network
    has `batch_norm: true`.
    Source: Zagoruyko and Komodakis, "Wide Residual Networks", 2016.
    """

    smoke: ClassVar[dict[str, object]] = {"depth": 10, "width": 1}
    name: Literal["wide_resnet"] = "wide_resnet"
    depth: Annotated[int, Field(ge=10, le=1000), AfterValidator(six_n_plus(4))] = 16
    width: Annotated[int, Field(ge=1, le=1000)] = 4
    activation: Activation = "relu"

    def build(self, kit: Kit, input_shape: tuple[int, ...], classes: int) -> keras.Model:
        import keras

        inputs = keras.Input(input_shape, name="input")
        maps = chain(inputs, kit.on_input(), [_conv("conv1", CHANNELS)])
        for block in blocks((self.depth - 4) // 6):
            maps = _residual(kit, maps, block, block.factor * self.width * CHANNELS)
        mean = keras.layers.GlobalAveragePooling2D(name="global_average_pooling")
        outputs = chain(maps, kit.activate("head"), [mean], kit.output("output", classes))
        return keras.Model(inputs, outputs)


def _residual(kit: Kit, inputs: keras.KerasTensor, block: Block, filters: int) -> keras.KerasTensor:
    """Return the output of a block; where its shape changes, the shortcut is activated too."""
    import keras

    name, strides = block.name, block.strides
    activated = chain(inputs, kit.activate(f"{name}_conv1"))
    branch = chain(
        activated,
        [_conv(f"{name}_conv1", filters, strides=strides)],
        kit.activate(f"{name}_conv2"),
        kit.after_block(name),
        [_conv(f"{name}_conv2", filters)],
        kit.around_block(name, block.depth),
    )
    shortcut = inputs
    if strides > 1 or inputs.shape[-1] != filters:
        shortcut = _conv(f"{name}_shortcut", filters, 1, strides=strides)(activated)
    return keras.layers.Add(name=f"{name}_add")([shortcut, branch])


def _conv(name: str, filters: int, kernel_size: int = 3, strides: int = 1) -> keras.KerasTensor:
    import keras

    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        kernel_initializer=INITIALIZER,
        name=name,
    )
