"""Erasing a part of each image: cutout and random erasing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field, model_validator

from regbench.regularizers.hooks import Images, Targets, Toggle

Probability = Annotated[float, Field(ge=0, le=1)]
Area = Annotated[float, Field(gt=0, le=1)]
# A row and a column for each image, of shape (n, 2).
Corners = NDArray[np.int64]
# A rectangle that does not fit is drawn again; after this many tries the image stays unchanged.
# With the default shapes, that happens to fewer than one image in a million.
ATTEMPTS = 100
Stretch: TypeAlias = "slice[int, int, None]"


class Cutout(Toggle):
    """Erases a square of `size` x `size` pixels from each training image.

    Its center is a pixel drawn at random, so that a part of the square may lie outside. The erased
    pixels are `fill`, by default a middle gray: the paper's images have a mean of zero, and its
    squares are zero.
    Source: DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with
    Cutout", 2017 (16 pixels for CIFAR-10, 8 for CIFAR-100).
    """

    bare: ClassVar[bool] = True
    shorthand = "size"
    size: Annotated[int, Field(ge=0, le=10_000)] = 16
    fill: Annotated[float, Field(ge=0, le=1)] = 0.5

    def is_idle(self) -> bool:
        return self.size == 0

    def batch(self, images: Images, targets: Targets, rng: Generator) -> tuple[Images, Targets]:
        height, width = images.shape[1:3]
        starts = rng.integers((height, width), size=(len(images), 2)) - self.size // 2
        erased = images.copy()
        for image, box in zip(erased, _boxes(starts, self.size), strict=True):
            image[box] = self.fill
        return erased, targets

    def batch_effect(self) -> str:
        return f"erases a square of up to {self.size}x{self.size} pixels from each image"


class RandomErasing(Toggle):
    """Replaces a random rectangle of a training image by noise, with `probability`.

    Its share of the image's area is uniform from `min_area` to `max_area`, its height divided by
    its width from `min_ratio` to 1 / `min_ratio`; one that does not fit into the image is drawn
    again.
    Source: Zhong et al., "Random Erasing Data Augmentation", 2020, algorithm 1 (RE-R).
    """

    bare: ClassVar[bool] = True
    shorthand = "probability"
    probability: Probability = 0.5
    min_area: Area = 0.02
    max_area: Area = 0.4
    min_ratio: Annotated[float, Field(gt=0, le=1)] = 0.3

    @model_validator(mode="after")
    def _areas_are_in_order(self) -> RandomErasing:
        if self.min_area > self.max_area:
            raise ValueError(f"min_area {self.min_area:g} is above max_area {self.max_area:g}")
        return self

    def is_idle(self) -> bool:
        return self.probability == 0

    def batch(self, images: Images, targets: Targets, rng: Generator) -> tuple[Images, Targets]:
        starts, sizes = self._draw(images, rng)
        erased = images.copy()
        for image, box in zip(erased, _boxes(starts, sizes), strict=True):
            image[box] = rng.random(image[box].shape, dtype=np.float32)
        return erased, targets

    def _draw(self, images: Images, rng: Generator) -> tuple[Corners, Corners]:
        """Draw each rectangle's first row and column, and its sizes; 0 if none is erased."""
        height, width = images.shape[1:3]
        starts, sizes = np.zeros((2, len(images), 2), np.int64)
        waiting = np.flatnonzero(rng.random(len(images)) < self.probability)
        for _ in range(ATTEMPTS):
            if not len(waiting):
                break
            area = rng.uniform(self.min_area, self.max_area, len(waiting)) * height * width
            ratio = rng.uniform(self.min_ratio, 1 / self.min_ratio, len(waiting))
            start = rng.integers((height, width), size=(len(waiting), 2))
            size = np.rint(np.sqrt([area * ratio, area / ratio])).astype(np.int64).T
            fits = (start + size <= (height, width)).all(axis=1)
            starts[waiting[fits]], sizes[waiting[fits]] = start[fits], size[fits]
            waiting = waiting[~fits]
        return starts, sizes

    def batch_effect(self) -> str:
        return (
            f"replaces {self.min_area:.3g} to {self.max_area:.3g} of each image by noise, with "
            f"probability {self.probability:g}"
        )


def _boxes(starts: Corners, sizes: Corners | int) -> Iterator[tuple[Stretch, Stretch]]:
    """Yield the rows and columns of each image's box, clipped at the upper and left border."""
    # A slice for each image is faster than one mask for all: it touches only erased pixels.
    ends = np.maximum(starts + sizes, 0).tolist()
    for (top, left), (bottom, right) in zip(np.maximum(starts, 0).tolist(), ends, strict=True):
        yield slice(top, bottom), slice(left, right)
