"""The base class of every network that a config can name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, Strict

from regbench.builders.kit import Kit
from regbench.regularizers import Regularizer

if TYPE_CHECKING:
    import keras

Size = Annotated[int, Field(ge=1, le=10**6)]
Sizes = Annotated[tuple[Size, ...], Strict(False), Field(max_length=100)]
Activation = Literal[
    "relu", "elu", "gelu", "leaky_relu", "selu", "sigmoid", "silu", "softplus", "tanh"
]


class Builder(BaseModel):
    """The keys and construction of a network; `name` is its `model.name`.

    `smoke` holds the values that make it small for `regbench run --smoke`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    smoke: ClassVar[Mapping[str, object]] = {}
    # The advice if the maps of small images shrink to nothing.
    remedy: ClassVar[str] = "Use larger images, or another model.name."

    name: str

    def build(self, kit: Kit, input_shape: tuple[int, ...], classes: int) -> keras.Model:
        """Return the `keras.Model`, from images in [0, 1] to class probabilities.

        Args:
            kit: makes the parts, including the layers that techniques add to them.
            input_shape: (height, width, channels) of the images.
            classes: the number of classes, and of outputs.
        """
        raise NotImplementedError

    def kit(self, regularizers: Mapping[str, Regularizer]) -> Kit:
        """Return the kit for this network, with these techniques switched on, by name."""
        return Kit(regularizers, getattr(self, "activation", "relu"))

    def shrunk(self) -> Self:
        """Return the same network at the size of a smoke run."""
        return type(self).model_validate(self.model_dump() | dict(self.smoke))

    def changed(self) -> dict[str, object]:
        """Return the keys that differ from the defaults, and the name."""
        return {"name": self.name, **self.model_dump(mode="json", exclude_defaults=True)}
