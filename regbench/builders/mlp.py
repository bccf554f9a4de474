"""A multilayer perceptron."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from regbench.builders.builder import Activation, Builder, Sizes
from regbench.builders.kit import Kit

if TYPE_CHECKING:
    import keras


class MLP(Builder):
    """A multilayer perceptron: the pixels as one vector, and dense layers.

    Source: Rumelhart, Hinton and Williams, "Learning Representations by Back-propagating Errors",
    1986; the sizes of Keras' example `mnist_mlp`.
    """

    smoke: ClassVar[dict[str, object]] = {"dense": (16, 16)}
    name: Literal["mlp"] = "mlp"
    dense: Sizes = (512, 512)
    activation: Activation = "relu"

    def build(self, kit: Kit, input_shape: tuple[int, ...], classes: int) -> keras.Model:
        import keras

        layers = [*kit.on_input(), keras.layers.Flatten(name="flatten")]
        for index, units in enumerate(self.dense, start=1):
            layers += kit.dense(f"dense{index}", units, reads_input=index == 1)
        return keras.Sequential([keras.Input(input_shape), *layers, *kit.output("output", classes)])
