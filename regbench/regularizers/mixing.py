"""Mixing pairs of examples, images and targets alike: mixup and CutMix."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from regbench.regularizers.hooks import Images, Targets, Toggle

# Both parameters of a Beta distribution: near 0 one example of a pair outweighs the other, at 1
# every share is equally likely, above 1 halves are likeliest.
Alpha = Annotated[float, Field(ge=0, le=1000)]


class Mixup(Toggle):
    """Trains on weighted means of two examples: share * first + (1 - share) * second.

    The second one is another example of the same batch; the share is drawn for each batch from
    Beta(alpha, alpha). Targets are mixed as images are.
    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018 (alpha 1 for CIFAR-10).
    """

    bare: ClassVar[bool] = True
    shorthand = "alpha"
    alpha: Alpha = 1.0

    def is_idle(self) -> bool:
        return self.alpha == 0

    def batch(self, images: Images, targets: Targets, rng: Generator) -> tuple[Images, Targets]:
        share = rng.beta(self.alpha, self.alpha)
        order = rng.permutation(len(images))
        return _mean(images, order, share), _mean(targets, order, share)

    def batch_effect(self) -> str:
        return f"mixes each example with another one, in a share from {_beta(self.alpha)}"


class CutMix(Toggle):
    """Pastes a rectangle of another image of the batch into each; targets are mixed by area.

    A batch is mixed with `probability`. The rectangle covers a share of the image that is drawn for
    each batch from Beta(alpha, alpha), in the image's own proportions and at the same place in all
    images; its center is a random pixel, and parts outside the image are cut off.
    Source: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
    Localizable Features", 2019.
    """

    bare: ClassVar[bool] = True
    shorthand = "alpha"
    alpha: Alpha = 1.0
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0

    def is_idle(self) -> bool:
        return self.alpha == 0 or self.probability == 0

    def batch(self, images: Images, targets: Targets, rng: Generator) -> tuple[Images, Targets]:
        if rng.random() >= self.probability:
            return images, targets
        height, width = images.shape[1:3]
        order = rng.permutation(len(images))
        side = math.sqrt(1 - rng.beta(self.alpha, self.alpha))
        rows = _stretch(height, side, rng)
        columns = _stretch(width, side, rng)
        pasted = images.copy()
        pasted[:, rows, columns] = images[order, rows, columns]
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        return pasted, _mean(targets, order, 1 - area / (height * width))

    def batch_effect(self) -> str:
        often = "" if self.probability == 1 else f" in {self.probability:.3g} of all batches"
        return (
            f"pastes a part of another image into each{often}, its share of the area from "
            f"{_beta(self.alpha)}"
        )


def _mean(values: NDArray[np.float32], order: NDArray[np.int64], share: float) -> Images:
    """Return share * values + (1 - share) * those in another order; float32.

    In this form rounding stays within [0, 1], and equal rows stay equal to within 1e-7.
    """
    first = np.float32(share)
    mixed: NDArray[np.float32] = values[order]
    mixed *= np.float32(1) - first
    mixed += first * values
    return mixed


def _stretch(length: int, share: float, rng: Generator) -> slice[int, int, None]:
    """Return a stretch of an axis around a random pixel, clipped at the ends."""
    size = int(length * share)
    start = int(rng.integers(length)) - size // 2
    return slice(max(0, start), min(length, start + size))


def _beta(alpha: float) -> str:
    return f"Beta({alpha:g}, {alpha:g})"
