"""The residual network for CIFAR, ResNet-20 and its deeper relatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from regbench.builders.builder import Activation, Builder, Size
from regbench.builders.kit import Kit, chain
from regbench.builders.residual import Block, blocks, six_n_plus

if TYPE_CHECKING:
    import keras

INITIALIZER = "he_normal"


class ResNet20(Builder):
    """ResNet for CIFAR: a convolution, three stages of (depth - 2) / 6 residual blocks, a mean.

    `width` maps in the first stage, twice and four times as many in the others. Shortcuts have no
    parameters (the paper's option A): where the maps shrink they take every second place, and zeros
    fill the added maps. Normalization is left to the toggles: the paper's network has
    `batch_norm: true`.
    Source: He et al., "Deep Residual Learning for Image Recognition", 2016, section 4.2.
    """

    smoke: ClassVar[dict[str, object]] = {"depth": 8, "width": 8}
    name: Literal["resnet20"] = "resnet20"
    depth: Annotated[int, Field(ge=8, le=1202), AfterValidator(six_n_plus(2))] = 20
    width: Size = 16
    activation: Activation = "relu"

    def build(self, kit: Kit, input_shape: tuple[int, ...], classes: int) -> keras.Model:
        import keras

        inputs = keras.Input(input_shape, name="input")
        stem = kit.conv("conv1", self.width, kernel_initializer=INITIALIZER)
        maps = chain(inputs, kit.on_input(), stem)
        for block in blocks((self.depth - 2) // 6):
            maps = _residual(kit, maps, block, block.factor * self.width)
        mean = keras.layers.GlobalAveragePooling2D(name="global_average_pooling")
        return keras.Model(inputs, chain(maps, [mean], kit.output("output", classes)))


def _residual(kit: Kit, inputs: keras.KerasTensor, block: Block, filters: int) -> keras.KerasTensor:
    """Return the output of a residual block: its activation comes after the addition."""
    import keras

    name, strides = block.name, block.strides
    second = keras.layers.Conv2D(
        filters, 3, padding="same", kernel_initializer=INITIALIZER, name=f"{name}_conv2"
    )
    branch = chain(
        inputs,
        kit.conv(f"{name}_conv1", filters, strides=strides, kernel_initializer=INITIALIZER),
        [second],
        kit.before_activation(f"{name}_conv2"),
        kit.after_block(name),
        kit.around_block(name, block.depth),
    )
    total = keras.layers.Add(name=f"{name}_add")([_shortcut(inputs, filters, strides), branch])
    activation = keras.layers.Activation(kit.activation, name=f"{name}_activation")
    return chain(total, [activation], kit.after_activation(name))


def _shortcut(maps: keras.KerasTensor, filters: int, strides: int) -> keras.KerasTensor:
    """Return the maps (n, height, width, channels) in the shape of the branch, without weights."""
    import keras

    if strides > 1:
        maps = maps[:, ::strides, ::strides, :]
    added = filters - maps.shape[-1]
    if added:
        before = added // 2
        maps = keras.ops.pad(maps, [(0, 0), (0, 0), (0, 0), (before, added - before)])
    return maps
