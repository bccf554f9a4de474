"""Group normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from regbench.errors import RegbenchError
from regbench.regularizers.hooks import Toggle

if TYPE_CHECKING:
    import keras


class GroupNorm(Toggle):
    """Group normalization of every hidden layer: gamma * (x - mean) / sqrt(variance) + beta.

    Mean and variance are those of one example, over all places of a group of neighboring channels
    (or over a group of a dense layer's units). So training and inference compute the same,
    regardless of the batch; gamma and beta, one for each unit or channel, are learned. It stands
    before the activation. One group is layer normalization over whole maps, as many groups as
    channels are instance normalization. `groups` must divide the channels of every hidden layer;
    the paper's 32 is for layers of 64 to 2,048.
    Source: Wu and He, "Group Normalization", 2018.
    """

    bare: ClassVar[bool] = True
    shorthand = "groups"
    groups: Annotated[int, Field(ge=1, le=10**6)] = 4
    epsilon: Annotated[float, Field(gt=0, lt=1)] = 1e-3

    def before_activation(self, name: str) -> list[keras.Layer]:
        import keras

        layer = keras.layers.GroupNormalization(
            groups=self.groups, epsilon=self.epsilon, name=f"{name}_group_norm"
        )
        _check_when_built(layer, name)
        return [layer]


def _check_when_built(layer: keras.Layer, name: str) -> None:
    """Refuse groups that don't fit as soon as the channels are known; the layer stays Keras' own.

    Keras' own message swaps the two numbers, and it accepts groups of one unit, although one number
    less its mean is always 0.
    """
    build = layer.build

    def checked(input_shape: tuple[int | None, ...]) -> None:
        dense, channels, groups = len(input_shape) == 2, input_shape[-1] or 0, layer.groups
        if channels % groups or (dense and groups == channels > 0):
            what = f"{channels} {'units' if dense else 'channels'} of {name}"
            smaller = " and leaves two or more in each group" if dense else ""
            raise RegbenchError(
                f"group_norm.groups: expected a number that divides the {what}{smaller}, "
                f"received {groups}; choose other groups, or other sizes in model"
            )
        build(input_shape)

    layer.build = checked
