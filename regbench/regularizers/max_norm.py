"""Max-norm: an upper limit for the norm of the weights that lead into a unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import ConfigDict, Field, RootModel

from regbench.regularizers.hooks import Regularizer

if TYPE_CHECKING:
    import keras

Limit = Annotated[float, Field(ge=0, lt=1e6, allow_inf_nan=False)]


class MaxNorm(Regularizer, RootModel[Limit]):
    """Max-norm: after each update, the weights into a unit are scaled down to at most this 2-norm.

    A unit is a column of a dense kernel, or a filter of a convolution with all its input channels.
    0 switches it off. Usual limits are 3 and 4, together with dropout and a high learning rate.
    Source: Srebro, Rennie and Jaakkola, "Maximum-Margin Matrix Factorization", 2005; Srivastava et
    al., "Dropout", 2014, section 5.1.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    def is_idle(self) -> bool:
        return self.root == 0

    def kernel_constraint(self) -> keras.constraints.Constraint | None:
        from regbench.regularizers.keras_constraints import UnitMaxNorm

        return UnitMaxNorm(self.root)
