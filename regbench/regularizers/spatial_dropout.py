"""Spatial dropout: whole maps are switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regbench.regularizers.dropout import Rate
from regbench.regularizers.hooks import Toggle

if TYPE_CHECKING:
    import keras


class SpatialDropout(Toggle):
    """Switches each map off, as a whole, with probability `rate` in training.

    Dropping single values has little effect: their neighbors in the map are nearly the same.
    Outputs of every block are dropped; maps that are kept are scaled by 1 / (1 - rate) in training.
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015.
    """

    shorthand = "rate"
    rate: Rate

    def is_idle(self) -> bool:
        return self.rate == 0

    def after_block(self, name: str) -> list[keras.Layer]:
        import keras

        return [keras.layers.SpatialDropout2D(self.rate, name=f"{name}_spatial_dropout")]
