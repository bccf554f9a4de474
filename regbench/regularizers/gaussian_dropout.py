"""Gaussian dropout: units are scaled at random, and none is switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regbench.regularizers.dropout import RatesByPlace

if TYPE_CHECKING:
    import keras


class GaussianDropout(RatesByPlace):
    """Multiplies each unit by N(1, p / (1 - p)) in training; by 1 at inference.

    The noise has the mean and the variance of dropout's, whose factor is 0 or 1 / (1 - p).
    `dense`, for which a bare number is short, scales inputs of every dense layer, the output layer
    included; `conv` scales outputs of every block.
    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting", 2014, section 10.
    """

    def _layer(self, rate: float, name: str) -> keras.Layer:
        import keras

        return keras.layers.GaussianDropout(rate, name=f"{name}_gaussian_dropout")
