"""The techniques that a config can switch on: one class each, and one line in `REGULARIZERS`.

A class holds everything there is to know about its technique: the keys of its toggle and their
limits (pydantic), what they mean and where they come from (docstring), and what it does to the
network (the hooks of `Regularizer`, called by `regbench.model` while it stacks the layers).
To add a technique, write a class and add its line.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, RootModel, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

Strength = Annotated[float, Field(ge=0, lt=1e6, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, lt=1)]


class Regularizer:
    """The hooks through which a technique changes the network; each does nothing by default.

    The network is a stack of blocks (convolutions, the maps shrinking at the end of each), then a
    head of dense layers. `name` is the layer's name in the baseline, so that what a hook adds can
    be named after it. Hooks return lists of Keras layers.
    """

    # Whether null switches the technique off; otherwise its defaults are part of the baseline.
    optional: ClassVar[bool] = True
    # Whether `true` switches it on with its defaults.
    bare: ClassVar[bool] = False

    def is_idle(self) -> bool:
        """Return whether these values change nothing, which is the same as switched off."""
        return False

    def kernel_penalty(self) -> Any:
        """Return the Keras regularizer for every kernel (biases are never penalized), or None."""
        return None

    def block_stride(self) -> int:
        """Return the stride of the last convolution of each block."""
        return 1

    def before_activation(self, name: str) -> list[Any]:
        """Layers between a hidden layer's weights and its activation."""
        return []

    def after_activation(self, name: str) -> list[Any]:
        """Layers behind a hidden layer's activation."""
        return []

    def after_block(self, name: str) -> list[Any]:
        """Layers behind the last convolution of a block."""
        return []

    def before_dense(self, name: str) -> list[Any]:
        """Layers in front of a dense layer, the output layer included."""
        return []


class Toggle(Regularizer, BaseModel):
    """A technique with several keys. `shorthand` names the key that a bare scalar sets."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    shorthand: ClassVar[str | None] = None

    @model_validator(mode="before")
    @classmethod
    def _expand_shorthand(cls, value: Any) -> Any:
        if value is True and cls.bare:
            return {}
        if cls.shorthand and isinstance(value, str):
            return {cls.shorthand: value}
        return value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        full = handler.resolve_ref_schema(handler(core_schema))
        forms = [{key: value for key, value in full.items() if key != "description"}]
        if cls.bare:
            forms.append({"const": True})
        if cls.shorthand:
            forms.append(full["properties"][cls.shorthand])
        return {"description": full.get("description", ""), "anyOf": forms}


class L1(Regularizer, RootModel[Strength]):
    """L1 penalty, the lasso: strength * sum(|w|) over every kernel; drives weights to zero.

    Source: Tibshirani, "Regression Shrinkage and Selection via the Lasso", 1996.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    def kernel_penalty(self) -> Any:
        import keras

        return keras.regularizers.L1(self.root)

    def is_idle(self) -> bool:
        return self.root == 0


class L2(Regularizer, RootModel[Strength]):
    """L2 penalty, ridge: strength * sum(w^2) over every kernel; shrinks large weights most.

    Source: Hoerl and Kennard, "Ridge Regression", 1970.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    def kernel_penalty(self) -> Any:
        import keras

        return keras.regularizers.L2(self.root)

    def is_idle(self) -> bool:
        return self.root == 0


class Lp(Toggle):
    """Penalty from any p-norm: strength * sum(|w|^p) over every kernel; p = 1 is L1, p = 2 is L2.

    Source: Frank and Friedman, "A Statistical View of Some Chemometrics Regression Tools", 1993.
    """

    p: Annotated[float, Field(ge=1, le=16)]
    strength: Strength

    def kernel_penalty(self) -> Any:
        from regbench.penalties import LpNorm

        return LpNorm(p=self.p, strength=self.strength)

    def is_idle(self) -> bool:
        return self.strength == 0


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

    def before_activation(self, name: str) -> list[Any]:
        return self._layers(name) if self.position == "before_activation" else []

    def after_activation(self, name: str) -> list[Any]:
        return self._layers(name) if self.position == "after_activation" else []

    def _layers(self, name: str) -> list[Any]:
        import keras

        from regbench.fused_batch_norm import fuse

        layer = keras.layers.BatchNormalization(
            momentum=self.momentum, epsilon=self.epsilon, name=f"{name}_batch_norm"
        )
        fuse(layer)
        return [layer]


class Pooling(Toggle):
    """Shrinks the maps at the end of each block: each map on its own, no trainable parameters.

    `stride` is `size` unless given, so that windows do not overlap. `none` shrinks by the same
    stride in the block's last convolution instead, so that the head keeps its size.
    Source: Springenberg et al., "Striving for Simplicity: The All Convolutional Net", 2015.
    """

    optional: ClassVar[bool] = False
    shorthand = "kind"
    kind: Literal["max", "average", "none"] = "max"
    size: Annotated[int, Field(ge=1, le=64)] = 2
    stride: Annotated[int, Field(ge=1, le=64)] | None = None
    padding: Literal["valid", "same"] = "valid"

    def block_stride(self) -> int:
        return (self.stride or self.size) if self.kind == "none" else 1

    def after_block(self, name: str) -> list[Any]:
        if self.kind == "none":
            return []
        import keras

        kinds = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}
        layer = kinds[self.kind](
            pool_size=self.size, strides=self.stride, padding=self.padding, name=f"{name}_pooling"
        )
        return [layer]


class Dropout(Toggle):
    """Switches each unit off with probability p in training; all units are on at inference.

    `dense` drops inputs of every dense layer, the output layer included; `conv` drops outputs of
    every block. Kept units are scaled by 1 / (1 - p) in training, so inference needs no scaling.
    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting", 2014.
    """

    dense: Rate = 0.0
    conv: Rate = 0.0

    def is_idle(self) -> bool:
        return self.dense == self.conv == 0

    def after_block(self, name: str) -> list[Any]:
        return _dropout(self.conv, name)

    def before_dense(self, name: str) -> list[Any]:
        return _dropout(self.dense, name)


def _dropout(rate: float, name: str) -> list[Any]:
    import keras

    return [keras.layers.Dropout(rate, name=f"{name}_dropout")] if rate else []


# In the order in which their layers are stacked where several share a place.
REGULARIZERS: dict[str, type[Regularizer]] = {
    "l1": L1,
    "l2": L2,
    "lp": Lp,
    "batch_norm": BatchNorm,
    "pooling": Pooling,
    "dropout": Dropout,
}
