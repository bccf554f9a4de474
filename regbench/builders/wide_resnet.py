"""The wide residual network, WRN-depth-width."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from regbench.builders.builder import Activation, Builder
from regbench.builders.kit import Kit, chain

INITIALIZER = "he_normal"
# The maps of the first convolution, and of each stage of a network of width 1.
CHANNELS = 16


def _six_n_plus_four(depth: int) -> int:
    if depth % 6 != 4:
        lower = max(10, depth - (depth - 4) % 6)
        raise ValueError(f"expected 6n + 4, such as {lower} or {lower + 6}, received {depth}")
    return depth


class WideResNet(Builder):
    """WRN-depth-width: pre-activated residual blocks, `width` times as wide as those of a ResNet.

    Three stages of (depth - 4) / 6 blocks. The activation comes before each convolution; shortcuts
    are 1x1 convolutions where the shape changes. Dropout of blocks acts between the two
    convolutions of each, as in the paper. Normalization is left to the toggles: the paper's network
    has `batch_norm: true`.
    Source: Zagoruyko and Komodakis, "Wide Residual Networks", 2016.
    """

    smoke: ClassVar[dict[str, Any]] = {"depth": 10, "width": 1}
    name: Literal["wide_resnet"] = "wide_resnet"
    depth: Annotated[int, Field(ge=10, le=1000), AfterValidator(_six_n_plus_four)] = 16
    width: Annotated[int, Field(ge=1, le=1000)] = 4
    activation: Activation = "relu"

    def build(self, kit: Kit, input_shape: tuple[int, ...], classes: int) -> Any:
        import keras

        blocks = (self.depth - 4) // 6
        inputs = keras.Input(input_shape, name="input")
        maps = chain(inputs, kit.on_input(), [_conv("conv1", CHANNELS)])
        for stage, factor in enumerate((1, 2, 4), start=1):
            for number in range(1, blocks + 1):
                depth = ((stage - 1) * blocks + number) / (3 * blocks)
                strides = 2 if stage > 1 and number == 1 else 1
                filters = factor * self.width * CHANNELS
                maps = _residual(kit, maps, f"block{stage}_{number}", filters, strides, depth)
        mean = keras.layers.GlobalAveragePooling2D(name="global_average_pooling")
        outputs = chain(maps, kit.activate("head"), [mean], kit.output("output", classes))
        return keras.Model(inputs, outputs)


def _residual(kit: Kit, inputs: Any, name: str, filters: int, strides: int, depth: float) -> Any:
    """Return the output of a block; where its shape changes, the shortcut is activated too."""
    import keras

    activated = chain(inputs, kit.activate(f"{name}_conv1"))
    branch = chain(
        activated,
        [_conv(f"{name}_conv1", filters, strides=strides)],
        kit.activate(f"{name}_conv2"),
        kit.after_block(name),
        [_conv(f"{name}_conv2", filters)],
        kit.around_block(name, depth),
    )
    shortcut = inputs
    if strides > 1 or inputs.shape[-1] != filters:
        shortcut = _conv(f"{name}_shortcut", filters, 1, strides=strides)(activated)
    return keras.layers.Add(name=f"{name}_add")([shortcut, branch])


def _conv(name: str, filters: int, kernel_size: int = 3, strides: int = 1) -> Any:
    import keras

    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        kernel_initializer=INITIALIZER,
        name=name,
    )
