"""Refuses a network whose weights don't fit this machine, before memory is asked for them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from regbench.builders import Builder
from regbench.errors import RegbenchError

if TYPE_CHECKING:
    import keras

FLOAT = 4  # bytes
GIB = 2**30
# No network of regbench has more weights between neighbors than the square of its widest layer for
# each of its layers and pixels. Below this many there is nothing to check.
HARMLESS = 2**34


def check(builder: Builder, input_shape: tuple[int, ...], build: Callable[[], keras.Model]) -> None:
    """Raise RegbenchError if the weights alone need more than all memory of this machine.

    Only a network with very wide layers is built an additional time for this, without memory.
    """
    sizes = dict(_sizes(builder))
    widest = max(sizes.values(), default=0)
    if widest**2 * len(sizes) * math.prod(input_shape[:2]) < HARMLESS:
        return
    import keras

    # Variables made in such a scope have a shape, and no value until one is asked for.
    with keras.StatelessScope(initialize_variables=False):
        needed = build().count_params() * FLOAT
    if needed > (available := memory()):
        key = max(sizes, key=lambda each: sizes[each])
        raise RegbenchError(
            f"model.{key}: expected a network that fits the {available / GIB:.3g} GiB of this "
            f"machine, received one whose weights need {needed / GIB:.3g} GiB; make it smaller"
        )


def memory() -> int:
    """Return the bytes of this machine's memory; a very large number if they are not known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 2**60


def _sizes(builder: Builder) -> Iterator[tuple[str, int]]:
    """Yield each whole number of a network's keys, such as `dense[1]`."""
    for key, value in builder.model_dump().items():
        for index, each in enumerate(value if isinstance(value, list | tuple) else ()):
            if isinstance(each, int):
                yield f"{key}[{index}]", each
        if isinstance(value, int) and not isinstance(value, bool):
            yield key, value
