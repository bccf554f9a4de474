"""Random crops of padded images."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.random import Generator
from pydantic import Field

from regbench.regularizers.hooks import Images, Targets, Toggle


class Crop(Toggle):
    """Pads training images by `padding` pixels on each side and crops them to their size again.

    Every position of the crop is equally likely, so an image moves by up to `padding` pixels in
    each direction. `fill` is the content of the padding: black (`zeros`) or the image mirrored at
    its border (`reflect`).
    Source: He et al., "Deep Residual Learning for Image Recognition", 2016, section 4.2.
    """

    bare: ClassVar[bool] = True
    shorthand = "padding"
    padding: Annotated[int, Field(ge=0, le=256)] = 4
    fill: Literal["zeros", "reflect"] = "zeros"

    def is_idle(self) -> bool:
        return self.padding == 0

    def batch(self, images: Images, targets: Targets, rng: Generator) -> tuple[Images, Targets]:
        count, height, width, channels = images.shape
        top, left = rng.integers(2 * self.padding + 1, size=(2, count))
        around = (self.padding, self.padding)
        padded = np.pad(
            images,
            ((0, 0), around, around, (0, 0)),
            "constant" if self.fill == "zeros" else "reflect",
        )
        # A row of pixels is one run of numbers, so that each crop is copied row by row.
        rows = padded.reshape(count, height + 2 * self.padding, -1)
        crops = sliding_window_view(rows, (height, width * channels), axis=(1, 2))
        chosen = crops[np.arange(count), top, left * channels]
        return chosen.reshape(images.shape), targets

    def batch_effect(self) -> str:
        return f"moves each image by up to {self.padding} pixels in each direction"
