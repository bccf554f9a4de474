"""The base class of every technique: the hooks through which it changes training."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

if TYPE_CHECKING:
    import keras

Images = NDArray[np.float32]
Targets = NDArray[np.float32]
# The rows of `history.csv` so far, epoch 0 first, without measurements on the test set.
History = Sequence[Mapping[str, float | None]]


class Averaging:
    """Averages of a compiled model's trainable weights, kept while the model trains."""

    @property
    def variables(self) -> Sequence[keras.Variable]:
        """Keras variables with its state, for checkpoints, beyond model and optimizer."""
        return ()

    def end_epoch(self, epoch: int, epochs: int) -> None:
        """Update the averages with the weights after `epoch` of `epochs`."""

    def weights(self) -> Sequence[keras.Variable] | None:
        """Return the averages in the order of `model.trainable_variables`; None at first."""
        return None


class Regularizer:
    """The hooks through which a technique changes training; each does nothing by default.

    The network is a stack of blocks (convolutions, the maps shrinking at the end of each), then a
    head of dense layers. `name` is the layer's name in the baseline, so that what a hook adds can
    be named after it. Hooks for layers return lists of Keras layers.
    """

    # True if null switches the technique off; otherwise its defaults are part of the baseline.
    optional: ClassVar[bool] = True
    # True if `true` switches it on with its defaults.
    bare: ClassVar[bool] = False
    # True if it requires `data.validation_examples`.
    needs_validation: ClassVar[bool] = False
    # True if it shrinks the maps between blocks, which only some networks allow.
    shrinks: ClassVar[bool] = False

    def is_idle(self) -> bool:
        """Return whether these values have no effect, which counts as switched off."""
        return False

    def on_input(self, name: str) -> list[keras.Layer]:
        """Return layers between the input and the first layer with weights."""
        return []

    def before_activation(self, name: str) -> list[keras.Layer]:
        """Return layers between a hidden layer's weights and its activation."""
        return []

    def after_activation(self, name: str) -> list[keras.Layer]:
        """Return layers after a hidden layer's activation."""
        return []

    def after_block(self, name: str) -> list[keras.Layer]:
        """Return layers after the last convolution of a block."""
        return []

    def around_block(self, name: str, depth: float) -> list[keras.Layer]:
        """Return layers at the end of a residual branch, before it is added to the shortcut.

        `depth` is the block's place in the network, from above 0 to 1 for the last block.
        """
        return []

    def before_dense(self, name: str) -> list[keras.Layer]:
        """Return layers before a dense layer, including the output layer."""
        return []

    def before_dense_on_input(self, name: str) -> list[keras.Layer]:
        """Return layers before a dense layer that reads the image itself."""
        return self.before_dense(name)

    def block_stride(self) -> int:
        """Return the stride of the last convolution of each block."""
        return 1

    def kernel_penalty(self) -> keras.Regularizer | None:
        """Return the Keras regularizer for every kernel (biases are never penalized), or None."""
        return None

    def kernel_constraint(self) -> keras.constraints.Constraint | None:
        """Return the Keras constraint for every kernel, or None."""
        return None

    def optimizer(self) -> dict[str, object]:
        """Return arguments for the Keras optimizer, such as `weight_decay` or `clipnorm`.

        `weight_decay` applies to kernels alone. Two techniques can't give the same argument.
        """
        return {}

    def batch(self, images: Images, targets: Targets, rng: Generator) -> tuple[Images, Targets]:
        """Return the changed batch for one update: augmented images, softened or mixed targets.

        Args:
            images: float32 in [0, 1], of shape (examples, height, width, channels). Don't change
                them in place.
            targets: float32 class probabilities of shape (examples, classes), each row summing to
                1. Don't change them in place.
            rng: depends only on the seed, the epoch, the step and the technique. Take all
                randomness from it: only then does a resumed run draw the same numbers as an
                uninterrupted one.
        """
        return images, targets

    def batch_effect(self) -> str:
        """Describe the effect of `batch` in a phrase; empty if it does nothing."""
        if not has_hook(self, "batch"):
            return ""
        # By default this is the docstring's first line, which is enough for a plugin.
        return (inspect.getdoc(type(self)) or "").partition("\n")[0]

    def averaging(self, model: keras.Model) -> Averaging | None:
        """Return an averager for the weights of a compiled model, or None.

        The averages are evaluated, saved and probed; training continues with the weights
        themselves.
        """
        return None

    def stop(self, history: History) -> str | None:
        """Return why training ends after the last epoch of the history, or None to continue.

        It must depend only on the arguments: only then does a resumed run end at the same epoch as
        an uninterrupted one.
        """
        return None

    def kept_epoch(self, history: History) -> int | None:
        """Return the epoch whose weights become the trained model's; None for the last one's.

        Called after each measured epoch: only the weights of the epoch that was chosen last are
        still available.
        """
        return None


def has_hook(technique: Regularizer | type[Regularizer], hook: str) -> bool:
    """Return whether a technique, or its class, overrides a hook, such as "batch"."""
    made = technique if isinstance(technique, type) else type(technique)
    return getattr(made, hook) is not getattr(Regularizer, hook)


class Toggle(Regularizer, BaseModel):
    """A technique with several keys. `shorthand` names the key that a bare scalar sets."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    shorthand: ClassVar[str | None] = None

    @model_validator(mode="before")
    @classmethod
    def _expand_shorthand(cls, value: object) -> object:
        if value is True and cls.bare:
            return {}
        return {cls.shorthand: value} if cls.is_short(value) else value

    @classmethod
    def is_short(cls, value: object) -> bool:
        """Return whether a value of the toggle is just that of its `shorthand`."""
        scalar = isinstance(value, str | int | float) and not isinstance(value, bool)
        return cls.shorthand is not None and scalar

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
