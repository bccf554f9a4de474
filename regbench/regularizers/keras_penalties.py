"""Kernel penalties that Keras lacks. Importing this module imports Keras."""

from __future__ import annotations

from collections.abc import Sequence

import keras


@keras.saving.register_keras_serializable("regbench")
class LpNorm(keras.regularizers.Regularizer):
    """strength * sum(|w|^p), the p-th power of the p-norm of a kernel; a scalar in nats."""

    def __init__(self, p: float, strength: float) -> None:
        self.p = p
        self.strength = strength

    def __call__(self, kernel: keras.KerasTensor) -> keras.KerasTensor:
        return self.strength * keras.ops.sum(keras.ops.power(keras.ops.absolute(kernel), self.p))

    def get_config(self) -> dict[str, object]:
        return {"p": self.p, "strength": self.strength}


@keras.saving.register_keras_serializable("regbench")
class PenaltySum(keras.regularizers.Regularizer):
    """The sum of several penalties on the same kernel: Keras takes one regularizer per kernel."""

    def __init__(self, penalties: Sequence[str | keras.Regularizer]) -> None:
        self.penalties = [keras.regularizers.get(penalty) for penalty in penalties]

    def __call__(self, kernel: keras.KerasTensor) -> keras.KerasTensor:
        return sum(penalty(kernel) for penalty in self.penalties)

    def get_config(self) -> dict[str, object]:
        return {"penalties": [keras.regularizers.serialize(each) for each in self.penalties]}
