"""Gradient clipping, by norm or by value."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from regbench.regularizers.hooks import Toggle

Limit = Annotated[float, Field(gt=0, lt=1e6)]


class GradientClipping(Toggle):
    """Limits the gradient of each update, penalties included, before the optimizer sees it.

    One of three, named as Keras' arguments: `global_clipnorm`, for which a bare number is short,
    scales the whole gradient down to at most this 2-norm, which keeps its direction; `clipnorm`
    does so for each variable by itself; `clipvalue` limits each number to [-value, value].
    Source: Pascanu, Mikolov and Bengio, "On the Difficulty of Training Recurrent Neural Networks",
    2013.
    """

    shorthand = "global_clipnorm"
    global_clipnorm: Limit | None = None
    clipnorm: Limit | None = None
    clipvalue: Limit | None = None

    @model_validator(mode="after")
    def _is_one(self) -> GradientClipping:
        if len(self.optimizer()) != 1:
            raise ValueError(
                "expected one of global_clipnorm, clipnorm and clipvalue, "
                f"received {' and '.join(self.optimizer()) or 'none'}"
            )
        return self

    def optimizer(self) -> dict[str, object]:
        return self.model_dump(exclude_none=True)
