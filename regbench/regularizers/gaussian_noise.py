"""Gaussian noise, added to the inputs or to hidden layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from regbench.regularizers.hooks import Toggle

if TYPE_CHECKING:
    import keras

# Keras accepts none above 1.
Deviation = Annotated[float, Field(ge=0, le=1)]


class GaussianNoise(Toggle):
    """Adds noise of mean 0 in training: x + N(0, s^2); there is none at inference.

    `input`, for which a bare number is short, is the standard deviation of the noise on the pixels,
    which are in [0, 1] and are not clipped to it again; `hidden` that on the outputs of every
    hidden layer. Small noise on the inputs acts as a penalty on the slope of the function that the
    network has learned.
    Source: Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", 1995; Poole,
    Sohl-Dickstein and Ganguli, "Analyzing noise in autoencoders and deep networks", 2014 (hidden
    layers).
    """

    shorthand = "input"
    input: Deviation = 0.0
    hidden: Deviation = 0.0

    def is_idle(self) -> bool:
        return self.input == self.hidden == 0

    def on_input(self, name: str) -> list[keras.Layer]:
        return _noise(self.input, name)

    def after_activation(self, name: str) -> list[keras.Layer]:
        return _noise(self.hidden, name)


def _noise(deviation: float, name: str) -> list[keras.Layer]:
    import keras

    if not deviation:
        return []
    return [keras.layers.GaussianNoise(deviation, name=f"{name}_gaussian_noise")]
