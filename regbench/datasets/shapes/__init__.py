"""A data set that needs no network: ten kinds of shape, drawn by NumPy on cluttered backgrounds.

The set is fixed, whatever a run's seed: 10,000 training and 2,000 test images of 32 x 32 pixels.
Sizes, angles, colors and clutter vary so much that a small network can memorize a thousand images
and still fail on new ones, which is what it is for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regbench.datasets import cache
from regbench.datasets.errors import DataError
from regbench.datasets.shapes.drawing import draw
from regbench.datasets.shapes.outlines import OUTLINES
from regbench.datasets.splits import Splits

TRAIN, TEST = 10_000, 2_000
# The set is what these two make it: change either, and it is another data set.
SEED = 20_231
VERSION = "drawing-3"


def load(
    path: Path | None, sha256: str | None, progress: Callable[[int, int], None] | None = None
) -> Splits:
    """Return the whole set, drawn in under two seconds where it is not in the cache.

    Raises:
        DataError: a path or a checksum is given, which this set has no use for.
    """
    for key, value in (("data.path", path), ("data.sha256", sha256)):
        if value:
            raise DataError(f"{key}: shapes is drawn, not read from a file; leave it out")
    try:
        return cache.splits("shapes", VERSION, drawn)
    except cache.CacheError:  # this set has to work where nothing else does
        return drawn()


def drawn() -> Splits:
    """Draw the whole set."""
    return Splits(*_split(TRAIN, SEED), *_split(TEST, SEED + 1), tuple(OUTLINES))


def _split(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    labels = np.arange(count, dtype=np.int64) % len(OUTLINES)
    return draw(labels, np.random.default_rng(seed)), labels
