"""Random mirror images."""

from __future__ import annotations

from typing import Annotated, ClassVar

from numpy.random import Generator
from pydantic import Field

from regbench.regularizers.hooks import Images, Targets, Toggle


class Flip(Toggle):
    """Mirrors training images left to right, each with `probability`; labels stay.

    Source: Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional
    Neural Networks", 2012, section 4.1.
    """

    bare: ClassVar[bool] = True
    shorthand = "probability"
    probability: Annotated[float, Field(ge=0, le=1)] = 0.5

    def is_idle(self) -> bool:
        return self.probability == 0

    def batch(self, images: Images, targets: Targets, rng: Generator) -> tuple[Images, Targets]:
        mirrored = rng.random(len(images)) < self.probability
        flipped = images.copy()
        flipped[mirrored] = images[mirrored, :, ::-1]
        return flipped, targets

    def batch_effect(self) -> str:
        return f"mirrors each image left to right with probability {self.probability:g}"
