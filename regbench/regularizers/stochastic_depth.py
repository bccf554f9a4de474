"""Stochastic depth: residual branches are switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regbench.regularizers.dropout import Rate
from regbench.regularizers.hooks import Toggle

if TYPE_CHECKING:
    import keras


class StochasticDepth(Toggle):
    """Switches a residual block's branch off in training, for each example on its own.

    Only the shortcut is left then, so that each example trains a network of another depth. The
    probability grows in proportion to the block's place, up to `rate` for the last block. Branches
    that are kept are scaled by 1 / (1 - probability) in training, so inference needs no scaling;
    the paper scales them at inference instead, and draws once for a whole batch.
    Source: Huang et al., "Deep Networks with Stochastic Depth", 2016.
    """

    shorthand = "rate"
    rate: Rate

    def is_idle(self) -> bool:
        return self.rate == 0

    def around_block(self, name: str, depth: float) -> list[keras.Layer]:
        import keras

        # One draw per example: the mask is 1 wide in every other dimension.
        return [
            keras.layers.Dropout(
                self.rate * depth,
                noise_shape=(None, 1, 1, 1),
                name=f"{name}_stochastic_depth",
            )
        ]
