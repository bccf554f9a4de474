"""DropBlock: squares of each map are switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from regbench.regularizers.dropout import Rate
from regbench.regularizers.hooks import Toggle

if TYPE_CHECKING:
    import keras


class DropBlock(Toggle):
    """Switches squares of `size` x `size` values of each map off in training.

    About a share of `rate` is off: a little less, since squares may overlap. A map
    smaller than the square is dropped as a whole. The kept values are scaled up, so that inference
    needs no scaling. Outputs of every block are dropped, at the same rate throughout training; the
    paper starts at 0 and raises the rate step by step.
    Source: Ghiasi, Lin and Le, "DropBlock: A regularization method for convolutional networks",
    2018.
    """

    shorthand = "rate"
    rate: Rate
    size: Annotated[int, Field(ge=1, le=64)] = 3

    def is_idle(self) -> bool:
        return self.rate == 0

    def after_block(self, name: str) -> list[keras.Layer]:
        from regbench.regularizers.keras_layers import DropBlock2D

        return [DropBlock2D(self.rate, self.size, name=f"{name}_dropblock")]
