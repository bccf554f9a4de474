"""Penalties on the weights: L1 (lasso), L2 (ridge) and any p-norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import ConfigDict, Field, RootModel

from regbench.regularizers.hooks import Regularizer, Toggle

if TYPE_CHECKING:
    import keras

Strength = Annotated[float, Field(ge=0, lt=1e6, allow_inf_nan=False)]


class L1(Regularizer, RootModel[Strength]):
    """L1 penalty, the lasso: strength * sum(|w|) over every kernel; drives weights to zero.

    Source: Tibshirani, "Regression Shrinkage and Selection via the Lasso", 1996.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    def kernel_penalty(self) -> keras.Regularizer | None:
        import keras

        return keras.regularizers.L1(self.root)

    def is_idle(self) -> bool:
        return self.root == 0


class L2(Regularizer, RootModel[Strength]):
    """L2 penalty, ridge: strength * sum(w^2) over every kernel; shrinks large weights most.

    Source: Hoerl and Kennard, "Ridge Regression", 1970.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    def kernel_penalty(self) -> keras.Regularizer | None:
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

    def kernel_penalty(self) -> keras.Regularizer | None:
        from regbench.regularizers.keras_penalties import LpNorm

        return LpNorm(p=self.p, strength=self.strength)

    def is_idle(self) -> bool:
        return self.strength == 0
