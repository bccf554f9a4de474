"""Label smoothing."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from numpy.random import Generator
from pydantic import Field

from regbench.regularizers.hooks import Images, Targets, Toggle


class LabelSmoothing(Toggle):
    """Spreads a share `epsilon` of each target evenly over all classes.

    The target of the true class becomes 1 - epsilon + epsilon / classes, that of any other class
    epsilon / classes, as with Keras' `label_smoothing`. Curves are measured against the labels.
    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016,
    section 7.
    """

    bare: ClassVar[bool] = True
    shorthand = "epsilon"
    epsilon: Annotated[float, Field(ge=0, lt=1)] = 0.1

    def is_idle(self) -> bool:
        return self.epsilon == 0

    def batch(self, images: Images, targets: Targets, rng: Generator) -> tuple[Images, Targets]:
        even = np.float32(self.epsilon / targets.shape[1])
        return images, targets * np.float32(1 - self.epsilon) + even

    def batch_effect(self) -> str:
        return f"spreads {self.epsilon:g} of each target evenly over all classes"
