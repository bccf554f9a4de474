"""The base class of every technique: the hooks through which it changes training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

Images = NDArray[np.float32]
Targets = NDArray[np.float32]
# The rows of `history.csv` so far, epoch 0 first, without what was measured on the test set.
History = Sequence[Mapping[str, float | None]]


class Averaging:
    """Averages of a compiled model's trainable weights, kept while the model trains."""

    @property
    def variables(self) -> Sequence[Any]:
        """Keras variables with its state, for checkpoints, beyond model and optimizer."""
        return ()

    def end_epoch(self, epoch: int, epochs: int) -> None:
        """Take in the weights after an epoch, of so many in all."""

    def weights(self) -> Sequence[Any] | None:
        """Return the averages in the order of `model.trainable_variables`; None before any."""
        return None


class Regularizer:
    """The hooks through which a technique changes training; each does nothing by default.

    The network is a stack of blocks (convolutions, the maps shrinking at the end of each), then a
    head of dense layers. `name` is the layer's name in the baseline, so that what a hook adds can
    be named after it. Hooks for layers return lists of Keras layers.
    """

    # Whether null switches the technique off; otherwise its defaults are part of the baseline.
    optional: ClassVar[bool] = True
    # Whether `true` switches it on with its defaults.
    bare: ClassVar[bool] = False
    # Whether it is an error without `data.validation_examples`.
    needs_validation: ClassVar[bool] = False

    def is_idle(self) -> bool:
        """Return whether these values have no effect, which counts as switched off."""
        return False

    def on_input(self, name: str) -> list[Any]:
        """Layers between the input and the first layer with weights."""
        return []

    def before_activation(self, name: str) -> list[Any]:
        """Layers between a hidden layer's weights and its activation."""
        return []

    def after_activation(self, name: str) -> list[Any]:
        """Layers after a hidden layer's activation."""
        return []

    def after_block(self, name: str) -> list[Any]:
        """Layers after the last convolution of a block."""
        return []

    def around_block(self, name: str, depth: float) -> list[Any]:
        """Layers at the end of a residual branch, before it is added to the shortcut.

        `depth` is the block's place in the network, from above 0 to 1 for the last block.
        """
        return []

    def before_dense(self, name: str) -> list[Any]:
        """Layers before a dense layer, including the output layer."""
        return []

    def block_stride(self) -> int:
        """Return the stride of the last convolution of each block."""
        return 1

    def kernel_penalty(self) -> Any:
        """Return the Keras regularizer for every kernel (biases are never penalized), or None."""
        return None

    def kernel_constraint(self) -> Any:
        """Return the Keras constraint for every kernel, or None."""
        return None

    def optimizer(self) -> dict[str, Any]:
        """Return arguments for the Keras optimizer, such as `weight_decay` or `clipnorm`.

        `weight_decay` applies to kernels alone. Two techniques can't give the same argument.
        """
        return {}

    def batch(self, images: Images, targets: Targets, rng: Generator) -> tuple[Images, Targets]:
        """Return what one update trains on instead: augmented images, softened or mixed targets.

        Args:
            images: float32 in [0, 1], of shape (examples, height, width, channels). Not to be
                changed in place.
            targets: float32 class probabilities of shape (examples, classes), each row summing
                to 1. Not to be changed in place.
            rng: depends on the seed, the epoch, the step and the technique alone. All randomness
                comes from it: only then does a resumed run repeat what an uninterrupted one draws.
        """
        return images, targets

    def averaging(self, model: Any) -> Averaging | None:
        """Return what averages the weights of a compiled model, or None.

        The averages are evaluated, saved and probed; training goes on with the weights themselves.
        """
        return None

    def stop(self, history: History) -> str | None:
        """Return why training ends after the last epoch of the history, or None to continue.

        It must depend on the arguments alone: only then does a resumed run end where an
        uninterrupted one does.
        """
        return None

    def kept_epoch(self, history: History) -> int | None:
        """Return the epoch whose weights become the trained model's; None for the last one's.

        Asked after each epoch that is measured: of the epochs to choose from, only the one that
        was chosen last is still there.
        """
        return None


def has_hook(technique: Regularizer, hook: str) -> bool:
    """Return whether a technique has a hook of its own, such as "batch"."""
    return getattr(type(technique), hook) is not getattr(Regularizer, hook)


class Toggle(Regularizer, BaseModel):
    """A technique with several keys. `shorthand` names the key that a bare scalar sets."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    shorthand: ClassVar[str | None] = None

    @model_validator(mode="before")
    @classmethod
    def _expand_shorthand(cls, value: Any) -> Any:
        if value is True and cls.bare:
            return {}
        return {cls.shorthand: value} if cls.is_short(value) else value

    @classmethod
    def is_short(cls, value: Any) -> bool:
        """Return whether a value of the toggle is that of its `shorthand` alone."""
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
