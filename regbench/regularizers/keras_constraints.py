"""Kernel constraints that Keras lacks. Importing this module imports Keras."""

from __future__ import annotations

import keras


@keras.saving.register_keras_serializable("regbench")
class UnitMaxNorm(keras.constraints.Constraint):
    """`keras.constraints.MaxNorm` over all axes but the last: dense kernels and filters alike.

    Keras' own has one `axis` for every kernel: its default is right for a dense kernel (inputs,
    units), but in a convolution's kernel (height, width, channels, filters) it would limit single
    columns of a filter.
    """

    def __init__(self, max_value: float) -> None:
        self.max_value = max_value

    def __call__(self, kernel: keras.KerasTensor) -> keras.KerasTensor:
        incoming = list(range(len(kernel.shape) - 1))
        return keras.constraints.MaxNorm(self.max_value, axis=incoming)(kernel)

    def get_config(self) -> dict[str, object]:
        return {"max_value": self.max_value}
